//! Codes that keep what products are made of.
//!
//! An error along a vector changes its products with the queries that matter, those near to it, more than one at right angles.
//! So with `u` the direction of a vector and `r` what its code is wrong by, the codes minimise `|r|^2 + w (r . u)^2` (Guo et al.
//! 2020, with `1 + w` the ratio they call eta). The second term depends on all pieces: codes are improved one at a time, the others
//! fixed, until none changes, and so are centroids.

use super::pieces::PqShape;
use super::train::PqSettings;
use crate::columns::Columns;

/// Sweeps over the pieces of a vector at most.
const SWEEPS: usize = 3;
/// Turns of codes and centroids.
const TURNS: usize = 6;
/// Rows used: more do not make better centroids.
const ROWS_MAX: usize = 1 << 15;
/// Numbers compared side by side.
const LANES: usize = 16;

/// The weight `w` of errors along vectors of so many components.
pub(super) fn weight(dim: usize, settings: &PqSettings) -> f32 {
    let square = f64::from(settings.threshold).powi(2);
    let ratio = (dim as f64 - 1.0) * square / (1.0 - square);
    if ratio > 1.0 { (ratio - 1.0) as f32 } else { 0.0 }
}

/// What the codes of one vector are chosen from.
pub(super) struct Choice {
    centroids: usize,
    /// For each piece and centroid the squared length of the error.
    squares: Vec<f32>,
    /// And its part along the vector.
    along: Vec<f32>,
    costs: Vec<f32>,
}

impl Choice {
    pub(super) fn new(shape: &PqShape) -> Self {
        let (centroids, all) = (shape.centroids(), shape.centroids() * shape.subspaces());
        Self { centroids, squares: vec![0.0; all], along: vec![0.0; all], costs: vec![0.0; centroids] }
    }

    /// Looks at a vector that is cut. Its codes are then the nearest centroids, or those that were chosen before.
    pub(super) fn look(&mut self, vector: &[f32], shape: &PqShape, books: &[Columns]) {
        let inverse = vectra_core::vector::normalize::inverse_norm(vector);
        let tables =
            self.squares.chunks_exact_mut(self.centroids).zip(self.along.chunks_exact_mut(self.centroids));
        for ((range, book), (squares, along)) in shape.pieces().zip(books).zip(tables) {
            let piece = &vector[range];
            book.squares(piece, squares);
            book.products(piece, along);
            let own: f32 = piece.iter().map(|x| x * x).sum();
            along.iter_mut().for_each(|product| *product = (own - *product) * inverse);
        }
    }

    /// The nearest centroids.
    pub(super) fn nearest(&self, codes: &mut [u8]) {
        for (code, squares) in codes.iter_mut().zip(self.squares.chunks_exact(self.centroids)) {
            *code = least(squares) as u8;
        }
    }

    /// Improves the codes, with errors along the vector weighing so much more.
    pub(super) fn improve(&mut self, weight: f32, codes: &mut [u8]) {
        let k = self.centroids;
        let mut whole: f32 =
            codes.iter().zip(self.along.chunks_exact(k)).map(|(code, along)| along[usize::from(*code)]).sum();
        for _ in 0..SWEEPS {
            let mut changed = false;
            let tables = self.squares.chunks_exact(k).zip(self.along.chunks_exact(k));
            for (code, (squares, along)) in codes.iter_mut().zip(tables) {
                let rest = whole - along[usize::from(*code)];
                for ((cost, square), along) in self.costs.iter_mut().zip(squares).zip(along) {
                    let error = rest + along;
                    *cost = square + weight * (error * error);
                }
                let best = least(&self.costs);
                if self.costs[best] < self.costs[usize::from(*code)] {
                    (*code, changed) = (best as u8, true);
                }
                whole = rest + along[usize::from(*code)];
            }
            if !changed {
                return;
            }
        }
    }
}

/// The place of the least of 16 or 256 numbers, the first of equal ones.
fn least(numbers: &[f32]) -> usize {
    let mut lanes = [f32::INFINITY; LANES];
    for numbers in numbers.as_chunks::<LANES>().0 {
        for (least, x) in lanes.iter_mut().zip(numbers) {
            *least = if x < least { *x } else { *least };
        }
    }
    let least = lanes.into_iter().fold(f32::INFINITY, f32::min);
    numbers.iter().position(|x| *x <= least).unwrap_or(0)
}

/// Moves the centroids of all pieces so that such codes of `rows`, which are finite and cut, are wrong by as little as can be.
pub(super) fn settle(rows: &[f32], shape: &PqShape, weight: f32, books: &mut [Columns]) {
    let (dim, pieces) = (shape.dim(), shape.subspaces());
    let count = (rows.len() / dim).min(ROWS_MAX);
    let rows = &rows[..count * dim];
    let (mut codes, mut choice) = (vec![0; count * pieces], Choice::new(shape));
    for turn in 0..TURNS {
        for (row, codes) in rows.chunks_exact(dim).zip(codes.chunks_exact_mut(pieces)) {
            choice.look(row, shape, books);
            if turn == 0 {
                choice.nearest(codes);
            }
            choice.improve(weight, codes);
        }
        move_centroids(rows, &codes, shape, f64::from(weight), books);
    }
}

/// Solves for the centroids of one piece after the other, the codes and the other centroids fixed.
fn move_centroids(rows: &[f32], codes: &[u8], shape: &PqShape, weight: f64, books: &mut [Columns]) {
    let (dim, pieces) = (shape.dim(), shape.subspaces());
    let inverse = |row: &[f32]| f64::from(vectra_core::vector::normalize::inverse_norm(row));
    let inverses: Vec<f64> = rows.chunks_exact(dim).map(inverse).collect();
    // What the codes of each row are wrong by along it.
    let mut wholes = vec![0.0; inverses.len()];
    let mut tables: Vec<Vec<f64>> = books.iter().map(wide).collect();
    let error = |row: &[f32], range: std::ops::Range<usize>, table: &[f64], code: u8, inverse: f64| {
        let centroid = &table[usize::from(code) * range.len()..];
        let parts = row[range].iter().zip(centroid).map(|(x, c)| (f64::from(*x) - c) * f64::from(*x));
        parts.sum::<f64>() * inverse
    };
    for (n, range) in shape.pieces().enumerate() {
        for ((row, codes), (whole, inverse)) in
            rows.chunks_exact(dim).zip(codes.chunks_exact(pieces)).zip(wholes.iter_mut().zip(&inverses))
        {
            *whole += error(row, range.clone(), &tables[n], codes[n], *inverse);
        }
    }
    for (n, range) in shape.pieces().enumerate() {
        let len = range.len();
        let mut systems = vec![System::new(len); shape.centroids()];
        let all = || rows.chunks_exact(dim).zip(codes.chunks_exact(pieces)).zip(&inverses);
        for (((row, codes), inverse), whole) in all().zip(&mut wholes) {
            *whole -= error(row, range.clone(), &tables[n], codes[n], *inverse);
            systems[usize::from(codes[n])].add(&row[range.clone()], *inverse, *whole, weight);
        }
        for (system, centroid) in systems.iter_mut().zip(tables[n].chunks_exact_mut(len)) {
            system.solve(centroid);
        }
        for (((row, codes), inverse), whole) in all().zip(&mut wholes) {
            *whole += error(row, range.clone(), &tables[n], codes[n], *inverse);
        }
    }
    for (book, (table, range)) in books.iter_mut().zip(tables.iter().zip(shape.pieces())) {
        let rounded: Vec<f32> = table.iter().map(|x| *x as f32).collect();
        *book = Columns::new(&rounded, range.len());
    }
}

fn wide(book: &Columns) -> Vec<f64> {
    (0..book.count()).flat_map(|n| book.vector(n)).map(f64::from).collect()
}

/// The equations of the best centroid for some rows: `(sum 1 + w u u') c = sum x + w u (e + u . x)`, where `u` and `x` are the
/// piece of a row's direction and of the row itself, and `e` is what the other pieces are wrong by along it.
#[derive(Clone)]
struct System {
    len: usize,
    matrix: Vec<f64>,
    right: Vec<f64>,
    rows: usize,
}

impl System {
    fn new(len: usize) -> Self {
        Self { len, matrix: vec![0.0; len * len], right: vec![0.0; len], rows: 0 }
    }

    fn add(&mut self, piece: &[f32], inverse: f64, others: f64, weight: f64) {
        let x = |i: usize| f64::from(piece[i]);
        let own: f64 = piece.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let along = weight * (others + own * inverse);
        for i in 0..self.len {
            let u = x(i) * inverse;
            self.right[i] += x(i) + along * u;
            self.matrix[i * self.len + i] += 1.0;
            for j in 0..self.len {
                self.matrix[i * self.len + j] += weight * u * (x(j) * inverse);
            }
        }
        self.rows += 1;
    }

    /// Writes the solution to `centroid`, which stays where it is if no row has it. The matrix is positive definite: it is
    /// eliminated in order.
    fn solve(&mut self, centroid: &mut [f64]) {
        if self.rows == 0 {
            return;
        }
        let n = self.len;
        for i in 0..n {
            for j in i + 1..n {
                let factor = self.matrix[j * n + i] / self.matrix[i * n + i];
                for k in i..n {
                    self.matrix[j * n + k] -= factor * self.matrix[i * n + k];
                }
                self.right[j] -= factor * self.right[i];
            }
        }
        for i in (0..n).rev() {
            let known: f64 = (i + 1..n).map(|k| self.matrix[i * n + k] * self.right[k]).sum();
            self.right[i] = (self.right[i] - known) / self.matrix[i * n + i];
        }
        if self.right.iter().all(|x| x.is_finite()) {
            centroid.copy_from_slice(&self.right);
        }
    }
}

#[cfg(test)]
mod tests;
