//! Resolving a batch against the live rows, staging it, and dating it once the log has queued it.

use std::sync::Arc;

use vectra_core::{ItemId, Value};
use vectra_wal::Lsn;

use super::op::Op;
use super::shard::{Change, Effect, Pending, ShardWriter};
use crate::error::Result;
use crate::segment::mutable::{MutableSegment, NEVER};
use crate::snapshot::{ShardState, SnapshotCell};

/// The live row of an id, staged rows included.
#[derive(Debug, Clone)]
pub(crate) enum Live {
    Unsealed(Arc<MutableSegment>, u32),
    /// Segment number and slot.
    Sealed(u64, u32),
}

impl Live {
    /// Whether the row is older than `lsn`, for a replay: a manifest may name segments that came later than what its log
    /// still holds.
    pub(crate) fn born_before(&self, lsn: Lsn, shard: usize, cell: &SnapshotCell) -> Result<bool> {
        match self {
            Self::Unsealed(segment, slot) => Ok(segment.row(*slot).lsn() < lsn),
            Self::Sealed(number, slot) => {
                let state = cell.load();
                let view = state.shards[shard].sealed.iter().find(|view| view.segment.number == *number);
                let segment = &view.expect("a live row is in a segment of its shard").segment;
                Ok(segment.entry.lsns.1 < lsn || segment.lsn(*slot)? < lsn)
            }
        }
    }
}

/// A row that waits for its LSN: the position of its operation in the batch says which.
#[derive(Debug)]
enum Staged {
    Born(Arc<MutableSegment>, u32),
    Died(Live),
    Updated(Live, Arc<Value>),
}

/// What a batch did to one shard, not dated yet.
#[derive(Debug, Default)]
pub(crate) struct Stage(Vec<(u32, Staged)>);

/// Finds the live row of `id` as the next writer must see it: published or staged.
///
/// `pending` is locked by the caller and looked at before the snapshot is loaded (see [`Pending`]).
pub(crate) fn find_live(
    id: &ItemId,
    shard_number: usize,
    writer: &ShardWriter,
    pending: &Pending,
    cell: &SnapshotCell,
) -> Result<Option<Live>> {
    let state = cell.load();
    let shard: &ShardState = &state.shards[shard_number];
    debug_assert!(
        Arc::ptr_eq(&shard.mutable, &writer.mutable.segment),
        "the lock keeps the mutable segment in place"
    );
    for segment in shard.unsealed() {
        // A dead row says nothing about older segments: the load that killed it came as a sealed one.
        if let Some(slot) = segment.newest(id)
            && segment.row(slot).dead() == NEVER
        {
            return Ok(Some(Live::Unsealed(Arc::clone(segment), slot)));
        }
    }
    let encoded = id.encode();
    for view in shard.sealed.iter().rev() {
        let number = view.segment.number;
        if let Some(slot) = view.find(&encoded)?
            && !pending.kills(number, slot)
        {
            return Ok(Some(Live::Sealed(number, slot)));
        }
    }
    Ok(None)
}

impl Stage {
    /// Applies operation number `position` of the batch: appends what is born, remembers what dies.
    pub(crate) fn apply(&mut self, position: u32, op: &Op, live: Option<Live>, writer: &mut ShardWriter) {
        match op {
            Op::Put { id, vector, metadata } => {
                let slot = writer.mutable.push(id, vector, Arc::clone(metadata));
                if let Some(old) = live {
                    self.0.push((position, Staged::Died(old)));
                }
                self.0.push((position, Staged::Born(Arc::clone(&writer.mutable.segment), slot)));
            }
            Op::Delete { .. } => {
                if let Some(old) = live {
                    self.0.push((position, Staged::Died(old)));
                }
            }
            Op::Update { metadata, .. } => {
                if let Some(row) = live {
                    self.0.push((position, Staged::Updated(row, Arc::clone(metadata))));
                }
            }
        }
    }

    /// Dates everything: operation `i` of the batch has the LSN `first_lsn + i`.
    pub(crate) fn stamp(self, first_lsn: Lsn, pending: &mut Pending) {
        for (position, staged) in self.0 {
            let lsn = first_lsn + u64::from(position);
            match staged {
                Staged::Born(segment, slot) => segment.row(slot).stamp(lsn),
                Staged::Died(Live::Unsealed(segment, slot)) => segment.row(slot).kill(lsn),
                Staged::Died(Live::Sealed(segment, slot)) => {
                    pending.push(Effect { lsn, segment, slot, change: Change::Kill });
                }
                Staged::Updated(Live::Sealed(segment, slot), metadata) => {
                    pending.push(Effect { lsn, segment, slot, change: Change::Update(metadata) });
                }
                Staged::Updated(Live::Unsealed(..), _) => {
                    unreachable!(
                        "an update of an unsealed row is logged and staged as a put of the whole item"
                    )
                }
            }
        }
    }
}
