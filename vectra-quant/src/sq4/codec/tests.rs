use proptest::prelude::*;
use vectra_core::testing::oracle::{Dice, clustered, uniform};
use vectra_core::vector::normalize::MAX_MAGNITUDE;

use super::*;

fn coded(vector: &[f32], metric: Metric) -> (Vec<u8>, Vec<f32>) {
    let sq4 = Sq4::new(vector.len(), metric);
    let (mut row, mut decoded) = (vec![0xaa; sq4.row_bytes()], vec![f32::NAN; vector.len()]);
    sq4.encode(vector, &mut row);
    sq4.decode(&row, &mut decoded);
    (row, decoded)
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The code and the vector have the vector's squared length for their product, and the angle between them is no greater
/// than that of levels that reach the greatest component, each component within half a level.
fn check_code(vector: &[f32], decoded: &[f32]) {
    let energy = product(vector, vector);
    let along = product(vector, decoded);
    assert!((along - energy).abs() <= 1e-5 * energy, "{along} for {energy}");
    let greatest = vector.iter().fold(0.0_f32, |g, x| g.max(x.abs()));
    let unclipped = vector.len() as f64 * (f64::from(greatest) / 16.0).powi(2);
    // What is missing at right angles to the vector: the error of a code of the best length is the sine of the angle.
    let sine = energy * (1.0 - along * along / (energy * product(decoded, decoded)));
    assert!(sine <= unclipped * 1.001 + 1e-5 * energy, "{sine}, allowed {unclipped}");
}

#[test]
fn a_row_has_the_documented_bytes() {
    let (row, decoded) = coded(&[1.5, -7.5, 7.5, 0.5], Metric::L2);
    assert_eq!(row.len(), 64);
    // 9, 0, 15 and 8; four components leave all high nibbles unused.
    assert_eq!(row[..4], [9, 0, 15, 8]);
    assert_eq!(row[4..56], [0; 52]);
    let energy: f32 = 2.25 + 2.0 * 56.25 + 0.25;
    assert_eq!(row[56..60], energy.to_le_bytes());
    assert_eq!(row[60..], 1.0_f32.to_le_bytes());
    assert_eq!(decoded, [1.5, -7.5, 7.5, 0.5]);
    assert_eq!(coded(&[1.5, -7.5, 7.5, 0.5], Metric::Dot).0[56..60], [0; 4]);
}

#[test]
fn rows_are_whole_cache_lines() {
    let bytes = |dim| Sq4::new(dim, Metric::L2).row_bytes();
    assert_eq!([1, 112, 113, 240, 241, 384, DIM_MAX].map(bytes), [64, 64, 128, 128, 192, 256, 32_832]);
}

#[test]
fn codes_point_where_vectors_point() {
    for vector in [uniform(1, 384, 1), clustered(1, 768, 1, 0.1, 2), uniform(1, 1, 3), uniform(1, 200, 4)] {
        check_code(&vector, &coded(&vector, Metric::L2).1);
        check_code(&vector, &coded(&vector, Metric::Dot).1);
    }
    let mut outlier = uniform(1, 100, 6);
    outlier[50] = 1e4;
    check_code(&outlier, &coded(&outlier, Metric::L2).1);
    // Components that are spread as those of a projection are: a hundredth of the squared length is lost.
    let mut dice = Dice::new(7);
    for _ in 0..100 {
        let vector: Vec<f32> = (0..240).map(|_| dice.gaussian()).collect();
        let (energy, decoded) = (product(&vector, &vector), coded(&vector, Metric::L2).1);
        let cosine = energy / (energy * product(&decoded, &decoded)).sqrt();
        assert!(cosine * cosine > 0.98, "{cosine}");
    }
}

#[test]
fn what_a_projection_left_out_is_in_the_energy_alone() {
    let vector = uniform(1, 30, 1);
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let sq4 = Sq4::new(30, metric);
        let (mut with, mut without) = (vec![1; sq4.row_bytes()], vec![2; sq4.row_bytes()]);
        sq4.encode_part(&vector, 2.0, &mut with);
        sq4.encode_part(&vector, 0.0, &mut without);
        let more = Factors::read(&with).energy - Factors::read(&without).energy;
        assert_eq!(with[..56], without[..56]);
        assert!((more - if metric == Metric::Dot { 0.0 } else { 2.0 }).abs() < 1e-5, "{metric}: {more}");
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
        vec![2e-36, 1e-45, -1e-36],
        vec![1e-45, 0.0, -1e-45],
        vec![MAX_MAGNITUDE; DIM_MAX],
    ];
    for vector in cases {
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let (row, decoded) = coded(&vector, metric);
            assert!(decoded.iter().all(|x| x.is_finite()), "{metric}: {:?}", &decoded[..2]);
            let factors = Factors::read(&row);
            assert!([factors.energy, factors.scale].iter().all(|x| x.is_finite()), "{factors:?}");
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
    assert!((Factors::read(&row).energy - 1.0).abs() < 1e-5);
    assert!((product(&decoded, &decoded) - 1.0).abs() < 0.02);
    assert_eq!(coded(&[0.0; 50], Metric::Cosine).1, [0.0; 50]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_vector_of_another_dimension_panics() {
    Sq4::new(3, Metric::L2).encode(&[0.0; 2], &mut [0; 64]);
}

#[test]
#[should_panic(expected = "row_bytes")]
fn a_row_of_another_length_panics() {
    Sq4::new(3, Metric::L2).encode(&[0.0; 3], &mut [0; 19]);
}

#[test]
#[should_panic(expected = "1..=65536")]
fn dimensions_beyond_the_limit_panic() {
    Sq4::new(DIM_MAX + 1, Metric::L2);
}

#[test]
#[should_panic(expected = "no codes of four bits")]
fn sums_of_differences_are_refused() {
    Sq4::new(3, Metric::L1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_vector_has_a_code_that_points_like_it(
        vector in prop::collection::vec(-1.0_f32..1.0, 1..150),
        exponent in -30..30_i32,
    ) {
        let vector: Vec<f32> = vector.iter().map(|x| x * 2.0_f32.powi(exponent)).collect();
        check_code(&vector, &coded(&vector, Metric::L2).1);
    }

    #[test]
    fn any_bits_are_encoded_without_nan(bits in prop::collection::vec(any::<u32>(), 1..50), metric in 0..3_usize) {
        let vector: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let (_, decoded) = coded(&vector, [Metric::Cosine, Metric::Dot, Metric::L2][metric]);
        prop_assert!(decoded.iter().all(|x| x.is_finite()), "{:?}", decoded);
    }

    #[test]
    fn any_row_is_decoded(row in prop::collection::vec(any::<u8>(), 64)) {
        let mut out = [0.0; 10];
        Sq4::new(10, Metric::L2).decode(&row, &mut out);
    }
}
