//! The codes of one vector: its range, the levels, and what they add up to.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

use super::row::{BIAS, Factors};

/// Components encoded side by side.
const LANES: usize = 16;

/// Encodes `scale * vector`, for a finite vector and a scale of at least zero; everything in `f64` but what is stored.
#[inline(always)]
pub(super) fn encode(vector: &[f32], scale: f64, codes: &mut [u8]) -> Factors {
    let (low, high) = range(vector);
    let (low, high) = (f64::from(low) * scale, f64::from(high) * scale);
    // Rounded to what is stored before anything is derived from it.
    let step = ((high - low) / 255.0) as f32;
    let mid = (low + 128.0 * f64::from(step)) as f32;
    // A constant vector (and one whose range is too small for an f32) is its middle.
    let levels = if step > 0.0 { 1.0 / f64::from(step) } else { 0.0 };
    let (factor, offset) = (scale * levels, f64::from(BIAS) - f64::from(mid) * levels);
    for (codes, vector) in codes.chunks_mut(LANES).zip(vector.chunks(LANES)) {
        for (code, x) in codes.iter_mut().zip(vector) {
            *code = nearest_code(f64::from(*x) * factor + offset);
        }
    }
    let (mut sum, mut squares) = (0_i32, 0_i32);
    for code in codes.iter() {
        // Sixteen bits are enough and have a multiplication of many at once.
        let signed = i16::from(*code) - BIAS as i16;
        sum += i32::from(signed);
        // At most 2^14 * 65,536 = 2^30.
        squares += i32::from(signed) * i32::from(signed);
    }
    let wide = f64::from(step);
    let (sum, squares) = (f64::from(sum), f64::from(squares));
    Factors { mid, step, sum: (wide * sum) as f32, energy: (wide * wide * squares) as f32 }
}

/// Lowest and highest component of a finite vector.
#[inline(always)]
fn range(vector: &[f32]) -> (f32, f32) {
    // Comparisons and not `min` and `max`, which would ask each number whether it is one.
    let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let (blocks, rest) = vector.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            low[i] = if block[i] < low[i] { block[i] } else { low[i] };
            high[i] = if block[i] > high[i] { block[i] } else { high[i] };
        }
    }
    for ((low, high), x) in low.iter_mut().zip(&mut high).zip(rest) {
        *low = if *x < *low { *x } else { *low };
        *high = if *x > *high { *x } else { *high };
    }
    // Halves with halves: one after the other, each comparison would wait for the last.
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            low[i] = if low[i + half] < low[i] { low[i + half] } else { low[i] };
            high[i] = if high[i + half] > high[i] { high[i + half] } else { high[i] };
        }
    }
    (low[0], high[0])
}

/// The code nearest to `level`, without the branches of `round` and a checked cast, so that many are computed at once:
/// next to 1.5 * 2^52 the `f64` are the integers, so the addition rounds and leaves the result in the low bits.
#[inline(always)]
fn nearest_code(level: f64) -> u8 {
    const INTEGERS: f64 = 6_755_399_441_055_744.0;
    let level = if level > 0.0 { level } else { 0.0 };
    let level = if level < 255.0 { level } else { 255.0 };
    (level + INTEGERS).to_bits() as u8
}
