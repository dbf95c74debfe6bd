//! How much of the truth queries find: a sample asked as usual and by an exact scan.

use std::collections::BTreeSet;

use vectra_core::ItemId;
use vectra_core::env::{Rng, SeededRng};
use vectra_core::query::{Effort, Profile};

use super::hydrate;
use super::query::QueryBuilder;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::item::Hit;
use crate::snapshot::Located;

/// How much farther than the true k-th neighbour a hit may be and still be right: as far as rounding goes.
const TIE: f32 = 1e-6;

/// Half of a confidence interval of 95 %, in standard errors.
const Z: f64 = 1.96;

/// What cannot be told apart from nothing, in answers: of so many that are all right, one in three hundred may be wrong.
const RULE_OF_THREE: f64 = 3.0;

/// Which queries are asked, and how; see [`Snapshot::measure_recall`].
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a sample says nothing until it is measured"]
pub struct RecallSample {
    rows: usize,
    seed: u64,
    vectors: Vec<Vec<f32>>,
    k: usize,
    effort: Effort,
}

impl RecallSample {
    /// Query vectors of your own: what counts is the recall of the queries that are really asked.
    pub fn of_vectors(vectors: impl IntoIterator<Item = Vec<f32>>) -> Self {
        let vectors = vectors.into_iter().collect();
        Self { rows: 0, seed: 0, vectors, k: 10, effort: Effort::Default }
    }

    /// The vectors of `rows` random items; an item is no answer to its own vector. They are found more easily than queries
    /// of another kind, such as texts where the items are pictures.
    pub fn of_rows(rows: usize) -> Self {
        Self { rows, ..Self::of_vectors([]) }
    }

    /// Random items as well, so many of them.
    pub fn with_rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// Decides which random items.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How many neighbours are asked for (10 unless said otherwise).
    pub fn top_k(mut self, k: usize) -> Self {
        self.k = k;
        self
    }

    /// Asks with [`QueryBuilder::ef`].
    pub fn ef(mut self, ef_search: usize) -> Self {
        self.effort = Effort::Ef(ef_search);
        self
    }

    /// Asks with [`QueryBuilder::recall`].
    pub fn recall(mut self, recall: f32) -> Self {
        self.effort = Effort::Recall(recall);
        self
    }
}

/// A query of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// The vector of this item.
    Item(ItemId),
    /// The given vector of this number, from 0.
    Vector(usize),
}

/// What [`Snapshot::measure_recall`] found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecallReport {
    /// The mean share of the true neighbours that the queries found.
    pub recall: f64,
    /// The mean over all queries like these lies in between with a probability of about 95 %: 1.96 standard errors, and
    /// three answers more for what so small a sample does not show.
    pub interval: (f64, f64),
    /// The recall that was asked for, where one was.
    pub planned: Option<f32>,
    /// How many queries were asked.
    pub queries: usize,
    /// The query that found the smallest share, and that share; the first of several.
    pub worst: Option<(Probe, f64)>,
    /// What the queries did, all together, without the exact scans.
    pub profile: Profile,
}

/// A question of the sample.
struct Asked {
    probe: Probe,
    vector: Vec<f32>,
}

impl Snapshot {
    /// Asks every query of the sample as it says and by an exact scan, and compares: what part of the true neighbours was
    /// found. A hit that is as near as the last of them counts as one.
    ///
    /// # Errors
    /// As [`QueryBuilder::run`]; [`crate::ErrorKind::Invalid`] for a sample without a query.
    pub fn measure_recall(&self, sample: &RecallSample) -> Result<RecallReport> {
        let mut asked = self.draw(sample)?;
        let given = sample.vectors.iter().cloned().enumerate();
        asked.extend(given.map(|(n, vector)| Asked { probe: Probe::Vector(n), vector }));
        let mut profile = Profile::default();
        let mut shares: Vec<(f64, Probe)> = Vec::with_capacity(asked.len());
        for Asked { probe, vector } in asked {
            let query = self.query(&vector).top_k(sample.k).without_metadata();
            let (found, counts) = with_effort(query.clone(), sample.effort).run_profiled()?;
            let truth = query.exact().run()?;
            profile += counts;
            shares.extend(share(&probe, sample.k, found, truth).map(|share| (share, probe)));
        }
        let Some((recall, interval)) = mean(&shares, sample.k) else {
            return Err(Error::invalid("there is no query to measure with, or nothing to find"));
        };
        let planned = if let Effort::Recall(recall) = sample.effort { Some(recall) } else { None };
        let queries = shares.len();
        let worst = shares.into_iter().reduce(|worst, next| if next.0 < worst.0 { next } else { worst });
        let worst = worst.map(|(share, probe)| (probe, share));
        Ok(RecallReport { recall, interval, planned, queries, worst, profile })
    }

    /// Random live items; fewer than asked for if hardly any row is live.
    fn draw(&self, sample: &RecallSample) -> Result<Vec<Asked>> {
        let (state, visible) = (&self.state, self.state.visible_lsn);
        let mut segments: Vec<(Located<'_>, u64)> = Vec::new();
        for shard in &state.shards {
            segments.extend(
                shard.sealed.iter().map(|view| (Located::Sealed(view, 0), view.segment.rows().into())),
            );
            segments.extend(shard.unsealed().map(|rows| (Located::Unsealed(rows, 0), rows.len().into())));
        }
        let total: u64 = segments.iter().map(|(_, rows)| rows).sum();
        let rng = SeededRng::new(sample.seed);
        let mut drawn = Vec::new();
        // Rows that are dead are drawn again, not for ever.
        let mut left = if total == 0 { 0 } else { sample.rows.saturating_mul(100) };
        while drawn.len() < sample.rows && left > 0 {
            left -= 1;
            let mut at = rng.below(total);
            let segment = segments.iter().find(|(_, rows)| {
                let inside = at < *rows;
                at -= if inside { 0 } else { *rows };
                inside
            });
            let (segment, _) = segment.expect("the rows of all segments add up to the total");
            let slot = at as u32;
            let (id, located) = match segment {
                Located::Sealed(view, _) if !view.tombstones.contains(slot) => {
                    (view.segment.truth.id(slot)?, Located::Sealed(view, slot))
                }
                Located::Unsealed(rows, _) if rows.row(slot).visible_at(visible) => {
                    (rows.row(slot).id.clone(), Located::Unsealed(rows, slot))
                }
                _ => continue,
            };
            drawn.push(Asked { probe: Probe::Item(id), vector: hydrate::vector(&located)? });
        }
        Ok(drawn)
    }
}

fn with_effort(query: QueryBuilder<'_>, effort: Effort) -> QueryBuilder<'_> {
    match effort {
        Effort::Default => query,
        Effort::Ef(ef) => query.ef(ef),
        Effort::Recall(recall) => query.recall(recall),
        Effort::Exact => query.exact(),
    }
}

/// The share of `truth` that was found, `None` if there is nothing to find. The item that the query was made of counts
/// only where it is the one answer that was asked for.
fn share(probe: &Probe, k: usize, mut found: Vec<Hit>, mut truth: Vec<Hit>) -> Option<f64> {
    if let Probe::Item(id) = probe
        && k > 1
    {
        found.retain(|hit| hit.id != *id);
        truth.retain(|hit| hit.id != *id);
        truth.truncate(k - 1);
    }
    let last = truth.last()?.distance;
    let limit = last + TIE * last.abs().max(1.0);
    let right: BTreeSet<&ItemId> =
        found.iter().filter(|hit| hit.distance <= limit).map(|hit| &hit.id).collect();
    Some(right.len().min(truth.len()) as f64 / truth.len() as f64)
}

/// The mean of shares of `k` answers, and an interval around it.
fn mean(shares: &[(f64, Probe)], k: usize) -> Option<(f64, (f64, f64))> {
    let count = shares.len() as f64;
    if shares.is_empty() {
        return None;
    }
    let mean = shares.iter().map(|(share, _)| share).sum::<f64>() / count;
    let squares: f64 = shares.iter().map(|(share, _)| (share - mean).powi(2)).sum();
    let variance = squares / (count - 1.0).max(1.0);
    let half = Z * (variance / count).sqrt() + RULE_OF_THREE / (count * k as f64);
    Some((mean, ((mean - half).max(0.0), (mean + half).min(1.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(distances: &[(u64, f32)]) -> Vec<Hit> {
        let hit = |(id, distance): &(u64, f32)| Hit {
            id: (*id).into(),
            distance: *distance,
            metadata: None,
            vector: None,
        };
        distances.iter().map(hit).collect()
    }

    #[test]
    fn a_hit_as_near_as_the_last_true_one_is_right_and_counts_once() {
        let truth = [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.3)];
        let of = |found: &[(u64, f32)]| share(&Probe::Vector(0), 4, hits(found), hits(&truth));
        assert_eq!(of(&truth), Some(1.0));
        assert_eq!(of(&[(1, 0.1), (2, 0.2), (9, 0.3), (8, 0.3)]), Some(1.0));
        assert_eq!(of(&[(1, 0.1), (1, 0.1), (7, 0.31)]), Some(0.25));
        assert_eq!(of(&[]), Some(0.0));
        assert_eq!(share(&Probe::Vector(0), 4, Vec::new(), Vec::new()), None);
    }

    #[test]
    fn an_item_is_no_answer_to_itself_unless_one_is_asked_for() {
        let truth = [(5, 0.0), (1, 0.1), (2, 0.2)];
        let probe = Probe::Item(5_u64.into());
        assert_eq!(share(&probe, 3, hits(&[(5, 0.0), (1, 0.1), (9, 0.4)]), hits(&truth)), Some(0.5));
        assert_eq!(share(&probe, 1, hits(&truth[..1]), hits(&truth[..1])), Some(1.0));
        // Not among its own neighbours: others are as near.
        let others = [(1, 0.0), (2, 0.0), (3, 0.0)];
        assert_eq!(share(&probe, 3, hits(&others), hits(&others)), Some(1.0));
    }

    #[test]
    fn the_interval_is_never_empty_and_shrinks_with_the_sample() {
        let of = |count: usize| {
            let shares: Vec<_> = (0..count).map(|i| (1.0 - (i % 2) as f64 * 0.2, Probe::Vector(i))).collect();
            mean(&shares, 10).expect("there are some")
        };
        let ((few, narrow), (many, wide)) = (of(1000), of(100));
        assert!((few - 0.9).abs() < 1e-9 && (many - 0.9).abs() < 1e-9);
        assert!(narrow.0 > wide.0 && narrow.0 < 0.9 && narrow.1 < wide.1 && (0.93 - narrow.1) > 0.02);
        let (all, (low, high)) = mean(&[(1.0, Probe::Vector(0))], 10).expect("there is one");
        assert!((all - 1.0).abs() < 1e-9 && (low - 0.7).abs() < 1e-9 && high <= 1.0);
        assert_eq!(mean(&[], 10), None);
    }
}
