//! Random rotations, in the time that a few passes over a vector take.
//!
//! A rotation keeps lengths and products, and spreads what a vector has in few components over all: whatever the vectors
//! were, each component is then about normally distributed, which is what codes of few bits want, and what makes their
//! errors those of chance. Seeded signs and a fast Hadamard transform, repeated, stand in for a matrix of random directions
//! (Ailon and Chazelle, "The fast Johnson-Lindenstrauss transform", 2009), `O(d log d)` instead of `O(d^2)`.
//!
//! ```
//! use vectra_quant::Rotation;
//!
//! let rotation = Rotation::new(100, 7);
//! let vector: Vec<f32> = (0..100).map(|i| if i == 3 { 2.0 } else { 0.0 }).collect();
//! let mut rotated = vec![0.0; rotation.padded()];
//! rotation.apply(&vector, &mut rotated);
//! assert!(rotated.iter().all(|x| x.abs() < 1.0));
//!
//! let mut back = vec![0.0; 100];
//! rotation.apply_inverse(&rotated, &mut back);
//! assert!(vector.iter().zip(&back).all(|(x, y)| (x - y).abs() < 1e-5));
//! ```

mod kernel;
mod rounds;

use std::sync::Arc;

use crate::sq::DIM_MAX;
use kernel::kernels;
use rounds::Rounds;

/// Components come in multiples of this.
const BLOCK: usize = 64;

/// A linear map that keeps lengths and products, drawn by a seed.
///
/// The components, zeros up to a multiple of 64 behind them, go through some rounds. Each turns over the signs of some,
/// applies the orthogonal Hadamard transform to the first or, in every other round, the last `2^k` of them, the most there
/// are, and, where these are not all, turns the first half and the second one into each other by 45 degrees. It is four
/// rounds then, and three of a whole power of two. Operations are those of `f32` in a fixed order: the result is the same
/// to the bit on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    dim: usize,
    seed: u64,
    rounds: Arc<Rounds>,
}

impl Rotation {
    /// The rotation of `seed` for vectors of `dim` components.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`].
    pub fn new(dim: usize, seed: u64) -> Self {
        assert!((1..=DIM_MAX).contains(&dim), "the dimension is in 1..=65536");
        Self { dim, seed, rounds: Arc::new(Rounds::new(dim.next_multiple_of(BLOCK), seed)) }
    }

    /// Components of the vectors it rotates.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Components of rotated vectors: the next multiple of 64.
    pub fn padded(&self) -> usize {
        self.dim.next_multiple_of(BLOCK)
    }

    /// What drew it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Writes the rotated `vector` to `out`.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long or `out` not [`padded`](Self::padded).
    pub fn apply(&self, vector: &[f32], out: &mut [f32]) {
        assert_eq!(vector.len(), self.dim, "vector and rotation have different dimensions");
        assert_eq!(out.len(), self.padded(), "a rotated vector has padded components");
        let (components, padding) = out.split_at_mut(self.dim);
        components.copy_from_slice(vector);
        padding.fill(0.0);
        kernels().forward(&self.rounds, out);
    }

    /// Writes the vector whose rotation is `rotated` to `out`; what it has in the directions of the padding is lost.
    ///
    /// # Panics
    /// If `rotated` is not [`padded`](Self::padded) long or `out` not [`dim`](Self::dim).
    pub fn apply_inverse(&self, rotated: &[f32], out: &mut [f32]) {
        assert_eq!(rotated.len(), self.padded(), "a rotated vector has padded components");
        assert_eq!(out.len(), self.dim, "vector and rotation have different dimensions");
        let mut components = rotated.to_vec();
        kernels().backward(&self.rounds, &mut components);
        out.copy_from_slice(&components[..self.dim]);
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "every kernel gives the same bits")]
mod tests;
