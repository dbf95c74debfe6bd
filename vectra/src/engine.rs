//! The composition: one log, one manifest chain, one lock file, one snapshot cell, and the shards that write into them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vectra_core::codec::Digest;
use vectra_core::env::Env;
use vectra_core::io::{Fs, LockGuard};
use vectra_shard::Router;
use vectra_tier::PartStore;
use vectra_wal::{AppendError, Log, Lsn};

use crate::error::{Error, ErrorKind, Result};
use crate::folder::check_process;
use crate::maintain::{Derived, Maintenance, Wanted};
use crate::manifest::{Manifest, ManifestStore};
use crate::opened::OpenReport;
use crate::read::ReadContext;
use crate::segment::sealed::SealedView;
use crate::settings::Settings;
use crate::snapshot::{ShardState, SnapshotCell, State};
use crate::sync::RwLock;
#[cfg(feature = "remote")]
use crate::tiers::Stores;
use crate::write::shard::{Change, Effect, Shard};

/// The two newest generations of the manifest, as committed.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) newest: Manifest,
    pub(crate) digest: Digest,
    pub(crate) previous: Option<Manifest>,
    /// The highest number that a generation ever had: the next one is higher.
    pub(crate) highest: u64,
    /// A damaged generation is not superseded yet: nothing is removed, since it may need it.
    pub(crate) unread: bool,
    /// Set when a commit failed after it may have become visible: nothing may be committed on top of it.
    pub(crate) broken: Option<Error>,
}

/// Everything that an open index is made of.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) env: Env,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) root: PathBuf,
    /// What opening found.
    pub(crate) opened: OpenReport,
    /// What a snapshot needs besides its state.
    pub(crate) context: Arc<ReadContext>,
    /// Who opened it: a process that was forked off must not write.
    pub(crate) process: u32,
    pub(crate) settings: Settings,
    /// Which codes segments are to have now; the settings say what was asked for when the index was opened.
    pub(crate) wanted: Mutex<Wanted>,
    pub(crate) router: Arc<dyn Router>,
    pub(crate) store: Arc<dyn PartStore>,
    #[cfg(feature = "remote")]
    pub(crate) stores: Stores,
    /// Held while a segment moves to the object store or back, or objects are swept.
    #[cfg(feature = "remote")]
    pub(crate) spilling: Mutex<()>,
    pub(crate) manifests: ManifestStore,
    pub(crate) log: Box<dyn Log>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) cell: SnapshotCell,
    pub(crate) committed: Mutex<Committed>,
    pub(crate) maintenance: Maintenance,
    pub(crate) derived: Derived,
    /// Numbers for segments, unique within the process.
    pub(crate) numbers: Arc<AtomicU64>,
    /// Held (shared) by a writer from queueing its frame until its rows are dated: a group's leader may write and
    /// publish that frame before its writer has gone on.
    pub(crate) dating: RwLock<()>,
    /// How many callers asked to put off graph building.
    pub(crate) deferred: AtomicUsize,
    pub(crate) closed: AtomicBool,
    pub(crate) lock: Mutex<Option<Box<dyn LockGuard>>>,
}

impl Engine {
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the index is closed"));
        }
        check_process(self.process)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes everything up to `upto` visible: one new snapshot for a whole commit group.
    pub(crate) fn publish(&self, upto: Lsn) {
        // Every frame up to `upto` is queued, so whoever has yet to date its rows holds this already.
        drop(self.dating.write());
        self.cell.publish(|state| publish_effects(state, &self.shards, upto));
        for shard in &self.shards {
            shard.pending.lock().published(upto);
        }
    }

    /// Writes, syncs and publishes everything that is queued.
    pub(crate) fn sync_log(&self) -> Result<Lsn> {
        self.log.sync(&|upto| self.publish(upto)).map_err(append_error)
    }
}

/// The state after the staged effects up to `upto`.
pub(crate) fn publish_effects(state: &State, shards: &[Shard], upto: Lsn) -> State {
    let mut next = state.clone();
    next.visible_lsn = next.visible_lsn.max(upto);
    for (number, shard) in shards.iter().enumerate() {
        let effects = shard.pending.lock().take(upto);
        if !effects.is_empty() {
            next.shards[number] = Arc::new(apply_effects(&state.shards[number], effects));
        }
    }
    next
}

fn apply_effects(shard: &ShardState, effects: Vec<Effect>) -> ShardState {
    let mut next = shard.clone();
    for effect in effects {
        if let Change::Attach(segment) = effect.change {
            next.sealed.push(SealedView::fresh(segment));
            continue;
        }
        let view = next.sealed.iter_mut().find(|view| view.segment.number == effect.segment);
        let view = view.expect("segments are swapped only while nothing is staged");
        match effect.change {
            Change::Kill => view.kill(effect.slot),
            Change::Update(metadata) => view.update(effect.slot, effect.lsn, metadata),
            Change::Attach(_) => unreachable!("handled above"),
        }
    }
    next
}

/// What a failed append means to a caller of the database.
pub(crate) fn append_error(error: AppendError) -> Error {
    let kind = match &error {
        AppendError::Closed => ErrorKind::Closed,
        AppendError::PayloadTooLarge { .. } => ErrorKind::Invalid,
        AppendError::Poisoned { .. } => ErrorKind::Unavailable,
        AppendError::LsnExhausted { .. } => ErrorKind::Full,
        AppendError::Remove { .. } => ErrorKind::Io,
        _ => ErrorKind::Uncertain,
    };
    let text = match kind {
        ErrorKind::Unavailable => "the log failed earlier; reopen the index to go on writing",
        ErrorKind::Uncertain => "the log failed; reopen the index to see what was written",
        _ => "the log did not take this",
    };
    Error::caused(kind, text, error)
}
