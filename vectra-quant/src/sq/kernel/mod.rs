//! The kernels: inner products of unsigned codes with a signed query, and L1 distances to codes.
//!
//! Products are summed in `i32` without saturation, so all kernels agree to the bit with the scalar sum, whatever the
//! order; L1 distances agree because the order is fixed.
//! Everything unsafe about codes is in this folder. [`Kernels`] is the safe door: it can only be built by the file of
//! an instruction set after detecting it, and its methods check every length and slot before the loop.

use std::fmt;
use std::sync::OnceLock;

use vectra_core::Metric;

use super::formula::{ColumnFactors, Side};
use super::row::{Factors, RowFactors};
use crate::isa::{Isa, Table, choose, runnable};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod columns;
mod generic;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use columns::Columns;

/// Rows that [`Kernels::products`] takes at a time.
pub const TILE_ROWS: usize = tile::ROWS;

/// The longest query: beyond it, products of 255 and -128 could leave the range of an `i32`.
pub const LEN_MAX: usize = super::DIM_MAX;

/// Sums over codes, computed with one instruction set.
///
/// Ask for many rows at once: the whole loop of [`gather`](Kernels::gather) and [`scan`](Kernels::scan) runs behind a
/// single indirect call.
pub struct Kernels {
    isa: Isa,
    one: OneFn,
    gather: GatherFn,
    scan: ScanFn,
    products: ProductsFn,
    row: RowFn,
    finish: FinishFn,
    finish_apart: FinishApartFn,
    nearest: NearestFn,
    manhattan: ManhattanFn,
    encode: EncodeFn,
}

/// `one(query, codes)`; needs equal lengths of at most `LEN_MAX` and the instruction set.
type OneFn = unsafe fn(&[i8], &[u8]) -> i32;
/// `gather(query, rows, stride, slots, out)`; needs every slot's row within `rows`, a query no longer than the stride
/// and `LEN_MAX`, an `out` as long as `slots`, and the instruction set.
type GatherFn = unsafe fn(&[i8], &[u8], usize, &[u32], &mut [i32]);
/// `scan(query, rows, stride, out)`; needs `out.len()` rows, a query no longer than the stride and `LEN_MAX`, and the
/// instruction set.
type ScanFn = unsafe fn(&[i8], &[u8], usize, &mut [i32]);
/// `products(rows, columns, quads, groups, out)`; see [`tile::products`].
type ProductsFn = unsafe fn([*const i8; TILE_ROWS], *const u8, usize, usize, *mut i32);
/// `row(row, columns, quads, groups, out)`; see [`tile::products`].
type RowFn = unsafe fn([*const i8; 1], *const u8, usize, usize, *mut i32);
/// `finish(row, columns, products, out)`; needs the instruction set.
type FinishFn = unsafe fn(&Side, &ColumnFactors, &[i32], &mut [f32]);
/// `finish_apart(metric, dim, side, rows, products, out)`; needs the instruction set.
type FinishApartFn = unsafe fn(Metric, f32, &Side, &[RowFactors], &[i32], &mut [f32]);
/// `nearest(distances, count, places)`; needs the instruction set.
type NearestFn = unsafe fn(&[f32], usize, &mut Vec<u32>);
/// `manhattan(query, codes, mid, step)`; needs the instruction set.
type ManhattanFn = unsafe fn(&[f32], &[u8], f32, f32) -> f32;
/// `encode(vector, scale, codes)`; needs the instruction set.
type EncodeFn = unsafe fn(&[f32], f64, &mut [u8]) -> Factors;

impl Kernels {
    /// The instruction set: `avx512vnni`, `avxvnni`, `avx2`, `neon` or `portable`.
    pub const fn name(&self) -> &'static str {
        self.isa.name()
    }

    /// `sum codes_i * query_i` for one row.
    ///
    /// # Panics
    /// If the lengths differ or are beyond [`LEN_MAX`].
    #[inline]
    pub fn one(&self, query: &[i8], codes: &[u8]) -> i32 {
        assert_eq!(query.len(), codes.len(), "query and codes have different dimensions");
        assert!(query.len() <= LEN_MAX, "longer sums could overflow");
        // SAFETY: the lengths are equal and within the limit, and a `Kernels` exists only where its instruction set
        // does.
        unsafe { (self.one)(query, codes) }
    }

    /// `sum codes_i * query_i` over the first `query.len()` bytes of each row `slots[i]` of `rows`, into `out[i]`. Rows are `stride`
    /// bytes apart; whoever knows the slots early asks for their memory first ([`vectra_core::memory::prefetch`]).
    ///
    /// # Panics
    /// If the query is longer than the stride or [`LEN_MAX`], the stride is zero, a slot is not below
    /// `rows.len() / stride`, or `out` is not as long as `slots`.
    #[inline]
    pub fn gather(&self, query: &[i8], rows: &[u8], stride: usize, slots: &[u32], out: &mut [i32]) {
        assert!(stride > 0 && query.len() <= stride.min(LEN_MAX), "a query fits a row");
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let count = rows.len() / stride;
        // A maximum instead of an early exit: no branch per slot.
        let highest = slots.iter().copied().max();
        assert!(
            highest.is_none_or(|slot| (slot as usize) < count),
            "slot {highest:?} is beyond the {count} rows"
        );
        // SAFETY: each slot is below the number of whole rows, the query fits a row and the limit, the lengths of
        // `slots` and `out` are equal, and a `Kernels` exists only where its instruction set does.
        unsafe { (self.gather)(query, rows, stride, slots, out) }
    }

    /// `sum codes_i * query_i` over the first `query.len()` bytes of each of the `out.len()` rows of `rows`, `stride` bytes apart.
    ///
    /// # Panics
    /// If the query is longer than the stride or [`LEN_MAX`], the stride is zero, or `rows` does not hold exactly
    /// `out.len()` rows.
    #[inline]
    pub fn scan(&self, query: &[i8], rows: &[u8], stride: usize, out: &mut [i32]) {
        assert!(stride > 0 && query.len() <= stride.min(LEN_MAX), "a query fits a row");
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        // SAFETY: `rows` holds `out.len()` rows, the query fits a row and the limit, and a `Kernels` exists only
        // where its instruction set does.
        unsafe { (self.scan)(query, rows, stride, out) }
    }

    /// `sum columns_c * rows_r` for each of the columns c, row after row, into `out`.
    ///
    /// # Panics
    /// If a row is not [`Columns::row_len`] codes, that is more than [`LEN_MAX`] and a quad, or `out` does not have
    /// [`TILE_ROWS`] times [`Columns::padded`] places.
    #[inline]
    pub fn products(&self, rows: [&[i8]; TILE_ROWS], columns: &Columns, out: &mut [i32]) {
        assert!(
            rows.iter().all(|row| row.len() == columns.row_len()),
            "rows and columns have different dimensions"
        );
        assert!(columns.row_len() <= LEN_MAX.next_multiple_of(4), "longer sums could overflow");
        assert_eq!(out.len(), TILE_ROWS * columns.padded(), "one result for each row and column");
        let codes = columns.codes().as_ptr();
        // SAFETY: the rows have as many quads as the columns, `Columns` holds whole groups of them, `out` has a place for
        // each pair, and a `Kernels` exists only where its instruction set does.
        unsafe {
            (self.products)(
                rows.map(<[i8]>::as_ptr),
                codes,
                columns.quads(),
                columns.groups(),
                out.as_mut_ptr(),
            );
        }
    }

    /// `sum columns_c * row` for each of the columns c, into `out`.
    ///
    /// # Panics
    /// As [`products`](Self::products), with one place for each column, rounded up to [`Columns::padded`].
    #[inline]
    pub fn row(&self, row: &[i8], columns: &Columns, out: &mut [i32]) {
        assert_eq!(row.len(), columns.row_len(), "row and columns have different dimensions");
        assert!(columns.row_len() <= LEN_MAX.next_multiple_of(4), "longer sums could overflow");
        assert_eq!(out.len(), columns.padded(), "one result for each column");
        let codes = columns.codes().as_ptr();
        // SAFETY: the row has as many quads as the columns, `Columns` holds whole groups of them, `out` has a place for each
        // column, and a `Kernels` exists only where its instruction set does.
        unsafe {
            (self.row)([row.as_ptr()], codes, columns.quads(), columns.groups(), out.as_mut_ptr());
        }
    }

    /// Encodes `scale * vector`, finite and scaled by at least zero.
    #[inline]
    pub(super) fn encode(&self, vector: &[f32], scale: f64, codes: &mut [u8]) -> Factors {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.encode)(vector, scale, codes) }
    }

    /// The distances of one side to the columns with these factors, from the products of their codes.
    #[inline]
    pub(super) fn finish(&self, side: &Side, columns: &ColumnFactors, products: &[i32], out: &mut [f32]) {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.finish)(side, columns, products, out) }
    }

    /// The distances of one side to rows with these factors, from the products of their codes.
    #[inline]
    pub(super) fn finish_apart(
        &self,
        metric: Metric,
        dim: f32,
        side: &Side,
        rows: &[RowFactors],
        products: &[i32],
        out: &mut [f32],
    ) {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.finish_apart)(metric, dim, side, rows, products, out) }
    }

    /// Puts the places of the `count` least distances into `places`, ascending, and perhaps those of some others.
    #[inline]
    pub(super) fn nearest(&self, distances: &[f32], count: usize, places: &mut Vec<u32>) {
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.nearest)(distances, count, places) }
    }

    /// `sum |query_i - (mid + step * (codes_i - 128))|` for one row.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn manhattan(&self, query: &[f32], codes: &[u8], mid: f32, step: f32) -> f32 {
        assert_eq!(query.len(), codes.len(), "query and codes have different dimensions");
        // SAFETY: a `Kernels` exists only where its instruction set does.
        unsafe { (self.manhattan)(query, codes, mid, step) }
    }
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
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    choose(&CHOSEN)
}

/// Every kernel that this machine can run, the preferred one first; never empty.
pub fn all_kernels() -> Vec<&'static Kernels> {
    runnable()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
