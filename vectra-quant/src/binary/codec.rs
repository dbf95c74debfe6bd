//! Vectors to rows and back.

use vectra_core::Metric;
use vectra_core::vector::normalize::norm_squared;

use super::query::BinaryQuery;
use super::row::{self, Factors};
use crate::codec::Codec;
use crate::codec::sealed::Sealed;
use crate::quantizer::Quantizer;
use crate::sq::{DIM_MAX, sane};

/// One bit per component.
///
/// A row of [`row_bytes`](Codec::row_bytes) bytes, a multiple of 64:
///
/// | bytes | content |
/// |---|---|
/// | from the first on | bit `i % 8` of byte `i / 8` is set if component i is negative; the other bits are zero |
/// | `row_bytes - 8..`, not under cosine | two `f32`, little-endian: the length of the components, and the squared length of the vector with what a projection left out (0 under dot) |
///
/// Under [`Metric::Cosine`] nothing but the signs is kept: distances are between the directions of what was encoded, of the
/// components that a projection keeps if there is one, and a vector without a direction is one of positive components. Under
/// the other metrics only the angle is rough, lengths are exact; so the less of a distance is a matter of lengths the rougher it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binary {
    dim: u32,
    metric: Metric,
}

impl Binary {
    /// A codec for vectors of `dim` components.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`], or under [`Metric::L1`], of whose distances angles say nothing.
    pub const fn new(dim: usize, metric: Metric) -> Self {
        assert!(1 <= dim && dim <= DIM_MAX, "the dimension is in 1..=65536");
        assert!(!matches!(metric, Metric::L1), "L1 distances have no codes of one bit");
        Self { dim: dim as u32, metric }
    }

    /// The factors of components and of what is left out.
    pub(super) fn factors(self, part: &[f32], rest: f32) -> Factors {
        if self.metric == Metric::Cosine {
            return Factors::OF_COSINE;
        }
        let squared = norm_squared(part);
        let energy = if self.metric == Metric::Dot { 0.0 } else { squared as f32 + rest };
        Factors { length: squared.sqrt() as f32, energy }
    }
}

impl Sealed for Binary {}

impl Codec for Binary {
    type Query = BinaryQuery;

    const NAME: &'static str = "codec BINARY";

    fn quantizer(&self) -> Quantizer {
        Quantizer::Binary(*self)
    }

    fn dim(&self) -> usize {
        self.dim as usize
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_bytes(&self) -> usize {
        row::row_bytes(self.dim(), self.metric)
    }

    fn encode(&self, vector: &[f32], row: &mut [u8]) {
        self.encode_part(vector, 0.0, row);
    }

    fn encode_part(&self, part: &[f32], rest: f32, row: &mut [u8]) {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let part = sane(part);
        row.fill(0);
        row::pack(&part, row);
        if self.metric != Metric::Cosine {
            self.factors(&part, rest).write(row);
        }
    }

    fn decode(&self, row: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let size = Factors::read(row, self.metric).length / (self.dim as f32).sqrt();
        for (i, x) in out.iter_mut().enumerate() {
            *x = if row[i / 8] >> (i % 8) & 1 == 1 { -size } else { size };
        }
    }

    fn bind(&self, query: &[f32]) -> BinaryQuery {
        self.bind_part(query, 0.0)
    }

    fn bind_part(&self, part: &[f32], rest: f32) -> BinaryQuery {
        let mut row = vec![0; self.row_bytes()];
        self.encode_part(part, rest, &mut row);
        self.bind_row(&row)
    }

    fn bind_row(&self, row: &[u8]) -> BinaryQuery {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        BinaryQuery::of_row(*self, row)
    }
}

#[cfg(test)]
mod tests;
