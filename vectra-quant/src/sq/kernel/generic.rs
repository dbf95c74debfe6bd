//! The loop over codes and rows, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use vectra_core::memory::{LINE, prefetch_at};

use super::super::formula::distances_apart;
use super::super::{levels, manhattan, near};
use super::{Kernels, tile};
use crate::isa::Isa;

/// Sums kept in flight within a row. Few, as rows are short and processors overlap one row with the next.
const ACCUMULATORS: usize = 2;

/// Rows that a scan takes at once.
const ROWS: usize = 4;

/// How far ahead of the rows being summed a scan asks for lines: beyond the page at which the hardware's own prefetch stops.
const SCAN_BYTES_AHEAD: usize = 8 << 10;

/// Registers of `i32` sums that take [`WIDTH`](Sums::WIDTH) codes a step.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Sums: Copy {
    /// Codes a step, at most 64.
    const WIDTH: usize;

    /// All sums zero.
    unsafe fn zero() -> Self;

    /// Adds the products of `WIDTH` codes, exactly. Both pointers must be good for `WIDTH` bytes, of any alignment.
    unsafe fn step(self, query: *const i8, codes: *const u8) -> Self;

    /// Sum by sum `self + other`.
    unsafe fn add(self, other: Self) -> Self;

    /// The sum of the sums.
    unsafe fn total(self) -> i32;

    /// The [`total`](Sums::total) of each.
    #[inline(always)]
    unsafe fn totals(all: [Self; ROWS]) -> [i32; ROWS] {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { [all[0].total(), all[1].total(), all[2].total(), all[3].total()] }
    }
}

/// The sum over `len` codes.
///
/// # Safety
/// `len` bytes must be readable at both pointers and the instruction set of `S` present.
#[inline(always)]
unsafe fn pair<S: Sums>(query: *const i8, codes: *const u8, len: usize) -> i32 {
    // SAFETY: every step ends at or before `len` or within the padded arrays; the caller vouches for the rest.
    unsafe {
        let mut sums = [S::zero(); ACCUMULATORS];
        let mut at = 0;
        while at + ACCUMULATORS * S::WIDTH <= len {
            for (i, sum) in sums.iter_mut().enumerate() {
                let here = at + i * S::WIDTH;
                *sum = sum.step(query.add(here), codes.add(here));
            }
            at += ACCUMULATORS * S::WIDTH;
        }
        while at + S::WIDTH <= len {
            sums[0] = sums[0].step(query.add(at), codes.add(at));
            at += S::WIDTH;
        }
        if at < len {
            let (mut last_query, mut last_codes) = ([0_i8; 64], [0_u8; 64]);
            std::ptr::copy_nonoverlapping(query.add(at), last_query.as_mut_ptr(), len - at);
            std::ptr::copy_nonoverlapping(codes.add(at), last_codes.as_mut_ptr(), len - at);
            sums[1] = sums[1].step(last_query.as_ptr(), last_codes.as_ptr());
        }
        sums[0].add(sums[1]).total()
    }
}

/// # Safety
/// See [`super::OneFn`].
#[inline(always)]
pub(super) unsafe fn one<S: Sums>(query: &[i8], codes: &[u8]) -> i32 {
    debug_assert_eq!(query.len(), codes.len(), "checked by the caller");
    // SAFETY: both slices hold `query.len()` bytes; the caller vouches for the instruction set.
    unsafe { pair::<S>(query.as_ptr(), codes.as_ptr(), query.len()) }
}

/// # Safety
/// See [`super::GatherFn`].
#[inline(always)]
pub(super) unsafe fn gather<S: Sums>(
    query: &[i8],
    rows: &[u8],
    stride: usize,
    slots: &[u32],
    out: &mut [i32],
) {
    debug_assert!(query.len() <= stride && slots.len() == out.len(), "checked by the caller");
    for (&slot, out) in slots.iter().zip(out) {
        let start = slot as usize * stride;
        debug_assert!(start + stride <= rows.len(), "checked by the caller");
        // SAFETY: the caller vouches that the slot's row lies within `rows` and is no shorter than the query, and
        // for the instruction set.
        *out = unsafe { pair::<S>(query.as_ptr(), rows.as_ptr().add(start), query.len()) };
    }
}

/// # Safety
/// See [`super::ScanFn`].
#[inline(always)]
pub(super) unsafe fn scan<S: Sums>(query: &[i8], rows: &[u8], stride: usize, out: &mut [i32]) {
    debug_assert!(query.len() <= stride, "checked by the caller");
    let whole = out.len() - out.len() % ROWS;
    let (grouped, single) = rows.split_at(whole * stride);
    let (grouped_out, single_out) = out.split_at_mut(whole);
    for (rows, out) in grouped.chunks_exact(ROWS * stride).zip(grouped_out.chunks_exact_mut(ROWS)) {
        // SAFETY: there are `ROWS` rows no shorter than the query; the caller vouches for the instruction set.
        out.copy_from_slice(&unsafe { group::<S>(query.as_ptr(), rows.as_ptr(), stride, query.len()) });
    }
    for (row, out) in single.chunks_exact(stride).zip(single_out) {
        // SAFETY: a row is no shorter than the query; the caller vouches for the instruction set.
        *out = unsafe { pair::<S>(query.as_ptr(), row.as_ptr(), query.len()) };
    }
}

/// The sums over `len` codes of `ROWS` rows, `stride` bytes apart: the query is loaded once for all of them.
///
/// # Safety
/// `len` bytes must be readable at the query and each row, and the instruction set of `S` present.
#[inline(always)]
unsafe fn group<S: Sums>(query: *const i8, rows: *const u8, stride: usize, len: usize) -> [i32; ROWS] {
    // SAFETY: every step ends at or before `len` or within the padded arrays; the caller vouches for the rest.
    unsafe {
        let mut sums = [S::zero(); ROWS];
        let mut at = 0;
        while at + S::WIDTH <= len {
            for (r, sum) in sums.iter_mut().enumerate() {
                let here = rows.add(r * stride + at);
                if S::WIDTH >= LINE || at.is_multiple_of(LINE) {
                    prefetch_at(here.wrapping_add(SCAN_BYTES_AHEAD), 1);
                }
                *sum = sum.step(query.add(at), here);
            }
            at += S::WIDTH;
        }
        if stride > len {
            for r in 1..=ROWS {
                // What is behind the codes of a row.
                prefetch_at(rows.wrapping_add(r * stride - 1 + SCAN_BYTES_AHEAD), 1);
            }
        }
        if at < len {
            let (mut last_query, mut last_codes) = ([0_i8; 64], [0_u8; 64]);
            std::ptr::copy_nonoverlapping(query.add(at), last_query.as_mut_ptr(), len - at);
            for (r, sum) in sums.iter_mut().enumerate() {
                std::ptr::copy_nonoverlapping(rows.add(r * stride + at), last_codes.as_mut_ptr(), len - at);
                *sum = sum.step(last_query.as_ptr(), last_codes.as_ptr());
            }
        }
        S::totals(sums)
    }
}

/// Sixteen sums in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Sums for [i32; 16] {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn step(mut self, query: *const i8, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for sixteen readable bytes at each; arrays of bytes need no alignment.
        let (query, codes) = unsafe { (query.cast::<[i8; 16]>().read(), codes.cast::<[u8; 16]>().read()) };
        for i in 0..16 {
            self[i] += i32::from(query[i]) * i32::from(codes[i]);
        }
        self
    }

    #[inline(always)]
    unsafe fn add(mut self, other: Self) -> Self {
        self.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
        self
    }

    #[inline(always)]
    unsafe fn total(self) -> i32 {
        self.iter().sum()
    }
}

/// The kernels that every machine can run.
pub(super) static PORTABLE: Kernels = Kernels {
    isa: Isa::Portable,
    one: one::<[i32; 16]>,
    gather: gather::<[i32; 16]>,
    scan: scan::<[i32; 16]>,
    products: tile::products::<[i32; tile::GROUP], { tile::ROWS }>,
    row: tile::products::<[i32; tile::GROUP], 1>,
    finish: |side, columns, products, out| columns.distances(side, products, out),
    finish_apart: distances_apart,
    nearest: near::nearest,
    manhattan: manhattan::distance,
    encode: levels::encode,
};
