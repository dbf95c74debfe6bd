//! A scan of codes finds nearly all true neighbours, and a re-rank of a few times more finds all.

use vectra_core::Metric;
use vectra_core::admit::{All, Bits};
use vectra_core::index::{AnnIndex, Flat, FlatScratch, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::{Dice, Oracle, clustered, uniform};
use vectra_core::testing::stores::ann_index_conformance;
use vectra_core::vector::dense::DenseStore;
use vectra_quant::{Codec, Projection, Sq4, Sq4View, Sq8, Sq8View};

use crate::encode_all;

const DIM: usize = 96;
const COUNT: usize = 3000;
const K: usize = 10;

fn codes(vectors: &[f32], metric: Metric) -> Sq8View {
    let sq8 = Sq8::new(DIM, metric);
    let rows = Blob::copy_of(&encode_all(sq8, vectors));
    Sq8View::open(rows, sq8, (vectors.len() / DIM) as u32).expect("the length fits")
}

fn nearest(store: &impl VectorStore, query: &[f32], k: usize) -> Vec<u32> {
    let (mut scratch, mut out) = (FlatScratch::default(), Vec::new());
    let params = SearchParams::new(k, k);
    Flat::new(store.len() as u32).search(&mut store.bind(query), &params, &All, &mut scratch, &mut out);
    out.iter().map(|n| n.slot).collect()
}

fn mean_recalls(vectors: &[f32], queries: &[f32], metric: Metric) -> (f64, f64) {
    let (codes, truth) = (codes(vectors, metric), DenseStore::<f32>::from_vectors(vectors, DIM, metric));
    let oracle = Oracle::new(vectors, DIM, metric);
    let (mut pure, mut reranked, mut count) = (0.0, 0.0, 0.0);
    for query in queries.chunks_exact(DIM) {
        pure += oracle.recall(query, K, &nearest(&codes, query, K), |_| true);
        let mut scorer = truth.bind(query);
        let mut candidates = nearest(&codes, query, 4 * K);
        candidates.sort_by(|a, b| scorer.score(*a).total_cmp(&scorer.score(*b)));
        reranked += oracle.recall(query, K, &candidates[..K], |_| true);
        count += 1.0;
    }
    (pure / count, reranked / count)
}

#[test]
fn recall_on_clustered_vectors() {
    // The last rows serve as queries: near the data, not of it.
    let all = clustered(COUNT + 20, DIM, 30, 0.3, 1);
    let (vectors, queries) = all.split_at(COUNT * DIM);
    for metric in Metric::ALL {
        let (pure, reranked) = mean_recalls(vectors, queries, metric);
        assert!(pure >= 0.9 && reranked >= 0.999, "{metric}: {pure} from codes, {reranked} re-ranked");
    }
}

#[test]
fn recall_on_vectors_without_structure() {
    let (vectors, queries) = (uniform(COUNT, DIM, 2), uniform(10, DIM, 3));
    for metric in Metric::ALL {
        let (pure, reranked) = mean_recalls(&vectors, &queries, metric);
        assert!(pure >= 0.9 && reranked >= 0.999, "{metric}: {pure} from codes, {reranked} re-ranked");
    }
}

/// All directions but one, mixed at random, around the mean (under dot: zero).
fn mixed(vectors: &[f32], metric: Metric) -> Projection {
    let mut dice = Dice::new(9);
    let mut directions: Vec<Vec<f32>> = Vec::new();
    while directions.len() < DIM - 1 {
        let mut next: Vec<f32> = (0..DIM).map(|_| dice.gaussian()).collect();
        // Twice, as the first time leaves rounding errors.
        for _ in 0..2 {
            for other in &directions {
                let along: f32 = next.iter().zip(other).map(|(x, y)| x * y).sum();
                next.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
            }
        }
        let norm = next.iter().map(|x| x * x).sum::<f32>().sqrt();
        directions.push(next.iter().map(|x| x / norm).collect());
    }
    let mut centre = vec![0.0; DIM];
    for vector in vectors.chunks_exact(DIM).filter(|_| metric != Metric::Dot) {
        let norm =
            if metric == Metric::Cosine { vector.iter().map(|x| x * x).sum::<f32>().sqrt() } else { 1.0 };
        centre.iter_mut().zip(vector).for_each(|(c, x)| *c += x / norm / (vectors.len() / DIM) as f32);
    }
    Projection::new(&directions.concat(), &centre, metric)
}

/// The share of the true neighbours that are among the `3 K` nearest by codes of four bits: what a re-rank finds.
fn recall_of_four_bits(vectors: &[f32], queries: &[f32], metric: Metric) -> f64 {
    let (projection, count) = (mixed(vectors, metric), (vectors.len() / DIM) as u32);
    let codec = Sq4::new(projection.kept(), metric);
    let mut rows = vec![0; count as usize * codec.row_bytes()];
    let pairs = vectors.chunks_exact(DIM).zip(rows.chunks_exact_mut(codec.row_bytes()));
    pairs.for_each(|(vector, row)| projection.encode(&codec, vector, row));
    let view = Sq4View::open(Blob::copy_of(&rows), codec, count).expect("the length fits");
    let oracle = Oracle::new(vectors, DIM, metric);
    let (mut scratch, mut out, mut sum) = (FlatScratch::default(), Vec::new(), 0.0);
    for query in queries.chunks_exact(DIM) {
        let bound = projection.bind(&codec, query);
        let params = SearchParams::new(3 * K, 3 * K);
        Flat::new(count).search(&mut view.rows().scorer(&bound), &params, &All, &mut scratch, &mut out);
        let slots: Vec<u32> = out.iter().map(|found| found.slot).collect();
        sum += oracle.recall(query, K, &slots, |_| true);
    }
    sum / (queries.len() / DIM) as f64
}

#[test]
fn recall_of_four_bits_on_clustered_vectors() {
    let all = clustered(COUNT + 20, DIM, 30, 0.3, 1);
    let (vectors, queries) = all.split_at(COUNT * DIM);
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let recall = recall_of_four_bits(vectors, queries, metric);
        // Distances within a cluster differ by little more than the codes of what the clusters differ by are wrong.
        assert!(recall >= 0.94, "{metric}: {recall}");
    }
}

#[test]
fn recall_of_four_bits_on_vectors_without_structure() {
    let (vectors, queries) = (uniform(COUNT, DIM, 2), uniform(10, DIM, 3));
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let recall = recall_of_four_bits(&vectors, &queries, metric);
        assert!(recall >= 0.98, "{metric}: {recall}");
    }
}

#[test]
fn a_flat_search_over_codes_keeps_every_promise_of_an_index() {
    let (vectors, queries) = (uniform(500, DIM, 4), uniform(10, DIM, 5));
    for metric in Metric::ALL {
        let oracle = Oracle::new(&vectors, DIM, metric);
        ann_index_conformance(&Flat::new(500), &codes(&vectors, metric), &oracle, &queries, 1, 0.9);
    }
}

#[test]
fn filters_apply_to_codes_as_to_vectors() {
    let vectors = uniform(200, DIM, 6);
    let codes = codes(&vectors, Metric::L2);
    let (mut scratch, mut out) = (FlatScratch::default(), Vec::new());
    let only = Bits::from_slots(200, [3, 150]);
    let params = SearchParams::new(5, 5);
    let counts = Flat::new(200).search(
        &mut codes.bind(&vectors[150 * DIM..151 * DIM]),
        &params,
        &only,
        &mut scratch,
        &mut out,
    );
    assert_eq!(counts.distances, 2);
    assert_eq!(out.iter().map(|n| n.slot).collect::<Vec<_>>(), [150, 3]);
}
