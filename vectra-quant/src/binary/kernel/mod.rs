//! The kernels of signs: how many bits of a query and of rows differ.
//!
//! Everything unsafe about these codes is in this folder. [`Kernels`] is the safe door: [`Table`] hands one out only where its
//! instruction set is, and its methods check every length and slot before the loop.

use std::fmt;
use std::sync::OnceLock;

use super::row::{LINE, Pair};
use crate::isa::{Isa, Table, choose};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Counts of bits, computed with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    gather: GatherFn,
    scan: ScanFn,
}

/// `gather(query, rows, slots, out)`; needs some lines, every slot's row of as many lines within `rows`, an `out` as long
/// as `slots`, and the instruction set.
type GatherFn = unsafe fn(&[Pair], &[u8], &[u32], &mut [u32]);
/// `scan(query, rows, out)`; needs some lines, `out.len()` rows of as many, and the instruction set.
type ScanFn = unsafe fn(&[Pair], &[u8], &mut [u32]);

impl Kernels {
    /// The instruction set: `avx512`, `avx2`, `neon` or `portable`.
    pub(super) const fn name(&self) -> &'static str {
        self.isa.name()
    }

    /// How many bits of the query differ from each row `slots[i]` of `rows`, which have as many lines as it, into `out[i]`.
    ///
    /// # Panics
    /// If the query has no lines, a slot is beyond the rows, or `out` is not as long as `slots`.
    pub(super) fn gather(&self, query: &[Pair], rows: &[u8], slots: &[u32], out: &mut [u32]) {
        assert!(!query.is_empty(), "a row is some lines");
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let count = rows.len() / (LINE * query.len());
        // A maximum instead of an early exit: no branch per slot.
        let highest = slots.iter().copied().max();
        assert!(
            highest.is_none_or(|slot| (slot as usize) < count),
            "slot {highest:?} is beyond the {count} rows"
        );
        // SAFETY: each slot is below the number of whole rows, the lengths of `slots` and `out` are equal, and a `Kernels`
        // is handed out only where its instruction set is.
        unsafe { (self.gather)(query, rows, slots, out) }
    }

    /// How many bits of the query differ from each of the `out.len()` rows of `rows`, which have as many lines as it.
    ///
    /// # Panics
    /// If the query has no lines or `rows` does not hold exactly `out.len()` rows.
    pub(super) fn scan(&self, query: &[Pair], rows: &[u8], out: &mut [u32]) {
        assert!(!query.is_empty(), "a row is some lines");
        assert_eq!(Some(rows.len()), out.len().checked_mul(LINE * query.len()), "one result for each row");
        // SAFETY: `rows` holds `out.len()` rows, and a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.scan)(query, rows, out) }
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
pub(super) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    choose(&CHOSEN)
}

#[cfg(test)]
mod tests;
