//! What a number of bits that differ says of an angle.

use std::f64::consts::PI;

/// For each number of bits that may differ, from 0 to `bits`, one minus the cosine of the angle that it stands for, `pi` times
/// its share. Without a library's cosine, so that every machine gives the same bits.
pub(super) fn versines(bits: usize) -> Vec<f32> {
    let step = PI / bits as f64;
    // The second difference of a cosine is a multiple of it: 4 sin^2(step / 2).
    let factor = 4.0 * sine(step / 2.0).powi(2);
    let (mut value, mut rise) = (0.0, factor / 2.0);
    let mut versines = Vec::with_capacity(bits + 1);
    for _ in 0..=bits {
        versines.push(value as f32);
        value += rise;
        rise += factor * (1.0 - value);
    }
    versines
}

/// The sine of an angle up to `pi / 2`.
fn sine(x: f64) -> f64 {
    let mut sum = 0.0;
    for n in (0..10).rev() {
        sum = 1.0 - sum * x * x / f64::from((2 * n + 2) * (2 * n + 3));
    }
    sum * x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sq::DIM_MAX;

    #[test]
    fn the_sine_is_that_of_the_library() {
        for i in 0..=100 {
            let x = PI / 2.0 * f64::from(i) / 100.0;
            assert!((sine(x) - x.sin()).abs() < 1e-15, "{x}");
        }
    }

    #[test]
    fn versines_are_one_minus_the_cosine() {
        for bits in [1, 2, 3, 64, 384, 1000, 4096, DIM_MAX] {
            let versines = versines(bits);
            assert_eq!(versines.len(), bits + 1);
            for (differ, versine) in versines.iter().enumerate() {
                let exact = 2.0 * (PI * differ as f64 / bits as f64 / 2.0).sin().powi(2);
                let error = (f64::from(*versine) - exact).abs();
                assert!(error <= 1e-7 * exact.max(1e-3), "{differ} of {bits}: {versine} for {exact}");
            }
            assert!(versines.is_sorted() && versines[0].to_bits() == 0, "more bits are never nearer");
        }
    }
}
