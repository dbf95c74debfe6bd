use proptest::prelude::*;
use vectra_core::testing::oracle::{Dice, Oracle};

use super::*;
use crate::{FormatError, Sq4};

const DIM: usize = 200;

/// Vectors that lie near a subspace of 40 dimensions, around a centre.
fn vectors(count: usize, seed: u64) -> Vec<f32> {
    let mut basis = Dice::new(7);
    let basis: Vec<f32> = (0..41 * DIM).map(|_| basis.gaussian()).collect();
    let mut g = Dice::new(seed);
    let mut vectors = Vec::with_capacity(count * DIM);
    for _ in 0..count {
        let weights: Vec<f32> = (0..40).map(|_| 0.2 * g.gaussian()).collect();
        for i in 0..DIM {
            let along: f32 = weights.iter().enumerate().map(|(j, w)| w * basis[j * DIM + i]).sum();
            vectors.push(basis[40 * DIM + i] + along + 0.1 * g.gaussian());
        }
    }
    vectors
}

/// A codec for so many dimensions.
type Of<C> = fn(usize, Metric) -> C;

fn fitted(metric: Metric) -> Projection {
    let sample = vectors(Projection::sample_rows(DIM), 1);
    Projection::fit(&sample, DIM, metric).expect("most of it is in a fifth of the directions")
}

/// The share of the true neighbours of some queries among the `reranked` nearest by codes.
fn recall<C: Codec>(of: Of<C>, metric: Metric, reranked: usize) -> f64 {
    let projection = fitted(metric);
    let codec = of(projection.kept(), metric);
    assert_eq!((projection.dim(), projection.kept(), codec.dim()), (DIM, 48, 48));
    assert_eq!((codec.metric(), projection.metric(), codec.row_bytes()), (metric, metric, 64));
    let (rows, queries) = (vectors(2000, 2), vectors(20, 3));
    let mut codes = vec![0; 2000 * codec.row_bytes()];
    let pairs = rows.chunks_exact(DIM).zip(codes.chunks_exact_mut(codec.row_bytes()));
    pairs.for_each(|(vector, row)| projection.encode(&codec, vector, row));
    let oracle = Oracle::new(&rows, DIM, metric);
    let mut recall = 0.0;
    for query in queries.chunks_exact(DIM) {
        let mut distances = vec![0.0; 2000];
        projection.bind(&codec, query).scan(&codes, &mut distances);
        let mut slots: Vec<u32> = (0..2000).collect();
        slots.sort_by(|a, b| distances[*a as usize].total_cmp(&distances[*b as usize]));
        recall += oracle.recall(query, 10, &slots[..reranked], |_| true) / 20.0;
    }
    recall
}

#[test]
fn few_directions_find_the_nearest() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let (eight, four) = (recall(Sq8::new, metric, 20), recall(Sq4::new, metric, 40));
        assert!(eight > 0.98 && four > 0.98, "{metric:?}: {eight} {four}");
    }
}

/// Distances of codes are off by at most the share `tolerance`.
fn distances_are_about_right<C: Codec>(of: Of<C>, metric: Metric, tolerance: f64) {
    let projection = fitted(metric);
    let codec = of(projection.kept(), metric);
    let (rows, query) = (vectors(300, 4), vectors(1, 5));
    let oracle = Oracle::new(&rows, DIM, metric);
    let query = query.as_slice();
    let bound = projection.bind(&codec, query);
    let mut row = vec![0; codec.row_bytes()];
    for (slot, vector) in rows.chunks_exact(DIM).enumerate() {
        projection.encode(&codec, vector, &mut row);
        let (found, expected) = (f64::from(bound.score_row(&row)), oracle.distance(query, slot as u32));
        assert!((found - expected).abs() < tolerance * expected, "{metric:?} {slot}: {found} {expected}");
    }
}

#[test]
fn distances_are_about_those_of_the_vectors() {
    for metric in [Metric::Cosine, Metric::L2] {
        distances_are_about_right(Sq8::new, metric, 0.05);
        distances_are_about_right(Sq4::new, metric, 0.12);
    }
}

#[test]
fn a_section_leads_back() {
    let projection = fitted(Metric::Cosine);
    let section = Blob::copy_of(&projection.to_section());
    let opened = Projection::open_section(&section).expect("own section");
    let (vector, codec) = (vectors(1, 9), Sq8::new(projection.kept(), Metric::Cosine));
    let (mut one, mut other) = (vec![0; codec.row_bytes()], vec![1; codec.row_bytes()]);
    projection.encode(&codec, &vector, &mut one);
    opened.encode(&codec, &vector, &mut other);
    assert_eq!(one, other);
    assert_eq!((opened.kept(), opened.metric()), (codec.dim(), Metric::Cosine));
    assert_eq!(opened.to_section(), &section[..]);
}

fn takes_vectors_without_a_direction<C: Codec>(of: Of<C>) {
    let projection = fitted(Metric::Cosine);
    let codec = of(projection.kept(), Metric::Cosine);
    let mut row = vec![0; codec.row_bytes()];
    for odd in [0.0, f32::NAN, f32::INFINITY, 1e-38] {
        projection.encode(&codec, &[odd; DIM], &mut row);
        assert!(projection.bind(&codec, &vectors(1, 1)).score_row(&row).is_finite(), "{odd}");
        assert!(projection.bind(&codec, &[odd; DIM]).score_row(&row).is_finite(), "{odd}");
    }
}

#[test]
fn vectors_without_a_direction_are_taken() {
    takes_vectors_without_a_direction(Sq8::new);
    takes_vectors_without_a_direction(Sq4::new);
}

#[test]
fn each_field_is_checked() {
    let section = fitted(Metric::L2).to_section();
    let forged = |offset: usize, bytes: &[u8]| {
        let mut section = section.clone();
        section[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = vectra_core::codec::crc32c(&section[..60]);
        section[60..64].copy_from_slice(&crc.to_le_bytes());
        Projection::open_section(&Blob::copy_of(&section)).map(|_| ()).expect_err("forged").to_string()
    };
    assert!(forged(0, b"VQPX").contains("magic of a projection"));
    assert!(forged(4, &[2]).contains("version 2"));
    assert!(forged(7, &[4]).contains("metric"), "L1 is not projected");
    assert!(forged(8, &[0, 0, 0, 0]).contains("dimension"));
    assert!(forged(12, &[200, 0]).contains("directions kept"), "as many as there are is no projection");
    assert!(forged(12, &[0, 0]).contains("directions kept"));
    assert!(forged(12, &[47]).contains("rows of"), "fewer rows than there are");
    assert!(forged(30, &[1]).contains("reserved"));
    let cut = Projection::open_section(&Blob::copy_of(&section[..100])).map(|_| ());
    assert!(matches!(cut, Err(FormatError::Field(_))), "{cut:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_projection(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 64_usize..2000) {
        let mut section = fitted_small();
        prop_assert!(Projection::open_section(&Blob::copy_of(&bytes)).is_err());
        let at = at.min(section.len());
        let end = (at + bytes.len()).min(section.len());
        section[at..end].copy_from_slice(&bytes[..end - at]);
        // Behind the header anything goes.
        let projection = Projection::open_section(&Blob::copy_of(&section)).expect("a sound header");
        encode_and_score(Sq8::new, &projection);
        encode_and_score(Sq4::new, &projection);
        section.pop();
        prop_assert!(Projection::open_section(&Blob::copy_of(&section)).is_err());
    }
}

fn encode_and_score<C: Codec>(of: Of<C>, projection: &Projection) {
    let codec = of(projection.kept(), projection.metric());
    let mut row = vec![0; codec.row_bytes()];
    projection.encode(&codec, &[0.5; 5], &mut row);
    projection.bind(&codec, &[0.5; 5]).score_row(&row);
}

/// Two of five directions.
fn fitted_small() -> Vec<u8> {
    let directions = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.8, 0.0, 0.0];
    Projection::new(&directions, &[1.0; 5], Metric::L2).to_section()
}
