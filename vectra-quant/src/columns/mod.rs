//! Vectors kept by columns, sixteen to a block, so that a row meets all of them at once: the sums of sixteen vectors are
//! the lanes of a register, each formed in the order of the components. Centroids are kept like this, and the directions
//! of a rotation.

mod kernel;

use self::kernel::kernels;

/// Vectors to a block.
const LANES: usize = 16;

/// One component of the vectors of a block.
type Lane = [f32; LANES];

/// The vector that is nearest to a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its number; the least of those that are equally near.
    pub index: u32,
    /// The squared distance.
    pub distance: f32,
}

impl Nearest {
    /// To be overwritten.
    pub(crate) const NONE: Self = Self { index: 0, distance: 0.0 };
}

/// Finite vectors of the same dimension, at least one.
#[derive(Clone, PartialEq)]
pub(crate) struct Columns {
    dim: usize,
    count: usize,
    /// Block after block, component after component. What fills the last block is infinitely far away.
    blocks: Vec<Lane>,
}

impl Columns {
    /// The vectors of `rows`, one after the other.
    ///
    /// # Panics
    /// If `rows` is not a whole number of vectors of `dim` components, or none.
    pub(crate) fn new(rows: &[f32], dim: usize) -> Self {
        assert!(dim > 0 && !rows.is_empty() && rows.len().is_multiple_of(dim), "whole vectors, at least one");
        let count = rows.len() / dim;
        let mut blocks = vec![[f32::INFINITY; LANES]; count.div_ceil(LANES) * dim];
        for (n, row) in rows.chunks_exact(dim).enumerate() {
            let block = &mut blocks[n / LANES * dim..][..dim];
            block.iter_mut().zip(row).for_each(|(lane, x)| lane[n % LANES] = *x);
        }
        Self { dim, count, blocks }
    }

    /// How many vectors there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Components of each.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Results to a row: the number of vectors, up to whole lanes.
    pub(crate) fn width(&self) -> usize {
        self.blocks.len() / self.dim * LANES
    }

    /// The components of vector `n`.
    pub(crate) fn vector(&self, n: usize) -> impl Iterator<Item = f32> {
        assert!(n < self.count, "vector {n} of {}", self.count);
        self.blocks[n / LANES * self.dim..][..self.dim].iter().map(move |lane| lane[n % LANES])
    }

    /// The sum of the vectors, each times its weight.
    pub(crate) fn combine(&self, weights: &[f32], out: &mut [f32]) {
        assert_eq!(
            (weights.len(), out.len()),
            (self.count, self.dim),
            "a weight for each, a sum for each component"
        );
        out.fill(0.0);
        let blocks = self.blocks.chunks_exact(self.dim).zip(weights.chunks(LANES));
        for (block, weights) in blocks {
            for (sum, lane) in out.iter_mut().zip(block) {
                *sum += lane.iter().zip(weights).map(|(x, weight)| x * weight).sum::<f32>();
            }
        }
    }

    /// Of each of the finite `rows` the nearest vector.
    pub(crate) fn nearest(&self, rows: &[f32], out: &mut [Nearest]) {
        kernels().nearest(rows, self.dim, &self.blocks, out);
    }

    /// The squared distances of each of the finite `rows` to all vectors, [`width`](Self::width) to a row; those beyond the
    /// vectors are infinite.
    pub(crate) fn squares(&self, rows: &[f32], out: &mut [f32]) {
        kernels().squares(rows, self.dim, &self.blocks, out);
    }

    /// The inner products of each of the finite `rows` with all vectors, [`width`](Self::width) to a row; those beyond the
    /// vectors mean nothing.
    pub(crate) fn products(&self, rows: &[f32], out: &mut [f32]) {
        kernels().products(rows, self.dim, &self.blocks, out);
    }
}

impl std::fmt::Debug for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Columns({} x {})", self.count, self.dim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_found_again() {
        let rows: Vec<f32> = (0..20 * 3).map(|n| n as f32).collect();
        let columns = Columns::new(&rows, 3);
        assert_eq!((columns.count(), columns.dim(), columns.width()), (20, 3, 32));
        assert_eq!(columns.vector(17).collect::<Vec<_>>(), [51.0, 52.0, 53.0]);
        let mut weights = [0.0; 20];
        (weights[0], weights[19]) = (2.0, -1.0);
        let mut sum = [9.0; 3];
        columns.combine(&weights, &mut sum);
        assert_eq!(sum.map(|x| x as i32), [-57, -56, -55]);
    }

    #[test]
    #[should_panic(expected = "vector 2 of 2")]
    fn a_vector_beyond_the_last_panics() {
        let _ = Columns::new(&[1.0, 2.0], 1).vector(2);
    }
}
