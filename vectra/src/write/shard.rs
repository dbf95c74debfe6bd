//! One shard's writing side: its lock, its mutable segment, and what is staged but not yet published.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use vectra_core::Value;
use vectra_wal::Lsn;

use crate::segment::mutable::MutableWriter;
use crate::segment::sealed::SealedSegment;
use crate::sync::Mutex;

/// A change to a sealed row, or a new sealed segment, that becomes visible when its LSN does.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) lsn: Lsn,
    /// The segment's number.
    pub(crate) segment: u64,
    pub(crate) slot: u32,
    pub(crate) change: Change,
}

/// What happens to the row.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Kill,
    Update(Arc<Value>),
    /// The segment is a new one, of a bulk load.
    Attach(Arc<SealedSegment>),
}

/// Staged effects in LSN order, and the sealed rows they kill.
///
/// A kill stays in `dead` until the snapshot that shows it is published. Whoever validates looks here first and at the
/// snapshot second, so that a row is seen dead in at least one of them.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    queue: VecDeque<Effect>,
    dead: BTreeMap<(u64, u32), Lsn>,
}

impl Pending {
    pub(crate) fn push(&mut self, effect: Effect) {
        if matches!(effect.change, Change::Kill) {
            self.dead.insert((effect.segment, effect.slot), effect.lsn);
        }
        self.queue.push_back(effect);
    }

    pub(crate) fn kills(&self, segment: u64, slot: u32) -> bool {
        self.dead.contains_key(&(segment, slot))
    }

    /// Takes the effects up to `upto`, leaving their kills known until [`Pending::published`].
    pub(crate) fn take(&mut self, upto: Lsn) -> Vec<Effect> {
        let ready = self.queue.iter().take_while(|e| e.lsn <= upto).count();
        self.queue.drain(..ready).collect()
    }

    /// Forgets the kills up to `upto`: the published snapshot shows them.
    pub(crate) fn published(&mut self, upto: Lsn) {
        self.dead.retain(|_, lsn| *lsn > upto);
    }
}

/// What the shard's write lock guards.
#[derive(Debug)]
pub(crate) struct ShardWriter {
    pub(crate) mutable: MutableWriter,
    /// Set while rows are staged; if it is still set when the lock is next taken, a writer panicked half way.
    pub(crate) staging: bool,
}

/// The writing side of one shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) writer: Mutex<ShardWriter>,
    pub(crate) pending: Mutex<Pending>,
}

impl Shard {
    pub(crate) fn new(mutable: MutableWriter) -> Self {
        Self { writer: Mutex::new(ShardWriter { mutable, staging: false }), pending: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_known_until_it_is_published() {
        let mut pending = Pending::default();
        for lsn in [3, 5] {
            pending.push(Effect { lsn, segment: 1, slot: lsn as u32, change: Change::Kill });
        }
        assert_eq!(pending.take(4).len(), 1);
        assert!(pending.kills(1, 3) && pending.kills(1, 5));
        pending.published(4);
        assert!(!pending.kills(1, 3) && pending.kills(1, 5));
        assert_eq!(pending.take(9).len(), 1);
    }
}
