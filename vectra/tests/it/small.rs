//! Every small workload on a fresh index, with every crash at every call, as the crash monkey's ACE does it: most bugs
//! that such sweeps found in file systems needed no more than three operations.
//!
//! A crash in the midst of an operation depends only on the operations before it, so each sequence is cut off in its
//! last operation alone: the others were in shorter sequences.

use std::collections::BTreeSet;

use vectra::{Metric, Settings, Snapshot};
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_core::testing::oracle::Dice;

use crate::crash::intact;
use crate::evidence::{Evidence, is_long};
use crate::world::{Broken, MODELS, Op, Run, Shot, World, check, check_items, tiny};

/// So many changes in flight are gone through in every combination; of more, some combinations are drawn.
const IN_FLIGHT_MAX: usize = 8;
/// How many are drawn.
const DRAWN: u64 = 24;

/// A step of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Insert,
    Batch,
    Delete,
    Upsert,
    Update,
    Flush,
    Compact,
    /// Pins the present; it is read after each later step.
    Snapshot,
    Reopen,
}

const STEPS: [Step; 9] = [
    Step::Insert,
    Step::Batch,
    Step::Delete,
    Step::Upsert,
    Step::Update,
    Step::Flush,
    Step::Compact,
    Step::Snapshot,
    Step::Reopen,
];

/// What the step at `position` of a workload asks for.
fn op(step: Step, position: u64) -> Option<Op> {
    Some(match step {
        Step::Insert => Op::Insert(vec![10 + position]),
        Step::Batch => Op::Insert((20 + 5 * position..25 + 5 * position).collect()),
        Step::Delete => Op::Delete(vec![1, 10, 20, 21]),
        Step::Upsert => Op::Upsert(vec![2, 10, 22]),
        Step::Update => Op::Update(vec![3]),
        Step::Flush => Op::Flush,
        Step::Compact => Op::Compact,
        Step::Snapshot => return None,
        Step::Reopen => Op::Close,
    })
}

/// A handful of rows for the first step to work on, of which some are sealed; fewer files than the usual tiny index.
fn settings() -> Settings {
    let mut settings = tiny(Metric::L2, 1).with_seal_rows(8);
    (settings.log_bytes_min, settings.log_bytes_max) = (6 << 10, 8 << 10);
    settings
}

/// Runs a workload; the moments of its last step.
fn film(steps: &[Step], model: CrashModel) -> Result<Vec<Shot>, Broken> {
    let world = World::new(3, model);
    let (run, created) = Run::create(&world, &settings());
    let mut run = run;
    created?;
    run.all(&[Op::Insert(vec![1, 2, 3, 4])])?;
    let mut pinned: Vec<(Snapshot, _)> = Vec::new();
    let mut shots = Vec::new();
    for (position, step) in (0..).zip(steps) {
        if model == CrashModel::Windows && *step == Step::Reopen {
            // What a snapshot of the old life holds open could not be removed by the new one.
            pinned.clear();
        }
        let (outcome, film) = world.film(|| {
            match op(*step, position) {
                Some(op) => run.step(&op)?,
                None => pinned.push((run.index().snapshot(), run.ledger.now.clone())),
            }
            pinned.iter().try_for_each(|(snapshot, model)| check_items(snapshot, model))
        });
        outcome?;
        shots = film;
    }
    Ok(shots)
}

/// Every choice of what survives, or some where there are too many.
fn choices(pending: usize, salt: u64) -> Vec<Vec<bool>> {
    if pending <= IN_FLIGHT_MAX {
        return (0..1_u32 << pending)
            .map(|mask| (0..pending).map(|i| mask >> i & 1 == 1).collect())
            .collect();
    }
    let mut dice = Dice::new(salt);
    let mut drawn = |_| {
        let (chance, end) = (dice.below(101), dice.below(pending + 1));
        // As often the first so many, which is all that a disk with a journal allows for names.
        let prefix = dice.below(2) == 0;
        (0..pending).map(|i| if prefix { i < end } else { dice.below(100) < chance }).collect()
    };
    (0..DRAWN).map(&mut drawn).collect()
}

/// Cuts the power at each call of the last step, with each outcome; equal disks are looked at once.
fn tear(steps: &[Step], model: CrashModel, evidence: &mut Evidence) -> Result<(), String> {
    let shots = film(steps, model).map_err(|e| format!("{steps:?}, {model:?}, without a crash: {e}"))?;
    let mut seen = BTreeSet::new();
    for shot in &shots {
        let before = &shot.moment.before;
        let context = |e: Broken| format!("{steps:?}, {model:?}, call {}: {e}", shot.call());
        for kept in choices(before.pending(), shot.call()) {
            let Some(disk) = before.crash_keeping(&kept) else { continue };
            evidence.add("crashes", 1);
            // The promise is part of it: what may be lost before a sync may not after it.
            if seen.insert((disk.content_hash(), shot.ledger.fingerprint())) {
                evidence.add("distinct", 1);
                survive(disk, shot).map_err(|e| format!("kept {kept:?}: {}", context(e)))?;
            }
        }
    }
    Ok(())
}

fn survive(disk: SimFs, shot: &Shot) -> Result<(), Broken> {
    let world = World::on(disk, shot.call());
    let mut run = Run::recover(&world, &settings(), &shot.ledger)?;
    if shot.call().is_multiple_of(8) {
        check(&run.index().snapshot(), &run.ledger.now, Metric::L2, 1)?;
    }
    run.all(&[Op::Upsert(vec![2, 60])])?;
    check_items(&run.index().snapshot(), &run.ledger.now)?;
    drop(run);
    intact(&world)
}

fn workloads(length: usize) -> Vec<Vec<Step>> {
    (0..length).fold(vec![Vec::new()], |all, _| {
        all.iter().flat_map(|steps| STEPS.map(|step| [steps.as_slice(), &[step]].concat())).collect()
    })
}

fn every_workload(test: &'static str, model: CrashModel) {
    let length = if is_long() { 3 } else { 2 };
    let what =
        format!("all workloads of up to {length} operations, every legal outcome at every call, {model:?}");
    let mut evidence = Evidence::begin("d3", test, what);
    for steps in (1..=length).flat_map(workloads) {
        if evidence.is_over() {
            break;
        }
        evidence.add("workloads", 1);
        tear(&steps, model, &mut evidence).unwrap_or_else(|e| panic!("{e}"));
    }
    assert!(evidence.count("distinct") > 500, "only {} distinct disks", evidence.count("distinct"));
    evidence.end();
}

#[test]
fn every_small_workload_survives_a_forgetful_disk() {
    every_workload("weak", MODELS[0]);
}

#[test]
fn every_small_workload_survives_a_journalling_disk() {
    every_workload("journal", MODELS[1]);
}

#[test]
fn every_small_workload_survives_windows() {
    every_workload("windows", MODELS[2]);
}
