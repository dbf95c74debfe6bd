//! The rows of the smallest sums, without a look at most of the others.

use super::kernel::{QUERIES_MAX, kernels};
use super::layout::BLOCK_ROWS;
use super::scan::{STEP, tile};
use super::tables::Tables;

/// A row that was found, and the sum of its entries. The order is that of sums, among equal ones of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Found {
    /// What [`Tables::value`] takes.
    pub sum: u16,
    /// Which row, from 0.
    pub row: u32,
}

/// What a query has found so far.
struct Sieve {
    k: usize,
    /// The best `k` so far, in no order, and rows found since they were chosen: sums before rows, as integers that sort fast.
    found: Vec<u64>,
    /// Rows are of interest whose sum is below this: the greatest of the best `k`, since later rows lose to equals.
    below: u32,
}

impl Sieve {
    fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(room(k).min(4096)), below: if k == 0 { 0 } else { 1 << 16 } }
    }

    /// Takes the rows of a block whose bits are set, if they are admitted.
    fn take(&mut self, first: u32, mut mask: u64, sums: &[u16; BLOCK_ROWS], admits: &impl Fn(u32) -> bool) {
        while mask != 0 {
            let at = mask.trailing_zeros();
            mask &= mask - 1;
            let (row, sum) = (first + at, sums[at as usize]);
            if u32::from(sum) < self.below && admits(row) {
                self.found.push(u64::from(sum) << 32 | u64::from(row));
                if self.found.len() == room(self.k) {
                    self.tighten();
                }
            }
        }
    }

    /// Keeps the best `k` only.
    fn tighten(&mut self) {
        if self.found.len() >= self.k && self.k > 0 {
            let (_, last, _) = self.found.select_nth_unstable(self.k - 1);
            self.below = (*last >> 32) as u32;
            self.found.truncate(self.k);
        }
    }

    fn finish(mut self) -> Vec<Found> {
        self.tighten();
        self.found.sort_unstable();
        self.found.iter().map(|key| Found { sum: (key >> 32) as u16, row: *key as u32 }).collect()
    }
}

/// How many rows are gathered before the best `k` of them are chosen.
const fn room(k: usize) -> usize {
    if k < 16 { 32 } else { k.saturating_mul(2) }
}

/// For each query the `k` rows of the smallest sums among the `rows` rows that `admits` admits, the smallest first and of equal
/// ones the lower row. Most rows are neither written nor asked about: their sums are compared where they come about, with
/// the `k`-th so far.
///
/// # Panics
/// If the queries have different layouts, or `blocks` is not as long as theirs says for so many rows.
pub fn nearest(
    queries: &[&Tables],
    blocks: &[u8],
    rows: u32,
    k: usize,
    admits: impl Fn(u32) -> bool,
) -> Vec<Vec<Found>> {
    let mut sieves: Vec<Sieve> = queries.iter().map(|_| Sieve::new(k)).collect();
    let Some(layout) = queries.first().map(|query| query.layout()) else { return Vec::new() };
    assert_eq!(blocks.len(), layout.bytes_for(rows as usize), "as many blocks as the rows need");
    let admits = |row| row < rows && admits(row);
    let tile = tile(layout);
    let mut scratch = Scratch::new(queries.len().min(QUERIES_MAX));
    for (tile_at, blocks) in blocks.chunks(tile * layout.block_bytes()).enumerate() {
        for (queries, sieves) in queries.chunks(QUERIES_MAX).zip(sieves.chunks_mut(QUERIES_MAX)) {
            scratch.sift(queries, blocks, (tile_at * tile * BLOCK_ROWS) as u32, sieves, &admits);
        }
    }
    sieves.into_iter().map(Sieve::finish).collect()
}

/// [`nearest`] for one query.
///
/// # Panics
/// As [`nearest`].
pub fn nearest_of(
    query: &Tables,
    blocks: &[u8],
    rows: u32,
    k: usize,
    admits: impl Fn(u32) -> bool,
) -> Vec<Found> {
    nearest(&[query], blocks, rows, k, admits).pop().expect("an answer for each query")
}

/// Room for what kernels give.
struct Scratch {
    sums: Vec<[u16; BLOCK_ROWS]>,
    masks: Vec<u64>,
}

impl Scratch {
    fn new(queries: usize) -> Self {
        Self { sums: vec![[0; BLOCK_ROWS]; STEP * queries], masks: vec![0; STEP * queries] }
    }

    /// Lets `blocks`, whose first row is `first`, through the sieves of some queries.
    fn sift(
        &mut self,
        queries: &[&Tables],
        blocks: &[u8],
        first: u32,
        sieves: &mut [Sieve],
        admits: &impl Fn(u32) -> bool,
    ) {
        let layout = queries[0].layout();
        let (mut rest, mut first) = (blocks, first);
        // The less is known of the sums the shorter the steps.
        let mut step = if first == 0 { 1 } else { STEP };
        while !rest.is_empty() {
            let bytes = rest.len().min(step * layout.block_bytes());
            let (here, behind) = rest.split_at(bytes);
            let count = here.len() / layout.block_bytes();
            let results = count * queries.len();
            let (masks, sums) = (&mut self.masks[..results], &mut self.sums[..results]);
            let mut limits = [0; QUERIES_MAX];
            for (limit, sieve) in limits.iter_mut().zip(&*sieves) {
                *limit = sieve.below.saturating_sub(1) as u16;
            }
            kernels().sift(layout, queries, here, &limits[..queries.len()], masks, sums);
            for (sieve, (masks, sums)) in sieves.iter_mut().zip(masks.chunks(count).zip(sums.chunks(count))) {
                let before = sieve.found.len();
                for (block, (mask, sums)) in masks.iter().zip(sums).enumerate() {
                    if *mask != 0 {
                        sieve.take(first + (block * BLOCK_ROWS) as u32, *mask, sums, admits);
                    }
                }
                if sieve.found.len() != before {
                    sieve.tighten();
                }
            }
            (rest, first) = (behind, first + (count * BLOCK_ROWS) as u32);
            step = (2 * step).min(STEP);
        }
    }
}

#[cfg(test)]
mod tests;
