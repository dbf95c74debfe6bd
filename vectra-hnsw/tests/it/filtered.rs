//! Search under a filter: recall by selectivity and correlation, and the promise not to starve.

use proptest::prelude::*;
use vectra_core::admit::Bits;
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, Params, Scratch};

use crate::recall::{queries, queries_near, recall};
use crate::store::{Numbers, Rows, clustered};

const CLUSTERS: usize = 40;

fn graph() -> (Rows, Hnsw) {
    let rows = clustered(6000, 16, CLUSTERS, 11);
    let params = Params { ef_construction: 100, ..Params::default() };
    let hnsw = Hnsw::build(&rows, &params, 2, &|_| true).expect("not stopped");
    (rows, hnsw)
}

/// Each slot with the given probability.
fn random(rows: &Rows, share: f32, seed: u64) -> Bits {
    let mut numbers = Numbers(seed);
    let len = rows.len() as u32;
    Bits::from_slots(len, (0..len).filter(|_| numbers.next() < 2.0 * share - 1.0))
}

#[test]
fn recall_by_selectivity() {
    let (rows, hnsw) = graph();
    for (share, least) in [(0.9, 0.97), (0.5, 0.97), (0.1, 0.95), (0.02, 0.95), (0.005, 0.999)] {
        let admit = random(&rows, share, 12);
        let near = recall(&hnsw, &rows, &queries_near(&rows, 13), 10, 64, &admit);
        assert!(near >= least, "recall at selectivity {share} is {near}");
        let far = recall(&hnsw, &rows, &queries(16, 4.0, 14), 10, 64, &admit);
        assert!(far >= least - 0.1, "recall at selectivity {share} of queries between clusters is {far}");
    }
}

#[test]
fn recall_when_the_cluster_of_the_query_is_not_admitted() {
    let (rows, hnsw) = graph();
    // queries near clusters 0 to 9, admitted are some of the rows of the others only
    for share in [1.0, 0.3, 0.05] {
        let mut admit = random(&rows, share, 15);
        (0..rows.len()).filter(|slot| slot % CLUSTERS < 10).for_each(|slot| admit.remove(slot as u32));
        let mut numbers = Numbers(16);
        let near: Vec<Vec<f32>> = (0..60)
            .map(|i| {
                rows.row(i / 10 * CLUSTERS as u32 + i % 10).iter().map(|x| x + 0.2 * numbers.next()).collect()
            })
            .collect();
        let found = recall(&hnsw, &rows, &near, 10, 64, &admit);
        assert!(found > 0.9, "recall against the grain at {share} is {found}");
    }
}

#[test]
fn recall_when_one_cluster_is_admitted_and_the_query_is_elsewhere() {
    let (rows, hnsw) = graph();
    let len = rows.len() as u32;
    let admit = Bits::from_slots(len, (0..len).filter(|slot| *slot as usize % CLUSTERS == 3));
    let found = recall(&hnsw, &rows, &queries_near(&rows, 17), 10, 64, &admit);
    assert!(found > 0.95, "recall is {found}");
}

#[test]
fn few_admitted_slots_are_all_found_wherever_they_are() {
    let (rows, hnsw) = graph();
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    for slots in [vec![], vec![5999], vec![1, 2, 3], (100..160).collect::<Vec<u32>>()] {
        let admit = Bits::from_slots(rows.len() as u32, slots.clone());
        let params = SearchParams::new(64, 64);
        hnsw.search(&mut rows.bind(rows.row(4000)), &params, &admit, &mut scratch, &mut found);
        assert_eq!(found, rows.exact(rows.row(4000), 64, &admit));
    }
}

#[test]
fn only_admitted_slots_are_scored() {
    let (rows, hnsw) = graph();
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    for share in [0.5, 0.1, 0.02] {
        let admit = random(&rows, share, 18);
        for query in queries_near(&rows, 19) {
            let params = SearchParams::new(10, 64);
            let counts = hnsw.search(&mut rows.bind(&query), &params, &admit, &mut scratch, &mut found);
            // beyond them only the descent
            assert!(counts.distances <= u64::from(admit.count()) + 200, "{counts:?} at selectivity {share}");
            assert!(counts.hops < 2000, "{counts:?} at selectivity {share}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn only_admitted_slots_and_as_many_as_there_are(
        count in 1usize..300, slots in proptest::collection::btree_set(0u32..300, 0..300), k in 1usize..40, seed: u64,
    ) {
        let rows = clustered(count, 4, 5, seed);
        let hnsw = Hnsw::build(&rows, &Params { m: 4, ef_construction: 20, seed }, 1, &|_| true).expect("not stopped");
        let admit = Bits::from_slots(count as u32, slots.into_iter().filter(|slot| (*slot as usize) < count));
        let mut found = Vec::new();
        let query = [0.5, -0.5, 1.0, 0.0];
        let counts = hnsw.search(
            &mut rows.bind(&query), &SearchParams::new(k, 10), &admit, &mut Scratch::default(), &mut found,
        );
        prop_assert_eq!(found.len(), k.min(admit.count() as usize));
        prop_assert!(found.iter().all(|n| admit.contains(n.slot)));
        prop_assert!(found.is_sorted() && found.windows(2).all(|w| w[0] != w[1]));
        prop_assert!(counts.distances >= found.len() as u64);
    }
}
