//! Declared recall: what is asked for is found, at the price of a walk, and can be measured.

use std::sync::Arc;

use vectra::seams::MemFs;
use vectra::{Builder, ErrorKind, Hit, Index, Item, ItemId, Metric, Probe, Profile, RecallSample, Settings};
use vectra_core::testing::oracle::{Dice, Oracle, clustered};

const DIM: usize = 24;
const ROWS: usize = 9000;
const QUERIES: usize = 120;
const K: usize = 10;

/// An index with one graph, and questions that are not among its rows.
struct Bed {
    index: Index,
    metric: Metric,
    vectors: Vec<f32>,
    queries: Vec<Vec<f32>>,
}

fn index(metric: Metric, seal_rows: u32, vectors: &[f32]) -> Index {
    let settings = Settings::new(DIM as u32).with_metric(metric).with_seal_rows(seal_rows).with_graph(12, 80);
    let builder = Builder::new().fs(Arc::new(MemFs::new())).threads(1);
    let index = builder.create("/declared", settings).expect("fresh");
    let items = vectors.chunks_exact(DIM).enumerate().map(|(n, vector)| Item::new(n as u64, vector));
    for batch in items.collect::<Vec<_>>().chunks(1000) {
        index.insert_items(batch.to_vec()).expect("valid items");
    }
    index.wait_optimized().expect("background work");
    index
}

impl Bed {
    /// `away` moves queries by noise, so that they lie farther from the rows than the rows from each other.
    fn new(metric: Metric, away: f32, seed: u64) -> Self {
        let mut vectors = clustered(ROWS + QUERIES, DIM, 60, 0.9, seed);
        let mut dice = Dice::new(seed);
        let mut moved = |query: &[f32]| query.iter().map(|x| x + away * dice.gaussian()).collect();
        let queries = vectors.split_off(ROWS * DIM).chunks_exact(DIM).map(&mut moved).collect();
        Self { index: index(metric, 16_384, &vectors), metric, vectors, queries }
    }

    /// The mean recall, and the mean number of distances.
    fn ask(&self, k: usize, ask: impl Fn(&[f32]) -> (Vec<Hit>, Profile)) -> (f64, f64) {
        let oracle = Oracle::new(&self.vectors, DIM, self.metric);
        let (mut recall, mut distances) = (0.0, 0);
        for query in &self.queries {
            let (hits, profile) = ask(query);
            recall += oracle.recall(query, k, &slots(&hits), |_| true);
            distances += profile.distances;
        }
        (recall / QUERIES as f64, distances as f64 / QUERIES as f64)
    }

    fn declared(&self, k: usize, target: f32) -> (f64, f64) {
        self.ask(k, |query| {
            let (hits, profile) =
                self.index.query(query).top_k(k).recall(target).run_profiled().expect("a query");
            // For more hits than tables are made for the walk may be as long as a scan, which is taken then.
            let scanned = k > 100 && profile.hops == 0;
            let walked = u64::from(!scanned);
            assert_eq!((hits.len(), profile.calibrated, profile.uncalibrated), (k, walked, 0), "{profile:?}");
            (hits, profile)
        })
    }
}

fn slots(hits: &[Hit]) -> Vec<u32> {
    let number = |hit: &Hit| match hit.id {
        ItemId::U64(n) => n as u32,
        _ => panic!("only numbers were inserted, found {}", hit.id),
    };
    hits.iter().map(number).collect()
}

fn targets_are_met(metric: Metric, away: f32) {
    let bed = Bed::new(metric, away, 31);
    let mut before = 0.0;
    for target in [0.8, 0.9, 0.95, 0.99] {
        let (recall, distances) = bed.declared(K, target);
        println!("{metric} moved by {away}: target {target}: recall {recall:.4}, {distances:.0} distances");
        // A hundred queries alone are off by 0.01 or so.
        assert!(recall >= f64::from(target) - 0.02, "{metric}: {recall} for {target}");
        assert!(distances >= before && distances < ROWS as f64 / 3.0, "{metric}: {distances} for {target}");
        before = distances;
    }
    for (k, target) in [(1, 0.95), (4, 0.95), (40, 0.95), (100, 0.95), (200, 0.95)] {
        let (recall, _) = bed.declared(k, target);
        assert!(recall >= f64::from(target) - 0.025, "{metric}: {recall} for {target} at k = {k}");
    }
}

#[test]
fn targets_are_met_by_cosine() {
    targets_are_met(Metric::Cosine, 0.0);
}

#[test]
fn targets_are_met_by_l2_for_queries_of_another_kind() {
    targets_are_met(Metric::L2, 0.8);
}

#[test]
fn targets_are_met_by_dot() {
    targets_are_met(Metric::Dot, 0.3);
}

#[test]
fn recall_1_is_an_exact_scan_and_nonsense_is_refused() {
    let bed = Bed::new(Metric::L2, 0.0, 5);
    let query = &bed.queries[0];
    let (hits, profile) = bed.index.query(query).recall(1.0).run_profiled().expect("a scan");
    assert_eq!(hits, bed.index.query(query).exact().run().expect("a scan"));
    assert_eq!((profile.exact_reads, profile.hops, profile.calibrated), (ROWS as u64, 0, 0));
    let (beyond, profile) = bed.index.query(query).recall(0.9995).run_profiled().expect("a scan");
    assert_eq!((beyond, profile.exact_reads), (hits, ROWS as u64), "no walk is trusted with that");
    for recall in [0.49, 1.01, -1.0, f32::NAN, f32::INFINITY] {
        let error = bed.index.query(query).recall(recall).run().expect_err("no such recall");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{recall}");
    }
}

#[test]
fn deletes_and_several_segments_keep_the_promise() {
    let mut bed = Bed::new(Metric::L2, 0.4, 8);
    let dead = (0..ROWS as u64).filter(|n| n % 9 == 2).map(ItemId::from);
    bed.index.delete_items(dead.collect()).expect("deleted");
    let oracle = Oracle::new(&bed.vectors, DIM, bed.metric);
    let (mut recall, mut distances) = (0.0, 0);
    for query in &bed.queries {
        let (hits, profile) = bed.index.query(query).recall(0.95).run_profiled().expect("a query");
        assert_eq!(profile.calibrated, 1);
        recall += oracle.recall(query, K, &slots(&hits), |slot| slot % 9 != 2) / QUERIES as f64;
        distances += profile.distances / QUERIES as u64;
    }
    assert!(recall >= 0.93 && distances < ROWS as u64 / 4, "with dead rows: {recall}, {distances} distances");

    // Two shards: two graphs, each found by its own table.
    let settings = Settings::new(DIM as u32).with_metric(Metric::L2).with_shards(2).with_graph(12, 80);
    let builder = Builder::new().fs(Arc::new(MemFs::new())).threads(1);
    let two = builder.create("/two", settings).expect("fresh");
    let items = bed.vectors.chunks_exact(DIM).enumerate().map(|(n, vector)| Item::new(n as u64, vector));
    two.insert_items(items.collect()).expect("valid items");
    two.wait_optimized().expect("background work");
    bed.index = two;
    let (recall, _) = bed.ask(K, |query| {
        let (hits, profile) = bed.index.query(query).recall(0.95).run_profiled().expect("a query");
        assert_eq!((profile.segments, profile.calibrated), (2, 2));
        (hits, profile)
    });
    assert!(recall >= 0.93, "two segments: {recall}");
}

#[test]
fn a_small_segment_is_walked_by_the_rule_of_thumb() {
    let vectors = clustered(1800, DIM, 20, 0.9, 3);
    let index = index(Metric::L2, 4096, &vectors);
    let (hits, profile) = index.query(&vectors[..DIM]).recall(0.9).run_profiled().expect("a query");
    assert_eq!((hits.len(), profile.calibrated, profile.uncalibrated), (K, 0, 1), "{profile:?}");
    let (_, profile) = index.query(&vectors[..DIM]).run_profiled().expect("a query");
    assert_eq!((profile.calibrated, profile.uncalibrated), (0, 0), "no recall was declared");
}

#[test]
fn the_table_is_the_same_for_a_seed_and_survives_the_disk() {
    let bed = Bed::new(Metric::Cosine, 0.2, 12);
    let again = Bed::new(Metric::Cosine, 0.2, 12);
    for query in &bed.queries[..30] {
        let ask = |index: &Index| index.query(query).recall(0.97).run_profiled().expect("a query");
        assert_eq!(ask(&bed.index), ask(&again.index));
    }
}

#[test]
fn what_is_measured_is_what_an_oracle_says() {
    let bed = Bed::new(Metric::L2, 0.5, 77);
    let oracle = Oracle::new(&bed.vectors, DIM, bed.metric);
    for sample in [
        RecallSample::of_vectors(bed.queries.clone()).ef(10),
        RecallSample::of_vectors(bed.queries.clone()).recall(0.9),
    ] {
        let report = bed.index.measure_recall(&sample).expect("measured");
        let ask = |query: &[f32]| {
            let query = bed.index.query(query);
            if report.planned.is_some() { query.recall(0.9) } else { query.ef(10) }.run().expect("a query")
        };
        let recalls: Vec<f64> =
            bed.queries.iter().map(|query| oracle.recall(query, K, &slots(&ask(query)), |_| true)).collect();
        let mean = recalls.iter().sum::<f64>() / QUERIES as f64;
        assert!((report.recall - mean).abs() < 1e-9, "{report:?} and {mean}");
        let least = recalls.iter().copied().fold(1.0, f64::min);
        let place = recalls.iter().position(|recall| *recall <= least).expect("there is a least one");
        let (probe, share) = report.worst.clone().expect("there are queries");
        assert_eq!(probe, Probe::Vector(place));
        assert!((share - least).abs() < 1e-9);
        assert!(report.interval.0 < mean && mean < report.interval.1 && report.interval.1 <= 1.0);
        assert_eq!((report.queries, report.planned.is_some()), (QUERIES, report.profile.calibrated > 0));
    }
}

#[test]
fn random_items_are_drawn_by_a_seed_and_are_no_answer_to_themselves() {
    let vectors = clustered(1500, DIM, 20, 0.9, 3);
    let index = index(Metric::L2, 4096, &vectors[..1200 * DIM]);
    let items =
        vectors.chunks_exact(DIM).enumerate().skip(1200).map(|(n, vector)| Item::new(n as u64, vector));
    index.insert_items(items.collect()).expect("unsealed rows");
    index.delete_items((0..1500_u64).filter(|n| n % 3 != 0).map(ItemId::from).collect()).expect("deleted");
    // Of one moment: rows move on in the background.
    let now = index.snapshot();
    let report = now.measure_recall(&RecallSample::of_rows(80).with_seed(4)).expect("measured");
    assert_eq!(report, now.measure_recall(&RecallSample::of_rows(80).with_seed(4)).expect("measured"));
    assert!(report.queries == 80 && report.recall > 0.9, "{report:?}");
    let exact = RecallSample::of_rows(40).recall(1.0);
    assert_eq!(index.measure_recall(&exact).expect("measured").recall.to_bits(), 1.0_f64.to_bits());
    let one = RecallSample::of_rows(40).top_k(1);
    assert_eq!(index.measure_recall(&one).expect("measured").recall.to_bits(), 1.0_f64.to_bits());
    let both = RecallSample::of_vectors([vec![0.5; DIM]]).with_rows(10);
    assert_eq!(index.measure_recall(&both).expect("measured").queries, 11);
    let nothing = index.measure_recall(&RecallSample::of_rows(0)).expect_err("no query");
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
    index.delete_items((0..1500_u64).map(ItemId::from).collect()).expect("deleted");
    let empty = index.measure_recall(&RecallSample::of_rows(10)).expect_err("no item");
    assert_eq!(empty.kind(), ErrorKind::Invalid);
    let wrong =
        index.measure_recall(&RecallSample::of_vectors([vec![0.5; 3]])).expect_err("another dimension");
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
}
