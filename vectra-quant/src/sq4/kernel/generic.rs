//! The loop over rows and lines, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use vectra_core::memory::prefetch_at;

use super::super::formula::Side;
use super::super::levels;
use super::super::row::{FACTOR_BYTES, Factors, LINE, Pair};
use super::Kernels;
use crate::isa::Isa;

/// Rows that are summed and finished at once.
const ROWS: usize = 4;

/// How far ahead of the rows being summed a scan asks for lines: beyond the page at which the hardware's own prefetch stops.
const SCAN_BYTES_AHEAD: usize = 8 << 10;

/// Registers of `i32` sums that take a line of codes a step.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Sums: Copy {
    /// All sums zero.
    unsafe fn zero() -> Self;

    /// Adds the products of a line of codes, exactly: its low nibbles with the first line of the query, its high ones with the
    /// second. The pointers must be good for a pair, aligned as it asks, and for a line of any alignment.
    unsafe fn step(self, query: *const Pair, codes: *const u8) -> Self;

    /// The sum of the sums of each.
    unsafe fn totals(all: [Self; ROWS]) -> [i32; ROWS];
}

/// The distances to four rows of `lines` lines.
///
/// # Safety
/// `lines` lines must be readable at each row, the query must have as many pairs, and the instruction set of `S` be present.
#[inline(always)]
unsafe fn four<S: Sums>(query: &Side, rows: [*const u8; ROWS], lines: usize) -> [f32; ROWS] {
    // SAFETY: every step is within the lines that the caller vouches for, as are the factors, the end of the last.
    unsafe {
        let mut sums = [S::zero(); ROWS];
        for line in 0..lines {
            let codes = query.codes.as_ptr().add(line);
            for (sums, row) in sums.iter_mut().zip(rows) {
                *sums = sums.step(codes, row.add(LINE * line));
            }
        }
        let factors = rows.map(|row| {
            let bytes = row.add(LINE * lines - FACTOR_BYTES).cast::<[u8; FACTOR_BYTES]>();
            Factors::of_bytes(bytes.read())
        });
        query.distances(S::totals(sums), factors)
    }
}

/// The distances to `out.len()` rows, whose addresses `row` gives; the rest of the last four repeats a row that is there.
///
/// # Safety
/// As [`four`], for each row that `row` gives for a position in `out`.
#[inline(always)]
unsafe fn all<S: Sums>(query: &Side, lines: usize, out: &mut [f32], mut row: impl FnMut(usize) -> *const u8) {
    let (whole, rest) = out.as_chunks_mut::<ROWS>();
    let mut at = 0;
    for out in whole {
        let rows = [row(at), row(at + 1), row(at + 2), row(at + 3)];
        // SAFETY: the caller vouches for the rows and the instruction set.
        *out = unsafe { four::<S>(query, rows, lines) };
        at += ROWS;
    }
    if !rest.is_empty() {
        let rows = std::array::from_fn(|i| row(at + i.min(rest.len() - 1)));
        // SAFETY: the caller vouches for the rows and the instruction set.
        let distances = unsafe { four::<S>(query, rows, lines) };
        rest.iter_mut().zip(distances).for_each(|(out, distance)| *out = distance);
    }
}

/// [`all`], with the number of lines a constant where it is usual, so that the query stays in registers.
///
/// # Safety
/// As [`all`].
#[inline(always)]
unsafe fn all_of_lines<S: Sums>(
    query: &Side,
    lines: usize,
    out: &mut [f32],
    row: impl FnMut(usize) -> *const u8,
) {
    // SAFETY: the contract is the same.
    unsafe {
        match lines {
            2 => all::<S>(query, 2, out, row),
            _ => all::<S>(query, lines, out, row),
        }
    }
}

/// # Safety
/// See [`super::GatherFn`].
#[inline(always)]
pub(super) unsafe fn gather<S: Sums>(
    query: &Side,
    rows: &[u8],
    stride: usize,
    slots: &[u32],
    out: &mut [f32],
) {
    debug_assert!(query.codes.len() == stride / LINE && slots.len() == out.len(), "checked by the caller");
    let row = |at: usize| {
        let start = slots[at] as usize * stride;
        debug_assert!(start + stride <= rows.len(), "checked by the caller");
        rows.as_ptr().wrapping_add(start)
    };
    // SAFETY: the caller vouches that the rows of all slots lie within `rows` and are as long as the stride, that the query
    // has a pair for each line of it, and for the instruction set.
    unsafe { all_of_lines::<S>(query, stride / LINE, out, row) }
}

/// # Safety
/// See [`super::ScanFn`].
#[inline(always)]
pub(super) unsafe fn scan<S: Sums>(query: &Side, rows: &[u8], stride: usize, out: &mut [f32]) {
    debug_assert!(query.codes.len() == stride / LINE, "checked by the caller");
    let row = |at: usize| {
        let row = rows.as_ptr().wrapping_add(at * stride);
        prefetch_at(row.wrapping_add(SCAN_BYTES_AHEAD), stride);
        row
    };
    // SAFETY: the caller vouches that there are as many rows as results, each as long as the stride, that the query has a
    // pair for each line of it, and for the instruction set.
    unsafe { all_of_lines::<S>(query, stride / LINE, out, row) }
}

/// Sixteen sums in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Sums for [i32; 16] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn step(mut self, query: *const Pair, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for a pair of the query and a line of codes; arrays of bytes need no alignment.
        let (Pair(query), codes) = unsafe { (&*query, &*codes.cast::<[u8; LINE]>()) };
        for at in (0..LINE).step_by(16) {
            for i in 0..16 {
                let code = codes[at + i];
                // Sixteen bits are enough for both and have a multiplication of many at once.
                let low = i16::from(code & 15) * i16::from(query[0][at + i]);
                let high = i16::from(code >> 4) * i16::from(query[1][at + i]);
                self[i] += i32::from(low + high);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn totals(all: [Self; ROWS]) -> [i32; ROWS] {
        all.map(|sums| sums.iter().sum())
    }
}

/// The kernels that every machine can run.
pub(super) static PORTABLE: Kernels = Kernels {
    isa: Isa::Portable,
    gather: gather::<[i32; 16]>,
    scan: scan::<[i32; 16]>,
    encode: levels::encode,
    bind: levels::bind,
};
