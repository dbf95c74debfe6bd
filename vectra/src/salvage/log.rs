//! What the log still holds, folded to the newest outcome of each id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use vectra_core::io::Fs;
use vectra_core::{ItemId, Value};
use vectra_shard::Router;
use vectra_wal::{FileLog, Frame, Lsn};

use super::SalvageReport;
use super::harvest::{Harvest, print};
use super::plan::Plan;
use crate::write::bulk::frame::LoadFrame;
use crate::write::frame::{FrameError, Logged, Shape};
use crate::write::op::Op;

/// What became of an id.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Deleted as of this LSN, or 0.
    pub(super) deleted: Lsn,
    /// A bulk load replaced it as of this LSN, or 0.
    pub(super) replaced: Lsn,
    /// Its newest vector.
    pub(super) vector: Option<(Lsn, Vec<f32>)>,
    /// Its newest metadata.
    pub(super) metadata: Option<(Lsn, Arc<Value>)>,
}

impl Outcome {
    /// Whether the log knows what became of the id, whatever the parts say.
    pub(super) fn is_known(&self) -> bool {
        self.vector.is_some() || self.deleted > 0
    }

    /// Whether a row with this LSN is out of date.
    pub(super) fn is_newer(&self, lsn: Lsn) -> bool {
        self.deleted > lsn || self.replaced > lsn || self.vector.as_ref().is_some_and(|(at, _)| *at > lsn)
    }
}

/// The log by id.
pub(super) type Writes = BTreeMap<ItemId, Outcome>;

/// The bulk loads that the log names, in its order. What cannot be read is told when all of it is read.
pub(super) fn loads(fs: &dyn Fs, damaged: &Path, plan: &Plan) -> Vec<(Lsn, LoadFrame)> {
    let mut loads = Vec::new();
    let Some(index) = plan.index else { return loads };
    let mut visit = |frame: Frame<'_>| {
        if let Ok(Logged::Load(load)) = content(plan, &frame) {
            loads.push((frame.first_lsn, load));
        }
        Ok(())
    };
    _ = FileLog::salvage(fs, &damaged.join("wal"), index, &mut visit);
    loads
}

fn content(plan: &Plan, frame: &Frame<'_>) -> Result<Logged, FrameError> {
    let shape = Shape::of(&plan.settings, plan.covered.len());
    Logged::decode(shape, frame.kind, frame.op_count, frame.payload)
}

/// Reads the log as far as it can be read.
pub(super) fn read(
    fs: &dyn Fs,
    damaged: &Path,
    plan: &Plan,
    harvest: &Harvest,
    report: &mut SalvageReport,
) -> Writes {
    let mut writes = Writes::new();
    let Some(index) = plan.index else {
        report.problems.push("the log: no file of it says whose it is".to_owned());
        report.writes.push((1, Lsn::MAX));
        return writes;
    };
    // Sound parts hold what they cover, damaged ones would have needed the log for it.
    let covered = plan.covered.iter().min().copied().unwrap_or(0);
    let sound = harvest.damaged.is_empty();
    let floor = if sound { covered.saturating_add(1) } else { 1 };
    let mut odd = Vec::new();
    let mut visit = |frame: Frame<'_>| {
        let (first, last) = (frame.first_lsn, frame.last_lsn());
        match content(plan, &frame) {
            Ok(Logged::Load(load)) => replace(&mut writes, plan, harvest, load, first),
            Ok(Logged::Batch(ops)) => {
                for (op, lsn) in ops.into_iter().zip(first..) {
                    let shard = usize::from(plan.shard_map.route(&op.id().encode()));
                    if lsn > plan.covered[shard] || harvest.damaged.contains(&shard) {
                        fold(&mut writes, harvest, op, lsn);
                    }
                }
            }
            Err(problem) => odd.push((first, last, format!("{problem}{}", Cause(&problem)))),
        }
        Ok(())
    };
    let salvaged = FileLog::salvage(fs, &damaged.join("wal"), index, &mut visit);
    for (first, last, problem) in odd {
        report.problems.push(format!("the log, LSN {first}: {problem}"));
        report.miss(floor, first, last);
    }
    match salvaged {
        Ok(found) => {
            // Without a manifest nobody knows where the log should begin.
            if let Some((for_sound, for_damaged)) = plan.log_from {
                let from = if sound { for_sound } else { for_damaged };
                report.miss(from, from, found.first_lsn.saturating_sub(1));
            }
            account(plan.durable, floor, &found, report);
        }
        Err(error) => {
            report.problems.push(format!("the log: {error}{}", Cause(&error)));
            report.miss(floor, 1, Lsn::MAX);
        }
    }
    writes
}

/// The rows of a load are in its parts; what it replaced is out of date.
fn replace(writes: &mut Writes, plan: &Plan, harvest: &Harvest, load: LoadFrame, lsn: Lsn) {
    for id in load.dead {
        let shard = usize::from(plan.shard_map.route(&id.encode()));
        let counts = lsn > plan.covered[shard] || harvest.damaged.contains(&shard);
        if counts && !is_over(harvest, &id, lsn) {
            *writes.entry(id).or_default() = Outcome { replaced: lsn, ..Outcome::default() };
        }
    }
}

/// Takes over what the log says is missing of it, and what was `durable` although the log does not say so.
fn account(durable: Lsn, floor: Lsn, found: &vectra_wal::SalvageReport, report: &mut SalvageReport) {
    for damage in &found.damage {
        report.problems.push(format!("the log: {damage}"));
    }
    for gap in &found.gaps {
        report.miss(floor, gap.first_lsn, gap.last_lsn);
    }
    let last_gap = found.gaps.last().map_or(0, |gap| gap.last_lsn);
    if found.gap_count > found.gaps.len() as u64 {
        report.miss(floor, last_gap.saturating_add(1), Lsn::MAX);
        return;
    }
    // An empty log that begins behind what is durable is no shorter than it has to be.
    let known = found.last_lsn.max(last_gap).max(found.first_lsn.saturating_sub(1));
    let last = if found.tail_damaged { Lsn::MAX } else { durable };
    report.miss(floor, known.saturating_add(1), last);
}

impl SalvageReport {
    /// Writes from `first` to `last` are missing from the log; those below `floor` are in the parts.
    fn miss(&mut self, floor: Lsn, first: Lsn, last: Lsn) {
        let first = first.max(floor);
        if first > last {
            return;
        }
        self.writes.push((first, last));
        let upto = if last == Lsn::MAX { "any later one".to_owned() } else { format!("up to {last}") };
        self.returned.push(format!("items deleted or replaced by a write with the LSN {first} or {upto}"));
    }
}

struct Cause<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// What died in the parts was written no later than they say; older writes of it are long over.
fn is_over(harvest: &Harvest, id: &ItemId, lsn: Lsn) -> bool {
    harvest.dead.get(&print(id)).is_some_and(|dead| lsn <= *dead)
}

/// Takes in one operation, newer than all before.
fn fold(writes: &mut Writes, harvest: &Harvest, op: Op, lsn: Lsn) {
    if is_over(harvest, op.id(), lsn) {
        return;
    }
    match op {
        Op::Put { id, vector, metadata } => {
            let outcome = writes.entry(id).or_default();
            (outcome.vector, outcome.metadata) = (Some((lsn, vector)), Some((lsn, metadata)));
        }
        Op::Delete { id } => {
            *writes.entry(id).or_default() = Outcome { deleted: lsn, ..Outcome::default() };
        }
        Op::Update { id, metadata } => writes.entry(id).or_default().metadata = Some((lsn, metadata)),
    }
}
