//! Many queries at once are answered as each is alone.

use std::sync::Arc;
use std::time::Duration;

use vectra::seams::MemFs;
use vectra::{
    Builder, Durability, ElementKind, ErrorKind, FieldKind, Hit, Index, Item, Metric, Profile, QueryBatch,
    QueryBuilder, Settings, Snapshot, Value, mongo,
};
use vectra_core::testing::oracle::Dice;

const DIM: usize = 21;

fn vector(seed: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    (0..DIM).map(|_| dice.uniform() - 0.5).collect()
}

fn items(numbers: std::ops::Range<u64>) -> Vec<Item> {
    let metadata = |n: u64| Value::from([("n", n.into()), ("odd", (n % 2).into())]);
    numbers.map(|n| Item::new(n, vector(n)).with_metadata(metadata(n))).collect()
}

/// An index with graphs, codes without a graph, dead rows, and two unsealed segments' worth of rows.
fn index(metric: Metric, element: ElementKind) -> Index {
    let settings = Settings::new(DIM as u32)
        .with_metric(metric)
        .with_element(element)
        .with_shards(2)
        .with_durability(Durability::None)
        .with_indexed_field("n", FieldKind::Number);
    let index = Builder::new()
        .fs(Arc::new(MemFs::new()))
        .threads(2)
        .create("/index", settings)
        .expect("a fresh folder");
    index.insert_items(items(0..2500)).expect("new ids");
    index.wait_optimized().expect("optimized");
    let deferred = index.defer_optimization();
    index.insert_items(items(2500..3100)).expect("new ids");
    index.flush().expect("sealed");
    index.delete_items((0..300).map(|n| (7 * n).into()).collect()).expect("they are there");
    index.insert_items(items(3100..4000)).expect("new ids");
    drop(deferred);
    index
}

/// The same options for one query and for many.
type Options =
    (for<'v> fn(QueryBuilder<'v>) -> QueryBuilder<'v>, for<'v> fn(QueryBatch<'v>) -> QueryBatch<'v>);

const OPTIONS: [Options; 8] = [
    (|q| q, |q| q),
    (|q| q.top_k(3).ef(20).without_metadata(), |q| q.top_k(3).ef(20).without_metadata()),
    (|q| q.top_k(3).recall(0.9), |q| q.top_k(3).recall(0.9)),
    (|q| q.exact().with_vectors(), |q| q.exact().with_vectors()),
    (|q| q.exact().top_k(100), |q| q.exact().top_k(100)),
    (|q| q.exact().top_k(0), |q| q.exact().top_k(0)),
    (
        |q| q.filter(mongo(r#"{"n": {"$lt": 3500}}"#).expect("a filter")),
        |q| q.filter(mongo(r#"{"n": {"$lt": 3500}}"#).expect("a filter")),
    ),
    (
        |q| q.exact().filter(mongo(r#"{"odd": 1}"#).expect("a filter")),
        |q| q.exact().filter(mongo(r#"{"odd": 1}"#).expect("a filter")),
    ),
];

fn one_by_one(snapshot: &Snapshot, vectors: &[Vec<f32>], options: Options) -> (Vec<Vec<Hit>>, Profile) {
    let mut all = (Vec::new(), Profile::default());
    for vector in vectors {
        let (hits, profile) = options.0(snapshot.query(vector)).run_profiled().expect("answered");
        all.0.push(hits);
        all.1 += profile;
    }
    all
}

#[test]
fn the_answers_are_those_of_single_queries() {
    for (metric, element) in [
        (Metric::Cosine, ElementKind::F16),
        (Metric::L2, ElementKind::F32),
        (Metric::Dot, ElementKind::F16),
        (Metric::L1, ElementKind::F32),
    ] {
        let index = index(metric, element);
        let snapshot = index.snapshot();
        let vectors: Vec<Vec<f32>> = (0..23).map(|n| vector(10_000 + n)).collect();
        for (number, options) in OPTIONS.into_iter().enumerate() {
            let (expected, alone) = one_by_one(&snapshot, &vectors, options);
            for (threads, count) in [(1, 23), (2, 23), (3, 7), (7, 23), (2, 1), (1, 0)] {
                let what =
                    format!("{metric} {element}, options {number}, {count} queries, {threads} threads");
                let batch = options.1(snapshot.query_batch(&vectors[..count])).threads(threads);
                let (found, profile) = batch.run_profiled().expect("answered");
                assert_eq!(found, expected[..count], "{what}");
                let filtered = options.1(snapshot.query_batch(&vectors)).threads(threads);
                if count == vectors.len() && number < 5 {
                    let (_, again) = filtered.run_profiled().expect("answered");
                    assert_eq!((profile, again), (alone, alone), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_filter_is_evaluated_once_for_queries_that_are_searched_together() {
    let index = index(Metric::L2, ElementKind::F32);
    let vectors: Vec<Vec<f32>> = (0..16).map(|n| vector(10_000 + n)).collect();
    // The field has no index: rows are looked at one by one.
    let options: Options = (
        |q| q.exact().filter(mongo(r#"{"odd": 1}"#).expect("a filter")),
        |q| q.exact().filter(mongo(r#"{"odd": 1}"#).expect("a filter")),
    );
    let (_, alone) = one_by_one(&index.snapshot(), &vectors, options);
    let (_, many) = options.1(index.query_batch(&vectors)).threads(1).run_profiled().expect("answered");
    assert_eq!((many.exact_reads, many.segments), (alone.exact_reads, alone.segments));
    assert!(2 * many.filter_evaluations < alone.filter_evaluations, "{many:?}, alone {alone:?}");
}

#[test]
fn all_are_asked_of_one_moment() {
    let index = index(Metric::Cosine, ElementKind::F32);
    let vectors = [vector(5), vector(6)];
    let snapshot = index.snapshot();
    let batch = snapshot.query_batch(&vectors).top_k(1);
    let before = batch.clone().run().expect("answered");
    assert_eq!(before.iter().map(|hits| hits[0].id.clone()).collect::<Vec<_>>(), [5.into(), 6.into()]);
    index.delete_items(vec![5.into(), 6.into()]).expect("they are there");
    assert_eq!(batch.run().expect("answered"), before);
    let after = index.query_batch(&vectors).top_k(1).run().expect("answered");
    assert!(after.iter().zip(&before).all(|(after, before)| after[0].id != before[0].id));
}

#[test]
fn the_first_query_that_fails_is_named() {
    let index = index(Metric::Cosine, ElementKind::F32);
    let mut vectors: Vec<Vec<f32>> = (0..40).map(vector).collect();
    let error = |batch: QueryBatch<'_>| batch.run().expect_err("it is refused");
    let late = error(index.query_batch(&vectors).timeout(Duration::ZERO).threads(3));
    assert_eq!(late.kind(), ErrorKind::Timeout);
    assert!(late.to_string().starts_with("query 0: "), "{late}");
    vectors[31][3] = f32::NAN;
    vectors[17].pop();
    for threads in [1, 2, 5] {
        let bad = error(index.query_batch(&vectors).threads(threads));
        assert_eq!(bad.kind(), ErrorKind::Invalid);
        assert!(bad.to_string().starts_with("query 17: the vector has 20 components"), "{bad}");
    }
    let many = error(index.query_batch(&vectors[..3]).top_k(10_001));
    assert!(many.to_string().starts_with("query 0: top_k is 10001"), "{many}");
}
