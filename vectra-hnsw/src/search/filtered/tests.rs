use proptest::prelude::*;
use vectra_core::Neighbor;
use vectra_core::admit::{All, Bits};
use vectra_core::scorer::VectorStore;

use super::*;
use crate::Params;
use crate::build::insert::InsertScratch;
use crate::build::parallel::insert_all;
use crate::build::repair::repair;
use crate::graph::Graph;
use crate::store::{Numbers, Rows, clustered};

const CLUSTERS: usize = 40;

fn graph(rows: usize) -> (Rows, Graph) {
    let store = clustered(rows, 16, CLUSTERS, 11);
    let mut graph = Graph::new(Params { ef_construction: 100, ..Params::default() });
    graph.grow(rows as u32);
    insert_all(&mut graph, &store, 1, &|_| true).expect("not stopped");
    repair(&graph, &store, &mut InsertScratch::default());
    (store, graph)
}

/// A walk, whatever a scan would cost.
fn walk(
    store: &Rows,
    graph: &Graph,
    query: &[f32],
    ef: usize,
    admit: &Bits,
) -> (Vec<Neighbor>, SearchCounts) {
    let (mut scratch, mut counts) = (Scratch::default(), SearchCounts::default());
    scratch.pool.reset(ef);
    scratch.visited.reset(store.len());
    sample(graph.rows(), admit, &mut scratch.seeds);
    let mut scorer = store.bind(query);
    let mut walk = Walk {
        links: graph,
        scorer: &mut scorer,
        admit,
        end: End::NEVER,
        limit: f32::INFINITY,
        scratch: &mut scratch,
        counts: &mut counts,
    };
    walk.begin(ef, f64::from(admit.count()) / store.len() as f64, None);
    walk.run();
    (scratch.pool.iter().collect(), counts)
}

fn walk_recall(store: &Rows, graph: &Graph, admit: &Bits, pick: impl Fn(u32) -> u32) -> f64 {
    let mut numbers = Numbers(13);
    let mut hits = 0;
    for i in 0..50 {
        let query: Vec<f32> = store.row(pick(i)).iter().map(|x| x + 0.3 * numbers.next()).collect();
        let (found, _) = walk(store, graph, &query, 64, admit);
        let truth = store.exact(&query, 10, admit);
        hits += truth.iter().filter(|n| found.contains(n)).count();
    }
    hits as f64 / 500.0
}

fn random(len: u32, share: f32) -> Bits {
    let mut numbers = Numbers(12);
    Bits::from_slots(len, (0..len).filter(|_| numbers.next() < 2.0 * share - 1.0))
}

#[test]
fn the_walk_alone_has_good_recall_at_any_selectivity() {
    let (store, graph) = graph(8000);
    for (share, least) in [(0.5, 0.97), (0.1, 0.95), (0.02, 0.93)] {
        let found = walk_recall(&store, &graph, &random(8000, share), |i| i * 157 % 8000);
        assert!(found >= least, "recall at selectivity {share} is {found}");
    }
}

#[test]
fn the_walk_alone_gets_round_a_cluster_that_is_not_admitted() {
    let (store, graph) = graph(8000);
    for share in [1.0, 0.3, 0.05] {
        let mut admit = random(8000, share);
        (0..8000).filter(|slot| slot % CLUSTERS as u32 <= 9).for_each(|slot| admit.remove(slot));
        let found = walk_recall(&store, &graph, &admit, |i| i / 10 * CLUSTERS as u32 + i % 10);
        assert!(found >= 0.95, "recall against the grain at {share} is {found}");
    }
}

#[test]
fn a_walk_scores_less_than_a_scan_when_many_are_admitted() {
    let (store, graph) = graph(8000);
    let admit = random(8000, 0.5);
    let (_, counts) = walk(&store, &graph, store.row(5), 64, &admit);
    assert!(counts.distances < 2500 && counts.hops < 1500, "{counts:?}");
}

#[test]
fn a_blocked_region_is_noticed_and_a_thin_filter_is_not_one() {
    let (store, graph) = graph(8000);
    let blocked = |admit: &Bits, slot: u32| {
        let (mut scratch, mut counts) = (Scratch::default(), SearchCounts::default());
        scratch.pool.reset(64);
        scratch.visited.reset(store.len());
        let mut scorer = store.bind(store.row(slot));
        let share = f64::from(admit.count()) / store.len() as f64;
        Walk {
            links: &graph,
            scorer: &mut scorer,
            admit,
            end: End::NEVER,
            limit: f32::INFINITY,
            scratch: &mut scratch,
            counts: &mut counts,
        }
        .begin(64, share, None)
    };
    for share in [0.9, 0.5, 0.1, 0.02] {
        let thin = random(8000, share);
        assert_eq!((0..100).filter(|slot| blocked(&thin, *slot)).count(), 0, "thinned to {share}");
    }
    let others = Bits::from_slots(8000, (0..8000).filter(|slot| slot % CLUSTERS as u32 != 3));
    let noticed = (0..100).filter(|i| blocked(&others, i * CLUSTERS as u32 + 3)).count();
    assert!(noticed >= 90, "{noticed} of 100 queries in the cluster that is not admitted");
}

#[test]
fn samples_are_spread_and_estimate_the_share_even_of_periodic_filters() {
    for period in [2, 3, 62, 64, 100] {
        let len = 63_488;
        let admit = Bits::from_slots(len, (0..len).filter(|slot| slot % period == 1));
        let mut admitted = Vec::new();
        let samples = sample(len, &admit, &mut admitted);
        let (found, expected) = (admitted.len() as f64 / f64::from(samples), 1.0 / f64::from(period));
        assert!((found - expected).abs() < 0.02 + expected * 0.2, "period {period}: {found} of {expected}");
        assert!(admitted.iter().all(|slot| admit.contains(*slot)));
    }
    let mut admitted = Vec::new();
    assert_eq!(sample(500, &All, &mut admitted), 500);
    assert!(admitted.iter().copied().eq(0..500), "a small graph is sampled whole");
    assert_eq!(sample(0, &All, &mut admitted), 0);
}

#[test]
fn few_are_scanned_and_many_are_walked() {
    let scan = |rows, share: f64, ef| scan_is_cheaper(rows, 1024, (1024.0 * share) as u32, ef);
    assert!(scan(60_000, 0.02, 64) && scan(1_000_000, 0.0, 10) && scan(60_000, 0.1, 64));
    assert!(!scan(60_000, 0.5, 64) && !scan(1_000_000, 0.1, 64) && !scan(1_000_000, 0.02, 64));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn a_walk_fills_its_pool_or_finds_all(
        count in 1usize..300, slots in proptest::collection::btree_set(0u32..300, 0..300), ef in 1usize..60, seed: u64,
    ) {
        let store = clustered(count, 4, 5, seed);
        let mut graph = Graph::new(Params { m: 4, ef_construction: 12, seed });
        graph.grow(count as u32);
        insert_all(&mut graph, &store, 1, &|_| true).expect("not stopped");
        let admit = Bits::from_slots(count as u32, slots.into_iter().filter(|slot| (*slot as usize) < count));
        let (found, _) = walk(&store, &graph, &[0.5, -0.5, 1.0, 0.0], ef, &admit);
        let all = admit.count() as usize;
        prop_assert!(found.len() >= ef.min(all) && found.len() <= all.min(WIDER * ef));
        prop_assert!(found.iter().all(|n| admit.contains(n.slot)));
        prop_assert!(found.windows(2).all(|w| w[0] < w[1]));
    }
}
