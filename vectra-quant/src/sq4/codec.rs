//! Vectors to rows and back.

use std::borrow::Cow;

use vectra_core::Metric;
use vectra_core::vector::normalize::inverse_norm;

use super::kernel::kernels;
use super::query::Sq4Query;
use super::row::{self, Factors};
use crate::codec::Codec;
use crate::codec::sealed::Sealed;
use crate::quantizer::Quantizer;
use crate::sq::{DIM_MAX, sane};

/// Four bits per dimension on levels that lie symmetrically around zero.
///
/// A row of [`row_bytes`](Codec::row_bytes) bytes, a multiple of 64:
///
/// | bytes | content |
/// |---|---|
/// | each line of 64 bytes but its factors | two codes to a byte: with `w` the bytes of codes of line l, 64 or, in the last line, 56, byte j holds the code of component 128 l + j in its low nibble and that of component 128 l + w + j in its high one; nibbles without a component are zero |
/// | `row_bytes - 8..` | two `f32`, little-endian: `energy` and `scale` |
///
/// Component i is `scale * (code_i - 7.5)`, and `energy` is the squared length of the vector as it was, with what a
/// projection left out; 0 under dot. With `y` the vector and `v = code - 7.5`, the codes are those of the width of
/// levels, of some that are tried, whose `v` points most like `y`, and `scale = |y|^2 / <y, v>`: the product of the vector
/// and its code is the vector's squared length. Under [`Metric::Cosine`] it is the normalised vector that is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sq4 {
    dim: u32,
    metric: Metric,
}

impl Sq4 {
    /// A codec for vectors of `dim` components.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`], or under [`Metric::L1`], whose distances are no matter of products.
    pub const fn new(dim: usize, metric: Metric) -> Self {
        assert!(1 <= dim && dim <= DIM_MAX, "the dimension is in 1..=65536");
        assert!(!matches!(metric, Metric::L1), "L1 distances have no codes of four bits");
        Self { dim: dim as u32, metric }
    }

    /// The vector as it is encoded: normalised under cosine.
    fn directed(self, vector: &[f32]) -> Cow<'_, [f32]> {
        let vector = sane(vector);
        if self.metric != Metric::Cosine {
            return vector;
        }
        let scale = inverse_norm(&vector);
        Cow::Owned(vector.iter().map(|x| x * scale).collect())
    }
}

impl Sealed for Sq4 {}

/// Under any metric a vector without a component of 1e-36 is encoded as zero.
impl Codec for Sq4 {
    type Query = Sq4Query;

    const NAME: &'static str = "codec SQ4";

    fn quantizer(&self) -> Quantizer {
        Quantizer::Sq4(*self)
    }

    fn dim(&self) -> usize {
        self.dim as usize
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_bytes(&self) -> usize {
        row::row_bytes(self.dim())
    }

    fn encode(&self, vector: &[f32], row: &mut [u8]) {
        self.encode_part(&self.directed(vector), 0.0, row);
    }

    fn encode_part(&self, part: &[f32], rest: f32, row: &mut [u8]) {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let mut codes = vec![0; part.len()];
        let of = kernels().encode(&sane(part), &mut codes);
        row.fill(0);
        row::pack(&codes, row);
        let energy = if self.metric == Metric::Dot { 0.0 } else { of.energy as f32 + rest };
        Factors { energy, scale: of.scale }.write(row);
    }

    fn decode(&self, row: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let scale = Factors::read(row).scale;
        let mut codes = vec![0; out.len()];
        row::unpack(row, &mut codes);
        out.iter_mut().zip(codes).for_each(|(x, code)| *x = scale * (f32::from(code) - 7.5));
    }

    fn bind(&self, query: &[f32]) -> Sq4Query {
        self.bind_part(&self.directed(query), 0.0)
    }

    fn bind_part(&self, part: &[f32], rest: f32) -> Sq4Query {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        Sq4Query::of_vector(*self, &sane(part), rest)
    }

    fn bind_row(&self, row: &[u8]) -> Sq4Query {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        Sq4Query::of_row(*self, row)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
