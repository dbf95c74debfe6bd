//! A set of searchers that is a searcher.

use std::fmt;
use std::sync::Arc;

use vectra_core::query::{Candidate, Query, QueryCtx, SearchError, Searcher};

use crate::gather::Gather;

/// Several searchers as one: shards of an index, segments of a shard, or sets again.
///
/// They are asked one after the other on the calling thread. The k-th distance found so far goes along as bound, so
/// that later ones can skip what is farther; the answer does not depend on their order.
#[derive(Clone)]
pub struct ShardSet {
    searchers: Vec<Arc<dyn Searcher>>,
}

impl ShardSet {
    /// The set of `searchers`, asked in this order.
    pub fn new(searchers: Vec<Arc<dyn Searcher>>) -> Self {
        Self { searchers }
    }

    /// The searchers, in the order in which they are asked.
    pub fn searchers(&self) -> &[Arc<dyn Searcher>] {
        &self.searchers
    }
}

impl Searcher for ShardSet {
    /// Nearest first, ties by place. On return `ctx.bound` is at most the k-th distance found and `ctx.profile` the
    /// sum of what all did; after an error it is the sum of what was done until then.
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        let mut gather = Gather::new(query.k);
        if query.k == 0 {
            return Ok(Vec::new());
        }
        for searcher in &self.searchers {
            gather.offer(searcher.search(query, ctx)?);
            ctx.bound = ctx.bound.min(gather.bound());
        }
        Ok(gather.into_sorted())
    }

    /// Each searcher is asked for all queries at once.
    fn search_many(
        &self,
        queries: &[Query],
        contexts: &mut [QueryCtx],
    ) -> Result<Vec<Vec<Candidate>>, SearchError> {
        assert_eq!(queries.len(), contexts.len(), "one context for each query");
        if queries.iter().all(|query| query.k == 0) {
            return Ok(vec![Vec::new(); queries.len()]);
        }
        let mut gathers: Vec<Gather> = queries.iter().map(|query| Gather::new(query.k)).collect();
        for searcher in &self.searchers {
            let found = searcher.search_many(queries, contexts)?;
            for ((gather, ctx), found) in gathers.iter_mut().zip(&mut *contexts).zip(found) {
                gather.offer(found);
                ctx.bound = ctx.bound.min(gather.bound());
            }
        }
        Ok(gathers.into_iter().map(Gather::into_sorted).collect())
    }

    fn len(&self) -> u64 {
        self.searchers.iter().map(|searcher| searcher.len()).sum()
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardSet")
            .field("searchers", &self.searchers.len())
            .field("len", &self.len())
            .finish()
    }
}
