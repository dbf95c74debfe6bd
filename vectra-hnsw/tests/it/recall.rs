//! How much of the truth a search finds, on easy and on hard data.

use vectra_core::admit::{Admit, All};
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, Params, Scratch};

use crate::store::{Grouped, Numbers, Rows, clustered, uniform};

/// The share of the true `k` nearest admitted rows that the searches for `queries` find.
pub(crate) fn recall<I, A>(
    index: &I,
    rows: &Rows,
    queries: &[Vec<f32>],
    k: usize,
    ef: usize,
    admit: &A,
) -> f64
where
    I: AnnIndex<Scratch = Scratch>,
    A: Admit,
{
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let (mut hits, mut wanted) = (0, 0);
    for query in queries {
        index.search(&mut rows.bind(query), &SearchParams::new(k, ef), admit, &mut scratch, &mut found);
        let truth = rows.exact(query, k, admit);
        wanted += truth.len();
        // by distance, so that ties do not count as misses
        let farthest = truth.last().map_or(f32::NEG_INFINITY, |n| n.distance);
        hits += found.iter().filter(|n| n.distance <= farthest).count();
    }
    hits as f64 / wanted as f64
}

pub(crate) fn queries(dim: usize, scale: f32, seed: u64) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(seed);
    (0..60).map(|_| numbers.vector(dim, scale)).collect()
}

/// Queries like the rows: copies of some of them with noise.
pub(crate) fn queries_near(rows: &Rows, seed: u64) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(seed);
    let picks = (0..60).map(|i| (i * 7919 % rows.len()) as u32);
    picks.map(|slot| rows.row(slot).iter().map(|x| x + 0.3 * numbers.next()).collect()).collect()
}

fn build(rows: &Rows, threads: usize) -> Hnsw {
    let params = Params { ef_construction: 100, ..Params::default() };
    Hnsw::build(rows, &params, threads, &|_| true).expect("not stopped")
}

#[test]
fn clustered_data() {
    let rows = clustered(4000, 24, 40, 1);
    let hnsw = build(&rows, 2);
    let near = recall(&hnsw, &rows, &queries_near(&rows, 2), 10, 64, &All);
    assert!(near > 0.97, "recall of queries like the data is {near}");
    let far = recall(&hnsw, &rows, &queries(24, 4.0, 3), 10, 64, &All);
    assert!(far > 0.90, "recall of queries between the clusters is {far}");
}

#[test]
fn groups_find_what_insertions_find() {
    let cases = [
        (clustered(4000, 24, 40, 1), 0.97),
        (uniform(4000, 12, 4), 0.95),
        (clustered(9000, 8, 300, 2), 0.97),
    ];
    for (rows, expected) in cases {
        let params = Params { ef_construction: 100, ..Params::default() };
        let inserted = Hnsw::build(&rows, &params, 2, &|_| true).expect("not stopped");
        let store = Grouped(rows);
        let grouped = Hnsw::build(&store, &params, 2, &|_| true).expect("not stopped");
        assert!(grouped.unreachable().is_empty());
        let queries = queries_near(&store.0, 2);
        let found = recall(&grouped, &store.0, &queries, 10, 64, &All);
        let by_insertion = recall(&inserted, &store.0, &queries, 10, 64, &All);
        assert!(found > expected && found > by_insertion - 0.02, "{found}, by insertion {by_insertion}");
    }
}

#[test]
fn uniform_data() {
    let rows = uniform(4000, 12, 4);
    let hnsw = build(&rows, 2);
    let found = recall(&hnsw, &rows, &queries(12, 1.0, 5), 10, 64, &All);
    assert!(found > 0.95, "recall is {found}");
    let wide = recall(&hnsw, &rows, &queries(12, 1.0, 5), 10, 400, &All);
    assert!(wide > 0.999, "recall of a wide search is {wide}");
}

#[test]
fn few_clusters_far_apart_stay_connected() {
    let mut rows: Vec<Vec<f32>> = Vec::new();
    let mut numbers = Numbers(9);
    for cluster in 0..10 {
        let centre = 1000.0 * cluster as f32;
        rows.extend(
            (0..200).map(|_| numbers.vector(8, 1.0).iter().map(|x| x + centre).collect::<Vec<f32>>()),
        );
    }
    let rows = Rows::new(rows);
    let hnsw = build(&rows, 1);
    let found = recall(&hnsw, &rows, &queries_near(&rows, 10), 10, 64, &All);
    assert!(found > 0.97, "recall is {found}");
}

#[test]
fn row_by_row_is_as_good_as_at_once() {
    let rows = clustered(2000, 16, 20, 6);
    let built = build(&rows, 1);
    let mut grown = Hnsw::new(*built.params()).expect("valid");
    for count in 1..=rows.len() {
        // the store grows with the graph, its beginning stays the same
        if count % 500 == 0 || count == 1 {
            let part = rows.first((count + 499).min(rows.len()));
            while grown.len() < part.len() {
                grown.insert(&part);
            }
        }
    }
    grown.repair(&rows);
    let queries = queries_near(&rows, 7);
    let (a, b) =
        (recall(&built, &rows, &queries, 10, 40, &All), recall(&grown, &rows, &queries, 10, 40, &All));
    assert!((a - b).abs() < 0.03 && a > 0.95, "built {a}, grown {b}");
}
