//! The trivial index: score every admitted slot.

use super::{AnnIndex, SearchCounts, SearchParams};
use crate::admit::Admit;
use crate::pool::Pool;
use crate::scorer::{Expansion, Scorer};
use crate::topk::Neighbor;

/// Exact search (as exact as the scorer) over the slots `0..len`.
#[derive(Debug, Clone, Copy)]
pub struct Flat {
    len: u32,
}

impl Flat {
    /// Covers the slots `0..len`.
    pub fn new(len: u32) -> Self {
        Self { len }
    }
}

/// Reusable memory of a flat search.
#[derive(Debug, Default)]
pub struct FlatScratch {
    pool: Pool,
    block: Vec<u32>,
}

impl AnnIndex for Flat {
    type Scratch = FlatScratch;

    fn len(&self) -> usize {
        self.len as usize
    }

    fn search<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        params: &SearchParams,
        admit: &A,
        scratch: &mut FlatScratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchCounts {
        let mut counts = SearchCounts::default();
        scratch.pool.reset(params.k.min(self.len as usize));
        out.clear();
        if params.k == 0 {
            return counts;
        }
        for first in (0..self.len).step_by(64) {
            scratch.block.clear();
            scratch.block.extend(first..self.len.min(first + 64));
            let mut buffer = [0; 64];
            let expansion = Expansion::some(first, &scratch.block, admit.mask(&scratch.block), &mut buffer);
            let bound = params.bound.min(scratch.pool.bound());
            scorer.expand(&expansion, bound, &mut scratch.pool);
            counts.distances += expansion.slots.len() as u64;
        }
        out.extend(scratch.pool.iter());
        counts
    }
}

#[cfg(test)]
mod tests;
