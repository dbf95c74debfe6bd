//! Writers, readers and background work at once, on real threads and a real folder.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use vectra::{
    ErrorKind, FieldKind, Filter, Index, Item, ItemId, ItemUpdate, Metric, Settings, Snapshot, Value,
};
use vectra_core::testing::oracle::Dice;

const DIM: usize = 8;
/// Items that are always written together.
const GROUP: u64 = 16;
const WRITERS: u64 = 4;
/// The group that all writers write; each has one of its own besides.
const SHARED: u64 = WRITERS;
const ROUNDS: u64 = 96;

struct Bed {
    index: Index,
    folder: tempfile::TempDir,
}

impl Bed {
    fn new(shards: u16, seal_rows: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings::new(DIM as u32)
            .with_metric(Metric::L2)
            .with_shards(shards)
            .with_seal_rows(seal_rows)
            .with_graph(8, 32)
            .with_indexed_field("group", FieldKind::Number);
        let index = Index::create(folder.path().join("index"), settings).expect("created");
        Self { index, folder }
    }
}

fn id(group: u64, i: u64) -> ItemId {
    ItemId::from(group * 1000 + i)
}

fn metadata(group: u64, stamp: u64) -> Value {
    Value::from([("group", group.into()), ("stamp", stamp.into())])
}

fn whole_group(group: u64, stamp: u64) -> Vec<Item> {
    let mut dice = Dice::new(group << 32 | stamp);
    let mut vector = || (0..DIM).map(|_| dice.uniform()).collect::<Vec<f32>>();
    (0..GROUP).map(|i| Item::new(id(group, i), vector()).with_metadata(metadata(group, stamp))).collect()
}

fn stamp_of(metadata: &Value) -> i64 {
    match metadata.get("stamp") {
        Some(Value::Int(stamp)) => *stamp,
        other => panic!("every item has a stamp, found {other:?}"),
    }
}

/// The one stamp that all items of the group carry, by look-up, by query and by list; `None` if none is there.
fn stamp(snapshot: &Snapshot, group: u64) -> Option<i64> {
    let items: Vec<Option<Item>> =
        (0..GROUP).map(|i| snapshot.get_item(id(group, i)).expect("readable")).collect();
    let stamps: Vec<Option<i64>> =
        items.iter().map(|item| item.as_ref().map(|item| stamp_of(&item.metadata))).collect();
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "half a batch of group {group}: {stamps:?}");

    let wanted = Filter::eq("group", group);
    let query = snapshot.query(&[0.1; DIM]).top_k(50).filter(wanted);
    let hits = if group.is_multiple_of(2) { query.exact().run() } else { query.run() }.expect("answered");
    let expected = if stamps[0].is_some() { GROUP as usize } else { 0 };
    assert_eq!(hits.len(), expected, "group {group}: {hits:?}");
    for hit in hits {
        assert_eq!(Some(stamp_of(&hit.metadata.expect("asked for"))), stamps[0], "group {group}");
    }
    let before = id(group, 0);
    let page = snapshot.list_items(Some(&before), GROUP as usize - 1).expect("a page");
    for item in page.items.iter().filter(|item| item.metadata.get("group") == Some(&Value::from(group))) {
        assert_eq!(Some(stamp_of(&item.metadata)), stamps[0], "group {group}");
    }
    stamps[0]
}

/// One write of a group as a whole, by the verb whose turn it is.
fn write_group(index: &Index, group: u64, round: u64, stamp: u64) {
    let receipt = if round > 0 && !round.is_multiple_of(3) {
        let updates = (0..GROUP).map(|i| ItemUpdate::new(id(group, i), metadata(group, stamp)));
        index.update_items(updates.collect())
    } else {
        index.upsert_items(whole_group(group, stamp))
    };
    assert_eq!(receipt.expect("written").items, GROUP);
}

fn write(index: &Index, writer: u64) {
    for round in 0..ROUNDS {
        write_group(index, writer, round, round);
        assert_eq!(stamp(&index.snapshot(), writer), Some(round as i64), "an acknowledged write is visible");
        let shared = writer << 32 | round;
        let receipt = index.upsert_items(whole_group(SHARED, shared)).expect("written");
        assert!(index.snapshot().lsn() >= receipt.lsn);
        if round % 16 == 15 {
            index.delete_items((0..GROUP).map(|i| id(writer, i)).collect()).expect("deleted");
            assert_eq!(stamp(&index.snapshot(), writer), None);
            index.insert_items(whole_group(writer, round)).expect("a deleted id is free");
        }
    }
}

/// Looks at the ends of every group as often as it can until told to stop: between two looks hardly anything happens.
fn glance(index: &Index, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let snapshot = index.snapshot();
        for group in 0..=SHARED {
            let [first, last] = [0, GROUP - 1].map(|i| snapshot.get_item(id(group, i)).expect("readable"));
            let [first, last] =
                [&first, &last].map(|item| item.as_ref().map(|item| stamp_of(&item.metadata)));
            assert_eq!(first, last, "half a batch of group {group}");
        }
    }
}

/// Reads until told to stop: every snapshot is whole and not older than the one before. How many there were.
fn read(index: &Index, stop: &AtomicBool) -> u64 {
    let mut newest = BTreeMap::new();
    let (mut lsn, mut count) = (0, 0);
    while !stop.load(Ordering::Acquire) {
        let snapshot = index.snapshot();
        assert!(snapshot.lsn() >= lsn, "time does not run backwards");
        lsn = snapshot.lsn();
        for group in 0..=SHARED {
            let Some(stamp) = stamp(&snapshot, group) else { continue };
            let before = newest.insert(group, stamp).unwrap_or(stamp);
            assert!(group == SHARED || stamp >= before, "group {group} went from {before} to {stamp}");
        }
        count += 1;
    }
    count
}

#[test]
fn no_snapshot_shows_half_a_batch() {
    let Bed { index, folder } = Bed::new(4, 50);
    index.upsert_items(whole_group(9, 77)).expect("written");
    let pinned = index.snapshot();
    let stop = AtomicBool::new(false);
    let snapshots = thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read(&index, &stop))).collect();
        let glancer = scope.spawn(|| glance(&index, &stop));
        let keeper = scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                index.flush().expect("flushed");
                index.compact().expect("compacted");
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let index = &index;
                    move || write(index, writer)
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Release);
        assert!(ended.into_iter().all(|end| end.is_ok()), "a writer panicked");
        glancer.join().expect("what was glanced at was whole");
        keeper.join().expect("the background work went well");
        readers.into_iter().map(|reader| reader.join().expect("what was read was whole")).sum::<u64>()
    });
    assert!(snapshots > 1);
    let check = |index: &Index| {
        let snapshot = index.snapshot();
        (0..WRITERS).for_each(|writer| assert_eq!(stamp(&snapshot, writer), Some(ROUNDS as i64 - 1)));
        assert!(stamp(&snapshot, SHARED).is_some_and(|stamp| stamp as u64 & 0xffff == ROUNDS - 1));
        assert_eq!(snapshot.len(), (WRITERS + 2) * GROUP);
    };
    check(&index);
    assert_eq!((pinned.len(), stamp(&pinned, 9)), (GROUP, Some(77)), "a pinned snapshot does not move");
    index.wait_optimized().expect("optimized");
    index.close().expect("closed");
    let path = folder.path().join("index");
    check(&Index::open(&path).expect("opened"));
    assert!(vectra::verify_deep(&path).expect("verified").findings.is_empty());
}

/// Inserts beside a vacuum left pgvector's graph with edges to what was gone, and later scans failed. Here graphs are
/// built over rows that do not change, and merging swaps them as a whole.
#[test]
fn regress_pgvector_988_inserts_beside_merges_leave_sound_graphs() {
    const ROWS: u64 = 400;
    let Bed { index, folder } = Bed::new(1, 60);
    let item = |writer: u64, n: u64| {
        let mut dice = Dice::new(writer << 32 | n);
        Item::new(writer * 10_000 + n, (0..DIM).map(|_| dice.uniform()).collect::<Vec<f32>>())
    };
    let stop = AtomicBool::new(false);
    let merges = thread::scope(|scope| {
        let keeper = scope.spawn(|| {
            let mut merges = 0;
            while !stop.load(Ordering::Acquire) {
                index.compact().expect("compacted");
                merges += 1;
            }
            merges
        });
        let write = |writer: u64| {
            for first in (0..ROWS).step_by(20) {
                index.insert_items((first..first + 20).map(|n| item(writer, n)).collect()).expect("new");
                let gone = (first..first + 20).filter(|n| n % 4 == 0);
                index.delete_items(gone.map(|n| item(writer, n).id).collect()).expect("there");
            }
        };
        let writers = [0, 1].map(|writer| scope.spawn(move || write(writer)));
        let ended = writers.map(thread::ScopedJoinHandle::join);
        stop.store(true, Ordering::Release);
        assert!(ended.into_iter().all(|end| end.is_ok()), "a writer panicked");
        keeper.join().expect("merging went well")
    });
    assert!(merges > 0);
    let check = |index: &Index| {
        assert_eq!(index.snapshot().len(), 2 * ROWS * 3 / 4);
        for (writer, n) in [0, 1].into_iter().flat_map(|w| (0..ROWS).map(move |n| (w, n))) {
            let item = item(writer, n);
            let hits = index.query(&item.vector).top_k(1).run().expect("no scan fails");
            assert_eq!(hits[0].id == item.id, n % 4 != 0, "{}: {hits:?}", item.id);
        }
    };
    check(&index);
    index.wait_optimized().expect("optimized");
    check(&index);
    index.close().expect("closed");
    assert_eq!(vectra::verify_deep(folder.path().join("index")).expect("verified").findings, []);
}

#[test]
fn of_several_inserts_of_an_id_one_wins() {
    const IDS: u64 = 150;
    let Bed { index, .. } = Bed::new(2, 40);
    let (won, barrier) = (AtomicU64::new(0), Barrier::new(WRITERS as usize));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (index, won, barrier) = (&index, &won, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for n in 0..IDS {
                    let item = Item::new(n, [n as f32; DIM]).with_metadata([("writer", writer.into())]);
                    match index.insert_item(item) {
                        Ok(_) => {
                            won.fetch_add(1, Ordering::Relaxed);
                            let stored = index.get_item(n).expect("readable").expect("visible at once");
                            assert_eq!(stored.metadata.get("writer"), Some(&writer.into()));
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(won.into_inner(), IDS);
    assert_eq!(index.snapshot().len(), IDS);
    assert_eq!(index.stats().visible_lsn, IDS, "what lost left no trace in the log");
}

#[test]
fn writers_share_syncs() {
    const WRITES: u64 = 60;
    const THREADS: u64 = 8;
    let Bed { index, .. } = Bed::new(1, 10_000);
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (index, barrier) = (&index, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for n in 0..WRITES {
                    let receipt =
                        index.insert_item(Item::new(thread * WRITES + n, [n as f32; DIM])).expect("inserted");
                    let stats = index.stats();
                    assert!(stats.durable_lsn >= receipt.lsn, "acknowledged before it was synced: {stats:?}");
                }
            });
        }
    });
    let stats = index.stats();
    assert_eq!(stats.items, THREADS * WRITES);
    assert!(stats.log_syncs < THREADS * WRITES, "{} syncs for {} writes", stats.log_syncs, THREADS * WRITES);
}
