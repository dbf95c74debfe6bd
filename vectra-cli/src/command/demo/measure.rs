//! How well and how fast: the default search against the exact one, and opening again.

use std::path::Path;
use std::time::{Duration, Instant};

use vectra::{Hit, Index};

use crate::failure::Result;
use crate::folder;
use crate::output::{Output, count};

const K: usize = 10;

/// Two exact scores this close are the same: they differ only by the order of additions.
const TIE: f32 = 1e-6;

/// The answers of one way to search.
#[derive(Default)]
struct Answers {
    hits: Vec<Vec<Hit>>,
    times: Vec<Duration>,
    distances: u64,
}

/// Runs all queries both ways and prints recall, times and distances.
pub(super) fn agreement(index: &Index, queries: &[Vec<f32>], output: &mut Output) -> Result<()> {
    let exact = answers(index, queries, true)?;
    let found = answers(index, queries, false)?;
    let pairs = found.hits.iter().zip(&exact.hits);
    let right: usize = pairs.map(|(found, exact)| agreeing(found, exact)).sum();
    let wanted: usize = exact.hits.iter().map(Vec::len).sum();
    let recall = right as f64 / wanted.max(1) as f64;
    let line = |name: &str, recall: f64, answers: &Answers| {
        let each = answers.distances / queries.len() as u64;
        vec![name.to_owned(), format!("{recall:.3}"), format!("{:.3} ms", ms(&answers.times)), count(each)]
    };
    output.line("")?;
    output
        .heading(&format!("{} queries, {K} neighbours each, against a scan of everything", queries.len()))?;
    let rows = [line("default", recall, &found), line("exact scan", 1.0, &exact)];
    output.table(&["search", ">recall@10", ">median time", ">distances per query"], &rows)
}

fn answers(index: &Index, queries: &[Vec<f32>], exact: bool) -> Result<Answers> {
    let mut answers = Answers::default();
    for query in queries {
        let mut builder = index.query(query).top_k(K).without_metadata();
        if exact {
            builder = builder.exact();
        }
        let started = Instant::now();
        let (hits, profile) = builder.run_profiled()?;
        answers.times.push(started.elapsed());
        answers.distances += profile.distances + profile.exact_reads;
        answers.hits.push(hits);
    }
    Ok(answers)
}

/// How many hits are as near as the last of the exact answer.
fn agreeing(found: &[Hit], exact: &[Hit]) -> usize {
    let Some(last) = exact.last() else { return 0 };
    found.iter().filter(|hit| hit.distance <= last.distance + TIE).count()
}

/// The median in milliseconds.
fn ms(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or(0.0, |median| median.as_secs_f64() * 1e3)
}

/// Opens the index again and asks one question.
pub(super) fn reopening(dir: &Path, query: &[f32], output: &mut Output) -> Result<()> {
    let started = Instant::now();
    let index = folder::open(dir)?;
    index.query(query).run()?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    output.line("")?;
    output.line(format!("closed, opened again and answered: {took:.1} ms"))?;
    Ok(index.close()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(distances: &[f32]) -> Vec<Hit> {
        let hit = |d: &f32| Hit { id: 1.into(), distance: *d, metadata: None, vector: None };
        distances.iter().map(hit).collect()
    }

    #[test]
    fn a_tie_counts_as_right() {
        assert_eq!(agreeing(&hits(&[0.1, 0.2, 0.3]), &hits(&[0.1, 0.15, 0.2])), 2);
        assert_eq!(agreeing(&hits(&[0.1]), &[]), 0);
    }

    #[test]
    fn the_median_is_the_middle() {
        let times = [5, 1, 3].map(Duration::from_millis);
        assert!((ms(&times) - 3.0).abs() < 1e-9);
        assert!(ms(&[]).abs() < 1e-9);
    }
}
