//! Vectors to rows and back.

use std::sync::Arc;

use vectra_core::Metric;

use super::model::Model;
use super::pieces::PqShape;
use super::query::PqQuery;
use crate::codec::Codec;
use crate::codec::sealed::Sealed;
use crate::quantizer::Quantizer;
use crate::sq::sane;

/// A code of four or eight bits for each of so many pieces of a vector, with centroids that were [trained](Self::train).
///
/// A row of [`row_bytes`](Codec::row_bytes) bytes, a multiple of 64, begins with the codes, each the number of a centroid: a
/// byte for each piece, or two pieces to a byte, the first in the low nibble. What follows them is zero. Under
/// [`Metric::Cosine`] it is the normalised vector that is cut. Of a part of a vector what a projection left out of a row is not
/// kept.
///
/// Cloning copies nothing. Two are equal if they have the same shape and their models the same checksum.
#[derive(Clone)]
pub struct Pq {
    model: Arc<Model>,
}

impl Pq {
    pub(super) fn of_model(model: Model) -> Self {
        Self { model: Arc::new(model) }
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// What a section of rows says about the codes.
    pub fn shape(&self) -> PqShape {
        self.model.shape
    }

    /// Whether vectors are turned before they are cut.
    pub fn is_turned(&self) -> bool {
        self.model.turn.is_some()
    }

    /// Under cosine, how much of what a code is short of in squared length is added to its product with a query, 0 to 0.5: from the
    /// sample; the distance to a vector that `c` stands for is `1 - <q, c> - correction (1 - |c|^2)`. 0 under other metrics.
    pub fn correction(&self) -> f32 {
        self.model.correction
    }

    /// Writes the codes of `vectors`, which lie one after the other, to as many rows: the same as
    /// [`encode`](Codec::encode) for each, and faster.
    ///
    /// # Panics
    /// If `vectors` is not a whole number of vectors or `rows` not as many rows.
    pub fn encode_all(&self, vectors: &[f32], rows: &mut [u8]) {
        let (dim, stride) = (self.dim(), self.row_bytes());
        assert!(vectors.len().is_multiple_of(dim), "whole vectors");
        assert_eq!((vectors.len() / dim).checked_mul(stride), Some(rows.len()), "a row for each vector");
        // Some at a time, as they may have to be copied.
        for (vectors, rows) in vectors.chunks(1024 * dim).zip(rows.chunks_mut(1024 * stride)) {
            self.model.encode(&self.model.directed(vectors), rows);
        }
    }
}

impl Sealed for Pq {}

/// Vectors whose squared distances to each other are zero in `f32` are not told apart.
impl Codec for Pq {
    type Query = PqQuery;

    const NAME: &'static str = "codec PQ of this model";

    fn quantizer(&self) -> Quantizer {
        Quantizer::Pq(self.shape())
    }

    fn dim(&self) -> usize {
        self.shape().dim()
    }

    fn metric(&self) -> Metric {
        self.shape().metric()
    }

    fn row_bytes(&self) -> usize {
        self.shape().row_bytes()
    }

    fn encode(&self, vector: &[f32], row: &mut [u8]) {
        assert_eq!(vector.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        self.model.encode(&self.model.directed(vector), row);
    }

    fn encode_part(&self, part: &[f32], _rest: f32, row: &mut [u8]) {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        self.model.encode(&self.model.turned(sane(part)), row);
    }

    fn decode(&self, row: &[u8], out: &mut [f32]) {
        assert_eq!(out.len(), self.dim(), "vector and codec have different dimensions");
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        self.model.decode(row, out);
        if let Some(turn) = &self.model.turn {
            out.copy_from_slice(&turn.back(out));
        }
    }

    fn bind(&self, query: &[f32]) -> PqQuery {
        assert_eq!(query.len(), self.dim(), "vector and codec have different dimensions");
        PqQuery::new(self.clone(), self.model.tables(&self.model.directed(query)), self.model.beside(0.0))
    }

    fn bind_part(&self, part: &[f32], rest: f32) -> PqQuery {
        assert_eq!(part.len(), self.dim(), "vector and codec have different dimensions");
        PqQuery::new(self.clone(), self.model.tables(&self.model.turned(sane(part))), self.model.beside(rest))
    }

    fn bind_row(&self, row: &[u8]) -> PqQuery {
        assert_eq!(row.len(), self.row_bytes(), "a row has row_bytes bytes");
        let mut vector = vec![0.0; self.dim()];
        self.model.decode(row, &mut vector);
        let (tables, beside) = self.model.tables_of_row(&vector);
        PqQuery::new(self.clone(), tables, beside)
    }
}

impl PartialEq for Pq {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }
}

impl std::fmt::Debug for Pq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let turned = if self.is_turned() { ", turned" } else { "" };
        let shape = self.shape();
        let (metric, subspaces, bits) = (shape.metric(), shape.subspaces(), shape.bits());
        write!(f, "Pq({} components, {metric:?}, {subspaces} x {bits} bits{turned})", shape.dim())
    }
}

#[cfg(test)]
mod tests;
