//! The manifest: one complete, self-contained description of an index per generation, published atomically.

mod format;
mod store;

pub(crate) use store::{Loaded, ManifestStore};

use vectra_core::codec::Digest;
use vectra_shard::ShardMap;
use vectra_tier::PartRef;
use vectra_wal::Lsn;

use crate::settings::Settings;

/// One sealed segment: the parts it rests in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SegmentEntry {
    pub(crate) rows: u32,
    /// The smallest and largest LSN of its rows.
    pub(crate) lsns: (Lsn, Lsn),
    pub(crate) rows_part: PartRef,
    pub(crate) meta_part: PartRef,
    pub(crate) index_part: Option<PartRef>,
    /// Tombstones, and how many rows they name.
    pub(crate) deletes: Option<PartRef>,
    pub(crate) dead: u32,
    /// Newer metadata, and the LSN of the newest.
    pub(crate) overlay: Option<PartRef>,
    pub(crate) overlay_lsn: Lsn,
}

impl SegmentEntry {
    /// Every part it names.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &PartRef> {
        [
            Some(&self.rows_part),
            Some(&self.meta_part),
            self.index_part.as_ref(),
            self.deletes.as_ref(),
            self.overlay.as_ref(),
        ]
        .into_iter()
        .flatten()
    }
}

/// One shard: its sealed segments, oldest first, and how much of the log they cover.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ShardEntry {
    /// Every operation up to this LSN is in the parts.
    pub(crate) covered_lsn: Lsn,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// The whole state of an index that does not come from its log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// Counts commits, from 1.
    pub(crate) generation: u64,
    /// Digest of the previous generation's file.
    pub(crate) previous: Digest,
    /// Names the index for ever.
    pub(crate) index: [u8; 16],
    pub(crate) settings: Settings,
    pub(crate) shard_map: ShardMap,
    pub(crate) shards: Vec<ShardEntry>,
    /// The log is needed from this LSN on by this generation.
    pub(crate) log_floor: Lsn,
}

impl Manifest {
    /// Every part it names.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &PartRef> {
        self.shards.iter().flat_map(|s| &s.segments).flat_map(SegmentEntry::parts)
    }

    /// The largest LSN that its parts are known to cover.
    pub(crate) fn durable_lsn(&self) -> Lsn {
        self.shards.iter().map(|s| s.covered_lsn).max().unwrap_or(0)
    }

    /// The first LSN that a replay needs.
    pub(crate) fn replay_from(&self) -> Lsn {
        self.shards.iter().map(|s| s.covered_lsn).min().unwrap_or(0) + 1
    }
}
