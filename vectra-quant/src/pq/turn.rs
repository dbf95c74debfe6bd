//! A rotation as the product with a matrix, in one order of operations on every instruction set.

use crate::columns::Columns;

/// As many orthonormal directions as components.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Turn {
    directions: Columns,
}

impl Turn {
    /// Component `n` of what is turned is the product with the `n`th of `directions`.
    ///
    /// # Panics
    /// If `directions` are not `dim` vectors.
    pub(super) fn new(directions: &[f32], dim: usize) -> Self {
        assert_eq!(directions.len(), dim * dim, "as many directions as components");
        Self { directions: Columns::new(directions, dim) }
    }

    /// The directions, one after the other.
    pub(super) fn to_rows(&self) -> Vec<f32> {
        (0..self.directions.count()).flat_map(|n| self.directions.vector(n)).collect()
    }

    /// Turns each of `vectors`, which lie one after the other.
    pub(super) fn turn(&self, vectors: &mut [f32]) {
        const GROUP: usize = 64;
        let (dim, width) = (self.directions.dim(), self.directions.width());
        let mut turned = vec![0.0; width * GROUP.min(vectors.len() / dim)];
        for vectors in vectors.chunks_mut(GROUP * dim) {
            let turned = &mut turned[..vectors.len() / dim * width];
            self.directions.products(vectors, turned);
            for (vector, turned) in vectors.chunks_exact_mut(dim).zip(turned.chunks_exact(width)) {
                vector.copy_from_slice(&turned[..dim]);
            }
        }
    }

    /// The vector that is turned to `turned`.
    pub(super) fn back(&self, turned: &[f32]) -> Vec<f32> {
        let mut vector = vec![0.0; turned.len()];
        self.directions.combine(turned, &mut vector);
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let (c, s) = (0.6_f32, 0.8_f32);
        let turn = Turn::new(&[c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0], 3);
        let mut vectors = [1.0, 2.0, 3.0].repeat(70);
        turn.turn(&mut vectors);
        let (first, last) = (&vectors[..3], &vectors[207..]);
        assert_eq!(first, last);
        for (found, expected) in first.iter().zip([2.2, 0.4, 3.0]) {
            assert!((found - expected).abs() < 1e-6, "{first:?}");
        }
        for (found, expected) in turn.back(first).iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(turn.to_rows()[..3], [c, s, 0.0]);
    }
}
