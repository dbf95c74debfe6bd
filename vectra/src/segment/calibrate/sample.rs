//! Made-up queries: somewhere between two rows, and moved by noise.

use std::sync::Arc;

use vectra_core::Metric;
use vectra_core::env::{Rng, SeededRng};
use vectra_tier::ReadBuf;

use crate::error::Result;
use crate::segment::exact::{ExactQuery, Vectors, prepare_query};
use crate::segment::truth::Truth;

/// Sizes of the noise, in deviations of the components of rows, one for each query in turn. More of it leads away from
/// everything, to where all rows are equally far and nobody asks.
const NOISE: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// Shares of the second row, from none to 0.44, one for each round of the noise. Halfway between two groups are the hardest
/// queries that there are, harder than any that users ask.
const SHARES: usize = 23;

/// From one share to the next.
const SHARE_STEP: f32 = 0.02;

/// Rows drawn for each that is taken. Users ask as often for what is rare among the rows as for what most of them are.
const DRAWN: usize = 4;

/// Rows from which the deviation is estimated.
const ROWS: usize = 512;

/// One query.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Ready to be compared with codes and rows.
    pub(super) vector: Arc<[f32]>,
    /// The row it was made of, which is no answer.
    pub(super) row: u32,
}

/// A slot and its vector.
type Row = (u32, Arc<[f32]>);

/// `count` queries made of random rows of `truth`, which has some.
pub(super) fn questions(truth: &Truth, metric: Metric, count: usize, seed: u64) -> Result<Vec<Question>> {
    // Under dot the direction of a query alone decides what is near: a long row would outweigh the other.
    let kind = if metric == Metric::Dot { Metric::Cosine } else { metric };
    let rng = SeededRng::new(seed);
    let mut buf = ReadBuf::default();
    let mut draw = || -> Result<Row> {
        let slot = rng.below(truth.rows().into()) as u32;
        Ok((slot, prepare_query(kind, &truth.vectors(slot, 1, &mut buf)?.to_f32())))
    };
    let rows = (0..ROWS).map(|_| draw().map(|(_, vector)| vector)).collect::<Result<Vec<_>>>()?;
    let deviation = deviation(&rows);
    let rows = apart(kind, count, &mut draw)?;
    let question = |(i, (row, vector)): (usize, &Row)| {
        let (_, other) = &rows[(i + count / 2) % count];
        let (share, noise) = (share(i), NOISE[i % NOISE.len()] * deviation);
        let between = vector.iter().zip(&**other).map(|(x, y)| x + share * (y - x));
        let moved: Vec<f32> = between.map(|x| x + noise * gaussian(&rng)).collect();
        Question { vector: prepare_query(metric, &moved), row: *row }
    };
    Ok(rows.iter().enumerate().map(question).collect())
}

/// What the second row of the `i`-th query has of it.
fn share(i: usize) -> f32 {
    (i / NOISE.len() % SHARES) as f32 * SHARE_STEP
}

/// `count` of the rows that `draw` gives: of each few the one that lies farthest from all that were taken before.
fn apart(kind: Metric, count: usize, draw: &mut impl FnMut() -> Result<Row>) -> Result<Vec<Row>> {
    let mut taken: Vec<ExactQuery> = Vec::with_capacity(count);
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut farthest: Option<(f32, Row)> = None;
        for _ in 0..DRAWN {
            let row = draw()?;
            let distances = taken.iter().map(|taken| taken.distance(Vectors::F32(&row.1), 1.0));
            let distance = distances.fold(f32::INFINITY, f32::min);
            if farthest.as_ref().is_none_or(|(most, _)| distance > *most) {
                farthest = Some((distance, row));
            }
        }
        rows.extend(farthest.map(|(_, row)| row));
        taken.extend(rows.last().map(|(_, vector)| ExactQuery::new(kind, Arc::clone(vector))));
    }
    Ok(rows)
}

/// The mean deviation of the components of `rows` from their means.
fn deviation(rows: &[Arc<[f32]>]) -> f32 {
    let (count, dim) = (rows.len() as f64, rows[0].len());
    let mut sums = vec![(0.0_f64, 0.0_f64); dim];
    for row in rows {
        for ((sum, squares), x) in sums.iter_mut().zip(row.iter().copied().map(f64::from)) {
            *sum += x;
            *squares += x * x;
        }
    }
    let variances = sums.iter().map(|(sum, squares)| (squares / count - (sum / count).powi(2)).max(0.0));
    (variances.sum::<f64>() / dim as f64).sqrt() as f32
}

/// A number of mean 0 and deviation 1: the sum of four uniform ones, which is near enough to normal.
fn gaussian(rng: &SeededRng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    // Four times the variance of a uniform number between 0 and 1 is a third.
    (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_mean_0_and_deviation_1() {
        let rng = SeededRng::new(5);
        let many: Vec<f32> = (0..20_000).map(|_| gaussian(&rng)).collect();
        let mean = many.iter().sum::<f32>() / 20_000.0;
        let square = many.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{mean} {square}");
    }

    #[test]
    fn shares_and_noise_meet_in_every_pair() {
        let pairs = |count: usize| (0..count).map(|i| (i % NOISE.len(), (share(i) * 100.0).round() as u32));
        let all: std::collections::BTreeSet<_> = pairs(NOISE.len() * SHARES).collect();
        assert_eq!(all.len(), NOISE.len() * SHARES);
        assert_eq!((share(0).to_bits(), share(4).to_bits()), (0, 0));
        assert!(pairs(384).all(|(_, share)| share <= 44) && pairs(384).any(|(_, share)| share == 44));
    }

    #[test]
    fn rows_that_are_taken_lie_apart() {
        // Nine of ten rows are the same; of four that are drawn one is another, mostly.
        let rng = SeededRng::new(3);
        let mut draw = || {
            let n = rng.below(1000) as u32;
            let place = if n.is_multiple_of(10) { n as f32 } else { 0.0 };
            Ok((n, Arc::from([place, 1.0])))
        };
        let rows = apart(Metric::L2, 60, &mut draw).expect("nothing is read");
        let others = rows.iter().filter(|(n, _)| n.is_multiple_of(10)).count();
        assert!(rows.len() == 60 && (15..50).contains(&others), "{others} of 60");
        assert!(apart(Metric::L2, 0, &mut draw).expect("nothing is read").is_empty());
    }

    #[test]
    fn the_deviation_is_that_of_the_components() {
        let rows = [[1.0, 10.0], [3.0, 10.0], [1.0, 10.0], [3.0, 10.0]].map(Arc::from);
        assert!((deviation(&rows) - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(deviation(&[Arc::from([2.0, 2.0])]).to_bits(), 0);
    }
}
