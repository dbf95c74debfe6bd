//! From raw to verified: derived parts are used at once as the disk gives them, and copied and checked when there is
//! time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::segment::index::SealedIndex;
use crate::segment::sealed::SealedSegment;
use crate::snapshot::State;

/// How derived parts are held, and what was found wrong with them.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The most bytes of them that are held in memory of our own.
    bytes_max: u64,
    /// How many were found damaged since the index was opened.
    damaged: AtomicU64,
}

impl Derived {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, damaged: AtomicU64::new(0) }
    }

    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn note_damage(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Whether another `bytes` of derived data may be held in memory beside what the newest snapshot holds.
    pub(crate) fn may_hold(&self, bytes: u64) -> bool {
        let state = self.cell.load();
        let verified = indexes(&state).filter(|index| index.is_verified());
        let held: u64 = verified.map(|index| index.part.reference().length).sum();
        held.saturating_add(bytes) <= self.derived.bytes_max
    }

    /// Verifies one derived part that fits into memory; whether there was one.
    ///
    /// Only the snapshot changes: the manifest names the same part. A damaged one leaves the snapshot, so that its
    /// segment is scanned, until the policy has it built anew.
    pub(crate) fn verify_one(&self) -> Result<bool> {
        let state = self.cell.load();
        let next = indexes(&state)
            .find(|index| !index.is_verified() && self.may_hold(index.part.reference().length));
        let Some(raw) = next else { return Ok(false) };
        let verified = match raw.verified(self.settings.dim as usize, self.settings.metric) {
            Ok(verified) => Some(Arc::new(verified)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.derived.note_damage();
                tracing::warn!(%error, "an index part is damaged and will be rebuilt");
                None
            }
            Err(error) => return Err(error),
        };
        self.cell.publish(|state| replace_index(state, raw, verified.as_ref()));
        Ok(true)
    }
}

fn indexes(state: &State) -> impl Iterator<Item = &Arc<SealedIndex>> {
    let views = state.shards.iter().flat_map(|shard| &shard.sealed);
    views.filter_map(|view| view.segment.index.as_ref())
}

/// The state with `new` where `old` is; nothing else changes, and nothing at all if `old` has been replaced meanwhile.
fn replace_index(state: &State, old: &Arc<SealedIndex>, new: Option<&Arc<SealedIndex>>) -> State {
    let mut next = state.clone();
    for shard in &mut next.shards {
        let here =
            |segment: &SealedSegment| segment.index.as_ref().is_some_and(|index| Arc::ptr_eq(index, old));
        let Some(at) = shard.sealed.iter().position(|view| here(&view.segment)) else { continue };
        let view = &mut Arc::make_mut(shard).sealed[at];
        view.segment = Arc::new(SealedSegment { index: new.cloned(), ..SealedSegment::clone(&view.segment) });
    }
    next
}
