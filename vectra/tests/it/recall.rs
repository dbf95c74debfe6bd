//! How much of the truth the default settings find, and that they do not find it by looking at everything.

use std::sync::Arc;

use vectra::seams::MemFs;
use vectra::{Builder, FieldKind, Filter, Hit, Index, Item, ItemId, Metric, Settings, Value, mongo};
use vectra_core::testing::oracle::{Oracle, clustered};

const DIM: usize = 32;
const ROWS: usize = 6000;
const QUERIES: usize = 40;
const K: usize = 10;

/// Vectors in an index, and questions of the same kind that are not among them.
struct Bed {
    index: Index,
    metric: Metric,
    vectors: Vec<f32>,
    queries: Vec<Vec<f32>>,
}

impl Bed {
    fn new(metric: Metric, rows: usize) -> Self {
        let mut vectors = clustered(rows + QUERIES, DIM, 60, 0.6, 17);
        let queries = vectors.split_off(rows * DIM).chunks_exact(DIM).map(<[f32]>::to_vec).collect();
        let settings =
            Settings::new(DIM as u32).with_metric(metric).with_indexed_field("part", FieldKind::Number);
        let index = Builder::new().fs(Arc::new(MemFs::new())).create("/recall", settings).expect("fresh");
        let items: Vec<Item> = vectors.chunks_exact(DIM).enumerate().map(|(n, v)| item(n, v)).collect();
        for batch in items.chunks(1000) {
            index.insert_items(batch.to_vec()).expect("valid items");
        }
        index.wait_optimized().expect("background work");
        Self { index, metric, vectors, queries }
    }

    fn oracle(&self) -> Oracle<'_> {
        Oracle::new(&self.vectors, DIM, self.metric)
    }

    /// The mean recall of what `ask` finds among the admitted rows.
    fn recall(&self, admits: impl Fn(u32) -> bool, ask: impl Fn(&[f32]) -> Vec<Hit>) -> f64 {
        let oracle = self.oracle();
        let sum: f64 = self.queries.iter().map(|q| oracle.recall(q, K, &slots(&ask(q)), &admits)).sum();
        sum / self.queries.len() as f64
    }
}

fn item(n: usize, vector: &[f32]) -> Item {
    // Multiplied by a number prime to 100: which rows a filter admits has nothing to do with their order.
    let part = (n * 37 % 100) as i64;
    let metadata = [("part", Value::from(part)), ("bare", Value::from(part))];
    Item::new(n as u64, vector).with_metadata(metadata)
}

fn part_of(slot: u32) -> u32 {
    slot * 37 % 100
}

fn slots(hits: &[Hit]) -> Vec<u32> {
    hits.iter()
        .map(|hit| match hit.id {
            ItemId::U64(n) => n as u32,
            _ => panic!("only numbers were inserted, found {}", hit.id),
        })
        .collect()
}

fn below(field: &str, limit: u32) -> Filter {
    mongo(&format!(r#"{{"{field}": {{"$lt": {limit}}}}}"#)).expect("a well-formed filter")
}

fn defaults_find_the_nearest(metric: Metric) {
    let bed = Bed::new(metric, ROWS);
    let stats = bed.index.stats();
    assert!(stats.shards[0].segments.iter().all(|s| s.has_graph), "{stats:?}");
    assert_eq!(stats.shards[0].unsealed_rows, 0);

    let exact = bed.recall(|_| true, |q| bed.index.query(q).exact().run().expect("exact"));
    assert!((exact - 1.0).abs() < 1e-9, "{metric:?}: exact() is not exact: {exact}");
    let found = bed.recall(|_| true, |q| bed.index.query(q).run().expect("default"));
    assert!(found >= 0.95, "{metric:?}: recall {found}");

    let (mut distances, mut reads) = (0, 0);
    for query in &bed.queries {
        let (hits, profile) = bed.index.query(query).run_profiled().expect("default");
        assert_eq!(hits.len(), K);
        assert!(profile.hops > 0, "no graph was walked: {profile:?}");
        assert!(profile.exact_reads >= K as u64, "answers hold exact distances: {profile:?}");
        (distances, reads) = (distances + profile.distances, reads + profile.exact_reads);
    }
    assert!(reads <= 2 * (K * QUERIES) as u64, "{metric:?}: {reads} vectors read for {QUERIES} queries");
    let mean = distances / QUERIES as u64;
    assert!(mean < ROWS as u64 / 4, "{metric:?}: {mean} distances a query: the graph is a scan");
}

#[test]
fn defaults_find_the_nearest_by_cosine() {
    defaults_find_the_nearest(Metric::Cosine);
}

#[test]
fn defaults_find_the_nearest_by_l2() {
    defaults_find_the_nearest(Metric::L2);
}

#[test]
fn defaults_find_the_nearest_by_dot() {
    defaults_find_the_nearest(Metric::Dot);
}

#[test]
fn defaults_find_the_nearest_by_l1() {
    let bed = Bed::new(Metric::L1, 2500);
    let found = bed.recall(|_| true, |q| bed.index.query(q).run().expect("default"));
    assert!(found >= 0.95, "recall {found}");
}

#[test]
fn filtered_questions_get_k_answers_and_the_right_ones() {
    let bed = Bed::new(Metric::Cosine, ROWS);
    // Half, a tenth, a hundredth; and nearly all, where the graph is walked past what is not wanted.
    for limit in [95, 50, 10, 1] {
        for field in ["part", "bare"] {
            let ask = |q: &[f32]| {
                let hits = bed.index.query(q).filter(below(field, limit)).run().expect("filtered");
                assert_eq!(hits.len(), K, "{field} < {limit}");
                assert!(slots(&hits).iter().all(|slot| part_of(*slot) < limit), "{field} < {limit}");
                hits
            };
            let found = bed.recall(|slot| part_of(slot) < limit, ask);
            assert!(found >= 0.95, "{field} < {limit}: recall {found}");
            let exact =
                |q: &[f32]| bed.index.query(q).exact().filter(below(field, limit)).run().expect("exact");
            let found = bed.recall(|slot| part_of(slot) < limit, exact);
            assert!((found - 1.0).abs() < 1e-9, "{field} < {limit}: exact recall {found}");
        }
    }
}

#[test]
fn an_indexed_field_is_answered_from_its_index() {
    let bed = Bed::new(Metric::Cosine, 1200);
    let evaluated = |field: &str| {
        let query = bed.index.query(&bed.queries[0]).filter(below(field, 10));
        query.run_profiled().expect("filtered").1.filter_evaluations
    };
    assert_eq!(evaluated("part"), 0);
    assert_eq!(evaluated("bare"), 1200);
}

#[test]
fn recall_survives_deletes_and_compaction() {
    let bed = Bed::new(Metric::L2, ROWS);
    let lives = |slot: u32| slot % 10 >= 3;
    let dead = (0..ROWS as u64).filter(|n| n % 10 < 3).map(ItemId::from);
    bed.index.delete_items(dead.collect()).expect("deleted");
    let ask = |q: &[f32]| {
        let hits = bed.index.query(q).run().expect("default");
        assert_eq!(hits.len(), K);
        assert!(slots(&hits).iter().all(|slot| lives(*slot)), "a deleted item was found");
        hits
    };
    let before = bed.recall(lives, ask);
    assert!(before >= 0.95, "with tombstones: recall {before}");
    bed.index.compact().expect("compacted");
    let segments = bed.index.stats().shards[0].segments.clone();
    let rows: u32 = segments.iter().map(|s| s.rows).sum();
    assert_eq!(rows, ROWS as u32 / 10 * 7, "compaction leaves nothing dead: {segments:?}");
    assert!(segments.iter().all(|s| s.has_graph));
    let after = bed.recall(lives, ask);
    assert!(after >= 0.95, "after compaction: recall {after}");
    let exact = bed.recall(lives, |q| bed.index.query(q).exact().run().expect("exact"));
    assert!((exact - 1.0).abs() < 1e-9, "exact recall {exact}");
}

#[test]
fn exact_equals_brute_force_to_the_distance() {
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot, Metric::L1] {
        let bed = Bed::new(metric, 700);
        // The same rows once more, unsealed: both kinds of segment answer one query.
        let again = bed.vectors.chunks_exact(DIM).enumerate().take(300).map(|(n, v)| item(n, v));
        bed.index.upsert_items(again.collect()).expect("upserted");
        for query in &bed.queries[..10] {
            let truth = bed.oracle().nearest(query, 25, |_| true);
            let hits = bed.index.query(query).top_k(25).exact().run().expect("exact");
            assert_eq!(slots(&hits), truth.iter().map(|t| t.slot).collect::<Vec<_>>(), "{metric:?}");
            for (hit, truth) in hits.iter().zip(&truth) {
                let error = (f64::from(hit.distance) - truth.distance).abs();
                assert!(error <= 1e-4 * truth.distance.abs().max(1.0), "{metric:?}: {hit:?}, {truth:?}");
            }
        }
    }
}

/// The share of the true neighbours that `index` finds; rows are numbered by position, `id_of` names them.
fn churned_recall(index: &Index, rows: &[(u64, Vec<f32>)], queries: &[Vec<f32>]) -> f64 {
    let flat: Vec<f32> = rows.iter().flat_map(|(_, vector)| vector.iter().copied()).collect();
    let oracle = Oracle::new(&flat, DIM, Metric::Cosine);
    let place: std::collections::BTreeMap<u64, u32> = rows.iter().map(|(id, _)| *id).zip(0..).collect();
    let found = |hits: Vec<Hit>| -> Vec<u32> {
        slots(&hits).into_iter().map(|id| *place.get(&u64::from(id)).expect("only live items")).collect()
    };
    let ask = |q: &Vec<f32>| found(index.query(q).top_k(K).run().expect("default"));
    queries.iter().map(|q| oracle.recall(q, K, &ask(q), |_| true)).sum::<f64>() / queries.len() as f64
}

fn churn_index(rows: &[(u64, Vec<f32>)]) -> Index {
    let settings = Settings::new(DIM as u32).with_seal_rows(1000).with_graph(12, 64);
    let builder = Builder::new().fs(Arc::new(MemFs::new())).threads(1);
    let index = builder.create("/churn", settings).expect("fresh");
    let items = rows.iter().map(|(id, vector)| Item::new(*id, vector.as_slice()));
    index.insert_items(items.collect()).expect("valid items");
    index.compact().expect("background work");
    index
}

/// Ten generations of replacements and compactions cost no recall and lose nobody.
#[test]
fn recall_does_not_rot() {
    const LIVE: usize = 3000;
    const REPLACED: usize = LIVE / 50;
    const GENERATIONS: usize = 10;
    let mut vectors = clustered(LIVE + GENERATIONS * REPLACED + QUERIES, DIM, 40, 0.6, 23);
    let queries: Vec<Vec<f32>> = vectors
        .split_off((LIVE + GENERATIONS * REPLACED) * DIM)
        .chunks_exact(DIM)
        .map(<[f32]>::to_vec)
        .collect();
    let mut all = (0..).zip(vectors.chunks_exact(DIM).map(<[f32]>::to_vec));
    let mut rows: Vec<(u64, Vec<f32>)> = all.by_ref().take(LIVE).collect();
    let index = churn_index(&rows);
    for generation in 0..GENERATIONS {
        // Spread over everything, and different ones each time.
        for place in (0..REPLACED).map(|i| (i * 50 + generation * 7) % LIVE) {
            let new = all.next().expect("enough vectors");
            index.delete_item(rows[place].0).expect("known");
            index.insert_item(Item::new(new.0, new.1.as_slice())).expect("new");
            rows[place] = new;
        }
        index.compact().expect("background work");
    }
    let (churned, fresh) =
        (churned_recall(&index, &rows, &queries), churned_recall(&churn_index(&rows), &rows, &queries));
    println!("recall {churned} after {GENERATIONS} generations, {fresh} built afresh");
    assert!(churned >= fresh - 0.005, "recall {churned} after churn, {fresh} built afresh");
    for (id, vector) in &rows {
        let hits = index.query(vector).run().expect("default");
        assert!(
            hits.iter().any(|hit| hit.id == ItemId::from(*id)),
            "item {id} is not found by its own vector"
        );
    }
}
