//! The kernels of codes in planes: inner products with a signed query, summed in `i32` without saturation, so that all
//! of them agree to the bit, and the distances that follow from them.
//!
//! Everything unsafe about these codes is in this folder. [`Kernels`] is the safe door: a table is handed out only where its
//! instruction set is, and its methods check every length and slot before the loop.

use std::fmt;
use std::sync::OnceLock;

use super::formula::{Side, SignSide};
use super::levels::{OfQuery, OfRow};
use super::row::{FACTOR_BYTES, LINE};
use crate::fastscan::BLOCK_ROWS;
use crate::isa::{Isa, Table, choose};
use crate::sq::DIM_MAX;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

// Of what a distance is made, twice the sum less the bias, all codes are odd numbers up to 255 to either side.
const _: () = assert!(255 * 128 * DIM_MAX as u64 <= i32::MAX as u64, "kernels sum in i32");

/// Bytes of the factors of a block's rows, apart from their codes.
pub(super) const FACTORS_OF_BLOCK: usize = BLOCK_ROWS * FACTOR_BYTES;

/// Sums over codes in planes and what they are made of, computed with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    gather: GatherFn,
    scan: ScanFn,
    encode: EncodeFn,
    bind: BindFn,
    within: WithinFn,
}

/// `gather(query, rows, stride, slots, out)`; needs the stride of the query's rows, its planes within that, a line of it for each of their fields,
/// every slot's row within `rows`, an `out` as long as `slots`, and the instruction set.
type GatherFn = unsafe fn(&Side, &[u8], usize, &[u32], &mut [f32]);
/// `scan(query, rows, stride, out)`; needs the stride of the query's rows, its planes within that, a line of it for each of their fields,
/// `out.len()` rows, and the instruction set.
type ScanFn = unsafe fn(&Side, &[u8], usize, &mut [f32]);
/// `encode(vector, bits, codes)`; needs the instruction set.
type EncodeFn = unsafe fn(&[f32], u32, &mut [u8]) -> OfRow;
/// `bind(vector, codes)`; needs the instruction set.
type BindFn = unsafe fn(&[f32], &mut [i8]) -> OfQuery;
/// `within(query, sums, factors, bound)`; needs the instruction set.
type WithinFn = unsafe fn(&SignSide, &[u16; BLOCK_ROWS], &[u8; FACTORS_OF_BLOCK], f32) -> u64;

impl Kernels {
    /// The name of the instruction set.
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
        // `slots` and `out` are equal, and a `Kernels` is handed out only where its instruction set is.
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
        // SAFETY: the query and the stride fit each other, `rows` holds `out.len()` rows, and a `Kernels` is handed out only
        // where its instruction set is.
        unsafe { (self.scan)(query, rows, stride, out) }
    }

    /// Encodes a finite vector as a row is encoded, into as many codes of `bits`, 1 to 8.
    #[inline]
    pub(super) fn encode(&self, vector: &[f32], bits: u32, codes: &mut [u8]) -> OfRow {
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.encode)(vector, bits, codes) }
    }

    /// Encodes a finite vector as a query is encoded, into as many codes.
    #[inline]
    pub(super) fn bind(&self, vector: &[f32], codes: &mut [i8]) -> OfQuery {
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.bind)(vector, codes) }
    }

    /// Which rows of a block have low ends that are not beyond `bound`, one bit each; from their sums and their factors: 64 energies,
    /// scales and errors.
    #[inline]
    pub(super) fn within(
        &self,
        query: &SignSide,
        sums: &[u16; BLOCK_ROWS],
        factors: &[u8; FACTORS_OF_BLOCK],
        bound: f32,
    ) -> u64 {
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.within)(query, sums, factors, bound) }
    }
}

/// Checks that the query's planes and the factors lie within a row and that it has a line for each field of each line of a plane.
fn check(query: &Side, stride: usize) {
    let (mut end, mut fields) = (0, 0);
    for plane in &query.planes {
        end = end.max(plane.lines().end * LINE);
        fields += plane.lines().len() * plane.fields();
    }
    assert!(stride > 0 && stride == query.row_bytes, "query and rows have different dimensions");
    assert!(end <= stride && FACTOR_BYTES <= stride, "planes and factors lie within a row");
    assert_eq!(query.codes.len(), fields, "a query has a line for each field of a row");
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
