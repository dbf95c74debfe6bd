//! One pinned shard as a searcher.

use std::sync::Arc;

use vectra_core::env::Clock;
use vectra_core::query::{Candidate, Place, Query, QueryCtx, SearchError, Searcher};
use vectra_core::{Metric, Neighbor, TopK};
use vectra_wal::Lsn;

use super::execute::{Bound, sealed, unsealed};
use crate::segment::exact::ExactQuery;
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

impl Searcher for PinnedShard {
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        let exact = ExactQuery::new(self.metric, Arc::clone(&query.vector));
        let bound = Bound { query, exact, metric: self.metric, ef_default: self.ef_default };
        let mut best = TopK::<Candidate>::new(query.k);
        let mut collect = |segment: usize, top: TopK<Neighbor>| {
            let segment =
                u16::try_from(segment).expect("writers are refused before a shard has so many segments");
            for found in top.into_sorted() {
                let at = Place { shard: self.number, segment, slot: found.slot };
                best.push(Candidate { distance: found.distance, at });
            }
        };
        let mut segment = 0;
        for view in &self.state.sealed {
            self.check_time(ctx)?;
            let mut top = TopK::new(query.k);
            sealed(view, &bound, ctx, &mut top).map_err(|e| SearchError::Storage(e.into()))?;
            collect(segment, top);
            segment += 1;
        }
        for rows in self.state.frozen.iter().chain([&self.state.mutable]) {
            self.check_time(ctx)?;
            if rows.len() > 0 {
                let mut top = TopK::new(query.k);
                unsealed(rows, self.visible_lsn, &bound, ctx, &mut top);
                collect(segment, top);
            }
            segment += 1;
        }
        let mut found = best.into_sorted();
        found.retain(|candidate| candidate.distance <= ctx.bound);
        Ok(found)
    }

    fn len(&self) -> u64 {
        self.state.live(self.visible_lsn)
    }
}
