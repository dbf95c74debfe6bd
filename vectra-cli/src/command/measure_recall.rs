//! `vectra measure-recall`: which share of the true neighbours queries find.

use serde_json::{Value as Json, json};
use vectra::{Probe, RecallReport, RecallSample};

use super::query::{planned_json, query_failure};
use crate::args::MeasureRecallArgs;
use crate::exit::Exit;
use crate::failure::Result;
use crate::folder;
use crate::input::VectorFile;
use crate::output::{Output, count, id_json};

/// Random items where no file of queries is given.
const ROWS: usize = 200;

pub(super) fn run(args: &MeasureRecallArgs, output: &mut Output) -> Result<Exit> {
    let vectors = match &args.queries {
        Some(path) => {
            let rows = VectorFile::open(path)?.rows()?.map(|row| row.map(|row| row.vector));
            rows.collect::<std::result::Result<Vec<_>, _>>()?
        }
        None => Vec::new(),
    };
    let rows = args.rows.unwrap_or(if args.queries.is_some() { 0 } else { ROWS });
    let mut sample = RecallSample::of_vectors(vectors).with_rows(rows).with_seed(args.seed).top_k(args.k);
    if let Some(ef) = args.effort.ef {
        sample = sample.ef(ef);
    }
    if let Some(recall) = args.effort.recall {
        sample = sample.recall(recall);
    }
    let snapshot = folder::read(&args.index)?.snapshot();
    let report = snapshot.measure_recall(&sample).map_err(|e| query_failure(&e, &args.index))?;
    if output.is_json() {
        output.json(&as_json(&report))?;
    } else {
        output.facts(&facts(&report))?;
    }
    Ok(Exit::Ok)
}

fn as_json(report: &RecallReport) -> Json {
    let mut json = json!({
        "recall": report.recall,
        "interval": [report.interval.0, report.interval.1],
        "queries": report.queries,
        "distances": report.profile.distances / report.queries.max(1) as u64,
    });
    if let Some(recall) = report.planned {
        json["planned"] = planned_json(recall, &report.profile);
    }
    if let Some((probe, recall)) = &report.worst {
        json["worst"] = match probe {
            Probe::Item(id) => json!({"item": id_json(id), "recall": recall}),
            Probe::Vector(row) => json!({"query": row, "recall": recall}),
            _ => json!({"recall": recall}),
        };
    }
    json
}

fn facts(report: &RecallReport) -> Vec<(&'static str, String)> {
    let (low, high) = report.interval;
    let mut facts = vec![("recall", format!("{:.4} ({low:.4} to {high:.4} with 95 %)", report.recall))];
    if let Some(recall) = report.planned {
        facts.push(("planned for", recall.to_string()));
    }
    facts.push(("queries", count(report.queries as u64)));
    if let Some((probe, recall)) = &report.worst {
        let name = match probe {
            Probe::Item(id) => format!("the item {id}"),
            Probe::Vector(row) => format!("row {row} of the file"),
            _ => "one".to_owned(),
        };
        facts.push(("worst", format!("{name} found {recall:.2}")));
    }
    facts.push((
        "distances",
        format!("{} a query", count(report.profile.distances / report.queries.max(1) as u64)),
    ));
    facts
}
