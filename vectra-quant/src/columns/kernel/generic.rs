//! The loops over rows, blocks and components, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use super::super::{LANES, Lane, Nearest};
use super::Kernels;
use crate::isa::Isa;

/// Rows and blocks that are summed at once: eight sums hide how long an addition takes, and what is loaded is used often.
const ROWS: usize = 4;
const BLOCKS: usize = 2;

/// Rows whose best are in flight: their components stay in the nearest cache while the blocks go by.
const GROUP: usize = 64;

/// Sixteen `f32` in the registers of an instruction set. No operation mixes lanes but [`least`](Self::least).
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Lanes: Copy {
    /// Sixteen counts.
    type Counts: Copy;

    /// The same number, and the same count, in all lanes.
    unsafe fn splat(x: f32, n: u32) -> (Self, Self::Counts);

    /// Reads sixteen numbers of any alignment.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes sixteen numbers with any alignment.
    unsafe fn store(self, to: *mut f32);

    /// `self + (x - y) * (x - y)`, each operation rounded.
    unsafe fn add_square(self, x: Self, y: Self) -> Self;

    /// `self + x * y`, each operation rounded.
    unsafe fn add_product(self, x: Self, y: Self) -> Self;

    /// Where `other` is less, it and its count.
    unsafe fn lesser(self, at: Self::Counts, other: Self, n: u32) -> (Self, Self::Counts);

    /// The least number, and the least of `16 * count + lane` among those lanes that have it.
    unsafe fn least(self, at: Self::Counts) -> (f32, u32);
}

/// The sums over the components of `R` rows and `B` blocks.
///
/// # Safety
/// `dim` numbers must be readable at each row, `B * dim` lanes at `block`, and the instruction set of `L` be present.
#[inline(always)]
unsafe fn tile<L: Lanes, const R: usize, const B: usize, const SQUARES: bool>(
    rows: [*const f32; R],
    block: *const Lane,
    dim: usize,
) -> [[L; B]; R] {
    // SAFETY: every component is within the rows and lanes that the caller vouches for.
    unsafe {
        let mut sums = [[L::splat(0.0, 0).0; B]; R];
        for c in 0..dim {
            let mut columns = [L::splat(0.0, 0).0; B];
            for (b, column) in columns.iter_mut().enumerate() {
                *column = L::load(block.add(b * dim + c).cast());
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                let (x, _) = L::splat(*row.add(c), 0);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = if SQUARES { sum.add_square(x, column) } else { sum.add_product(x, column) };
                }
            }
        }
        sums
    }
}

/// [`tile`] over all rows of a group and `B` blocks; `give` takes the number of a row and its sums.
///
/// # Safety
/// As [`tile`], for `count` rows that lie one after the other.
#[inline(always)]
unsafe fn band<L: Lanes, const B: usize, const SQUARES: bool>(
    rows: *const f32,
    count: usize,
    block: *const Lane,
    dim: usize,
    mut give: impl FnMut(usize, [L; B]),
) {
    let mut at = 0;
    // SAFETY: the caller vouches for the rows, the blocks and the instruction set.
    unsafe {
        while at + ROWS <= count {
            let rows = std::array::from_fn(|i| rows.wrapping_add((at + i) * dim));
            let sums = tile::<L, ROWS, B, SQUARES>(rows, block, dim);
            for (i, sums) in sums.into_iter().enumerate() {
                give(at + i, sums);
            }
            at += ROWS;
        }
        while at < count {
            let [sums] = tile::<L, 1, B, SQUARES>([rows.add(at * dim)], block, dim);
            give(at, sums);
            at += 1;
        }
    }
}

/// # Safety
/// See [`super::NearestFn`].
#[inline(always)]
pub(super) unsafe fn nearest<L: Lanes>(rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [Nearest]) {
    // SAFETY: the contract is the same, and chunks of rows are as long as those of results.
    unsafe {
        if out.len() < ROWS {
            for (row, out) in rows.chunks_exact(dim).zip(out.chunks_mut(1)) {
                group::<L, 1>(row, dim, blocks, out);
            }
            return;
        }
        for (rows, out) in rows.chunks(GROUP * dim).zip(out.chunks_mut(GROUP)) {
            group::<L, GROUP>(rows, dim, blocks, out);
        }
    }
}

/// [`nearest`] for at most `G` rows.
///
/// # Safety
/// As [`nearest`].
#[inline(always)]
unsafe fn group<L: Lanes, const G: usize>(rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [Nearest]) {
    debug_assert!(rows.len() == out.len() * dim && out.len() <= G, "checked by the caller");
    let (count, rows) = (blocks.len() / dim, rows.as_ptr());
    // SAFETY: there is a row for each result, the blocks are within their slice, and the caller vouches for the rest.
    unsafe {
        let mut best = [L::splat(f32::INFINITY, 0); G];
        let mut block = 0;
        while block + BLOCKS <= count {
            let first = blocks.as_ptr().add(block * dim);
            band::<L, BLOCKS, true>(rows, out.len(), first, dim, |row, sums| {
                for (sum, n) in sums.into_iter().zip(block as u32..) {
                    best[row] = best[row].0.lesser(best[row].1, sum, n);
                }
            });
            block += BLOCKS;
        }
        if block < count {
            let last = blocks.as_ptr().add(block * dim);
            band::<L, 1, true>(rows, out.len(), last, dim, |row, [sum]| {
                best[row] = best[row].0.lesser(best[row].1, sum, block as u32);
            });
        }
        for (out, (best, at)) in out.iter_mut().zip(best) {
            let (distance, index) = best.least(at);
            *out = Nearest { index, distance };
        }
    }
}

/// # Safety
/// See [`super::SumsFn`].
#[inline(always)]
pub(super) unsafe fn sums<L: Lanes, const SQUARES: bool>(
    rows: &[f32],
    dim: usize,
    blocks: &[Lane],
    out: &mut [f32],
) {
    let count = blocks.len() / dim;
    let width = count * LANES;
    for (rows, out) in rows.chunks(GROUP * dim).zip(out.chunks_mut(GROUP * width)) {
        // SAFETY: a chunk of results has a lane for each block of each row of the chunk of rows.
        unsafe {
            let (lines, out) = (rows.len() / dim, out.as_mut_ptr());
            let mut block = 0;
            while block + BLOCKS <= count {
                let first = blocks.as_ptr().add(block * dim);
                band::<L, BLOCKS, SQUARES>(rows.as_ptr(), lines, first, dim, |row, sums| {
                    for (b, sum) in sums.into_iter().enumerate() {
                        sum.store(out.add(row * width + (block + b) * LANES));
                    }
                });
                block += BLOCKS;
            }
            if block < count {
                let last = blocks.as_ptr().add(block * dim);
                band::<L, 1, SQUARES>(rows.as_ptr(), lines, last, dim, |row, [sum]| {
                    sum.store(out.add(row * width + block * LANES));
                });
            }
        }
    }
}

/// Sixteen numbers in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Lanes for Lane {
    type Counts = [u32; LANES];

    #[inline(always)]
    unsafe fn splat(x: f32, n: u32) -> (Self, Self::Counts) {
        ([x; LANES], [n; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen numbers.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for room for sixteen numbers.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn add_square(mut self, x: Self, y: Self) -> Self {
        for i in 0..LANES {
            let difference = x[i] - y[i];
            self[i] += difference * difference;
        }
        self
    }

    #[inline(always)]
    unsafe fn add_product(mut self, x: Self, y: Self) -> Self {
        for i in 0..LANES {
            self[i] += x[i] * y[i];
        }
        self
    }

    #[inline(always)]
    unsafe fn lesser(mut self, mut at: Self::Counts, other: Self, n: u32) -> (Self, Self::Counts) {
        for i in 0..LANES {
            let less = other[i] < self[i];
            self[i] = if less { other[i] } else { self[i] };
            at[i] = if less { n } else { at[i] };
        }
        (self, at)
    }

    #[inline(always)]
    #[allow(clippy::float_cmp, reason = "the least is one of them")]
    unsafe fn least(self, at: Self::Counts) -> (f32, u32) {
        let least = self.into_iter().fold(f32::INFINITY, f32::min);
        let places = self.into_iter().zip(at).zip(0..).filter(|((x, _), _)| *x == least);
        let place = places.map(|((_, n), lane)| n * LANES as u32 + lane).min();
        (least, place.unwrap_or(0))
    }
}

/// The kernels that every machine can run.
pub(super) static PORTABLE: Kernels = Kernels {
    isa: Isa::Portable,
    nearest: nearest::<Lane>,
    squares: sums::<Lane, true>,
    products: sums::<Lane, false>,
};
