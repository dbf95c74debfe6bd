//! Exact distances on stored vectors, whatever their element type.

use std::sync::Arc;

use half::f16;
use vectra_core::Metric;
use vectra_core::distance::{ElementKind, Kernels, kernels};
use vectra_core::memory::AlignedBuf;
use vectra_core::vector::normalize::inverse_norm;

/// Row-major vectors in their stored element type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Vectors<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

impl<'a> Vectors<'a> {
    /// Interprets stored little-endian bytes; `None` if length or alignment do not fit.
    pub(crate) fn from_bytes(element: ElementKind, bytes: &'a [u8]) -> Option<Self> {
        match element {
            ElementKind::F32 => bytemuck::try_cast_slice(bytes).ok().map(Self::F32),
            ElementKind::F16 => bytemuck::try_cast_slice(bytes).ok().map(Self::F16),
        }
    }

    /// Stored components, all rows together.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
        }
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::F32(x) => bytemuck::cast_slice(x),
            Self::F16(x) => bytemuck::cast_slice(x),
        }
    }

    /// The values widened to f32.
    pub(crate) fn to_f32(self) -> Vec<f32> {
        match self {
            Self::F32(x) => x.to_vec(),
            Self::F16(x) => x.iter().map(|v| v.to_f32()).collect(),
        }
    }

    /// 1 / the length of one vector.
    pub(crate) fn inverse_norm(self) -> f32 {
        match self {
            Self::F32(x) => inverse_norm(x),
            Self::F16(x) => inverse_norm(x),
        }
    }
}

/// A query bound for exact distances.
#[derive(Debug, Clone)]
pub(crate) struct ExactQuery {
    metric: Metric,
    vector: Arc<[f32]>,
    f32: &'static Kernels<f32>,
    f16: &'static Kernels<f16>,
}

impl ExactQuery {
    /// Binds `vector`, which the caller has normalised under cosine.
    pub(crate) fn new(metric: Metric, vector: Arc<[f32]>) -> Self {
        let op = metric.op();
        Self { metric, vector, f32: kernels(op), f16: kernels(op) }
    }

    /// Components of a vector.
    pub(crate) fn dim(&self) -> usize {
        self.vector.len()
    }

    /// The exact distance to one stored vector; `inverse_norm` counts only under cosine.
    pub(crate) fn distance(&self, row: Vectors<'_>, inverse_norm: f32) -> f32 {
        let raw = match row {
            Vectors::F32(x) => self.f32.one(&self.vector, x),
            Vectors::F16(x) => self.f16.one(&self.vector, x),
        };
        finish(self.metric, raw, inverse_norm)
    }

    /// The exact distances to `out.len()` contiguous vectors, whose inverse norms count only under cosine.
    pub(crate) fn scan(&self, rows: Vectors<'_>, inverse_norms: &[f32], out: &mut [f32]) {
        match rows {
            Vectors::F32(x) => self.f32.scan(&self.vector, x, out),
            Vectors::F16(x) => self.f16.scan(&self.vector, x, out),
        }
        finish_all(self.metric, inverse_norms, out);
    }
}

/// Queries bound for exact distances to the same rows.
#[derive(Debug)]
pub(crate) struct ExactQueries {
    metric: Metric,
    dim: usize,
    /// One after the other, from the start of a cache line.
    vectors: AlignedBuf,
    f32: &'static Kernels<f32>,
    f16: &'static Kernels<f16>,
}

impl ExactQueries {
    /// Binds the vectors of `queries`, of which there is at least one.
    pub(crate) fn new<'a>(queries: impl ExactSizeIterator<Item = &'a ExactQuery>) -> Self {
        let mut queries = queries.peekable();
        let first = queries.peek().expect("there is a query");
        let (metric, dim) = (first.metric, first.vector.len());
        let (kernels32, kernels16) = (first.f32, first.f16);
        let mut vectors = AlignedBuf::zeroed(queries.len() * dim * size_of::<f32>());
        let places =
            vectors.as_pod_mut::<f32>().expect("the buffer is aligned to a line and holds whole numbers");
        for (place, query) in places.chunks_exact_mut(dim).zip(queries) {
            place.copy_from_slice(&query.vector);
        }
        Self { metric, dim, vectors, f32: kernels32, f16: kernels16 }
    }

    /// The exact distances of each query to contiguous vectors, all those of the first query first: bit by bit what
    /// [`ExactQuery::scan`] gives.
    pub(crate) fn scan(&self, rows: Vectors<'_>, inverse_norms: &[f32], out: &mut [f32]) {
        let queries = self.vectors.as_pod::<f32>().expect("they were written as such");
        match rows {
            Vectors::F32(x) => self.f32.scan_many(queries, self.dim, x, out),
            Vectors::F16(x) => self.f16.scan_many(queries, self.dim, x, out),
        }
        for out in out.chunks_exact_mut((rows.len() / self.dim).max(1)) {
            finish_all(self.metric, inverse_norms, out);
        }
    }
}

/// The distances, from the sums of the kernels.
fn finish_all(metric: Metric, inverse_norms: &[f32], out: &mut [f32]) {
    if metric == Metric::Cosine {
        let with_norms = out.iter_mut().zip(inverse_norms);
        with_norms.for_each(|(raw, inverse_norm)| *raw = finish(metric, *raw, *inverse_norm));
    } else {
        out.iter_mut().for_each(|raw| *raw = finish(metric, *raw, 1.0));
    }
}

#[inline]
fn finish(metric: Metric, raw: f32, inverse_norm: f32) -> f32 {
    match metric {
        Metric::Cosine => 1.0 - raw * inverse_norm,
        Metric::Dot => -raw,
        Metric::L2 | Metric::L1 => raw,
    }
}

/// Normalises a query under cosine; leaves it alone otherwise.
pub(crate) fn prepare_query(metric: Metric, vector: &[f32]) -> Arc<[f32]> {
    if metric == Metric::Cosine {
        let inverse = inverse_norm(vector);
        // A slice says how long it is, so this is written where it stays.
        vector.iter().map(|x| x * inverse).collect()
    } else {
        vector.into()
    }
}
