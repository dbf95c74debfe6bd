//! What a compaction of the whole index does to the queries of one thread meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use vectra::{Builder, Durability, ErrorKind, Index, Item, Metric, Settings};

use super::progress::Progress;
use crate::Outcome;
use crate::args::InterfereArgs;
use crate::data::Synthetic;
use crate::measure;

/// Rows written at a time.
const BATCH_ROWS: u64 = 1000;
const SEED: u64 = 7;
/// Neighbours per node of a default graph.
const M: u64 = 16;
/// The memory is looked at after so many queries.
const LOOK_QUERIES: u64 = 512;
/// Questions are rows that the index does not hold.
const QUESTIONS_FROM: u64 = 1 << 40;

/// What was measured. Times of queries are microseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct InterfereReport {
    pub(crate) rows: u64,
    pub(crate) dim: usize,
    /// Queries asked while nothing else went on, before and after each compaction.
    pub(crate) idle: Times,
    /// Queries asked while the index was compacted.
    pub(crate) busy: Times,
    /// Busy over idle.
    pub(crate) p50_ratio: f64,
    pub(crate) p99_ratio: f64,
    /// How long the compactions took, in seconds.
    pub(crate) compaction_s: Vec<f64>,
    /// Resident memory before the first compaction, and the most during any, in bytes.
    pub(crate) rss_idle_bytes: Option<u64>,
    pub(crate) rss_peak_bytes: Option<u64>,
    /// Of that, what no file backs.
    pub(crate) anonymous_idle_bytes: Option<u64>,
    pub(crate) anonymous_peak_bytes: Option<u64>,
    /// How much more of it the architecture page allows a compaction.
    pub(crate) allowed_bytes: u64,
    /// The parts of the index on disk.
    pub(crate) part_bytes: u64,
}

/// The times of one kind of queries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Times {
    pub(crate) queries: usize,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Times {
    fn of(mut nanoseconds: Vec<u64>) -> Outcome<Self> {
        nanoseconds.sort_unstable();
        if nanoseconds.is_empty() {
            return Err("no query was asked; use more rows or --idle-s".into());
        }
        let at = |share| measure::quantile(&nanoseconds, share) / 1e3;
        Ok(Self { queries: nanoseconds.len(), p50_us: at(0.5), p99_us: at(0.99) })
    }
}

impl InterfereReport {
    /// The report as text.
    pub(crate) fn table(&self) -> String {
        let mebibytes =
            |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), |b| format!("{} MiB", b >> 20));
        let line = |name: &str, times: &Times| {
            format!(
                "{name:5} {:8} queries  p50 {:9.1} us  p99 {:9.1} us\n",
                times.queries, times.p50_us, times.p99_us
            )
        };
        format!(
            "{} rows of {} components, parts {} MiB, compactions {:.1?} s\n{}{}ratio          p50 {:9.2}     p99 {:9.2}\n\
             resident {} idle, {} at most while compacting; {} and {} without files, {} more allowed\n",
            self.rows,
            self.dim,
            self.part_bytes >> 20,
            self.compaction_s,
            line("idle", &self.idle),
            line("busy", &self.busy),
            self.p50_ratio,
            self.p99_ratio,
            mebibytes(self.rss_idle_bytes),
            mebibytes(self.rss_peak_bytes),
            mebibytes(self.anonymous_idle_bytes),
            mebibytes(self.anonymous_peak_bytes),
            mebibytes(Some(self.allowed_bytes)),
        )
    }
}

/// Builds the index if it is not there, then measures idle and busy in turns.
pub(crate) fn interfere(args: &InterfereArgs) -> Outcome<InterfereReport> {
    let set = Synthetic { seed: SEED, dim: args.dim };
    let index = open_or_build(args, &set)?;
    index.wait_optimized()?;
    let mut asker = Asker { index: &index, set, next: QUESTIONS_FROM, anonymous_peak_bytes: None };
    let enough = Duration::from_secs_f64(args.idle_s);
    let mut warm = Vec::new();
    asker.ask_until(&mut warm, |elapsed| elapsed < enough / 4)?;
    let (rss_idle_bytes, anonymous_idle_bytes) = (measure::resident_bytes(), measure::anonymous_bytes());
    measure::forget_resident_peak();
    let (mut idle, mut busy, mut compaction_s) = (Vec::new(), Vec::new(), Vec::new());
    let mut victims = 0..args.rows;
    for round in 0..args.rounds {
        let _progress = Progress::new(format!("round {round}"));
        asker.ask_until(&mut idle, |elapsed| elapsed < enough)?;
        // One dead row is reason enough to write everything anew.
        let dead = victims
            .by_ref()
            .map(|n| index.delete_item(n))
            .find(|done| !matches!(done, Ok(r) if r.items == 0));
        dead.ok_or("nothing is left to delete")??;
        let (start, done) = (Instant::now(), AtomicBool::new(false));
        let compacted = thread::scope(|scope| -> Outcome<()> {
            let compaction = scope.spawn(|| {
                let result = index.compact();
                done.store(true, Ordering::Release);
                result
            });
            asker.ask_until(&mut busy, |_| !done.load(Ordering::Acquire))?;
            compaction.join().map_err(|_| "the compaction panicked")?.map_err(Into::into)
        });
        compacted?;
        compaction_s.push(start.elapsed().as_secs_f64());
        asker.ask_until(&mut idle, |elapsed| elapsed < enough)?;
    }
    let rss_peak_bytes = measure::resident_bytes_peak();
    let (idle, busy) = (Times::of(idle)?, Times::of(busy)?);
    let report = InterfereReport {
        rows: index.stats().items,
        dim: args.dim,
        p50_ratio: busy.p50_us / idle.p50_us,
        p99_ratio: busy.p99_us / idle.p99_us,
        idle,
        busy,
        compaction_s,
        rss_idle_bytes,
        rss_peak_bytes,
        anonymous_idle_bytes,
        anonymous_peak_bytes: asker.anonymous_peak_bytes,
        allowed_bytes: allowed_bytes(args.rows, args.dim as u64),
        part_bytes: index.stats().part_bytes(),
    };
    index.close()?;
    Ok(report)
}

/// What a compaction of so many rows without metadata may take: the merge and the codes and the graph it builds (see the
/// architecture page), and the verified copies of both.
fn allowed_bytes(rows: u64, dim: u64) -> u64 {
    let merge = (8 + 8 + 17) * rows + (32 << 20);
    let links = 4 * (2 * M + 1) * rows + rows * 4 * M / (M - 1);
    merge + 2 * ((dim + 8) * rows + links)
}

/// Asks one question after the other.
struct Asker<'a> {
    index: &'a Index,
    set: Synthetic,
    next: u64,
    /// The most that was seen.
    anonymous_peak_bytes: Option<u64>,
}

impl Asker<'_> {
    fn ask_until(&mut self, times: &mut Vec<u64>, go_on: impl Fn(Duration) -> bool) -> Outcome<()> {
        let begun = Instant::now();
        while go_on(begun.elapsed()) {
            let query = self.set.vector(self.next);
            self.next += 1;
            let start = Instant::now();
            self.index.query(&query).without_metadata().run()?;
            times.push(u64::try_from(start.elapsed().as_nanos())?);
            if self.next.is_multiple_of(LOOK_QUERIES) {
                self.anonymous_peak_bytes = self.anonymous_peak_bytes.max(measure::anonymous_bytes());
            }
        }
        Ok(())
    }
}

fn open_or_build(args: &InterfereArgs, set: &Synthetic) -> Outcome<Index> {
    let builder = || Builder::new().threads(1);
    match builder().open(&args.index) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        index => return Ok(index?),
    }
    let settings = Settings::new(u32::try_from(args.dim)?).with_metric(Metric::L2);
    let index = builder().create(&args.index, settings)?;
    let progress = Progress::new("writing rows");
    let deferred = index.defer_optimization();
    let writer = index.with_durability(Durability::None);
    for first in (0..args.rows).step_by(BATCH_ROWS as usize) {
        let rows = first..(first + BATCH_ROWS).min(args.rows);
        writer.insert_items(rows.clone().map(|n| Item::new(n, set.vector(n))).collect())?;
        progress.at(usize::try_from(rows.end)?, usize::try_from(args.rows)?);
    }
    drop(deferred);
    Ok(index)
}
