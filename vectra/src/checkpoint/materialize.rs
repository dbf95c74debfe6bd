//! From a pinned state to complete segments: afterwards nothing of it is in memory only.

use std::io;
use std::sync::Arc;

use vectra_tier::{OpenError, PartHandle, PartRef, PartStore};
use vectra_wal::Lsn;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::manifest::{SegmentEntry, Tier};
use crate::segment::build::{
    RowSource, TruthWriter, WrittenTruth, write_codes, write_overlay, write_tombstones,
};
use crate::segment::overlay::Overlay;
use crate::segment::sealed::SealedView;
use crate::segment::tombstones::Tombstones;
use crate::segment::truth::Truth;
use crate::snapshot::{ShardState, State};

/// A state of the index of which every row lies in parts.
#[derive(Debug)]
pub(crate) struct Materialized {
    /// It holds everything up to this LSN and nothing beyond.
    pub(crate) lsn: Lsn,
    /// The segments of each shard, oldest first.
    pub(crate) shards: Vec<Vec<SegmentEntry>>,
    /// The parts that were written for it.
    pub(crate) fresh: Vec<PartRef>,
    /// Nothing that it names is collected while these live.
    pub(crate) held: Vec<Arc<PartHandle>>,
}

impl Engine {
    /// Pins the present state and makes everything that it shows durable.
    pub(crate) fn pin_durable(&self) -> Result<Arc<State>> {
        let state = self.cell.load();
        // What a state shows was queued before, so this sync covers it, whatever durability it was written with.
        let durable = self.sync_log()?;
        assert!(durable >= state.visible_lsn, "a sync covers what was published before it");
        Ok(state)
    }

    /// Writes what `state` has beyond its parts into `store`: tombstones and overlays that changed, and one small
    /// segment per shard with the rows that are not sealed. No lock is held while a part is written.
    ///
    /// A part is published and opened under the lock that a collection holds too, so that none sees it without its
    /// handle; and an open part is never collected.
    pub(crate) fn materialize(&self, state: &State, store: &dyn PartStore) -> Result<Materialized> {
        let lsn = state.visible_lsn;
        let done = Materialized { lsn, shards: Vec::new(), fresh: Vec::new(), held: Vec::new() };
        let mut work = Materializer { engine: self, store, done };
        for shard in &state.shards {
            let mut entries = Vec::with_capacity(shard.sealed.len() + 1);
            for view in &shard.sealed {
                entries.push(work.sealed(view)?);
            }
            entries.extend(work.unsealed(shard)?);
            work.done.shards.push(entries);
        }
        Ok(work.done)
    }

    /// Opens the parts of `entry` that are in the folder, so that they are not collected. The caller holds the lock
    /// of commits.
    pub(crate) fn hold(&self, entry: &SegmentEntry, held: &mut Vec<Arc<PartHandle>>) -> Result<()> {
        for part in entry.home_parts() {
            match self.store.open(part) {
                Ok(handle) => held.push(handle),
                // Damage to what is derived is survived.
                Err(_) if entry.index_part.as_ref().is_some_and(|index| index.id == part.id) => {}
                Err(error) => return Err(Error::open_part(part, error)),
            }
        }
        Ok(())
    }
}

struct Materializer<'a> {
    engine: &'a Engine,
    store: &'a dyn PartStore,
    done: Materialized,
}

impl Materializer<'_> {
    /// The entry of a sealed view as it stands in the state.
    fn sealed(&mut self, view: &SealedView) -> Result<SegmentEntry> {
        let mut entry = view.segment.entry.clone();
        if view.segment.index.is_none() {
            entry.index_part = None;
        }
        if entry.tier == Tier::Hot {
            let lasting = [Some(entry.rows_part), Some(entry.meta_part), entry.index_part];
            for part in lasting.into_iter().flatten() {
                // The state holds these open.
                let handle = self.engine.store.open(&part).map_err(|e| Error::open_part(&part, e))?;
                self.done.held.push(handle);
            }
        }
        entry.sum = view.sum()?;
        let dead = view.tombstones.count();
        if dead != entry.dead || !self.still_there(entry.deletes.as_ref())? {
            let part = write_tombstones(self.store, entry.rows, &view.tombstones.encode())?;
            (entry.deletes, entry.dead) = (Some(self.publish(part)?), dead);
        }
        let last = view.overlay.last_lsn();
        if last != entry.overlay_lsn || !self.still_there(entry.overlay.as_ref())? {
            let part = write_overlay(self.store, entry.rows, &view.overlay.encode())?;
            (entry.overlay, entry.overlay_lsn) = (Some(self.publish(part)?), last);
        }
        Ok(entry)
    }

    /// Holds a part that amends a segment. A state does not keep these open, so it may be gone by now.
    fn still_there(&mut self, part: Option<&PartRef>) -> Result<bool> {
        let Some(part) = part else { return Ok(true) };
        match self.engine.store.open(part) {
            Ok(handle) => {
                self.done.held.push(handle);
                Ok(true)
            }
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::open_part(part, error)),
        }
    }

    /// One segment with the unsealed rows of a shard, if there are any.
    fn unsealed(&mut self, shard: &ShardState) -> Result<Option<SegmentEntry>> {
        let lsn = self.done.lsn;
        let rows = || {
            shard.frozen.iter().chain([&shard.mutable]).flat_map(|segment| {
                let visible = move |slot: &u32| segment.row(*slot).visible_at(lsn);
                (0..segment.len()).filter(visible).map(move |slot| (segment, slot))
            })
        };
        let lsns = rows().map(|(segment, slot)| segment.row(slot).lsn());
        let Some(lsns) = lsns.map(|lsn| (lsn, lsn)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
            return Ok(None);
        };
        let mut writer = TruthWriter::begin(self.store, &self.engine.settings)?;
        for (segment, slot) in rows() {
            let row = segment.row(slot);
            writer.push(&RowSource {
                id: &row.id.encode(),
                lsn: row.lsn(),
                vector: segment.vector(slot),
                inverse_norm: segment.inverse_norm(slot),
                metadata: &row.metadata,
                sum: row.sum,
            })?;
        }
        self.write_segment(writer, lsns).map(Some)
    }

    /// What was written is read back, and refused if it is not what was in memory.
    fn write_segment(&mut self, writer: TruthWriter<'_>, lsns: (Lsn, Lsn)) -> Result<SegmentEntry> {
        let settings = &self.engine.settings;
        let rows = writer.rows();
        let WrittenTruth { rows_part, meta_part, ledger } = writer.finish()?;
        let (rows_part, meta_part) = (self.publish(rows_part)?, self.publish(meta_part)?);
        let open = |part| self.store.open(part).map_err(|e| Error::open_part(part, e));
        let truth = Truth::open(open(&rows_part)?, open(&meta_part)?, settings)?;
        let found = truth.ledger(&Tombstones::new(rows), &Overlay::default())?;
        ledger.expect(found, || format!("segment {} does not hold what it was made from", rows_part.id))?;
        let codes = write_codes(self.store, &truth, settings)?;
        Ok(SegmentEntry {
            rows,
            tier: Tier::Hot,
            lsns,
            rows_part,
            meta_part,
            index_part: Some(self.publish(codes)?),
            deletes: None,
            dead: 0,
            overlay: None,
            overlay_lsn: 0,
            sum: Some(ledger.sum),
        })
    }

    /// Publishes a part and opens it before any collection can see it.
    fn publish(&mut self, part: PartRef) -> Result<PartRef> {
        let _no_collection = self.engine.committed.lock();
        self.store.publish(&part).map_err(|e| Error::publish_part(&part, e))?;
        self.done.held.push(self.store.open(&part).map_err(|e| Error::open_part(&part, e))?);
        self.done.fresh.push(part);
        Ok(part)
    }
}
