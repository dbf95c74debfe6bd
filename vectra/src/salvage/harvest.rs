//! What the parts still hold: which slot of which segment is the newest row of each id.

use std::collections::{BTreeMap, BTreeSet};

use vectra_core::ItemId;
use vectra_tier::{LocalStore, PartRef};
use vectra_wal::Lsn;

use super::plan::{Piece, Plan};
use super::rows::{self, Metadata, Rows};
use super::{LostRows, SalvageReport};
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Meter;
use crate::segment::overlay::Overlay;
use crate::segment::tombstones::Tombstones;

/// One segment, opened as far as it can be.
pub(super) struct Field {
    pub(super) rows: Option<Rows>,
    pub(super) metadata: Option<Metadata>,
    pub(super) overlay: Overlay,
    dead: Tombstones,
    last_lsn: Lsn,
}

impl Field {
    /// The LSN that a row counts as.
    pub(super) fn lsn(&self, slot: u32) -> Lsn {
        // Rows of a bulk load were written before their LSN was known.
        let rows = self.rows.as_ref().and_then(|rows| rows.lsn(slot).ok()).filter(|lsn| *lsn != 0);
        rows.unwrap_or(self.last_lsn)
    }
}

/// The fingerprint that stands for an id.
pub(super) type Print = u128;

pub(super) fn print(id: &ItemId) -> Print {
    xxhash_rust::xxh3::xxh3_128(&id.encode())
}

/// What the parts still hold.
pub(super) struct Harvest {
    pub(super) fields: Vec<Field>,
    /// The newest readable row of each id: LSN, segment, slot.
    pub(super) living: BTreeMap<Print, (Lsn, usize, u32)>,
    /// The newest dead row of each id.
    pub(super) dead: BTreeMap<Print, Lsn>,
    /// Shards of which something could not be read: the log may know better.
    pub(super) damaged: BTreeSet<usize>,
    lost: Vec<Losses>,
}

pub(super) fn gather(
    plan: &Plan,
    store: &LocalStore,
    meter: &Meter<'_>,
    report: &mut SalvageReport,
) -> Harvest {
    let (living, dead, damaged) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut harvest = Harvest { fields: Vec::new(), living, dead, damaged, lost: Vec::new() };
    for (number, piece) in plan.pieces.iter().enumerate() {
        let before = (report.returned.len(), report.problems.len());
        let field = open(plan, piece, store, report);
        let lost = harvest.reap(number, piece, &field);
        if lost || before != (report.returned.len(), report.problems.len()) {
            harvest.damaged.insert(piece.shard);
        }
        harvest.fields.push(field);
        meter.add(u64::from(piece.rows));
    }
    if report.generation.is_none() {
        harvest.damaged.extend(0..plan.covered.len());
    }
    harvest
}

fn open(plan: &Plan, piece: &Piece, store: &LocalStore, report: &mut SalvageReport) -> Field {
    let mut note = |what: &str, error: &Error| report.problems.push(format!("{what}: {error}"));
    let rows = Rows::open(store, piece, &plan.settings);
    let rows = rows.inspect_err(|e| note(&format!("segment {}", piece.rows_part.id), e)).ok();
    let metadata = piece.meta_part.as_ref().and_then(|part| {
        Metadata::open(store, part, piece.rows)
            .inspect_err(|e| note(&format!("metadata {}", part.id), e))
            .ok()
    });
    let older = piece.older.unwrap_or((None, None));
    let has_older = piece.older.is_some();
    let dead = either(piece.deletes.as_ref(), older.0.as_ref(), has_older, &mut note, |part| {
        let decoded = Tombstones::decode(&rows::tombstones(store, part)?, piece.rows);
        decoded.map_err(|e| Error::caused(ErrorKind::Corrupt, "the deletes cannot be read", e))
    });
    let overlay = either(piece.overlay.as_ref(), older.1.as_ref(), has_older, &mut note, |part| {
        let decoded = Overlay::decode(&rows::overlay(store, part)?, piece.rows);
        decoded.map_err(|e| Error::caused(ErrorKind::Corrupt, "the updates cannot be read", e))
    });
    let id = piece.rows_part.id;
    if dead.is_err() {
        report.returned.push(format!("rows of the segment {id} that were deleted"));
    }
    if overlay.is_err() {
        report.returned.push(format!("metadata of rows of the segment {id} from before it was updated"));
    }
    Field {
        rows,
        metadata,
        overlay: overlay.unwrap_or_default().unwrap_or_default(),
        dead: dead.ok().flatten().unwrap_or_else(|| Tombstones::new(piece.rows)),
        last_lsn: piece.last_lsn,
    }
}

/// Reads the newer part or, if that is damaged, the older one, which the log brings up to date.
fn either<T>(
    newer: Option<&PartRef>,
    older: Option<&PartRef>,
    has_older: bool,
    note: &mut dyn FnMut(&str, &Error),
    read: impl Fn(&PartRef) -> Result<T>,
) -> std::result::Result<Option<T>, ()> {
    let Some(part) = newer else { return Ok(None) };
    let error = match read(part) {
        Ok(found) => return Ok(Some(found)),
        Err(error) => error,
    };
    note(&format!("part {} ({})", part.id, part.role), &error);
    match older {
        // Before, nothing was dead or changed.
        None if has_older => Ok(None),
        Some(older) if older != part => read(older).map(Some).map_err(drop),
        _ => Err(()),
    }
}

impl Harvest {
    /// Takes in every row of a segment that can be read whole; whether there are others.
    fn reap(&mut self, number: usize, piece: &Piece, field: &Field) -> bool {
        let mut lost = Losses { part: piece.rows_part, slots: Vec::new(), problem: String::new() };
        for slot in 0..piece.rows {
            let Some(rows) = &field.rows else {
                lost.add(slot, None, &Error::corrupt("the part cannot be opened"));
                continue;
            };
            let id = rows.id(slot);
            if field.dead.contains(slot) {
                if let Ok(id) = id {
                    let newest = self.dead.entry(print(&id)).or_default();
                    *newest = (*newest).max(field.lsn(slot));
                }
                continue;
            }
            match (id, rows.vector(slot)) {
                (Ok(id), Ok(_)) => {
                    let found = (field.lsn(slot), number, slot);
                    let newest = self.living.entry(print(&id)).or_insert(found);
                    *newest = (*newest).max(found);
                }
                (Ok(id), Err(error)) => lost.add(slot, Some(id), &error),
                (Err(error), _) => lost.add(slot, None, &error),
            }
        }
        let any = !lost.slots.is_empty();
        self.lost.extend(any.then_some(lost));
        any
    }

    /// Takes rows off the list of what is lost.
    pub(super) fn forget_lost(&mut self, known: &dyn Fn(&ItemId) -> bool) {
        for lost in &mut self.lost {
            lost.slots.retain(|(_, id)| !id.as_ref().is_some_and(known));
        }
        self.lost.retain(|lost| !lost.slots.is_empty());
    }

    /// What is lost.
    pub(super) fn lost(&self) -> Vec<LostRows> {
        self.lost.iter().map(Losses::rows).collect()
    }
}

/// Live rows of one segment that cannot be read.
struct Losses {
    part: PartRef,
    slots: Vec<(u32, Option<ItemId>)>,
    problem: String,
}

impl Losses {
    fn add(&mut self, slot: u32, id: Option<ItemId>, error: &Error) {
        if self.slots.is_empty() {
            self.problem = error.to_string();
        }
        self.slots.push((slot, id));
    }

    /// With the slots as runs.
    fn rows(&self) -> LostRows {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for (slot, _) in &self.slots {
            match runs.last_mut() {
                Some(run) if run.1 + 1 == *slot => run.1 = *slot,
                _ => runs.push((*slot, *slot)),
            }
        }
        let ids = self.slots.iter().filter_map(|(_, id)| id.clone()).collect();
        LostRows { part: self.part.id.to_string(), slots: runs, ids, problem: self.problem.clone() }
    }
}
