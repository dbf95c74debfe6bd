//! One batch from intent to acknowledgement: lock, resolve, encode, stage, queue, date, unlock, commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use vectra_core::{ItemId, Value};
use vectra_wal::{Durability, Lsn};

use super::frame::FRAME_BATCH;
use super::op::{Op, encode};
use super::shard::ShardWriter;
use super::stage::{Live, Stage, find_live};
use super::validate::Shown;
use crate::engine::{Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::item::Item;
use crate::sync::MutexGuard;

/// The most bytes a batch may take in the log.
pub(crate) const BATCH_BYTES_MAX: usize = 64 << 20;

/// Operations after which the background worker is asked to look again.
const TEND_EVERY: u64 = 1024;
/// Segments a shard may have before writers are refused: a place names its segment by sixteen bits.
const SEGMENTS_MAX: usize = 60_000;
/// Bytes of rows in memory beyond which a shard is sealed before it has its number of rows.
const UNSEALED_BYTES_MAX: usize = 512 << 20;

/// What a caller wants done to one item.
#[derive(Debug)]
pub(crate) enum Intent {
    Insert(Item),
    Upsert(Item),
    Update(ItemId, Value),
    Delete(ItemId),
}

impl Intent {
    fn id(&self) -> &ItemId {
        match self {
            Self::Insert(item) | Self::Upsert(item) => &item.id,
            Self::Update(id, _) | Self::Delete(id) => id,
        }
    }
}

/// What an acknowledged batch did, and a ticket to wait for its durability with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The LSN of its last operation; everything up to it is visible. 0 if there was nothing to do.
    pub lsn: Lsn,
    /// How many items it changed.
    pub items: u64,
}

impl Receipt {
    /// Returns once this write survives a power cut, and everything before it: what makes up for a weaker
    /// [`Durability`] where it matters. `index` is the one that was written to.
    ///
    /// # Errors
    /// As [`Index::wait_durable`](crate::Index::wait_durable).
    pub fn wait_durable(&self, index: &crate::Index) -> Result<()> {
        index.wait_durable(self.lsn)
    }
}

/// An operation with the shard it belongs to and the live row it replaces.
struct Resolved {
    shard: usize,
    op: Op,
    live: Option<Live>,
}

impl Engine {
    /// Carries out a checked batch atomically.
    pub(crate) fn write(self: &Arc<Self>, intents: Vec<Intent>, durability: Durability) -> Result<Receipt> {
        self.check_open()?;
        if intents.is_empty() {
            return Ok(Receipt { lsn: 0, items: 0 });
        }
        // What only deletes is never refused for want of room: it is how room is made.
        if intents.iter().any(|intent| !matches!(intent, Intent::Delete(_))) {
            self.wait_for_room()?;
        }
        self.refuse_too_many_segments(&|_| 0)?;
        let routes: Vec<usize> =
            intents.iter().map(|i| usize::from(self.router.route(&i.id().encode()))).collect();
        let touched: BTreeSet<usize> = routes.iter().copied().collect();
        let mut locked = Vec::with_capacity(touched.len());
        for number in touched {
            locked.push((number, self.lock_shard(number)?));
        }
        let resolved = self.resolve(intents, &routes, &locked)?;
        if resolved.is_empty() {
            return Ok(Receipt { lsn: 0, items: 0 });
        }
        let items = resolved.len() as u64;
        let ticket = self.stage(resolved, &mut locked)?;
        let full = self.freeze_full(&mut locked);
        drop(locked);
        self.log.commit(&ticket, durability, &|upto| self.publish(upto)).map_err(append_error)?;
        // Now and then also without a full segment: deletes and updates wear segments and fill the log, too.
        if full || ticket.last_lsn / TEND_EVERY != (ticket.first_lsn - 1) / TEND_EVERY {
            self.kick();
        }
        Ok(Receipt { lsn: ticket.last_lsn, items })
    }

    /// Refuses what would give a shard too many segments, `more` of its own included.
    pub(crate) fn refuse_too_many_segments(&self, more: &dyn Fn(usize) -> usize) -> Result<()> {
        let state = self.cell.load();
        let mut shards = state.shards.iter().enumerate();
        shards.try_for_each(|(number, shard)| {
            check_segments(shard.sealed.len() + shard.frozen.len(), more(number))
        })
    }

    /// Takes a shard's write lock; refuses if a writer panicked while it staged, or if the log failed: what is staged may then
    /// include operations of which nobody knows whether they were written, and must not decide about others.
    pub(crate) fn lock_shard(&self, number: usize) -> Result<MutexGuard<'_, ShardWriter>> {
        let writer = self.shards[number].writer.lock();
        self.log.accepts().map_err(append_error)?;
        if writer.staging {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "an earlier write failed half way; reopen the index to go on writing",
            ));
        }
        Ok(writer)
    }

    fn resolve(
        &self,
        intents: Vec<Intent>,
        routes: &[usize],
        locked: &[(usize, MutexGuard<'_, ShardWriter>)],
    ) -> Result<Vec<Resolved>> {
        let mut resolved = Vec::with_capacity(intents.len());
        for (position, (intent, shard)) in intents.into_iter().zip(routes.iter().copied()).enumerate() {
            let writer = locked.iter().find(|(number, _)| *number == shard).map(|(_, writer)| writer);
            let writer = writer.expect("every touched shard is locked");
            let live = {
                let pending = self.shards[shard].pending.lock();
                find_live(intent.id(), shard, writer, &pending, &self.cell)?
            };
            if let Some(op) = resolve_one(intent, live.as_ref(), position)? {
                resolved.push(Resolved { shard, op, live });
            }
        }
        Ok(resolved)
    }

    /// Encodes, stages, queues and dates a batch under the locks of its shards.
    fn stage(
        &self,
        resolved: Vec<Resolved>,
        locked: &mut [(usize, MutexGuard<'_, ShardWriter>)],
    ) -> Result<vectra_wal::Ticket> {
        let (ops, targets): (Vec<Op>, Vec<_>) =
            resolved.into_iter().map(|r| (r.op, (r.shard, r.live))).unzip();
        let payload = encode(&ops, self.settings.element);
        if payload.len() > BATCH_BYTES_MAX {
            let text =
                format!("the batch takes {} bytes; at most {BATCH_BYTES_MAX} fit: split it", payload.len());
            return Err(Error::invalid(text));
        }
        self.admit(payload.len() as u64, ops.iter().any(|op| !matches!(op, Op::Delete { .. })))?;
        locked.iter_mut().for_each(|(_, writer)| writer.staging = true);
        let mut stages: Vec<Stage> = locked.iter().map(|_| Stage::default()).collect();
        for (position, (op, (shard, live))) in ops.iter().zip(targets).enumerate() {
            let at = locked
                .iter()
                .position(|(number, _)| *number == shard)
                .expect("every touched shard is locked");
            stages[at].apply(position as u32, op, live, &mut locked[at].1);
        }
        let _dating = self.dating.read();
        let queued = self.log.enqueue(FRAME_BATCH, ops.len() as u32, payload);
        let ticket = match queued {
            Ok(ticket) => ticket,
            // Undated rows stay behind, in no snapshot for ever; but an id may now lead to one, so no more writes.
            Err(e) => return Err(append_error(e)),
        };
        for ((number, writer), stage) in locked.iter_mut().zip(stages) {
            stage.stamp(ticket.first_lsn, &mut self.shards[*number].pending.lock());
            writer.staging = false;
        }
        Ok(ticket)
    }

    /// Freezes the mutable segments that are full; whether there were any.
    fn freeze_full(&self, locked: &mut [(usize, MutexGuard<'_, ShardWriter>)]) -> bool {
        let mut any = false;
        for (number, writer) in locked {
            let segment = &writer.mutable.segment;
            if segment.len() >= self.settings.seal_rows || segment.bytes() > UNSEALED_BYTES_MAX {
                self.freeze(*number, writer);
                any = true;
            }
        }
        any
    }
}

/// Fails if a shard has no room for another segment beside those that are there and `more`.
fn check_segments(there: usize, more: usize) -> Result<()> {
    if there + more < SEGMENTS_MAX {
        return Ok(());
    }
    let text = if more == 0 {
        "a shard has too many small segments; let `wait_optimized` merge them, or use a larger seal_rows"
    } else {
        "the load would give a shard too many segments; nothing was loaded: let `wait_optimized` merge what is there, or \
         use a larger segment_rows_max"
    };
    Err(Error::new(ErrorKind::Unavailable, text))
}

/// Turns an intent into what the log records, given the live row of its id.
fn resolve_one(intent: Intent, live: Option<&Live>, position: usize) -> Result<Option<Op>> {
    let fail = |kind, id: &ItemId, text: &str| {
        let text = format!("item {position} of the batch (id `{}`): {text}; nothing was written", Shown(id));
        Err(Error::new(kind, text))
    };
    Ok(Some(match intent {
        Intent::Insert(item) if live.is_some() => {
            return fail(
                ErrorKind::Conflict,
                &item.id,
                "an item with this id exists already; use upsert to replace it",
            );
        }
        Intent::Insert(item) | Intent::Upsert(item) => {
            Op::Put { id: item.id, vector: item.vector, metadata: Arc::new(item.metadata) }
        }
        Intent::Delete(_) if live.is_none() => return Ok(None),
        Intent::Delete(id) => Op::Delete { id },
        Intent::Update(id, metadata) => match live {
            None => return fail(ErrorKind::NotFound, &id, "there is no item with this id"),
            Some(live) => update_op(id, Arc::new(metadata), live),
        },
    }))
}

/// An update of an unsealed row is a put of the whole item: the old row may be gone from the parts when the log is
/// replayed.
pub(crate) fn update_op(id: ItemId, metadata: Arc<Value>, live: &Live) -> Op {
    match live {
        Live::Unsealed(segment, slot) => Op::Put { id, vector: segment.vector(*slot).to_f32(), metadata },
        Live::Sealed(..) => Op::Update { id, metadata },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_of_a_load_count_before_it_is_let_in() {
        assert!(check_segments(SEGMENTS_MAX - 1, 0).is_ok() && check_segments(1, SEGMENTS_MAX - 2).is_ok());
        for (there, more) in [(SEGMENTS_MAX, 0), (1, SEGMENTS_MAX - 1), (0, 70_000)] {
            let error = check_segments(there, more).expect_err("more than a place can name");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.to_string().contains("the load"), more > 0, "{error}");
        }
    }
}
