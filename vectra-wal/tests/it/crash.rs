//! Power cuts at every call: nothing acknowledged is lost, nothing is invented, the log always opens.

use std::path::Path;

use proptest::prelude::*;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_core::io::{Access, Fs};
use vectra_wal::{Durability, FileLog, OpenError, Options};

use crate::world::{
    INTERVAL, Ledger, MODELS, Step, Stop, World, broken, open, script, sim_env, small_options, wal_dir,
};

/// What a sweep looks at after each cut.
#[derive(Clone, Copy)]
pub(crate) struct Depth {
    pub(crate) seeds: u64,
    /// Also cut the power at every call of the recovery.
    pub(crate) in_recovery: bool,
    pub(crate) ack_after_mark: bool,
    /// Seed of the disk: what becomes of the very call that a cut hits.
    pub(crate) disk: u64,
}

/// Cuts the power at every call of the script and returns the first broken promise.
pub(crate) fn sweep(
    model: CrashModel,
    steps: &[Step],
    depth: Depth,
    prepare: &dyn Fn(&SimFs),
) -> Result<u64, String> {
    let mut world = World::new(depth.disk, model);
    world.options.ack_after_mark = depth.ack_after_mark;
    prepare(&world.fs);
    match world.run(&mut Ledger::default(), steps) {
        Ok(()) => {}
        Err(stop) => return Err(format!("without any crash: {stop}")),
    }
    let calls = world.fs.calls();
    for n in 1..=calls {
        cut_at(model, steps, depth, prepare, n)
            .map_err(|text| format!("{model:?}, call {n} of {calls}: {text}"))?;
    }
    Ok(calls)
}

fn cut_at(
    model: CrashModel,
    steps: &[Step],
    depth: Depth,
    prepare: &dyn Fn(&SimFs),
    n: u64,
) -> Result<(), String> {
    let mut world = World::new(depth.disk, model);
    world.options.ack_after_mark = depth.ack_after_mark;
    prepare(&world.fs);
    let before = world.fs.calls();
    if n <= before {
        return Ok(());
    }
    world.fs.crash_at(n);
    let mut ledger = Ledger::default();
    match world.run(&mut ledger, steps) {
        Err(Stop::Failed(_)) => {}
        // The cut hit a call whose failure nobody needs to hear about.
        Ok(()) if world.fs.is_off() => {}
        other => return Err(format!("{other:?}")),
    }
    for seed in 0..depth.seeds {
        after_crash(&world.fs, &ledger, seed, depth).map_err(|stop| format!("seed {seed}: {stop}"))?;
    }
    Ok(())
}

fn after_crash(off: &SimFs, ledger: &Ledger, seed: u64, depth: Depth) -> Result<(), Stop> {
    newest_file_is_missed(&off.crash(seed), ledger)?;
    damage_is_noticed(&off.crash(seed), ledger)?;
    let world = World::on(off.crash(seed), seed + 100);
    let torn = bad_seals(&world, ledger)?;
    let mut survived = ledger.clone();
    let log = world.open(&mut survived).map_err(unexpected)?;
    drop(log);
    // A rotation that was cut off leaves one at most, in the file before the newest; an opening leaves none.
    let left = bad_seals(&world, ledger)?;
    if torn > 1 || left > 0 {
        return Err(broken(format!("{torn} bad seals after the crash, {left} after the opening")));
    }
    let calls = world.fs.calls();
    if depth.in_recovery {
        for n in 1..=calls {
            let again = World::on(off.crash(seed), seed + 100);
            again.fs.crash_at(n);
            match again.open(&mut ledger.clone()) {
                Err(Stop::Failed(_)) => {}
                Ok(_) if again.fs.is_off() => {}
                other => return Err(broken(format!("recovery cut at call {n}: {other:?}"))),
            }
            go_on(&World::on(again.fs.crash(seed + n), seed + 200), ledger.clone())?;
        }
    }
    go_on(&world, survived)
}

/// How many seals are torn, if there is a log already.
fn bad_seals(world: &World, ledger: &Ledger) -> Result<usize, Stop> {
    let options = Options { replay_from: ledger.floor, ..small_options() };
    match FileLog::check(&*world.fs(), &wal_dir(), options, &mut |_| Ok(())) {
        Ok(found) => Ok(found.bad_seals.len()),
        Err(OpenError::Missing { .. }) if !ledger.created => Ok(0),
        Err(e) => Err(broken(format!("a look fails: {e}"))),
    }
}

/// Appends to the survivor, cuts the power again, and looks again.
fn go_on(world: &World, mut ledger: Ledger) -> Result<(), Stop> {
    let steps = [
        Step::Append(20, 1, Durability::None),
        Step::Append(400, 2, Durability::Sync),
        Step::Append(9, 1, INTERVAL),
    ];
    world.run(&mut ledger, &steps).map_err(unexpected)?;
    let world = World::on(world.fs.crash(1), 300);
    world.open(&mut ledger).map_err(unexpected)?;
    Ok(())
}

/// Without faults, failing is as bad as lying.
fn unexpected(stop: Stop) -> Stop {
    match stop {
        Stop::Failed(text) => broken(text),
        broken @ Stop::Broken(_) => broken,
    }
}

/// If the newest file, come about by rotation, gets lost, the seal of the one before it tells.
fn newest_file_is_missed(fs: &SimFs, ledger: &Ledger) -> Result<(), Stop> {
    let root: &dyn Fs = fs;
    let Ok(entries) = root.list(&wal_dir()) else {
        return Ok(());
    };
    let Some(newest) = entries.iter().rfind(|e| is_log(&e.name)) else {
        return Ok(());
    };
    let path = wal_dir().join(&newest.name);
    let content = root.read(&path, 1 << 20).map_err(|e| broken(e.to_string()))?;
    // The field `supersedes`: a file that recovery made is not named by any seal.
    if content.get(96..104) != Some(&[0; 8]) {
        return Ok(());
    }
    root.remove(&path).map_err(|e| broken(e.to_string()))?;
    let mut options = small_options();
    options.replay_from = ledger.floor;
    match open(std::sync::Arc::new(fs.clone()), &wal_dir(), &sim_env(1).0, options) {
        Ok((_, recovery, _)) if recovery.last_lsn < ledger.durable => {
            Err(broken("nobody noticed that the newest file is gone"))
        }
        Ok(_) | Err(OpenError::Corruption(_) | OpenError::Missing { .. }) => Ok(()),
        Err(e) => Err(broken(e.to_string())),
    }
}

/// Damage to an operation that a mark testifies to is never taken for a torn tail.
fn damage_is_noticed(fs: &SimFs, ledger: &Ledger) -> Result<(), Stop> {
    let root: &dyn Fs = fs;
    let Ok(entries) = root.list(&wal_dir()) else {
        return Ok(());
    };
    for entry in entries.iter().rev().filter(|e| is_log(&e.name)) {
        let path = wal_dir().join(&entry.name);
        let content = root.read(&path, 1 << 20).map_err(|e| broken(e.to_string()))?;
        let Some(at) = frame_of(&content, ledger.marked) else { continue };
        let file = root.open(&path, Access::ReadWrite).map_err(|e| broken(e.to_string()))?;
        file.write_all_at(&[!content[at]], at as u64).map_err(|e| broken(e.to_string()))?;
        let options = Options { replay_from: ledger.floor, ..small_options() };
        return match open(std::sync::Arc::new(fs.clone()), &wal_dir(), &sim_env(1).0, options) {
            Err(OpenError::Corruption(_)) => Ok(()),
            // Nothing below the floor is read.
            Ok(_) if ledger.marked < ledger.floor => Ok(()),
            other => Err(broken(format!("LSN {} is damaged in {}: {other:?}", ledger.marked, entry.name))),
        };
    }
    Ok(())
}

fn is_log(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|x| x == "wal")
}

/// Where the frame that ends with `lsn` begins.
fn frame_of(content: &[u8], lsn: u64) -> Option<usize> {
    let number = |at: usize, len: usize| {
        let bytes = content.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    };
    let mut at = 4096;
    while content.get(at..at + 4) == Some(b"vFrm") {
        let (len, first, ops) = (number(at + 8, 4)?, number(at + 16, 8)?, number(at + 24, 4)?);
        if ops > 0 && first + ops - 1 == lsn {
            return Some(at);
        }
        at += (56 + len as usize).next_multiple_of(8);
    }
    None
}

#[test]
fn a_power_cut_at_every_call_of_a_log_that_marks_before_it_acknowledges() {
    for model in MODELS {
        let depth = Depth { seeds: 4, in_recovery: false, ack_after_mark: true, disk: 3 };
        sweep(model, &script(), depth, &|_| ()).unwrap_or_else(|text| panic!("{text}"));
    }
}

#[test]
fn a_power_cut_at_every_call() {
    for model in MODELS {
        let depth = Depth { seeds: 6, in_recovery: false, ack_after_mark: false, disk: 3 };
        let calls = sweep(model, &script(), depth, &|_| ()).unwrap_or_else(|text| panic!("{text}"));
        assert!(calls > 50, "only {calls} calls");
    }
}

#[test]
fn a_power_cut_at_every_call_and_again_in_recovery() {
    for model in MODELS {
        let depth = Depth { seeds: 2, in_recovery: true, ack_after_mark: false, disk: 3 };
        sweep(model, &script(), depth, &|_| ()).unwrap_or_else(|text| panic!("{text}"));
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let durability = || prop_oneof![Just(Durability::Sync), Just(Durability::None), Just(INTERVAL)];
    prop_oneof![
        2 => (0..800_usize, 1..4_u32).prop_map(|(len, ops)| Step::Queue(len, ops)),
        6 => (0..800_usize, 1..4_u32, durability()).prop_map(|(len, ops, d)| Step::Append(len, ops, d)),
        1 => Just(Step::Sync),
        1 => (0..6_u64).prop_map(Step::TruncateTo),
        1 => Just(Step::Tick),
        1 => Just(Step::Anchor),
        1 => Just(Step::Reopen),
        1 => Just(Step::CloseAndReopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_script_with_a_power_cut_anywhere(
        steps in proptest::collection::vec(any_step(), 1..40), at in any::<prop::sample::Index>(), model in 0..2_usize,
    ) {
        let world = World::new(3, MODELS[model]);
        world.run(&mut Ledger::default(), &steps).expect("no fault, no failure");
        let n = at.index(world.fs.calls() as usize) as u64 + 1;
        let depth = Depth { seeds: 3, in_recovery: true, ack_after_mark: false, disk: 3 };
        prop_assert_eq!(cut_at(MODELS[model], &steps, depth, &|_| (), n), Ok(()));
    }
}
