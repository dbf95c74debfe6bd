//! Lloyd's rounds: each row to its nearest centroid, each centroid to the mean of its rows.

use super::{Centroids, KMeans};
use crate::columns::{Columns, Nearest};

/// Moves the `sown` centroids until none moves any more or the rounds are over.
pub(super) fn settle(rows: &[f32], dim: usize, sown: Vec<f32>, settings: &KMeans) -> Centroids {
    let (mut centroids, mut missing) = (sown, true);
    let mut found = vec![Nearest::NONE; rows.len() / dim];
    for _ in 0..settings.rounds {
        let before: Vec<u32> = found.iter().map(|nearest| nearest.index).collect();
        Columns::new(&centroids, dim).nearest(rows, &mut found);
        let still = found.iter().zip(&before).all(|(nearest, before)| nearest.index == *before);
        // The first round has nothing to compare with, and centroids set down anew must be looked at.
        if still && !missing {
            break;
        }
        let cells = Cells::of(rows, dim, centroids.len() / dim, &found);
        let empty = cells.move_centroids(&mut centroids);
        let wanted = settings.centroids - (centroids.len() / dim - empty.len());
        missing = wanted > 0 && split(rows, dim, cells, &found, wanted, empty, &mut centroids);
    }
    drop_unused(rows, dim, &mut centroids, &mut found);
    Centroids { columns: Columns::new(&centroids, dim) }
}

/// What the rows of each centroid add up to.
struct Cells {
    dim: usize,
    sums: Vec<f64>,
    counts: Vec<u32>,
    /// The sums of squared distances.
    errors: Vec<f64>,
}

impl Cells {
    fn of(rows: &[f32], dim: usize, count: usize, found: &[Nearest]) -> Self {
        let mut cells =
            Self { dim, sums: vec![0.0; count * dim], counts: vec![0; count], errors: vec![0.0; count] };
        for (row, nearest) in rows.chunks_exact(dim).zip(found) {
            let cell = nearest.index as usize;
            let sums = &mut cells.sums[cell * dim..][..dim];
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            cells.counts[cell] += 1;
            cells.errors[cell] += f64::from(nearest.distance);
        }
        cells
    }

    /// Moves each centroid to the mean of its rows; gives those that have none.
    fn move_centroids(&self, centroids: &mut [f32]) -> Vec<usize> {
        let mut empty = Vec::new();
        let means = centroids.chunks_exact_mut(self.dim).zip(self.sums.chunks_exact(self.dim));
        for (cell, ((centroid, sums), count)) in means.zip(&self.counts).enumerate() {
            if *count == 0 {
                empty.push(cell);
                continue;
            }
            let count = f64::from(*count);
            centroid.iter_mut().zip(sums).for_each(|(x, sum)| *x = (sum / count) as f32);
        }
        empty
    }
}

/// Sets down `wanted` centroids, those that are `empty` first, each on the row that is farthest from the centroid of the cell
/// with the largest error. Whether there was any error left.
fn split(
    rows: &[f32],
    dim: usize,
    mut cells: Cells,
    found: &[Nearest],
    wanted: usize,
    mut empty: Vec<usize>,
    centroids: &mut Vec<f32>,
) -> bool {
    // The farthest row last.
    let mut by_cell: Vec<Vec<u32>> = vec![Vec::new(); cells.counts.len()];
    for (row, nearest) in (0..).zip(found).filter(|(_, nearest)| nearest.distance > 0.0) {
        by_cell[nearest.index as usize].push(row);
    }
    let mut sorted = vec![false; by_cell.len()];
    let mut any = false;
    for _ in 0..wanted {
        let errors = cells.errors.iter().enumerate().filter(|(cell, _)| !by_cell[*cell].is_empty());
        let largest = errors.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let Some((cell, _)) = largest else { break };
        if !std::mem::replace(&mut sorted[cell], true) {
            let distance = |row: u32| found[row as usize].distance;
            by_cell[cell].sort_by(|a, b| distance(*a).total_cmp(&distance(*b)).then(b.cmp(a)));
        }
        let row = by_cell[cell].pop().expect("cells without a row were passed over") as usize;
        let row = &rows[row * dim..][..dim];
        // Half of the rows will go, and more than half of the error.
        cells.errors[cell] /= 2.0;
        match empty.pop() {
            Some(place) => centroids[place * dim..][..dim].copy_from_slice(row),
            None => centroids.extend_from_slice(row),
        }
        any = true;
    }
    any
}

/// Removes the centroids that no row is nearest to.
fn drop_unused(rows: &[f32], dim: usize, centroids: &mut Vec<f32>, found: &mut [Nearest]) {
    Columns::new(centroids, dim).nearest(rows, found);
    let mut used = vec![false; centroids.len() / dim];
    found.iter().for_each(|nearest| used[nearest.index as usize] = true);
    let kept = centroids.chunks_exact(dim).zip(&used).filter(|(_, used)| **used);
    *centroids = kept.flat_map(|(centroid, _)| centroid.to_vec()).collect();
}
