use std::f64::consts::PI;

use proptest::prelude::*;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Dice, uniform};

use super::*;
use crate::codec::CodeQuery;
use crate::format::Header;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn encode_all(codec: Binary, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![7; vectors.len() / codec.dim() * codec.row_bytes()];
    for (vector, row) in vectors.chunks_exact(codec.dim()).zip(rows.chunks_exact_mut(codec.row_bytes())) {
        codec.encode(vector, row);
    }
    rows
}

fn gaussian(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    (0..count * dim).map(|_| dice.gaussian()).collect()
}

/// The formula in `f64`, from the signs of the vectors.
fn by_formula(metric: Metric, q: &[f32], x: &[f32]) -> f64 {
    let differ = q.iter().zip(x).filter(|(a, b)| (**a < 0.0) != (**b < 0.0)).count();
    let cosine = (PI * differ as f64 / q.len() as f64).cos();
    let (eq, ex) = (norm_squared(q), norm_squared(x));
    let product = (eq * ex).sqrt() * cosine;
    match metric {
        Metric::Cosine => 1.0 - cosine,
        Metric::Dot => -product,
        _ => (eq + ex - 2.0 * product).max(0.0),
    }
}

#[test]
fn distances_are_those_of_the_formula() {
    for dim in [1, 2, 63, 384, 448, 449, 512, 700] {
        let (query, vectors) = (uniform(1, dim, 1), uniform(300, dim, 2));
        for metric in METRICS {
            let codec = Binary::new(dim, metric);
            let (rows, bound) = (encode_all(codec, &vectors), codec.bind(&query));
            let mut out = vec![f32::NAN; 300];
            bound.scan(&rows, &mut out);
            for ((vector, row), found) in
                vectors.chunks_exact(dim).zip(rows.chunks_exact(codec.row_bytes())).zip(&out)
            {
                let expected = by_formula(metric, &query, vector);
                let size = 1.0 + norm_squared(&query) + norm_squared(vector);
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-6 * size,
                    "{metric} {dim}: {found} {expected}"
                );
                assert_eq!(bound.score_row(row).to_bits(), found.to_bits());
            }
            let slots: Vec<u32> = (0..280).map(|i| i * 7 % 300).collect();
            let mut gathered = vec![f32::NAN; 280];
            bound.gather(&rows, &slots, &mut gathered);
            assert!(slots.iter().zip(gathered).all(|(slot, x)| x.to_bits() == out[*slot as usize].to_bits()));
        }
    }
}

#[test]
fn angles_of_random_directions_are_met_on_average() {
    let (dim, pairs) = (1024, 400);
    let (a, noise) = (gaussian(pairs, dim, 3), gaussian(pairs, dim, 4));
    for metric in METRICS {
        let codec = Binary::new(dim, metric);
        let (mut mean, mut squares) = (0.0, 0.0);
        for (q, noise) in a.chunks_exact(dim).zip(noise.chunks_exact(dim)) {
            let x: Vec<f32> = q.iter().zip(noise).map(|(q, n)| q + n).collect();
            let found = codec.bind(q).score_row(&encode_all(codec, &x));
            let error = f64::from(found) - reference::distance(metric, q, &x);
            let size = (norm_squared(q) * norm_squared(&x)).sqrt();
            let relative = if metric == Metric::Cosine { error } else { error / size };
            mean += relative / pairs as f64;
            squares += relative * relative / pairs as f64;
        }
        // The angle is a quarter turn's half; a share of a quarter of 1,024 bits is off by 0.0135, the cosine by 0.03.
        let times = if metric == Metric::L2 { 2.0 } else { 1.0 };
        assert!((0.022 * times..0.04 * times).contains(&squares.sqrt()), "{metric}: {}", squares.sqrt());
        assert!(mean.abs() < 0.006 * times, "{metric}: errors cancel out, {mean} is left");
    }
}

#[test]
fn near_vectors_are_found_among_far_ones() {
    let (dim, count) = (384, 2000);
    let vectors = gaussian(count, dim, 5);
    let codec = Binary::new(dim, Metric::Cosine);
    let rows = crate::store::Rows::new(codec, &[]);
    assert!(rows.nearest(&codec.bind(&vectors[..dim]), 3).is_empty());
    let bytes = encode_all(codec, &vectors);
    let rows = crate::store::Rows::new(codec, &bytes);
    let noise = gaussian(50, dim, 6);
    for (slot, noise) in noise.chunks_exact(dim).enumerate() {
        let query: Vec<f32> = vectors[slot * dim..].iter().zip(noise).map(|(x, n)| x + n).collect();
        assert_eq!(rows.nearest(&codec.bind(&query), 1)[0].slot, slot as u32);
    }
}

#[test]
fn rows_are_their_own_queries_and_decode_to_their_signs() {
    for metric in METRICS {
        let (codec, vectors) = (Binary::new(100, metric), uniform(2, 100, 7));
        let rows = encode_all(codec, &vectors);
        let (row, other) = rows.split_at(codec.row_bytes());
        let (a, b) = (codec.bind_row(row).score_row(other), codec.bind_row(other).score_row(row));
        assert_eq!(a.to_bits(), b.to_bits(), "{metric}: the same in both directions");
        let mut decoded = [0.0; 100];
        codec.decode(row, &mut decoded);
        assert!(decoded.iter().zip(&vectors).all(|(x, y)| (*x < 0.0) == (*y < 0.0)));
        let length = if metric == Metric::Cosine { 1.0 } else { norm_squared(&vectors[..100]) };
        assert!((norm_squared(&decoded) - length).abs() < 1e-4 * length, "{metric}");
        let own = codec.bind(&decoded).score_row(row);
        let least = if metric == Metric::Dot { -length } else { 0.0 };
        assert!((f64::from(own) - least).abs() < 1e-4 * (1.0 + length), "{metric}: {own}");
    }
}

#[test]
fn what_is_left_out_counts_as_distance_but_for_the_angle() {
    let (q, x) = (uniform(1, 40, 1), uniform(1, 40, 2));
    for (metric, more) in [(Metric::L2, 5.0), (Metric::Cosine, 0.0), (Metric::Dot, 0.0)] {
        let codec = Binary::new(40, metric);
        let mut row = vec![0; codec.row_bytes()];
        codec.encode_part(&x, 0.0, &mut row);
        let without = codec.bind_part(&q, 0.0).score_row(&row);
        codec.encode_part(&x, 2.0, &mut row);
        let with = codec.bind_part(&q, 3.0).score_row(&row);
        assert!((with - without - more).abs() < 1e-4, "{metric}: {without} {with}");
    }
}

#[test]
fn degenerate_vectors_have_distances() {
    let large = vectra_core::vector::normalize::MAX_MAGNITUDE;
    let cases: Vec<Vec<f32>> = vec![
        vec![0.0; 3],
        vec![-5.0; 3],
        vec![1e-40, 0.0, -1e-40],
        vec![1e30, -1e30, 1.0],
        vec![large; 3],
        vec![f32::NAN, f32::INFINITY, f32::MIN],
    ];
    for metric in METRICS {
        let codec = Binary::new(3, metric);
        for a in &cases {
            for b in &cases {
                let found = codec.bind(a).score_row(&encode_all(codec, b));
                assert!(found.is_finite(), "{metric} {a:?} {b:?}: {found}");
            }
        }
    }
    let large = vec![large; DIM_MAX];
    let codec = Binary::new(DIM_MAX, Metric::L2);
    assert!(codec.bind(&large).score_row(&encode_all(codec, &large)).is_finite());
    let zero = Binary::new(3, Metric::L2);
    let found = zero.bind(&[3.0, 4.0, 0.0]).score_row(&encode_all(zero, &[0.0; 3]));
    assert!((found - 25.0).abs() < 1e-5, "lengths are exact: {found}");
}

#[test]
fn sections_say_what_they_are() {
    let codec = Binary::new(384, Metric::Dot);
    let header = Header { quantizer: codec.quantizer(), rows: 2 };
    assert_eq!(header.encode()[6], 5);
    assert_eq!(Header::decode(&header.encode()), Ok(header));
    let bound = Binary::new(3, Metric::L2).bind(&[1.0; 3]);
    assert_eq!(
        format!("{bound:?}"),
        format!("BinaryQuery({:?}, {})", bound.codec(), super::super::kernel::kernels().name())
    );
}

#[test]
#[should_panic(expected = "no codes of one bit")]
fn there_is_no_l1() {
    Binary::new(3, Metric::L1);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_scan_into_too_few_results_panics() {
    Binary::new(3, Metric::Cosine).bind(&[0.0; 3]).scan(&[0; 128], &mut [0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_scored(
        rows in prop::collection::vec(any::<u8>(), 128),
        query in prop::collection::vec(-10.0_f32..10.0, 100),
        metric in 0..3_usize,
    ) {
        let codec = Binary::new(100, METRICS[metric]);
        let bound = codec.bind(&query);
        let mut out = [0.0; 2];
        bound.scan(&rows, &mut out);
        prop_assert_eq!(out[1].to_bits(), bound.score_row(&rows[64..]).to_bits());
        codec.bind_row(&rows[..64]).gather(&rows, &[1, 0], &mut out);
        codec.decode(&rows[..64], &mut [0.0; 100]);
        if METRICS[metric] == Metric::Cosine {
            prop_assert!(out.iter().all(|distance| (0.0..=2.0).contains(distance)));
        }
    }
}
