//! Which directions are kept, from a sample of the vectors.
//!
//! Plain loops over `f32` in a fixed order: the same sample gives the same bits on every machine.

use vectra_core::Metric;
use vectra_core::env::{Rng, SeededRng};
use vectra_core::vector::normalize::inverse_norm;

use super::Projection;
use crate::codec::Codec;
use crate::sq::Sq8;

/// Vectors shorter than this fill two lines at most and are not tried.
const DIM_MIN: usize = 64;
/// Vectors longer than this take too long to fit: the work grows with the third power.
const DIM_MAX: usize = 2048;
/// The share of the squared differences that must be kept, of vectors that were not used for the fit.
const KEPT_MIN: f32 = 0.95;
/// Rounds of orthogonal iteration: the fourth still adds a thousandth of what is kept, the eighth nothing.
const ROUNDS: usize = 4;
/// One vector of so many judges the fit and does not take part in it.
const JUDGE: usize = 5;
/// Components multiplied side by side.
const LANES: usize = 16;
/// Bytes of a row by which its memory is counted, those of a cache line.
const LINE: usize = 64;

impl Projection {
    /// How many vectors a sample must have at least; more do not make it much better.
    pub const fn sample_rows(dim: usize) -> usize {
        if dim > 1024 { JUDGE * dim } else { JUDGE * 1024 }
    }

    /// Whether vectors of this kind may gain from a projection at all.
    pub fn is_tried(dim: usize, metric: Metric) -> bool {
        metric != Metric::L1 && (DIM_MIN..=DIM_MAX).contains(&dim)
    }

    /// The projection that makes rows of codes at least a quarter shorter and keeps nearly all that vectors differ by.
    /// `None` if there is none, as for vectors that differ in all directions alike, or if the sample is too small to tell.
    ///
    /// `sample` is row-major and does not need to be normalised.
    ///
    /// # Panics
    /// If `sample` is not a whole number of vectors.
    pub fn fit(sample: &[f32], dim: usize, metric: Metric) -> Option<Self> {
        assert_eq!(sample.len() % dim, 0, "a whole number of vectors");
        let counts = kept_counts(dim);
        let most = *counts.last()?;
        let rows = sample.len() / dim;
        if !Self::is_tried(dim, metric) || rows < Self::sample_rows(dim) {
            return None;
        }
        let mut sample = sample.to_vec();
        if metric == Metric::Cosine {
            sample.chunks_exact_mut(dim).for_each(|vector| scale(vector, inverse_norm(vector)));
        }
        let judges = rows / JUDGE * dim;
        let centre = if metric == Metric::Dot { vec![0.0; dim] } else { mean(&sample[judges..], dim) };
        sample.chunks_exact_mut(dim).for_each(|vector| add(vector, -1.0, &centre));
        let (judges, fitted) = sample.split_at(judges);
        let mut directions = principal(&covariance(fitted, dim)?, dim, most);
        let whole: f32 = judges.chunks_exact(dim).map(|vector| dot(vector, vector)).sum();
        let mut kept = 0.0;
        let enough = directions.chunks_exact(dim).position(|direction| {
            kept += judges.chunks_exact(dim).map(|vector| dot(vector, direction).powi(2)).sum::<f32>();
            kept >= KEPT_MIN * whole
        })?;
        let count = counts.into_iter().find(|count| *count > enough)?;
        directions.truncate(count * dim);
        Some(Self::new(&mixed(&directions, dim), &centre, metric))
    }
}

/// The numbers of directions that fill rows of whole cache lines, at most three quarters of those of whole vectors.
fn kept_counts(dim: usize) -> Vec<usize> {
    let bytes = |kept| Sq8::new(kept, Metric::L2).row_bytes();
    let lines = bytes(dim) / LINE;
    let longest = |lines: usize| (1..lines * LINE).rev().find(|kept| bytes(*kept) <= lines * LINE);
    (1..=lines * 3 / 4).filter_map(longest).collect()
}

/// The mean of the products of components, as a share of the mean squared length; `None` if that is zero or beyond `f32`.
fn covariance(vectors: &[f32], dim: usize) -> Option<Vec<f32>> {
    let mut products = vec![0.0; dim * dim];
    for four in vectors.chunks_exact(4 * dim) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| &four[i * dim..][..dim]);
        for (i, row) in products.chunks_exact_mut(dim).enumerate() {
            // Half of it; the other half is the same.
            for (j, sum) in row[..=i].iter_mut().enumerate() {
                *sum += (a[i] * a[j] + b[i] * b[j]) + (c[i] * c[j] + d[i] * d[j]);
            }
        }
    }
    let trace: f32 = (0..dim).map(|i| products[i * dim + i]).sum();
    if !trace.is_normal() {
        return None;
    }
    for i in 0..dim {
        for j in 0..=i {
            let share = products[i * dim + j] / trace;
            (products[i * dim + j], products[j * dim + i]) = (share, share);
        }
    }
    Some(products)
}

/// About the first `count` eigenvectors of a symmetric matrix, by orthogonal iteration from random directions (Golub
/// and Van Loan, "Matrix computations", section 7.3.2).
fn principal(matrix: &[f32], dim: usize, count: usize) -> Vec<f32> {
    let mut directions = random(count, dim);
    for _ in 0..ROUNDS {
        let image = |direction: &[f32]| matrix.chunks_exact(dim).map(|row| dot(row, direction)).collect();
        directions = directions.chunks_exact(dim).flat_map::<Vec<f32>, _>(image).collect();
        orthonormalize(&mut directions, dim);
    }
    // Once more for what rounding left of the others in each.
    orthonormalize(&mut directions, dim);
    directions
}

/// The same subspace by other directions, all alike: codes have one grid for all components of a row, which a few large
/// ones would make coarse.
fn mixed(directions: &[f32], dim: usize) -> Vec<f32> {
    let count = directions.len() / dim;
    let mut turn = random(count, count);
    orthonormalize(&mut turn, count);
    orthonormalize(&mut turn, count);
    let mut mixed = vec![0.0; directions.len()];
    for (mixed, weights) in mixed.chunks_exact_mut(dim).zip(turn.chunks_exact(count)) {
        for (weight, direction) in weights.iter().zip(directions.chunks_exact(dim)) {
            add(mixed, *weight, direction);
        }
    }
    mixed
}

/// Makes each vector orthogonal to those before it and of length one (Gram-Schmidt, modified), or zero if nothing is
/// left.
fn orthonormalize(vectors: &mut [f32], dim: usize) {
    for j in 0..vectors.len() / dim {
        let (before, rest) = vectors.split_at_mut(j * dim);
        let vector = &mut rest[..dim];
        for other in before.chunks_exact(dim) {
            let along = dot(other, vector);
            add(vector, -along, other);
        }
        let inverse = inverse_norm(vector);
        scale(vector, inverse);
    }
}

/// Components from -1 to 1; always the same.
fn random(count: usize, dim: usize) -> Vec<f32> {
    let rng = SeededRng::new(0x7072_6f6a);
    let uniform = || (rng.next_u64() >> 40) as f32 / (1 << 23) as f32 - 1.0;
    (0..count * dim).map(|_| uniform()).collect()
}

fn mean(vectors: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim];
    for vector in vectors.chunks_exact(dim) {
        sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (vectors.len() / dim) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

fn add(vector: &mut [f32], weight: f32, other: &[f32]) {
    vector.iter_mut().zip(other).for_each(|(x, y)| *x += weight * y);
}

fn scale(vector: &mut [f32], factor: f32) {
    vector.iter_mut().for_each(|x| *x *= factor);
}

#[cfg(test)]
mod tests {
    use vectra_core::testing::oracle::uniform;

    use super::*;

    #[test]
    fn rows_get_shorter_by_whole_cache_lines() {
        assert_eq!(kept_counts(384), [48, 112, 176, 240, 304]);
        assert_eq!(kept_counts(128), [48, 112]);
        assert_eq!(kept_counts(768).last(), Some(&560));
        assert!(kept_counts(48).is_empty());
    }

    #[test]
    fn orthonormal_means_at_right_angles_and_of_length_one() {
        let mut vectors = random(20, 33);
        let twice = vectors[..33].to_vec();
        vectors.extend(twice);
        orthonormalize(&mut vectors, 33);
        orthonormalize(&mut vectors, 33);
        for (i, a) in vectors.chunks_exact(33).enumerate() {
            for (j, b) in vectors.chunks_exact(33).enumerate().take(20) {
                let expected = if i == j { 1.0 } else { 0.0 };
                // The last is the first again: nothing or noise is left of it, but nothing of the others.
                assert!((dot(a, b) - expected).abs() < 1e-4, "{i} {j} {}", dot(a, b));
            }
        }
    }

    #[test]
    fn mixing_keeps_the_subspace_and_levels_the_components() {
        let mut directions = random(30, 200);
        orthonormalize(&mut directions, 200);
        let turned = mixed(&directions, 200);
        let first = &directions[..200];
        let along: Vec<f32> = turned.chunks_exact(200).map(|turned| dot(turned, first)).collect();
        assert!((dot(&along, &along) - 1.0).abs() < 1e-4, "a direction of the subspace stays in it");
        assert!(along.iter().all(|x| x.abs() < 0.8), "and is spread: {along:?}");
    }

    #[test]
    fn the_principal_directions_are_those_of_the_largest_spread() {
        // Component i varies half as much as the one before it.
        let vectors: Vec<f32> =
            uniform(4000, 50, 1).iter().enumerate().map(|(n, x)| x * 0.5_f32.powi(n as i32 % 50)).collect();
        let centred = mean(&vectors, 50);
        let vectors: Vec<f32> = vectors.iter().enumerate().map(|(n, x)| x - centred[n % 50]).collect();
        let directions = principal(&covariance(&vectors, 50).expect("they differ"), 50, 20);
        for (i, direction) in directions.chunks_exact(50).enumerate().take(5) {
            assert!(direction[i].abs() > 0.97, "{i}: {direction:?}");
        }
    }

    #[test]
    fn nothing_is_fitted_to_what_cannot_tell() {
        let rows = Projection::sample_rows(200);
        let vectors = uniform(rows, 200, 3);
        assert!(Projection::fit(&vectors, 200, Metric::L2).is_none(), "all directions alike");
        assert!(Projection::fit(&vec![1.0; rows * 200], 200, Metric::L2).is_none(), "all vectors equal");
        assert!(Projection::fit(&vec![1.0e18; rows * 200], 200, Metric::Dot).is_none(), "squares beyond f32");
        assert!(Projection::fit(&[], 200, Metric::L2).is_none());
        assert!(Projection::fit(&vec![0.0; 64 * 100], 100, Metric::L2).is_none());
    }
}
