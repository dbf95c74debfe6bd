//! Codes without an engine around them: bytes per vector, what a scan of them finds, alone and re-ranked, and how long it takes.

mod report;
mod rung;

use std::hint::black_box;
use std::io::BufRead;
use std::time::Instant;

use half::f16;
use vectra_core::scorer::Scorer as _;
use vectra_core::vector::dense::DenseStore;

pub(crate) use self::report::{CodesReport, Line, Pruned, Reranked};
pub(crate) use self::rung::Rung;

use self::rung::{Built, build};
use super::Progress;
use super::query::Queries;
use crate::Outcome;
use crate::args::CodesArgs;
use crate::data::Array;
use crate::measure::median;
use crate::truth::{Judge, Rows};

/// Queries in a call where many are asked at once.
const TOGETHER: usize = 32;

/// Vectors, queries and what is right.
struct Set<'a> {
    exact: DenseStore<f16>,
    queries: &'a [&'a [f32]],
    k: usize,
}

/// Encodes the base with each rung and asks every query.
pub(crate) fn codes(args: &CodesArgs) -> Outcome<CodesReport> {
    let mut truth = Array::open(&args.truth)?;
    let queries = Queries::read(&args.queries, 0, args.queries_max)?;
    let mut base = Array::open(&args.base)?;
    let (rows, dim) = (base.rows(), base.columns());
    if dim != queries.dim() || rows == 0 {
        return Err(format!("{rows} vectors of {dim} components, queries of {}", queries.dim()).into());
    }
    let vectors = base.vectors(0, rows)?;
    let queries = queries.all();
    let set =
        Set { exact: DenseStore::from_vectors(&vectors, dim, args.metric), queries: &queries, k: args.k };
    let mut judge = Judge::new(args.metric, args.k, (&mut truth, 0), &queries, Rows::File(base))?;
    let mut lines = Vec::new();
    for rung in &args.rungs {
        let progress = Progress::new(format!("encoding by {rung}"));
        let built = build(*rung, &vectors, dim, args.metric, args.seed)?;
        drop(progress);
        let progress = Progress::new(format!("asking codes of {rung}"));
        let line = measured(&set, &built, *rung, &mut judge, args)?;
        drop(progress);
        if args.serve {
            serve(&set, &built, &line)?;
        }
        lines.push(line);
    }
    Ok(CodesReport { rows, dim, metric: args.metric.to_string(), queries: queries.len(), k: args.k, lines })
}

/// What one rung finds, and its medians over the turns.
fn measured(
    set: &Set<'_>,
    built: &Built,
    rung: Rung,
    judge: &mut Judge<'_>,
    args: &CodesArgs,
) -> Outcome<Line> {
    let (recall, _) = asked(set, built, 0, Some(judge))?;
    let times: Outcome<Vec<f64>> = (0..args.turns).map(|_| Ok(asked(set, built, 0, None)?.1)).collect();
    let together = asked_together(set, built);
    let mut reranked = Vec::new();
    for candidates in &args.candidates {
        let (recall, _) = asked(set, built, *candidates, Some(judge))?;
        let times: Outcome<Vec<f64>> =
            (0..args.turns).map(|_| Ok(asked(set, built, *candidates, None)?.1)).collect();
        reranked.push(Reranked { candidates: *candidates, recall, us: median(times?) });
    }
    let pruned: Outcome<Vec<Option<Pruned>>> =
        args.eps.iter().map(|eps| pruned(set, built, *eps, judge, args.turns)).collect();
    Ok(Line {
        rung: rung.to_string(),
        bytes: built.bytes_per_row,
        train_s: built.train_s,
        encode_s: built.encode_s,
        encode_mb_per_s: built.input_bytes as f64 / 1e6 / built.encode_s.max(f64::MIN_POSITIVE),
        recall,
        us: median(times?),
        together_us: together,
        reranked,
        pruned: pruned?.into_iter().flatten().collect(),
    })
}

/// Re-ranks what ranges of `eps` deviations leave open, if these codes say ranges.
fn pruned(
    set: &Set<'_>,
    built: &Built,
    eps: f32,
    judge: &mut Judge<'_>,
    turns: usize,
) -> Outcome<Option<Pruned>> {
    let (view, mut times, mut reads, mut answers) = (set.exact.view(), Vec::new(), 0, Vec::new());
    for _ in 0..=turns {
        (reads, answers) = (0, Vec::new());
        let start = Instant::now();
        for query in set.queries {
            let mut scorer = view.scorer(query);
            let Some(found) = built.scan.pruned(query, set.k, eps, &mut |slot| scorer.score(slot)) else {
                return Ok(None);
            };
            reads += found.reads;
            answers.push(found.nearest.iter().map(|near| u64::from(near.slot)).collect());
        }
        times.push(start.elapsed().as_secs_f64() * 1e6 / set.queries.len() as f64);
    }
    let recall = judge.recall(0, set.queries, &answers)?;
    let reads = reads as f64 / set.queries.len() as f64;
    Ok(Some(Pruned { eps, reads, recall, us: median(times) }))
}

/// All queries, one after the other: recall, if there is a judge, and microseconds a query. With `candidates` so many nearest by codes
/// are compared exactly, otherwise the codes have the last word.
fn asked(
    set: &Set<'_>,
    built: &Built,
    candidates: usize,
    judge: Option<&mut Judge<'_>>,
) -> Outcome<(f64, f64)> {
    let (view, mut answers, mut distances) = (set.exact.view(), Vec::new(), vec![0.0; candidates]);
    let start = Instant::now();
    for query in set.queries {
        if candidates == 0 {
            let found = built.scan.nearest(query, set.k);
            answers.push(found.iter().map(|near| u64::from(near.slot)).collect::<Vec<u64>>());
            continue;
        }
        let found = built.scan.candidates(query, candidates);
        let slots: Vec<u32> = found.iter().map(|near| near.slot).collect();
        let distances = &mut distances[..slots.len()];
        view.scorer(query).exact(&slots, distances);
        let mut exact: Vec<(f32, u32)> = distances.iter().copied().zip(slots).collect();
        exact.sort_by(|a, b| a.0.total_cmp(&b.0));
        answers.push(exact.iter().take(set.k).map(|(_, slot)| u64::from(*slot)).collect());
    }
    let us = start.elapsed().as_secs_f64() * 1e6 / set.queries.len() as f64;
    black_box(&answers);
    let recall = judge.map(|judge| judge.recall(0, set.queries, &answers)).transpose()?;
    Ok((recall.unwrap_or_default(), us))
}

/// Microseconds a query of all queries, [`TOGETHER`] in a call, if these codes take many at once.
fn asked_together(set: &Set<'_>, built: &Built) -> Option<f64> {
    let start = Instant::now();
    for queries in set.queries.chunks(TOGETHER) {
        black_box(built.scan.nearest_of_many(queries, set.k)?);
    }
    Some(start.elapsed().as_secs_f64() * 1e6 / set.queries.len() as f64)
}

/// Tells what was measured and takes one more turn for each line that comes in: another program takes turns with this one.
fn serve(set: &Set<'_>, built: &Built, line: &Line) -> Outcome<()> {
    println!("{}", serde_json::to_string(line)?);
    for asked_for in std::io::stdin().lock().lines() {
        let asked_for = asked_for?;
        let us = match asked_for.trim() {
            "together" => asked_together(set, built),
            candidates => Some(asked(set, built, candidates.parse()?, None)?.1),
        };
        println!("{}", us.map_or_else(|| "none".to_owned(), |us| us.to_string()));
    }
    Ok(())
}
