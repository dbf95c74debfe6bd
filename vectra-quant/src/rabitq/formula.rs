//! From the product of codes to a distance and what it may be wrong by.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the formula with the registers of its instruction set"
)]

use vectra_core::Metric;

use super::levels::{OfQuery, SINES};
use super::row::{self, Factors, Plane, QueryLine};

/// A distance and how far it may be from the one of the vectors.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// The distance, right on average over the rotations.
    pub distance: f32,
    /// Half the width of the range around it in which the distance of the vectors lies, but for the share of cases that the
    /// query's `eps` says.
    pub error: f32,
}

impl Estimate {
    /// The low end of the range.
    #[inline]
    pub fn lower(&self) -> f32 {
        self.distance - self.error
    }

    /// The high end of the range.
    #[inline]
    pub fn upper(&self) -> f32 {
        self.distance + self.error
    }
}

/// A query as the kernels need it; the formula is explained at [`RaBitQQuery`](super::query::RaBitQQuery).
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// Signed codes, for each line of each plane as many lines as it has fields.
    pub(super) codes: Vec<QueryLine>,
    /// The planes of a row.
    pub(super) planes: Vec<Plane>,
    /// Bytes of a row.
    pub(super) row_bytes: usize,
    /// `(2^bits - 1) * sum b` of the codes `b`.
    pub(super) bias: i32,
    pub(super) step: f32,
    /// As the factor of a row.
    energy: f32,
    /// What the squared distance is multiplied with, and how low it may be.
    half: f32,
    floor: f32,
    /// The standard deviation of a distance to a row of error 1.
    pub(super) deviation: f32,
}

impl Side {
    /// A query of these codes, with what else there is of its energy, for rows of codes of `bits`.
    pub(super) fn new(metric: Metric, bits: u32, codes: &[i8], of: &OfQuery, rest: f32) -> Self {
        Self::of_parts(metric, &[bits], codes, of, rest)
    }

    /// The same for rows that follow each other, each with so many bits of the codes, the highest first.
    pub(super) fn of_parts(metric: Metric, parts: &[u32], codes: &[i8], of: &OfQuery, rest: f32) -> Self {
        let (bits, mut row_bytes, mut planes) = (parts.iter().sum::<u32>(), 0, Vec::new());
        for part in parts {
            planes.extend(row::layout(codes.len(), *part).into_iter().map(|plane| plane.behind(row_bytes)));
            row_bytes += row::row_bytes(codes.len(), *part);
        }
        let energy = if metric == Metric::Dot { rest } else { of.energy as f32 + rest };
        let (half, floor) = match metric {
            Metric::Dot => (0.5, f32::NEG_INFINITY),
            Metric::Cosine => (0.5, 0.0),
            _ => (1.0, 0.0),
        };
        // The errors of a row's code and of the query's are independent; a row is not said to be better than this sine.
        let sine = f64::from(SINES[bits as usize - 1]);
        let length = (of.energy + of.lost / (sine * sine)).sqrt() as f32;
        Self {
            codes: parts.iter().flat_map(|bits| row::spread(codes, *bits)).collect(),
            planes,
            row_bytes,
            bias: ((1 << bits) - 1) * of.sum,
            step: of.step,
            energy,
            half,
            floor,
            deviation: 2.0 * half * length,
        }
    }

    /// Takes the energy that a row has.
    pub(super) fn set_energy(&mut self, energy: f32) {
        self.energy = energy;
    }

    /// The query's codes, of so many components, as tables have their sums: a sum `s` stands for the product `bias + scale * s`, in each
    /// of so many columns rounded to whole `s`. Only for codes of one bit.
    pub(super) fn signs(&self, bias: f32, scale: f32, columns: usize) -> SignSide {
        // A rounded number is off by a standard deviation of a twelfth, squared; codes of one bit are halves.
        let rounded = f64::from(self.step * scale).powi(2) * columns as f64 / 12.0;
        let lost = rounded * 4.0 / f64::from(SINES[0]).powi(2);
        let length = f64::from(self.deviation / (2.0 * self.half));
        SignSide {
            first: 2.0 * bias - self.bias as f32,
            each: 2.0 * scale,
            step: self.step,
            energy: self.energy,
            half: self.half,
            floor: self.floor,
            reach: 2.0 * self.half * (length * length + lost).sqrt() as f32,
        }
    }

    /// The distances to four rows, from the products of the codes; in a form that processors compute side by side.
    #[inline(always)]
    pub(super) fn distances(&self, products: [i32; 4], rows: [Factors; 4]) -> [f32; 4] {
        let mut out = [0.0; 4];
        for i in 0..4 {
            // Twice the product may be beyond the range; what is left without the bias never is.
            let signed = products[i].wrapping_mul(2).wrapping_sub(self.bias);
            let twice = self.step * rows[i].scale * signed as f32;
            let distance = self.half * (self.energy + rows[i].energy - twice);
            // The estimate of a small distance may be below zero.
            out[i] = if distance < self.floor { self.floor } else { distance };
        }
        out
    }
}

/// A query whose products with codes of one bit are sums of entries of tables.
#[derive(Debug, Clone)]
pub(super) struct SignSide {
    /// Twice the product less the bias, for a sum of zero, and what it grows by with each.
    first: f32,
    each: f32,
    /// As those of [`Side`].
    step: f32,
    energy: f32,
    half: f32,
    floor: f32,
    /// What the error of a row is multiplied with.
    pub(super) reach: f32,
}

impl SignSide {
    /// The estimate of a row.
    #[inline(always)]
    pub(super) fn estimate(&self, sum: u16, row: Factors) -> Estimate {
        let signed = self.first + self.each * f32::from(sum);
        let twice = self.step * row.scale * signed;
        let distance = self.half * (self.energy + row.energy - twice);
        let distance = if distance < self.floor { self.floor } else { distance };
        Estimate { distance, error: self.reach * row.error }
    }
}
