//! The seam of one index structure: nothing above [`AnnIndex`] knows a graph.

mod flat;

pub use flat::{Flat, FlatScratch};

use crate::admit::Admit;
use crate::scorer::Scorer;
use crate::topk::Neighbor;

/// How one structure is to be searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchParams {
    /// How many neighbours to return at most.
    pub k: usize,
    /// Width of the candidate pool of a graph walk; raised to `k` when smaller. A flat scan ignores it.
    pub ef_search: usize,
    /// Nothing farther than this is of interest (the k-th best found elsewhere); infinity when there is no bound.
    pub bound: f32,
    /// How many of the neighbours the caller is after; the others are there for a re-rank. See [`SearchParams::slack`].
    pub wanted: usize,
    /// A walk looks no farther than the distance of the `wanted`-th best so far and this part of it more, which ends it
    /// where the pool would not: `ef_search` is only a cap then. Not negative; infinity for no such end. A flat scan
    /// ignores it.
    pub slack: f32,
}

impl SearchParams {
    /// `k` neighbours with a pool of `ef_search`, unbounded.
    pub fn new(k: usize, ef_search: usize) -> Self {
        Self { k, ef_search, bound: f32::INFINITY, wanted: k, slack: f32::INFINITY }
    }

    /// The same, ended by distance: see [`SearchParams::slack`].
    pub fn with_slack(self, wanted: usize, slack: f32) -> Self {
        Self { wanted, slack, ..self }
    }
}

/// What a search did; deterministic for a given structure and query, so that tests and gates can compare it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchCounts {
    /// Distances computed.
    pub distances: u64,
    /// Nodes expanded.
    pub hops: u64,
}

impl std::ops::AddAssign for SearchCounts {
    fn add_assign(&mut self, other: Self) {
        self.distances += other.distances;
        self.hops += other.hops;
    }
}

/// A structure that finds the nearest admitted slots through a [`Scorer`].
pub trait AnnIndex {
    /// Memory reused from search to search; one per thread.
    type Scratch: Default + Send;

    /// How many slots the structure covers.
    fn len(&self) -> usize;

    /// Whether it covers none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts at most `params.k` admitted neighbours within `params.bound` into `out`, nearest first (ties by slot).
    ///
    /// `scorer` must be bound to a store with at least [`AnnIndex::len`] slots. `out` is cleared first.
    fn search<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        params: &SearchParams,
        admit: &A,
        scratch: &mut Self::Scratch,
        out: &mut Vec<Neighbor>,
    ) -> SearchCounts;
}
