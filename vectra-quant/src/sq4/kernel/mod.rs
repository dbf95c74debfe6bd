//! The kernels of codes of four bits: inner products with a signed query, summed in `i32` without saturation, so that all
//! of them agree to the bit, and the distances that follow from them.
//!
//! Everything unsafe about these codes is in this folder. [`Kernels`] is the safe door: it can only be built by the file
//! of an instruction set after detecting it, and its methods check every length and slot before the loop.

use std::fmt;
use std::sync::OnceLock;

use super::formula::Side;
use super::levels::{OfQuery, OfRow};
use super::row::{self, LINE};
use crate::isa::{Isa, Table, choose};
use crate::sq::DIM_MAX;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// The longest row.
const ROW_BYTES_MAX: usize = row::row_bytes(DIM_MAX);

// High nibbles stay where they are, sixteen times as large; low ones are added once these are shifted.
const _: () = assert!((240 + 15) * 128 * ROW_BYTES_MAX as u64 <= i32::MAX as u64, "kernels sum in i32");

/// Sums over codes of four bits and what they are made of, computed with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    gather: GatherFn,
    scan: ScanFn,
    encode: EncodeFn,
    bind: BindFn,
}

/// `gather(query, rows, stride, slots, out)`; needs a stride of whole lines, a pair of query codes for each, every slot's row
/// within `rows`, an `out` as long as `slots`, and the instruction set.
type GatherFn = unsafe fn(&Side, &[u8], usize, &[u32], &mut [f32]);
/// `scan(query, rows, stride, out)`; needs a stride of whole lines, a pair of query codes for each, `out.len()` rows, and
/// the instruction set.
type ScanFn = unsafe fn(&Side, &[u8], usize, &mut [f32]);
/// `encode(vector, codes)`; needs the instruction set.
type EncodeFn = unsafe fn(&[f32], &mut [u8]) -> OfRow;
/// `bind(vector, codes)`; needs the instruction set.
type BindFn = unsafe fn(&[f32], &mut [i8]) -> OfQuery;

impl Kernels {
    /// The instruction set: `avx512vnni`, `avxvnni`, `avx2`, `neon` or `portable`.
    pub(super) const fn name(&self) -> &'static str {
        self.isa.name()
    }

    /// The distances of the query to each row `slots[i]` of `rows`, which are `stride` bytes apart, into `out[i]`.
    ///
    /// # Panics
    /// If the query was not made for rows of this stride, a slot is not below `rows.len() / stride`, or `out` is not as long
    /// as `slots`.
    #[inline]
    pub(super) fn gather(&self, query: &Side, rows: &[u8], stride: usize, slots: &[u32], out: &mut [f32]) {
        check(query, stride);
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let count = rows.len() / stride;
        // A maximum instead of an early exit: no branch per slot.
        let highest = slots.iter().copied().max();
        assert!(
            highest.is_none_or(|slot| (slot as usize) < count),
            "slot {highest:?} is beyond the {count} rows"
        );
        // SAFETY: the query and the stride fit each other, each slot is below the number of whole rows, the lengths of
        // `slots` and `out` are equal, and a `Kernels` exists only where its instruction set does.
        unsafe { (self.gather)(query, rows, stride, slots, out) }
    }

    /// The distances of the query to the `out.len()` rows of `rows`, `stride` bytes apart.
    ///
    /// # Panics
    /// If the query was not made for rows of this stride or `rows` does not hold exactly `out.len()` of them.
    #[inline]
    pub(super) fn scan(&self, query: &Side, rows: &[u8], stride: usize, out: &mut [f32]) {
        check(query, stride);
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        // SAFETY: the query and the stride fit each other, `rows` holds `out.len()` rows, and a `Kernels` exists only where
        // its instruction set does.
        unsafe { (self.scan)(query, rows, stride, out) }
    }

    /// Encodes a finite vector as a row is encoded, into as many codes.
    #[inline]
    pub(super) fn encode(&self, vector: &[f32], codes: &mut [u8]) -> OfRow {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.encode)(vector, codes) }
    }

    /// Encodes a finite vector as a query is encoded, into as many codes.
    #[inline]
    pub(super) fn bind(&self, vector: &[f32], codes: &mut [i8]) -> OfQuery {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.bind)(vector, codes) }
    }
}

/// Checks that the query has a pair of lines for each line of a row.
fn check(query: &Side, stride: usize) {
    assert!(stride > 0 && stride.is_multiple_of(LINE) && stride <= ROW_BYTES_MAX, "a row is some lines");
    assert_eq!(query.codes.len(), stride / LINE, "query and rows have different dimensions");
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("name", &self.name()).finish_non_exhaustive()
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
#[allow(clippy::float_cmp, reason = "every kernel gives the same bits")]
mod tests;
