//! A query as codes, and the formulas that give distances of codes.

use super::codec::Sq4;
use super::formula::Side;
use super::kernel::{Kernels, kernels};
use super::row::{self, Factors};
use crate::codec::{CodeQuery, Codec};

/// A query, encoded once, that can be compared with any row of the same [`Sq4`].
///
/// The query is `step * b` with signed codes `b` of eight bits, `step` a 127th of its greatest component; a row is
/// `scale * (u - 7.5)`. With `E` the squared lengths of both as they were before they were encoded, with what a projection
/// left out, and the integer `N = 2 sum b_i u_i - 15 sum b_i = 2 sum b_i (u_i - 7.5)`:
///
/// - L2: `|q - x|^2 = E_q + E_x - step * scale * N`, and at least 0.
/// - cosine: half of that, as `1 - q . x = |q - x|^2 / 2` between vectors of norm 1.
/// - dot: `-(q . x) = -step * scale * N / 2`.
///
/// A stored row as the query has the codes `2 u - 15` and the step `scale / 2`, so that the distance of two stored codes is the
/// same in both directions.
#[derive(Clone)]
pub struct Sq4Query {
    codec: Sq4,
    side: Side,
    kernels: &'static Kernels,
}

impl Sq4Query {
    /// `query`, all components finite, and components of the squared length `rest` that are not among them.
    pub(super) fn of_vector(codec: Sq4, query: &[f32], rest: f32) -> Self {
        let mut codes = vec![0; query.len()];
        let of = kernels().bind(query, &mut codes);
        let spread = row::spread(&codes, codec.row_bytes());
        let side = Side::new(codec.metric(), spread, of.sum, of.step, of.energy as f32 + rest);
        Self { codec, side, kernels: kernels() }
    }

    /// The vector that `row` stands for, as the query.
    pub(super) fn of_row(codec: Sq4, row: &[u8]) -> Self {
        let Factors { energy, scale } = Factors::read(row);
        let mut codes = vec![0; codec.dim()];
        row::unpack(row, &mut codes);
        let codes: Vec<i8> = codes.iter().map(|code| 2 * code.cast_signed() - 15).collect();
        let sum = codes.iter().map(|code| i32::from(*code)).sum();
        let spread = row::spread(&codes, codec.row_bytes());
        let side = Side::new(codec.metric(), spread, sum, 0.5 * scale, energy);
        Self { codec, side, kernels: kernels() }
    }
}

impl CodeQuery for Sq4Query {
    type Codec = Sq4;

    fn codec(&self) -> &Sq4 {
        &self.codec
    }

    fn score_row(&self, row: &[u8]) -> f32 {
        assert_eq!(row.len(), self.codec.row_bytes(), "a row has row_bytes bytes");
        let mut out = [0.0];
        self.scan(row, &mut out);
        out[0]
    }

    fn scan(&self, rows: &[u8], out: &mut [f32]) {
        self.kernels.scan(&self.side, rows, self.codec.row_bytes(), out);
    }

    #[inline]
    fn gather(&self, rows: &[u8], slots: &[u32], out: &mut [f32]) {
        self.kernels.gather(&self.side, rows, self.codec.row_bytes(), slots, out);
    }
}

impl std::fmt::Debug for Sq4Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sq4Query({:?}, {})", self.codec, self.kernels.name())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bits are compared, or values that are exact in f32")]
mod tests;
