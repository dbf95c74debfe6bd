//! The kernels of blocks: sums of table entries, 64 rows at a time, and which of them are small enough to be looked at.
//!
//! Everything unsafe about blocks is in this folder. [`Kernels`] is the safe door: [`Table`] hands one out only where its
//! instruction set is, and its method checks every length before the loop.

use std::fmt;
use std::sync::OnceLock;

use super::bytes::{Line, entries_bytes};
use super::layout::{BLOCK_ROWS, Layout};
use super::tables::Tables;
use crate::isa::{Isa, Table, choose};

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod generic;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// The most queries of one call.
pub(super) const QUERIES_MAX: usize = 8;

/// The sums of a block's rows, in their order.
pub(super) type Sums = [u16; BLOCK_ROWS];

/// Sums over blocks, computed with one instruction set.
pub(super) struct Kernels {
    isa: Isa,
    nibbles: SiftFn,
    bytes: SiftFn,
    of_values: OfValuesFn,
}

/// Needs a table for each line and column, blocks of whole lines, limits, masks and sums as [`Kernels::sift`] says, and the
/// instruction set.
type SiftFn = unsafe fn(&mut Task<'_>);

/// Needs the instruction set.
type OfValuesFn = unsafe fn(Layout, &[f32], &mut [u8]) -> Line;

/// What a kernel works on.
struct Task<'a> {
    /// Lines of a block.
    lines: usize,
    blocks: &'a [u8],
    /// For each query the entries of its columns: whole groups of them, as many as the lines ask for.
    tables: &'a [&'a [u8]],
    limits: &'a [u16],
    masks: &'a mut [u64],
    sums: &'a mut [Sums],
}

impl Kernels {
    /// The instruction set: `avx512`, `avx2`, `neon` or `portable`.
    pub(super) const fn name(&self) -> &'static str {
        self.isa.name()
    }

    /// Sums up each row of `blocks` for each of some queries. Bit i of `masks[query * blocks + block]` says whether the sum of
    /// the block's row i is at most `limits[query]`; if it is for any, all sums of the block are in `sums` at the same place,
    /// and otherwise anything.
    ///
    /// # Panics
    /// If there are no queries or more than [`QUERIES_MAX`], one is for another layout, `blocks` is not whole blocks, or there are
    /// not as many limits as queries, or not as many masks and sums as blocks for each.
    pub(super) fn sift(
        &self,
        layout: Layout,
        queries: &[&Tables],
        blocks: &[u8],
        limits: &[u16],
        masks: &mut [u64],
        sums: &mut [Sums],
    ) {
        assert!((1..=QUERIES_MAX).contains(&queries.len()), "1 to {QUERIES_MAX} queries at once");
        assert_eq!(blocks.len() % layout.block_bytes(), 0, "whole blocks");
        let results = blocks.len() / layout.block_bytes() * queries.len();
        assert_eq!(limits.len(), queries.len(), "a limit for each query");
        assert!(masks.len() == results && sums.len() == results, "a result for each block and query");
        let mut tables: [&[u8]; QUERIES_MAX] = [&[]; QUERIES_MAX];
        for (table, query) in tables.iter_mut().zip(queries) {
            assert_eq!(query.layout(), layout, "queries and blocks have different layouts");
            *table = query.entries();
            assert_eq!(table.len(), entries_bytes(layout), "a table for each column");
        }
        let tables = &tables[..queries.len()];
        let mut task = Task { lines: layout.lines(), blocks, tables, limits, masks, sums };
        let kernel = if layout.bits() == 4 { self.nibbles } else { self.bytes };
        // SAFETY: all lengths were compared; a group of four columns of four bits is two lines, of eight bits four, so the
        // whole groups of the tables cover all lines. A `Kernels` is handed out only where its instruction set is.
        unsafe { kernel(&mut task) }
    }

    /// Writes values as bytes, as [`of_values`](super::bytes::of_values) says.
    pub(super) fn of_values(&self, layout: Layout, values: &[f32], entries: &mut [u8]) -> Line {
        // SAFETY: a `Kernels` is handed out only where its instruction set is.
        unsafe { (self.of_values)(layout, values, entries) }
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
