//! A query as signs, and the formulas that make distances of bits that differ.

use vectra_core::Metric;

use super::angle::versines;
use super::codec::Binary;
use super::kernel::{Kernels, kernels};
use super::row::{self, Factors, Pair};
use crate::codec::{CodeQuery, Codec};

/// Rows whose bits are counted before their distances are computed: the counts stay in the first-level cache.
const COUNTED: usize = 256;

/// A query, encoded once, that can be compared with any row of the same [`Binary`].
///
/// With `v` one minus the cosine of the angle that the bits stand for that differ, `pi` times their share, `l` the lengths and `E`
/// the squared lengths of both, with what a projection left out:
///
/// - cosine: `v`.
/// - dot: `-l_q l_x (1 - v)`.
/// - L2: `E_q + E_x - 2 l_q l_x (1 - v)`, and at least 0.
#[derive(Clone)]
pub struct BinaryQuery {
    codec: Binary,
    bits: Vec<Pair>,
    versines: Vec<f32>,
    factors: Factors,
    kernels: &'static Kernels,
}

impl BinaryQuery {
    /// The vector that `row` stands for, as the query.
    pub(super) fn of_row(codec: Binary, row: &[u8]) -> Self {
        let factors = Factors::read(row, codec.metric());
        let bits = row::spread(row, codec.dim());
        Self { codec, bits, versines: versines(codec.dim()), factors, kernels: kernels() }
    }

    /// Computes the distances of rows from the bits that differ.
    fn distances<'a>(&self, counts: &[u32], rows: impl Iterator<Item = &'a [u8]>, out: &mut [f32]) {
        let metric = self.codec.metric();
        let versines = out.iter_mut().zip(counts.iter().map(|count| self.versines[*count as usize]));
        if metric == Metric::Cosine {
            versines.for_each(|(out, versine)| *out = versine);
            return;
        }
        for ((out, versine), row) in versines.zip(rows) {
            let of = Factors::read(row, metric);
            let product = self.factors.length * of.length * (1.0 - versine);
            *out = if metric == Metric::Dot {
                -product
            } else {
                let distance = self.factors.energy + of.energy - 2.0 * product;
                // The estimate of a small distance may be below zero.
                if distance < 0.0 { 0.0 } else { distance }
            };
        }
    }
}

impl CodeQuery for BinaryQuery {
    type Codec = Binary;

    fn codec(&self) -> &Binary {
        &self.codec
    }

    fn score_row(&self, row: &[u8]) -> f32 {
        assert_eq!(row.len(), self.codec.row_bytes(), "a row has row_bytes bytes");
        let mut out = [0.0];
        self.scan(row, &mut out);
        out[0]
    }

    fn scan(&self, rows: &[u8], out: &mut [f32]) {
        let stride = self.codec.row_bytes();
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        let mut counts = [0; COUNTED];
        for (rows, out) in rows.chunks(COUNTED * stride).zip(out.chunks_mut(COUNTED)) {
            let counts = &mut counts[..out.len()];
            self.kernels.scan(&self.bits, rows, counts);
            self.distances(counts, rows.chunks_exact(stride), out);
        }
    }

    fn gather(&self, rows: &[u8], slots: &[u32], out: &mut [f32]) {
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let stride = self.codec.row_bytes();
        let mut counts = [0; COUNTED];
        for (slots, out) in slots.chunks(COUNTED).zip(out.chunks_mut(COUNTED)) {
            let counts = &mut counts[..out.len()];
            self.kernels.gather(&self.bits, rows, slots, counts);
            self.distances(counts, slots.iter().map(|slot| &rows[*slot as usize * stride..][..stride]), out);
        }
    }
}

impl std::fmt::Debug for BinaryQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BinaryQuery({:?}, {})", self.codec, self.kernels.name())
    }
}
