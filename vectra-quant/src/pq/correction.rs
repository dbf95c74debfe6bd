//! What products with codes are short of.
//!
//! A code stands for the mean of what it may be, which is shorter than a vector: of the part `r = x - c` that is lost a query near
//! to `x` has about as much as it has of `x`. So with `s` the cosine between a query and what it is to find, `s / 2 (|x|^2 - |c|^2)` is added
//! to the product; under cosine `|x|` is 1 and `|c|^2` a sum over the pieces. With `s = 1` the distance is half of the squared one to the code, with 0
//! nothing is added.

use crate::columns::Columns;

/// Rows that are asked for the nearest of the others.
const QUESTIONS: usize = 256;
/// Rows that are looked at: fewer have farther neighbours than all there will be.
const ROWS_MAX: usize = 1 << 16;

/// The share of what a code is short of in squared length that is added to products: half the cosine that a row of the sample, of vectors of
/// length 1, has with the nearest other one; the middle of some of them.
pub(super) fn correction(rows: &[f32], dim: usize) -> f32 {
    let all = rows.len() / dim;
    let stride = all.div_ceil(QUESTIONS);
    let questions: Vec<f32> = rows.chunks_exact(dim).step_by(stride).flatten().copied().collect();
    let count = questions.len() / dim;
    let questions = Columns::new(&questions, dim);
    let (mut most, mut products) = (vec![0.0_f32; count], vec![0.0; questions.width()]);
    for (n, row) in rows.chunks_exact(dim).enumerate().take(ROWS_MAX) {
        questions.products(row, &mut products);
        let others =
            most.iter_mut().zip(&products).enumerate().filter(|(question, _)| question * stride != n);
        others.for_each(|(_, (most, product))| *most = most.max(*product));
    }
    most.sort_unstable_by(f32::total_cmp);
    0.5 * most[count / 2].min(1.0)
}

#[cfg(test)]
mod tests {
    use vectra_core::testing::oracle::uniform;

    use super::*;

    /// Vectors of length 1.
    fn directions(count: usize, dim: usize, seed: u64) -> Vec<f32> {
        let mut rows = uniform(count, dim, seed);
        for row in rows.chunks_exact_mut(dim) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= length);
        }
        rows
    }

    #[test]
    fn it_is_half_the_cosine_of_neighbours() {
        let rows = directions(1000, 4, 1);
        let mut nearest: Vec<f64> = Vec::new();
        for (n, row) in rows.chunks_exact(4).enumerate().step_by(4) {
            let product = |other: &[f32]| -> f64 {
                row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let others = rows.chunks_exact(4).enumerate().filter(|(other, _)| *other != n);
            nearest.push(others.map(|(_, other)| product(other)).fold(0.0, f64::max));
        }
        nearest.sort_unstable_by(f64::total_cmp);
        let found = f64::from(correction(&rows, 4));
        assert!((found - 0.5 * nearest[125]).abs() < 1e-6, "{found} {}", nearest[125]);
    }

    #[test]
    fn rows_without_neighbours_need_none_and_equal_ones_all() {
        let is = |rows: &[f32], dim: usize, expected: f32| {
            let found = correction(rows, dim);
            assert!((found - expected).abs() < 1e-6, "{rows:?}: {found}");
        };
        is(&[0.6, 0.8], 2, 0.0);
        is(&[1.0, 0.0, -1.0, 0.0], 2, 0.0);
        is(&[0.6, 0.8].repeat(50), 2, 0.5);
        is(&[0.0; 30], 3, 0.0);
    }
}
