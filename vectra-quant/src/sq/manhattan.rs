//! The L1 distance, which no product of codes gives: rows are decoded on the way.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loop with the registers of its instruction set"
)]

use super::row::BIAS;

/// Sums in flight: two of the widest registers.
const LANES: usize = 32;

/// `sum |q_i - x_i|` with `x_i = mid + step * (code_i - 128)`, for slices of equal length.
///
/// Components are decoded as [`Factors::decode`](super::row::Factors::decode) does it, each operation rounded and the
/// order of additions fixed: the distance is the same in both directions and in every kernel.
#[inline(always)]
pub(super) fn distance(query: &[f32], codes: &[u8], mid: f32, step: f32) -> f32 {
    let term = |q: f32, code: u8| {
        let x = mid + step * (i32::from(code) - BIAS) as f32;
        (q - x).abs()
    };
    let mut sums = [0.0_f32; LANES];
    let ((queries, query_rest), (blocks, rest)) = (query.as_chunks::<LANES>(), codes.as_chunks::<LANES>());
    for (query, codes) in queries.iter().zip(blocks) {
        for i in 0..LANES {
            sums[i] += term(query[i], codes[i]);
        }
    }
    for (i, (q, code)) in query_rest.iter().zip(rest).enumerate() {
        sums[i] += term(*q, *code);
    }
    // Halves added to halves: one after the other, each addition would wait for the last.
    for half in [16, 8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}
