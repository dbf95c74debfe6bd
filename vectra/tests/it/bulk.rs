//! Bulk loads: power cuts at every call, faults, duplicates, and writes right behind them.

use std::path::Path;

use vectra::{ErrorKind, Item, ItemUpdate, Metric, Settings, Value};
use vectra_core::io::Fs;
use vectra_core::io::sim::Fault;

use crate::crash::Sweep;
use crate::world::{Broken, MODELS, Op, Run, World, check, id, item, sweep_factor, tiny};

/// Loads into an empty index, over sealed and unsealed rows, refused ones, with writes, kills and merges around them.
fn script() -> Vec<Op> {
    use Op::{Close, Compact, Delete, Flush, Insert, Kill, Load, LoadOver, Optimize, Steps, Update, Upsert};
    vec![
        Load((0..4).collect()),
        Insert(vec![4, 5, 6]),
        Flush,
        Insert(vec![8, 9]),
        Upsert(vec![2, 5]),
        LoadOver((2..24).collect()),
        Update(vec![3, 8, 20]),
        Delete(vec![9, 21]),
        Upsert(vec![10, 22]),
        Kill,
        Update(vec![4]),
        Delete(vec![11]),
        Load(vec![30, 31, 21]),
        Load(vec![32, 31]),
        Steps(2),
        Insert(vec![33]),
        LoadOver(vec![33, 34]),
        Delete(vec![33]),
        Kill,
        Steps(3),
        Insert(vec![33]),
        LoadOver(vec![1, 33, 35]),
        Optimize,
        Update(vec![1, 35]),
        Delete(vec![34]),
        Load(vec![34]),
        Compact,
        LoadOver(vec![34, 36]),
        Close,
        Upsert(vec![34]),
    ]
}

/// Segments so small that a load makes several per shard.
fn small(shards: u16) -> Settings {
    let mut settings = tiny(Metric::L2, shards);
    settings.segment_rows_max = 8;
    settings
}

fn survives(sweep: &Sweep) {
    let crashes: u64 =
        (0..sweep_factor()).map(|seed| sweep.everywhere(seed).unwrap_or_else(|e| panic!("{e}"))).sum();
    println!("{:?}, {} shards: {crashes} crashes survived", sweep.model, sweep.settings.shards);
}

#[test]
fn a_load_cut_off_anywhere_is_there_whole_or_not_at_all() {
    survives(&Sweep { script: script(), goes_on: 5, ..Sweep::new(small(1), MODELS[0]) });
}

#[test]
fn a_load_over_several_shards_is_atomic() {
    survives(&Sweep { script: script(), ..Sweep::new(small(3), MODELS[0]) });
    survives(&Sweep { script: script(), ..Sweep::new(small(2), MODELS[1]) });
}

fn index_with(world: &World, keys: &[u64]) -> vectra::Index {
    let index = world.builder().create("/index", small(2)).expect("a new folder");
    index.insert_items(keys.iter().map(|key| item(*key, 0)).collect()).expect("new ids");
    index
}

fn parts(world: &World) -> usize {
    let fs: &dyn Fs = &world.fs;
    fs.list(Path::new("/index/seg")).expect("a folder").len()
        + fs.list(Path::new("/index/tmp")).expect("one").len()
}

#[test]
fn a_refused_load_names_the_id_and_leaves_nothing() {
    let world = World::new(1, MODELS[0]);
    let index = index_with(&world, &[1, 2]);
    let before = parts(&world);
    let taken = index.load_items((0..40).map(|key| item(key, 1))).expect_err("ids 1 and 2 are taken");
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    let named = [1, 2].map(|key| format!("`{}`", id(key)));
    assert!(named.iter().any(|id| taken.to_string().contains(id)), "{taken}");
    let twice = index.load_items([3, 4, 5, 3].map(|key| item(key, 1))).expect_err("3 stands twice");
    assert_eq!(twice.kind(), ErrorKind::Invalid);
    assert!(twice.to_string().contains(&format!("`{}`", id(3))), "{twice}");
    // Far apart, in another segment of the same shard.
    let keys = (10..44).chain([10]);
    let twice = index.load_items(keys.map(|key| item(key, 1))).expect_err("10 stands twice");
    assert!(twice.to_string().contains(&format!("`{}`", id(10))), "{twice}");
    let wrong = index.load_items([Item::new(50_u64, [1.0])]).expect_err("too short a vector");
    assert!(wrong.kind() == ErrorKind::Invalid && wrong.to_string().contains("item 0"), "{wrong}");
    drop(index.bulk_loader());
    assert_eq!(index.snapshot().len(), 2);
    assert_eq!(parts(&world), before, "no part stays behind");
    assert_eq!(index.load_items([]).expect("nothing to do").items, 0);
}

#[test]
fn an_item_that_is_refused_is_left_out_and_the_load_goes_on() {
    let world = World::new(1, MODELS[0]);
    let index = index_with(&world, &[]);
    let mut loader = index.bulk_loader();
    loader.push(item(1, 0)).expect("a good item");
    loader.push(Item::new(2_u64, [f32::NAN; 4])).expect_err("not finite");
    loader.push(item(3, 0)).expect("a good item");
    assert_eq!(loader.items(), 2);
    let receipt = loader.finish().expect("a healthy disk");
    assert_eq!((receipt.items, index.snapshot().len()), (2, 2));
    assert_eq!(index.stats().durable_lsn, receipt.lsn, "acknowledged is durable");
}

#[test]
fn nothing_of_a_load_is_seen_before_it_is_finished() {
    let world = World::new(1, MODELS[0]);
    let index = index_with(&world, &[1]);
    let mut loader = index.bulk_loader().replacing();
    (0..40).try_for_each(|key| loader.push(item(key, 1))).expect("good items");
    let before = index.snapshot();
    assert_eq!(before.len(), 1);
    // Others write meanwhile; what the load does to their rows is decided at its end.
    index.insert_item(item(5, 7)).expect("not there yet");
    index.compact().expect("collections leave the open load alone");
    loader.finish().expect("a healthy disk");
    assert_eq!((before.len(), index.snapshot().len()), (1, 40));
    let found = index.get_item(id(5)).expect("a look-up").expect("there");
    assert_eq!(found, item(5, 1), "the load came later");
}

#[test]
fn what_was_loaded_can_be_written_over_at_once_and_after_a_kill() {
    let world = World::new(1, MODELS[0]);
    let index = index_with(&world, &[1, 2, 3]);
    let mut loader = index.bulk_loader().replacing();
    (0..30).try_for_each(|key| loader.push(item(key, 1))).expect("good items");
    loader.finish().expect("a healthy disk");
    let taken = index.insert_item(item(2, 2)).expect_err("replaced, not gone");
    assert_eq!(taken.kind(), ErrorKind::Conflict);
    index.update_items(vec![ItemUpdate::new(id(1), Value::Null)]).expect("a loaded item");
    index.delete_items(vec![id(2), id(20)]).expect("loaded items");
    index.insert_item(item(20, 3)).expect("gone, so free again");
    let expected: Vec<Item> = index.snapshot().list_items(None, 99).expect("a page").items;
    assert_eq!(expected.len(), 29);
    let disk = world.fs.crash(3);
    drop(index);
    let world = World::on(disk, 2);
    let index = world.builder().open("/index").expect("the log names the parts");
    assert_eq!(index.snapshot().list_items(None, 99).expect("a page").items, expected);
    index.compact().expect("a healthy disk");
    assert_eq!(index.snapshot().list_items(None, 99).expect("a page").items, expected);
    drop(index);
    let report = world.builder().verify_deep("/index").expect("an index");
    assert_eq!(report.findings, []);
}

/// Each call fails once: the load is refused and nothing is there, or nobody knows and the next open tells.
#[test]
fn a_load_that_fails_at_any_call_is_refused_whole() {
    let keys: Vec<u64> = (2..20).collect();
    let calls = {
        let world = World::new(1, MODELS[0]);
        let index = index_with(&world, &[1, 2, 3]);
        let before = world.fs.calls();
        load_over(&index, &keys).expect("no fault yet");
        world.fs.calls() - before
    };
    let mut uncertain = 0;
    for n in 1..=calls {
        let world = World::new(1, MODELS[0]);
        let index = index_with(&world, &[1, 2, 3]);
        world.fs.fail_call(world.fs.calls() + n, Fault::Eio, false);
        match load_over(&index, &keys) {
            // What failed was the removal of a name in tmp, which the next open does again.
            Ok(()) => assert_eq!(index.snapshot().len(), 19, "call {n}"),
            Err(error) => {
                assert_eq!(index.snapshot().len(), 3, "call {n}: {error}");
                uncertain += u32::from(error.kind() == ErrorKind::Uncertain);
            }
        }
        world.fs.clear_faults();
        drop(index);
        let world = World::on(world.fs.crash(n), 2);
        let index = world.builder().open("/index").unwrap_or_else(|e| panic!("call {n}: {e}"));
        let found = index.snapshot().len();
        assert!(found == 3 || found == 19, "call {n}: {found} items");
        index.compact().unwrap_or_else(|e| panic!("call {n}: {e}"));
        drop(index);
        assert_eq!(world.builder().verify_deep("/index").expect("an index").findings, [], "call {n}");
    }
    assert!(uncertain > 0, "the frame's write or sync was among the calls");
}

fn load_over(index: &vectra::Index, keys: &[u64]) -> vectra::Result<()> {
    let mut loader = index.bulk_loader().replacing();
    keys.iter().try_for_each(|key| loader.push(item(*key, 1)))?;
    loader.finish().map(drop)
}

#[test]
fn a_damaged_part_that_only_the_log_names_is_reported_at_open() {
    let world = World::new(1, MODELS[0]);
    let index = index_with(&world, &[]);
    index.load_items((0..12).map(|key| item(key, 0))).expect("a healthy disk");
    drop(index);
    let world = World::on(world.fs.crash(1), 2);
    let fs: &dyn Fs = &world.fs;
    for entry in fs.list(Path::new("/index/seg")).expect("a folder") {
        fs.remove(&Path::new("/index/seg").join(entry.name)).expect("a part");
    }
    let error = world.builder().open("/index").expect_err("acknowledged data is gone");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

/// Loads of many sizes between other writes, against the model.
#[test]
fn loads_and_writes_in_any_order_are_what_the_model_says() {
    for seed in 0..24 * sweep_factor() {
        let world = World::new(seed, MODELS[0]);
        let settings = small(1 + (seed % 3) as u16);
        let (mut run, created) = Run::create(&world, &settings);
        created.expect("a healthy disk");
        let outcome = run.all(&random_script(seed)).and_then(|()| {
            check(&run.index().snapshot(), &run.ledger.now, settings.metric, seed)?;
            drop(run.index.take());
            let findings = world.builder().verify_deep("/index")?.findings;
            if findings.is_empty() { Ok(()) } else { Err(Broken::Wrong(format!("{findings:?}"))) }
        });
        outcome.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

fn random_script(seed: u64) -> Vec<Op> {
    let mut dice = vectra_core::testing::oracle::Dice::new(seed);
    let mut op = move || {
        let (first, count) = (dice.below(40) as u64, 1 + dice.below(20) as u64);
        let keys: Vec<u64> = (first..(first + count).min(46)).step_by(1 + dice.below(3)).collect();
        match dice.below(14) {
            0..4 => Op::LoadOver(keys),
            4 => Op::Load(keys),
            5..7 => Op::Upsert(keys),
            7 => Op::Insert(keys),
            8 => Op::Update(keys),
            9 => Op::Delete(keys),
            10 => Op::Kill,
            11 => Op::Steps(3),
            12 => Op::Flush,
            _ => Op::Optimize,
        }
    };
    (0..40).map(|_| op()).collect()
}

/// In `SlateDB` files that were uploaded, but not published yet, could be collected, since others with later names were
/// published before them. Here the parts of a load are kept however many commits and collections come before its end.
#[test]
fn regress_slatedb_0029_parts_that_no_manifest_names_yet_are_kept() {
    let world = World::new(21, MODELS[0]);
    let index = world.builder().create("/index", small(1)).expect("an empty disk");
    let fs: &dyn Fs = &world.fs;
    let parts = || fs.list(Path::new("/index/seg")).expect("a folder").len();
    let mut loader = index.bulk_loader();
    let mut most = 0;
    for key in 0..40 {
        loader.push(item(key, 1)).expect("new");
        // What a merge replaces is collected with the commits that follow it.
        index.upsert_items(vec![item(100 + key % 3, key)]).expect("a healthy disk");
        index.compact().expect("a healthy disk");
        most = most.max(parts());
    }
    assert!(most > 6, "{most} parts: those of the load are there before it ends");
    assert_eq!(index.snapshot().len(), 3, "and nobody sees them");
    loader.finish().expect("every part is there");
    index.compact().expect("a healthy disk");
    assert_eq!(index.snapshot().len(), 43);
    drop(index);
    let index = world.builder().open("/index").expect("sound");
    for key in 0..40 {
        assert_eq!(index.get_item(id(key)).expect("readable"), Some(item(key, 1)));
    }
    assert_eq!(world.builder().verify_deep("/index").expect("verified").findings, []);
}
