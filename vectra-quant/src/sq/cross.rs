//! Every one of some rows with every one of some others: the nearest of each.

use vectra_core::memory::prefetch;
use vectra_core::scorer::keep_nearest;
use vectra_core::{Metric, Neighbor};

use super::Sq8Rows;
use super::formula::{ColumnFactors, Side};
use super::kernel::{Columns, Kernels, TILE_ROWS, kernels};
use super::row::{BIAS, Factors};
use crate::codec::Codec;

/// Rows whose memory is asked for while columns are packed.
const AHEAD: usize = 6;

/// For each row of `rows` the `k` nearest of `columns`, itself left out; not for L1, which has no products.
pub(super) fn nearest_among(
    store: &Sq8Rows<'_>,
    rows: &[u32],
    columns: &[u32],
    k: usize,
    give: &mut dyn FnMut(usize, &[Neighbor]),
) {
    let mut cross = Cross::new(store, columns);
    let mut nearest = Vec::new();
    for (tile, slots) in rows.chunks(TILE_ROWS).enumerate() {
        cross.meet(slots);
        for (i, slot) in slots.iter().enumerate() {
            cross.nearest(i, k, *slot, columns, &mut nearest);
            give(tile * TILE_ROWS + i, &nearest);
        }
    }
}

/// Columns, and the rows that meet them.
struct Cross<'a> {
    store: &'a Sq8Rows<'a>,
    kernels: &'static Kernels,
    columns: Columns,
    factors: ColumnFactors,
    rows: [Vec<i8>; TILE_ROWS],
    sides: [Side; TILE_ROWS],
    products: Vec<i32>,
    distances: Vec<f32>,
    places: Vec<u32>,
}

impl<'a> Cross<'a> {
    fn new(store: &'a Sq8Rows<'a>, slots: &[u32]) -> Self {
        let codec = store.codec();
        debug_assert!(codec.metric() != Metric::L1, "L1 is not a matter of products");
        let mut columns = Columns::default();
        let rows = slots.iter().enumerate().map(|(i, slot)| {
            prefetch(slots.get(i + AHEAD).map(|ahead| store.row(*ahead)).unwrap_or_default());
            store.row(*slot)
        });
        columns.fill(codec.dim(), rows);
        let mut factors = ColumnFactors::new(codec.metric(), codec.dim());
        factors.fill(slots.iter().map(|slot| Factors::read(store.row(*slot))));
        let (row_len, padded) = (columns.row_len(), columns.padded());
        Self {
            store,
            kernels: kernels(),
            columns,
            factors,
            rows: std::array::from_fn(|_| vec![0; row_len]),
            sides: [Side::default(); TILE_ROWS],
            products: vec![0; TILE_ROWS * padded],
            distances: vec![0.0; TILE_ROWS * padded],
            places: Vec::new(),
        }
    }

    /// Computes the distances of at most [`TILE_ROWS`] rows to all columns.
    fn meet(&mut self, slots: &[u32]) {
        for ((slot, codes), side) in slots.iter().zip(&mut self.rows).zip(&mut self.sides) {
            let row = self.store.row(*slot);
            codes
                .iter_mut()
                .zip(&row[..self.store.codec().dim()])
                .for_each(|(to, code)| *to = (code ^ 0x80) as i8);
            let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
            *side = Side { factors: Factors::read(row), bias: BIAS * sum };
        }
        self.kernels.products(self.rows.each_ref().map(Vec::as_slice), &self.columns, &mut self.products);
        let padded = self.columns.padded();
        let results = self.products.chunks(padded).zip(self.distances.chunks_mut(padded));
        for (side, (products, distances)) in self.sides.iter().zip(results).take(slots.len()) {
            self.kernels.finish(side, &self.factors, products, distances);
        }
    }

    /// Puts the `k` nearest columns but `own` to the i-th row that [`meet`](Self::meet) was given into `nearest`, in order.
    fn nearest(&mut self, i: usize, k: usize, own: u32, slots: &[u32], nearest: &mut Vec<Neighbor>) {
        let distances = &self.distances[i * self.columns.padded()..][..self.columns.len()];
        // One more, as the row itself may be among them.
        self.kernels.nearest(distances, k + 1, &mut self.places);
        let near = |place: &u32| (distances[*place as usize], slots[*place as usize]);
        nearest.clear();
        nearest.extend(
            self.places
                .iter()
                .map(near)
                .filter(|(_, slot)| *slot != own)
                .map(|(distance, slot)| Neighbor { distance, slot }),
        );
        keep_nearest(own, k, nearest);
    }
}

#[cfg(test)]
mod tests;
