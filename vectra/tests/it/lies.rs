//! Disks that lie: they report success and lose a write or put it elsewhere, they answer with what was there before,
//! they are slow, and the time of day jumps.
//!
//! What is lost of the truth is named, by an error or by `verify`; a wrong answer is never given.

use std::time::Duration;

use vectra::{ErrorKind, Metric, Settings};
use vectra_core::io::sim::{CallKind, Fault};

use crate::crash::INTERVAL;
use crate::evidence::{Evidence, target};
use crate::faults::closed;
use crate::world::{Broken, MODELS, Op, Run, World, check, random_script, script, tiny};

/// What a lying disk did: it was found out, or what it lost was not needed any more.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Named,
    Harmless,
}

/// An error that puts the blame on what is stored, or on the disk.
fn is_named(error: &vectra::Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::Unsupported | ErrorKind::Uncertain)
}

/// Without deaths of the process: the last group before one may get lost like a torn one (see docs/format.md).
fn workload(seed: u64) -> (Settings, Vec<Op>) {
    let mut ops = if seed == 0 { script() } else { random_script(seed, 32) };
    for op in &mut ops {
        if matches!(op, Op::Kill) {
            *op = Op::Close;
        }
    }
    ops.push(Op::Close);
    (tiny(Metric::L2, 1 + (seed % 2) as u16), ops)
}

/// Runs a workload to its end, where it is closed and opened once more, on a disk that lies at call `n`.
fn believe(seed: u64, n: u64, fault: Fault) -> Result<Outcome, Broken> {
    let (settings, ops) = workload(seed);
    let world = World::new(seed, MODELS[(n % 3) as usize]);
    world.fs.fail_call(n, fault, false);
    let (mut run, created) = Run::create(&world, &settings);
    let outcome = created.and_then(|()| run.all(&ops)).and_then(|()| {
        let compared = check(&run.index().snapshot(), &run.ledger.now, settings.metric, n);
        run.index.take().map_or(Ok(()), vectra::Index::close)?;
        compared
    });
    drop(run);
    match outcome {
        Ok(()) => {}
        Err(Broken::Engine(e)) if is_named(&e) => return Ok(Outcome::Named),
        Err(e) => return Err(e),
    }
    match world.builder().verify_deep("/index") {
        Ok(report) if report.findings.is_empty() => Ok(Outcome::Harmless),
        Ok(_) => Ok(Outcome::Named),
        Err(e) if is_named(&e) => Ok(Outcome::Named),
        Err(e) => Err(e.into()),
    }
}

#[test]
fn lost_and_misdirected_writes_are_named_or_were_not_needed() {
    let what = "every write acknowledged and lost, or put elsewhere: named, or every answer is right";
    let mut evidence = Evidence::begin("d5", "lies", what);
    evidence.until("workloads", target(1, 20), |evidence, seed| {
        evidence.add("workloads", 1);
        let (settings, ops) = workload(seed);
        let world = World::new(seed, MODELS[0]);
        let (mut run, created) = Run::create(&world, &settings);
        created.and_then(|()| run.all(&ops)).unwrap_or_else(|e| panic!("{e}"));
        let calls = world.fs.trace();
        let writes = calls.iter().filter(|call| call.kind == CallKind::Write).map(|call| call.n);
        for (n, fault) in writes.flat_map(|n| [(n, Fault::Lost), (n, Fault::Misdirected)]) {
            match believe(seed, n, fault) {
                Ok(Outcome::Named) => evidence.add("named", 1),
                Ok(Outcome::Harmless) => evidence.add("harmless", 1),
                Err(e) => panic!("workload {seed}, {fault:?} at call {n}: {e}"),
            }
        }
    });
    assert!(evidence.count("named") > 0 && evidence.count("harmless") > 0);
    evidence.end();
}

#[test]
fn a_stale_read_is_named_or_makes_no_difference() {
    let settings = tiny(Metric::Cosine, 2);
    let (closed, ledger) = closed(&settings);
    let attempt = |n: Option<u64>| {
        let world = World::on(closed.fs.crash(0), 13);
        if let Some(n) = n {
            world.fs.fail_read(n, Fault::Stale, false);
        }
        let outcome = Run::recover(&world, &settings, &ledger)
            .and_then(|run| check(&run.index().snapshot(), &run.ledger.now, settings.metric, 5));
        (world.fs.reads(), outcome)
    };
    let (reads, outcome) = attempt(None);
    outcome.unwrap_or_else(|e| panic!("{e}"));
    let (mut named, mut endured) = (0, 0);
    for n in 1..=reads {
        match attempt(Some(n)).1 {
            Ok(()) => endured += 1,
            Err(Broken::Engine(e)) if is_named(&e) => named += 1,
            Err(e) => panic!("a stale answer to read {n}: {e}"),
        }
    }
    println!("{named} named, {endured} made no difference");
    assert!(named > 0 && endured > 0);
}

/// Every call takes a minute, or sets the clock back to 1970 or far ahead; nothing comes of it.
#[test]
fn slowness_and_jumps_of_the_clock_change_no_answer() {
    let jump = |unix_ms| Fault::ClockJump { unix_ms };
    let faults =
        [Fault::Slow { by: Duration::from_mins(1) }, jump(0), jump(4_102_444_800_000), jump(u64::MAX / 4)];
    for (n, fault) in (0..).zip(faults) {
        for settings in [tiny(Metric::L2, 1), tiny(Metric::L2, 2).with_durability(INTERVAL)] {
            let world = World::new(n, MODELS[n as usize % 3]);
            // One jump while at work, or slowness from the start.
            let (first, sticky) = if n == 0 { (1, true) } else { (150, false) };
            world.fs.fail_call(first, fault, sticky);
            world.fs.fail_read(first, fault, sticky);
            let before = vectra_core::env::Clock::now(&*world.clock);
            let (mut run, created) = Run::create(&world, &settings);
            created
                .and_then(|()| run.all(&script()))
                .and_then(|()| check(&run.index().snapshot(), &run.ledger.now, settings.metric, n))
                .unwrap_or_else(|e| panic!("{fault:?}: {e}"));
            let took = vectra_core::env::Clock::now(&*world.clock).checked_sub(before).expect("time goes on");
            assert!(n > 0 || took > Duration::from_secs(60 * world.fs.calls()), "{took:?}");
            let ledger = run.ledger.clone();
            drop(run);
            let after = World::on(world.fs.crash(n), n);
            Run::recover(&after, &settings, &ledger).unwrap_or_else(|e| panic!("{fault:?}, power cut: {e}"));
        }
    }
}
