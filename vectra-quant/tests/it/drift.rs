//! Nothing is trained, so nothing goes stale: vectors unlike all that came before are coded as well as those.

use vectra_core::Metric;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Oracle, clustered, uniform};
use vectra_quant::{CodeQuery, Codec, Sq8};

use crate::encode_all;

const DIM: usize = 64;

/// The largest error of an estimate between neighbours, relative to the largest distance.
fn relative_error(vectors: &[f32], metric: Metric) -> f64 {
    let sq8 = Sq8::new(DIM, metric);
    let rows = encode_all(sq8, vectors);
    let (mut worst, mut largest) = (0.0_f64, 0.0_f64);
    for query in vectors.chunks_exact(DIM).take(10) {
        let bound = sq8.bind(query);
        for (vector, row) in vectors.chunks_exact(DIM).zip(rows.chunks_exact(sq8.row_bytes())) {
            let exact = reference::distance(metric, query, vector);
            worst = worst.max((f64::from(bound.score_row(row)) - exact).abs());
            largest = largest.max(exact);
        }
    }
    worst / largest
}

#[test]
fn the_scale_of_the_vectors_does_not_matter() {
    let vectors = uniform(100, DIM, 1);
    for metric in [Metric::L2, Metric::L1, Metric::Cosine] {
        let expected = relative_error(&vectors, metric);
        assert!(expected < 0.01, "{metric}: {expected}");
        for factor in [1e-12, 1e-3, 1e3, 1e12] {
            let scaled: Vec<f32> = vectors.iter().map(|x| x * factor).collect();
            let found = relative_error(&scaled, metric);
            assert!(found < 1.2 * expected + 1e-6, "{metric} times {factor}: {found} after {expected}");
        }
    }
}

#[test]
fn a_common_offset_does_not_matter_to_l2() {
    let vectors = uniform(100, DIM, 2);
    let expected = relative_error(&vectors, Metric::L2);
    for offset in [-100.0, 1000.0] {
        let shifted: Vec<f32> = vectors.iter().map(|x| x + offset).collect();
        let found = relative_error(&shifted, Metric::L2);
        assert!(found < 1.2 * expected + 1e-4, "{offset}: {found} after {expected}");
    }
}

#[test]
fn old_and_new_vectors_are_ranked_together() {
    // The second half is ten times as long as anything in the first.
    let mut vectors = clustered(200, DIM, 5, 0.3, 3);
    vectors.extend(clustered(200, DIM, 5, 0.3, 4).iter().map(|x| x * 10.0));
    let sq8 = Sq8::new(DIM, Metric::L2);
    let (rows, oracle) = (encode_all(sq8, &vectors), Oracle::new(&vectors, DIM, Metric::L2));
    for slot in [0, 150, 250, 399] {
        let query = oracle.vector(slot);
        let mut distances = vec![0.0; 400];
        sq8.bind(query).scan(&rows, &mut distances);
        let mut found: Vec<u32> = (0..400).collect();
        found.sort_by(|a, b| distances[*a as usize].total_cmp(&distances[*b as usize]));
        assert_eq!(found[0], slot);
        assert!(oracle.recall(query, 20, &found[..20], |_| true) >= 0.9);
    }
}
