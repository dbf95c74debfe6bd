//! Moving the parts of sealed segments to an object store, and back.
//!
//! Parts, then manifest, then snapshot, as everywhere: a segment is cold only once all its parts have been read back
//! from the store, and hot again only once they are in the folder. A crash at any point leaves objects or cached copies
//! that no manifest names; copies go with the next commit, objects with the next [`Engine::sweep_remote`].

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;
use vectra_tier::{PartHandle, PartRef, PartStore, RemoteError, RemoteStore, StoreError};

use crate::engine::{Committed, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, SegmentEntry, Tier};
use crate::segment::index::SealedIndex;
use crate::segment::sealed::SealedSegment;
use crate::segment::truth::Truth;
use crate::snapshot::ShardState;

/// What [`Index::spill_all`](crate::Index::spill_all) moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Spilled {
    /// Segments that rest in the object store now and did not before.
    pub segments: u64,
    /// Bytes of their parts.
    pub bytes: u64,
}

impl Engine {
    /// Spills the hot segments that have their graph: the one named by its rows part, or all of them.
    pub(crate) fn spill(&self, only: Option<Uuid>) -> Result<Spilled> {
        let _one_at_a_time = self.spilling.lock();
        let state = self.cell.load();
        let mut spilled = Spilled::default();
        let mut known = only.is_none();
        for (number, shard) in state.shards.iter().enumerate() {
            for view in &shard.sealed {
                let (segment, entry) = (&view.segment, &view.segment.entry);
                if only.is_some_and(|id| id != entry.rows_part.id) {
                    continue;
                }
                known = true;
                if entry.tier == Tier::Hot && segment.has_graph() && self.spill_one(number, segment)? {
                    spilled.segments += 1;
                    spilled.bytes += entry.tiered_parts().map(|part| part.length).sum::<u64>();
                }
            }
        }
        if !known {
            return Err(Error::new(ErrorKind::NotFound, "there is no such segment; its id is in the stats"));
        }
        Ok(spilled)
    }

    /// Moves one segment; whether it did, since it may have been merged meanwhile.
    fn spill_one(&self, number: usize, segment: &Arc<SealedSegment>) -> Result<bool> {
        let remote = self.remote()?;
        for part in segment.entry.tiered_parts() {
            let handle = self.stores.tiers.open(part).map_err(|e| Error::open_part(part, e))?;
            remote.upload(&handle).map_err(remote_error)?;
        }
        let open = |part: &PartRef| {
            self.stores.tiers.copy_to_cache(part).map_err(|e| store_error(part, e))?;
            self.stores.tiers.open_cold(part).map_err(|e| Error::open_part(part, e))
        };
        self.retier(number, segment, Tier::Cold, segment.index.is_some(), open)
    }

    /// Brings a cold segment, named by its rows part, back into the folder. Its objects stay until they are swept.
    pub(crate) fn fetch(&self, id: Uuid) -> Result<()> {
        let _one_at_a_time = self.spilling.lock();
        let state = self.cell.load();
        for (number, shard) in state.shards.iter().enumerate() {
            let Some(view) = shard.sealed.iter().find(|view| view.segment.entry.rows_part.id == id) else {
                continue;
            };
            let (segment, entry) = (&view.segment, &view.segment.entry);
            if entry.tier == Tier::Hot {
                return Ok(());
            }
            // A damaged index part stays behind: it is built anew at home.
            let with_index = segment.index.is_some();
            let parts = entry.tiered_parts().take(if with_index { 3 } else { 2 });
            // The store is asked before anything is locked; open copies are not trimmed.
            let open_cold = |part| self.stores.tiers.open_cold(part).map_err(|e| Error::open_part(part, e));
            let _cached: Vec<Arc<PartHandle>> = parts.map(open_cold).collect::<Result<_>>()?;
            let open = |part: &PartRef| {
                self.stores.tiers.copy_home(part).map_err(|e| store_error(part, e))?;
                self.stores.tiers.open(part).map_err(|e| Error::open_part(part, e))
            };
            self.retier(number, segment, Tier::Hot, with_index, open)?;
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "there is no such segment; its id is in the stats"))
    }

    /// Commits `old` with its parts opened by `open` and at home in `tier`; whether it was still there, unchanged.
    fn retier(
        &self,
        number: usize,
        old: &Arc<SealedSegment>,
        tier: Tier,
        with_index: bool,
        open: impl Fn(&PartRef) -> Result<Arc<PartHandle>>,
    ) -> Result<bool> {
        let new = {
            // Nothing is collected meanwhile: no manifest names the new files yet. Once they are open they are in use.
            let _committed = self.committed.lock();
            let entry = &old.entry;
            let truth = Truth::open(open(&entry.rows_part)?, open(&entry.meta_part)?, &self.settings)?;
            let part = entry.index_part.as_ref().filter(|_| with_index);
            let index = part.map(|part| {
                SealedIndex::open(open(part)?, entry.rows, self.settings.dim as usize, self.settings.metric)
                    .map(Arc::new)
            });
            let entry = SegmentEntry { tier, index_part: part.copied(), ..entry.clone() };
            let (index, base) = (index.transpose()?, old.base.clone());
            SealedSegment { number: old.number, truth: Arc::new(truth), index, entry, base }
        };
        self.commit(number, &|shard, _| with_tier(shard, old, &new))?;
        let state = self.cell.load();
        let mut views = state.shards[number].sealed.iter();
        Ok(views.any(|view| view.segment.number == old.number && view.segment.entry.tier == tier))
    }

    /// Removes the objects of this index that neither of its two newest manifests names; how many those were.
    pub(crate) fn sweep_remote(&self) -> Result<u64> {
        // No upload is under way whose parts no manifest names yet.
        let _one_at_a_time = self.spilling.lock();
        let remote = self.remote()?;
        let named: BTreeSet<Uuid> = {
            let committed = self.committed.lock();
            if let Some(error) = &committed.broken {
                return Err(error.clone());
            }
            if committed.unread || (committed.previous.is_none() && committed.newest.generation > 1) {
                let text = "the generation before the newest cannot be read, so it is not known what it needs; \
                            commit something first";
                return Err(Error::new(ErrorKind::Unavailable, text));
            }
            both(&committed).flat_map(Manifest::parts).map(|part| part.id).collect()
        };
        let mut removed = 0;
        for (id, _) in remote.list().map_err(remote_error)?.parts {
            if !named.contains(&id) {
                remote.delete(id).map_err(remote_error)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes cached copies of parts that none of `needed` has in the object store.
    pub(crate) fn trim_cache<'m>(&self, needed: impl Iterator<Item = &'m Manifest>) -> Result<()> {
        let cold = needed.flat_map(Manifest::segments).filter(|entry| entry.tier == Tier::Cold);
        let keep = cold.flat_map(SegmentEntry::tiered_parts).map(|part| part.id).collect();
        let trimmed = self.stores.tiers.trim_cache(&keep);
        trimmed.map(drop).map_err(|e| Error::caused(ErrorKind::Io, "the cache cannot be trimmed", e))
    }

    fn remote(&self) -> Result<&RemoteStore> {
        let text = "no object store was named when the index was opened; name one with Builder::remote";
        self.stores.tiers.remote().ok_or_else(|| Error::new(ErrorKind::Unavailable, text))
    }
}

fn both(committed: &Committed) -> impl Iterator<Item = &Manifest> {
    [&committed.newest].into_iter().chain(&committed.previous)
}

/// The shard with `new` in the place of `old`, if that is there and has the same parts; what died or changed since stays.
fn with_tier(shard: &ShardState, old: &SealedSegment, new: &SealedSegment) -> ShardState {
    let mut next = shard.clone();
    for view in next.sealed.iter_mut().filter(|view| view.segment.number == old.number) {
        let entry = &view.segment.entry;
        if entry.index_part != old.entry.index_part || view.segment.index.is_some() != new.index.is_some() {
            continue;
        }
        let entry = SegmentEntry { tier: new.entry.tier, index_part: new.entry.index_part, ..entry.clone() };
        let base = view.segment.base.clone();
        view.segment = Arc::new(SealedSegment { entry, base, ..new.clone() });
    }
    next
}

fn store_error(part: &PartRef, source: StoreError) -> Error {
    Error::caused(ErrorKind::Io, format!("the part {} ({}) cannot be moved", part.id, part.role), source)
}

/// What an error of the object store means to a caller of the database.
pub(crate) fn remote_error(source: RemoteError) -> Error {
    let kind = match &source {
        RemoteError::Url { .. } => ErrorKind::Invalid,
        RemoteError::Different { .. } => ErrorKind::Conflict,
        RemoteError::TooLarge { .. } => ErrorKind::Unsupported,
        RemoteError::Local { .. } => ErrorKind::Io,
        _ => ErrorKind::Unavailable,
    };
    Error::caused(kind, "the object store did not do what was asked", source)
}
