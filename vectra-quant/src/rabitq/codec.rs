//! Vectors to rows and back.

use std::borrow::Cow;

use vectra_core::Metric;
use vectra_core::vector::normalize::inverse_norm;

use super::kernel::kernels;
use super::levels::OfRow;
use super::query::RaBitQQuery;
use super::row::{self, Factors};
use crate::codec::Codec;
use crate::codec::sealed::Sealed;
use crate::quantizer::Quantizer;
use crate::sq::{DIM_MAX, sane};

/// The most bits of a code.
pub const BITS_MAX: u32 = 8;

/// One to eight bits per dimension on levels that lie symmetrically around zero, for rotated vectors.
///
/// A row of [`row_bytes`](Codec::row_bytes) bytes, a multiple of 64, holds the codes in planes, their highest bits first. The widths
/// of the planes are, for codes of 1 to 8 bits: 1, 2, 2+1, 4, 4+1, 4+2, 4+2+1, 4+4. Each begins at a multiple of 64 bytes, unless
/// the row would be shorter if each followed the one before it: then it does.
///
/// | bytes | content |
/// |---|---|
/// | each plane, of `w` bits: as many bytes as hold `8 / w` codes each | with `b` those of its bytes that lie in the same 64 of the row, the j-th of them holds the bits of the j-th component in its lowest `w` bits, those of component `b + j` in the next ones, and so on; the next 64 bytes of the row go on with the components after those; what belongs to no component is zero |
/// | `row_bytes - 12..` | three `f32`, little-endian: `energy`, `scale` and `error` |
///
/// Component i is `scale * (code_i - (2^bits - 1) / 2)`. With `y` the vector and `v` its code less that middle, the codes are those of the
/// width of levels, of some that are tried, whose `v` points most like `y`; one bit is the sign. `scale = |y|^2 / <y, v>`: the product
/// of the vector and its code is the vector's squared length. `error` is the standard deviation of the product of `scale * v - y`, which
/// is at right angles to `y`, and a vector of length 1 in a random direction: `|y| sqrt((1 / cos^2 - 1) / (dim - 1))` with the cosine
/// between `y` and `v`, and never less than that of a cosine that few rotated vectors reach. `energy` is the squared length of the
/// vector as it was, with what else there is of it; under dot only the latter. Under [`Metric::Cosine`] it is the normalised vector that
/// is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaBitQ {
    dim: u32,
    bits: u32,
    metric: Metric,
}

impl RaBitQ {
    /// A codec for vectors of `dim` components, `bits` for each.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`] or `bits` not in `1..=`[`BITS_MAX`], or under [`Metric::L1`], whose distances are no matter
    /// of products.
    pub const fn new(dim: usize, bits: u32, metric: Metric) -> Self {
        assert!(1 <= dim && dim <= DIM_MAX, "the dimension is in 1..=65536");
        assert!(1 <= bits && bits <= BITS_MAX, "a code has 1 to 8 bits");
        assert!(!matches!(metric, Metric::L1), "L1 distances are no matter of products");
        Self { dim: dim as u32, bits, metric }
    }

    /// Bits of a code.
    pub const fn bits(&self) -> u32 {
        self.bits
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

    /// Encodes a finite `part`, and gives the codes, one to a byte, and the factors.
    pub(super) fn levels(self, part: &[f32], rest: f32) -> (Vec<u8>, Factors) {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        let mut codes = vec![0; part.len()];
        let of = kernels().encode(&sane(part), self.bits, &mut codes);
        (codes, self.factors(of, rest))
    }
}

impl RaBitQ {
    /// The factors of a row, with what else there is of its energy.
    pub(super) fn factors(self, of: OfRow, rest: f32) -> Factors {
        let energy = if self.metric == Metric::Dot { rest } else { of.energy as f32 + rest };
        Factors { energy, scale: of.scale, error: of.error }
    }
}

impl Sealed for RaBitQ {}

/// Under any metric a vector without a component of 1e-36 is encoded as zero.
impl Codec for RaBitQ {
    type Query = RaBitQQuery;

    const NAME: &'static str = "codec RaBitQ";

    const TAKES_CENTRES: bool = true;

    fn quantizer(&self) -> Quantizer {
        Quantizer::RaBitQ(*self)
    }

    fn dim(&self) -> usize {
        self.dim as usize
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_bytes(&self) -> usize {
        row::row_bytes(self.dim(), self.bits)
    }

    fn encode(&self, vector: &[f32], row: &mut [u8]) {
        self.encode_part(&self.directed(vector), 0.0, row);
    }

    fn encode_part(&self, part: &[f32], rest: f32, row: &mut [u8]) {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let (codes, factors) = self.levels(part, rest);
        row.fill(0);
        row::pack(&codes, self.bits, row);
        factors.write(row);
    }

    fn decode(&self, row: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let scale = Factors::read(row).scale;
        let middle = 0.5 * ((1_u32 << self.bits) - 1) as f32;
        let mut codes = vec![0; out.len()];
        row::unpack(row, self.bits, &mut codes);
        out.iter_mut().zip(codes).for_each(|(x, code)| *x = scale * (f32::from(code) - middle));
    }

    fn bind(&self, query: &[f32]) -> RaBitQQuery {
        self.bind_part(&self.directed(query), 0.0)
    }

    fn bind_part(&self, part: &[f32], rest: f32) -> RaBitQQuery {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        RaBitQQuery::of_vector(*self, &sane(part), rest)
    }

    fn bind_row(&self, row: &[u8]) -> RaBitQQuery {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        RaBitQQuery::of_row(*self, row)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
