//! What an open makes of a frame that names the parts of a bulk load.

use std::sync::atomic::Ordering;

use vectra_core::ItemId;
use vectra_wal::Lsn;

use super::arrival;
use super::frame::{LoadFrame, LoadedSegment};
use crate::error::Result;
use crate::manifest::{Manifest, ShardEntry};
use crate::replay::Parts;
use crate::segment::open::open_segment;
use crate::segment::sealed::SealedSegment;
use crate::write::op::Op;
use crate::write::stage::{Live, Stage, find_live};

impl Parts {
    /// Stages the load: its segments come in, what they replace dies. The caller publishes before it goes on, so that later
    /// frames find its rows.
    ///
    /// Per shard, nothing is done if the parts cover the frame; where the manifest names the load's segments already (or
    /// what they were merged into), only unsealed rows can still have to die.
    pub(crate) fn replay_load(&self, manifest: &Manifest, load: LoadFrame, lsn: Lsn) -> Result<()> {
        for id in load.dead {
            let number = usize::from(self.router.route(&id.encode()));
            let entry = &manifest.shards[number];
            if lsn > entry.covered_lsn {
                self.replay_death(number, id, lsn, entry)?;
            }
        }
        for segment in load.segments {
            let number = usize::from(segment.shard);
            let entry = &manifest.shards[number];
            if lsn > entry.covered_lsn && lsn > entry.attached_lsn {
                self.reattach(number, &segment, lsn)?;
            }
        }
        Ok(())
    }

    fn replay_death(&self, number: usize, id: ItemId, lsn: Lsn, entry: &ShardEntry) -> Result<()> {
        let mut writer = self.shards[number].writer.lock();
        let mut pending = self.shards[number].pending.lock();
        let live = find_live(&id, number, &writer, &pending, &self.cell)?;
        let Some(live) = live else { return Ok(()) };
        let dies = match &live {
            Live::Unsealed(..) => live.born_before(lsn, number, &self.cell)?,
            Live::Sealed(..) => lsn > entry.attached_lsn,
        };
        if dies {
            let mut stage = Stage::default();
            stage.apply(0, &Op::Delete { id }, Some(live), &mut writer);
            stage.stamp(lsn, &mut pending);
        }
        Ok(())
    }

    /// Opens the parts; a file that is not the one that was logged is damage. The sum is compared when the rows are next
    /// copied or verified, so that opening does not take as long as reading everything.
    fn reattach(&self, number: usize, segment: &LoadedSegment, lsn: Lsn) -> Result<()> {
        let entry = segment.entry(lsn);
        let number_in_process = self.numbers.fetch_add(1, Ordering::Relaxed);
        let view = open_segment(&*self.store, &self.settings, &entry, number_in_process, None)?;
        let opened = SealedSegment::clone(&view.segment);
        self.shards[number].pending.lock().push(arrival(opened, lsn));
        Ok(())
    }
}
