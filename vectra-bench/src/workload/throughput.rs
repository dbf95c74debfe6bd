//! Queries per second: many at once by exact scan, and by graph over several threads.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Serialize;
use vectra::{Builder, Index};

use super::exact::Turns;
use super::progress::Progress;
use super::query::{Asker, Effort, Queries};
use crate::Outcome;
use crate::args::ThroughputArgs;
use crate::measure::median;
use crate::report::ExactScan;

/// How many queries are asked together.
const TOGETHER: [usize; 5] = [1, 4, 16, 64, 256];
/// Turns that single exact queries and plain reading take in a round.
const TURNS: usize = 3;
/// Components of the kernel's vectors, and how many it has of them: they fit the second-level cache.
const KERNEL: (usize, usize) = (384, 256);
/// How long a kernel loop runs.
const KERNEL_TIME: Duration = Duration::from_millis(100);

/// What was measured; each figure is the median of the rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ThroughputReport {
    pub(crate) rounds: usize,
    pub(crate) exact: Exact,
    pub(crate) scaling: Scaling,
}

/// Exact scans by one thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Exact {
    /// One query after the other, against plain reading.
    pub(crate) scan: ExactScan,
    /// So many queries at once, and how many of them are answered in a second.
    pub(crate) together: Vec<(usize, f64)>,
}

/// Queries by graph with the default effort.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Scaling {
    pub(crate) threads: usize,
    /// Queries per second of one thread and of all, one query per call.
    pub(crate) calls: (f64, f64),
    /// The same of many queries at once.
    pub(crate) together: (f64, f64),
    /// Distances per second of a kernel over vectors that each thread has to itself.
    pub(crate) kernel: (f64, f64),
    /// How far calls scale over how far the kernel does, in the same round.
    pub(crate) calls_share: f64,
    /// How far many at once scale over how far the kernel does, in the same round.
    pub(crate) together_share: f64,
}

impl ThroughputReport {
    /// The report as text.
    pub(crate) fn table(&self) -> String {
        let Self { rounds, exact, scaling } = self;
        let together =
            |(count, qps): &(usize, f64)| format!("exact, {count:4} at once: {qps:9.0} queries/s\n");
        let pair = |(name, (one, all)): (&str, (f64, f64))| {
            format!("{name:10} {one:12.0} {all:12.0}  {:.3} times\n", all / one)
        };
        let pairs =
            [("calls", scaling.calls), ("together", scaling.together), ("kernel", scaling.kernel)].map(pair);
        format!(
            "medians of {rounds} rounds\n{}\n{}\
             per second, one thread and {}:\n{}against the kernel: calls {:.3}, together {:.3}\n",
            exact.scan,
            exact.together.iter().map(together).collect::<Vec<_>>().concat(),
            scaling.threads,
            pairs.concat(),
            scaling.calls_share,
            scaling.together_share
        )
    }
}

/// One round of everything.
struct Round {
    scan: ExactScan,
    together: [f64; TOGETHER.len()],
    calls: (f64, f64),
    walks: (f64, f64),
    kernel: (f64, f64),
}

/// Measures an index that is there, everything once in each round.
pub(crate) fn throughput(args: &ThroughputArgs) -> Outcome<ThroughputReport> {
    let queries = Queries::read(&args.queries, 0, None)?;
    let queries = queries.all();
    let index = Builder::new().open(&args.index)?;
    index.wait_optimized()?;
    let mut turns = Turns::new(&index, &queries, args.k);
    let measured = Measured { index: &index, queries: &queries, args };
    let mut rounds = Vec::with_capacity(args.rounds);
    measured.round(&mut turns)?;
    for number in 0..args.rounds {
        let _progress = Progress::new(format!("round {number}"));
        rounds.push(measured.round(&mut turns)?);
    }
    let median = |of: &dyn Fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let scale = |(one, all): (f64, f64)| all / one;
    let report = ThroughputReport {
        rounds: args.rounds,
        exact: Exact {
            scan: ExactScan::median(&rounds.iter().map(|round| round.scan).collect::<Vec<_>>()),
            together: (0..TOGETHER.len()).map(|i| (TOGETHER[i], median(&|r| r.together[i]))).collect(),
        },
        scaling: Scaling {
            threads: args.threads,
            calls: (median(&|r| r.calls.0), median(&|r| r.calls.1)),
            together: (median(&|r| r.walks.0), median(&|r| r.walks.1)),
            kernel: (median(&|r| r.kernel.0), median(&|r| r.kernel.1)),
            calls_share: median(&|r| scale(r.calls) / scale(r.kernel)),
            together_share: median(&|r| scale(r.walks) / scale(r.kernel)),
        },
    };
    index.close()?;
    Ok(report)
}

/// What all rounds have in common.
struct Measured<'a> {
    index: &'a Index,
    queries: &'a [&'a [f32]],
    args: &'a ThroughputArgs,
}

impl Measured<'_> {
    fn round(&self, turns: &mut Turns<'_>) -> Outcome<Round> {
        let scan = turns.take(TURNS)?;
        let mut together = [0.0; TOGETHER.len()];
        for (qps, count) in together.iter_mut().zip(TOGETHER) {
            let queries: Vec<&[f32]> = self.queries.iter().cycle().take(count).copied().collect();
            *qps = self.per_second(&queries, 1, true)?;
        }
        let threads = self.args.threads;
        Ok(Round {
            scan,
            together,
            kernel: (kernel(1), kernel(threads)),
            calls: (self.calls(1)?, self.calls(threads)?),
            walks: (self.per_second(self.queries, 1, false)?, self.per_second(self.queries, threads, false)?),
        })
    }

    fn per_second(&self, queries: &[&[f32]], threads: usize, exact: bool) -> Outcome<f64> {
        let batch = self.index.query_batch(queries).top_k(self.args.k).without_metadata().threads(threads);
        let batch = if exact { batch.exact() } else { batch };
        let start = Instant::now();
        black_box(batch.run()?);
        Ok(queries.len() as f64 / start.elapsed().as_secs_f64())
    }

    fn calls(&self, threads: usize) -> Outcome<f64> {
        let asker = Asker { index: self.index, queries: self.queries, k: self.args.k, threads };
        Ok(asker.pass(0..self.queries.len(), Effort::Default)?.per_second())
    }
}

/// Distances per second of so many threads, each over vectors of its own that fit its caches.
fn kernel(threads: usize) -> f64 {
    let (dim, rows) = KERNEL;
    let one = || {
        let vectors: Vec<f32> = (0..dim * rows).map(|i| (i % 97) as f32).collect();
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < KERNEL_TIME {
            let query = &vectors[count % rows * dim..][..dim];
            vectors.chunks_exact(dim).for_each(|row| _ = black_box(distance(query, row)));
            count += rows;
        }
        count as f64 / start.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a kernel does not panic")).sum()
    })
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_computes_distances() {
        let (a, b) = ([1.0; 32], [3.0; 32]);
        assert!((distance(&a, &b) - 128.0).abs() < 1e-6);
        assert!(kernel(2) > 0.0);
    }
}
