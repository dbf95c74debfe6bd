//! A query as codes, and what it says of rows.

use super::codec::RaBitQ;
use super::formula::{Estimate, Side, SignSide};
use super::kernel::{Kernels, kernels};
use super::levels::OfQuery;
use super::row::{self, Factors};
use super::signs::SignQuery;
use crate::codec::{CodeQuery, Codec};

/// How many standard deviations an [`Estimate`] allows for if nothing else is said: 5.7 % of the distances lie farther off, half
/// of them, 2.9 %, below the range.
pub const EPS: f32 = 1.9;

/// Rows whose distances are computed before what they are wrong by.
const BLOCK: usize = 64;

/// A query, encoded once, that can be compared with any row of the same [`RaBitQ`].
///
/// The query is `step * b` with signed codes `b` of eight bits, `step` a 127th of its greatest component; a row is
/// `scale * (u - m)` with `m = (2^bits - 1) / 2`. With `E` the energies of both and the integer `N = 2 sum b_i u_i - 2 m sum b_i`:
///
/// - L2: `|q - x|^2 = E_q + E_x - step * scale * N`, and at least 0.
/// - cosine: half of that, as `1 - q . x = |q - x|^2 / 2` between vectors of norm 1.
/// - dot: the same half, and any number: `E` is what a centre added to the squared lengths, so that they fall out.
///
/// What the row's code is wrong by has, in the direction of the query, the standard deviation `error * |q|`; a distance has twice
/// that under L2. What the query's codes are wrong by comes in addition, as if it were independent: with `e` their squared distance
/// from the query, `|q|^2` becomes `|q|^2 + e / s^2`, where `s` is a sine between vector and code that few rows fall short of. It
/// is a hundredth with four bits, and half with eight.
///
/// A stored row as the query has the codes `2 u - 2 m` and the step `scale / 2`, so that the distance of two stored codes is the
/// same in both directions; with eight bits, where these are too many for a byte, it is encoded as any vector.
#[derive(Clone)]
pub struct RaBitQQuery {
    codec: RaBitQ,
    side: Side,
    eps: f32,
    kernels: &'static Kernels,
}

impl RaBitQQuery {
    /// `query`, all components finite, and what else there is of its energy.
    pub(super) fn of_vector(codec: RaBitQ, query: &[f32], rest: f32) -> Self {
        let mut codes = vec![0; query.len()];
        let of = kernels().bind(query, &mut codes);
        Self::of_codes(codec, &codes, &of, rest)
    }

    /// The vector that `row` stands for, as the query.
    pub(super) fn of_row(codec: RaBitQ, row: &[u8]) -> Self {
        let Factors { energy, scale, .. } = Factors::read(row);
        if codec.bits() == 8 {
            let mut vector = vec![0.0; codec.dim()];
            codec.decode(row, &mut vector);
            let mut query = Self::of_vector(codec, &crate::sq::sane(&vector), 0.0);
            query.side.set_energy(energy);
            return query;
        }
        let mut codes = vec![0; codec.dim()];
        row::unpack(row, codec.bits(), &mut codes);
        let top = ((1_i16 << codec.bits()) - 1) as i8;
        let codes: Vec<i8> = codes.iter().map(|code| (2 * i16::from(*code) - i16::from(top)) as i8).collect();
        let squares: i64 = codes.iter().map(|code| i64::from(*code).pow(2)).sum();
        let sum = codes.iter().map(|code| i32::from(*code)).sum();
        let step = 0.5 * scale;
        let of = OfQuery { energy: f64::from(step).powi(2) * squares as f64, lost: 0.0, step, sum };
        let mut query = Self::of_codes(codec, &codes, &of, 0.0);
        query.side.set_energy(energy);
        query
    }

    /// A query that was encoded.
    pub(super) fn of_codes(codec: RaBitQ, codes: &[i8], of: &OfQuery, rest: f32) -> Self {
        let side = Side::new(codec.metric(), codec.bits(), codes, of, rest);
        Self { codec, side, eps: EPS, kernels: kernels() }
    }

    /// The same with estimates that allow for `eps` standard deviations. After a random rotation this share of the distances lies
    /// farther off, half of it to either side:
    ///
    /// | `eps` | 1.0 | 1.5 | 1.9 | 2.5 | 3.0 | 4.0 |
    /// |---|---|---|---|---|---|---|
    /// | share | 31.7 % | 13.4 % | 5.7 % | 1.2 % | 0.27 % | 0.006 % |
    ///
    /// # Panics
    /// If `eps` is negative or not a number.
    #[must_use]
    pub fn with_eps(mut self, eps: f32) -> Self {
        assert!(eps >= 0.0, "eps counts standard deviations");
        self.eps = eps;
        self
    }

    /// How many standard deviations its estimates allow for.
    pub fn eps(&self) -> f32 {
        self.eps
    }

    /// The same for [`SignBlocks`](super::SignBlocks).
    ///
    /// # Panics
    /// If its codec is not one of one bit.
    pub fn signs(&self) -> SignQuery {
        SignQuery::new(self)
    }

    /// Its codes, one after the other.
    pub(super) fn codes(&self) -> Vec<i8> {
        row::collect(&self.side.codes, self.codec.dim(), self.codec.bits())
    }

    /// See [`Side::signs`].
    pub(super) fn sign_side(&self, bias: f32, scale: f32, columns: usize) -> SignSide {
        let mut side = self.side.signs(bias, scale, columns);
        side.reach *= self.eps;
        side
    }

    /// What the error factor of a row is multiplied with.
    pub(super) fn reach(&self) -> f32 {
        self.eps * self.side.deviation
    }

    /// The distance to `row` and what it may be wrong by.
    ///
    /// # Panics
    /// If `row` is not [`Codec::row_bytes`] long.
    pub fn estimate(&self, row: &[u8]) -> Estimate {
        Estimate { distance: self.score_row(row), error: self.reach() * Factors::read(row).error }
    }

    /// The [`estimate`](Self::estimate)s of `out.len()` rows that lie one after the other.
    ///
    /// # Panics
    /// If `rows` is not `out.len()` times [`Codec::row_bytes`] long.
    pub fn estimate_all(&self, rows: &[u8], out: &mut [Estimate]) {
        let stride = self.codec.row_bytes();
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        let mut distances = [0.0; BLOCK];
        for (rows, out) in rows.chunks(BLOCK * stride).zip(out.chunks_mut(BLOCK)) {
            let distances = &mut distances[..out.len()];
            self.scan(rows, distances);
            for ((out, distance), row) in out.iter_mut().zip(distances).zip(rows.chunks_exact(stride)) {
                *out = Estimate { distance: *distance, error: self.reach() * Factors::read(row).error };
            }
        }
    }
}

impl CodeQuery for RaBitQQuery {
    type Codec = RaBitQ;

    fn codec(&self) -> &RaBitQ {
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

impl std::fmt::Debug for RaBitQQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RaBitQQuery({:?}, eps {}, {})", self.codec, self.eps, self.kernels.name())
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bits are compared, or values that are exact in f32")]
mod tests;
