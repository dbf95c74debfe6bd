use proptest::prelude::*;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;
use crate::sq::Sq8Rows;
use crate::sq::kernel::all_kernels;

fn encode_all(sq8: Sq8, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![0; vectors.len() / sq8.dim() * sq8.row_bytes()];
    for (vector, row) in vectors.chunks_exact(sq8.dim()).zip(rows.chunks_exact_mut(sq8.row_bytes())) {
        sq8.encode(vector, row);
    }
    rows
}

/// Codes and factors of each vector, apart.
fn encode_all_apart(sq8: Sq8, vectors: &[f32]) -> (Vec<u8>, Vec<RowFactors>) {
    let mut codes = vec![0xAA; vectors.len() / sq8.dim() * sq8.code_bytes()];
    let rows = vectors.chunks_exact(sq8.dim()).zip(codes.chunks_exact_mut(sq8.code_bytes()));
    let factors = rows.map(|(vector, codes)| sq8.encode_apart(vector, codes)).collect();
    (codes, factors)
}

fn decoded(sq8: Sq8, row: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; sq8.dim()];
    sq8.decode(row, &mut out);
    out
}

/// The distance of the two decoded vectors, by the formula the estimate promises.
fn of_decoded(metric: Metric, q: &[f32], x: &[f32]) -> f64 {
    match metric {
        Metric::Cosine => reference::distance(Metric::L2, q, x) / 2.0,
        metric => reference::distance(metric, q, x),
    }
}

/// What rounding errors in `f32` are proportional to.
fn size(metric: Metric, q: &[f32], x: &[f32]) -> f64 {
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    match metric {
        Metric::L1 => q.iter().chain(x).map(|x| f64::from(x.abs())).sum(),
        _ => (norm(q) + norm(x)).powi(2),
    }
}

#[test]
fn the_formula_is_the_distance_of_what_was_decoded() {
    for dim in [1, 2, 48, 64, 65, 384] {
        let (query, vectors) = (uniform(1, dim, 1), clustered(20, dim, 4, 0.2, 2));
        for metric in Metric::ALL {
            let sq8 = Sq8::new(dim, metric);
            let rows = encode_all(sq8, &vectors);
            let mut query_row = vec![0; sq8.row_bytes()];
            sq8.encode(&query, &mut query_row);
            // L1 does not round the query.
            let q = if metric == Metric::L1 { query.clone() } else { decoded(sq8, &query_row) };
            let bound = sq8.bind(&query);
            for row in rows.chunks_exact(sq8.row_bytes()) {
                let x = decoded(sq8, row);
                let (found, exact) = (f64::from(bound.score_row(row)), of_decoded(metric, &q, &x));
                assert!(
                    (found - exact).abs() <= 3e-6 * size(metric, &q, &x),
                    "{metric} {dim}: {found} {exact}"
                );
            }
        }
    }
}

#[test]
fn estimates_are_near_the_distances_of_the_vectors() {
    let dim = 384;
    let vectors = clustered(200, dim, 8, 0.3, 3);
    let query: Vec<f32> = vectors[..dim].iter().zip(uniform(1, dim, 4)).map(|(x, d)| x + 0.2 * d).collect();
    for (metric, allowed) in
        [(Metric::Cosine, 5e-3), (Metric::Dot, 2e-3), (Metric::L2, 2e-3), (Metric::L1, 2e-3)]
    {
        let sq8 = Sq8::new(dim, metric);
        let (rows, bound) = (encode_all(sq8, &vectors), sq8.bind(&query));
        for (vector, row) in vectors.chunks_exact(dim).zip(rows.chunks_exact(sq8.row_bytes())) {
            let (found, exact) =
                (f64::from(bound.score_row(row)), reference::distance(metric, &query, vector));
            let size = if metric == Metric::Cosine { 1.0 } else { size(metric, &query, vector) };
            assert!((found - exact).abs() <= allowed * size, "{metric}: {found} for {exact}");
        }
    }
}

#[test]
fn a_common_offset_costs_no_precision() {
    let dim = 100;
    let near = uniform(10, dim, 5);
    let far: Vec<f32> = near.iter().map(|x| 4096.0 + (x * 64.0).round() / 64.0).collect();
    let sq8 = Sq8::new(dim, Metric::L2);
    let (rows, bound) = (encode_all(sq8, &far), sq8.bind(&far[..dim]));
    for (vector, row) in far.chunks_exact(dim).zip(rows.chunks_exact(sq8.row_bytes())) {
        let exact = reference::distance(Metric::L2, &far[..dim], vector);
        assert!((f64::from(bound.score_row(row)) - exact).abs() < 0.5, "squares of the components are 10^9");
    }
}

#[test]
fn scan_and_gather_give_the_bits_of_score_row() {
    let dim = 70;
    let vectors = uniform(150, dim, 6);
    let mut dice = Dice::new(7);
    for metric in Metric::ALL {
        let sq8 = Sq8::new(dim, metric);
        let (rows, bound) = (encode_all(sq8, &vectors), sq8.bind(&vectors[dim..2 * dim]));
        let scores: Vec<f32> = rows.chunks_exact(sq8.row_bytes()).map(|row| bound.score_row(row)).collect();
        let (codes, factors) = encode_all_apart(sq8, &vectors);
        for count in [0, 1, 63, 64, 65, 150] {
            let mut out = vec![f32::NAN; count];
            bound.scan(&rows[..count * sq8.row_bytes()], &mut out);
            assert_eq!(out, scores[..count]);
            out.fill(f32::NAN);
            bound.scan_apart(&codes[..count * sq8.code_bytes()], &factors[..count], &mut out);
            assert_eq!(out, scores[..count], "apart, {metric}");
            let slots: Vec<u32> = (0..count).map(|_| dice.below(150) as u32).collect();
            bound.gather(&rows, &slots, &mut out);
            assert_eq!(out, slots.iter().map(|slot| scores[*slot as usize]).collect::<Vec<_>>());
        }
        if metric != Metric::L1 {
            let mut out = vec![f32::NAN; 150];
            bound.meet(&Packed::new(Sq8Rows::new(sq8, &rows)), &mut out);
            assert_eq!(out, scores);
        }
    }
}

#[test]
fn every_kernel_gives_the_same_distances() {
    let dim = 90;
    let vectors = uniform(25, dim, 8);
    for metric in Metric::ALL {
        let sq8 = Sq8::new(dim, metric);
        let rows = encode_all(sq8, &vectors);
        let (codes, factors) = encode_all_apart(sq8, &vectors);
        let mut bound = sq8.bind(&vectors[..dim]);
        let mut answers = Vec::new();
        for kernel in all_kernels() {
            bound.kernels = kernel;
            let mut out = [0.0; 25];
            bound.scan(&rows, &mut out);
            answers.push(out.map(f32::to_bits));
            bound.scan_apart(&codes, &factors, &mut out);
            answers.push(out.map(f32::to_bits));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    }
}

#[test]
fn what_is_kept_apart_is_what_a_row_holds() {
    for dim in [1, 48, 64, 70, 384] {
        let vectors = uniform(9, dim, 12);
        for metric in Metric::ALL {
            let sq8 = Sq8::new(dim, metric);
            let (rows, (codes, factors)) = (encode_all(sq8, &vectors), encode_all_apart(sq8, &vectors));
            let apart = codes.chunks_exact(sq8.code_bytes()).zip(factors);
            for (row, (codes, factors)) in rows.chunks_exact(sq8.row_bytes()).zip(apart) {
                assert_eq!(row[..dim], codes[..dim]);
                assert!(codes[dim..].iter().all(|byte| *byte == 0), "nothing is left of what was there");
                assert_eq!(Factors::read(row), Factors::of(factors));
            }
        }
    }
}

#[test]
fn degenerate_vectors_have_distances() {
    let cases: Vec<Vec<f32>> = vec![
        vec![0.0; 3],
        vec![5.0; 3],
        vec![1e-40, 0.0, -1e-40],
        vec![1e16, -1e16, 1.0],
        vec![1.0, 1.0, 1.0 + f32::EPSILON],
        vec![f32::NAN, f32::INFINITY, f32::MIN],
    ];
    for metric in Metric::ALL {
        let sq8 = Sq8::new(3, metric);
        for a in &cases {
            for b in &cases {
                let found = sq8.bind(a).score_row(&encode_all(sq8, b));
                assert!(found.is_finite(), "{metric} {a:?} {b:?}: {found}");
            }
        }
    }
    let sq8 = Sq8::new(1, Metric::L2);
    assert_eq!(sq8.bind(&[3.0]).score_row(&encode_all(sq8, &[5.0])), 4.0, "one dimension is exact");
}

#[test]
fn the_largest_vectors_have_finite_distances() {
    let large = vec![vectra_core::vector::normalize::MAX_MAGNITUDE; crate::sq::DIM_MAX];
    let mixed: Vec<f32> = large.iter().enumerate().map(|(i, x)| if i % 2 == 0 { *x } else { -x }).collect();
    for metric in Metric::ALL {
        let sq8 = Sq8::new(large.len(), metric);
        for (a, b) in [(&large, &mixed), (&mixed, &mixed), (&mixed, &large)] {
            let found = sq8.bind(a).score_row(&encode_all(sq8, b));
            assert!(found.is_finite(), "{metric}: {found}");
        }
    }
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_scan_with_factors_of_other_rows_panics() {
    let sq8 = Sq8::new(3, Metric::L2);
    sq8.bind(&[0.0; 3]).scan_apart(&[0; 128], &[RowFactors::default()], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "row_bytes")]
fn a_row_of_another_length_panics() {
    Sq8::new(3, Metric::L2).bind(&[0.0; 3]).score_row(&[0; 63]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_scan_into_too_few_results_panics() {
    Sq8::new(3, Metric::L1).bind(&[0.0; 3]).scan(&[0; 128], &mut [0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_scored(
        rows in prop::collection::vec(any::<u8>(), 128),
        query in prop::collection::vec(-10.0_f32..10.0, 40),
        metric in 0..4_usize,
    ) {
        let bound = Sq8::new(40, Metric::ALL[metric]).bind(&query);
        let mut out = [0.0; 2];
        bound.scan(&rows, &mut out);
        prop_assert_eq!(out[1].to_bits(), bound.score_row(&rows[64..]).to_bits());
        let of_row = Sq8Query::of_row(*bound.codec(), &rows[..64]);
        of_row.gather(&rows, &[1, 0], &mut out);
    }

    #[test]
    fn equal_vectors_are_nearest(vector in prop::collection::vec(-10.0_f32..10.0, 2..60)) {
        for metric in [Metric::L2, Metric::L1] {
            let sq8 = Sq8::new(vector.len(), metric);
            let rows = encode_all(sq8, &vector);
            let own = Sq8Query::of_row(sq8, &rows).score_row(&rows);
            let energy = vector.iter().map(|x| x * x).sum::<f32>();
            prop_assert!(own <= 1e-5 * energy, "{} {}", own, energy);
        }
    }
}
