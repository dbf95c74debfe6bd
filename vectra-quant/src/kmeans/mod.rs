//! k-means: a few centroids that stand for many vectors, usable alone.
//!
//! Centroids are sown by k-means++ (Arthur and Vassilvitskii 2007) on a part of the sample and moved by Lloyd's rounds; a
//! centroid that no vector is nearest to is set down again where the error is largest. Distances are squared and Euclidean.
//! The same rows, settings and seed give the same bits on every machine.
//!
//! ```
//! use vectra_quant::KMeans;
//!
//! let rows = [0.0_f32, 0.1, 5.0, 5.1, 0.2, 4.9];
//! let centroids = KMeans::new(2).train(&rows, 1)?;
//! let found = centroids.nearest_of(&rows);
//! assert_eq!(found[0].index, found[1].index);
//! assert_ne!(found[0].index, found[2].index);
//! # Ok::<(), vectra_quant::TrainError>(())
//! ```

mod lloyd;
mod sow;

use vectra_core::env::{Rng, SeededRng};

use crate::columns::{Columns, Nearest};
use crate::sq::sane;

/// Why nothing can be trained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// There is no vector to learn from.
    #[error("the sample is empty; give at least one vector")]
    Empty,
    /// Settings that do not fit each other or the vectors.
    #[error("{0}")]
    Settings(String),
}

/// How centroids are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KMeans {
    /// Centroids wanted, at least one.
    pub centroids: usize,
    /// Rounds at most; they end earlier when nothing moves any more.
    pub rounds: usize,
    /// Rows used at most, drawn from those given.
    pub rows_max: usize,
    /// What is drawn follows from it.
    pub seed: u64,
}

impl KMeans {
    /// So many centroids, from at most 256 rows for each and 65,536 in all, in at most 25 rounds.
    pub const fn new(centroids: usize) -> Self {
        let rows = centroids.saturating_mul(256);
        Self { centroids, rounds: 25, rows_max: if rows < 1 << 16 { rows } else { 1 << 16 }, seed: 1 }
    }

    /// The same with a limit on rounds.
    pub const fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// The same with another limit on the rows that are used.
    pub const fn rows_max(mut self, rows: usize) -> Self {
        self.rows_max = rows;
        self
    }

    /// The same with another seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The centroids of `rows`, which lie one after the other with `dim` components each.
    ///
    /// There are fewer centroids than wanted where there are fewer different rows. A component that is not a number counts
    /// as zero and one beyond [`MAX_MAGNITUDE`](vectra_core::vector::normalize::MAX_MAGNITUDE) as that. Rows whose squared
    /// distances are zero in `f32` are not told apart.
    ///
    /// # Errors
    /// If there are no rows, or no centroid is wanted or no row to be used.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn train(&self, rows: &[f32], dim: usize) -> Result<Centroids, TrainError> {
        assert!(dim > 0 && rows.len().is_multiple_of(dim), "a whole number of rows");
        if self.centroids == 0 || self.rows_max == 0 {
            return Err(TrainError::Settings("k-means needs at least one centroid and one row".into()));
        }
        if rows.is_empty() {
            return Err(TrainError::Empty);
        }
        let rng = SeededRng::new(self.seed);
        let sample = sample(rows, dim, self.rows_max, &rng);
        let sample = sane(&sample);
        let sown = sow::sow(&sample, dim, self.centroids, &rng);
        Ok(lloyd::settle(&sample, dim, sown, self))
    }

    /// Goes on from earlier centroids, if there are any, with all of the finite `rows`, of which there must be one.
    #[cfg(feature = "opq")]
    pub(crate) fn go_on(&self, rows: &[f32], dim: usize, earlier: Option<Centroids>) -> Centroids {
        let start = match earlier {
            Some(earlier) => earlier.to_rows(),
            None => sow::sow(rows, dim, self.centroids, &SeededRng::new(self.seed)),
        };
        lloyd::settle(rows, dim, start, self)
    }
}

/// At most `count` rows, drawn evenly and in their order.
pub(crate) fn sample<'a>(
    rows: &'a [f32],
    dim: usize,
    count: usize,
    rng: &impl Rng,
) -> std::borrow::Cow<'a, [f32]> {
    let all = rows.len() / dim;
    if all <= count {
        return rows.into();
    }
    let (mut drawn, mut wanted) = (Vec::with_capacity(count * dim), count);
    for (n, row) in rows.chunks_exact(dim).enumerate() {
        // Each row with the share that is still wanted of those that are left: exactly `count` in the end.
        if below(rng, all - n) < wanted {
            drawn.extend_from_slice(row);
            wanted -= 1;
        }
    }
    drawn.into()
}

/// A number below `n`.
fn below(rng: &impl Rng, n: usize) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// What [`KMeans`] found: at least one centroid.
#[derive(Debug, Clone, PartialEq)]
pub struct Centroids {
    columns: Columns,
}

impl Centroids {
    /// The given `centroids`, one after the other.
    ///
    /// # Panics
    /// If `centroids` is not a whole number of vectors of `dim` finite components, at least one.
    pub fn new(centroids: &[f32], dim: usize) -> Self {
        assert!(centroids.iter().all(|x| x.is_finite()), "centroids are finite");
        Self { columns: Columns::new(centroids, dim) }
    }

    /// How many there are, at least one.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.columns.count()
    }

    /// Components of each.
    pub fn dim(&self) -> usize {
        self.columns.dim()
    }

    #[cfg(feature = "opq")]
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Centroid `n`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn centroid(&self, n: usize) -> Vec<f32> {
        self.columns.vector(n).collect()
    }

    /// All centroids, one after the other.
    pub fn to_rows(&self) -> Vec<f32> {
        (0..self.len()).flat_map(|n| self.columns.vector(n)).collect()
    }

    /// For each of `rows` the nearest centroid. Total as [`KMeans::train`] is.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn nearest_of(&self, rows: &[f32]) -> Vec<Nearest> {
        assert!(rows.len().is_multiple_of(self.dim()), "a whole number of rows");
        let mut out = vec![Nearest::NONE; rows.len() / self.dim()];
        self.columns.nearest(&sane(rows), &mut out);
        out
    }
}

#[cfg(test)]
mod tests;
