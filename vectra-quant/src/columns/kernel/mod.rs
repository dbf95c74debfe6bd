//! Sums over the components of a row and of sixteen vectors at a time, each lane for itself and in the order of the
//! components: whatever the registers, the same operations give the same bits.
//!
//! Everything unsafe about columns is in this folder. [`Kernels`] is the safe door: its methods check every length.

use std::fmt;
use std::sync::OnceLock;

use super::{LANES, Lane, Nearest};
use crate::isa::{Isa, Table, choose};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Sums over columns, computed with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    nearest: NearestFn,
    squares: SumsFn,
    products: SumsFn,
}

/// `nearest(rows, dim, blocks, out)`; needs `dim > 0`, `out.len()` rows, whole blocks of `dim` lanes, at least one, and the
/// instruction set.
type NearestFn = unsafe fn(&[f32], usize, &[Lane], &mut [Nearest]);
/// `sums(rows, dim, blocks, out)`; needs the same, with a lane of `out` for each row and block.
type SumsFn = unsafe fn(&[f32], usize, &[Lane], &mut [f32]);

impl Kernels {
    /// Of each row the nearest vector, the first of those that are equally near; the vectors' distances to it must be finite
    /// for at least one.
    #[inline]
    pub(super) fn nearest(&self, rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [Nearest]) {
        check(dim, blocks);
        assert_eq!(Some(rows.len()), out.len().checked_mul(dim), "one result for each row");
        // SAFETY: rows, blocks and results fit each other, and a `Kernels` is used only where its instruction set exists.
        unsafe { (self.nearest)(rows, dim, blocks, out) }
    }

    /// The squared distances of each row to all vectors, those that fill the last lane included.
    #[inline]
    pub(super) fn squares(&self, rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [f32]) {
        check_sums(rows, dim, blocks, out);
        // SAFETY: as above.
        unsafe { (self.squares)(rows, dim, blocks, out) }
    }

    /// The inner products of each row with all vectors, those that fill the last lane included.
    #[inline]
    pub(super) fn products(&self, rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [f32]) {
        check_sums(rows, dim, blocks, out);
        // SAFETY: as above.
        unsafe { (self.products)(rows, dim, blocks, out) }
    }
}

fn check(dim: usize, blocks: &[Lane]) {
    assert!(dim > 0 && !blocks.is_empty() && blocks.len().is_multiple_of(dim), "whole blocks of columns");
}

fn check_sums(rows: &[f32], dim: usize, blocks: &[Lane], out: &[f32]) {
    check(dim, blocks);
    assert!(rows.len().is_multiple_of(dim), "whole rows");
    let width = blocks.len() / dim * LANES;
    assert_eq!((rows.len() / dim).checked_mul(width), Some(out.len()), "a result for each row and vector");
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("name", &self.isa.name()).finish_non_exhaustive()
    }
}

impl Table for Kernels {
    fn isa(&self) -> Isa {
        self.isa
    }

    fn all() -> Vec<&'static Self> {
        let mut all: Vec<&'static Self> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        all.extend(x86_64::TABLES);
        #[cfg(target_arch = "aarch64")]
        all.extend([&aarch64::KERNELS]);
        all.extend([&generic::PORTABLE]);
        all
    }
}

/// The kernels to use on this machine, chosen at the first call.
pub(super) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    choose(&CHOSEN)
}

#[cfg(test)]
mod tests;
