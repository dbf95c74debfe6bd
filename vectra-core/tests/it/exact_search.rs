//! A flat search under bounds and filters, against the oracle and its own scores.

use proptest::prelude::*;
use vectra_core::admit::{Admit, Bits};
use vectra_core::index::{AnnIndex, Flat, FlatScratch, SearchCounts, SearchParams};
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::{clustered, duplicates, uniform};
use vectra_core::vector::dense::DenseStore;
use vectra_core::{Metric, Neighbor};

/// What the search must find: every admitted slot scored one by one, sorted and cut.
fn naive(store: &DenseStore<f32>, query: &[f32], params: &SearchParams, admit: &Bits) -> Vec<Neighbor> {
    let mut scorer = store.bind(query);
    let mut all: Vec<Neighbor> = (0..store.len() as u32)
        .filter(|slot| admit.admits(*slot))
        .map(|slot| Neighbor { distance: scorer.score(slot), slot })
        .filter(|n| n.distance <= params.bound)
        .collect();
    all.sort();
    all.truncate(params.k);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn bounds_and_filters_leave_what_a_loop_leaves(
        rows in 0..200_usize, metric in prop::sample::select(Metric::ALL.to_vec()), k in 0..40_usize,
        seed in any::<u64>(), admitted in prop::collection::vec(any::<bool>(), 200), tied in any::<bool>(),
        nth in prop::option::of(0..200_usize),
    ) {
        let dim = 7;
        let vectors = if tied { duplicates(rows, dim, 9, seed) } else { uniform(rows, dim, seed) };
        let store = DenseStore::<f32>::from_vectors(&vectors, dim, metric);
        let query = uniform(1, dim, seed ^ 1);
        let admit = Bits::from_slots(rows as u32, (0..rows as u32).filter(|slot| admitted[*slot as usize]));
        let mut params = SearchParams::new(k, 0);
        // A bound that some slot meets exactly: what is as far as the bound is still of interest.
        if let Some(slot) = nth.filter(|slot| *slot < rows) {
            params.bound = store.bind(&query).score(slot as u32);
        }
        let (mut scratch, mut out) = (FlatScratch::default(), vec![Neighbor { distance: 0.0, slot: 7 }]);
        let flat = Flat::new(rows as u32);
        let counts = flat.search(&mut store.bind(&query), &params, &admit, &mut scratch, &mut out);
        prop_assert_eq!(&out, &naive(&store, &query, &params, &admit));
        let scored = if k == 0 { 0 } else { u64::from(admit.count()) };
        prop_assert_eq!(counts, SearchCounts { distances: scored, hops: 0 });
        // The scratch carries nothing over.
        let again = flat.search(&mut store.bind(&query), &params, &admit, &mut scratch, &mut out);
        prop_assert_eq!(again, counts);
        prop_assert_eq!(&out, &naive(&store, &query, &params, &admit));
    }
}

fn search(store: &DenseStore<f32>, query: &[f32], params: &SearchParams) -> Vec<u32> {
    let mut out = Vec::new();
    let flat = Flat::new(store.len() as u32);
    let admit = Bits::all(store.len() as u32);
    flat.search(&mut store.bind(query), params, &admit, &mut FlatScratch::default(), &mut out);
    out.iter().map(|n| n.slot).collect()
}

#[test]
fn the_bound_is_inclusive_and_may_exclude_everything() {
    let store = DenseStore::<f32>::from_vectors(&[0.0, 1.0, 2.0, 3.0], 1, Metric::L1);
    let within = |bound| search(&store, &[0.0], &SearchParams { bound, ..SearchParams::new(9, 0) });
    assert_eq!(within(2.0), [0, 1, 2]);
    assert_eq!(within(2.0_f32.next_down()), [0, 1]);
    assert_eq!(within(0.0), [0]);
    assert!(within(-1.0).is_empty() && within(f32::NEG_INFINITY).is_empty());
    assert_eq!(within(f32::INFINITY), [0, 1, 2, 3]);
}

#[test]
fn more_than_there_are_is_all_there_are() {
    let store = DenseStore::<f32>::from_vectors(&clustered(70, 3, 2, 0.1, 1), 3, Metric::Cosine);
    let found = search(&store, &[1.0, 0.0, 0.0], &SearchParams::new(usize::MAX, 0));
    let mut slots = found.clone();
    slots.sort_unstable();
    assert_eq!(slots, (0..70).collect::<Vec<_>>());
    assert_eq!(search(&store, &[1.0, 0.0, 0.0], &SearchParams::new(10, 0)), found[..10]);
}

#[test]
fn counts_of_parts_add_up() {
    let mut sum = SearchCounts { distances: 3, hops: 1 };
    sum += SearchCounts { distances: 4, hops: 10 };
    assert_eq!(sum, SearchCounts { distances: 7, hops: 11 });
    assert!(Flat::new(0).is_empty() && !Flat::new(1).is_empty());
}
