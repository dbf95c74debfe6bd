//! The gate: a fixed piece of work that costs the same on every machine, against what it cost when it was recorded.
//!
//! Data, chance, time and background work come out of seeds, files are in memory, and one thread does everything. What
//! is counted are computations, bytes and syncs, so that a run on a busy machine or without optimization says the same.

mod meter;
mod record;
mod search;
mod world;
mod writes;

use std::path::Path;

use vectra::{ElementKind, Metric};

use super::progress::Progress;
use crate::args::GateArgs;
use crate::{Outcome, report};
use record::{Change, Record, Verdict};
use search::{Ask, Effort, Load, Search, Want};
use writes::Writes;

/// What is done.
#[derive(Debug, Clone)]
struct Plan {
    searches: Vec<Search>,
    writes: Writes,
}

impl Plan {
    /// The plan that is recorded: a graph over each of two kinds of vectors, rows without one, and writes.
    fn whole() -> Self {
        let ask = |name, effort, want| Ask { name, effort, want };
        let graph = vec![
            ask("ef=16", Effort::Ef(16), Want::All),
            ask("ef=64", Effort::Ef(64), Want::All),
            ask("default", Effort::Default, Want::All),
            ask("most", Effort::Ef(16), Want::Most),
            ask("tag", Effort::Default, Want::Tag),
            ask("plain", Effort::Default, Want::Plain),
            ask("exact", Effort::Exact, Want::All),
        ];
        let l2 = Search {
            name: "l2",
            metric: Metric::L2,
            element: ElementKind::F32,
            dim: 64,
            rows: 10_000,
            load: Load::Bulk,
            queries: 300,
            asks: graph,
            graph: None,
        };
        let cosine = Search {
            name: "cosine",
            metric: Metric::Cosine,
            element: ElementKind::F16,
            dim: 128,
            rows: 5_000,
            load: Load::Batches,
            asks: l2.asks[..4].to_vec(),
            ..l2.clone()
        };
        let unsealed = Search {
            name: "unsealed",
            metric: Metric::Dot,
            dim: 32,
            rows: 4_000,
            load: Load::Unsealed,
            asks: l2.asks[2..6].to_vec(),
            ..l2.clone()
        };
        let writes = Writes { inserts: 200, with: |builder| builder };
        Self { searches: vec![l2, cosine, unsealed], writes }
    }

    fn run(&self) -> Outcome<Record> {
        let mut record = Record::default();
        for search in &self.searches {
            let _progress = Progress::new(format!("building and asking {}", search.name));
            search.run(&mut record)?;
        }
        let _progress = Progress::new("writing items one by one");
        self.writes.run(&mut record)?;
        Ok(record)
    }
}

/// What was found, and how it stands to what was recorded.
#[derive(Debug)]
pub(crate) struct GateReport {
    pub(crate) found: Record,
    verdict: Verdict,
}

impl GateReport {
    /// What changed, as text.
    pub(crate) fn table(&self) -> String {
        self.verdict.table()
    }

    /// Whether the gate opens: nothing is worse, unless that was just recorded.
    pub(crate) fn outcome(&self, blessed: bool) -> Outcome<()> {
        let failures = self.verdict.failures();
        if blessed {
            println!("recorded");
        } else if failures > 0 {
            let figures = if failures == 1 { "figure is" } else { "figures are" };
            return Err(format!("{failures} {figures} not as recorded; if that is meant, use --bless").into());
        } else if self.verdict.count(Change::Better) > 0 {
            println!("some figures are better than recorded: use --bless to keep it so");
        }
        Ok(())
    }
}

/// Does the work, compares, and records what was found if told so.
pub(crate) fn gate(args: &GateArgs) -> Outcome<GateReport> {
    let recorded = match read(&args.baseline) {
        // There need not be a baseline, nor one that is understood, to make one.
        Err(_) if args.bless => Record::default(),
        recorded => recorded?,
    };
    let found = Plan::whole().run()?;
    if args.bless {
        std::fs::write(&args.baseline, report::json(&found)?)
            .map_err(|error| format!("{}: {error}", args.baseline.display()))?;
    }
    let verdict = found.against(&recorded);
    Ok(GateReport { found, verdict })
}

fn read(file: &Path) -> Outcome<Record> {
    let text = std::fs::read(file)
        .map_err(|error| format!("{}: {error}; --bless records a baseline", file.display()))?;
    Ok(serde_json::from_slice(&text)
        .map_err(|error| format!("{}: not a record of the gate: {error}", file.display()))?)
}

#[cfg(test)]
mod tests;
