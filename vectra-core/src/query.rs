//! Questions, answers and the seam between whoever asks and whoever searches.

use std::sync::Arc;
use std::time::Duration;

use crate::filter::Filter;
use crate::topk::Ranked;

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Effort {
    /// The index's own setting.
    #[default]
    Default,
    /// A candidate pool of this width in each graph.
    Ef(usize),
    /// As much as it takes to find this share of the true neighbours, on average over queries, in each segment for its
    /// own part of them. From 0.5 to 1, which is [`Effort::Exact`].
    Recall(f32),
    /// Compare with every live item.
    Exact,
}

/// One question, the same for a segment, a shard and a set of shards.
#[derive(Debug, Clone)]
pub struct Query {
    /// The vector, as the caller gave it (validated; normalised under cosine).
    pub vector: Arc<[f32]>,
    /// How many candidates are wanted.
    pub k: usize,
    /// How hard to look.
    pub effort: Effort,
    /// Only items that satisfy this.
    pub filter: Option<Arc<Filter>>,
}

/// Where a candidate stands; valid only under the snapshot that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Shard number.
    pub shard: u16,
    /// Segment number within the shard's snapshot.
    pub segment: u16,
    /// Row within the segment.
    pub slot: u32,
}

/// A found item with its exact distance. Order: by distance, ties by place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Exact; smaller is nearer.
    pub distance: f32,
    /// Where it stands.
    pub at: Place,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.distance.total_cmp(&other.distance).then(self.at.cmp(&other.at))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ranked for Candidate {
    fn distance(&self) -> f32 {
        self.distance
    }
}

/// What a query did, summed over everything it touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Profile {
    /// Distances computed on codes or vectors while looking for candidates.
    pub distances: u64,
    /// Graph nodes expanded.
    pub hops: u64,
    /// Exact distances computed on stored vectors.
    pub exact_reads: u64,
    /// Segments searched.
    pub segments: u64,
    /// Items whose metadata was evaluated one by one (not through an index).
    pub filter_evaluations: u64,
    /// Segments whose candidates came from codes or a graph that nobody has verified yet: the answers are right (exact
    /// distances of stored vectors), but damage may have cost some.
    pub unverified: u64,
    /// Segments whose graph was walked as its own calibration says, to reach the recall that was asked for.
    pub calibrated: u64,
    /// Segments whose graph was walked by a rule of thumb to reach that recall: they have no calibration.
    pub uncalibrated: u64,
}

impl std::ops::AddAssign for Profile {
    fn add_assign(&mut self, other: Self) {
        self.distances += other.distances;
        self.hops += other.hops;
        self.exact_reads += other.exact_reads;
        self.segments += other.segments;
        self.filter_evaluations += other.filter_evaluations;
        self.unverified += other.unverified;
        self.calibrated += other.calibrated;
        self.uncalibrated += other.uncalibrated;
    }
}

/// What travels with a query from searcher to searcher.
#[derive(Debug, Clone)]
pub struct QueryCtx {
    /// Give up once the clock ([`crate::env::Clock::now`]) has passed this.
    pub deadline: Option<Duration>,
    /// The exact k-th distance found so far; only what is at most as far is of interest.
    pub bound: f32,
    /// What was done so far.
    pub profile: Profile,
}

impl Default for QueryCtx {
    fn default() -> Self {
        Self { deadline: None, bound: f32::INFINITY, profile: Profile::default() }
    }
}

/// Why a search gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The deadline passed.
    #[error("the query ran past its deadline")]
    Timeout,
    /// Something on disk could not be read or did not match its checksum.
    #[error("a stored part could not be read")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A pinned snapshot that can be searched: a segment, a shard or a set of shards.
pub trait Searcher: Send + Sync {
    /// The `query.k` nearest live items within `ctx.bound`, each with its exact distance.
    ///
    /// Ties at the k-th place: every item exactly as far as the last one may be returned beyond `k`, so that the
    /// caller can cut by id; see [`crate::query::Query::k`].
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError>;

    /// [`search`](Searcher::search) for many queries, whose answers are the same as one by one; what several have in
    /// common is done once. There are as many contexts as queries.
    ///
    /// An error is that of any of them; ask one by one to learn which.
    ///
    /// # Panics
    /// If there are not as many contexts as queries.
    fn search_many(
        &self,
        queries: &[Query],
        contexts: &mut [QueryCtx],
    ) -> Result<Vec<Vec<Candidate>>, SearchError> {
        assert_eq!(queries.len(), contexts.len(), "one context for each query");
        queries.iter().zip(contexts).map(|(query, ctx)| self.search(query, ctx)).collect()
    }

    /// How many live items it covers.
    fn len(&self) -> u64;

    /// Whether it covers none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
