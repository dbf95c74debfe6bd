//! Every public verb on its happy path, in every state a row can rest in, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use vectra::seams::{Env, MemFs};
use vectra::{
    Builder, Durability, ElementKind, FieldKind, Filter, Health, Index, Item, ItemId, ItemUpdate, Metric,
    Mode, Receipt, Settings, Snapshot, Value, mongo,
};
use vectra_core::distance::reference;
use vectra_core::env::{SeededRng, SimClock, SimSpawner};
use vectra_core::testing::oracle::Dice;

const DIM: usize = 6;
/// Items of the tests that go through all states: so many that each of four shards gets some.
const COUNT: u64 = 60;

type Model = BTreeMap<ItemId, Item>;

/// A disk in memory, and background work that runs only when somebody waits for it or says so.
struct Bench {
    fs: Arc<MemFs>,
    clock: Arc<SimClock>,
    spawner: Arc<SimSpawner>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(SimClock::new(1));
        let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
        Self { fs: Arc::new(MemFs::new()), clock, spawner }
    }

    fn builder(&self) -> Builder {
        let env = Env {
            clock: Arc::clone(&self.clock) as _,
            rng: Arc::new(SeededRng::new(7)),
            spawner: Arc::clone(&self.spawner) as _,
        };
        Builder::new().fs(Arc::clone(&self.fs) as _).env(env)
    }

    fn create(&self, settings: Settings) -> Index {
        self.builder().create("/index", settings).expect("a fresh folder")
    }

    fn open(&self) -> Index {
        self.builder().open("/index").expect("an index")
    }
}

/// Where the rows of a test are brought before it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rest {
    Mutable,
    Frozen,
    Sealed,
    Optimized,
    Compacted,
}

const RESTS: [Rest; 5] = [Rest::Mutable, Rest::Frozen, Rest::Sealed, Rest::Optimized, Rest::Compacted];

impl Rest {
    fn settings(self, shards: u16) -> Settings {
        // Four shards share the rows about evenly: each is full long before all are written.
        let seal_rows = if self == Rest::Frozen { COUNT as u32 / 8 } else { 10_000 };
        Settings::new(DIM as u32)
            .with_metric(Metric::L2)
            .with_shards(shards)
            .with_seal_rows(seal_rows)
            .with_indexed_field("n", FieldKind::Number)
            .with_indexed_field("tag", FieldKind::Keyword)
            .with_indexed_field("even", FieldKind::Bool)
    }

    fn bring(self, index: &Index) {
        match self {
            Rest::Mutable | Rest::Frozen => {}
            Rest::Sealed => index.flush().expect("flushed"),
            Rest::Optimized => index.wait_optimized().expect("optimized"),
            Rest::Compacted => index.compact().expect("compacted"),
        }
    }
}

/// Ids of all three kinds.
fn id(n: u64) -> ItemId {
    match n % 3 {
        0 => ItemId::from(n),
        1 => ItemId::from(Uuid::from_u128(u128::from(n) << 64 | 7)),
        _ => ItemId::from(format!("item {n}")),
    }
}

fn item(n: u64, version: u64) -> Item {
    let mut dice = Dice::new(n << 8 | version);
    let vector: Vec<f32> = (0..DIM).map(|_| dice.uniform()).collect();
    Item::new(id(n), vector).with_metadata(metadata(n, version))
}

fn metadata(n: u64, version: u64) -> Value {
    Value::from([
        ("n", n.into()),
        ("tag", if n.is_multiple_of(4) { "round" } else { "square" }.into()),
        ("even", n.is_multiple_of(2).into()),
        ("deep", Value::from([("version", version.into())])),
    ])
}

fn page_through(snapshot: &Snapshot, size: usize) -> Vec<Item> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.list_items(after.as_ref(), size).expect("a page");
        assert!(page.items.len() <= size);
        all.extend(page.items);
        match page.next {
            Some(next) => {
                assert_eq!(
                    all.last().map(|item| &item.id),
                    Some(&next),
                    "the cursor is the last id of the page"
                );
                after = Some(next);
            }
            None => return all,
        }
    }
}

/// Whether the item satisfies the filter, by other means than the filter's.
type Satisfies = fn(&Item) -> bool;

fn filters() -> [(Filter, Satisfies); 5] {
    let parse = |json: &str| mongo(json).expect("well-formed");
    [
        (parse(r#"{"n": {"$gte": 20}}"#), |item| {
            item.metadata.get("n").is_some_and(|n| matches!(n, Value::Int(n) if *n >= 20))
        }),
        (parse(r#"{"tag": "round", "even": true}"#), |item| {
            item.metadata.get("tag").and_then(Value::as_str) == Some("round")
        }),
        (parse(r#"{"deep.version": 0}"#), |item| version(item) == Some(0)),
        (parse(r#"{"$and": [{"tag": {"$ne": "round"}}, {"deep.version": {"$in": [1, 2]}}]}"#), |item| {
            item.metadata.get("tag").and_then(Value::as_str) == Some("square")
                && matches!(version(item), Some(1 | 2))
        }),
        (parse(r#"{"n": -1}"#), |_| false),
    ]
}

fn version(item: &Item) -> Option<i64> {
    match item.metadata.get("deep")?.get("version")? {
        Value::Int(version) => Some(*version),
        _ => None,
    }
}

/// The whole content of a snapshot, asked for in every way there is.
fn assert_holds(snapshot: &Snapshot, model: &Model, context: &str) {
    assert_eq!(snapshot.len(), model.len() as u64, "{context}");
    assert_eq!(snapshot.is_empty(), model.is_empty(), "{context}");
    for n in 0..COUNT + 10 {
        let found = snapshot.get_item(id(n)).expect("readable");
        assert_eq!(found.as_ref(), model.get(&id(n)), "{context}: item {n}");
        assert_eq!(
            snapshot.contains(id(n)).expect("readable"),
            model.contains_key(&id(n)),
            "{context}: item {n}"
        );
    }
    let expected: Vec<Item> = model.values().cloned().collect();
    for size in [1, 3, 1000] {
        assert_eq!(page_through(snapshot, size), expected, "{context}: pages of {size}");
    }
    let query = item(1000, 0).vector;
    assert_answers(snapshot, model, &query, None, context);
    for (filter, satisfies) in filters() {
        assert_answers(snapshot, model, &query, Some((filter, satisfies)), context);
    }
}

/// Exact and default queries for more than there is, and for a few, give what a sort gives.
fn assert_answers(
    snapshot: &Snapshot,
    model: &Model,
    query: &[f32],
    filter: Option<(Filter, Satisfies)>,
    context: &str,
) {
    let context = format!("{context}, {:?}", filter.as_ref().map(|(filter, _)| filter));
    let mut expected: Vec<(f64, &Item)> = model
        .values()
        .filter(|item| filter.as_ref().is_none_or(|(_, satisfies)| satisfies(item)))
        .map(|item| (reference::distance(Metric::L2, query, &item.vector), item))
        .collect();
    expected.sort_by(|a, b| a.0.total_cmp(&b.0));
    for k in [0, 1, 7, 500] {
        let ask = || {
            let query = snapshot.query(query).top_k(k);
            if let Some((filter, _)) = &filter { query.filter(filter.clone()) } else { query }
        };
        for hits in [
            ask().exact().with_vectors().run(),
            ask().with_vectors().run(),
            ask().ef(200).with_vectors().run(),
        ] {
            let hits = hits.expect("answered");
            let found: Vec<&ItemId> = hits.iter().map(|hit| &hit.id).collect();
            let wanted: Vec<&ItemId> = expected.iter().take(k).map(|(_, item)| &item.id).collect();
            assert_eq!(found, wanted, "{context}: top {k}");
            for (hit, (distance, item)) in hits.iter().zip(&expected) {
                assert!((f64::from(hit.distance) - distance).abs() < 1e-5, "{context}: {hit:?}");
                assert_eq!(hit.vector.as_ref(), Some(&item.vector), "{context}");
                assert_eq!(hit.metadata.as_ref(), Some(&item.metadata), "{context}");
            }
        }
    }
}

/// Inserts, then changes three items in four: upserts, updates, deletes.
fn write_all(index: &Index, model: &mut Model, rest: Rest) {
    let items: Vec<Item> = (0..COUNT).map(|n| item(n, 0)).collect();
    for batch in items.chunks(7) {
        index.insert_items(batch.to_vec()).expect("fresh ids");
    }
    model.extend(items.into_iter().map(|item| (item.id.clone(), item)));
    rest.bring(index);
}

fn change(index: &Index, model: &mut Model, version: u64) {
    let of = |r: u64| (0..COUNT).filter(move |n| n % 4 == (r + version) % 4);
    let upserts: Vec<Item> = of(0).map(|n| item(n, version)).collect();
    index.upsert_items(upserts.clone()).expect("valid items");
    model.extend(upserts.into_iter().map(|item| (item.id.clone(), item)));

    let updates: Vec<ItemUpdate> = of(1)
        .filter(|n| model.contains_key(&id(*n)))
        .map(|n| ItemUpdate::new(id(n), metadata(n, version)))
        .collect();
    for update in &updates {
        model.get_mut(&update.id).expect("filtered above").metadata = update.metadata.clone();
    }
    index.update_items(updates).expect("items that are there");

    let doomed: Vec<ItemId> = of(2).map(id).collect();
    let there = doomed.iter().filter(|id| model.contains_key(id)).count() as u64;
    let receipt = index.delete_items(doomed.clone()).expect("deleted");
    assert_eq!(receipt.items, there, "only what was there counts");
    doomed.iter().for_each(|id| _ = model.remove(id));
}

fn every_verb_from(rest: Rest, shards: u16) {
    let context = |what: &str| format!("{what}, {rest:?}, {shards} shards");
    let bench = Bench::new();
    let index = bench.create(rest.settings(shards));
    let mut model = Model::new();
    let empty = index.snapshot();
    write_all(&index, &mut model, rest);
    assert_rests(&index, rest);
    assert_holds(&index.snapshot(), &model, &context("inserted"));
    let (before, pinned) = (model.clone(), index.snapshot());
    change(&index, &mut model, 1);
    assert_holds(&index.snapshot(), &model, &context("changed"));
    let (between, pinned_between) = (model.clone(), index.snapshot());
    rest.bring(&index);
    assert_holds(&index.snapshot(), &model, &context("changed and brought to rest"));
    change(&index, &mut model, 2);
    assert_holds(&index.snapshot(), &model, &context("changed twice"));
    index.compact().expect("compacted");
    assert_holds(&index.snapshot(), &model, &context("compacted"));

    assert_holds(&empty, &Model::new(), &context("the snapshot before everything"));
    assert_holds(&pinned, &before, &context("the snapshot before the changes"));
    assert_holds(&pinned_between, &between, &context("the snapshot between the changes"));
    assert!(empty.lsn() < pinned.lsn() && pinned.lsn() < pinned_between.lsn());

    change(&index, &mut model, 3);
    index.close().expect("closed");
    assert_holds(&pinned, &before, &context("a snapshot outlives the index"));
    let index = bench.open();
    assert_holds(&index.snapshot(), &model, &context("reopened"));
    rest.bring(&index);
    drop(index);
    assert_holds(&bench.open().snapshot(), &model, &context("reopened without having been closed"));
}

/// That the rows are where the test thinks they are.
fn assert_rests(index: &Index, rest: Rest) {
    let stats = index.stats();
    let unsealed: u64 = stats.shards.iter().map(|shard| shard.unsealed_rows).sum();
    let sealed: u64 = stats.shards.iter().flat_map(|s| &s.segments).map(|s| u64::from(s.rows)).sum();
    let graphs = stats.shards.iter().flat_map(|shard| &shard.segments).all(|segment| segment.has_graph);
    match rest {
        Rest::Mutable | Rest::Frozen => assert_eq!((unsealed, sealed), (COUNT, 0)),
        Rest::Sealed => assert_eq!((unsealed, sealed), (0, COUNT)),
        Rest::Optimized | Rest::Compacted => assert!(unsealed == 0 && sealed == COUNT && graphs, "{stats:?}"),
    }
}

#[test]
fn every_verb_in_every_state_of_one_shard() {
    RESTS.iter().for_each(|rest| every_verb_from(*rest, 1));
}

#[test]
fn every_verb_in_every_state_of_four_shards() {
    RESTS.iter().for_each(|rest| every_verb_from(*rest, 4));
}

#[test]
fn the_single_verbs_and_their_receipts() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(2));
    assert_eq!(index.insert_items(Vec::new()).expect("nothing"), Receipt { lsn: 0, items: 0 });
    assert_eq!(index.delete_item("nobody").expect("nothing").items, 0);
    let first = index.insert_item(Item::new("a", [1.0, 0.0])).expect("inserted");
    assert_eq!(first, Receipt { lsn: 1, items: 1 });
    let second = index.upsert_item(Item::new("a", [0.0, 2.0])).expect("replaced");
    assert_eq!(second, Receipt { lsn: 2, items: 1 });
    index.upsert_item(Item::new("b", [0.5, 0.5])).expect("added");
    index.update_items(vec![ItemUpdate::new("a", [("k", 1.into())])]).expect("updated");
    let stored = index.get_item("a").expect("readable").expect("there");
    assert_eq!(stored, Item::new("a", [0.0, 2.0]).with_metadata([("k", 1.into())]));
    let receipt = index.delete_items(vec!["a".into(), "a".into(), "nobody".into()]).expect("deleted");
    assert_eq!(receipt.items, 1, "an id that repeats counts once");
    assert_eq!(index.get_item("a").expect("readable"), None);
    let page = index.list_items(None, 10).expect("a page");
    assert_eq!((page.items.len(), page.next), (1, None));
    assert_eq!(index.list_items(None, 0).expect("an empty page").items, []);
    index.insert_item(Item::new("a", [1.0, 1.0])).expect("a deleted id is free again");
    assert_eq!(index.stats().visible_lsn, index.snapshot().lsn());
}

#[test]
fn a_full_last_page_is_the_last() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(1));
    index.insert_items((1..=6_u64).map(|n| Item::new(n, [1.0])).collect()).expect("inserted");
    let page = index.list_items(None, 3).expect("a page");
    assert_eq!(page.next, Some(3_u64.into()));
    let page = index.list_items(page.next.as_ref(), 3).expect("a page");
    assert_eq!((page.items.len(), page.next), (3, None));
    let all = index.list_items(None, usize::MAX).expect("a page of everything");
    assert_eq!((all.items.len(), all.next), (6, None));
}

#[test]
fn each_metric_and_element_type_measures_what_it_says() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2, Metric::L1] {
        for element in [ElementKind::F32, ElementKind::F16] {
            let bench = Bench::new();
            let settings = Settings::new(DIM as u32).with_metric(metric).with_element(element);
            let index = bench.create(settings.with_seal_rows(10));
            index.insert_items((0..25).map(|n| item(n, 0)).collect()).expect("inserted");
            index.flush().expect("flushed");
            index.insert_items((25..30).map(|n| item(n, 0)).collect()).expect("inserted");
            let query = item(99, 0).vector;
            let hits = index.query(&query).top_k(30).with_vectors().run().expect("answered");
            assert_eq!(hits.len(), 30);
            assert!(hits.is_sorted_by(|a, b| a.distance <= b.distance));
            for hit in hits {
                let stored = hit.vector.expect("asked for");
                let distance = reference::distance(metric, &query, &stored);
                assert!((f64::from(hit.distance) - distance).abs() < 1e-5, "{metric:?} {element:?}");
                let given = (0..30).map(|n| item(n, 0)).find(|item| item.id == hit.id).expect("known").vector;
                let close = stored.iter().zip(&given).all(|(a, b)| (a - b).abs() < 1e-3);
                assert!(close && (element == ElementKind::F16 || stored == given), "{metric:?} {element:?}");
            }
        }
    }
}

#[test]
fn equally_near_items_come_in_order_of_id() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(1).with_metric(Metric::L2).with_shards(3));
    let mut ids: Vec<ItemId> = (0..30).map(id).collect();
    index.insert_items(ids[15..].iter().map(|id| Item::new(id.clone(), [2.0])).collect()).expect("inserted");
    index.flush().expect("flushed");
    index
        .insert_items(ids[..15].iter().rev().map(|id| Item::new(id.clone(), [2.0])).collect())
        .expect("inserted");
    ids.sort();
    let hits = index.query(&[0.5]).top_k(30).run().expect("answered");
    assert_eq!(hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>(), ids);
}

#[test]
fn a_query_takes_any_effort_and_leaves_out_what_it_is_told_to() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(DIM as u32).with_graph(8, 40).with_ef_search(20));
    index.insert_items((0..1500).map(|n| item(n, 0)).collect()).expect("inserted");
    index.wait_optimized().expect("optimized");
    let query = item(5000, 0).vector;
    for k in [0, 1, 10, 1500, 10_000] {
        for ef in [0, 1, 10, 100_000] {
            let hits = index.query(&query).top_k(k).ef(ef).run().expect("answered");
            assert_eq!(hits.len(), k.min(1500), "top {k} with ef {ef}");
        }
    }
    let plain = index.query(&query).run().expect("answered");
    assert!(plain.iter().all(|hit| hit.metadata.is_some() && hit.vector.is_none()));
    let bare = index.query(&query).without_metadata().run().expect("answered");
    assert!(bare.iter().all(|hit| hit.metadata.is_none()));
    let builder = index.query(&query).top_k(3);
    index.delete_item(plain[0].id.clone()).expect("deleted");
    let (again, profile) = builder.clone().run_profiled().expect("answered");
    assert_eq!(again[0].id, plain[0].id, "a query answers as of the moment it was begun");
    assert!(profile.distances > 0 && profile.segments == 1 && profile.hops > 0, "{profile:?}");
    assert_eq!(again, builder.run().expect("the same once more"));
}

#[test]
fn what_is_not_durable_yet_is_after_sync() {
    for durability in [Durability::None, Durability::Interval(Duration::from_secs(5))] {
        let bench = Bench::new();
        let index = bench.create(Settings::new(1).with_durability(durability));
        let receipt = index.insert_item(Item::new(1_u64, [1.0])).expect("inserted");
        let stats = index.stats();
        assert_eq!(
            (stats.visible_lsn, stats.durable_lsn, stats.log_syncs),
            (receipt.lsn, 0, 0),
            "{durability:?}"
        );
        assert_eq!(index.sync().expect("synced"), receipt.lsn);
        assert_eq!(index.stats().durable_lsn, receipt.lsn);
        let receipt = index
            .with_durability(Durability::Sync)
            .upsert_items(vec![Item::new(1_u64, [2.0])])
            .expect("upserted");
        assert_eq!(index.stats().durable_lsn, receipt.lsn, "a single write may ask for more");
        index.upsert_item(Item::new(1_u64, [3.0])).expect("upserted");
        drop(index);
        let stored = bench.open().get_item(1_u64).expect("readable").expect("there");
        assert_eq!(stored.vector, [3.0], "the process ended, not the power");
    }
}

#[test]
fn an_interval_syncs_by_itself() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(1).with_durability(Durability::Interval(Duration::from_secs(5))));
    let receipt = index.insert_item(Item::new(1_u64, [1.0])).expect("inserted");
    assert_eq!(index.stats().durable_lsn, 0);
    bench.spawner.run_all();
    assert_eq!(index.stats().durable_lsn, receipt.lsn);
}

#[test]
fn optimization_waits_while_it_is_deferred() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(DIM as u32).with_seal_rows(10));
    let segments = || index.stats().shards[0].segments.clone();
    let guard = index.defer_optimization();
    let inner = index.defer_optimization();
    for n in 0..100 {
        index.insert_item(item(n, 0)).expect("inserted");
    }
    bench.spawner.run_all();
    assert!(
        segments().len() == 10 && segments().iter().all(|segment| !segment.has_graph),
        "{:?}",
        segments()
    );
    drop(inner);
    bench.spawner.run_all();
    assert!(segments().iter().all(|segment| !segment.has_graph), "one guard still lives");
    assert_eq!(index.query(&item(500, 0).vector).top_k(100).run().expect("answered").len(), 100);
    drop(guard);
    bench.spawner.run_all();
    assert!(segments().len() < 4 && segments().iter().all(|segment| segment.has_graph), "{:?}", segments());
}

#[test]
fn stats_and_health_tell_what_is_there() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(DIM as u32).with_shards(2));
    let fresh = index.stats();
    assert_eq!((fresh.items, fresh.visible_lsn, fresh.generation, fresh.part_bytes()), (0, 0, 1, 0));
    index.insert_items((0..40).map(|n| item(n, 0)).collect()).expect("inserted");
    let written = index.stats();
    assert_eq!((written.items, written.visible_lsn, written.durable_lsn), (40, 40, 40));
    assert!(written.shards.len() == 2 && written.log_files >= 1 && written.log_syncs == 1, "{written:?}");
    assert!(
        written.log_bytes > 0 && written.shards.iter().all(|shard| shard.unsealed_bytes > 0),
        "{written:?}"
    );
    index.flush().expect("flushed");
    index.delete_item(id(0)).expect("deleted");
    index.update_items(vec![ItemUpdate::new(id(1), [("n", 1.into())])]).expect("updated");
    let flushed = index.stats();
    assert!(flushed.generation > written.generation && flushed.manifest != written.manifest);
    assert!(flushed.part_bytes() > 0 && flushed.items == 39);
    let segments = || flushed.shards.iter().flat_map(|shard| &shard.segments);
    assert_eq!(segments().map(|s| s.rows - s.live).sum::<u32>(), 1);
    assert_eq!(segments().map(|s| s.updated).sum::<u32>(), 1);
    assert!(
        flushed.shards.iter().all(|shard| shard.covered_lsn == 40 && shard.unsealed_rows == 0),
        "{flushed:?}"
    );
    assert!(matches!(index.health(), Health::Good));
}

#[test]
fn settings_come_back_as_they_were_given() {
    let bench = Bench::new();
    let mut settings = Rest::Frozen.settings(4).with_element(ElementKind::F16).with_graph(12, 90);
    settings = settings.with_ef_search(33).with_durability(Durability::Interval(Duration::from_millis(20)));
    settings.seed = 99;
    bench.create(settings.clone()).close().expect("closed");
    let index = bench.open();
    assert_eq!(index.settings(), &settings);
    assert_eq!(index.path(), std::path::Path::new("/index"));
}

#[test]
fn json_metadata_comes_back_as_it_went_in() {
    let bench = Bench::new();
    let index = bench.create(Settings::new(1));
    let json = serde_json::json!({
        "title": "a \u{e9}t\u{e9}", "none": null, "flag": false, "n": [1, -2.5, 18_446_744_073_709_551_615_u64],
        "deep": {"er": {"and": {"deeper": []}}}, "": {}, "a.b": 1
    });
    index.insert_item(Item::new(1_u64, [1.0]).with_json(json.clone()).expect("storable")).expect("inserted");
    let read = || {
        let item = index.get_item(1_u64).expect("readable").expect("there");
        vectra::metadata_to_json(&item.metadata)
    };
    assert_eq!(read(), json);
    index.flush().expect("flushed");
    assert_eq!(read(), json);
}

#[test]
fn a_folder_on_disk_serves_in_every_mode() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let mut model = Model::new();
    for (round, mode) in (1..).zip([Mode::Map, Mode::Read, Mode::Lean, Mode::Map, Mode::Lean]) {
        let builder = Builder::new().mode(mode).threads(1);
        let index =
            if round == 1 { builder.create(&path, Rest::Sealed.settings(2)) } else { builder.open(&path) };
        let index = index.expect("the folder");
        if round == 1 {
            write_all(&index, &mut model, Rest::Sealed);
        }
        assert_holds(&index.snapshot(), &model, "on disk");
        change(&index, &mut model, round);
        index.compact().expect("compacted");
        index.close().expect("closed");
        let report = vectra::verify_deep(&path).expect("readable");
        assert!(report.findings.is_empty() && report.parts > 0 && report.bytes > 0, "{report:?}");
    }
    assert_holds(&Index::open(&path).expect("opened").snapshot(), &model, "with the defaults");
}

#[test]
fn a_query_out_of_time_says_so() {
    let index =
        Builder::new().fs(Arc::new(MemFs::new())).create("/index", Settings::new(3)).expect("an empty disk");
    index.insert_item(Item::new(1_u64, [1.0, 0.0, 0.0])).expect("a new id");
    let query = || index.query(&[1.0, 0.0, 0.0]);
    let error = query().timeout(Duration::ZERO).run().expect_err("no time at all");
    assert_eq!(error.kind(), vectra::ErrorKind::Timeout, "{error}");
    assert_eq!(query().timeout(Duration::MAX).run().expect("all the time there is").len(), 1);
}
