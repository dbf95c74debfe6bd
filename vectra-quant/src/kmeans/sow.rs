//! The first centroids: rows, each drawn with a chance that grows with the squared distance to those drawn before.

use vectra_core::env::Rng;

use super::{below, sample};
use crate::columns::Columns;

/// Rows looked at for each centroid; Lloyd's rounds see all.
const ROWS_PER_CENTROID: usize = 16;

/// At most `wanted` different rows; at least one.
pub(super) fn sow(rows: &[f32], dim: usize, wanted: usize, rng: &impl Rng) -> Vec<f32> {
    let rows = sample(rows, dim, wanted.saturating_mul(ROWS_PER_CENTROID), rng);
    let count = rows.len() / dim;
    let columns = Columns::new(&rows, dim);
    let mut least = vec![f32::INFINITY; columns.width()];
    let mut distances = vec![0.0; columns.width()];
    let mut next = below(rng, count);
    let mut sown = Vec::with_capacity(wanted.min(count) * dim);
    loop {
        let row = &rows[next * dim..][..dim];
        sown.extend_from_slice(row);
        if sown.len() / dim == wanted {
            return sown;
        }
        columns.squares(row, &mut distances);
        let mut whole = 0.0;
        for (least, distance) in least.iter_mut().zip(&distances).take(count) {
            *least = if distance < least { *distance } else { *least };
            whole += f64::from(*least);
        }
        let Some(drawn) = draw(&least[..count], whole, rng) else { return sown };
        next = drawn;
    }
}

/// A place, drawn with a chance in proportion to its weight; `None` if all weigh nothing.
fn draw(weights: &[f32], whole: f64, rng: &impl Rng) -> Option<usize> {
    let mut left = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 * whole;
    let mut last = None;
    for (place, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        left -= f64::from(*weight);
        last = Some(place);
        if left < 0.0 {
            break;
        }
    }
    // Rounding may leave a little beyond the last.
    last
}
