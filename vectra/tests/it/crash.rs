//! Power cuts at every call that reaches the disk, and again while the engine recovers.
//!
//! What was acknowledged is there, exactly; the operation under way is there whole or not at all; nothing is invented;
//! it always opens. Then work goes on, the power is cut again at a random moment of that, and once more.

use std::path::Path;

use vectra::{Durability, ErrorKind, Metric, Settings};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SyncSite};
use vectra_core::testing::oracle::Dice;

use crate::world::{Broken, Ledger, MODELS, Op, Run, World, check, check_items, sweep_factor, tiny};

/// Insert, batch, upsert, update and delete of sealed and unsealed rows, several seals, merges, graphs, compaction,
/// new log files, a kill and two closes.
pub(crate) fn script() -> Vec<Op> {
    use Op::{Close, Compact, Delete, Flush, Insert, Kill, Optimize, Steps, Update, Upsert};
    vec![
        Insert(vec![1]),
        Insert(vec![2, 3, 4, 5]),
        Upsert(vec![2]),
        Update(vec![3]),
        Delete(vec![4]),
        Steps(2),
        Insert(vec![6, 7, 8, 9]),
        Steps(1),
        Update(vec![1]),
        Delete(vec![2, 5]),
        Upsert(vec![3, 10]),
        Kill,
        Insert(vec![4, 11, 12, 13]),
        Update(vec![6, 11]),
        Steps(2),
        Delete(vec![7, 12]),
        Insert(vec![14, 15, 16, 17, 18, 19]),
        Steps(4),
        Upsert((1..9).collect()),
        Flush,
        Update(vec![8, 14, 15]),
        Close,
        Delete(vec![16]),
        Insert(vec![20, 21]),
        Upsert(vec![17, 20]),
        Optimize,
        Update(vec![17, 18]),
        Delete(vec![1, 19, 20]),
        Compact,
        Insert(vec![22, 23]),
        Close,
        Update(vec![22]),
        Upsert(vec![23, 24]),
    ]
}

/// The same with long stretches between syncs, and time for the syncs in the background.
pub(crate) fn lazy_script() -> Vec<Op> {
    use Op::{Delete, Insert, Steps, Sync, Update, Upsert};
    let mut ops = script();
    let more = [
        Steps(9),
        Insert(vec![26]),
        Upsert(vec![27, 28]),
        Steps(9),
        Insert(vec![29]),
        Sync,
        Delete(vec![27]),
    ];
    ops.splice(9..9, more);
    ops.extend((0..5).map(|i| Upsert((8 * i..8 * i + 8).collect())));
    ops.extend([Update(vec![1]), Steps(9), Delete(vec![2, 3]), Steps(1)]);
    ops
}

/// What a user does after a power cut.
fn aftermath() -> Vec<Op> {
    use Op::{Compact, Delete, Flush, Insert, Kill, Steps, Update, Upsert};
    vec![
        Insert(vec![30]),
        Upsert(vec![2, 31, 6]),
        Delete(vec![3, 30]),
        Flush,
        Insert(vec![32, 33, 34]),
        Update(vec![31, 32]),
        Steps(3),
        Kill,
        Upsert(vec![33, 35]),
        Compact,
        Delete(vec![34]),
    ]
}

/// A scenario and how thoroughly it is torn apart.
#[derive(Debug, Clone)]
pub(crate) struct Sweep {
    pub(crate) settings: Settings,
    pub(crate) script: Vec<Op>,
    pub(crate) model: CrashModel,
    /// Outcomes of the crash at each call.
    pub(crate) variants: u64,
    /// In how many of these work goes on after the recovery, to be cut off twice more.
    pub(crate) nested: u64,
    /// This sync is left out.
    pub(crate) ignored: Option<SyncSite>,
}

impl Sweep {
    pub(crate) fn new(settings: Settings, model: CrashModel) -> Self {
        Self { settings, script: script(), model, variants: 1, nested: 1, ignored: None }
    }

    fn world(&self, seed: u64) -> World {
        let world = World::new(seed, self.model);
        if let Some(site) = self.ignored {
            world.fs.ignore_sync(site.file, site.line);
        }
        world
    }

    /// Runs the whole script without a crash; how many calls that takes.
    pub(crate) fn calls(&self, seed: u64) -> Result<World, Broken> {
        let world = self.world(seed);
        let (mut run, created) = Run::create(&world, &self.settings);
        created?;
        run.all(&self.script)?;
        check(&run.index().snapshot(), &run.ledger.now, self.settings.metric, seed)?;
        drop(run);
        Ok(world)
    }

    /// Cuts the power at every call; how many crashes were survived.
    pub(crate) fn everywhere(&self, seed: u64) -> Result<u64, String> {
        let calls = self.calls(seed).map_err(|e| format!("without any crash: {e}"))?.fs.calls();
        // One more: after the last call, with nothing under way.
        (1..=calls + 1).try_fold(0, |sum, n| Ok(sum + self.at(n, seed)?))
    }

    /// Cuts the power at call `n`.
    pub(crate) fn at(&self, n: u64, seed: u64) -> Result<u64, String> {
        let world = self.world(seed ^ n << 32);
        world.fs.crash_at(n);
        let (mut run, created) = Run::create(&world, &self.settings);
        let outcome = created.and_then(|()| run.all(&self.script));
        let context = format!("{:?}, call {n}, seed {seed}", self.model);
        match outcome {
            Err(Broken::Engine(_)) | Ok(()) if world.fs.is_off() || outcome.is_ok() => {}
            Err(e) => return Err(format!("{context}: before the crash: {e}")),
            Ok(()) => unreachable!("guarded above"),
        }
        let ledger = run.ledger.clone();
        drop(run);
        let mut crashes = 0;
        for variant in 0..self.variants {
            let disk = || World::on(world.fs.crash(variant), variant ^ seed);
            let salt = variant ^ n << 8 ^ seed << 24;
            let again = |found| {
                if variant < self.nested { self.crash_again(&disk, found, salt) } else { Ok(1) }
            };
            let survived = self.survive(&disk, &ledger, salt).and_then(again);
            crashes += survived.map_err(|e| format!("{context}, variant {variant}: {e}"))?;
        }
        Ok(crashes)
    }

    /// Recovers on the disk that a crash left; what was found.
    fn survive(&self, disk: &dyn Fn() -> World, ledger: &Ledger, salt: u64) -> Result<Ledger, String> {
        self.miss_newest_log_file(&disk(), ledger)
            .map_err(|e| format!("without the newest log file: {e}"))?;
        let mut found = ledger.clone();
        let recovered = Run::recover(&disk(), &self.settings, ledger).and_then(|mut run| {
            if ledger.created {
                found = run.ledger.clone();
            }
            check(&run.index().snapshot(), &run.ledger.now, self.settings.metric, salt)?;
            drop(run.index.take());
            intact(run.world)
        });
        recovered.map(|()| found).map_err(|e| e.to_string())
    }

    /// Goes on after the crash, is cut off in the recovery or the work behind it, and once more; the number of crashes.
    fn crash_again(&self, disk: &dyn Fn() -> World, ledger: Ledger, salt: u64) -> Result<u64, String> {
        let world = disk();
        let whole = self.interrupted(&world, ledger.clone()).map_err(|e| format!("going on: {e}"))?;
        let calls = world.fs.calls();
        self.last(&world, &whole, salt).map_err(|e| format!("after going on: {e}"))?;
        let mut dice = Dice::new(salt);
        let again = disk();
        again.fs.crash_at(1 + dice.below(calls as usize) as u64);
        let after = self.interrupted(&again, ledger).map_err(|e| format!("in the recovery: {e}"))?;
        let third = World::on(again.fs.crash(salt), salt ^ 1);
        third.fs.crash_at(1 + dice.below(40) as u64);
        let after = self.interrupted(&third, after).map_err(|e| format!("in the second recovery: {e}"))?;
        self.last(&third, &after, salt).map_err(|e| format!("after the third crash: {e}"))?;
        Ok(4)
    }

    /// Cuts the power and looks at what is left.
    fn last(&self, world: &World, ledger: &Ledger, salt: u64) -> Result<(), Broken> {
        let last = World::on(world.fs.crash(salt), salt ^ 2);
        let run = Run::recover(&last, &self.settings, ledger)?;
        check_items(&run.index().snapshot(), &run.ledger.now)?;
        drop(run);
        intact(&last)
    }

    /// Takes away the newest file of the log, if a rotation made it: the file before must tell, or nothing be lost.
    fn miss_newest_log_file(&self, world: &World, ledger: &Ledger) -> Result<(), Broken> {
        let fs: &dyn Fs = &world.fs;
        let Ok(entries) = fs.list(Path::new("/index/wal")) else { return Ok(()) };
        let Some(newest) = entries.iter().rfind(|entry| is_log_file(&entry.name)) else { return Ok(()) };
        let path = Path::new("/index/wal").join(&newest.name);
        let content = fs.read(&path, 1 << 20).map_err(|e| Broken::Wrong(e.to_string()))?;
        // The field `supersedes` of the file's header: a file that recovery made is named by nobody.
        if content.get(96..104) != Some(&[0; 8]) {
            return Ok(());
        }
        fs.remove(&path).map_err(|e| Broken::Wrong(e.to_string()))?;
        match Run::recover(world, &self.settings, ledger) {
            Err(Broken::Engine(e)) if e.kind() == ErrorKind::Corrupt => Ok(()),
            other => other.map(drop),
        }
    }

    /// A recovery with work behind it that a crash may cut off anywhere; what may be found then.
    fn interrupted(&self, world: &World, ledger: Ledger) -> Result<Ledger, Broken> {
        match Run::recover(world, &self.settings, &ledger) {
            Ok(mut run) => {
                let outcome = run.all(&aftermath());
                let ledger = run.ledger.clone();
                drop(run);
                match outcome {
                    Err(Broken::Engine(_)) if world.fs.is_off() => Ok(ledger),
                    other => other.map(|()| ledger),
                }
            }
            Err(Broken::Engine(_)) if world.fs.is_off() => Ok(ledger),
            Err(e) => Err(e),
        }
    }
}

fn is_log_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "wal")
}

/// Whether `verify` finds nothing.
fn intact(world: &World) -> Result<(), Broken> {
    let report = world.builder().verify("/index")?;
    if report.findings.is_empty() { Ok(()) } else { Err(Broken::Wrong(format!("{:?}", report.findings))) }
}

fn survives(sweep: &Sweep) {
    let crashes: u64 =
        (0..sweep_factor()).map(|seed| sweep.everywhere(seed).unwrap_or_else(|e| panic!("{e}"))).sum();
    let Settings { shards, durability, .. } = &sweep.settings;
    println!("{:?}, {shards} shards, {durability:?}: {crashes} crashes survived", sweep.model);
}

#[test]
fn every_acknowledged_write_survives_on_a_forgetful_disk() {
    survives(&Sweep { variants: 3, ..Sweep::new(tiny(Metric::L2, 1), MODELS[0]) });
}

#[test]
fn every_acknowledged_write_survives_on_a_journalling_disk() {
    survives(&Sweep { variants: 2, ..Sweep::new(tiny(Metric::L2, 1), MODELS[1]) });
}

#[test]
fn batches_over_several_shards_are_atomic() {
    survives(&Sweep { variants: 2, nested: 0, ..Sweep::new(tiny(Metric::Cosine, 3), MODELS[0]) });
    survives(&Sweep { nested: 0, ..Sweep::new(tiny(Metric::Cosine, 2), MODELS[1]) });
}

/// With a weaker durability the power may take the newest writes, but only those: a prefix survives, and what was
/// synced, flushed or closed is in it.
#[test]
fn a_prefix_survives_where_nobody_waits_for_the_disk() {
    for durability in [Durability::None, Durability::Interval(std::time::Duration::from_millis(5))] {
        let settings = tiny(Metric::L2, 1).with_durability(durability);
        survives(&Sweep { script: lazy_script(), nested: 0, ..Sweep::new(settings, MODELS[0]) });
    }
}

#[test]
fn a_run_repeated_does_the_same_to_the_disk() {
    for model in MODELS {
        let sweep = Sweep::new(tiny(Metric::L2, 2), model);
        let hash = |seed| sweep.calls(seed).unwrap_or_else(|e| panic!("{e}")).fs.trace_hash();
        assert_eq!(hash(5), hash(5));
        assert_ne!(hash(5), hash(6), "the seed decides something");
    }
}
