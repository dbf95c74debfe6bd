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
    pub(super) rows: Rows,
    pub(super) metadata: Option<Metadata>,
    pub(super) overlay: Overlay,
    dead: Tombstones,
    last_lsn: Lsn,
}

impl Field {
    /// The LSN that a row counts as.
    pub(super) fn lsn(&self, slot: u32) -> Lsn {
        // Rows of a bulk load were written before their LSN was known.
        self.rows.lsn(slot).ok().filter(|lsn| *lsn != 0).unwrap_or(self.last_lsn)
    }
}

/// The fingerprint that stands for an id.
pub(super) type Print = u128;

pub(super) fn print(id: &ItemId) -> Print {
    xxhash_rust::xxh3::xxh3_128(&id.encode())
}

/// What the parts still hold.
pub(super) struct Harvest {
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
    let mut harvest = Harvest { living, dead, damaged, lost: Vec::new() };
    for (number, piece) in plan.pieces.iter().enumerate() {
        let before = (report.returned.len(), report.problems.len());
        // One at a time, so that an index larger than the memory can be salvaged.
        let whole = match open(plan, piece, store, report) {
            Ok(field) => harvest.reap(number, piece, &field, report),
            Err(error) => {
                report.problems.push(format!("segment {}: {error}", piece.rows_part.id));
                harvest.lost.push(Losses::all(piece, &error));
                false
            }
        };
        if !whole || before != (report.returned.len(), report.problems.len()) {
            harvest.damaged.insert(piece.shard);
        }
        meter.add(u64::from(piece.rows));
    }
    if report.generation.is_none() {
        harvest.damaged.extend(0..plan.covered.len());
    }
    harvest
}

/// Opens a segment as far as it can be; an error if none of its rows can be read.
pub(super) fn open(
    plan: &Plan,
    piece: &Piece,
    store: &LocalStore,
    report: &mut SalvageReport,
) -> Result<Field> {
    // First of all, since this compares the number of rows with what is there.
    let rows = Rows::open(store, piece, &plan.settings)?;
    let mut note = |what: &str, error: &Error| report.problems.push(format!("{what}: {error}"));
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
    Ok(Field {
        rows,
        metadata,
        overlay: overlay.unwrap_or_default().unwrap_or_default(),
        dead: dead.ok().flatten().unwrap_or_else(|| Tombstones::new(piece.rows)),
        last_lsn: piece.last_lsn,
    })
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
    /// Takes in every row of a segment that can be read; whether that is all of them, with their metadata.
    fn reap(&mut self, number: usize, piece: &Piece, field: &Field, report: &mut SalvageReport) -> bool {
        let mut lost = Losses::none(piece);
        let (mut whole, mut dated) = (true, true);
        for slot in 0..piece.rows {
            let (id, lsn) = (field.rows.id(slot), field.lsn(slot));
            if field.dead.contains(slot) {
                if let Ok(id) = id {
                    let newest = self.dead.entry(print(&id)).or_default();
                    *newest = (*newest).max(lsn);
                }
                continue;
            }
            dated &= lsn > 0;
            whole &= field.metadata.as_ref().is_some_and(|metadata| metadata.is_sound(slot));
            match (id, field.rows.vector(slot)) {
                (Ok(id), Ok(_)) => {
                    let found = (lsn, number, slot);
                    let newest = self.living.entry(print(&id)).or_insert(found);
                    *newest = (*newest).max(found);
                }
                (id, Err(error)) => lost.add(slot, id.ok(), &error),
                (Err(error), _) => lost.add(slot, None, &error),
            }
        }
        if !dated {
            let id = piece.rows_part.id;
            let text = "nothing says when they were written, or whether their load was finished";
            report.returned.push(format!("rows of the part {id}: {text}"));
        }
        let any = !lost.is_empty();
        self.lost.extend(any.then_some(lost));
        whole && !any
    }

    /// Takes rows off the list of what is lost.
    pub(super) fn forget_lost(&mut self, known: &dyn Fn(&ItemId) -> bool) {
        for lost in &mut self.lost {
            lost.named.retain(|(_, id)| !known(id));
        }
        self.lost.retain(|lost| !lost.is_empty());
    }

    /// What is lost.
    pub(super) fn lost(&self) -> Vec<LostRows> {
        self.lost.iter().map(Losses::rows).collect()
    }
}

/// Live rows of one segment that cannot be read.
struct Losses {
    part: PartRef,
    /// Runs of slots whose ids cannot be read either.
    unnamed: Vec<(u32, u32)>,
    named: Vec<(u32, ItemId)>,
    problem: String,
}

impl Losses {
    fn none(piece: &Piece) -> Self {
        Self { part: piece.rows_part, unnamed: Vec::new(), named: Vec::new(), problem: String::new() }
    }

    /// All rows there should be; how many that is may be made up.
    fn all(piece: &Piece, error: &Error) -> Self {
        let unnamed = piece.rows.checked_sub(1).map(|last| (0, last));
        Self { unnamed: unnamed.into_iter().collect(), problem: error.to_string(), ..Self::none(piece) }
    }

    fn is_empty(&self) -> bool {
        self.unnamed.is_empty() && self.named.is_empty()
    }

    fn add(&mut self, slot: u32, id: Option<ItemId>, error: &Error) {
        if self.is_empty() {
            self.problem = error.to_string();
        }
        match id {
            Some(id) => self.named.push((slot, id)),
            None => extend(&mut self.unnamed, (slot, slot)),
        }
    }

    /// With all slots as runs.
    fn rows(&self) -> LostRows {
        let named = self.named.iter().map(|(slot, _)| (*slot, *slot));
        let mut all: Vec<(u32, u32)> = self.unnamed.iter().copied().chain(named).collect();
        all.sort_unstable();
        let mut slots = Vec::new();
        all.into_iter().for_each(|run| extend(&mut slots, run));
        let ids = self.named.iter().map(|(_, id)| id.clone()).collect();
        LostRows { part: self.part.id.to_string(), slots, ids, problem: self.problem.clone() }
    }
}

/// Adds a run behind the others, to the last one if it goes on from there.
fn extend(runs: &mut Vec<(u32, u32)>, run: (u32, u32)) {
    match runs.last_mut() {
        Some(last) if last.1.checked_add(1) == Some(run.0) => last.1 = run.1,
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use vectra_core::codec::Digest;
    use vectra_tier::Role;

    use super::*;

    fn piece(rows: u32) -> Piece {
        let digest = Digest::from_le_bytes([1; 16]);
        let rows_part = PartRef { id: Uuid::from_bytes([2; 16]), role: Role::Rows, length: 9, digest };
        let (meta_part, deletes, overlay, older) = (None, None, None, None);
        Piece { rows, rows_part, meta_part, deletes, overlay, last_lsn: 0, older, shard: 0 }
    }

    #[test]
    fn as_many_rows_as_a_header_may_claim_are_lost_as_one_run() {
        let error = Error::corrupt("a forged part");
        assert_eq!(Losses::all(&piece(u32::MAX), &error).rows().slots, [(0, u32::MAX - 1)]);
        assert!(Losses::all(&piece(0), &error).is_empty());
    }

    #[test]
    fn lost_rows_with_and_without_an_id_make_common_runs() {
        let mut lost = Losses::none(&piece(20));
        let error = Error::corrupt("a page");
        for slot in [3, 4, 5, 8, 9, 12] {
            let id = (slot % 2 == 0).then(|| ItemId::from(u64::from(slot)));
            lost.add(slot, id, &error);
        }
        let rows = lost.rows();
        assert_eq!((rows.slots, rows.ids.len()), (vec![(3, 5), (8, 9), (12, 12)], 3));
        assert_eq!(rows.problem, error.to_string());
    }
}
