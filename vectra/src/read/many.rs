//! Asking for the nearest neighbours of many vectors at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vectra_core::Filter;
use vectra_core::env::in_parallel;
use vectra_core::query::{Profile, Query, QueryCtx, Searcher};
use vectra_shard::ShardSet;

use super::query::{QueryBuilder, search_error};
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::item::Hit;

/// The most queries that are searched together: exact distances to a block of rows must fit the second-level cache.
const TOGETHER_MAX: usize = 96;
/// The most threads that ask.
const THREADS_MAX: usize = 1024;
/// How many times each thread comes for more, so that none waits long for the last one.
const ROUNDS: usize = 8;

/// Many queries at once, with the same options, being put together; [`QueryBatch::run`] answers them.
///
/// All are asked of one moment, over several threads. Each gets the answer that it gets alone, whatever its company and
/// however many threads there are. Exact scans and filters gain most: rows are read, and the filter evaluated, once for
/// many queries.
///
/// ```
/// # let dir = std::env::temp_dir().join(format!("vectra-doc-many-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&dir);
/// use vectra::{Index, Item, Settings};
///
/// let index = Index::create(&dir, Settings::new(2))?;
/// index.insert_item(Item::new("north", [0.0, 1.0]))?;
/// index.insert_item(Item::new("east", [1.0, 0.0]))?;
/// let answers = index.query_batch(&[[0.2, 0.9], [0.9, 0.1]]).top_k(1).run()?;
/// assert_eq!(answers[0][0].id, "north".into());
/// assert_eq!(answers[1][0].id, "east".into());
/// # index.close()?;
/// # std::fs::remove_dir_all(&dir).expect("the example's folder");
/// # Ok::<(), vectra::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "queries do nothing until they are run"]
pub struct QueryBatch<'v> {
    /// The options of each.
    each: QueryBuilder<'v>,
    vectors: Vec<&'v [f32]>,
    threads: usize,
}

impl<'v> QueryBatch<'v> {
    pub(crate) fn new(snapshot: Snapshot, vectors: Vec<&'v [f32]>) -> Self {
        let threads = snapshot.context.threads;
        Self { each: QueryBuilder::new(snapshot, &[]), vectors, threads: 1 }.threads(threads)
    }

    /// How many neighbours to return for each vector (10 unless said otherwise).
    pub fn top_k(mut self, k: usize) -> Self {
        self.each = self.each.top_k(k);
        self
    }

    /// Only items that satisfy `filter`; see [`crate::mongo`] for the JSON dialect.
    pub fn filter(mut self, filter: impl Into<Arc<Filter>>) -> Self {
        self.each = self.each.filter(filter);
        self
    }

    /// Width of the candidate pool: larger finds more and takes longer.
    pub fn ef(mut self, ef_search: usize) -> Self {
        self.each = self.each.ef(ef_search);
        self
    }

    /// The recall that each query is planned for; as [`QueryBuilder::recall`].
    pub fn recall(mut self, recall: f32) -> Self {
        self.each = self.each.recall(recall);
        self
    }

    /// Compares with every item.
    pub fn exact(mut self) -> Self {
        self.each = self.each.exact();
        self
    }

    /// Also returns the vectors of the hits.
    pub fn with_vectors(mut self) -> Self {
        self.each = self.each.with_vectors();
        self
    }

    /// Leaves out the metadata of the hits, which saves reading it.
    pub fn without_metadata(mut self) -> Self {
        self.each = self.each.without_metadata();
        self
    }

    /// Gives up with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) once this much time has passed, for all queries
    /// together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.each = self.each.timeout(timeout);
        self
    }

    /// How many threads ask, the caller's among them: 1 to 1,024, as many as [`Builder::threads`](crate::Builder::threads)
    /// unless said otherwise.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, THREADS_MAX);
        self
    }

    /// The nearest items of each vector, in the order of the vectors; each answer is as that of [`QueryBuilder::run`].
    ///
    /// # Errors
    /// As [`QueryBuilder::run`], of the first query that has one; the text says which, counting from 0. Vectors are looked at
    /// before anything is searched.
    pub fn run(self) -> Result<Vec<Vec<Hit>>> {
        self.run_profiled().map(|(answers, _)| answers)
    }

    /// Like [`QueryBatch::run`], with the counts of what was done, added up.
    ///
    /// # Errors
    /// As [`QueryBatch::run`].
    pub fn run_profiled(self) -> Result<(Vec<Vec<Hit>>, Profile)> {
        let prepare = |(at, vector): (usize, &&[f32])| {
            self.each.prepare(vector).map_err(|text| Error::invalid(format!("query {at}: {text}")))
        };
        let queries: Vec<Query> = self.vectors.iter().enumerate().map(prepare).collect::<Result<_>>()?;
        let size = self.together(queries.len());
        let groups: Vec<&[Query]> = queries.chunks(size).collect();
        let searched =
            Searched { each: &self.each, pinned: self.each.pinned(), deadline: self.each.deadline() };
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let work = |_| {
            let mut done = Vec::new();
            loop {
                let group = next.fetch_add(1, Ordering::Relaxed);
                // Those before one that failed were taken before it, and are finished.
                if group >= groups.len() || group > failed.load(Ordering::Relaxed) {
                    return done;
                }
                let answered = searched.answer(group * size, groups[group]);
                if answered.is_err() {
                    failed.fetch_min(group, Ordering::Relaxed);
                }
                done.push((group, answered));
            }
        };
        let shares = in_parallel(self.threads.min(groups.len()), work);
        let mut shares: Vec<_> = shares.into_iter().flatten().collect();
        shares.sort_unstable_by_key(|(group, _)| *group);
        let (mut answers, mut profile) = (Vec::with_capacity(queries.len()), Profile::default());
        for (_, share) in shares {
            let (hits, counts) = share?;
            answers.extend(hits);
            profile += counts;
        }
        Ok((answers, profile))
    }

    /// How many queries are searched together.
    fn together(&self, queries: usize) -> usize {
        let rounds = if self.each.is_exact() { 1 } else { ROUNDS };
        let groups =
            (self.threads * rounds).max(queries.div_ceil(TOGETHER_MAX)).next_multiple_of(self.threads);
        queries.div_ceil(groups).max(1)
    }
}

/// What all groups are asked of.
struct Searched<'a> {
    each: &'a QueryBuilder<'a>,
    pinned: ShardSet,
    deadline: Option<Duration>,
}

impl Searched<'_> {
    /// The answers to `queries`, the first of which is number `first`.
    fn answer(&self, first: usize, queries: &[Query]) -> Result<(Vec<Vec<Hit>>, Profile)> {
        let context = || QueryCtx { deadline: self.deadline, ..QueryCtx::default() };
        let mut contexts: Vec<QueryCtx> = queries.iter().map(|_| context()).collect();
        let found = match self.pinned.search_many(queries, &mut contexts) {
            Ok(found) => found,
            Err(_) => {
                // One of them failed; one by one they say which.
                contexts.fill_with(context);
                let alone = |(at, (query, ctx)): (usize, (&Query, &mut QueryCtx))| {
                    self.pinned.search(query, ctx).map_err(|e| search_error(e).of_query(first + at))
                };
                queries.iter().zip(&mut contexts).enumerate().map(alone).collect::<Result<_>>()?
            }
        };
        let hydrate = |(at, found)| self.each.hydrate(found).map_err(|e| e.of_query(first + at));
        let hits = found.into_iter().enumerate().map(hydrate).collect::<Result<_>>()?;
        let mut profile = Profile::default();
        contexts.iter().for_each(|ctx| profile += ctx.profile);
        Ok((hits, profile))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Index, Settings};

    #[test]
    fn groups_are_even_and_as_many_as_there_is_use_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let index = Index::create(folder.path(), Settings::new(1)).expect("a fresh folder");
        let batch = |threads| index.query_batch::<[f32; 1]>(&[]).threads(threads);
        for (threads, queries, walks, exact) in [
            (1, 0, 1, 1),
            (1, 5, 1, 5),
            (2, 64, 4, 32),
            (1, 256, 32, 86),
            (2, 256, 16, 64),
            (4, 100_000, 96, 96),
        ] {
            assert_eq!(batch(threads).together(queries), walks, "{threads} threads, {queries} queries");
            assert_eq!(
                batch(threads).exact().together(queries),
                exact,
                "{threads} threads, {queries} queries"
            );
        }
    }
}
