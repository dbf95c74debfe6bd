//! What rows that are not sealed yet add to a query.

use std::time::Instant;

use serde::Serialize;
use vectra::{Builder, Durability, ElementKind, Index, Item, Metric, Settings};

use super::progress::Progress;
use crate::Outcome;
use crate::args::UnsealedArgs;
use crate::data::Synthetic;
use crate::measure;

/// Rows written at a time.
const BATCH_ROWS: u64 = 1000;
const SEED: u64 = 11;
/// Queries of each index in turn.
const TURN: u64 = 50;
/// Questions are rows that no index holds.
const QUESTIONS_FROM: u64 = 1 << 40;

/// What was measured. Times are microseconds per query of one thread, medians.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct UnsealedReport {
    pub(crate) sealed_rows: u64,
    pub(crate) unsealed_rows: u64,
    pub(crate) dim: usize,
    /// Without unsealed rows.
    pub(crate) without_us: f64,
    /// With them.
    pub(crate) with_us: f64,
    /// What they add: the median over the turns of the difference of medians.
    pub(crate) added_us: f64,
    /// The lowest and the highest quarter of the turns.
    pub(crate) added_quarters_us: (f64, f64),
    /// Bytes of unsealed rows in memory.
    pub(crate) unsealed_bytes: u64,
    /// The share of the ten exact answers that the default effort finds, with the unsealed rows.
    pub(crate) recall: f64,
}

impl UnsealedReport {
    /// The report as text.
    pub(crate) fn table(&self) -> String {
        let (low, high) = self.added_quarters_us;
        format!(
            "{} sealed rows of {} components: {:.1} us per query\nand {} unsealed ({} KiB): {:.1} us, recall {:.4}\n\
             added by those: {:.1} us (half of the turns from {low:.1} to {high:.1})\n",
            self.sealed_rows,
            self.dim,
            self.without_us,
            self.unsealed_rows,
            self.unsealed_bytes >> 10,
            self.with_us,
            self.recall,
            self.added_us,
        )
    }
}

/// Makes two indexes of the same sealed rows, one of them with unsealed ones, and asks both in turns.
pub(crate) fn unsealed(args: &UnsealedArgs) -> Outcome<UnsealedReport> {
    std::fs::create_dir_all(&args.folder)?;
    let set = Synthetic { seed: SEED, dim: args.dim };
    let without = index(args, &set, "without", 0)?;
    let with = index(args, &set, "with", args.rows)?;
    let mut questions = (QUESTIONS_FROM..).map(|n| set.vector(n));
    let (mut a, mut b, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let progress = Progress::new("asking");
    for turn in 0..=args.turns {
        let questions: Vec<Vec<f32>> = questions.by_ref().take(TURN as usize).collect();
        let (one, other) = (ask(&without, &questions)?, ask(&with, &questions)?);
        // The first turn warms up.
        if turn > 0 {
            added.push(measure::quantile(&other, 0.5) / 1e3 - measure::quantile(&one, 0.5) / 1e3);
            a.extend(one);
            b.extend(other);
        }
    }
    drop(progress);
    a.sort_unstable();
    b.sort_unstable();
    added.sort_by(f64::total_cmp);
    let at = |share: usize| added[(added.len() - 1) * share / 4];
    let report = UnsealedReport {
        sealed_rows: args.sealed,
        unsealed_rows: with.stats().shards.iter().map(|shard| shard.unsealed_rows).sum(),
        dim: args.dim,
        without_us: measure::quantile(&a, 0.5) / 1e3,
        with_us: measure::quantile(&b, 0.5) / 1e3,
        added_us: at(2),
        added_quarters_us: (at(1), at(3)),
        unsealed_bytes: with.stats().shards.iter().map(|shard| shard.unsealed_bytes).sum(),
        recall: recall(&with, questions.take(200))?,
    };
    without.close()?;
    with.close()?;
    Ok(report)
}

fn index(args: &UnsealedArgs, set: &Synthetic, name: &str, unsealed: u64) -> Outcome<Index> {
    let settings = Settings::new(u32::try_from(args.dim)?)
        .with_metric(Metric::Cosine)
        .with_element(ElementKind::F16)
        .with_seal_rows(u32::try_from(args.rows.max(args.sealed) + 1)?)
        .with_durability(Durability::None);
    let index = Builder::new().create(args.folder.join(name), settings)?;
    write(&index, set, 0..args.sealed)?;
    index.wait_optimized()?;
    write(&index, set, args.sealed..args.sealed + unsealed)?;
    Ok(index)
}

fn write(index: &Index, set: &Synthetic, rows: std::ops::Range<u64>) -> Outcome<()> {
    let _progress = Progress::new("writing rows");
    for first in rows.clone().step_by(BATCH_ROWS as usize) {
        let some = first..(first + BATCH_ROWS).min(rows.end);
        index.insert_items(some.map(|n| Item::new(n, set.vector(n))).collect())?;
    }
    Ok(())
}

/// Nanoseconds of each query, ascending.
fn ask(index: &Index, questions: &[Vec<f32>]) -> Outcome<Vec<u64>> {
    let mut times = Vec::with_capacity(questions.len());
    for question in questions {
        let start = Instant::now();
        index.query(question).without_metadata().run()?;
        times.push(u64::try_from(start.elapsed().as_nanos())?);
    }
    times.sort_unstable();
    Ok(times)
}

fn recall(index: &Index, questions: impl Iterator<Item = Vec<f32>>) -> Outcome<f64> {
    let (mut found, mut wanted) = (0, 0);
    for question in questions {
        let exact = index.query(&question).without_metadata().exact().run()?;
        let hits = index.query(&question).without_metadata().run()?;
        wanted += exact.len();
        found += exact.iter().filter(|hit| hits.iter().any(|other| other.id == hit.id)).count();
    }
    Ok(found as f64 / wanted as f64)
}
