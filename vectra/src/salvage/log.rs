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
use crate::write::bulk::frame::{FRAME_LOAD, LoadFrame};
use crate::write::op::{self, FRAME_BATCH, Op};

/// What became of an id.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Deleted as of this LSN, or 0.
    pub(super) deleted: Lsn,
    /// Its newest vector.
    pub(super) vector: Option<(Lsn, Vec<f32>)>,
    /// Its newest metadata.
    pub(super) metadata: Option<(Lsn, Arc<Value>)>,
}

/// The log by id.
pub(super) type Writes = BTreeMap<ItemId, Outcome>;

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
    let (dim, element) = (plan.settings.dim as usize, plan.settings.element);
    let mut odd = Vec::new();
    let mut visit = |frame: Frame<'_>| {
        let (first, last) = (frame.first_lsn, frame.last_lsn());
        let ops = match frame.kind {
            FRAME_BATCH => op::decode(frame.payload, frame.op_count, dim, element).map_err(|e| e.to_string()),
            FRAME_LOAD => load(plan, frame.payload),
            kind => Err(format!("a frame of kind {kind}")),
        };
        match ops {
            Ok(ops) => {
                for (op, lsn) in ops.into_iter().zip(first..) {
                    let shard = usize::from(plan.shard_map.route(&op.id().encode()));
                    if lsn > plan.covered[shard] || harvest.damaged.contains(&shard) {
                        fold(&mut writes, harvest, op, lsn);
                    }
                }
            }
            Err(problem) => odd.push((first, last, problem)),
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

/// A bulk load that a manifest names is in the parts; of another one only the log knows the parts, which are not read.
fn load(plan: &Plan, payload: &[u8]) -> Result<Vec<Op>, String> {
    let load = LoadFrame::decode(payload, plan.covered.len()).map_err(|e| e.to_string())?;
    let named = |part| plan.pieces.iter().any(|piece| piece.rows_part == part);
    if load.segments.iter().all(|segment| named(segment.rows_part)) {
        return Ok(Vec::new());
    }
    Err("a bulk load whose parts no manifest names yet; they are in `seg`, but are not salvaged".to_owned())
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

/// Takes in one operation, newer than all before.
fn fold(writes: &mut Writes, harvest: &Harvest, op: Op, lsn: Lsn) {
    // What died in the parts was written no later than they say; older writes of it are long over.
    if harvest.dead.get(&print(op.id())).is_some_and(|dead| lsn <= *dead) {
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
