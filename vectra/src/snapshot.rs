//! The one mutable cell of the engine: an immutable snapshot behind an `ArcSwap`, replaced through one door.

use std::sync::Arc;

use vectra_core::ItemId;
use vectra_core::query::Place;
use vectra_wal::Lsn;

use crate::error::Result;
use crate::segment::mutable::MutableSegment;
use crate::segment::sealed::SealedView;
use crate::sync::{ArcSwap, Mutex};

/// Everything a reader needs, as of one LSN. Immutable but for rows dated beyond `visible_lsn`, which it never shows.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) visible_lsn: Lsn,
    /// The manifest generation behind the sealed segments.
    pub(crate) generation: u64,
    pub(crate) shards: Vec<Arc<ShardState>>,
}

/// One shard of a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct ShardState {
    /// Takes writes.
    pub(crate) mutable: Arc<MutableSegment>,
    /// Full, waiting to be sealed; oldest first.
    pub(crate) frozen: Vec<Arc<MutableSegment>>,
    /// Oldest first.
    pub(crate) sealed: Vec<SealedView>,
}

/// Where the live row of an id stands.
#[derive(Debug, Clone)]
pub(crate) enum Located<'a> {
    Unsealed(&'a Arc<MutableSegment>, u32),
    Sealed(&'a SealedView, u32),
}

impl ShardState {
    /// The unsealed segments, newest first.
    pub(crate) fn unsealed(&self) -> impl Iterator<Item = &Arc<MutableSegment>> {
        std::iter::once(&self.mutable).chain(self.frozen.iter().rev())
    }

    /// The live row of `id` at `visible_lsn`.
    pub(crate) fn find(&self, id: &ItemId, visible_lsn: Lsn) -> Result<Option<Located<'_>>> {
        for segment in self.unsealed() {
            if let Some(slot) = segment.find(id, visible_lsn) {
                return Ok(Some(Located::Unsealed(segment, slot)));
            }
        }
        let encoded = id.encode();
        for view in self.sealed.iter().rev() {
            if let Some(slot) = view.find(&encoded)? {
                return Ok(Some(Located::Sealed(view, slot)));
            }
        }
        Ok(None)
    }

    /// How many items are live at `visible_lsn`.
    pub(crate) fn live(&self, visible_lsn: Lsn) -> u64 {
        let unsealed: u64 = self.unsealed().map(|s| u64::from(s.visible_count(visible_lsn))).sum();
        unsealed + self.sealed.iter().map(|view| u64::from(view.live())).sum::<u64>()
    }

    /// What stands at `place`; segments are numbered sealed first (oldest first), then frozen, then mutable.
    pub(crate) fn at(&self, place: Place) -> Located<'_> {
        let segment = usize::from(place.segment);
        match self.sealed.get(segment) {
            Some(view) => Located::Sealed(view, place.slot),
            None => {
                let frozen = self.frozen.get(segment - self.sealed.len());
                Located::Unsealed(frozen.unwrap_or(&self.mutable), place.slot)
            }
        }
    }
}

/// Holds the newest [`State`] (or, in a model, what stands for it).
#[derive(Debug)]
pub(crate) struct SnapshotCell<S = State> {
    state: ArcSwap<S>,
    /// Publishing is one step after the other; readers never take it.
    publishing: Mutex<()>,
}

impl<S> SnapshotCell<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { state: ArcSwap::from_pointee(state), publishing: Mutex::new(()) }
    }

    /// Pins the newest state.
    pub(crate) fn load(&self) -> Arc<S> {
        self.state.load_full()
    }

    /// The only store into the cell: replaces the state by a function of it.
    pub(crate) fn publish(&self, change: impl FnOnce(&S) -> S) {
        let _one_at_a_time = self.publishing.lock();
        let next = change(&self.state.load());
        self.state.store(Arc::new(next));
    }
}

impl State {
    /// Whether the parts of a segment rest in an object store.
    #[cfg(feature = "remote")]
    pub(crate) fn has_cold(&self) -> bool {
        let mut views = self.shards.iter().flat_map(|shard| &shard.sealed);
        views.any(|view| view.segment.entry.tier == crate::manifest::Tier::Cold)
    }

    /// The same state with shard `number` replaced.
    pub(crate) fn with_shard(&self, number: usize, shard: ShardState) -> Self {
        let mut next = self.clone();
        next.shards[number] = Arc::new(shard);
        next
    }
}
