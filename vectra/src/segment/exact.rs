//! Exact distances on stored vectors, whatever their element type.

use std::sync::Arc;

use half::f16;
use vectra_core::Metric;
use vectra_core::distance::{ElementKind, Kernels, kernels};
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

    /// The exact distance to one stored vector; `inverse_norm` counts only under cosine.
    pub(crate) fn distance(&self, row: Vectors<'_>, inverse_norm: f32) -> f32 {
        let raw = match row {
            Vectors::F32(x) => self.f32.one(&self.vector, x),
            Vectors::F16(x) => self.f16.one(&self.vector, x),
        };
        self.finish(raw, inverse_norm)
    }

    /// The exact distances to `out.len()` contiguous vectors; `inverse_norms` is asked per row under cosine.
    pub(crate) fn scan(&self, rows: Vectors<'_>, inverse_norms: impl Fn(usize) -> f32, out: &mut [f32]) {
        match rows {
            Vectors::F32(x) => self.f32.scan(&self.vector, x, out),
            Vectors::F16(x) => self.f16.scan(&self.vector, x, out),
        }
        for (i, raw) in out.iter_mut().enumerate() {
            let norm = if self.metric == Metric::Cosine { inverse_norms(i) } else { 1.0 };
            *raw = self.finish(*raw, norm);
        }
    }

    fn finish(&self, raw: f32, inverse_norm: f32) -> f32 {
        match self.metric {
            Metric::Cosine => 1.0 - raw * inverse_norm,
            Metric::Dot => -raw,
            Metric::L2 | Metric::L1 => raw,
        }
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
