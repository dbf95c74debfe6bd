//! Readers beside a writer: what they show, what they hold, and what they leave alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra::{Builder, ErrorKind, Metric, Mode, Reader, Settings};
use vectra_core::codec::digest;
use vectra_core::env::Env;
use vectra_core::io::sim::CallKind;
use vectra_core::io::{Access, Entry, File, Fs, LockGuard, MemFs, Site};
use vectra_core::testing::oracle::Dice;

use crate::world::{
    Broken, MODELS, Meddler, Model, Op, Run, World, check, check_items, script, sweep_factor, tiny,
};

fn names(fs: &dyn Fs, dir: &str) -> BTreeSet<String> {
    fs.list(Path::new(dir))
        .map_or_else(|_| BTreeSet::new(), |found| found.into_iter().map(|e| e.name).collect())
}

fn reader(world: &World) -> Reader {
    world.builder().open_reader("/index").unwrap_or_else(|e| panic!("{e:?}"))
}

/// What the index was at each LSN that somebody was told.
#[derive(Debug, Default)]
struct History(BTreeMap<u64, Arc<Model>>);

impl History {
    fn note(&mut self, run: &Run<'_>) {
        self.0.insert(run.index().stats().visible_lsn, run.ledger.now.clone());
    }

    /// A reader shows one of these states, whole.
    fn check(&self, reader: &Reader, seed: u64) -> u64 {
        let snapshot = reader.snapshot();
        let lsn = snapshot.lsn();
        let model = self.0.get(&lsn).unwrap_or_else(|| panic!("the index never was at LSN {lsn}"));
        check(&snapshot, model, Metric::L2, seed).unwrap_or_else(|e| panic!("at LSN {lsn}: {e}"));
        lsn
    }
}

/// Everything that happens in the script, and more of it.
fn long_script(dice: &mut Dice) -> Vec<Op> {
    let mut ops = script();
    for _ in 0..20 {
        let keys = |dice: &mut Dice| (0..6).map(|_| dice.below(48) as u64).collect::<BTreeSet<u64>>();
        ops.push(Op::Upsert(keys(dice).into_iter().collect()));
        ops.push(Op::Delete(keys(dice).into_iter().collect()));
        ops.push(match dice.below(6) {
            0 => Op::Close,
            1 => Op::Kill,
            2 => Op::Compact,
            3 => Op::Flush,
            _ => Op::Steps(dice.below(5) as u32),
        });
    }
    ops
}

#[test]
fn readers_show_a_state_that_was_and_never_an_older_one_than_is_durable() {
    for seed in 0..4 * sweep_factor() {
        let settings = tiny(Metric::L2, 1 + (seed % 3) as u16);
        let world = World::new(seed, MODELS[0]);
        let mut dice = Dice::new(seed);
        let (mut run, created) = Run::create(&world, &settings);
        created.unwrap_or_else(|e| panic!("{e}"));
        let mut history = History::default();
        history.note(&run);
        let mut readers = [reader(&world), reader(&world)];
        let (mut refreshed, mut news) = (0, 0);
        for (number, op) in long_script(&mut dice).iter().enumerate() {
            run.step(op).unwrap_or_else(|e| panic!("seed {seed}, {op:?}: {e}"));
            history.note(&run);
            let durable = run.index().stats().durable_lsn;
            for reader in &mut readers {
                let before = reader.snapshot();
                match dice.below(5) {
                    0 => *reader = self::reader(&world),
                    1 | 2 => {
                        let newer =
                            reader.refresh().unwrap_or_else(|e| panic!("seed {seed}, after {op:?}: {e}"));
                        news += u64::from(newer);
                        refreshed += 1;
                    }
                    _ => {
                        assert_eq!(reader.snapshot().lsn(), before.lsn(), "nothing moves by itself");
                        continue;
                    }
                }
                let lsn = history.check(reader, number as u64);
                assert!(lsn >= durable, "seed {seed}: LSN {lsn} after {op:?}, {durable} was durable");
                assert!(lsn >= before.lsn(), "seed {seed}: back from LSN {} to {lsn}", before.lsn());
                let then = &history.0[&before.lsn()];
                check_items(&before, then).unwrap_or_else(|e| panic!("a snapshot changed: {e}"));
                assert_eq!(reader.stats().items, reader.snapshot().len());
                assert_eq!(reader.stats().durable_lsn, lsn);
            }
        }
        assert!(refreshed > 20 && news > 5, "seed {seed}: {refreshed} refreshed, {news} with news");
    }
}

/// A reader never shows what is not on the disk: after a power cut everything that it showed is there.
#[test]
fn no_power_cut_takes_back_what_a_reader_showed() {
    for durability in [vectra::Durability::None, vectra::Durability::Sync] {
        let settings = tiny(Metric::L2, 2).with_durability(durability);
        for seed in 0..24 * sweep_factor() {
            let world = World::new(seed, MODELS[(seed % 2) as usize]);
            let mut dice = Dice::new(seed);
            let (mut run, created) = Run::create(&world, &settings);
            created.unwrap_or_else(|e| panic!("{e}"));
            let reader = reader(&world);
            let ops = long_script(&mut dice);
            let upto = dice.below(ops.len());
            run.all(&ops[..upto]).unwrap_or_else(|e| panic!("{e}"));
            reader.refresh().unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(
                reader.snapshot().lsn(),
                run.index().stats().visible_lsn,
                "everything was made durable"
            );
            let now = run.ledger.now.clone();
            check_items(&reader.snapshot(), &now).unwrap_or_else(|e| panic!("{e}"));
            drop(run);
            let after = World::on(world.fs.crash(seed), seed);
            let index = after.builder().open("/index").unwrap_or_else(|e| panic!("{e}"));
            check_items(&index.snapshot(), &now)
                .unwrap_or_else(|e| panic!("seed {seed}, {upto} operations: {e}"));
        }
    }
}

/// What a reader does to the disk: its pin, and syncs.
#[test]
fn a_reader_changes_nothing_but_its_pin() {
    let settings = tiny(Metric::L2, 2);
    let world = World::new(3, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    let quietly = |act: &mut dyn FnMut()| {
        let before = world.fs.calls();
        act();
        for call in world.fs.trace().iter().skip(before as usize) {
            let pin = call.path.starts_with("/index/pins");
            assert!(pin || matches!(call.kind, CallKind::SyncData | CallKind::SyncDir), "{call:?}");
        }
    };
    let mut open = None;
    quietly(&mut || open = Some(reader(&world)));
    let reader = open.expect("opened");
    assert_eq!(names(&world.fs, "/index/pins").len(), 1);
    for op in
        [Op::Upsert(vec![1, 2]), Op::Flush, Op::Delete(vec![2]), Op::Compact, Op::Close, Op::Insert(vec![50])]
    {
        run.step(&op).unwrap_or_else(|e| panic!("{e}"));
        quietly(&mut || {
            reader.refresh().unwrap_or_else(|e| panic!("{e}"));
            check(&reader.snapshot(), &run.ledger.now, Metric::L2, 1).unwrap_or_else(|e| panic!("{e}"));
        });
        assert_eq!(names(&world.fs, "/index/pins").len(), 1, "the old pin goes with the old generation");
    }
    let before = world.fs.calls();
    assert!(!reader.refresh().expect("nothing happened"), "there is nothing new");
    assert_eq!(world.fs.calls(), before, "and nothing is synced or pinned for that");
    quietly(&mut || drop(world.builder().verify_deep("/index").expect("verified")));
    drop(reader);
    assert!(names(&world.fs, "/index/pins").is_empty());
}

#[test]
fn what_a_reader_pins_is_kept_until_it_is_gone() {
    let settings = tiny(Metric::L2, 2);
    let world = World::new(4, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[Op::Compact, Op::Insert(vec![40, 41]), Op::Delete(vec![3])]).unwrap_or_else(|e| panic!("{e}"));
    let fs: &dyn Fs = &world.fs;
    let reader = reader(&world);
    let then = run.ledger.now.clone();
    let generation = format!("{:020}", reader.stats().generation);
    let parts = names(fs, "/index/seg");
    assert!(!parts.is_empty());
    for round in 0..6 {
        run.all(&[Op::Upsert((0..12).collect()), Op::Delete(vec![round]), Op::Compact])
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(names(fs, "/index/seg").is_superset(&parts), "round {round}");
        assert!(names(fs, "/index/manifest").contains(&generation), "round {round}");
    }
    // Not only open files: somebody else could open that generation, and read the log behind it.
    assert!(names(fs, "/index/manifest").len() == 3, "the pinned one and the two newest");
    check(&reader.snapshot(), &then, Metric::L2, 3).unwrap_or_else(|e| panic!("{e}"));
    // A snapshot holds its generation, also when its reader has gone on.
    let snapshot = reader.snapshot();
    assert!(reader.refresh().expect("refreshed"));
    check(&reader.snapshot(), &run.ledger.now, Metric::L2, 4).unwrap_or_else(|e| panic!("{e}"));
    run.step(&Op::Compact).unwrap_or_else(|e| panic!("{e}"));
    assert!(names(fs, "/index/seg").is_superset(&parts));
    drop(snapshot);
    run.all(&[Op::Upsert(vec![1]), Op::Compact, Op::Upsert(vec![2]), Op::Compact])
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(!names(fs, "/index/manifest").contains(&generation));
    assert!(names(fs, "/index/seg").is_disjoint(&parts));
    drop(reader);
    run.all(&[Op::Upsert(vec![1]), Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(names(fs, "/index/manifest").len(), 2);
}

/// A reader that died leaves its pin, but not its lock.
#[test]
fn a_dead_reader_holds_nothing() {
    let settings = tiny(Metric::L2, 1);
    let world = World::new(5, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    run.step(&Op::Compact).unwrap_or_else(|e| panic!("{e}"));
    let fs: &dyn Fs = &world.fs;
    let (parts, generation) = (names(fs, "/index/seg"), run.index().stats().generation);
    let name = format!("/index/pins/{generation:020}-67e55044-10b1-426f-9247-bb680e5fe0c8");
    drop(fs.create_new(Path::new(&name)).expect("a new name"));
    run.all(&[Op::Upsert((0..40).collect()), Op::Compact]).unwrap_or_else(|e| panic!("{e}"));
    assert!(names(fs, "/index/pins").is_empty());
    assert!(names(fs, "/index/seg").is_disjoint(&parts));
}

/// The power goes at any moment while readers come, stay and go: it opens, and their pins are forgotten.
#[test]
fn readers_do_not_get_in_the_way_of_recovery() {
    let settings = tiny(Metric::L2, 1);
    let ops = script();
    let attend = |world: &World, run: &mut Run<'_>| -> Result<(), Broken> {
        let mut readers = Vec::new();
        for (number, op) in ops.iter().enumerate() {
            run.step(op)?;
            if number % 5 == 0 {
                readers.push(world.builder().open_reader("/index")?);
            }
            for reader in &readers {
                reader.refresh()?;
            }
            if number % 7 == 0 && !readers.is_empty() {
                drop(readers.remove(0));
            }
        }
        // Gone without a word, as far as a test can.
        let _: () = std::mem::forget(readers);
        Ok(())
    };
    let whole = World::new(6, MODELS[0]);
    let (mut run, created) = Run::create(&whole, &settings);
    created.and_then(|()| attend(&whole, &mut run)).unwrap_or_else(|e| panic!("{e}"));
    drop(run);
    let calls = whole.fs.calls();
    let mut left = 0;
    for n in (1..=calls + 1).step_by(if sweep_factor() > 1 { 1 } else { 3 }) {
        let world = World::new(6, MODELS[(n % 2) as usize]);
        world.fs.crash_at(n);
        let (mut run, created) = Run::create(&world, &settings);
        let outcome = created.and_then(|()| attend(&world, &mut run));
        assert!(outcome.is_ok() || world.fs.is_off(), "call {n}: {outcome:?}");
        let ledger = run.ledger.clone();
        drop(run);
        let after = World::on(world.fs.crash(n), n);
        left += names(&after.fs, "/index/pins").len();
        let run = Run::recover(&after, &settings, &ledger).unwrap_or_else(|e| panic!("call {n}: {e}"));
        assert!(names(&after.fs, "/index/pins").is_empty(), "call {n}");
        let reader = reader(&after);
        check_items(&reader.snapshot(), &run.ledger.now).unwrap_or_else(|e| panic!("call {n}: {e}"));
    }
    assert!(left > 0, "some pins were left behind");
}

/// Readers that open and refresh in the middle of seals, merges and commits.
#[test]
fn readers_open_in_the_middle_of_anything() {
    let settings = tiny(Metric::L2, 2);
    let world = World::new(7, MODELS[0]);
    let meddler = Meddler::new(world.fs.clone());
    let index = world.builder().fs(Arc::new(meddler.clone())).create("/index", settings).expect("created");
    let (builder, old) = (|| world.builder(), reader(&world));
    let seen = Arc::new(parking_lot::Mutex::new((0_u64, 0_u64)));
    let (shared, env) = (Arc::clone(&seen), (world.fs.clone(), Env::os(1)));
    meddler.set(move || {
        let fresh = Builder::new().fs(Arc::new(env.0.clone())).env(env.1.clone()).mode(Mode::Read);
        let fresh = fresh.open_reader("/index").unwrap_or_else(|e| panic!("{e:?}"));
        old.refresh().unwrap_or_else(|e| panic!("{e:?}"));
        let (a, b) = (fresh.snapshot(), old.snapshot());
        assert_eq!((a.lsn(), a.len()), (b.lsn(), b.len()));
        assert_eq!(a.list_items(None, 99).expect("readable"), b.list_items(None, 99).expect("readable"));
        let mut seen = shared.lock();
        assert!(a.lsn() >= seen.0);
        *seen = (a.lsn(), seen.1 + 1);
    });
    for round in 0..30_u64 {
        let items = (0..7).map(|i| vectra::Item::new(round * 5 + i, [1.0, i as f32, round as f32, 2.0]));
        index.upsert_items(items.collect()).expect("written");
        while world.spawner.step() {}
    }
    index.compact().expect("compacted");
    assert!(seen.lock().1 > 50, "{seen:?}");
    let last = builder().open_reader("/index").expect("opened");
    assert_eq!(last.snapshot().len(), index.snapshot().len());
}

/// A file system on which nothing can be pinned.
#[derive(Debug)]
struct ReadOnly(Arc<MemFs>);

impl Fs for ReadOnly {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        panic!("{} is created by a reader", path.display());
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        assert_eq!(access, Access::Read, "{}", path.display());
        self.0.open(path, access)
    }

    fn link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }

    fn mkdir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn sync_dir_at(&self, _: &Path, _: Site) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn lock(&self, _: &Path, _: &str) -> io::Result<Box<dyn LockGuard>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_space(dir)
    }
}

fn in_memory(fs: &Arc<MemFs>) -> Builder {
    Builder::new().fs(Arc::clone(fs) as Arc<dyn Fs>).env(Env::os(1)).mode(Mode::Read)
}

fn some_items(from: u64) -> Vec<vectra::Item> {
    (from..from + 9).map(|i| vectra::Item::new(i, [1.0, i as f32, 0.0, 2.0])).collect()
}

#[test]
fn where_nothing_can_be_pinned_it_reads_all_the_same() {
    let fs = Arc::new(MemFs::new());
    let index = in_memory(&fs).create("/index", tiny(Metric::L2, 2)).expect("created");
    index.insert_items(some_items(0)).expect("inserted");
    let reader = Builder::new().fs(Arc::new(ReadOnly(Arc::clone(&fs)))).mode(Mode::Read);
    let reader = reader.open_reader("/index").expect("opened");
    assert!(!reader.is_pinned());
    // Without a sync of its own it shows what the log says is durable: what a later write vouches for.
    let old = reader.snapshot();
    for round in 1..30 {
        index.insert_items(some_items(round * 10)).expect("inserted");
        if round % 4 == 0 {
            index.compact().expect("compacted");
        }
        reader.refresh().unwrap_or_else(|e| panic!("round {round}: {e}"));
        assert!(reader.snapshot().len() >= round * 9, "round {round}");
        assert!(reader.get_item(round * 10 - 10).expect("readable").is_some());
    }
    index.close().expect("closed");
    reader.refresh().expect("refreshed");
    assert_eq!(reader.snapshot().len(), 30 * 9);
    assert!(old.len() <= 9 && old.list_items(None, 99).is_ok(), "what is open stays readable");
}

#[test]
fn what_only_newer_programs_may_write_can_be_read() {
    let fs = Arc::new(MemFs::new());
    let index = in_memory(&fs).create("/index", tiny(Metric::L2, 1)).expect("created");
    index.insert_items(some_items(0)).expect("inserted");
    index.close().expect("closed");
    let newest = names(&*fs, "/index/manifest").pop_last().expect("a manifest");
    let path = PathBuf::from("/index/manifest").join(newest);
    let mut bytes = (&*fs as &dyn Fs).read(&path, 1 << 20);
    let patch = |at: usize, bytes: &mut Vec<u8>| {
        bytes[at] |= 4;
        let body = bytes.len() - 16;
        let sum = digest(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&sum);
        (&*fs as &dyn Fs).remove(&path).expect("removed");
        fs.create_new(&path).and_then(|file| file.write_all_at(bytes, 0)).expect("written");
    };
    let bytes = bytes.as_mut().expect("a file");
    // Magic, version, compatible features, then those with which one may only read.
    patch(8 + 2 + 4, bytes);
    let error = in_memory(&fs).open("/index").map(drop).expect_err("not to be written");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("Reader"), "{error}");
    let reader = in_memory(&fs).open_reader("/index").expect("to be read");
    assert_eq!(reader.snapshot().len(), 9);
    // Features that this program cannot read: no damage, nothing to fall back from.
    patch(8 + 2 + 8, bytes);
    for error in [
        in_memory(&fs).open("/index").map(drop).expect_err("unknown"),
        in_memory(&fs).open_reader("/index").map(drop).expect_err("unknown"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("newer program"), "{error}");
    }
}

#[test]
fn a_reader_passes_over_a_damaged_newest_manifest() {
    let settings: Settings = tiny(Metric::L2, 1);
    let world = World::new(8, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    created.and_then(|()| run.all(&script())).unwrap_or_else(|e| panic!("{e}"));
    run.all(&[Op::Flush, Op::Insert(vec![44]), Op::Flush, Op::Delete(vec![44])])
        .unwrap_or_else(|e| panic!("{e}"));
    let newest = names(&world.fs, "/index/manifest").pop_last().expect("a manifest");
    world.fs.flip_bit(&Path::new("/index/manifest").join(newest), 700).expect("long enough");
    let reader = reader(&world);
    check(&reader.snapshot(), &run.ledger.now, Metric::L2, 2).unwrap_or_else(|e| panic!("{e}"));
    assert!(names(&world.fs, "/index/quarantine").is_empty(), "that is the writer's to do");
    assert_eq!(
        world.builder().open_reader("/nowhere").map(drop).expect_err("nothing there").kind(),
        ErrorKind::NotFound
    );
}

/// What readers keep of the log is no reason to seal the few rows that were written since.
#[test]
fn regress_a_reader_that_keeps_the_log_does_not_make_tiny_segments() {
    let world = World::new(6, MODELS[0]);
    let mut settings =
        Settings::new(4).with_seal_rows(500).with_graph(4, 8).with_durability(vectra::Durability::Sync);
    (settings.log_bytes_min, settings.log_bytes_max) = (8 << 10, 8 << 10);
    let index = world.builder().create("/index", settings).expect("a new folder");
    index.insert_item(crate::world::item(0, 0)).expect("a healthy disk");
    let held = reader(&world);
    for first in (1..1001).step_by(100) {
        let items = (first..first + 100).map(|key| crate::world::item(key, 0)).collect();
        index.insert_items(items).expect("a healthy disk");
    }
    index.flush().expect("a healthy disk");
    world.spawner.run_all();
    let before = index.stats();
    assert!(before.log_files > 5, "{} log files", before.log_files);
    for key in 2000..2030 {
        index.insert_item(crate::world::item(key, 0)).expect("a healthy disk");
        // Has the workers look for something to do.
        drop(index.defer_optimization());
        world.spawner.run_all();
    }
    let after = index.stats();
    assert_eq!((after.shards[0].unsealed_rows, after.generation), (30, before.generation));
    // Rows that keep as much of the log themselves are sealed all the same.
    for key in 3000..3400 {
        index.insert_item(crate::world::item(key, 0)).expect("a healthy disk");
    }
    drop(index.defer_optimization());
    world.spawner.run_all();
    assert_eq!(index.stats().shards[0].unsealed_rows, 0);
    assert_eq!(held.snapshot().len(), 1);
}
