//! The loop over rows, planes and lines, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use vectra_core::memory::prefetch_at;

use super::super::formula::{Side, SignSide};
use super::super::levels;
use super::super::row::{FACTOR_BYTES, Factors, LINE, QueryLine};
use super::{FACTORS_OF_BLOCK, Kernels};
use crate::fastscan::BLOCK_ROWS;
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

    /// All sums times `2^WIDTH`: what codes above a plane of that width count in it. `WIDTH` is 1, 2 or 4.
    unsafe fn above<const WIDTH: u32>(self) -> Self;

    /// Adds the products of a line of codes of `WIDTH` bits, exactly: those of each field with its line of the query. The pointers
    /// must be good for `8 / WIDTH` lines, aligned as they ask, and for a line of any alignment.
    unsafe fn step<const WIDTH: u32>(self, query: *const QueryLine, codes: *const u8) -> Self;

    /// The sum of the sums of each.
    unsafe fn totals(all: [Self; ROWS]) -> [i32; ROWS];
}

/// Adds the products of `lines` lines of a plane to the sums of four rows.
///
/// # Safety
/// `lines` lines must be readable at each row, `8 / WIDTH` times as many at `query`, and the instruction set of `S` be present.
#[inline(always)]
unsafe fn plane<S: Sums, const WIDTH: u32>(
    mut sums: [S; ROWS],
    query: *const QueryLine,
    rows: [*const u8; ROWS],
    lines: usize,
) -> [S; ROWS] {
    // SAFETY: every step is within the lines that the caller vouches for.
    unsafe {
        for sums in &mut sums {
            *sums = sums.above::<WIDTH>();
        }
        for line in 0..lines {
            let query = query.add(line * (8 / WIDTH as usize));
            for (sums, row) in sums.iter_mut().zip(rows) {
                *sums = sums.step::<WIDTH>(query, row.add(LINE * line));
            }
        }
        sums
    }
}

/// The distances to four rows.
///
/// # Safety
/// At each row as many bytes as the query's rows have must be readable, with all lines of its planes among them, the query must have a line
/// for each of their fields, and the instruction set of `S` be present.
#[inline(always)]
unsafe fn four<S: Sums>(side: &Side, rows: [*const u8; ROWS]) -> [f32; ROWS] {
    // SAFETY: the planes are all within the rows and the query, as the caller vouches, and so are the factors, the end of a row.
    unsafe {
        let (mut sums, mut query) = ([S::zero(); ROWS], side.codes.as_ptr());
        for a_plane in side.planes.iter().copied() {
            let lines = a_plane.lines();
            let (count, rows) = (lines.len(), rows.map(|row| row.add(LINE * lines.start)));
            sums = match a_plane.width {
                4 => plane::<S, 4>(sums, query, rows, count),
                2 => plane::<S, 2>(sums, query, rows, count),
                _ => plane::<S, 1>(sums, query, rows, count),
            };
            query = query.add(count * a_plane.fields());
        }
        let factors = rows.map(|row| {
            let bytes = row.add(side.row_bytes - FACTOR_BYTES).cast::<[u8; FACTOR_BYTES]>();
            Factors::of_bytes(bytes.read())
        });
        side.distances(S::totals(sums), factors)
    }
}

/// The distances to `out.len()` rows, whose addresses `row` gives; the rest of the last four repeats a row that is there.
///
/// # Safety
/// As [`four`], for each row that `row` gives for a position in `out`.
#[inline(always)]
unsafe fn all<S: Sums>(side: &Side, out: &mut [f32], mut row: impl FnMut(usize) -> *const u8) {
    let (whole, rest) = out.as_chunks_mut::<ROWS>();
    let mut at = 0;
    for out in whole {
        let rows = [row(at), row(at + 1), row(at + 2), row(at + 3)];
        // SAFETY: the caller vouches for the rows and the instruction set.
        *out = unsafe { four::<S>(side, rows) };
        at += ROWS;
    }
    if !rest.is_empty() {
        let rows = std::array::from_fn(|i| row(at + i.min(rest.len() - 1)));
        // SAFETY: the caller vouches for the rows and the instruction set.
        let distances = unsafe { four::<S>(side, rows) };
        rest.iter_mut().zip(distances).for_each(|(out, distance)| *out = distance);
    }
}

/// # Safety
/// See [`super::GatherFn`].
#[inline(always)]
pub(super) unsafe fn gather<S: Sums>(
    side: &Side,
    rows: &[u8],
    stride: usize,
    slots: &[u32],
    out: &mut [f32],
) {
    debug_assert!(slots.len() == out.len(), "checked by the caller");
    let row = |at: usize| {
        let start = slots[at] as usize * stride;
        debug_assert!(start + stride <= rows.len(), "checked by the caller");
        rows.as_ptr().wrapping_add(start)
    };
    // SAFETY: the caller vouches that the rows of all slots lie within `rows` and are as long as the stride, which is that of
    // the query's planes, and for the instruction set.
    unsafe { all::<S>(side, out, row) }
}

/// # Safety
/// See [`super::ScanFn`].
#[inline(always)]
pub(super) unsafe fn scan<S: Sums>(side: &Side, rows: &[u8], stride: usize, out: &mut [f32]) {
    let row = |at: usize| {
        let row = rows.as_ptr().wrapping_add(at * stride);
        prefetch_at(row.wrapping_add(SCAN_BYTES_AHEAD), stride);
        row
    };
    // SAFETY: the caller vouches that there are as many rows as results, each as long as the stride, which is that of the query's
    // planes, and for the instruction set.
    unsafe { all::<S>(side, out, row) }
}

/// Which rows of a block have low ends that are not beyond `bound`, one bit each.
#[inline(always)]
pub(super) fn within(
    query: &SignSide,
    sums: &[u16; BLOCK_ROWS],
    factors: &[u8; FACTORS_OF_BLOCK],
    bound: f32,
) -> u64 {
    let floats = factors.as_chunks::<4>().0;
    let mut within = [0; BLOCK_ROWS];
    for at in 0..BLOCK_ROWS {
        let factor = |which: usize| f32::from_le_bytes(floats[which * BLOCK_ROWS + at]);
        let row = Factors { energy: factor(0), scale: factor(1), error: factor(2) };
        // What is no number is not beyond it.
        let is_beyond = query.estimate(sums[at], row).lower() > bound;
        within[at] = u8::from(!is_beyond);
    }
    let mut mask = 0;
    for (at, bytes) in within.as_chunks::<8>().0.iter().enumerate() {
        // Byte i is multiplied so that its lowest bit comes to lie at 56 + i, where no other does.
        let bits = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (8 * at);
    }
    mask
}

/// Sixteen sums in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Sums for [i32; 16] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn above<const WIDTH: u32>(self) -> Self {
        self.map(|sum| sum << WIDTH)
    }

    #[inline(always)]
    unsafe fn step<const WIDTH: u32>(mut self, query: *const QueryLine, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for a line of codes; arrays of bytes need no alignment.
        let codes = unsafe { &*codes.cast::<[u8; LINE]>() };
        for field in 0..8 / WIDTH {
            // SAFETY: the caller vouches for a line of the query for each field.
            let QueryLine(query) = unsafe { &*query.add(field as usize) };
            for at in (0..LINE).step_by(16) {
                for i in 0..16 {
                    let code = codes[at + i] >> (field * WIDTH) & ((1 << WIDTH) - 1);
                    // Sixteen bits are enough and have a multiplication of many at once.
                    self[i] += i32::from(i16::from(code) * i16::from(query[at + i]));
                }
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
    within,
};
