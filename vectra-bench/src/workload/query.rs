//! Asking queries, one per call, from one thread or several.

use std::ops::Range;
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use vectra::{Hit, Index, ItemId, Profile};

use crate::Outcome;
use crate::data::Array;
use crate::measure::quantile;
use crate::report::Point;
use crate::truth::Judge;

/// Queries each thread asks before its times count.
const WARM_UP: usize = 100;

/// How hard to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Effort {
    Default,
    Ef(usize),
    Recall(f32),
    Exact,
}

/// The query vectors.
pub(super) struct Queries {
    vectors: Vec<f32>,
    dim: usize,
}

impl Queries {
    /// Reads at most `max` queries from the array at `path`, from number `from` on.
    pub(super) fn read(path: &Path, from: usize, max: Option<usize>) -> Outcome<Self> {
        let mut array = Array::open(path)?;
        let count = array.rows().saturating_sub(from).min(max.unwrap_or(usize::MAX));
        if count == 0 {
            return Err(format!("{}: there are no queries", path.display()).into());
        }
        Ok(Self { vectors: array.vectors(from, count)?, dim: array.columns() })
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// One slice per query; never empty.
    pub(super) fn all(&self) -> Vec<&[f32]> {
        self.vectors.chunks_exact(self.dim).collect()
    }
}

/// What all passes over the queries have in common.
pub(super) struct Asker<'a> {
    pub(super) index: &'a Index,
    pub(super) queries: &'a [&'a [f32]],
    pub(super) k: usize,
    pub(super) threads: usize,
}

/// What one pass over some queries brought.
pub(super) struct Pass {
    /// Row numbers, nearest first, in the order of the queries.
    answers: Vec<Vec<u64>>,
    /// One per query, ascending.
    nanoseconds: Vec<u64>,
    /// From the first thread's first query to the last thread's last answer.
    seconds: f64,
    profile: Profile,
}

impl Pass {
    /// Queries answered in a second by all threads together.
    pub(super) fn per_second(&self) -> f64 {
        self.answers.len() as f64 / self.seconds
    }
}

/// What one thread brought.
struct Share {
    hits: Vec<Vec<Hit>>,
    nanoseconds: Vec<u64>,
    start: Instant,
    end: Instant,
    profile: Profile,
}

impl Asker<'_> {
    /// Asks the queries of `range`, which is not empty, each thread a share of its own.
    pub(super) fn pass(&self, range: Range<usize>, effort: Effort) -> Outcome<Pass> {
        let queries = &self.queries[range];
        let shares: Vec<&[&[f32]]> = queries.chunks(queries.len().div_ceil(self.threads)).collect();
        let ready = Barrier::new(shares.len());
        let shares: Vec<Outcome<Share>> = std::thread::scope(|scope| {
            let ask = |share| self.ask_all(share, effort, &ready);
            let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || ask(share))).collect();
            threads.into_iter().map(|thread| thread.join().expect("asking does not panic")).collect()
        });
        merge(shares.into_iter().collect::<Outcome<_>>()?)
    }

    /// A pass, judged.
    pub(super) fn point(
        &self,
        range: Range<usize>,
        effort: Effort,
        setting: String,
        judge: &mut Judge<'_>,
    ) -> Outcome<Point> {
        let pass = self.pass(range.clone(), effort)?;
        let recall = judge.recall(range.start, &self.queries[range], &pass.answers)?;
        let count = pass.answers.len() as f64;
        Ok(Point {
            setting,
            ef: if let Effort::Ef(ef) = effort { Some(ef) } else { None },
            target: if let Effort::Recall(target) = effort { Some(target) } else { None },
            recall,
            qps: pass.per_second(),
            p50_us: quantile(&pass.nanoseconds, 0.5) / 1e3,
            p99_us: quantile(&pass.nanoseconds, 0.99) / 1e3,
            distances: pass.profile.distances as f64 / count,
            hops: pass.profile.hops as f64 / count,
            exact_reads: pass.profile.exact_reads as f64 / count,
        })
    }

    /// The work of one thread: some queries to get warm, then, when all threads are, its share of them.
    fn ask_all(&self, queries: &[&[f32]], effort: Effort, ready: &Barrier) -> Outcome<Share> {
        let warm = queries.iter().take(WARM_UP).try_for_each(|query| self.ask(query, effort).map(drop));
        let (mut hits, mut nanoseconds) =
            (Vec::with_capacity(queries.len()), Vec::with_capacity(queries.len()));
        let mut profile = Profile::default();
        // Before any error is returned: the other threads wait for this one.
        ready.wait();
        warm?;
        let start = Instant::now();
        for query in queries {
            let asked = Instant::now();
            let (found, counts) = self.ask(query, effort)?;
            nanoseconds.push(asked.elapsed().as_nanos() as u64);
            hits.push(found);
            profile += counts;
        }
        Ok(Share { hits, nanoseconds, start, end: Instant::now(), profile })
    }

    fn ask(&self, query: &[f32], effort: Effort) -> vectra::Result<(Vec<Hit>, Profile)> {
        let builder = self.index.query(query).top_k(self.k).without_metadata();
        match effort {
            Effort::Default => builder.run_profiled(),
            Effort::Ef(ef) => builder.ef(ef).run_profiled(),
            Effort::Recall(recall) => builder.recall(recall).run_profiled(),
            Effort::Exact => builder.exact().run_profiled(),
        }
    }
}

/// Puts the shares, of which there is at least one, together in their order.
fn merge(shares: Vec<Share>) -> Outcome<Pass> {
    let start = shares.iter().map(|share| share.start).min().expect("there is a share");
    let end = shares.iter().map(|share| share.end).max().expect("there is a share");
    let seconds = (end - start).as_secs_f64();
    let mut pass =
        Pass { answers: Vec::new(), nanoseconds: Vec::new(), seconds, profile: Profile::default() };
    for share in shares {
        pass.nanoseconds.extend(share.nanoseconds);
        pass.profile += share.profile;
        for hits in share.hits {
            pass.answers.push(hits.iter().map(row).collect::<Outcome<_>>()?);
        }
    }
    pass.nanoseconds.sort_unstable();
    Ok(pass)
}

fn row(hit: &Hit) -> Outcome<u64> {
    match &hit.id {
        ItemId::U64(row) => Ok(*row),
        other => Err(format!("the index holds the id {other}, no row number: it was not built here").into()),
    }
}
