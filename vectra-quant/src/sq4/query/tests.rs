use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;
use crate::isa::runnable;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn encode_all(sq4: Sq4, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![0; vectors.len() / sq4.dim() * sq4.row_bytes()];
    for (vector, row) in vectors.chunks_exact(sq4.dim()).zip(rows.chunks_exact_mut(sq4.row_bytes())) {
        sq4.encode(vector, row);
    }
    rows
}

fn norm(v: &[f32]) -> f64 {
    v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// What errors are proportional to.
fn size(metric: Metric, q: &[f32], x: &[f32]) -> f64 {
    if metric == Metric::Cosine { 1.0 } else { norm(q) * norm(x) }
}

#[test]
fn the_formula_is_the_product_of_what_was_decoded() {
    for dim in [1, 2, 111, 112, 113, 240, 384] {
        let (query, vectors) = (uniform(1, dim, 1), clustered(20, dim, 4, 0.2, 2));
        for metric in METRICS {
            let sq4 = Sq4::new(dim, metric);
            let (rows, bound) = (encode_all(sq4, &vectors), sq4.bind(&query));
            for (vector, row) in vectors.chunks_exact(dim).zip(rows.chunks_exact(sq4.row_bytes())) {
                let mut x = vec![0.0; dim];
                sq4.decode(row, &mut x);
                let scale = if metric == Metric::Cosine { 1.0 / norm(&query) } else { 1.0 };
                let product: f64 =
                    query.iter().zip(&x).map(|(q, x)| f64::from(*q) * scale * f64::from(*x)).sum();
                let energies = norm(&query).powi(2) + norm(vector).powi(2);
                let expected = match metric {
                    Metric::Cosine => 1.0 - product,
                    Metric::Dot => -product,
                    _ => (energies - 2.0 * product).max(0.0),
                };
                // Half a level of the query in each component.
                let allowed =
                    norm(&query) * scale / 254.0 * x.iter().map(|x| f64::from(x.abs())).sum::<f64>() * 2.0
                        + 1e-5 * energies;
                let found = f64::from(bound.score_row(row));
                assert!((found - expected).abs() <= allowed, "{metric} {dim}: {found} {expected}");
            }
        }
    }
}

#[test]
fn estimates_are_near_the_distances_of_the_vectors() {
    let dim = 240;
    let vectors = clustered(400, dim, 8, 0.3, 3);
    let query: Vec<f32> = vectors[..dim].iter().zip(uniform(1, dim, 4)).map(|(x, d)| x + 0.2 * d).collect();
    for (metric, allowed, mean) in
        [(Metric::Cosine, 0.04, 0.002), (Metric::Dot, 0.04, 0.002), (Metric::L2, 0.08, 0.004)]
    {
        let sq4 = Sq4::new(dim, metric);
        let (rows, bound) = (encode_all(sq4, &vectors), sq4.bind(&query));
        let mut sum = 0.0;
        for (vector, row) in vectors.chunks_exact(dim).zip(rows.chunks_exact(sq4.row_bytes())) {
            let (found, exact) =
                (f64::from(bound.score_row(row)), reference::distance(metric, &query, vector));
            let error = (found - exact) / size(metric, &query, vector);
            assert!(error.abs() <= allowed, "{metric}: {found} for {exact}");
            sum += error / 400.0;
        }
        assert!(sum.abs() <= mean, "{metric}: errors cancel out, {sum} is left");
    }
}

#[test]
fn scan_and_gather_give_the_bits_of_score_row() {
    let dim = 70;
    let vectors = uniform(150, dim, 6);
    let mut dice = Dice::new(7);
    for metric in METRICS {
        let sq4 = Sq4::new(dim, metric);
        let (rows, bound) = (encode_all(sq4, &vectors), sq4.bind(&vectors[dim..2 * dim]));
        let scores: Vec<f32> = rows.chunks_exact(sq4.row_bytes()).map(|row| bound.score_row(row)).collect();
        for count in [0, 1, 2, 3, 4, 63, 64, 65, 150] {
            let mut out = vec![f32::NAN; count];
            bound.scan(&rows[..count * sq4.row_bytes()], &mut out);
            assert_eq!(out, scores[..count]);
            let slots: Vec<u32> = (0..count).map(|_| dice.below(150) as u32).collect();
            bound.gather(&rows, &slots, &mut out);
            assert_eq!(out, slots.iter().map(|slot| scores[*slot as usize]).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_kernel_gives_the_same_distances() {
    for dim in [90, 230, 500] {
        let vectors = uniform(7, dim, 8);
        for metric in METRICS {
            let sq4 = Sq4::new(dim, metric);
            let rows = encode_all(sq4, &vectors);
            let mut bound = sq4.bind(&vectors[..dim]);
            let mut answers = Vec::new();
            for kernel in runnable::<Kernels>() {
                bound.kernels = kernel;
                let mut out = [0.0; 7];
                bound.scan(&rows, &mut out);
                answers.push(out.map(f32::to_bits));
            }
            answers.dedup();
            assert_eq!(answers.len(), 1);
        }
    }
}

#[test]
fn degenerate_vectors_have_distances() {
    let large = vectra_core::vector::normalize::MAX_MAGNITUDE;
    let cases: Vec<Vec<f32>> = vec![
        vec![0.0; 3],
        vec![5.0; 3],
        vec![1e-40, 0.0, -1e-40],
        vec![1e16, -1e16, 1.0],
        vec![large; 3],
        vec![1.0, 1.0, 1.0 + f32::EPSILON],
        vec![f32::NAN, f32::INFINITY, f32::MIN],
    ];
    for metric in METRICS {
        let sq4 = Sq4::new(3, metric);
        for a in &cases {
            for b in &cases {
                let found = sq4.bind(a).score_row(&encode_all(sq4, b));
                assert!(found.is_finite(), "{metric} {a:?} {b:?}: {found}");
            }
        }
        let zero = encode_all(sq4, &[0.0; 3]);
        let from_zero = sq4.bind(&[3.0, 4.0, 0.0]).score_row(&zero);
        let expected = match metric {
            Metric::Cosine => 0.5,
            Metric::Dot => 0.0,
            _ => 25.0,
        };
        assert!((from_zero - expected).abs() < 1e-6, "{metric}: {from_zero}");
    }
    let sq4 = Sq4::new(1, Metric::L2);
    let found = sq4.bind(&[3.0]).score_row(&encode_all(sq4, &[5.0]));
    assert!((found - 4.0).abs() < 1e-4, "one dimension is nearly exact: {found}");
}

#[test]
fn the_largest_vectors_have_finite_distances() {
    let large = vec![vectra_core::vector::normalize::MAX_MAGNITUDE; crate::sq::DIM_MAX];
    let mixed: Vec<f32> = large.iter().enumerate().map(|(i, x)| if i % 2 == 0 { *x } else { -x }).collect();
    for metric in METRICS {
        let sq4 = Sq4::new(large.len(), metric);
        for (a, b) in [(&large, &mixed), (&mixed, &mixed), (&large, &large)] {
            let found = sq4.bind(a).score_row(&encode_all(sq4, b));
            assert!(found.is_finite(), "{metric}: {found}");
        }
    }
}

#[test]
fn what_is_left_out_counts_as_distance() {
    let (q, x) = (uniform(1, 40, 1), uniform(1, 40, 2));
    for (metric, more) in [(Metric::L2, 5.0), (Metric::Cosine, 2.5), (Metric::Dot, 0.0)] {
        let sq4 = Sq4::new(40, metric);
        let mut row = vec![0; sq4.row_bytes()];
        sq4.encode_part(&x, 0.0, &mut row);
        let without = sq4.bind_part(&q, 0.0).score_row(&row);
        sq4.encode_part(&x, 2.0, &mut row);
        let with = sq4.bind_part(&q, 3.0).score_row(&row);
        assert!((with - without - more).abs() < 1e-4, "{metric}: {without} {with}");
    }
}

#[test]
fn it_says_what_it_is() {
    let bound = Sq4::new(3, Metric::L2).bind(&[1.0; 3]);
    assert_eq!(*bound.codec(), Sq4::new(3, Metric::L2));
    assert_eq!(format!("{bound:?}"), format!("Sq4Query({:?}, {})", bound.codec(), kernels().name()));
}

#[test]
#[should_panic(expected = "row_bytes")]
fn a_row_of_another_length_panics() {
    Sq4::new(3, Metric::L2).bind(&[0.0; 3]).score_row(&[0; 63]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_scan_into_too_few_results_panics() {
    Sq4::new(3, Metric::L2).bind(&[0.0; 3]).scan(&[0; 128], &mut [0.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_scored(
        rows in prop::collection::vec(any::<u8>(), 128),
        query in prop::collection::vec(-10.0_f32..10.0, 100),
        metric in 0..3_usize,
    ) {
        let bound = Sq4::new(100, METRICS[metric]).bind(&query);
        let mut out = [0.0; 2];
        bound.scan(&rows, &mut out);
        prop_assert_eq!(out[1].to_bits(), bound.score_row(&rows[64..]).to_bits());
        let of_row = Sq4Query::of_row(*bound.codec(), &rows[..64]);
        of_row.gather(&rows, &[1, 0], &mut out);
    }

    #[test]
    fn equal_vectors_are_nearest(vector in prop::collection::vec(-10.0_f32..10.0, 2..60)) {
        let sq4 = Sq4::new(vector.len(), Metric::L2);
        let rows = encode_all(sq4, &vector);
        prop_assert_eq!(Sq4Query::of_row(sq4, &rows).score_row(&rows), 0.0);
        let own = sq4.bind(&vector).score_row(&rows);
        let energy = vector.iter().map(|x| x * x).sum::<f32>();
        // Half a level of 254 in each component of the query.
        prop_assert!(own <= 0.03 * energy, "{} {}", own, energy);
    }
}
