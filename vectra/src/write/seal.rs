//! From mutable to frozen to sealed.

use std::sync::Arc;

use vectra_wal::Lsn;

use super::shard::ShardWriter;
use crate::engine::Engine;
use crate::error::Result;
use crate::maintain::Fresh;
use crate::segment::build::{RowSource, TruthWriter};
use crate::segment::mutable::{self, MutableSegment};
use crate::segment::sealed::{SealedSegment, SealedView};
use crate::snapshot::ShardState;

/// Old slot -> slot in the new segment, for the rows that were carried over.
pub(crate) type SlotMap = Vec<Option<u32>>;

impl Engine {
    /// Puts a fresh mutable segment in place of the current one, which becomes frozen. The caller holds the lock.
    pub(crate) fn freeze(&self, number: usize, writer: &mut ShardWriter) {
        let fresh = mutable::create(&self.settings, self.next_number());
        self.cell.publish(|state| {
            let mut shard = ShardState::clone(&state.shards[number]);
            shard.frozen.push(std::mem::replace(&mut shard.mutable, Arc::clone(&fresh.segment)));
            state.with_shard(number, shard)
        });
        writer.mutable = fresh;
    }

    /// Freezes the mutable segment of a shard if it holds rows up to `upto`; whether it did.
    pub(crate) fn freeze_upto(&self, number: usize, upto: Lsn) -> Result<bool> {
        let mut writer = self.lock_shard(number)?;
        let any = writer.mutable.segment.lsn_range().is_some_and(|(first, _)| first <= upto);
        if any {
            self.freeze(number, &mut writer);
        }
        Ok(any)
    }

    /// Seals the oldest frozen segment of a shard; false if there is none.
    pub(crate) fn seal_oldest(&self, number: usize, asked: bool) -> Result<bool> {
        let Some(frozen) = self.cell.load().shards[number].frozen.first().cloned() else { return Ok(false) };
        let mut fresh = Fresh::new(self);
        let output_number = self.next_number();
        // Its rows are dated (freezing takes the write lock) but may still wait for their sync.
        self.sync_log()?;
        let pin = self.cell.load().visible_lsn;
        let mut map: SlotMap = vec![None; frozen.len() as usize];
        let mut output = None;
        let live = u64::from(frozen.visible_count(pin));
        if live > 0 {
            if !asked {
                let bytes = frozen.bytes() as u64 / u64::from(frozen.len()).max(1) * live;
                self.leave_room_to_delete(bytes / 4 * 5)?;
            }
            let mut writer = TruthWriter::begin(&*self.store, &self.settings)?;
            for (slot, new) in map.iter_mut().enumerate() {
                *new = copy_row(&frozen, slot as u32, pin, &mut writer)?;
            }
            let lsns = frozen.lsn_range().unwrap_or((0, 0));
            output = Some(Arc::new(self.write_segment(output_number, writer, lsns, &mut fresh)?));
        }
        self.commit(number, &|shard, visible| {
            replace_frozen(shard, &frozen, output.as_ref(), &map, visible)
        })?;
        Ok(true)
    }
}

/// Copies a row that is visible at `pin`; its new slot.
fn copy_row(
    frozen: &MutableSegment,
    slot: u32,
    pin: Lsn,
    writer: &mut TruthWriter<'_>,
) -> Result<Option<u32>> {
    let row = frozen.row(slot);
    if !row.visible_at(pin) {
        return Ok(None);
    }
    let source = RowSource {
        id: &row.id.encode(),
        lsn: row.lsn(),
        vector: frozen.vector(slot),
        inverse_norm: frozen.inverse_norm(slot),
        metadata: &row.metadata,
        sum: row.sum,
    };
    writer.push(&source).map(Some)
}

/// The shard with `frozen` gone and `output` in its place, carrying what died since the rows were copied.
fn replace_frozen(
    shard: &ShardState,
    frozen: &Arc<MutableSegment>,
    output: Option<&Arc<SealedSegment>>,
    map: &SlotMap,
    visible: Lsn,
) -> ShardState {
    let mut next = shard.clone();
    next.frozen.retain(|segment| segment.number != frozen.number);
    if let Some(segment) = output {
        let mut view = SealedView::fresh(Arc::clone(segment));
        for (slot, new) in map.iter().enumerate() {
            if let Some(new) = new
                && frozen.row(slot as u32).dead() <= visible
            {
                view.kill(*new);
            }
        }
        next.sealed.push(view);
    }
    next
}
