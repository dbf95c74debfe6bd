//! Vectors to rows and back.

use std::borrow::Cow;

use vectra_core::scorer::by_scoring;
use vectra_core::vector::normalize::{
    MAX_DIMS, MAX_MAGNITUDE, check_finite, inverse_norm, inverse_of, norm_squared,
};
use vectra_core::{Metric, Neighbor};

use super::kernel::kernels;
use super::query::Sq8Query;
use super::row::{FACTOR_BYTES, Factors, RowFactors};
use super::{Sq8Rows, cross};
use crate::codec::Codec;
use crate::codec::sealed::Sealed;
use crate::quantizer::Quantizer;

/// The most dimensions. The products of a code (at most 255) and a signed query code (at most 128 in magnitude)
/// then add up to at most 255 * 128 * 65,536 = 2,139,095,040, which an `i32` holds.
pub const DIM_MAX: usize = MAX_DIMS;

const _: () = assert!(255 * 128 * DIM_MAX as u64 <= i32::MAX as u64, "kernels sum in i32");

/// Rows start at multiples of this, the length of a cache line.
const ALIGN: usize = 64;

/// One byte per dimension on a grid that spans the vector's own range.
///
/// A row of [`row_bytes`](Codec::row_bytes) bytes, a multiple of 64:
///
/// | bytes | content |
/// |---|---|
/// | `0..dim` | codes, `u8`; component i is `mid + step * (code_i - 128)` |
/// | `dim..row_bytes - 16` | zero |
/// | `row_bytes - 16..` | four `f32`, little-endian: `mid`, `step`, `step * sum (code_i - 128)`, `step^2 * sum (code_i - 128)^2` |
///
/// With lowest component `lo` and highest `hi`: `step = (hi - lo) / 255`, `mid = lo + 128 step`. Under
/// [`Metric::Cosine`] it is the normalised vector that is encoded. The stored sums make distances of codes a matter of
/// one integer inner product, and keep them exact for vectors far from the origin: see [`Sq8Query`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sq8 {
    dim: u32,
    metric: Metric,
}

impl Sq8 {
    /// A codec for vectors of `dim` components.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`].
    pub const fn new(dim: usize, metric: Metric) -> Self {
        assert!(1 <= dim && dim <= DIM_MAX, "the dimension is in 1..=65536");
        Self { dim: dim as u32, metric }
    }

    /// Encodes `vector`, normalised if asked to, and gives its squared length then.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Codec::dim) long.
    pub(crate) fn bind_scaled(self, vector: &[f32], normalize: bool) -> (Sq8Query, f32) {
        assert_eq!(vector.len(), self.dim(), "vector and codec have different dimensions");
        let vector = sane(vector);
        let energy = norm_squared(&vector);
        if !normalize {
            return (Sq8Query::of_vector(self, &vector, 1.0, 0.0), energy as f32);
        }
        let scale = f64::from(inverse_of(energy));
        (Sq8Query::of_vector(self, &vector, scale, 0.0), (energy * scale * scale) as f32)
    }

    /// Bytes from the codes of one row to those of the next where factors are kept apart, a multiple of 64.
    pub const fn code_bytes(&self) -> usize {
        (self.dim as usize).next_multiple_of(ALIGN)
    }

    /// Writes the codes of `vector` to `codes`, zeros behind them, and gives the factors that [`encode`](Codec::encode) puts there:
    /// for rows of which many are scanned and few are looked at alone ([`Sq8Query::scan_apart`]).
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Codec::dim) long or `codes` not [`code_bytes`](Self::code_bytes).
    pub fn encode_apart(&self, vector: &[f32], codes: &mut [u8]) -> RowFactors {
        assert_eq!(vector.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(codes.len(), self.code_bytes(), "codes have code_bytes bytes");
        let vector = sane(vector);
        let (codes, behind) = codes.split_at_mut(vector.len());
        behind.fill(0);
        kernels().encode(&vector, self.scale(&vector), codes).apart()
    }

    /// What components are multiplied with before they are encoded.
    fn scale(self, vector: &[f32]) -> f64 {
        if self.metric == Metric::Cosine { f64::from(inverse_norm(vector)) } else { 1.0 }
    }

    /// Writes `scale * vector` and what else there is of the squared length `rest`.
    fn write(self, vector: &[f32], scale: f64, rest: f32, row: &mut [u8]) {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let (codes, behind) = row.split_at_mut(vector.len());
        behind.fill(0);
        let mut factors = kernels().encode(vector, scale, codes);
        factors.energy += rest;
        factors.write(row);
    }
}

impl Sealed for Sq8 {}

impl Codec for Sq8 {
    type Query = Sq8Query;

    const NAME: &'static str = "codec SQ8";

    fn quantizer(&self) -> Quantizer {
        Quantizer::Sq8(*self)
    }

    fn dim(&self) -> usize {
        self.dim as usize
    }

    fn metric(&self) -> Metric {
        self.metric
    }

    fn row_bytes(&self) -> usize {
        (self.dim() + FACTOR_BYTES).next_multiple_of(ALIGN)
    }

    fn encode(&self, vector: &[f32], row: &mut [u8]) {
        assert_eq!(vector.len(), self.dim(), "vector and codec have different dimensions");
        let vector = sane(vector);
        self.write(&vector, self.scale(&vector), 0.0, row);
    }

    fn encode_part(&self, part: &[f32], rest: f32, row: &mut [u8]) {
        assert_eq!(part.len(), self.dim(), "part and codec have different dimensions");
        self.write(&sane(part), 1.0, rest, row);
    }

    fn decode(&self, row: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let factors = Factors::read(row);
        out.iter_mut().zip(row).for_each(|(x, code)| *x = factors.decode(*code));
    }

    fn bind(&self, query: &[f32]) -> Sq8Query {
        assert_eq!(query.len(), self.dim(), "query and codec have different dimensions");
        let query = sane(query);
        Sq8Query::of_vector(*self, &query, self.scale(&query), 0.0)
    }

    fn bind_part(&self, part: &[f32], rest: f32) -> Sq8Query {
        assert_eq!(part.len(), self.dim(), "part and codec have different dimensions");
        Sq8Query::of_vector(*self, &sane(part), 1.0, rest)
    }

    fn bind_row(&self, row: &[u8]) -> Sq8Query {
        Sq8Query::of_row(*self, row)
    }

    fn forms_groups(&self) -> bool {
        matches!(self.metric, Metric::Cosine | Metric::L2)
    }

    fn nearest_among(
        store: &Sq8Rows<'_>,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        if store.codec().metric == Metric::L1 {
            by_scoring(store, rows, columns, k, give);
        } else {
            cross::nearest_among(store, rows, columns, k, give);
        }
    }
}

/// The vector with every component a number that sums can bear; almost always the vector itself.
pub(crate) fn sane(vector: &[f32]) -> Cow<'_, [f32]> {
    if check_finite(vector).is_ok() {
        return Cow::Borrowed(vector);
    }
    let number = |x: &f32| if x.is_nan() { 0.0 } else { x.clamp(-MAX_MAGNITUDE, MAX_MAGNITUDE) };
    Cow::Owned(vector.iter().map(number).collect())
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
