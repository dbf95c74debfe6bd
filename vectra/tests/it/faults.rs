//! Every call to the disk fails once, or for good, in every way it can.
//!
//! Never a panic, never a false acknowledgement; reads go on meanwhile; once the disk is well again, reopening finds
//! everything that was acknowledged, after a restart of the process as well as after a power cut.

use std::path::Path;

use vectra::{Durability, Error, ErrorKind, Health, Metric, Settings};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CallKind, Fault, SyncedContent};

use crate::crash::INTERVAL;
use crate::evidence::{Evidence, target};
use crate::world::{Broken, Ledger, MODELS, Op, Run, World, check, check_items, random_script, script, tiny};

const FAULTS: [Fault; 6] = [
    Fault::Eio,
    Fault::Enospc,
    Fault::Interrupted,
    Fault::Short,
    Fault::SyncFailed { content: SyncedContent::Kept },
    Fault::SyncFailed { content: SyncedContent::Reverted },
];

/// What is done while a call fails.
#[derive(Debug)]
struct Workload {
    settings: Settings,
    script: Vec<Op>,
    seed: u64,
}

impl Workload {
    /// The usual script, or what a seed decides.
    fn new(seed: u64) -> Self {
        let script = if seed == 0 { script() } else { random_script(seed, 32) };
        let durability = if seed % 4 == 3 { INTERVAL } else { Durability::Sync };
        let settings = tiny(Metric::L2, 1 + (seed % 2) as u16).with_durability(durability);
        Self { settings, script, seed }
    }

    fn world(&self, model: usize) -> World {
        World::new(1 + self.seed, MODELS[model])
    }

    /// The kinds of the calls that it makes, in order.
    fn calls(&self, model: usize) -> Vec<CallKind> {
        let world = self.world(model);
        let (mut run, created) = Run::create(&world, &self.settings);
        created.and_then(|()| run.all(&self.script)).unwrap_or_else(|e| panic!("{e}"));
        world.fs.trace().iter().map(|call| call.kind).collect()
    }
}

/// Whether `fault` makes a difference to such a call: faults pass over calls they do not apply to.
fn concerns(fault: Fault, kind: CallKind) -> bool {
    match fault {
        Fault::Short => kind == CallKind::Write,
        Fault::SyncFailed { .. } => kind.is_sync(),
        Fault::Enospc => !kind.is_sync(),
        _ => true,
    }
}

/// Runs the script on a disk that fails call `n`; every error is taken, and reads must go on.
fn endure(world: &World, workload: &Workload, n: u64) -> Result<Ledger, Broken> {
    let (mut run, created) = Run::create(world, &workload.settings);
    match created {
        Err(Broken::Engine(e)) => return blameless(&e).map(|()| run.ledger),
        other => other?,
    }
    for op in &workload.script {
        match run.step(op) {
            Err(Broken::Engine(e)) => blameless(&e)?,
            other => other?,
        }
        if run.index.is_none() {
            break;
        }
        if world.fs.calls() < n {
            continue;
        }
        check_items(&run.index().snapshot(), &run.ledger.now)
            .map_err(|e| Broken::Wrong(format!("reading after {op:?}: {e}")))?;
        if let Health::Stopped { error } | Health::Degraded { error, .. } = run.index().health() {
            blameless(&error)?;
        }
    }
    Ok(run.ledger.clone())
}

/// A failing disk is no reason to call the data corrupt, or the request wrong.
fn blameless(error: &Error) -> Result<(), Broken> {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Full | ErrorKind::Uncertain | ErrorKind::Unavailable => Ok(()),
        kind if error.to_string().contains("panicked") => Err(Broken::Wrong(format!("a panic: {kind:?}"))),
        _ => Err(Broken::Wrong(format!("a failing disk was reported as {error:?}"))),
    }
}

/// How a call fails, and what comes after.
#[derive(Debug, Clone, Copy)]
struct Failure {
    n: u64,
    fault: Fault,
    sticky: bool,
    /// The power is cut before the disk is well again; otherwise only the process starts anew.
    power_cut: bool,
    model: usize,
}

fn fail_call(workload: &Workload, failure: Failure) -> Result<(), Broken> {
    let Failure { n, fault, sticky, power_cut, model } = failure;
    let settings = &workload.settings;
    let world = workload.world(model);
    world.fs.fail_call(n, fault, sticky);
    let ledger = endure(&world, workload, n)?;
    world.fs.clear_faults();
    // A sync that failed may have left names that look durable; a creation that failed is begun afresh elsewhere.
    let power_cut = power_cut || !ledger.created;
    let disk = if power_cut { world.fs.crash(n) } else { world.fs.clone() };
    let healthy = World::on(disk, n);
    let mut run = Run::recover(&healthy, settings, &ledger)?;
    check(&run.index().snapshot(), &run.ledger.now.clone(), settings.metric, n)?;
    // What a restart found is built upon; then the power goes, and takes nothing of it.
    let more = [Op::Insert(vec![40]), Op::Upsert(vec![41, 3, 42]), Op::Flush, Op::Delete(vec![40]), Op::Sync];
    run.all(&more)?;
    let ledger = run.ledger.clone();
    drop(run);
    let last = World::on(healthy.fs.crash(n), n + 1);
    Run::recover(&last, settings, &ledger).map(drop)
}

/// Fails every call of one workload in every day's run, of twenty in the long one.
fn sweep(test: &'static str, sticky: bool) {
    let when = if sticky { "from then on" } else { "once" };
    let what = format!("every call fails {when}: {FAULTS:?}");
    let mut evidence = Evidence::begin("d5", test, what);
    evidence.until("workloads", target(1, 20), |evidence, seed| {
        let workload = Workload::new(seed);
        evidence.add("workloads", 1);
        let all = [0, 1, 2].map(|model| workload.calls(model));
        for (i, fault) in FAULTS.into_iter().enumerate() {
            let calls = all.iter().map(Vec::len).max().unwrap_or(0);
            for n in 1..=calls {
                // Every call meets every fault; disks and what follows take turns.
                let model = (n + i) % 3;
                if !all[model].get(n - 1).is_some_and(|kind| concerns(fault, *kind)) {
                    continue;
                }
                let power_cut = (n / 3 + i + seed as usize).is_multiple_of(2);
                let failure = Failure { n: n as u64, fault, sticky, power_cut, model };
                fail_call(&workload, failure).unwrap_or_else(|e| panic!("workload {seed}, {failure:?}: {e}"));
                evidence.add("failed calls", 1);
            }
        }
    });
    evidence.end();
}

#[test]
fn a_call_that_fails_once_costs_no_acknowledged_write() {
    sweep("once", false);
}

#[test]
fn a_disk_that_fails_for_good_costs_no_acknowledged_write() {
    sweep("sticky", true);
}

/// A manifest that was linked but could not be synced may be the newest that the next open finds; what it names is no
/// garbage.
#[test]
fn regress_what_an_uncertain_manifest_names_is_not_collected() {
    let settings = tiny(Metric::L2, 1);
    let world = World::new(1, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    created
        .and_then(|()| run.all(&[Op::Insert((0..5).collect()), Op::Flush]))
        .unwrap_or_else(|e| panic!("{e}"));
    // The next commit syncs new parts first, then the folder of the manifest: let only that fail.
    let before = world.fs.calls();
    run.all(&[Op::Delete(vec![1]), Op::Flush]).unwrap_or_else(|e| panic!("{e}"));
    let trace = world.fs.trace();
    let linked = trace
        .iter()
        .skip(before as usize)
        .find(|call| call.kind == CallKind::Link && call.path.to_string_lossy().contains("manifest"));
    let distance = linked.expect("a flush commits").n - before;
    let now = world.fs.calls();
    world.fs.fail_call(now + distance + 1, Fault::SyncFailed { content: SyncedContent::Kept }, false);
    for op in [Op::Delete(vec![2]), Op::Flush, Op::Compact, Op::Compact, Op::Steps(20)] {
        // Some of these fail, and must; none may take away what the new manifest names.
        let _refused = run.step(&op);
    }
    assert!(!matches!(run.index().health(), Health::Good), "the fault was met");
    let ledger = run.ledger.clone();
    drop(run);
    world.fs.clear_faults();
    let healthy = World::on(world.fs.clone(), 2);
    Run::recover(&healthy, &settings, &ledger).unwrap_or_else(|e| panic!("{e}"));
}

/// A flush has nothing to do after a write whose outcome is uncertain, and makes it no more certain.
#[test]
fn a_write_stays_uncertain_until_the_index_is_opened_again() {
    let write = vec![Op::Upsert(vec![21, 27])];
    let alone = Workload { script: write.clone(), ..Workload::new(1) };
    let synced = alone.calls(0).iter().rposition(|kind| *kind == CallKind::SyncData).expect("a commit");
    let workload = Workload { script: [write, vec![Op::Flush]].concat(), ..alone };
    for sticky in [false, true] {
        let n = synced as u64 + 1;
        let failure = Failure { n, fault: Fault::Eio, sticky, power_cut: false, model: 0 };
        fail_call(&workload, failure).unwrap_or_else(|e| panic!("{failure:?}: {e}"));
    }
}

/// What may or may not have been written decides nothing: no write is refused for it, none is said to have met it.
#[test]
fn regress_after_a_failed_log_every_write_is_refused_for_that() {
    for fault in [Fault::Eio, Fault::SyncFailed { content: SyncedContent::Kept }] {
        let world = World::new(3, MODELS[1]);
        let (mut run, created) = Run::create(&world, &tiny(Metric::L2, 2));
        created.and_then(|()| run.all(&[Op::Insert(vec![1, 2])])).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(run.index().health(), Health::Good));
        let skipped = u64::from(matches!(fault, Fault::SyncFailed { .. }));
        world.fs.fail_call(world.fs.calls() + 1 + skipped, fault, false);
        let lost = run.step(&Op::Insert(vec![0])).expect_err("the log failed");
        assert!(matches!(&lost, Broken::Engine(e) if e.kind() == ErrorKind::Uncertain), "{lost}");
        for op in [
            Op::Insert(vec![0, 8]),
            Op::Upsert(vec![0]),
            Op::Update(vec![0]),
            Op::Update(vec![1]),
            Op::Delete(vec![0]),
            Op::Load(vec![0]),
        ] {
            let refused = run.step(&op).expect_err("the log failed before");
            let unavailable = matches!(&refused, Broken::Engine(e) if e.kind() == ErrorKind::Unavailable);
            assert!(unavailable, "{op:?} after {fault:?}: {refused}");
        }
        assert!(matches!(run.index().health(), Health::Stopped { .. }));
        check_items(&run.index().snapshot(), &run.ledger.now).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A closed index with sealed segments of every age, tombstones, overlays, and rows that are only in the log.
pub(crate) fn closed(settings: &Settings) -> (World, Ledger) {
    let world = World::new(11, MODELS[0]);
    let (mut run, created) = Run::create(&world, settings);
    let mut ops = script();
    ops.extend([
        Op::Insert(vec![26, 27, 28, 29, 30, 31]),
        Op::Steps(2),
        Op::Update(vec![26]),
        Op::Delete(vec![27]),
    ]);
    ops.extend([Op::Flush, Op::Insert(vec![32, 33]), Op::Update(vec![32, 28]), Op::Delete(vec![29])]);
    created.and_then(|()| run.all(&ops)).unwrap_or_else(|e| panic!("{e}"));
    run.index.take().expect("open").close().expect("no faults");
    let ledger = Ledger::certain((*run.ledger.now).clone());
    drop(run);
    let fs: &dyn Fs = &world.fs;
    for dir in ["/index", "/index/wal", "/index/manifest", "/index/seg", "/index/tmp"] {
        // So that nothing comes back that was removed.
        fs.sync_dir(Path::new(dir)).expect("no faults");
    }
    (World::on(world.fs.crash(0), 12), ledger)
}

/// A read that fails makes an error, or costs the derived part of a segment; it never hides rows.
#[test]
fn a_read_that_fails_never_makes_the_index_smaller() {
    let settings = tiny(Metric::Cosine, 2);
    let (closed, ledger) = closed(&settings);
    let attempt = |n: Option<u64>, fault, sticky| {
        let world = World::on(closed.fs.crash(0), 13);
        if let Some(n) = n {
            world.fs.fail_read(n, fault, sticky);
        }
        let outcome = Run::recover(&world, &settings, &ledger)
            .and_then(|run| check(&run.index().snapshot(), &run.ledger.now, settings.metric, 5));
        (world, outcome)
    };
    let (healthy, outcome) = attempt(None, Fault::Eio, false);
    outcome.unwrap_or_else(|e| panic!("{e}"));
    let (mut refused, mut endured) = (0, 0);
    for n in 1..=healthy.fs.reads() {
        for (fault, sticky) in
            [(Fault::Eio, false), (Fault::Eio, true), (Fault::Short, false), (Fault::Interrupted, false)]
        {
            let context = format!("{fault:?} at read {n}, sticky: {sticky}");
            let (world, outcome) = attempt(Some(n), fault, sticky);
            match outcome {
                Ok(()) => endured += 1,
                Err(Broken::Engine(e)) if e.kind() == ErrorKind::Io => {
                    refused += 1;
                }
                Err(e) => panic!("{context}: {e}"),
            }
            world.fs.clear_faults();
            Run::recover(&World::on(world.fs.clone(), 14), &settings, &ledger)
                .unwrap_or_else(|e| panic!("{context}: {e}"));
        }
    }
    println!("{refused} refused, {endured} endured");
    assert!(refused > 0 && endured > 0);
}
