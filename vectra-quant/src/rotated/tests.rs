use vectra_core::distance::reference;
use vectra_core::testing::oracle::{clustered, uniform};
use vectra_core::vector::normalize::MAX_MAGNITUDE;

use super::*;
use crate::codec::CodeQuery;
use crate::coder::Coder;
use crate::sq::Sq8;
use crate::sq4::Sq4;

/// Distances of codes are those of the vectors, to within `tolerance` of `|q|^2 + |x|^2`.
fn distances_are_about_right<C: Codec>(coder: &Coder<C>, tolerance: f64) {
    let (dim, metric) = (coder.dim(), coder.metric());
    let (query, vectors) = (uniform(1, dim, 1), clustered(50, dim, 3, 0.5, 2));
    let energy = |v: &[f32]| reference::distance(Metric::L2, v, &vec![0.0; dim]);
    let bound = coder.bind(&query);
    let mut row = vec![0; coder.codec().row_bytes()];
    for vector in vectors.chunks_exact(dim) {
        coder.encode(vector, &mut row);
        let size = if metric == Metric::Cosine { 1.0 } else { energy(&query) + energy(vector) };
        let expected = reference::distance(metric, &query, vector);
        let found = f64::from(bound.score_row(&row));
        assert!((found - expected).abs() < tolerance * size, "{metric}: {found} {expected}");
    }
}

#[test]
fn codes_of_rotated_vectors_have_the_distances_of_the_vectors() {
    for dim in [1, 3, 64, 100, 300] {
        let vectors = clustered(200, dim, 3, 0.5, 2);
        for metric in [Metric::Cosine, Metric::L2] {
            let rotated = Rotated::fit(&vectors, dim, metric, 9);
            assert_eq!((rotated.dim(), rotated.padded()), (dim, dim.next_multiple_of(64)));
            let eight = Coder::rotated(rotated.clone(), Sq8::new(rotated.padded(), metric));
            distances_are_about_right(&eight, 0.01);
            let four = eight.with_codec(Sq4::new(rotated.padded(), metric));
            distances_are_about_right(&four, 0.1);
            assert_eq!(four.rotation(), Some(&rotated));
            assert!(four.projection().is_none());
        }
        let around_zero = Rotated::new(&vec![0.0; dim], Metric::Dot, 9);
        let codec = Sq8::new(around_zero.padded(), Metric::Dot);
        distances_are_about_right(&Coder::rotated(around_zero, codec), 0.02);
    }
}

#[test]
fn a_fit_is_the_mean() {
    let sample = [1.0, 0.0, 3.0, 8.0];
    assert_eq!(Rotated::fit(&sample, 2, Metric::L2, 1).centre(), [2.0, 4.0]);
    assert_eq!(Rotated::fit(&[3.0, 4.0, 0.0, 0.5], 2, Metric::Cosine, 1).centre(), [0.3, 0.9]);
    assert_eq!(Rotated::fit(&[], 2, Metric::L2, 1).centre(), [0.0, 0.0]);
    let odd = Rotated::fit(&[f32::NAN, f32::INFINITY], 2, Metric::L2, 1);
    assert_eq!(odd.centre(), [0.0, MAX_MAGNITUDE]);
}

#[test]
fn what_goes_beside_products_makes_up_for_the_centre() {
    let rotated = Rotated::new(&[2.0, -1.0], Metric::Dot, 1);
    let part = rotated.rotate(&[5.0, 3.0]);
    let energy: f32 = part.components.iter().map(|y| y * y).sum();
    assert!((energy - 25.0).abs() < 1e-4, "the length of the difference: {energy}");
    assert_eq!(part.rest, 25.0 - 34.0);
    assert_eq!(Rotated::new(&[2.0, -1.0], Metric::L2, 1).rotate(&[5.0, 3.0]).rest, 0.0);
}

#[test]
fn odd_vectors_are_taken() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let rotated = Rotated::new(&[0.5; 70], metric, 3);
        for odd in [0.0, f32::NAN, f32::INFINITY, 1e-38, -1e30] {
            let part = rotated.rotate(&[odd; 70]);
            assert!(part.components.iter().all(|y| y.is_finite()) && part.rest.is_finite(), "{odd}");
        }
    }
}

#[test]
#[should_panic(expected = "L1 distances cannot be rotated")]
fn sums_of_differences_are_refused() {
    Rotated::new(&[0.0], Metric::L1, 1);
}

#[test]
#[should_panic(expected = "under dot codec SQ8 takes no centre")]
fn a_centre_under_dot_needs_a_codec_that_takes_it() {
    let _ = Coder::rotated(Rotated::new(&[1.0; 64], Metric::Dot, 1), Sq8::new(64, Metric::Dot));
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_codec_for_the_vectors_themselves_is_refused() {
    let _ = Coder::rotated(Rotated::new(&[1.0; 3], Metric::L2, 1), Sq8::new(3, Metric::L2));
}
