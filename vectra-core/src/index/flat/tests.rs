use super::*;
use crate::admit::{All, Bits};
use crate::distance::Metric;
use crate::scorer::VectorStore;
use crate::testing::oracle::{Oracle, collinear, duplicates, uniform};
use crate::testing::stores::ann_index_conformance;
use crate::vector::dense::DenseStore;

fn conforms(vectors: &[f32], dim: usize) {
    for metric in Metric::ALL {
        let store = DenseStore::<f32>::from_vectors(vectors, dim, metric);
        let oracle = Oracle::new(vectors, dim, metric);
        let queries = uniform(6, dim, 99);
        ann_index_conformance(&Flat::new(oracle.len()), &store, &oracle, &queries, 1, 1.0);
    }
}

#[test]
fn a_flat_search_is_exact() {
    for count in [0, 1, 63, 64, 65, 300] {
        conforms(&uniform(count, 12, count as u64), 12);
    }
}

#[test]
fn ties_are_no_trouble() {
    conforms(&duplicates(200, 5, 4, 1), 5);
    conforms(&collinear(100, 5, 2), 5);
}

#[test]
fn it_counts_what_it_scores_and_covers_only_its_slots() {
    let vectors = uniform(200, 4, 3);
    let store = DenseStore::<f32>::from_vectors(&vectors, 4, Metric::L2);
    let query = uniform(1, 4, 4);
    let (mut scratch, mut out) = (FlatScratch::default(), Vec::new());
    let mut search = |len, admit: &Bits| {
        let params = SearchParams::new(5, 0);
        let counts = Flat::new(len).search(&mut store.bind(&query), &params, admit, &mut scratch, &mut out);
        assert_eq!(counts.hops, 0);
        (counts.distances, out.iter().map(|n| n.slot).collect::<Vec<_>>())
    };
    assert_eq!(search(200, &Bits::all(200)).0, 200);
    assert_eq!(search(200, &Bits::none(200)), (0, vec![]));
    let (scored, found) = search(200, &Bits::from_slots(200, [7, 70, 199]));
    assert_eq!((scored, found.len()), (3, 3));
    let (scored, found) = search(100, &Bits::all(200));
    assert_eq!(scored, 100);
    assert!(found.iter().all(|slot| *slot < 100));
}

#[test]
fn equal_distances_come_in_order_of_slot() {
    let store = DenseStore::<f32>::from_vectors(&[1.0; 130], 1, Metric::L1);
    let (mut scratch, mut out) = (FlatScratch::default(), Vec::new());
    Flat::new(130).search(&mut store.bind(&[0.0]), &SearchParams::new(3, 0), &All, &mut scratch, &mut out);
    assert_eq!(out.iter().map(|n| n.slot).collect::<Vec<_>>(), [0, 1, 2]);
}
