//! Which answers are right: exact distances of returned rows against that of the true k-th row.

use std::collections::BTreeSet;
use std::fs::File;

use vectra::{Index, Metric};

use crate::Outcome;
use crate::data::Array;

/// How much farther than the true k-th row a row may be and still be right, for distances up to 1; relative beyond.
///
/// Rows that tie, or that rounding alone tells apart, are answers of the same worth.
const TOLERANCE: f64 = 1e-6;

/// The distance between two vectors, smaller is nearer, in double precision; defined as [`Metric`] defines it.
pub(crate) fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    match metric {
        Metric::Cosine => {
            let (dot, aa, bb) =
                pairs().fold((0.0, 0.0, 0.0), |(dot, aa, bb), (x, y)| (dot + x * y, aa + x * x, bb + y * y));
            1.0 - dot / (aa.sqrt() * bb.sqrt())
        }
        Metric::Dot => -pairs().map(|(x, y)| x * y).sum::<f64>(),
        Metric::L2 => pairs().map(|(x, y)| (x - y) * (x - y)).sum(),
        Metric::L1 => pairs().map(|(x, y)| (x - y).abs()).sum(),
    }
}

/// Where the vectors of rows are looked up.
pub(crate) enum Rows<'a> {
    /// The file that the index was built from.
    File(Array<File>),
    /// The index itself.
    Index(&'a Index),
}

impl Rows<'_> {
    fn vector(&mut self, row: u64) -> Outcome<Vec<f32>> {
        match self {
            Self::File(base) => Ok(base.vectors(usize::try_from(row).unwrap_or(usize::MAX), 1)?),
            Self::Index(index) => {
                let item = index.get_item(row)?;
                Ok(item
                    .ok_or_else(|| format!("the index has no row {row}; is it built from this data?"))?
                    .vector)
            }
        }
    }
}

/// Tells right answers from wrong ones.
pub(crate) struct Judge<'a> {
    metric: Metric,
    k: usize,
    rows: Rows<'a>,
    /// Per query, the distance up to which a row is right.
    limits: Vec<f64>,
}

impl<'a> Judge<'a> {
    /// Computes what is right for each of `queries` from the first `k` columns of `truth`, from the row number `from` on.
    pub(crate) fn new(
        metric: Metric,
        k: usize,
        (truth, from): (&mut Array<File>, usize),
        queries: &[&[f32]],
        mut rows: Rows<'a>,
    ) -> Outcome<Self> {
        if truth.columns() < k {
            return Err(format!("the truth has {} columns, fewer than k = {k}", truth.columns()).into());
        }
        if truth.rows() < from + queries.len() {
            return Err(
                format!("the truth has {} rows for {} queries", truth.rows(), from + queries.len()).into()
            );
        }
        let named = truth.integers(from, queries.len())?;
        let mut limits = Vec::with_capacity(queries.len());
        for (query, named) in queries.iter().zip(named.chunks_exact(truth.columns())) {
            let mut worst = f64::NEG_INFINITY;
            for row in &named[..k] {
                let row = u64::try_from(*row).map_err(|_| format!("the truth names row {row}"))?;
                worst = worst.max(distance(metric, query, &rows.vector(row)?));
            }
            limits.push(limit(worst));
        }
        Ok(Self { metric, k, rows, limits })
    }

    /// The share of right rows in `answers`, which belong to the queries from number `first` on.
    pub(crate) fn recall(&mut self, first: usize, queries: &[&[f32]], answers: &[Vec<u64>]) -> Outcome<f64> {
        let mut right = 0;
        for (i, (query, answer)) in queries.iter().zip(answers).enumerate() {
            let mut scored = Vec::with_capacity(answer.len());
            for row in answer {
                scored.push((*row, distance(self.metric, query, &self.rows.vector(*row)?)));
            }
            right += count_right(&scored, self.limits[first + i], self.k);
        }
        Ok(right as f64 / (answers.len() * self.k) as f64)
    }
}

/// The distance up to which a row is right when the true k-th row is at `worst`.
pub(crate) fn limit(worst: f64) -> f64 {
    worst + TOLERANCE * worst.abs().max(1.0)
}

/// How many different rows among the first `k` are within `limit`.
pub(crate) fn count_right(answer: &[(u64, f64)], limit: f64, k: usize) -> usize {
    let first = answer.iter().take(k).filter(|(_, distance)| *distance <= limit);
    first.map(|(row, _)| *row).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_metrics_own() {
        let (a, b) = ([3.0, 4.0], [4.0, -3.0]);
        for (metric, expected) in
            [(Metric::Cosine, 1.0), (Metric::Dot, 0.0), (Metric::L2, 50.0), (Metric::L1, 8.0)]
        {
            let found = distance(metric, &a, &b);
            assert!((found - expected).abs() < 1e-12, "{metric}: {found}, not {expected}");
        }
        assert!(distance(Metric::Cosine, &a, &[6.0, 8.0]).abs() < 1e-12);
        assert!((distance(Metric::Dot, &a, &a) + 25.0).abs() < 1e-12);
    }

    #[test]
    fn ties_with_the_last_true_row_are_right() {
        // The true third row is at 0.3; rows 8 and 9 tie with it.
        let answer = [(1, 0.1), (9, 0.3), (8, 0.3 + 0.9e-6), (7, 0.3)];
        assert_eq!(count_right(&answer, limit(0.3), 3), 3);
        assert_eq!(count_right(&[(1, 0.1), (2, 0.3 + 1.1e-6)], limit(0.3), 3), 1);
    }

    #[test]
    fn a_row_counts_once_and_only_within_k() {
        assert_eq!(count_right(&[(1, 0.1), (1, 0.1), (2, 0.2)], 0.5, 3), 2);
        assert_eq!(count_right(&[(1, 0.1), (2, 0.2), (3, 0.3)], 0.5, 2), 2);
        assert_eq!(count_right(&[], 0.5, 2), 0);
    }

    #[test]
    fn the_tolerance_grows_with_the_distance() {
        assert!((limit(0.0) - 1e-6).abs() < 1e-15);
        assert!((limit(-5e3) + 5e3 - 5e-3).abs() < 1e-9);
    }
}
