//! The one road by which parts become part of an index: parts, manifest, snapshot, then truncation.

use std::collections::BTreeMap;
use std::sync::Arc;

use vectra_tier::PartRef;
use vectra_wal::{Anchor, Lsn};

use super::fresh::Fresh;
use super::upkeep::Summary;
use crate::engine::{Committed, Engine};
use crate::error::{Error, Result};
use crate::manifest::{COUNT_MAX, Manifest, SegmentEntry, ShardEntry, Tier};
use crate::segment::build::{TruthWriter, WrittenTruth, write_codes, write_overlay, write_tombstones};
use crate::segment::index::SealedIndex;
use crate::segment::ledger::Ledger;
use crate::segment::overlay::Overlay;
use crate::segment::sealed::{Base, SealedSegment, SealedView};
use crate::segment::tombstones::Tombstones;
use crate::segment::truth::Truth;
use crate::snapshot::ShardState;

/// A pure step from one shard state to the next; applied once for the manifest and again for the snapshot, since
/// writes go on in between.
pub(crate) type Step<'a> = &'a dyn Fn(&ShardState, Lsn) -> ShardState;

impl Engine {
    /// Writes and opens the parts of a new segment: truth and codes, no graph yet.
    ///
    /// What was written is read back, and refused if it is not what the rows' sources said. `number` must have been taken
    /// before its rows were looked at: what dies later is carried over, what died earlier is not in it.
    pub(crate) fn write_segment(
        &self,
        number: u64,
        writer: TruthWriter<'_>,
        lsns: (Lsn, Lsn),
        fresh: &mut Fresh<'_>,
    ) -> Result<SealedSegment> {
        let rows = writer.rows();
        let WrittenTruth { rows_part, meta_part, ledger } = writer.finish()?;
        fresh.publish([&rows_part, &meta_part])?;
        let truth = Arc::new(self.open_truth(&rows_part, &meta_part)?);
        let base = Base { tombstones: Tombstones::new(rows), overlay: Overlay::default() };
        let found = truth.ledger(&base.tombstones, &base.overlay)?;
        ledger.expect(found, || format!("segment {} does not hold what it was made from", rows_part.id))?;
        let index_part = write_codes(&*self.store, &truth, &self.settings)?;
        fresh.publish([&index_part])?;
        let index = Some(Arc::new(self.open_index(&index_part, rows)?));
        let entry = SegmentEntry {
            rows,
            tier: Tier::Hot,
            lsns,
            rows_part,
            meta_part,
            index_part: Some(index_part),
            deletes: None,
            dead: 0,
            overlay: None,
            overlay_lsn: 0,
            sum: Some(ledger.sum),
        };
        Ok(SealedSegment { number, truth, index, entry, base })
    }

    pub(crate) fn open_truth(&self, rows: &PartRef, meta: &PartRef) -> Result<Truth> {
        Truth::open(open_part(self, rows)?, open_part(self, meta)?, &self.settings)
    }

    pub(crate) fn open_index(&self, part: &PartRef, rows: u32) -> Result<SealedIndex> {
        SealedIndex::open(open_part(self, part)?, rows, self.settings.dim as usize, self.settings.metric)
    }

    /// Carries out `step` on a shard: everything it changes, and every dirty tombstone and overlay of the shard, goes
    /// into one new generation of the manifest; then the snapshot follows.
    pub(crate) fn commit(&self, number: usize, step: Step<'_>) -> Result<()> {
        // Before the lock, so that what a failed commit leaves is removed after it.
        let mut fresh = Fresh::new(self);
        let mut committed = self.committed.lock();
        let (next, covered, visible) = {
            let _writer = self.lock_shard(number)?;
            let visible = self.sync_and_read_visible()?;
            let state = self.cell.load();
            let next = step(&state.shards[number], visible);
            let covered = covered_lsn(&next, visible).max(committed.newest.shards[number].covered_lsn);
            (next, covered, visible)
        };
        let segments =
            next.sealed.iter().map(|view| self.write_dirty(view, &mut fresh)).collect::<Result<Vec<_>>>()?;
        let numbers = next.sealed.iter().map(|view| (view.segment.number, view.as_base()));
        let named: BTreeMap<u64, (Base, &SegmentEntry)> =
            numbers.zip(&segments).map(|((number, base), entry)| (number, (base, entry))).collect();
        let mut manifest = committed.newest.clone();
        manifest.shards[number] =
            ShardEntry { covered_lsn: covered, attached_lsn: visible, segments: segments.clone() };
        self.commit_manifest(&mut committed, manifest)?;
        {
            let _writer = self.lock_shard(number)?;
            self.sync_log()?;
            let generation = committed.newest.generation;
            self.cell.publish(|state| {
                let mut shard = step(&state.shards[number], state.visible_lsn);
                for view in &mut shard.sealed {
                    // What a bulk load brought in meanwhile is for the next commit to name.
                    let Some((base, entry)) = named.get(&view.segment.number) else { continue };
                    let (base, entry) = (base.clone(), SegmentEntry::clone(entry));
                    view.segment =
                        Arc::new(SealedSegment { entry, base, ..SealedSegment::clone(&view.segment) });
                }
                let mut next = state.with_shard(number, shard);
                next.generation = generation;
                next
            });
        }
        self.tidy_up(&committed);
        Ok(())
    }

    /// Syncs the log while the caller holds a shard's lock: nothing of that shard is staged afterwards.
    ///
    /// Never more than is durable: other shards go on, and what a write without a sync shows there by now is nothing that
    /// a manifest may vouch for.
    fn sync_and_read_visible(&self) -> Result<Lsn> {
        let durable = self.sync_log()?;
        Ok(durable.min(self.cell.load().visible_lsn))
    }

    /// The manifest entry of a view, after writing the parts `deletes` and `overlay` if they changed.
    fn write_dirty(&self, view: &SealedView, fresh: &mut Fresh<'_>) -> Result<SegmentEntry> {
        let mut entry = view.segment.entry.clone();
        entry.sum = view.sum()?;
        if view.tombstones.count() != entry.dead {
            let part = write_tombstones(&*self.store, entry.rows, &view.tombstones.encode())?;
            fresh.publish([&part])?;
            (entry.deletes, entry.dead) = (Some(part), view.tombstones.count());
        }
        if view.overlay.last_lsn() != entry.overlay_lsn {
            let part = write_overlay(&*self.store, entry.rows, &view.overlay.encode())?;
            fresh.publish([&part])?;
            (entry.overlay, entry.overlay_lsn) = (Some(part), view.overlay.last_lsn());
        }
        Ok(entry)
    }

    /// Makes `manifest` (built from the newest) the next generation.
    pub(crate) fn commit_manifest(&self, committed: &mut Committed, mut manifest: Manifest) -> Result<()> {
        if let Some(error) = &committed.broken {
            return Err(error.clone());
        }
        // The highest number may come from a name in the folder or a note in the log.
        let next = committed.highest.checked_add(1).filter(|next| *next <= COUNT_MAX);
        manifest.generation = next.ok_or_else(|| {
            let text = format!(
                "no generation can follow {}; salvage the index into a new folder",
                committed.highest
            );
            Error::corrupt(text)
        })?;
        manifest.previous = committed.digest;
        manifest.log_floor = manifest.replay_from();
        // Nobody can have seen what failed here, so the next commit may try again.
        let digest = self.manifests.write(&manifest)?;
        {
            // From here on a manifest may name them.
            let mut fresh = self.maintenance.fresh.lock();
            manifest.parts().for_each(|part| _ = fresh.remove(&part.id));
        }
        match self.manifests.publish(manifest.generation) {
            Ok(()) => {
                if let Some(Ledger { rows, sum }) = manifest.ledger() {
                    tracing::debug!(generation = manifest.generation, rows, %sum, "committed");
                }
                let previous = std::mem::replace(&mut committed.newest, manifest);
                (committed.previous, committed.digest) = (Some(previous), digest);
                (committed.highest, committed.unread) = (committed.newest.generation, false);
                *self.maintenance.summary.lock() = Summary::of(committed);
                self.note_published(committed);
                Ok(())
            }
            Err(error) => {
                // It may or may not be on disk: what is there decides at the next open.
                committed.broken = Some(error.clone());
                Err(error)
            }
        }
    }
}

impl Engine {
    /// The log remembers the newest generation, so that its loss is noticed.
    fn note_published(&self, committed: &Committed) {
        let (generation, digest) = (committed.newest.generation, committed.digest.to_le_bytes());
        if let Err(error) = self.log.note_anchor(Anchor { generation, digest }) {
            // The manifest is published all the same; the next write meets the log's failure.
            tracing::warn!(%error, "the log did not note the new generation");
        }
    }
}

fn open_part(engine: &Engine, part: &PartRef) -> Result<Arc<vectra_tier::PartHandle>> {
    engine.store.open(part).map_err(|e| Error::open_part(part, e))
}

/// Up to where the parts of a shard hold everything: just below its oldest unsealed row.
fn covered_lsn(shard: &ShardState, visible: Lsn) -> Lsn {
    let oldest = shard.unsealed().filter_map(|segment| segment.lsn_range()).map(|(first, _)| first - 1).min();
    oldest.map_or(visible, |lsn| lsn.min(visible))
}
