//! Measuring which walks of a new graph reach which recall.
//!
//! Points between two rows of the segment, as they are and moved by noise of growing size, stand for the queries to come:
//! held out (the walk never meets the nearer row itself), they are answered as well as queries that lie equally far from
//! everything. That distance is known when the descent ends, so the table is kept by it, and queries of another kind, which
//! lie farther out than any row, get a rule of their own. Their true neighbours come from a scan, and one wide walk each tells what
//! every narrower one would have found (`watch.rs` of the graph). Deterministic for a seed, whatever the threads.

mod choose;
mod nearest;
mod sample;
mod trace;

use vectra_core::Metric;
use vectra_core::env::in_parallel;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{HnswView, Scratch};
use vectra_tier::ReadBuf;

use super::calibration::{Calibration, first_scale};
use super::exact::ExactQuery;
use super::truth::Truth;
use crate::error::Result;
use choose::choose;
use nearest::nearest;
use sample::{Question, questions};
use trace::{Outcome, trace};

/// Smaller segments are mostly scanned, and quick whatever is done.
const ROWS_MIN: u32 = 2048;

/// The most queries. As many keep the error of a recall of 0.95 in a band near 0.01.
const QUESTIONS_MAX: usize = 384;

/// One query for so many rows, so that small segments do not spend more on this than on their graph.
const ROWS_PER_QUESTION: usize = 32;

/// The table of a graph over the rows of `truth`, whose codes are `store`; `None` for a segment that needs none.
///
/// # Errors
/// Where a row cannot be read.
pub(crate) fn calibrate<V: VectorStore>(
    truth: &Truth,
    metric: Metric,
    store: &V,
    graph: &HnswView,
    seed: u64,
    threads: usize,
) -> Result<Option<Calibration>> {
    if truth.rows() < ROWS_MIN {
        return Ok(None);
    }
    let count = (truth.rows() as usize / ROWS_PER_QUESTION).min(QUESTIONS_MAX);
    let questions = questions(truth, metric, count, seed)?;
    let share = questions.len().div_ceil(threads.max(1));
    let parts: Vec<&[Question]> = questions.chunks(share).collect();
    let outcomes = in_parallel(parts.len(), |part| answer_all(truth, metric, store, graph, parts[part]));
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Ok(choose(outcomes))
}

/// What walks find of the true neighbours of `questions`; those whose descent ends at the row itself are left out.
fn answer_all<V: VectorStore>(
    truth: &Truth,
    metric: Metric,
    store: &V,
    graph: &HnswView,
    questions: &[Question],
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(questions.len());
    let (mut scratch, mut buf) = (Scratch::default(), ReadBuf::default());
    for (question, mut near) in questions.iter().zip(nearest(store, questions)) {
        let exact = ExactQuery::new(metric, question.vector.clone());
        for near in &mut near {
            near.exact =
                exact.distance(truth.vectors(near.slot, 1, &mut buf)?, truth.inverse_norm(near.slot)?);
        }
        near.sort_by(|a, b| a.exact.total_cmp(&b.exact).then(a.slot.cmp(&b.slot)));
        let mut scorer = store.bind(&question.vector);
        let outcome = trace(graph, &mut scorer, question.row, &near, &mut scratch);
        let scale = first_scale(metric, &question.vector);
        outcomes.extend(outcome.map(|outcome| Outcome { first: outcome.first * scale, ..outcome }));
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests;
