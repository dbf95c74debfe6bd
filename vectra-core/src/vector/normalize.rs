//! Norms, and the checks that keep every later `f32` sum finite.
//!
//! Norms are accumulated in `f64`: they are computed once per vector and every cosine distance depends on them.

use crate::distance::Element;

/// The largest magnitude of a component that an index accepts, 2^54 (about 1.8e16).
///
/// With it every sum that a kernel forms over [`MAX_DIMS`] dimensions is finite in `f32`: the largest is a squared
/// distance, at most `2^16 * (2 * 2^54)^2 = 2^126`, and `f32` ends just below 2^128.
pub const MAX_MAGNITUDE: f32 = 18_014_398_509_481_984.0;

/// The number of dimensions up to which [`MAX_MAGNITUDE`] promises finite sums.
pub const MAX_DIMS: usize = 1 << 16;

/// The smallest norm that counts as a direction: the smallest normal `f32`, so that its inverse is finite.
pub const MIN_NORM: f32 = f32::MIN_POSITIVE;

/// The vector has no direction: its norm is below [`MIN_NORM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the vector is zero and has no direction")]
pub struct ZeroNorm;

/// The squared Euclidean norm, accumulated in `f64`.
pub fn norm_squared<E: Element>(row: &[E]) -> f64 {
    // Eight sums in flight: one alone would wait for each addition.
    let mut sums = [0.0_f64; 8];
    let (blocks, rest) = row.as_chunks::<8>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            let x = f64::from(x.to_f32());
            *sum += x * x;
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        let x = f64::from(x.to_f32());
        *sum += x * x;
    }
    sums.iter().sum()
}

/// The Euclidean norm, accumulated in `f64` and rounded once.
pub fn norm(vector: &[f32]) -> f32 {
    norm_squared(vector).sqrt() as f32
}

/// One over the Euclidean norm, or 0 for a vector without a direction (norm below [`MIN_NORM`]).
///
/// Multiplied with inner products it gives cosines; with the 0, the cosine distance of a zero vector is 1.
pub fn inverse_norm<E: Element>(row: &[E]) -> f32 {
    inverse_of(norm_squared(row))
}

/// [`inverse_norm`] where the squared length is known.
pub fn inverse_of(norm_squared: f64) -> f32 {
    let norm = norm_squared.sqrt();
    if norm < f64::from(MIN_NORM) { 0.0 } else { (1.0 / norm) as f32 }
}

/// Scales a vector to norm 1 in place and returns the norm it had. A vector without a direction is left as it is.
pub fn normalize(vector: &mut [f32]) -> Result<f32, ZeroNorm> {
    let norm = norm_squared(vector).sqrt();
    if norm < f64::from(MIN_NORM) {
        return Err(ZeroNorm);
    }
    for x in vector {
        *x = (f64::from(*x) / norm) as f32;
    }
    Ok(norm as f32)
}

/// Checks that every component is finite and at most [`MAX_MAGNITUDE`] in magnitude.
/// The error is the position of the first one that is not.
pub fn check_finite(vector: &[f32]) -> Result<(), usize> {
    check_storable::<f32>(vector)
}

/// [`check_finite`] for vectors that will be stored as `E`: the magnitude may be at most [`Element::MAX`].
/// The error is the position of the first component that is not.
pub fn check_storable<E: Element>(vector: &[f32]) -> Result<(), usize> {
    // Not-a-number compares as false, so it fails the same test.
    let fits = |x: f32| x.abs() <= E::MAX;
    // A pass without early exit first: it vectorises, and vectors are rarely bad.
    if vector.iter().fold(true, |all, &x| all & fits(x)) {
        return Ok(());
    }
    vector.iter().position(|&x| !fits(x)).map_or(Ok(()), Err)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the expected numbers are exact in f32")]
mod tests {
    use half::f16;
    use proptest::prelude::*;

    use super::*;
    use crate::distance::{Op, all_kernels};

    #[test]
    fn norms_worked_by_hand() {
        assert_eq!(norm(&[3.0, 4.0]), 5.0);
        assert_eq!(norm(&[]), 0.0);
        assert_eq!(norm(&[1.0; 9]), 3.0);
        assert_eq!(inverse_norm(&[0.0_f32, -4.0]), 0.25);
        assert_eq!(inverse_norm(&[f16::from_f32(2.0); 4]), 0.25);
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        assert_eq!(norm(&[f32::MAX]), f32::MAX);
        assert_eq!(norm(&[1e-30]), 1e-30);
        assert!(inverse_norm(&[MIN_NORM]).is_finite());
        assert_eq!(inverse_norm(&[MIN_NORM / 2.0]), 0.0);
    }

    #[test]
    fn a_zero_vector_is_refused_and_left_alone() {
        let mut zero = [0.0, -0.0, 1e-40];
        assert_eq!(normalize(&mut zero), Err(ZeroNorm));
        assert_eq!(zero, [0.0, -0.0, 1e-40]);
        assert_eq!(normalize(&mut []), Err(ZeroNorm));
    }

    #[test]
    fn checks_name_the_first_bad_component() {
        assert_eq!(check_finite(&[]), Ok(()));
        assert_eq!(check_finite(&[0.0, -MAX_MAGNITUDE, MAX_MAGNITUDE]), Ok(()));
        let beyond = MAX_MAGNITUDE.next_up();
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, beyond, -beyond] {
            assert_eq!(check_finite(&[1.0, bad, 2.0, bad]), Err(1), "{bad}");
        }
        assert_eq!(check_storable::<f16>(&[65_504.0]), Ok(()));
        assert_eq!(check_storable::<f16>(&[1.0, 65_505.0]), Err(1));
        assert_eq!(check_storable::<f32>(&[65_505.0]), Ok(()));
    }

    #[test]
    fn accepted_vectors_have_finite_sums_in_every_kernel() {
        let (a, b) = (vec![MAX_MAGNITUDE; MAX_DIMS], vec![-MAX_MAGNITUDE; MAX_DIMS]);
        assert_eq!(check_finite(&a).and(check_finite(&b)), Ok(()));
        for op in Op::ALL {
            for kernel in all_kernels::<f32>(op) {
                assert!(kernel.one(&a, &b).is_finite(), "{op:?} {}", kernel.name());
            }
        }
        assert!(norm(&a).is_finite() && inverse_norm(&a) > 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn normalized_vectors_have_norm_one(mut vector in prop::collection::vec(-1e6_f32..1e6, 1..100)) {
            prop_assume!(norm(&vector) > 1e-3);
            let before = vector.clone();
            let had = normalize(&mut vector).expect("the norm was checked");
            prop_assert_eq!(had, norm(&before));
            prop_assert!((norm_squared(&vector).sqrt() - 1.0).abs() < 1e-6);
            prop_assert!((f64::from(inverse_norm(&before)) * f64::from(had) - 1.0).abs() < 1e-6);
        }

        #[test]
        fn norm_squared_is_the_plain_sum(vector in prop::collection::vec(-1e3_f32..1e3, 0..40)) {
            let plain = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            prop_assert!((norm_squared(&vector) - plain).abs() <= 1e-12 * plain);
        }
    }
}
