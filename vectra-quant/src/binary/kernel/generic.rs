//! The loop over rows and lines, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use vectra_core::memory::prefetch_at;

use super::super::row::{LINE, Pair};
use super::Kernels;
use crate::isa::Isa;

/// Rows that are counted at once.
const ROWS: usize = 4;

/// How far ahead of the rows being counted a scan asks for lines: beyond the page at which the hardware's own prefetch stops.
const SCAN_BYTES_AHEAD: usize = 8 << 10;

/// A register of counts.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Counts: Copy {
    /// All counts zero.
    unsafe fn zero() -> Self;

    /// Adds the bits of a line that differ. The pointers must be good for a pair, aligned as it asks, and for a line of any
    /// alignment.
    unsafe fn step(self, query: *const Pair, row: *const u8) -> Self;

    /// The sum of the counts of each.
    unsafe fn totals(all: [Self; ROWS]) -> [u32; ROWS];
}

/// The counts of four rows.
///
/// # Safety
/// A row of as many lines as the query has must be readable at each address, and the instruction set of `C` be present.
#[inline(always)]
unsafe fn four<C: Counts>(query: &[Pair], rows: [*const u8; ROWS]) -> [u32; ROWS] {
    // SAFETY: every step is within the lines that the caller vouches for.
    unsafe {
        let mut counts = [C::zero(); ROWS];
        for (line, query) in query.iter().enumerate() {
            for (counts, row) in counts.iter_mut().zip(rows) {
                *counts = counts.step(query, row.add(LINE * line));
            }
        }
        C::totals(counts)
    }
}

/// The counts of `out.len()` rows, whose addresses `row` gives; the rest of the last four repeats a row that is there.
///
/// # Safety
/// As [`four`], for each row that `row` gives for a position in `out`.
#[inline(always)]
unsafe fn all<C: Counts>(query: &[Pair], out: &mut [u32], row: impl Fn(usize) -> *const u8) {
    let (whole, rest) = out.as_chunks_mut::<ROWS>();
    let mut at = 0;
    for out in whole {
        // SAFETY: the caller vouches for the rows and the instruction set.
        *out = unsafe { four::<C>(query, [row(at), row(at + 1), row(at + 2), row(at + 3)]) };
        at += ROWS;
    }
    if !rest.is_empty() {
        let rows = std::array::from_fn(|i| row(at + i.min(rest.len() - 1)));
        // SAFETY: the caller vouches for the rows and the instruction set.
        let counts = unsafe { four::<C>(query, rows) };
        rest.iter_mut().zip(counts).for_each(|(out, count)| *out = count);
    }
}

/// # Safety
/// See [`super::GatherFn`].
#[inline(always)]
pub(super) unsafe fn gather<C: Counts>(query: &[Pair], rows: &[u8], slots: &[u32], out: &mut [u32]) {
    let stride = LINE * query.len();
    let row = |at: usize| rows.as_ptr().wrapping_add(slots[at] as usize * stride);
    // SAFETY: the caller vouches that the rows of all slots lie within `rows`, and for the instruction set.
    unsafe { all::<C>(query, out, row) }
}

/// # Safety
/// See [`super::ScanFn`].
#[inline(always)]
pub(super) unsafe fn scan<C: Counts>(query: &[Pair], rows: &[u8], out: &mut [u32]) {
    // SAFETY: the contract is the same. With the number of lines a constant where it is usual, the query stays in registers.
    unsafe {
        match query {
            [one] => scan_lines::<C>(&[*one], rows, out),
            [one, two] => scan_lines::<C>(&[*one, *two], rows, out),
            more => scan_lines::<C>(more, rows, out),
        }
    }
}

/// # Safety
/// See [`super::ScanFn`].
#[inline(always)]
unsafe fn scan_lines<C: Counts>(query: &[Pair], rows: &[u8], out: &mut [u32]) {
    let stride = LINE * query.len();
    let row = |at: usize| {
        let row = rows.as_ptr().wrapping_add(at * stride);
        prefetch_at(row.wrapping_add(SCAN_BYTES_AHEAD), stride);
        row
    };
    // SAFETY: the caller vouches that there are as many rows as results, and for the instruction set.
    unsafe { all::<C>(query, out, row) }
}

/// Counts in plain numbers, on any architecture.
impl Counts for u32 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        0
    }

    #[inline(always)]
    unsafe fn step(self, query: *const Pair, row: *const u8) -> Self {
        // SAFETY: the caller vouches for a pair of the query and a line of the row; arrays of bytes need no alignment.
        let (Pair([bits, mask]), row) = unsafe { (&*query, &*row.cast::<[u8; LINE]>()) };
        let words = |bytes: &[u8; LINE]| -> [u64; LINE / 8] {
            std::array::from_fn(|i| {
                let word = bytes[8 * i..][..8].try_into().expect("eight bytes");
                u64::from_le_bytes(word)
            })
        };
        let (bits, mask, row) = (words(bits), words(mask), words(row));
        (0..LINE / 8).fold(self, |count, i| count + ((bits[i] ^ row[i]) & mask[i]).count_ones())
    }

    #[inline(always)]
    unsafe fn totals(all: [Self; ROWS]) -> [u32; ROWS] {
        all
    }
}

/// The kernels that every machine can run.
pub(super) static PORTABLE: Kernels =
    Kernels { isa: Isa::Portable, gather: gather::<u32>, scan: scan::<u32> };
