//! A rotation that makes the pieces of a vector easy to encode.
//!
//! It starts from the principal directions, dealt to the pieces so that the products of their spreads are as equal as can be
//! ("eigenvalue allocation"), and is improved in turns: with the rotation fixed, k-means moves the centroids; with the codes
//! fixed, the best rotation is that of the Procrustes problem, `U V^T` of the singular value decomposition of the products of
//! vectors and what their codes stand for.

use faer::{Mat, MatRef, Side};

use super::pieces::PqShape;
use super::train::{PqSettings, cut};
use super::turn::Turn;
use crate::kmeans::{Centroids, KMeans};

/// Turns of rotation and centroids, up to so many dimensions; beyond, where each takes longer, fewer.
const TURNS: usize = 40;
const TURNS_DIM: usize = 512;
/// Rounds of k-means to a turn; centroids go on from where they were.
const ROUNDS: usize = 2;
/// Rows used: more do not make a better rotation.
const ROWS_MAX: usize = 1 << 14;

/// The rotation for `rows`, which are finite.
pub(super) fn fit(rows: &[f32], shape: &PqShape, settings: &PqSettings) -> Turn {
    let dim = shape.dim();
    let count = (rows.len() / dim).min(ROWS_MAX.max(4 * dim));
    let rows = &rows[..count * dim];
    let mut directions = dealt(rows, shape);
    let mut books: Vec<Option<Centroids>> = vec![None; shape.subspaces()];
    for _ in 0..TURNS.min(TURNS * TURNS_DIM / dim) {
        let mut turned = rows.to_vec();
        Turn::new(&directions, dim).turn(&mut turned);
        improve(&mut turned, shape, settings, &mut books);
        let Some(better) = procrustes(rows, &turned, dim) else { break };
        directions = better;
    }
    Turn::new(&directions, dim)
}

/// Moves the centroids of each piece, and puts in the place of each row what its codes stand for.
fn improve(turned: &mut [f32], shape: &PqShape, settings: &PqSettings, books: &mut [Option<Centroids>]) {
    let mut piece = Vec::new();
    for ((n, range), book) in shape.pieces().enumerate().zip(books) {
        cut(turned, shape.dim(), range.clone(), &mut piece);
        let means = KMeans::new(shape.centroids()).rounds(ROUNDS).seed(settings.seed.wrapping_add(n as u64));
        let moved = means.go_on(&piece, range.len(), book.take());
        for (row, nearest) in turned.chunks_exact_mut(shape.dim()).zip(moved.nearest_of(&piece)) {
            let centroid = moved.columns().vector(nearest.index as usize);
            row[range.clone()].iter_mut().zip(centroid).for_each(|(x, c)| *x = c);
        }
        *book = Some(moved);
    }
}

/// The principal directions of the rows, those of a piece one after the other; the components themselves if there are none.
fn dealt(rows: &[f32], shape: &PqShape) -> Vec<f32> {
    let dim = shape.dim();
    let mut centred = rows.to_vec();
    let mean = mean(rows, dim);
    centred.chunks_exact_mut(dim).for_each(|row| row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean));
    let matrix = MatRef::from_row_major_slice(&centred, rows.len() / dim, dim);
    let products: Mat<f32> = matrix.transpose() * matrix;
    let products = Mat::from_fn(dim, dim, |i, j| f64::from(products[(i, j)]));
    let principal = products.self_adjoint_eigen(Side::Lower).ok().and_then(|eigen| {
        // They come in rising order.
        let values: Vec<f64> = eigen.S().column_vector().iter().rev().copied().collect();
        let vectors = eigen.U();
        let order = deal(&values, shape);
        let direction = |n: usize| (0..dim).map(move |i| vectors[(i, dim - 1 - n)] as f32);
        orthonormal(order.into_iter().flat_map(direction).collect(), dim)
    });
    principal
        .unwrap_or_else(|| (0..dim * dim).map(|at| if at % (dim + 1) == 0 { 1.0 } else { 0.0 }).collect())
}

fn mean(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim];
    for row in rows.chunks_exact(dim) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (rows.len() / dim) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// The places of falling `values` in the order of the pieces they are dealt to: each goes to that piece with room whose
/// values have the least product so far.
fn deal(values: &[f64], shape: &PqShape) -> Vec<usize> {
    // Shares below this are noise; counted from there all logarithms are positive.
    const LEAST: f64 = 1e-10;
    let mut hands: Vec<(f64, Vec<usize>)> = vec![(0.0, Vec::new()); shape.subspaces()];
    let room: Vec<usize> = shape.pieces().map(|range| range.len()).collect();
    for (place, value) in values.iter().enumerate() {
        let share = value / values[0];
        let weight = if share > LEAST { (share / LEAST).ln() } else { 0.0 };
        let open = hands.iter_mut().zip(&room).filter(|((_, hand), room)| hand.len() < **room);
        let (least, _) = open.min_by(|a, b| a.0.0.total_cmp(&b.0.0)).expect("as many places as values");
        least.0 += weight;
        least.1.push(place);
    }
    hands.into_iter().flat_map(|(_, hand)| hand).collect()
}

/// The rotation that turns `rows` as closely to `turned` as one can; `None` if the decomposition fails.
fn procrustes(rows: &[f32], turned: &[f32], dim: usize) -> Option<Vec<f32>> {
    let count = rows.len() / dim;
    let (from, to) =
        (MatRef::from_row_major_slice(rows, count, dim), MatRef::from_row_major_slice(turned, count, dim));
    let products: Mat<f32> = from.transpose() * to;
    let products = Mat::from_fn(dim, dim, |i, j| f64::from(products[(i, j)]));
    let svd = products.svd().ok()?;
    let turn: Mat<f64> = svd.V() * svd.U().transpose();
    let directions = (0..dim).flat_map(|n| (0..dim).map(move |i| (n, i))).map(|at| turn[at] as f32);
    orthonormal(directions.collect(), dim)
}

/// The `directions`, if they are finite and of length one: a decomposition of numbers that overflow may give anything.
fn orthonormal(directions: Vec<f32>, dim: usize) -> Option<Vec<f32>> {
    let one = |direction: &[f32]| (direction.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-3;
    directions.chunks_exact(dim).all(one).then_some(directions)
}

#[cfg(test)]
mod tests;
