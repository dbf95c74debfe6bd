use proptest::prelude::*;
use vectra_core::testing::oracle::{clustered, uniform};

use super::*;

fn coded(vector: &[f32], metric: Metric) -> (Vec<u8>, Vec<f32>) {
    let sq8 = Sq8::new(vector.len(), metric);
    let (mut row, mut decoded) = (vec![0xaa; sq8.row_bytes()], vec![f32::NAN; vector.len()]);
    sq8.encode(vector, &mut row);
    sq8.decode(&row, &mut decoded);
    (row, decoded)
}

/// Half a level, and what `f32` cannot represent of the vector anyway.
fn check_error(vector: &[f32], decoded: &[f32]) {
    let (low, high) = vector.iter().fold((f32::MAX, f32::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
    let ulps = 4.0 * f64::from(f32::EPSILON) * f64::from(low.abs().max(high.abs()));
    let allowed = (f64::from(high) - f64::from(low)) / 510.0 * 1.001 + ulps + f64::from(f32::MIN_POSITIVE);
    for (x, d) in vector.iter().zip(decoded) {
        assert!((f64::from(*x) - f64::from(*d)).abs() <= allowed, "{x} became {d}, allowed {allowed}");
    }
}

#[test]
fn a_row_has_the_documented_bytes() {
    let (row, _) = coded(&[0.0, 255.0, 100.0], Metric::L2);
    assert_eq!(row.len(), 64);
    assert_eq!(row[..3], [0, 255, 100]);
    assert_eq!(row[3..48], [0; 45]);
    let float = |at: usize| f32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"));
    assert_eq!([48, 52, 56, 60].map(float), [128.0, 1.0, -29.0, 128.0 * 128.0 + 127.0 * 127.0 + 28.0 * 28.0]);
}

#[test]
fn rows_are_whole_cache_lines() {
    let bytes = |dim| Sq8::new(dim, Metric::L2).row_bytes();
    assert_eq!(
        [1, 48, 49, 112, 113, 384, 768, DIM_MAX].map(bytes),
        [64, 64, 128, 128, 192, 448, 832, 65_600]
    );
}

#[test]
fn decoding_is_within_half_a_level() {
    for vector in [uniform(1, 384, 1), clustered(1, 768, 1, 0.1, 2), uniform(1, 1, 3), uniform(1, 200, 4)] {
        check_error(&vector, &coded(&vector, Metric::L2).1);
    }
    // Far from the origin, and with one component far from the others.
    let far: Vec<f32> = uniform(1, 100, 5).iter().map(|x| 1000.0 + x / 10.0).collect();
    check_error(&far, &coded(&far, Metric::Dot).1);
    let mut outlier = uniform(1, 100, 6);
    outlier[50] = 1e4;
    check_error(&outlier, &coded(&outlier, Metric::L1).1);
}

#[test]
fn constant_vectors_are_kept_exactly() {
    for value in [0.0, -0.0, 3.25, -1e-30, 1e-44, MAX_MAGNITUDE] {
        let (row, decoded) = coded(&[value; 70], Metric::L2);
        assert_eq!(decoded, [value; 70]);
        assert_eq!(row[..70], [128; 70]);
    }
}

#[test]
fn huge_and_tiny_components_give_finite_factors() {
    let cases = [
        vec![MAX_MAGNITUDE, -MAX_MAGNITUDE],
        vec![f32::MAX, f32::MIN, 0.0],
        vec![f32::INFINITY, 1.0],
        vec![f32::NEG_INFINITY, f32::NAN],
        vec![f32::NAN; 4],
        vec![f32::MIN_POSITIVE, 0.0],
        vec![1e-45, 0.0, -1e-45],
    ];
    for vector in cases {
        for metric in Metric::ALL {
            let (row, decoded) = coded(&vector, metric);
            assert!(decoded.iter().all(|x| x.is_finite()), "{vector:?} {metric}: {decoded:?}");
            let factors = Factors::read(&row);
            assert!([factors.mid, factors.step, factors.sum, factors.energy].iter().all(|x| x.is_finite()));
        }
    }
    assert_eq!(coded(&[f32::INFINITY; 2], Metric::L2).1, [MAX_MAGNITUDE; 2]);
    assert_eq!(coded(&[f32::NAN; 2], Metric::L2).1, [0.0; 2]);
}

#[test]
fn under_cosine_the_direction_is_encoded() {
    let vector = uniform(1, 50, 7);
    let (row, decoded) = coded(&vector, Metric::Cosine);
    for factor in [0.5, 4.0, 1024.0] {
        let scaled: Vec<f32> = vector.iter().map(|x| x * factor).collect();
        assert_eq!(coded(&scaled, Metric::Cosine).0, row, "powers of two change nothing else");
    }
    let norm = decoded.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((norm - 1.0).abs() < 0.01, "{norm}");
    assert_eq!(coded(&[0.0; 50], Metric::Cosine).1, [0.0; 50]);
}

#[test]
fn encoding_again_changes_nothing() {
    let (row, decoded) = coded(&uniform(1, 300, 8), Metric::L2);
    assert_eq!(coded(&decoded, Metric::L2).0[..300], row[..300]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_vector_of_another_dimension_panics() {
    Sq8::new(3, Metric::L2).encode(&[0.0; 2], &mut [0; 64]);
}

#[test]
#[should_panic(expected = "row_bytes")]
fn a_row_of_another_length_panics() {
    Sq8::new(3, Metric::L2).encode(&[0.0; 3], &mut [0; 19]);
}

#[test]
#[should_panic(expected = "1..=65536")]
fn dimensions_beyond_the_limit_panic() {
    Sq8::new(DIM_MAX + 1, Metric::L2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_vector_is_decoded_within_half_a_level(
        vector in prop::collection::vec(-1.0_f32..1.0, 1..150),
        exponent in -30..30_i32,
        offset in -10.0_f32..10.0,
    ) {
        let vector: Vec<f32> = vector.iter().map(|x| (x + offset) * 2.0_f32.powi(exponent)).collect();
        check_error(&vector, &coded(&vector, Metric::L2).1);
    }

    #[test]
    fn any_bits_are_encoded_without_nan(bits in prop::collection::vec(any::<u32>(), 1..50), metric in 0..4_usize) {
        let vector: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let (_, decoded) = coded(&vector, Metric::ALL[metric]);
        prop_assert!(decoded.iter().all(|x| x.is_finite()), "{:?}", decoded);
    }

    #[test]
    fn any_row_is_decoded(row in prop::collection::vec(any::<u8>(), 64)) {
        let mut out = [0.0; 10];
        Sq8::new(10, Metric::L2).decode(&row, &mut out);
    }
}
