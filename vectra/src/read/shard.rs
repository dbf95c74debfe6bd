//! One pinned shard as a searcher.

use std::slice::{from_mut, from_ref};
use std::sync::Arc;

use vectra_core::env::Clock;
use vectra_core::query::{Candidate, Place, Query, QueryCtx, SearchError, Searcher};
use vectra_core::{Metric, Neighbor, TopK};
use vectra_wal::Lsn;

use super::execute::{Bound, sealed};
use super::together::{sealed_together, unsealed};
use crate::segment::exact::ExactQuery;
use crate::segment::mutable::MutableSegment;
use crate::snapshot::ShardState;

/// A shard as of one snapshot.
#[derive(Debug)]
pub(crate) struct PinnedShard {
    pub(crate) number: u16,
    pub(crate) state: Arc<ShardState>,
    pub(crate) visible_lsn: Lsn,
    pub(crate) metric: Metric,
    pub(crate) ef_default: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PinnedShard {
    /// Asked before each segment: a segment, once begun, is searched to its end.
    fn check_time(&self, ctx: &QueryCtx) -> Result<(), SearchError> {
        if ctx.deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
            return Err(SearchError::Timeout);
        }
        Ok(())
    }
}

impl PinnedShard {
    fn bind<'q>(&self, query: &'q Query) -> Bound<'q> {
        let exact = ExactQuery::new(self.metric, Arc::clone(&query.vector));
        Bound { query, exact, metric: self.metric, ef_default: self.ef_default }
    }

    /// Offers what was found in the segment with number `segment` to the best of the shard.
    fn collect(&self, segment: usize, top: TopK<Neighbor>, best: &mut TopK<Candidate>) {
        let segment =
            u16::try_from(segment).expect("writers are refused before a shard has so many segments");
        for found in top.into_sorted() {
            let at = Place { shard: self.number, segment, slot: found.slot };
            best.push(Candidate { distance: found.distance, at });
        }
    }

    /// The unsealed segments, numbered behind the sealed ones.
    fn unsealed(&self) -> impl Iterator<Item = (usize, &Arc<MutableSegment>)> {
        (self.state.sealed.len()..).zip(self.state.frozen.iter().chain([&self.state.mutable]))
    }
}

/// The candidates of `best` that are of interest, nearest first.
fn within(best: TopK<Candidate>, ctx: &QueryCtx) -> Vec<Candidate> {
    let mut found = best.into_sorted();
    found.retain(|candidate| candidate.distance <= ctx.bound);
    found
}

/// Whether `a` and `b` differ in their vectors alone.
fn are_alike(a: &Query, b: &Query) -> bool {
    let same_filter = match (&a.filter, &b.filter) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    };
    same_filter && a.effort == b.effort && a.k == b.k
}

impl Searcher for PinnedShard {
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        let bound = self.bind(query);
        let mut best = TopK::<Candidate>::new(query.k);
        for (segment, view) in self.state.sealed.iter().enumerate() {
            self.check_time(ctx)?;
            let mut top = TopK::new(query.k);
            sealed(view, &bound, ctx, &mut top).map_err(|e| SearchError::Storage(e.into()))?;
            self.collect(segment, top, &mut best);
        }
        for (segment, rows) in self.unsealed() {
            self.check_time(ctx)?;
            if rows.len() > 0 {
                let mut top = TopK::new(query.k);
                unsealed(rows, self.visible_lsn, from_ref(&bound), from_mut(ctx), from_mut(&mut top));
                self.collect(segment, top, &mut best);
            }
        }
        Ok(within(best, ctx))
    }

    fn search_many(
        &self,
        queries: &[Query],
        contexts: &mut [QueryCtx],
    ) -> Result<Vec<Vec<Candidate>>, SearchError> {
        assert_eq!(queries.len(), contexts.len(), "one context for each query");
        if queries.is_empty() || queries.windows(2).any(|pair| !are_alike(&pair[0], &pair[1])) {
            return queries.iter().zip(contexts).map(|(query, ctx)| self.search(query, ctx)).collect();
        }
        let bounds: Vec<Bound<'_>> = queries.iter().map(|query| self.bind(query)).collect();
        let fresh = || -> Vec<TopK<Neighbor>> { queries.iter().map(|query| TopK::new(query.k)).collect() };
        let mut bests: Vec<_> = queries.iter().map(|query| TopK::<Candidate>::new(query.k)).collect();
        let mut collect = |segment, tops: Vec<TopK<Neighbor>>| {
            tops.into_iter().zip(&mut bests).for_each(|(top, best)| self.collect(segment, top, best));
        };
        for (segment, view) in self.state.sealed.iter().enumerate() {
            contexts.iter().try_for_each(|ctx| self.check_time(ctx))?;
            let mut tops = fresh();
            sealed_together(view, &bounds, contexts, &mut tops)
                .map_err(|e| SearchError::Storage(e.into()))?;
            collect(segment, tops);
        }
        for (segment, rows) in self.unsealed() {
            contexts.iter().try_for_each(|ctx| self.check_time(ctx))?;
            let mut tops = fresh();
            unsealed(rows, self.visible_lsn, &bounds, contexts, &mut tops);
            collect(segment, tops);
        }
        Ok(bests.into_iter().zip(contexts).map(|(best, ctx)| within(best, ctx)).collect())
    }

    fn len(&self) -> u64 {
        self.state.live(self.visible_lsn)
    }
}
