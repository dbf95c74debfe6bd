//! From the product of codes to a distance.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the formulas with the registers of its instruction set"
)]

use vectra_core::Metric;

use super::row::{Factors, RowFactors};

/// The distance of two sides from the product of their signed codes; the formulas are explained at
/// [`Sq8Query`](super::query::Sq8Query).
#[inline(always)]
pub(super) fn distance(metric: Metric, dim: f32, q: &Factors, x: &Factors, product: i32) -> f32 {
    let product = q.step * x.step * product as f32;
    if metric == Metric::Dot {
        return -(q.mid * x.mid * dim + (q.mid * x.sum + x.mid * q.sum) + product);
    }
    let offset = q.mid - x.mid;
    let squared = offset * (dim * offset + 2.0 * (q.sum - x.sum)) + (q.energy + x.energy - 2.0 * product);
    // Rounding may take the distance of equal codes below zero.
    let squared = if squared < 0.0 { 0.0 } else { squared };
    if metric == Metric::Cosine { 0.5 * squared } else { squared }
}

/// One side of many distances.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side {
    pub(super) factors: Factors,
    /// `128 * sum b` of its signed codes `b`: what the unsigned codes of the other side add to the product of signed ones.
    pub(super) bias: i32,
}

/// The distances of `side` to `rows`, from the products of its signed codes with their unsigned ones.
#[inline(always)]
pub(super) fn distances_apart(
    metric: Metric,
    dim: f32,
    side: &Side,
    rows: &[RowFactors],
    products: &[i32],
    out: &mut [f32],
) {
    let each = rows.iter().zip(products).zip(out);
    let of = |metric, row: &RowFactors, product: &i32| {
        distance(metric, dim, &side.factors, &Factors::of(*row), product - side.bias)
    };
    // The metric is a constant in each arm, so that no loop asks for it.
    match metric {
        Metric::Dot => each.for_each(|((row, product), out)| *out = of(Metric::Dot, row, product)),
        Metric::Cosine => each.for_each(|((row, product), out)| *out = of(Metric::Cosine, row, product)),
        _ => each.for_each(|((row, product), out)| *out = of(Metric::L2, row, product)),
    }
}

/// The factors of many rows, kind by kind.
#[derive(Debug, Clone)]
pub(super) struct ColumnFactors {
    pub(super) metric: Metric,
    pub(super) dim: f32,
    mids: Vec<f32>,
    steps: Vec<f32>,
    sums: Vec<f32>,
    energies: Vec<f32>,
}

impl ColumnFactors {
    pub(super) fn new(metric: Metric, dim: usize) -> Self {
        let empty = Vec::new;
        Self { metric, dim: dim as f32, mids: empty(), steps: empty(), sums: empty(), energies: empty() }
    }

    /// Takes those of `rows` instead of what it held.
    pub(super) fn fill(&mut self, rows: impl Iterator<Item = Factors>) {
        for kind in [&mut self.mids, &mut self.steps, &mut self.sums, &mut self.energies] {
            kind.clear();
        }
        for row in rows {
            self.mids.push(row.mid);
            self.steps.push(row.step);
            self.sums.push(row.sum);
            self.energies.push(row.energy);
        }
    }

    /// The distances of `side` to the rows, from the products of its signed codes with their unsigned ones.
    #[inline(always)]
    pub(super) fn distances(&self, side: &Side, products: &[i32], out: &mut [f32]) {
        // The metric is a constant in each arm, so that no loop asks for it.
        match self.metric {
            Metric::Dot => self.distances_by(Metric::Dot, side, products, out),
            Metric::Cosine => self.distances_by(Metric::Cosine, side, products, out),
            _ => self.distances_by(Metric::L2, side, products, out),
        }
    }

    #[inline(always)]
    fn distances_by(&self, metric: Metric, side: &Side, products: &[i32], out: &mut [f32]) {
        let columns = self.mids.iter().zip(&self.steps).zip(&self.sums).zip(&self.energies);
        for (((((mid, step), sum), energy), product), out) in columns.zip(products).zip(out) {
            let column = Factors { mid: *mid, step: *step, sum: *sum, energy: *energy };
            *out = distance(metric, self.dim, &side.factors, &column, product - side.bias);
        }
    }
}
