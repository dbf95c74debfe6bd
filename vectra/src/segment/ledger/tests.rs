//! The ledger against a naive one, and against copies that went wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use vectra_core::ItemId;
use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::sim::{CrashModel, SimFs};

use super::*;
use crate::builder::Builder;
use crate::engine::Engine;
use crate::error::ErrorKind;
use crate::index::Index;
use crate::item::{Item, ItemUpdate};
use crate::maintain::Attempt;
use crate::segment::build::{RowSource, TruthWriter};
use crate::segment::exact::Vectors;
use crate::segment::sealed::{SealedSegment, SealedView};
use crate::settings::Settings;

fn builder(fs: &SimFs, seed: u64) -> Builder {
    let clock = Arc::new(SimClock::new(1));
    let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
    Builder::new().fs(Arc::new(fs.clone())).env(Env { clock, rng: Arc::new(SeededRng::new(seed)), spawner })
}

fn settings() -> Settings {
    let mut settings =
        Settings::new(2).with_metric(vectra_core::Metric::L2).with_seal_rows(8).with_graph(4, 8);
    settings.segment_rows_max = 64;
    settings
}

fn item(key: u64, version: u64) -> Item {
    Item::new(key, [key as f32, version as f32]).with_metadata([("v", Value::from(version))])
}

/// Two bare segments of eight rows each.
fn two_segments(fs: &SimFs) -> Index {
    let index = builder(fs, 0).create("/index", settings()).expect("a new folder");
    let deferred = index.defer_optimization();
    index.insert_items((0..8).map(|key| item(key, 0)).collect()).expect("new ids");
    index.insert_items((8..16).map(|key| item(key, 0)).collect()).expect("new ids");
    index.flush().expect("a healthy disk");
    drop(deferred);
    index
}

fn naive(model: &BTreeMap<u64, Item>) -> Ledger {
    let mut terms = MetadataTerms::default();
    let rows = model.values().map(|item| {
        let vector: Vec<u8> = item.vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        Ledger::of_row(terms.row(&item.id.encode(), &vector, &item.metadata))
    });
    rows.fold(Ledger::default(), Add::add)
}

/// The ledger of what is visible, in memory and in parts; checks that reading every row gives the same.
fn visible(engine: &Engine) -> Ledger {
    let state = engine.cell.load();
    let mut sum = Ledger::default();
    for shard in &state.shards {
        for view in &shard.sealed {
            let kept = view.ledger().expect("sound parts").expect("sums are known");
            assert_eq!(
                view.segment.truth.ledger(&view.tombstones, &view.overlay).expect("sound parts"),
                kept
            );
            sum = sum + kept;
        }
        for segment in shard.unsealed() {
            let rows = (0..segment.len()).map(|slot| segment.row(slot));
            let rows = rows.filter(|row| row.visible_at(state.visible_lsn));
            sum = rows.fold(sum, |sum, row| sum + Ledger::of_row(row.sum));
        }
    }
    sum
}

/// Replaces the view at `position` of shard 0 by what `change` makes of it, behind the back of the ledger.
fn tamper(engine: &Engine, position: usize, change: impl Fn(&mut SealedView)) {
    engine.cell.publish(|state| {
        let mut shard = crate::snapshot::ShardState::clone(&state.shards[0]);
        let view = &mut shard.sealed[position];
        change(view);
        let base = view.as_base();
        view.segment = Arc::new(SealedSegment { base, ..SealedSegment::clone(&view.segment) });
        state.with_shard(0, shard)
    });
}

fn generation(engine: &Engine) -> u64 {
    engine.committed.lock().newest.generation
}

#[derive(Debug, Clone)]
enum Op {
    Upsert(Vec<u64>),
    Update(Vec<u64>),
    Delete(Vec<u64>),
    Flush,
    Optimize,
    Compact,
    Reopen,
}

fn any_op() -> impl Strategy<Value = Op> {
    let keys =
        || proptest::collection::btree_set(0..40_u64, 1..9).prop_map(|keys| keys.into_iter().collect());
    prop_oneof![
        4 => keys().prop_map(Op::Upsert),
        2 => keys().prop_map(Op::Update),
        2 => keys().prop_map(Op::Delete),
        1 => Just(Op::Flush),
        1 => Just(Op::Optimize),
        1 => Just(Op::Compact),
        1 => Just(Op::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_done_the_ledger_is_that_of_the_visible_rows(ops in proptest::collection::vec(any_op(), 1..24)) {
        let fs = SimFs::new(1, CrashModel::WeakPosix);
        let mut index = builder(&fs, 0).create("/index", settings()).expect("a new folder");
        let mut model = BTreeMap::new();
        for (version, op) in ops.into_iter().enumerate() {
            let version = version as u64;
            match op {
                Op::Upsert(keys) => {
                    index.upsert_items(keys.iter().map(|key| item(*key, version)).collect()).expect("a write");
                    model.extend(keys.into_iter().map(|key| (key, item(key, version))));
                }
                Op::Update(keys) => {
                    let there: Vec<u64> = keys.into_iter().filter(|key| model.contains_key(key)).collect();
                    let new = |key: &u64| ItemUpdate::new(*key, item(*key, version).metadata);
                    index.update_items(there.iter().map(new).collect()).expect("a write");
                    for key in there { model.get_mut(&key).expect("there").metadata = item(key, version).metadata; }
                }
                Op::Delete(keys) => {
                    index.delete_items(keys.iter().map(|key| ItemId::from(*key)).collect()).expect("a write");
                    model.retain(|key, _| !keys.contains(key));
                }
                Op::Flush => index.flush().expect("a healthy disk"),
                Op::Optimize => index.wait_optimized().expect("a healthy disk"),
                Op::Compact => index.compact().expect("a healthy disk"),
                Op::Reopen => {
                    drop(index);
                    index = builder(&fs, version + 1).open("/index").expect("a healthy disk");
                }
            }
            prop_assert_eq!(visible(&index.engine), naive(&model));
        }
        index.flush().expect("a healthy disk");
        let totals = index.engine.committed.lock().newest.ledger();
        prop_assert_eq!(totals, Some(naive(&model)), "after a flush the manifest says it all");
    }
}

#[test]
fn the_terms_bind_content_to_its_id_and_each_other_apart() {
    let mut terms = MetadataTerms::default();
    let (a, b) = (ItemId::from(1_u64).encode(), ItemId::from("1").encode());
    let (red, blue) = (Value::from("red"), Value::from("blue"));
    let straight = terms.row(&a, &[1; 8], &red).wrapping_add(terms.row(&b, &[2; 8], &blue));
    assert_eq!(straight, terms.row(&b, &[2; 8], &blue).wrapping_add(terms.row(&a, &[1; 8], &red)));
    let vectors = terms.row(&a, &[2; 8], &red).wrapping_add(terms.row(&b, &[1; 8], &blue));
    let metadata = terms.row(&a, &[1; 8], &blue).wrapping_add(terms.row(&b, &[2; 8], &red));
    assert!(straight != vectors && straight != metadata && vectors != metadata);
    assert_eq!(
        terms.row(&a, &[1; 8], &blue).wrapping_sub(terms.row(&a, &[1; 8], &red)),
        terms.term(&a, &blue).wrapping_sub(terms.term(&a, &red)),
        "new metadata changes its own term only"
    );
    let mut encoded = Writer::new();
    encode_value(&red, &mut encoded);
    assert_ne!(vector_term(&a, encoded.as_bytes()), terms.term(&a, &red), "the terms are told apart");
}

#[test]
fn a_refusal_names_the_segment_and_both_sides() {
    let (one, two) = (Ledger::of_row(5), Ledger { rows: 2, sum: 7 });
    assert!(one.expect(one, || unreachable!("not needed")).is_ok());
    let error = one.expect(two, || "segment abc".to_owned()).expect_err("they differ");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    for part in ["segment abc", "1 rows", "2 with", &format!("{:032x}", 5), &format!("{:032x}", 7)] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(one + two - two, one);
}

/// A row whose copy is not what its source said: another vector, other metadata, another id.
#[test]
fn a_segment_that_does_not_hold_its_sources_is_refused() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = two_segments(&fs);
    let engine = &index.engine;
    let mut terms = MetadataTerms::default();
    let (id, other_id) = (ItemId::from(90_u64).encode(), ItemId::from(91_u64).encode());
    let (vector, other) = ([1.0_f32, 2.0], [1.0_f32, 2.5]);
    let sum = terms.row(&id, Vectors::F32(&vector).as_bytes(), &Value::Null);
    let write = |id: &[u8], vector: &[f32], metadata: &Value| {
        let mut writer = TruthWriter::begin(&*engine.store, &engine.settings)?;
        let vector = Vectors::F32(vector);
        writer.push(&RowSource { id, lsn: 1, vector, inverse_norm: 1.0, metadata, sum })?;
        let mut fresh = crate::maintain::Fresh::new(engine);
        engine
            .write_segment(engine.next_number(), writer, (1, 1), &mut fresh)
            .map(|segment| segment.entry.sum)
    };
    assert_eq!(write(&id, &vector, &Value::Null).expect("a true copy"), Some(sum));
    let wrong: [(&[u8], &[f32], Value); 3] =
        [(&other_id, &vector, Value::Null), (&id, &other, Value::Null), (&id, &vector, Value::from("new"))];
    for (id, vector, metadata) in wrong {
        let error = write(id, vector, &metadata).expect_err("not what its source said");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn a_merge_of_an_input_that_lost_or_changed_a_row_is_refused() {
    type Tampering = fn(&mut SealedView);
    let tamperings: [Tampering; 3] = [
        // A tombstone that no delete made.
        |view| view.kill(3),
        // New metadata that no update made.
        |view| view.update(2, 5, Arc::new(Value::from("wrong"))),
        // A sum that is not that of the rows.
        |view| {
            let mut segment = SealedSegment::clone(&view.segment);
            segment.entry.sum = segment.entry.sum.map(|sum| sum ^ 1);
            view.segment = Arc::new(segment);
        },
    ];
    for tampering in tamperings {
        let fs = SimFs::new(1, CrashModel::WeakPosix);
        let index = two_segments(&fs);
        let engine = &index.engine;
        tamper(engine, 1, tampering);
        let (before, parts) = (generation(engine), engine.store.list().expect("a folder").parts);
        let error = engine
            .merge(0, &[0, 1], &Attempt::alone(&index.engine))
            .expect_err("not the rows that were sealed");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let name = engine.cell.load().shards[0].sealed[1].segment.entry.rows_part.id.to_string();
        assert!(error.to_string().contains(&name), "{error}");
        assert_eq!(generation(engine), before);
        assert_eq!(engine.store.list().expect("a folder").parts, parts, "the inputs stay, nothing is added");
        assert_eq!(engine.cell.load().shards[0].sealed.len(), 2);
    }
}

#[test]
fn what_died_or_changed_since_the_commit_is_accounted_for() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = two_segments(&fs);
    index.delete_items(vec![ItemId::from(3_u64)]).expect("a write");
    index.update_items(vec![ItemUpdate::new(9_u64, item(9, 1).metadata)]).expect("a write");
    let model: BTreeMap<u64, Item> =
        (0..16).filter(|key| *key != 3).map(|key| (key, item(key, u64::from(key == 9)))).collect();
    let mut expected = naive(&model);
    // `item` puts the version into the vector, too; the update changed the metadata alone.
    let mut terms = MetadataTerms::default();
    let id = ItemId::from(9_u64).encode();
    let bytes = |item: &Item| item.vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    expected.sum = expected.sum.wrapping_sub(terms.row(&id, &bytes(&item(9, 1)), &item(9, 1).metadata));
    expected.sum = expected.sum.wrapping_add(terms.row(&id, &bytes(&item(9, 0)), &item(9, 1).metadata));
    index
        .engine
        .merge(0, &[0, 1], &Attempt::alone(&index.engine))
        .expect("deletes and updates are accounted for");
    assert_eq!(visible(&index.engine), expected);
    assert_eq!(index.engine.committed.lock().newest.ledger(), Some(expected));
}

#[test]
fn a_segment_without_a_sum_is_merged_and_gets_one() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let index = two_segments(&fs);
    let engine = &index.engine;
    let before = visible(engine);
    tamper(engine, 0, |view| {
        let mut segment = SealedSegment::clone(&view.segment);
        segment.entry.sum = None;
        view.segment = Arc::new(segment);
    });
    engine.commit(0, &|shard, _| shard.clone()).expect("a commit");
    assert_eq!(engine.committed.lock().newest.ledger(), None, "one sum is unknown, so is the total");
    engine
        .merge(0, &[0, 1], &Attempt::alone(&index.engine))
        .expect("there is nothing to compare the one with");
    assert_eq!(engine.committed.lock().newest.ledger(), Some(before));
}
