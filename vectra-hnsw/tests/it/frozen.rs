//! The frozen graph is the built graph.

use vectra_core::Neighbor;
use vectra_core::admit::{All, Bits};
use vectra_core::index::{AnnIndex, SearchCounts, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, HnswView, Params, Scratch};

use crate::recall::queries_near;
use crate::store::{Rows, clustered};

fn answers<I: AnnIndex<Scratch = Scratch>>(index: &I, rows: &Rows) -> Vec<(Vec<Neighbor>, SearchCounts)> {
    let mut scratch = Scratch::default();
    let third = Bits::from_slots(rows.len() as u32, (0..rows.len() as u32).step_by(3));
    let mut all = Vec::new();
    for query in queries_near(rows, 21) {
        let mut found = Vec::new();
        let params = SearchParams::new(10, 50);
        let counts = index.search(&mut rows.bind(&query), &params, &All, &mut scratch, &mut found);
        all.push((found.clone(), counts));
        let counts = index.search(&mut rows.bind(&query), &params, &third, &mut scratch, &mut found);
        all.push((found, counts));
    }
    all
}

fn view(hnsw: &Hnsw) -> HnswView {
    HnswView::open(Blob::copy_of(&hnsw.encode()), hnsw.len() as u32).expect("own encoding")
}

#[test]
fn answers_and_counts_are_the_same() {
    let rows = clustered(2500, 12, 20, 20);
    for m in [4, 16, 32] {
        let params = Params { m, ef_construction: 60, seed: 3 };
        let hnsw = Hnsw::build(&rows, &params, 2, &|_| true).expect("not stopped");
        let view = view(&hnsw);
        assert_eq!(view.verify(), Ok(()));
        assert_eq!(answers(&hnsw, &rows), answers(&view, &rows), "m = {m}");
        assert_eq!(view.params(), &params);
        assert_eq!(view.stats().layers, hnsw.stats().layers);
        let stats = view.stats();
        assert!(
            stats.layers.len() > 1 && stats.layers[0].degree_max <= 2 * m && stats.layers[1].degree_max <= m
        );
        assert!(stats.layers[0].degree_min > 0 && stats.layers[0].degree_mean() > 3.0);
    }
}

#[test]
fn a_grown_graph_is_frozen_too() {
    let rows = clustered(700, 6, 9, 22);
    let mut hnsw = Hnsw::new(Params { m: 6, ef_construction: 40, seed: 1 }).expect("valid");
    while hnsw.len() < rows.len() {
        hnsw.insert(&rows);
        if hnsw.len().is_power_of_two() {
            assert_eq!(view(&hnsw).verify(), Ok(()), "after {} rows", hnsw.len());
        }
    }
    assert_eq!(answers(&hnsw, &rows), answers(&view(&hnsw), &rows));
}

#[test]
fn one_thread_gives_the_same_bytes_and_another_seed_others() {
    let rows = clustered(1200, 8, 12, 23);
    let bytes = |seed| {
        let params = Params { seed, ef_construction: 50, ..Params::default() };
        Hnsw::build(&rows, &params, 1, &|_| true).expect("not stopped").encode()
    };
    assert!(bytes(5) == bytes(5), "the same seed, the same bytes");
    assert!(bytes(5) != bytes(6), "another seed, other layers");
}

#[test]
fn many_threads_give_a_sound_graph() {
    let rows = clustered(3000, 8, 12, 24);
    let params = Params { m: 8, ef_construction: 50, seed: 2 };
    let hnsw = Hnsw::build(&rows, &params, 8, &|_| true).expect("not stopped");
    assert_eq!(view(&hnsw).verify(), Ok(()));
    let found = crate::recall::recall(&hnsw, &rows, &queries_near(&rows, 25), 10, 64, &All);
    assert!(found > 0.97, "recall is {found}");
}
