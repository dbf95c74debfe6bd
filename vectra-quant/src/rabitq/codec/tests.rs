use proptest::prelude::*;
use vectra_core::testing::oracle::{clustered, uniform};
use vectra_core::vector::normalize::MAX_MAGNITUDE;

use super::*;
use crate::codec::CodeQuery;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn coded(vector: &[f32], bits: u32, metric: Metric) -> (Vec<u8>, Vec<f32>) {
    let codec = RaBitQ::new(vector.len(), bits, metric);
    let (mut row, mut decoded) = (vec![0xa5; codec.row_bytes()], vec![f32::NAN; vector.len()]);
    codec.encode(vector, &mut row);
    codec.decode(&row, &mut decoded);
    (row, decoded)
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn the_product_with_the_code_is_the_squared_length() {
    for bits in 1..=BITS_MAX {
        for dim in [1, 2, 63, 64, 100, 384] {
            for vector in uniform(5, dim, 1).chunks_exact(dim) {
                let (row, decoded) = coded(vector, bits, Metric::L2);
                let energy = product(vector, vector);
                assert!((product(vector, &decoded) - energy).abs() < 1e-5 * energy, "{dim} {bits}");
                assert!((f64::from(Factors::read(&row).energy) - energy).abs() < 1e-6 * energy);
            }
        }
    }
}

#[test]
fn every_bit_brings_the_code_nearer() {
    let vector = clustered(1, 300, 1, 0.5, 2);
    let mut last = f64::INFINITY;
    for bits in 1..=BITS_MAX {
        let (_, decoded) = coded(&vector, bits, Metric::L2);
        let difference: Vec<f32> = vector.iter().zip(&decoded).map(|(a, b)| a - b).collect();
        let miss = product(&difference, &difference) / product(&vector, &vector);
        assert!(miss < 0.6 * last, "{bits} bits: {miss} after {last}");
        last = miss;
    }
    assert!(last < 1e-4);
}

#[test]
fn what_else_there_is_of_a_vector_is_in_the_energy_alone() {
    let vector = uniform(1, 64, 1);
    for metric in METRICS {
        let codec = RaBitQ::new(64, 3, metric);
        let (mut with, mut without) = (vec![1; codec.row_bytes()], vec![2; codec.row_bytes()]);
        codec.encode_part(&vector, 2.0, &mut with);
        codec.encode_part(&vector, 0.0, &mut without);
        let (with, without) = (Factors::read(&with), Factors::read(&without));
        assert!((with.energy - without.energy - 2.0).abs() < 1e-5, "{metric}");
        assert_eq!((with.scale, with.error), (without.scale, without.error));
        assert_eq!(without.energy == 0.0, metric == Metric::Dot);
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
        for metric in METRICS {
            for bits in [1, 2, 5, 8] {
                let (row, decoded) = coded(&vector, bits, metric);
                assert!(decoded.iter().all(|x| x.is_finite()), "{metric} {bits}: {:?}", &decoded[..2]);
                let Factors { energy, scale, error } = Factors::read(&row);
                assert!([energy, scale, error].iter().all(|x| x.is_finite()), "{energy} {scale} {error}");
            }
        }
    }
    assert_eq!(coded(&[0.0; 3], 1, Metric::L2).1, [0.0; 3]);
    assert_eq!(coded(&[f32::NAN; 2], 8, Metric::L2).1, [0.0; 2]);
}

#[test]
fn under_cosine_the_direction_is_encoded() {
    let vector = uniform(1, 50, 7);
    for bits in [1, 4, 6] {
        let (row, _) = coded(&vector, bits, Metric::Cosine);
        let scaled: Vec<f32> = vector.iter().map(|x| x * 1024.0).collect();
        assert_eq!(coded(&scaled, bits, Metric::Cosine).0, row, "powers of two change nothing else");
        assert!((Factors::read(&row).energy - 1.0).abs() < 1e-5);
    }
    assert_eq!(coded(&[0.0; 50], 1, Metric::Cosine).1, [0.0; 50]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_vector_of_another_dimension_panics() {
    RaBitQ::new(3, 1, Metric::L2).encode(&[0.0; 2], &mut [0; 64]);
}

#[test]
#[should_panic(expected = "row_bytes")]
fn a_row_of_another_length_panics() {
    RaBitQ::new(3, 1, Metric::L2).encode(&[0.0; 3], &mut [0; 19]);
}

#[test]
#[should_panic(expected = "1 to 8 bits")]
fn no_bits_are_refused() {
    RaBitQ::new(3, 0, Metric::L2);
}

#[test]
#[should_panic(expected = "no matter of products")]
fn sums_of_differences_are_refused() {
    RaBitQ::new(3, 1, Metric::L1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bits_are_encoded_without_nan(
        words in prop::collection::vec(any::<u32>(), 1..50),
        metric in 0..3_usize,
        bits in 1..9_u32,
    ) {
        let vector: Vec<f32> = words.into_iter().map(f32::from_bits).collect();
        let (row, decoded) = coded(&vector, bits, METRICS[metric]);
        prop_assert!(decoded.iter().all(|x| x.is_finite()), "{:?}", decoded);
        prop_assert!(Factors::read(&row).error.is_finite());
    }

    #[test]
    fn any_row_is_decoded(row in prop::collection::vec(any::<u8>(), 128), bits in 5..7_u32) {
        let mut out = [0.0; 120];
        RaBitQ::new(120, bits, Metric::L2).decode(&row, &mut out);
        RaBitQ::new(120, bits, Metric::L2).bind_row(&row).score_row(&row);
    }
}
