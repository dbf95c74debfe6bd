//! The true neighbours of many queries: one pass over the codes for all of them, then exact distances of the best.

use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::{Neighbor, TopK};

use super::sample::Question;
use crate::segment::calibration::WANTED;

/// How many are kept by their codes: four times as many as are ever wanted, and some.
pub(super) const KEPT: usize = 4 * WANTED[WANTED.len() - 1] as usize + 32;

/// Rows scored for all queries before the next ones are: their codes stay in the second-level cache meanwhile.
const TILE: u32 = 512;

/// A near row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) slot: u32,
    /// Its distance by its code.
    pub(super) estimate: f32,
    /// How many are nearer by their codes.
    pub(super) rank: u32,
    /// Its distance; the estimate until it is computed.
    pub(super) exact: f32,
}

/// The rows nearest to each of `questions` by their codes, nearest first, without the row that the query was made of.
pub(super) fn nearest<V: VectorStore>(store: &V, questions: &[Question]) -> Vec<Vec<Near>> {
    let rows = store.len() as u32;
    let mut scorers: Vec<_> = questions.iter().map(|question| store.bind(&question.vector)).collect();
    let mut best: Vec<TopK<Neighbor>> = questions.iter().map(|_| TopK::new(KEPT)).collect();
    for tile in (0..rows).step_by(TILE as usize) {
        for ((question, scorer), best) in questions.iter().zip(&mut scorers).zip(&mut best) {
            for first in (tile..rows.min(tile + TILE)).step_by(64) {
                offer(scorer, first..rows.min(first + 64), question.row, best);
            }
        }
    }
    best.into_iter().map(|best| (0..).zip(best.into_sorted()).map(near).collect()).collect()
}

/// Scores at most 64 slots.
fn offer<S: Scorer>(scorer: &mut S, range: std::ops::Range<u32>, without: u32, best: &mut TopK<Neighbor>) {
    let (mut slots, mut distances, mut len) = ([0; 64], [0.0; 64], 0);
    for slot in range {
        slots[len] = slot;
        len += 1;
    }
    scorer.score_all(&slots[..len], &mut distances[..len]);
    let mut bound = best.bound();
    for (slot, distance) in slots[..len].iter().zip(distances) {
        if distance <= bound && *slot != without {
            best.push(Neighbor { distance, slot: *slot });
            bound = best.bound();
        }
    }
}

fn near((rank, found): (u32, Neighbor)) -> Near {
    Near { slot: found.slot, estimate: found.distance, rank, exact: found.distance }
}
