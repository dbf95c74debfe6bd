//! A scan of codes finds nearly all true neighbours, and a re-rank of a few times more finds all.

use vectra_core::Metric;
use vectra_core::admit::{All, Bits};
use vectra_core::index::{AnnIndex, Flat, FlatScratch, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::{Oracle, clustered, uniform};
use vectra_core::testing::stores::ann_index_conformance;
use vectra_core::vector::dense::DenseStore;
use vectra_quant::{Sq8, Sq8View};

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
