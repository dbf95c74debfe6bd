//! Power cuts in the midst of every call that changes the disk, and again while the engine recovers.
//!
//! What was acknowledged is there, exactly; the operation under way is there whole or not at all; nothing is invented;
//! it always opens. Then work goes on, the power is cut again at a random moment of that, and once more.

use std::path::Path;

use vectra::{Durability, ErrorKind, Metric, Settings};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs, SyncSite};
use vectra_core::testing::oracle::Dice;

use crate::evidence::{Evidence, target};
use crate::world::{
    Broken, Ledger, MODELS, Op, Run, Shot, World, aftermath, check, check_items, random_script, tiny,
};
pub(crate) use crate::world::{lazy_script, script};

/// How deep recoveries are cut off inside recoveries.
const DEPTH: u64 = 3;

/// A scenario and how thoroughly it is torn apart.
#[derive(Debug, Clone)]
pub(crate) struct Sweep {
    pub(crate) settings: Settings,
    pub(crate) script: Vec<Op>,
    pub(crate) model: CrashModel,
    /// Outcomes of the crash at each call.
    pub(crate) variants: u64,
    /// At every so-manieth call, work goes on after the recovery, to be cut off twice more; 0 for never.
    pub(crate) goes_on: u64,
    /// This sync is left out.
    pub(crate) ignored: Option<SyncSite>,
}

impl Sweep {
    pub(crate) fn new(settings: Settings, model: CrashModel) -> Self {
        Self { settings, script: script(), model, variants: 1, goes_on: 0, ignored: None }
    }

    /// This sweep for one of many seeds: every other one does something else than the script.
    fn varied(&self, seed: u64) -> Self {
        let script = if seed % 2 == 1 { random_script(seed, 32) } else { self.script.clone() };
        Self { script, ..self.clone() }
    }

    fn world(&self, seed: u64) -> World {
        let world = World::new(seed, self.model);
        if let Some(site) = self.ignored {
            world.fs.ignore_sync(site.file, site.line);
        }
        world
    }

    /// Runs the whole script without a crash.
    pub(crate) fn calls(&self, seed: u64) -> Result<World, Broken> {
        let world = self.world(seed);
        self.run_whole(&world, seed)?;
        Ok(world)
    }

    fn run_whole(&self, world: &World, seed: u64) -> Result<(), Broken> {
        let (mut run, created) = Run::create(world, &self.settings);
        created?;
        run.all(&self.script)?;
        check(&run.index().snapshot(), &run.ledger.now, self.settings.metric, seed)
    }

    /// Every moment of the script, with the hash of all its calls.
    pub(crate) fn film(&self, seed: u64) -> Result<(Vec<Shot>, u64), String> {
        let world = self.world(seed);
        let (whole, shots) = world.film(|| self.run_whole(&world, seed));
        whole.map_err(|e| format!("{:?}, seed {seed}, without any crash: {e}", self.model))?;
        Ok((shots, world.fs.trace_hash()))
    }

    /// Cuts the power at every call; how many crashes were survived.
    pub(crate) fn everywhere(&self, seed: u64) -> Result<u64, String> {
        let (shots, _) = self.film(seed)?;
        shots.iter().try_fold(0, |sum, shot| Ok(sum + self.at(shot, seed)?))
    }

    /// Cuts the power in this moment, with several outcomes.
    pub(crate) fn at(&self, shot: &Shot, seed: u64) -> Result<u64, String> {
        let n = shot.call();
        let mut crashes = 0;
        for variant in 0..self.variants {
            let salt = variant ^ n << 8 ^ seed << 24;
            let disk = || World::on(shot.crash(salt), salt);
            let outcome = self.survive(&disk, &shot.ledger, salt).and_then(|()| {
                let goes_on = variant == 0 && self.goes_on > 0 && n.is_multiple_of(self.goes_on);
                if goes_on { self.crash_again(&disk(), &shot.ledger, salt) } else { Ok(0) }
            });
            crashes += 1 + outcome
                .map_err(|e| format!("{:?}, seed {seed}, call {n}, variant {variant}: {e}", self.model))?;
        }
        Ok(crashes)
    }

    /// Recovers on the disk that a crash left.
    fn survive(&self, disk: &dyn Fn() -> World, ledger: &Ledger, salt: u64) -> Result<(), String> {
        if salt.is_multiple_of(4) {
            self.miss_newest_log_file(&disk(), ledger)
                .map_err(|e| format!("without the newest log file: {e}"))?;
        }
        self.last(&disk(), ledger, salt).map_err(|e| e.to_string())
    }

    /// Recovers and looks at what is left.
    fn last(&self, world: &World, ledger: &Ledger, salt: u64) -> Result<(), Broken> {
        let run = Run::recover(world, &self.settings, ledger)?;
        // What is listed was compared already; each other road is taken often enough.
        match salt % 3 {
            0 => check(&run.index().snapshot(), &run.ledger.now, self.settings.metric, salt)?,
            1 => check_items(&run.index().snapshot(), &run.ledger.now)?,
            _ => {}
        }
        drop(run);
        if salt.is_multiple_of(2) { intact(world) } else { Ok(()) }
    }

    /// Goes on after the crash, is cut off in the midst of that, and once more; how often.
    fn crash_again(&self, world: &World, ledger: &Ledger, salt: u64) -> Result<u64, String> {
        let mut dice = Dice::new(salt);
        let shot = self.go_on(world, ledger, &mut dice).map_err(|e| format!("going on: {e}"))?;
        let third = World::on(shot.crash(salt), salt ^ 1);
        let shot = self
            .go_on(&third, &shot.ledger, &mut dice)
            .map_err(|e| format!("after the second crash: {e}"))?;
        let last = World::on(shot.crash(salt), salt ^ 2);
        self.last(&last, &shot.ledger, salt).map_err(|e| format!("after the third crash: {e}"))?;
        Ok(2)
    }

    /// A recovery with work behind it; some moment of that.
    fn go_on(&self, world: &World, ledger: &Ledger, dice: &mut Dice) -> Result<Shot, Broken> {
        world.tell(ledger);
        let (outcome, mut shots) = world.film(|| {
            let mut run = Run::recover(world, &self.settings, ledger)?;
            run.all(&aftermath())
        });
        outcome?;
        Ok(shots.swap_remove(dice.below(shots.len())))
    }

    /// Cuts the power inside the recovery from this moment: at every call of it, and then inside the recovery from
    /// that, and inside the recovery from that; how many crashes inside recoveries were survived.
    pub(crate) fn inside_recovery(&self, shot: &Shot, seed: u64) -> Result<u64, String> {
        let mut dice = Dice::new(seed ^ shot.call() << 16);
        let context =
            |e: Broken| format!("{:?}, seed {seed}, inside recovery from {}: {e}", self.model, shot.call());
        let film = self.recovery(&shot.crash(dice.bits()), &shot.ledger, &mut dice).map_err(context)?;
        let mut crashes = 0;
        for first in &film {
            let mut disk = first.crash(dice.bits());
            for _ in 1..DEPTH {
                crashes += 1;
                let film = self.recovery(&disk, &shot.ledger, &mut dice).map_err(context)?;
                let Some(next) = film.get(dice.below(film.len().max(1))) else { break };
                disk = next.crash(dice.bits());
            }
            crashes += 1;
            let world = World::on(disk, dice.bits());
            self.last(&world, &shot.ledger, dice.bits()).map_err(context)?;
        }
        Ok(crashes)
    }

    /// Every moment in the midst of a recovery; what it finds is as uncertain as before until it is through.
    fn recovery(&self, disk: &SimFs, ledger: &Ledger, dice: &mut Dice) -> Result<Vec<Shot>, Broken> {
        let world = World::on(disk.clone(), dice.bits());
        world.tell(ledger);
        let (run, mut shots) = world.film(|| Run::recover(&world, &self.settings, ledger).map(drop));
        run?;
        shots.pop();
        Ok(shots)
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
}

fn is_log_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "wal")
}

/// Whether `verify` finds nothing.
pub(crate) fn intact(world: &World) -> Result<(), Broken> {
    let report = world.builder().verify_deep("/index")?;
    if report.findings.is_empty() { Ok(()) } else { Err(Broken::Wrong(format!("{:?}", report.findings))) }
}

/// Survives `everyday` crashes, or `long` in the long run.
fn survives(test: &'static str, sweep: &Sweep, everyday: u64, long: u64) {
    let Settings { shards, durability, .. } = &sweep.settings;
    let what =
        format!("power cut at every call, {:?}, {shards} shards, durability {durability:?}", sweep.model);
    let mut evidence = Evidence::begin("d1", test, what);
    evidence.until("crashes", target(everyday, long), |evidence, seed| {
        let sweep = sweep.varied(seed);
        let (shots, hash) = sweep.film(seed).unwrap_or_else(|e| panic!("{e}"));
        evidence.trace(seed, hash);
        evidence.add("calls", shots.len() as u64);
        for shot in &shots {
            evidence.add("crashes", sweep.at(shot, seed).unwrap_or_else(|e| panic!("{e}")));
        }
    });
    evidence.end();
}

/// The same for crashes inside recoveries.
fn survives_inside(test: &'static str, sweep: &Sweep, everyday: u64, long: u64) {
    let Settings { shards, durability, .. } = &sweep.settings;
    let what = format!(
        "power cut inside recovery, to depth {DEPTH}, {:?}, {shards} shards, durability {durability:?}",
        sweep.model
    );
    let mut evidence = Evidence::begin("d2", test, what);
    let enough = target(everyday, long);
    evidence.until("crashes inside recovery", enough, |evidence, seed| {
        let sweep = sweep.varied(seed);
        let (shots, hash) = sweep.film(seed).unwrap_or_else(|e| panic!("{e}"));
        evidence.trace(seed, hash);
        let mut dice = Dice::new(seed);
        // Some moments of each run, so that runs are as various as recoveries.
        for _ in 0..12 {
            let shot = &shots[dice.below(shots.len())];
            let crashes = sweep.inside_recovery(shot, seed).unwrap_or_else(|e| panic!("{e}"));
            evidence.add("crashes inside recovery", crashes);
            evidence.add("recoveries", 1);
        }
    });
    evidence.end();
}

pub(crate) const INTERVAL: Durability = Durability::Interval(std::time::Duration::from_millis(5));

#[test]
fn every_acknowledged_write_survives_on_a_forgetful_disk() {
    let sweep = Sweep { variants: 3, goes_on: 5, ..Sweep::new(tiny(Metric::L2, 1), MODELS[0]) };
    survives("weak", &sweep, 5_000, 250_000);
}

#[test]
fn every_acknowledged_write_survives_on_a_journalling_disk() {
    let sweep = Sweep { variants: 3, goes_on: 5, ..Sweep::new(tiny(Metric::L2, 1), MODELS[1]) };
    survives("journal", &sweep, 5_000, 200_000);
}

#[test]
fn every_acknowledged_write_survives_on_windows() {
    let sweep = Sweep { variants: 3, goes_on: 7, ..Sweep::new(tiny(Metric::L2, 2), MODELS[2]) };
    survives("windows", &sweep, 4_000, 150_000);
}

#[test]
fn batches_over_several_shards_are_atomic() {
    let sweep = Sweep { variants: 3, goes_on: 9, ..Sweep::new(tiny(Metric::Cosine, 3), MODELS[0]) };
    survives("weak_shards", &sweep, 3_500, 150_000);
    let sweep = Sweep { variants: 2, goes_on: 9, ..Sweep::new(tiny(Metric::Cosine, 2), MODELS[1]) };
    survives("journal_shards", &sweep, 2_500, 100_000);
}

/// With a weaker durability the power may take the newest writes, but only those: a prefix survives, and what was
/// synced, flushed or closed is in it.
#[test]
fn a_prefix_survives_where_nobody_waits_for_the_disk() {
    let sweep = |shards, durability, model| {
        let settings = tiny(Metric::L2, shards).with_durability(durability);
        Sweep { script: lazy_script(), goes_on: 11, ..Sweep::new(settings, model) }
    };
    survives("none", &sweep(1, Durability::None, MODELS[0]), 1_500, 50_000);
    survives("none_shards", &sweep(3, Durability::None, MODELS[1]), 1_000, 25_000);
    survives("interval", &sweep(1, INTERVAL, MODELS[0]), 1_500, 50_000);
    survives("interval_shards", &sweep(2, INTERVAL, MODELS[2]), 1_000, 25_000);
}

#[test]
fn a_crash_inside_a_recovery_loses_no_more() {
    let sweep =
        |shards, durability, model| Sweep::new(tiny(Metric::L2, shards).with_durability(durability), model);
    survives_inside("weak", &sweep(1, Durability::Sync, MODELS[0]), 1_000, 45_000);
    survives_inside("journal", &sweep(2, Durability::Sync, MODELS[1]), 500, 20_000);
    survives_inside("windows", &sweep(1, Durability::Sync, MODELS[2]), 300, 15_000);
    survives_inside("none", &sweep(1, Durability::None, MODELS[0]), 300, 10_000);
    survives_inside("interval", &sweep(3, INTERVAL, MODELS[1]), 300, 10_000);
}
