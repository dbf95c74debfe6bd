//! Asking for nearest neighbours.

use std::sync::Arc;
use std::time::Duration;

use vectra_core::Filter;
use vectra_core::query::{Candidate, Effort, Profile, Query, QueryCtx, SearchError, Searcher};
use vectra_shard::ShardSet;

use super::hydrate;
use super::shard::PinnedShard;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::item::Hit;
use crate::segment::exact::prepare_query;
use crate::settings::EF_SEARCH_MAX;
use crate::write::validate;

/// The most neighbours one query may ask for.
const TOP_K_MAX: usize = 10_000;

/// The lowest recall that can be asked for.
const RECALL_MIN: f32 = 0.5;

/// A query being put together; [`QueryBuilder::run`] answers it.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("vectra-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&dir);
/// use vectra::{Index, Item, Settings, mongo};
///
/// let index = Index::create(&dir, Settings::new(2))?;
/// index.insert_item(Item::new("north", [0.0, 1.0]).with_metadata([("kind", "pole".into())]))?;
/// index.insert_item(Item::new("east", [1.0, 0.0]))?;
/// let hits = index.query(&[0.2, 0.9]).top_k(1).filter(mongo(r#"{"kind": "pole"}"#)?).run()?;
/// assert_eq!(hits[0].id, "north".into());
/// # index.close()?;
/// # std::fs::remove_dir_all(&dir).expect("the example's folder");
/// # Ok::<(), vectra::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a query does nothing until it is run"]
pub struct QueryBuilder<'v> {
    snapshot: Snapshot,
    vector: &'v [f32],
    k: usize,
    effort: Effort,
    filter: Option<Arc<Filter>>,
    with_vectors: bool,
    with_metadata: bool,
    timeout: Option<Duration>,
}

impl<'v> QueryBuilder<'v> {
    pub(crate) fn new(snapshot: Snapshot, vector: &'v [f32]) -> Self {
        Self {
            snapshot,
            vector,
            k: 10,
            effort: Effort::Default,
            filter: None,
            with_vectors: false,
            with_metadata: true,
            timeout: None,
        }
    }

    /// How many neighbours to return (10 unless said otherwise).
    pub fn top_k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Only items that satisfy `filter`; see [`crate::mongo`] for the JSON dialect.
    pub fn filter(mut self, filter: impl Into<Arc<Filter>>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Width of the candidate pool: larger finds more and takes longer.
    pub fn ef(mut self, ef_search: usize) -> Self {
        self.effort = Effort::Ef(ef_search);
        self
    }

    /// Looks as hard as it takes to find this share of the true neighbours, on average over queries: from 0.5 to 1, which
    /// is [`QueryBuilder::exact`].
    ///
    /// Each segment's graph is measured when it is built: how far a walk must go for which recall, for queries near to
    /// its rows and for those far from them. A query takes the walk that reached its recall there, in each segment for that
    /// segment's part of the answer. Segments without a graph are scanned; those whose graph was not measured (small
    /// ones, and files of older versions) are walked by a rule of thumb, which [`Profile::uncalibrated`] counts. It is
    /// a forecast: [`Index::measure_recall`](crate::Index::measure_recall) compares it with your own queries.
    pub fn recall(mut self, recall: f32) -> Self {
        self.effort = Effort::Recall(recall);
        self
    }

    /// Compares with every item.
    pub fn exact(mut self) -> Self {
        self.effort = Effort::Exact;
        self
    }

    /// Also returns the vectors of the hits.
    pub fn with_vectors(mut self) -> Self {
        self.with_vectors = true;
        self
    }

    /// Leaves out the metadata of the hits, which saves reading it.
    pub fn without_metadata(mut self) -> Self {
        self.with_metadata = false;
        self
    }

    /// Gives up with [`ErrorKind::Timeout`] once this much time has passed; looked at before each segment.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The nearest items, nearest first; ties in order of id.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a vector or limit the index does not take, [`ErrorKind::Corrupt`] if stored bytes
    /// are damaged, [`ErrorKind::Timeout`].
    pub fn run(self) -> Result<Vec<Hit>> {
        self.run_profiled().map(|(hits, _)| hits)
    }

    /// Like [`QueryBuilder::run`], with the counts of what was done.
    ///
    /// # Errors
    /// As [`QueryBuilder::run`].
    pub fn run_profiled(self) -> Result<(Vec<Hit>, Profile)> {
        let query = self.prepare(self.vector).map_err(|text| Error::invalid(format!("the query: {text}")))?;
        let mut ctx = QueryCtx { deadline: self.deadline(), ..QueryCtx::default() };
        let found = self.pinned().search(&query, &mut ctx).map_err(search_error)?;
        Ok((self.hydrate(found)?, ctx.profile))
    }

    /// The query for `vector`; what is wrong with it, if anything is.
    pub(super) fn prepare(&self, vector: &[f32]) -> std::result::Result<Query, String> {
        let settings = &self.snapshot.context.settings;
        validate::query(vector, settings)?;
        if self.k > TOP_K_MAX {
            return Err(format!("top_k is {}; at most {TOP_K_MAX} are allowed", self.k));
        }
        if let Effort::Ef(ef) = self.effort
            && ef > EF_SEARCH_MAX
        {
            return Err(format!("ef is {ef}; at most {EF_SEARCH_MAX} is allowed"));
        }
        Ok(Query {
            vector: prepare_query(settings.metric, vector),
            k: self.k,
            effort: effort_for(self.effort)?,
            filter: self.filter.clone(),
        })
    }

    /// When the time is up of what begins now.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let now = self.snapshot.context.clock.now();
        self.timeout.map(|timeout| now.saturating_add(timeout))
    }

    /// What was found as the caller wants it.
    pub(super) fn hydrate(&self, found: Vec<Candidate>) -> Result<Vec<Hit>> {
        hydrate::fetch_ids(&self.snapshot.state, found.iter().map(|candidate| candidate.at));
        let mut hits = Vec::with_capacity(found.len());
        for candidate in found {
            let located = hydrate::at(&self.snapshot.state, candidate.at);
            hits.push(Hit {
                id: hydrate::id(&self.snapshot.state, candidate.at)?,
                distance: candidate.distance,
                metadata: self.with_metadata.then(|| hydrate::metadata(&located)).transpose()?,
                vector: self.with_vectors.then(|| hydrate::vector(&located)).transpose()?,
            });
        }
        hits.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.id.cmp(&b.id)));
        hits.truncate(self.k);
        Ok(hits)
    }

    /// Whether it compares with every item.
    pub(super) fn is_exact(&self) -> bool {
        self.effort == Effort::Exact
    }

    pub(super) fn pinned(&self) -> ShardSet {
        let (context, state) = (&self.snapshot.context, &self.snapshot.state);
        let shards = state.shards.iter().enumerate().map(|(number, shard)| {
            Arc::new(PinnedShard {
                number: number as u16,
                state: Arc::clone(shard),
                visible_lsn: state.visible_lsn,
                metric: context.settings.metric,
                ef_default: context.settings.ef_search,
                clock: Arc::clone(&context.clock),
            }) as Arc<dyn Searcher>
        });
        ShardSet::new(shards.collect())
    }
}

/// The effort that is carried out, or why there is none.
fn effort_for(effort: Effort) -> std::result::Result<Effort, String> {
    match effort {
        Effort::Recall(recall) if !(RECALL_MIN..=1.0).contains(&recall) => {
            Err(format!("the recall is {recall}; it must be from {RECALL_MIN} to 1"))
        }
        Effort::Recall(1.0) => Ok(Effort::Exact),
        effort => Ok(effort),
    }
}

/// The database's error for one of a search.
pub(super) fn search_error(error: SearchError) -> Error {
    match error {
        SearchError::Storage(source) => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(other) => Error::new(ErrorKind::Corrupt, other.to_string()),
        },
        SearchError::Timeout => Error::caused(ErrorKind::Timeout, "the query was stopped", error),
        other => Error::caused(ErrorKind::Unavailable, "the query failed", other),
    }
}
