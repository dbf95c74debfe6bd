//! Loading many items at once: their parts are written first, then one small frame of the log names them.
//!
//! Until that frame is durable the parts are garbage that nobody refers to; from then on the whole load is there, also
//! after a crash. See [`frame`] for the frame and [`replay`] for what an open makes of it.

pub(crate) mod frame;
pub(crate) mod replay;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use half::f16;
use vectra_core::ItemId;
use vectra_core::distance::ElementKind;
use vectra_wal::{Durability, Lsn};

use self::frame::{LoadFrame, LoadedSegment};
use super::batch::{BATCH_BYTES_MAX, Receipt};
use super::frame::FRAME_LOAD;
use super::op::Op;
use super::shard::{Change, Effect, ShardWriter};
use super::stage::{Live, Stage, find_live};
use super::validate::{self, Shown};
use crate::engine::{Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::item::Item;
use crate::maintain::Fresh;
use crate::segment::build::{RowSource, TruthWriter};
use crate::segment::exact::Vectors;
use crate::segment::ledger::MetadataTerms;
use crate::segment::sealed::SealedSegment;
use crate::snapshot::State;
use crate::sync::MutexGuard;

/// Takes items one by one and writes them straight into parts; from [`crate::Index::bulk_loader`].
///
/// Nothing of the load can be seen, or found after a crash, before [`BulkLoader::finish`] returns; then all of it is
/// visible and durable. Vectors pass through to the disk; what stays in memory is about 30 bytes per item with its id, and
/// its compressed metadata, of one segment per shard. A loader that is dropped leaves nothing.
///
/// Rows of a load may lack their graph in any number: they do not slow writers down as others do, until they are merged
/// with others.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use vectra::{Index, Item, Settings};
///
/// let index = Index::create(folder.path().join("films"), Settings::new(2))?;
/// let mut loader = index.bulk_loader();
/// for n in 0..1000_u64 {
///     loader.push(Item::new(n, [n as f32, 1.0]))?;
/// }
/// assert_eq!(index.snapshot().len(), 0, "nothing is seen of it yet");
/// assert_eq!(loader.finish()?.items, 1000);
/// assert_eq!(index.snapshot().len(), 1000);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BulkLoader<'a> {
    engine: &'a Arc<Engine>,
    replacing: bool,
    /// Per shard, the segment being written.
    open: BTreeMap<usize, TruthWriter<'a>>,
    /// Segments that are written, with their shards.
    done: Vec<(usize, SealedSegment)>,
    /// Their parts, and those of segments that failed; declared behind whatever has them open.
    fresh: Fresh<'a>,
    items: u64,
    terms: MetadataTerms,
    /// Bytes that may be written before the next look at the volume.
    until_look: u64,
    /// Why a segment could not be written: the load is incomplete from then on.
    failed: Option<Error>,
}

impl<'a> BulkLoader<'a> {
    pub(crate) fn new(engine: &'a Arc<Engine>) -> Self {
        let (open, done, terms) = (BTreeMap::new(), Vec::new(), MetadataTerms::default());
        let fresh = Fresh::new(engine);
        Self { engine, replacing: false, open, done, fresh, items: 0, terms, until_look: 0, failed: None }
    }

    /// Lets items replace those with the same ids, as an upsert does; otherwise all ids must be new.
    #[must_use]
    pub fn replacing(mut self) -> Self {
        self.replacing = true;
        self
    }

    /// How many items it has taken.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Takes an item.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a vector, id or metadata that the index does not take: the item is left out, the load can
    /// go on. [`ErrorKind::Io`], [`ErrorKind::Full`] if its part cannot be written: the load cannot be finished then.
    pub fn push(&mut self, item: Item) -> Result<()> {
        let settings = &self.engine.settings;
        validate::id(&item.id)
            .and_then(|()| validate::vector(&item.vector, settings))
            .and_then(|()| validate::metadata(&item.metadata, settings))
            .map_err(|text| {
                let text = format!("item {} of the load (id `{}`): {text}", self.items, Shown(&item.id));
                Error::invalid(text)
            })?;
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let written = self.write(&item);
        self.failed = written.as_ref().err().cloned();
        written
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        let settings = &self.engine.settings;
        let id = item.id.encode();
        let shard = usize::from(self.engine.router.route(&id));
        let bytes = (settings.dim as usize * settings.element.size()) as u64;
        if self.until_look < bytes || !self.open.contains_key(&shard) {
            self.until_look = self.engine.admit_load(bytes + self.owed())?;
        }
        self.until_look = self.until_look.saturating_sub(bytes);
        let writer = match self.open.entry(shard) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(TruthWriter::begin(&*self.engine.store, settings)?)
            }
        };
        let half: Vec<f16>;
        let vector = match settings.element {
            ElementKind::F32 => Vectors::F32(&item.vector),
            ElementKind::F16 => {
                half = item.vector.iter().map(|x| f16::from_f32(*x)).collect();
                Vectors::F16(&half)
            }
        };
        let sum = self.terms.row(&id, vector.as_bytes(), &item.metadata);
        let (inverse_norm, metadata) = (vector.inverse_norm(), &item.metadata);
        // The frame will date all rows alike; its LSN is not known yet.
        writer.push(&RowSource { id: &id, lsn: 0, vector, inverse_norm, metadata, sum })?;
        self.items += 1;
        if writer.rows() >= settings.segment_rows_max {
            self.close_segment(shard)?;
        }
        Ok(())
    }

    /// Bytes that the open segments will take when they are closed, beside the vectors that are written: what waits in
    /// memory, and codes.
    fn owed(&self) -> u64 {
        let dim = self.engine.settings.dim as usize;
        self.open.values().map(|writer| (writer.buffered_bytes() + writer.rows() as usize * dim) as u64).sum()
    }

    fn close_segment(&mut self, shard: usize) -> Result<()> {
        self.until_look = self.engine.admit_load(self.owed())?;
        if let Some(writer) = self.open.remove(&shard) {
            let number = self.engine.next_number();
            let segment = self.engine.write_segment(number, writer, (0, 0), &mut self.fresh)?;
            self.done.push((shard, segment));
        }
        Ok(())
    }

    /// Makes everything taken part of the index, all or nothing: durable, visible, and searched by scan until graphs are
    /// built in the background.
    ///
    /// # Errors
    /// Nothing is there then, unless said otherwise: what an earlier [`BulkLoader::push`] failed with;
    /// [`ErrorKind::Invalid`] for an id that stands twice in the load, [`ErrorKind::Conflict`] for one that is taken;
    /// [`ErrorKind::Io`], [`ErrorKind::Full`]; [`ErrorKind::Uncertain`] if the log failed: reopen to see whether the
    /// load is there.
    pub fn finish(mut self) -> Result<Receipt> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.engine.check_open()?;
        while let Some(shard) = self.open.keys().next().copied() {
            self.close_segment(shard)?;
        }
        if self.done.is_empty() {
            return Ok(Receipt { lsn: 0, items: 0 });
        }
        refuse_repeated(&self.done)?;
        let lsn = self.engine.attach(&mut self.done, &mut self.fresh, self.replacing)?;
        Ok(Receipt { lsn, items: self.items })
    }
}

/// Refuses a load in which an id stands twice.
fn refuse_repeated(done: &[(usize, SealedSegment)]) -> Result<()> {
    for (number, (shard, segment)) in done.iter().enumerate() {
        let ids = segment.truth.ids();
        let earlier = done[..number].iter().filter(|(other, _)| other == shard);
        let earlier: Vec<_> = earlier.map(|(_, segment)| segment.truth.ids()).collect();
        let mut before: Option<&[u8]> = None;
        for rank in 0..segment.rows() {
            let slot = ids.slot_at(rank)?;
            let id = ids.encoded(slot)?;
            let mut repeated = before == Some(id);
            for other in &earlier {
                repeated |= other.find(id)?.is_some();
            }
            if repeated {
                let text = format!(
                    "the id `{}` stands twice in the load; nothing was loaded",
                    Shown(&ids.id(slot)?)
                );
                return Err(Error::invalid(text));
            }
            before = Some(id);
        }
    }
    Ok(())
}

type Locked<'a> = Vec<(usize, MutexGuard<'a, ShardWriter>)>;

/// An older row that the load replaces.
struct Replaced {
    shard: usize,
    id: ItemId,
    live: Live,
}

impl Engine {
    /// Logs one frame for `done` and shows it: the segments come in, the rows that they replace die. Takes the segments
    /// once they may be in the log.
    fn attach(
        self: &Arc<Self>,
        done: &mut Vec<(usize, SealedSegment)>,
        fresh: &mut Fresh<'_>,
        replacing: bool,
    ) -> Result<Lsn> {
        let touched: BTreeSet<usize> = done.iter().map(|(shard, _)| *shard).collect();
        let mut locked = Locked::new();
        for number in touched {
            locked.push((number, self.lock_shard(number)?));
        }
        self.refuse_too_many_segments(&|number| done.iter().filter(|(shard, _)| *shard == number).count())?;
        let replaced = self.replaced_by(done, &locked)?;
        if let Some(first) = replaced.first().filter(|_| !replacing) {
            let text = format!(
                "an item with the id `{}` exists already; nothing was loaded, use a replacing load to replace it",
                Shown(&first.id)
            );
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let frame = LoadFrame {
            segments: done.iter().map(|(shard, segment)| loaded(*shard, segment)).collect(),
            dead: replaced.iter().map(|row| row.id.clone()).collect(),
        };
        let payload = frame.encode();
        if payload.len() > BATCH_BYTES_MAX {
            let text =
                format!("the load replaces {} items, more than one frame can name: split it", replaced.len());
            return Err(Error::invalid(text));
        }
        self.admit(payload.len() as u64, true)?;
        // From here on the log may name them, whatever becomes of this call.
        fresh.keep();
        let ticket = self.stage_load(payload, replaced, std::mem::take(done), &mut locked)?;
        // Under the locks: no other writer looks for rows before the load is among them.
        self.log.commit(&ticket, Durability::Sync, &|upto| self.publish(upto)).map_err(append_error)?;
        drop(locked);
        self.kick();
        Ok(ticket.last_lsn)
    }

    fn stage_load(
        &self,
        payload: Vec<u8>,
        replaced: Vec<Replaced>,
        segments: Vec<(usize, SealedSegment)>,
        locked: &mut Locked<'_>,
    ) -> Result<vectra_wal::Ticket> {
        locked.iter_mut().for_each(|(_, writer)| writer.staging = true);
        let mut stages: BTreeMap<usize, Stage> = locked.iter().map(|(n, _)| (*n, Stage::default())).collect();
        for Replaced { shard, id, live } in replaced {
            let writer = locked.iter_mut().find(|(number, _)| *number == shard);
            let (_, writer) = writer.expect("every touched shard is locked");
            let stage = stages.get_mut(&shard).expect("every touched shard is locked");
            stage.apply(0, &Op::Delete { id }, Some(live), writer);
        }
        let _dating = self.dating.read();
        let ticket = self.log.enqueue(FRAME_LOAD, 1, payload).map_err(append_error)?;
        for (number, stage) in stages {
            stage.stamp(ticket.first_lsn, &mut self.shards[number].pending.lock());
        }
        for (number, segment) in segments {
            self.shards[number].pending.lock().push(arrival(segment, ticket.first_lsn));
        }
        locked.iter_mut().for_each(|(_, writer)| writer.staging = false);
        Ok(ticket)
    }

    /// The live rows, staged ones included, whose ids are among the rows of `done`.
    fn replaced_by(&self, done: &[(usize, SealedSegment)], locked: &Locked<'_>) -> Result<Vec<Replaced>> {
        let mut replaced = Vec::new();
        for (shard, segment) in done {
            let state = self.cell.load();
            let there = &state.shards[*shard];
            if there.sealed.is_empty() && there.unsealed().all(|segment| segment.len() == 0) {
                continue;
            }
            let writer = locked.iter().find(|(number, _)| number == shard).map(|(_, writer)| writer);
            let writer = writer.expect("every touched shard is locked");
            for slot in 0..segment.rows() {
                let id = segment.truth.id(slot)?;
                // Taken for each id: whoever publishes for other writers waits for it.
                let pending = self.shards[*shard].pending.lock();
                if let Some(live) = find_live(&id, *shard, writer, &pending, &self.cell)? {
                    replaced.push(Replaced { shard: *shard, id, live });
                }
            }
        }
        Ok(replaced)
    }

    /// Commits a shard of `state` that has segments which only the log names; whether there was one. Comes before any
    /// merge: what is merged away was named by a manifest before, on which a replay of the log can be based.
    pub(crate) fn name_loads(&self, state: &State) -> Result<bool> {
        for (number, shard) in state.shards.iter().enumerate() {
            let named: BTreeSet<_> = {
                let committed = self.committed.lock();
                committed.newest.shards[number].segments.iter().map(|entry| entry.rows_part.id).collect()
            };
            if shard.sealed.iter().any(|view| !named.contains(&view.segment.entry.rows_part.id)) {
                self.commit(number, &|shard, _| shard.clone())?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn loaded(shard: usize, segment: &SealedSegment) -> LoadedSegment {
    let entry = &segment.entry;
    LoadedSegment {
        shard: shard as u16,
        rows: entry.rows,
        sum: entry.sum.expect("a segment just written has its sum"),
        rows_part: entry.rows_part,
        meta_part: entry.meta_part,
        index_part: entry.index_part.expect("a segment just written has its codes"),
    }
}

/// The effect by which a segment of a load comes in.
pub(super) fn arrival(mut segment: SealedSegment, lsn: Lsn) -> Effect {
    segment.entry.lsns = (lsn, lsn);
    Effect { lsn, segment: segment.number, slot: 0, change: Change::Attach(Arc::new(segment)) }
}
