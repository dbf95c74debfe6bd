//! From the product of codes to a distance.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the formula with the registers of its instruction set"
)]

use vectra_core::Metric;

use super::row::{Factors, Pair};

/// A query as the kernels need it; the formula is explained at [`Sq4Query`](super::query::Sq4Query).
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// Signed codes, for each line of a row a pair of lines.
    pub(super) codes: Vec<Pair>,
    /// `15 * sum b` of the codes `b`.
    pub(super) bias: i32,
    pub(super) step: f32,
    /// Its squared length, with what is left out; zero under dot.
    energy: f32,
    /// What the squared distance is multiplied with, and how low it may be.
    half: f32,
    floor: f32,
}

impl Side {
    /// A query of these codes, whose sum is `sum`.
    pub(super) fn new(metric: Metric, codes: Vec<Pair>, sum: i32, step: f32, energy: f32) -> Self {
        let (energy, half, floor) = match metric {
            // Without the squared lengths what is left is minus twice the inner product.
            Metric::Dot => (0.0, 0.5, f32::NEG_INFINITY),
            Metric::Cosine => (energy, 0.5, 0.0),
            _ => (energy, 1.0, 0.0),
        };
        Self { codes, bias: 15 * sum, step, energy, half, floor }
    }

    /// The distances to four rows, from the products of the codes; in a form that processors compute side by side.
    #[inline(always)]
    pub(super) fn distances(&self, products: [i32; 4], rows: [Factors; 4]) -> [f32; 4] {
        let mut out = [0.0; 4];
        for i in 0..4 {
            let twice = self.step * rows[i].scale * (2 * products[i] - self.bias) as f32;
            let distance = self.half * (self.energy + rows[i].energy - twice);
            // The estimate of a small distance may be below zero.
            out[i] = if distance < self.floor { self.floor } else { distance };
        }
        out
    }
}
