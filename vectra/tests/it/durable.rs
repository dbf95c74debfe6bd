//! Waiting for durability, and acknowledgements whose loss is provable.

use std::path::Path;

use vectra::{Durability, ErrorKind, Index, Metric};
use vectra_core::io::Fs;
use vectra_core::io::sim::SimFs;

use crate::forge::log;
use crate::world::{MODELS, World, id, item, tiny};

const ROOT: &str = "/index";

/// An index with two items that are durable.
fn index(world: &World, ack_after_mark: bool) -> Index {
    let builder = world.builder().ack_after_mark(ack_after_mark);
    let index = builder.create(ROOT, tiny(Metric::L2, 1)).expect("a fresh disk");
    index.insert_items(vec![item(1, 0), item(2, 0)]).expect("no faults");
    index
}

fn has(fs: SimFs, key: u64) -> bool {
    let world = World::on(fs, 9);
    let index = world.builder().open(ROOT).expect("a power cut damages nothing");
    assert!(index.get_item(id(1)).expect("readable").is_some(), "that was durable");
    index.get_item(id(key)).expect("readable").is_some()
}

#[test]
fn what_was_waited_for_survives_a_power_cut() {
    for model in MODELS {
        let world = World::new(4, model);
        let index = index(&world, false);
        let lazy = index.with_durability(Durability::None);
        let first = lazy.insert_items(vec![item(3, 0)]).expect("no faults");
        let second = lazy.insert_items(vec![item(4, 0)]).expect("no faults");
        assert!(index.durable_lsn() < first.lsn, "nobody synced");
        assert!(
            (0..30).any(|seed| !has(world.fs.image().crash(seed), 3)),
            "{model:?}: without waiting it may be lost"
        );
        first.wait_durable(&index).expect("no faults");
        assert!(index.durable_lsn() >= first.lsn);
        assert!((0..30).all(|seed| has(world.fs.image().crash(seed), 3)), "{model:?}");
        index.wait_durable(second.lsn).expect("no faults");
        assert_eq!(index.durable_lsn(), second.lsn);
        assert!((0..30).all(|seed| has(world.fs.image().crash(seed), 4)), "{model:?}");
    }
}

#[test]
fn waiting_for_what_is_durable_syncs_nothing() {
    let world = World::new(5, MODELS[0]);
    let index = index(&world, false);
    let receipt = index.upsert_item(item(1, 1)).expect("no faults");
    let nothing = index.delete_item(id(40)).expect("no faults");
    let before = world.fs.calls();
    receipt.wait_durable(&index).expect("it is");
    nothing.wait_durable(&index).expect("there is nothing to wait for");
    index.wait_durable(0).expect("nothing comes before the first");
    assert_eq!(world.fs.calls(), before);
}

#[test]
fn an_lsn_that_no_write_has_is_refused() {
    let world = World::new(6, MODELS[0]);
    let index = index(&world, false);
    let error = index.wait_durable(index.durable_lsn() + 1).expect_err("nobody wrote it");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    index.insert_item(item(3, 0)).expect("the index works on");
}

/// Flips each bit of a byte of the group written last, with nothing behind it that a moment of rest would have written.
fn damaged(world: &World, at: usize) -> World {
    let fs = world.fs.crash(1);
    let root: &dyn Fs = &fs;
    let mut names = root.list(Path::new("/index/wal")).expect("the log");
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let path = Path::new("/index/wal").join(&names.last().expect("a file").name);
    let content = root.read(&path, 1 << 20).expect("a file");
    let frames = log::frames(&content);
    // A mark has no payload.
    let (frame, _) = frames.iter().rfind(|(_, len)| *len > 0).expect("a batch");
    fs.flip_bit(&path, 8 * (frame + at) as u64).expect("within the file");
    World::on(fs, 7)
}

#[test]
fn with_a_mark_before_it_no_damage_to_an_acknowledged_group_looks_like_a_torn_write() {
    for at in [0, 17, 33, 57, 70] {
        for ack_after_mark in [false, true] {
            let world = World::new(8, MODELS[0]);
            let index = index(&world, ack_after_mark);
            let calls = world.fs.calls();
            index.insert_item(item(3, 0)).expect("acknowledged");
            let wanted = if ack_after_mark { 4 } else { 2 };
            assert_eq!(world.fs.calls() - calls, wanted, "write and sync, and the same for the mark");
            let opened = damaged(&world, at).builder().ack_after_mark(ack_after_mark).open(ROOT);
            match (ack_after_mark, opened) {
                (true, opened) => {
                    let error = opened.map(drop).expect_err("the damage is provable");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                }
                (false, opened) => {
                    let opened = opened.expect("it looks like a torn write");
                    assert!(opened.opened().torn && opened.get_item(id(3)).expect("readable").is_none());
                }
            }
        }
    }
}

/// Also an index that was opened, and writes that were lazy at first.
#[test]
fn the_mark_covers_what_was_waited_for() {
    let world = World::new(9, MODELS[0]);
    drop(index(&world, false));
    let index = world.builder().ack_after_mark(true).open(ROOT).expect("intact");
    let receipt = index.with_durability(Durability::None).insert_items(vec![item(3, 0)]).expect("no faults");
    receipt.wait_durable(&index).expect("no faults");
    let error = damaged(&world, 60).builder().open(ROOT).map(drop).expect_err("the damage is provable");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
