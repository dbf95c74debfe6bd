//! The kernels: one generic loop ([`generic`]) over the registers of each instruction set.
//!
//! Everything unsafe about distances is in this folder. The loop reads through raw pointers and the functions of
//! an instruction set may run only where it exists; [`Kernels`] is the safe door: it can only be built by the
//! file of an instruction set after detecting it, and its methods check every length and slot before the loop.

use std::fmt;
use std::sync::OnceLock;

use half::f16;

use super::dispatch::Op;
use super::element::Element;

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use generic::Lanes;
pub(super) use portable::portable;

/// What the loop needs of an element type; the sealed half of [`Element`].
pub trait Row: Sized + Copy + 'static {
    /// The kernels chosen on this machine, by operation.
    #[doc(hidden)]
    fn chosen() -> &'static [OnceLock<&'static Kernels<Self>>; 3];

    /// Widens `L::COUNT` elements at `from`.
    ///
    /// # Safety
    /// The elements must be readable and the instruction set of `L` present.
    #[doc(hidden)]
    unsafe fn lanes<L: Lanes>(from: *const Self) -> L;

    /// Widens `count < L::COUNT` elements at `from`; the other lanes are zero.
    ///
    /// # Safety
    /// As [`Row::lanes`], for `count` elements.
    #[doc(hidden)]
    unsafe fn part<L: Lanes>(from: *const Self, count: usize) -> L;
}

macro_rules! row {
    ($element:ty, $load:ident, $load_part:ident) => {
        impl Row for $element {
            fn chosen() -> &'static [OnceLock<&'static Kernels<Self>>; 3] {
                static CHOSEN: [OnceLock<&'static Kernels<$element>>; 3] = [const { OnceLock::new() }; 3];
                &CHOSEN
            }

            #[inline(always)]
            unsafe fn lanes<L: Lanes>(from: *const Self) -> L {
                // SAFETY: the contract is the same.
                unsafe { L::$load(from) }
            }

            #[inline(always)]
            unsafe fn part<L: Lanes>(from: *const Self, count: usize) -> L {
                // SAFETY: the contract is the same.
                unsafe { L::$load_part(from, count) }
            }
        }
    };
}
row!(f32, load, load_part);
row!(f16, load_half, load_half_part);

/// One operation over rows of `E`, computed with one instruction set.
///
/// Rows lie one after the other in a flat slice, `query.len()` elements each. The whole loop of [`gather`] and
/// [`scan`] runs behind a single indirect call, so ask for many rows at once.
///
/// [`gather`]: Kernels::gather
/// [`scan`]: Kernels::scan
pub struct Kernels<E> {
    name: &'static str,
    one: OneFn<E>,
    gather: GatherFn<E>,
    scan: ScanFn<E>,
    scan_many: ScanManyFn<E>,
}

/// `one(query, row)`; needs equal lengths and the instruction set.
type OneFn<E> = unsafe fn(&[f32], &[E]) -> f32;
/// `gather(query, rows, slots, out)`; needs a non-empty query, every slot's row within `rows`, an `out` as long as
/// `slots`, and the instruction set.
type GatherFn<E> = unsafe fn(&[f32], &[E], &[u32], &mut [f32]);
/// `scan(query, rows, out)`; needs a non-empty query, as many rows as `out` has elements, and the instruction set.
type ScanFn<E> = unsafe fn(&[f32], &[E], &mut [f32]);
/// `scan_many(queries, dims, rows, out)`; needs dimensions, whole queries and rows, an `out` with a place for each query and
/// row, and the instruction set.
type ScanManyFn<E> = unsafe fn(&[f32], usize, &[E], &mut [f32]);

impl<E: Element> Kernels<E> {
    /// The instruction set: `avx512`, `avx2`, `neon` or `portable`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The sum for one row.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline]
    pub fn one(&self, query: &[f32], row: &[E]) -> f32 {
        assert_eq!(query.len(), row.len(), "query and row have different dimensions");
        // SAFETY: the lengths are equal, and a `Kernels` exists only where its instruction set does.
        unsafe { (self.one)(query, row) }
    }

    /// The sum for each row `slots[i]` of `rows`, into `out[i]`. Rows further on are prefetched meanwhile, so
    /// scattered slots cost little more than neighbouring ones.
    ///
    /// # Panics
    /// If the query is empty, a slot is not below `rows.len() / query.len()`, or `out` is not as long as `slots`.
    #[inline]
    pub fn gather(&self, query: &[f32], rows: &[E], slots: &[u32], out: &mut [f32]) {
        assert!(!query.is_empty(), "a row has at least one dimension");
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let count = rows.len() / query.len();
        // A maximum instead of an early exit: no branch per slot.
        let highest = slots.iter().copied().max();
        assert!(
            highest.is_none_or(|slot| (slot as usize) < count),
            "slot {highest:?} is beyond the {count} rows"
        );
        // SAFETY: the query is not empty, each slot is below the number of whole rows, `slots` and `out` are equally
        // long, and a `Kernels` exists only where its instruction set does.
        unsafe { (self.gather)(query, rows, slots, out) }
    }

    /// The sum for each of the `out.len()` rows of `rows`, in order.
    ///
    /// # Panics
    /// If the query is empty or `rows` does not hold exactly `out.len()` rows.
    #[inline]
    pub fn scan(&self, query: &[f32], rows: &[E], out: &mut [f32]) {
        assert!(!query.is_empty(), "a row has at least one dimension");
        assert_eq!(Some(rows.len()), out.len().checked_mul(query.len()), "one result for each row");
        // SAFETY: the query is not empty, `rows` holds `out.len()` rows, and a `Kernels` exists only where its instruction set does.
        unsafe { (self.scan)(query, rows, out) }
    }

    /// The sum for each of several queries and each row, both of `dims` elements: that of query `q` and row `r` into
    /// `out[q * (rows.len() / dims) + r]`. It is the sum that [`scan`](Kernels::scan) gives, to the bit.
    ///
    /// Rows are read once for every few queries and should stay in a cache meanwhile: ask for a block of them at a time.
    ///
    /// # Panics
    /// If `dims` is 0, or `queries`, `rows` and `out` do not fit each other.
    #[inline]
    pub fn scan_many(&self, queries: &[f32], dims: usize, rows: &[E], out: &mut [f32]) {
        assert!(dims > 0, "a row has at least one dimension");
        assert!(queries.len().is_multiple_of(dims) && rows.len().is_multiple_of(dims), "whole vectors");
        let results = (queries.len() / dims).checked_mul(rows.len() / dims);
        assert_eq!(results, Some(out.len()), "one result for each query and row");
        // SAFETY: there are dimensions, queries and rows are whole, `out` has a place for each pair, and a `Kernels` exists
        // only where its instruction set does.
        unsafe { (self.scan_many)(queries, dims, rows, out) }
    }
}

impl<E> fmt::Debug for Kernels<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernels").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The kernels with this machine's own registers, the preferred one first.
#[cfg(target_arch = "x86_64")]
pub(super) fn native<E: Element>(op: Op) -> Vec<&'static Kernels<E>> {
    x86_64::avx512(op).into_iter().chain(x86_64::avx2(op)).collect()
}

/// The kernels with this machine's own registers, the preferred one first.
#[cfg(target_arch = "aarch64")]
pub(super) fn native<E: Element>(op: Op) -> Vec<&'static Kernels<E>> {
    aarch64::neon(op).into_iter().collect()
}

/// The kernels with this machine's own registers: none known for this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn native<E: Element>(_op: Op) -> Vec<&'static Kernels<E>> {
    Vec::new()
}
