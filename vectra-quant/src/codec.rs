//! What rows of codes have in common, whatever their codec: one store serves all.

use std::fmt;

use vectra_core::memory::prefetch;
use vectra_core::scorer::by_scoring;
use vectra_core::{Metric, Neighbor};

use crate::quantizer::Quantizer;
use crate::store::Rows;

/// Keeps [`Codec`] among the codecs of this crate: a file names each by a number.
pub(crate) mod sealed {
    /// Nothing of its own.
    pub trait Sealed {}
}

/// Turns vectors into rows of bytes, and queries into what is compared with rows.
pub trait Codec: sealed::Sealed + Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// A query of this codec.
    type Query: CodeQuery<Codec = Self>;

    /// Whether under dot the vectors may be differences to a centre: what is given as `rest` to [`encode_part`](Self::encode_part)
    /// and [`bind_part`](Self::bind_part) is then the squared length of the difference less that of the vector, and half
    /// of both together is added to a distance. Other codecs pass over it under dot.
    const TAKES_CENTRES: bool = false;

    /// What errors call it.
    const NAME: &'static str;

    /// What a section of its rows says about itself.
    fn quantizer(&self) -> Quantizer;

    /// Components per vector.
    fn dim(&self) -> usize;

    /// How distances are measured.
    fn metric(&self) -> Metric;

    /// Bytes from one row to the next, a multiple of 64.
    fn row_bytes(&self) -> usize;

    /// Writes the code of `vector` to `row`.
    ///
    /// Total: a component that is not a number counts as zero and one beyond
    /// [`MAX_MAGNITUDE`](vectra_core::vector::normalize::MAX_MAGNITUDE) as that; under cosine a vector without a
    /// direction is encoded as zeros.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long or `row` not [`row_bytes`](Self::row_bytes).
    fn encode(&self, vector: &[f32], row: &mut [u8]);

    /// Writes the code of `part` to `row`: some components of a vector whose others have the squared length `rest` and are
    /// taken to be at right angles to those of any other vector. Under cosine the vector is normalised already.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    fn encode_part(&self, part: &[f32], rest: f32, row: &mut [u8]);

    /// Writes the vector that `row` stands for (under cosine: the normalised one) to `out`. Total over any bytes.
    ///
    /// # Panics
    /// If `out` is not [`dim`](Self::dim) long or `row` not [`row_bytes`](Self::row_bytes).
    fn decode(&self, row: &[u8], out: &mut [f32]);

    /// Encodes `query`, to be compared with rows of this codec, of any section.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long.
    fn bind(&self, query: &[f32]) -> Self::Query;

    /// Encodes `part` of a query, as [`encode_part`](Self::encode_part) does.
    ///
    /// # Panics
    /// If `part` is not [`dim`](Self::dim) long.
    fn bind_part(&self, part: &[f32], rest: f32) -> Self::Query;

    /// The vector that `row` stands for, as the query. Total over any bytes.
    ///
    /// # Panics
    /// If `row` is not [`row_bytes`](Self::row_bytes) long.
    fn bind_row(&self, row: &[u8]) -> Self::Query;

    /// What [`VectorStore::forms_groups`](vectra_core::scorer::VectorStore::forms_groups) says of rows of this codec.
    fn forms_groups(&self) -> bool {
        false
    }

    /// What [`VectorStore::nearest_among`](vectra_core::scorer::VectorStore::nearest_among) gives of rows of this codec.
    fn nearest_among(
        store: &Rows<'_, Self>,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        by_scoring(store, rows, columns, k, give);
    }
}

/// A query, encoded once, that can be compared with any row of the same codec.
pub trait CodeQuery: Clone + fmt::Debug + Send + Sync {
    /// What encoded it.
    type Codec: Codec<Query = Self>;

    /// The codec that encoded it.
    fn codec(&self) -> &Self::Codec;

    /// The distance to `row`.
    ///
    /// # Panics
    /// If `row` is not [`Codec::row_bytes`] long.
    fn score_row(&self, row: &[u8]) -> f32;

    /// The distances to `out.len()` rows that lie one after the other, at the speed of memory.
    ///
    /// # Panics
    /// If `rows` is not `out.len()` times [`Codec::row_bytes`] long.
    fn scan(&self, rows: &[u8], out: &mut [f32]);

    /// Asks for the memory of the rows at `slots` ahead of [`gather`](Self::gather); a slot beyond the rows does no harm.
    #[inline]
    fn fetch(&self, rows: &[u8], slots: &[u32]) {
        let stride = self.codec().row_bytes();
        for slot in slots {
            let start = (*slot as usize).wrapping_mul(stride);
            prefetch(rows.get(start..start.wrapping_add(stride)).unwrap_or_default());
        }
    }

    /// The distances to the rows at `slots` of `rows`, in their order.
    ///
    /// # Panics
    /// If a slot is beyond the rows or `out` is not as long as `slots`.
    fn gather(&self, rows: &[u8], slots: &[u32], out: &mut [f32]);
}
