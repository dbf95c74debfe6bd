//! A query as codes, and the formulas that give distances of codes.

use vectra_core::Metric;
use vectra_core::memory::prefetch;

use super::codec::Sq8;
use super::formula::{self, distance};
use super::kernel::{Kernels, kernels};
use super::packed::Packed;
use super::row::{BIAS, Factors, RowFactors};
use crate::codec::{CodeQuery, Codec};

/// Rows whose integer products are computed before they are turned into distances.
const BLOCK: usize = 64;

/// Where the query's codes are cut into whole registers of every kernel.
const ALIGN: usize = 64;

/// A query, encoded once, that can be compared with any row of the same [`Sq8`].
///
/// Both sides are `mid + step * b` with signed codes `b`, so with `D = mid_q - mid_x`, `S = step * sum b`,
/// `E = step^2 * sum b^2` and the integer `P = sum b_q b_x`:
///
/// - L2: `|q - x|^2 = D * (dim * D + 2 (S_q - S_x)) + E_q + E_x - 2 step_q step_x P`. The middles enter only by their
///   difference, so a common offset of all vectors costs no precision.
/// - cosine: half of that, as `1 - q . x = |q - x|^2 / 2` between vectors of norm 1. Unlike the inner product of the
///   codes its error shrinks with the distance.
/// - dot: `-(q . x) = -(dim * mid_q mid_x + mid_q S_x + mid_x S_q + step_q step_x P)`.
/// - L1 has no such form: the row is decoded on the way and compared with the query itself.
///
/// Every operation treats the two sides alike, so the distance of two stored codes is the same in both directions.
#[derive(Clone)]
pub struct Sq8Query {
    codec: Sq8,
    factors: Factors,
    side: Side,
    kernels: &'static Kernels,
}

/// What the rows are compared with.
#[derive(Clone)]
enum Side {
    /// Signed codes, zeros up to a multiple of 64: bytes of a row behind its codes count nothing.
    Codes {
        codes: Vec<i8>,
        /// `128 * sum b_q`: what the unsigned codes of a row add to the product of signed ones.
        bias: i32,
    },
    /// The components themselves.
    Components(Vec<f32>),
}

impl Sq8Query {
    /// `scale * query`, all components finite, and components of the squared length `rest` that are not among them.
    pub(super) fn of_vector(codec: Sq8, query: &[f32], scale: f64, rest: f32) -> Self {
        if codec.metric() == Metric::L1 {
            let side = Side::Components(query.to_vec());
            return Self { codec, factors: Factors::default(), side, kernels: kernels() };
        }
        let mut codes = vec![0; query.len().next_multiple_of(ALIGN)];
        let mut factors = kernels().encode(query, scale, bytemuck::cast_slice_mut(&mut codes[..query.len()]));
        factors.energy += rest;
        Self { codec, factors, side: Side::of_unsigned(codes, query.len()), kernels: kernels() }
    }

    /// The vector that `row` stands for, as the query.
    pub(super) fn of_row(codec: Sq8, row: &[u8]) -> Self {
        let (factors, codes) = (Factors::read(row), &row[..codec.dim()]);
        let side = if codec.metric() == Metric::L1 {
            Side::Components(codes.iter().map(|code| factors.decode(*code)).collect())
        } else {
            Side::of_codes(codes)
        };
        Self { codec, factors, side, kernels: kernels() }
    }

    /// The distances to all rows of `packed`, in their order: those of [`scan`](Self::scan), in less time.
    ///
    /// # Panics
    /// Under L1, or if the rows have other dimensions or `out` is not as long as they are many.
    pub(crate) fn meet(&self, packed: &Packed, out: &mut [f32]) {
        assert_eq!(out.len(), packed.len(), "one result for each row");
        let Side::Codes { codes, bias } = &self.side else { panic!("L1 is not a matter of products") };
        let mut products = vec![0; packed.columns.padded()];
        self.kernels.row(&codes[..packed.columns.row_len()], &packed.columns, &mut products);
        let side = formula::Side { factors: self.factors, bias: *bias };
        self.kernels.finish(&side, &packed.factors, &products, out);
    }

    /// The distances to rows whose factors are kept apart ([`Sq8::encode_apart`]): those of [`scan`](CodeQuery::scan), in less time.
    ///
    /// # Panics
    /// If `codes` is not `out.len()` times [`Sq8::code_bytes`] long or `factors` not as long as `out`.
    pub fn scan_apart(&self, codes: &[u8], factors: &[RowFactors], out: &mut [f32]) {
        let stride = self.codec.code_bytes();
        assert_eq!(Some(codes.len()), out.len().checked_mul(stride), "one result for each row");
        assert_eq!(factors.len(), out.len(), "one result for each row");
        let mut products = [0; BLOCK];
        let blocks = codes.chunks(BLOCK * stride).zip(factors.chunks(BLOCK));
        for ((rows, factors), out) in blocks.zip(out.chunks_mut(BLOCK)) {
            // While the codes are read, so that they are there when the products are.
            prefetch(factors);
            match &self.side {
                Side::Codes { codes, bias } => {
                    let products = &mut products[..out.len()];
                    self.kernels.scan(codes, rows, stride, products);
                    let side = formula::Side { factors: self.factors, bias: *bias };
                    let (metric, dim) = (self.codec.metric(), self.codec.dim() as f32);
                    self.kernels.finish_apart(metric, dim, &side, factors, products, out);
                }
                Side::Components(components) => {
                    let rows = rows.chunks_exact(stride).map(|row| &row[..components.len()]);
                    for ((out, row), [mid, step, ..]) in out.iter_mut().zip(rows).zip(factors) {
                        *out = self.kernels.manhattan(components, row, *mid, *step);
                    }
                }
            }
        }
    }

    /// [`finish`](Self::finish) for four rows, in a form that processors compute side by side.
    #[inline]
    fn finish_four(&self, products: [i32; 4], rows: &[Factors; 4]) -> [f32; 4] {
        if self.codec.metric() == Metric::Dot {
            return std::array::from_fn(|i| self.finish(products[i], &rows[i]));
        }
        let (q, dim) = (&self.factors, self.codec.dim() as f32);
        let half = if self.codec.metric() == Metric::Cosine { 0.5 } else { 1.0 };
        let fields = rows.map(|row| [row.mid, row.step, row.sum, row.energy]);
        let [mid, step, sum, energy] = std::array::from_fn(|field| fields.map(|row| row[field]));
        let mut out = [0.0; 4];
        for i in 0..4 {
            let product = q.step * step[i] * products[i] as f32;
            let offset = q.mid - mid[i];
            let squared =
                offset * (dim * offset + 2.0 * (q.sum - sum[i])) + (q.energy + energy[i] - 2.0 * product);
            out[i] = half * if squared < 0.0 { 0.0 } else { squared };
        }
        out
    }

    /// The distance, from the product of the signed codes.
    #[inline]
    fn finish(&self, product: i32, row: &Factors) -> f32 {
        distance(self.codec.metric(), self.codec.dim() as f32, &self.factors, row, product)
    }
}

impl CodeQuery for Sq8Query {
    type Codec = Sq8;

    fn codec(&self) -> &Sq8 {
        &self.codec
    }

    fn score_row(&self, row: &[u8]) -> f32 {
        assert_eq!(row.len(), self.codec.row_bytes(), "a row has row_bytes bytes");
        match &self.side {
            Side::Codes { codes, bias } => {
                let product = self.kernels.one(codes, &row[..codes.len()]);
                self.finish(product - bias, &Factors::read(row))
            }
            Side::Components(components) => {
                let Factors { mid, step, .. } = Factors::read(row);
                self.kernels.manhattan(components, &row[..components.len()], mid, step)
            }
        }
    }

    fn scan(&self, rows: &[u8], out: &mut [f32]) {
        let stride = self.codec.row_bytes();
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        let mut products = [0; BLOCK];
        for (rows, out) in rows.chunks(BLOCK * stride).zip(out.chunks_mut(BLOCK)) {
            match &self.side {
                Side::Codes { codes, bias } => {
                    let products = &mut products[..out.len()];
                    self.kernels.scan(codes, rows, stride, products);
                    let (products, rest) = products.as_chunks::<4>();
                    let (some, rest_out) = out.as_chunks_mut::<4>();
                    let mut rows = rows.chunks_exact(stride).map(Factors::read);
                    for (out, products) in some.iter_mut().zip(products) {
                        let rows = [(); 4].map(|()| rows.next().expect("one for each product"));
                        *out = self.finish_four(products.map(|product| product - bias), &rows);
                    }
                    for ((out, product), row) in rest_out.iter_mut().zip(rest).zip(rows) {
                        *out = self.finish(*product - bias, &row);
                    }
                }
                Side::Components(_) => {
                    let scores = rows.chunks_exact(stride).map(|row| self.score_row(row));
                    out.iter_mut().zip(scores).for_each(|(out, score)| *out = score);
                }
            }
        }
    }

    fn gather(&self, rows: &[u8], slots: &[u32], out: &mut [f32]) {
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        let stride = self.codec.row_bytes();
        let row = |slot: u32| &rows[slot as usize * stride..][..stride];
        let mut products = [0; BLOCK];
        for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            match &self.side {
                Side::Codes { codes, bias } => {
                    let products = &mut products[..out.len()];
                    self.kernels.gather(codes, rows, stride, slots, products);
                    for ((out, product), slot) in out.iter_mut().zip(products).zip(slots) {
                        *out = self.finish(*product - bias, &Factors::read(row(*slot)));
                    }
                }
                Side::Components(_) => {
                    for (out, slot) in out.iter_mut().zip(slots) {
                        *out = self.score_row(row(*slot));
                    }
                }
            }
        }
    }
}

impl Side {
    fn of_codes(codes: &[u8]) -> Self {
        let mut padded = vec![0; codes.len().next_multiple_of(ALIGN)];
        padded[..codes.len()].copy_from_slice(bytemuck::cast_slice(codes));
        Self::of_unsigned(padded, codes.len())
    }

    /// Takes the first `dim` bytes, the bits of unsigned codes, for what they are; zeros follow.
    fn of_unsigned(mut codes: Vec<i8>, dim: usize) -> Self {
        let mut sum = 0;
        for code in &mut codes[..dim] {
            *code = (code.cast_unsigned() ^ 0x80).cast_signed();
            sum += i32::from(*code);
        }
        Self::Codes { codes, bias: BIAS * sum }
    }
}

impl std::fmt::Debug for Sq8Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sq8Query({:?}, {})", self.codec, self.kernels.name())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bits are compared, or values that are exact in f32")]
mod tests;
