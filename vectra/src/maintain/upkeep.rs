//! What the background work goes by, and what it last left on disk.

use std::time::Duration;

use vectra_core::codec::Digest;
use vectra_wal::Lsn;

use crate::engine::Committed;
use crate::manifest::Manifest;

/// How an open index looks after itself; chosen in the builder, kept nowhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// How long nothing may have been written before the index settles.
    pub(crate) settle_after: Duration,
    /// Free bytes below which new data is refused; `None` is a tenth of the volume, at most 1 GiB; 0 asks nothing.
    pub(crate) disk_reserve: Option<u64>,
    /// The size of the ballast; `None` goes by the size of the index.
    pub(crate) ballast_bytes: Option<u64>,
    /// The most bytes of derived parts that are copied into memory.
    pub(crate) verified_bytes_max: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            settle_after: Duration::from_secs(1),
            disk_reserve: None,
            ballast_bytes: None,
            verified_bytes_max: 1 << 30,
        }
    }
}

/// The newest generation in a few words.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) generation: u64,
    pub(crate) digest: Digest,
    /// Per shard: every operation up to this LSN is in parts.
    pub(crate) covered: Vec<Lsn>,
    /// Whether nothing on disk is kept only for the generation before.
    pub(crate) settled: bool,
}

impl Summary {
    pub(crate) fn of(committed: &Committed) -> Self {
        let settled = !committed.unread && (committed.previous.is_none() || committed.is_settled());
        Self::of_manifest(&committed.newest, committed.digest, settled)
    }

    pub(crate) fn of_manifest(manifest: &Manifest, digest: Digest, settled: bool) -> Self {
        let covered = manifest.shards.iter().map(|shard| shard.covered_lsn).collect();
        Self { generation: manifest.generation, digest, covered, settled }
    }
}

impl Committed {
    /// Whether the generation before the newest says the same, so that neither keeps anything of its own.
    pub(crate) fn is_settled(&self) -> bool {
        let same = self.previous.as_ref().is_some_and(|previous| {
            previous.shards == self.newest.shards
                && previous.checkpoints == self.newest.checkpoints
                && previous.log_floor == self.newest.log_floor
        });
        same && !self.unread
    }
}
