//! The manifest: one complete, self-contained description of an index per generation, published atomically.

mod check;
mod format;
mod quarantine;
mod store;

pub(crate) use check::COUNT_MAX;
#[cfg(feature = "fuzzing")]
pub(crate) use format::{decode, encode};
pub(crate) use store::{Chain, Loaded, ManifestStore};

use vectra_core::codec::Digest;
use vectra_shard::ShardMap;
use vectra_tier::PartRef;
use vectra_wal::Lsn;

use crate::segment::ledger::Ledger;
use crate::settings::Settings;

/// Where the parts `rows`, `meta` and `index` of a segment rest. What amends them, `deletes` and `overlay`, is always
/// in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// In the folder.
    Hot,
    /// In an object store; the folder may hold copies.
    Cold,
}

/// One sealed segment: the parts it rests in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SegmentEntry {
    pub(crate) rows: u32,
    pub(crate) tier: Tier,
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
    /// The ledger's sum over the live rows with their newest metadata; `None` once a row that died or changed could not
    /// be read.
    pub(crate) sum: Option<u128>,
}

impl SegmentEntry {
    /// Its live rows; `None` if their sum is not known.
    pub(crate) fn ledger(&self) -> Option<Ledger> {
        Some(Ledger { rows: u64::from(self.rows - self.dead), sum: self.sum? })
    }

    /// The parts that its tier is about: rows, meta and index, in this order.
    pub(crate) fn tiered_parts(&self) -> impl Iterator<Item = &PartRef> {
        [Some(&self.rows_part), Some(&self.meta_part), self.index_part.as_ref()].into_iter().flatten()
    }

    /// The parts that are at home in the folder.
    pub(crate) fn home_parts(&self) -> impl Iterator<Item = &PartRef> {
        let tiered = (self.tier == Tier::Hot).then(|| self.tiered_parts());
        tiered.into_iter().flatten().chain(&self.deletes).chain(&self.overlay)
    }

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

/// The lengths of parts together; a forged manifest may claim anything.
pub(crate) fn total<'p>(parts: impl IntoIterator<Item = &'p PartRef>) -> u64 {
    parts.into_iter().fold(0, |sum, part| sum.saturating_add(part.length))
}

/// One shard: its sealed segments, oldest first, and how much of the log they cover.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ShardEntry {
    /// Every operation up to this LSN is in the parts.
    pub(crate) covered_lsn: Lsn,
    /// The segments of every bulk load up to this LSN are among `segments`, or what they were merged into; not less than
    /// `covered_lsn`.
    pub(crate) attached_lsn: Lsn,
    pub(crate) segments: Vec<SegmentEntry>,
}

/// A state of the index that keeps its name, and its parts, until it is dropped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) name: String,
    /// The state holds everything up to this LSN and nothing beyond.
    pub(crate) lsn: Lsn,
    /// When it was taken, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
    /// The segments of each shard, oldest first.
    pub(crate) shards: Vec<Vec<SegmentEntry>>,
}

/// Features that a later program may have used in a manifest; this one knows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Features {
    /// Unknown ones can be passed over.
    pub(crate) compat: u32,
    /// With an unknown one the index can be read but not written.
    pub(crate) ro_compat: u32,
}

/// The whole state of an index that does not come from its log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// Counts commits, from 1.
    pub(crate) generation: u64,
    /// Digest of the previous generation's file.
    pub(crate) previous: Digest,
    pub(crate) features: Features,
    /// Names the index for ever.
    pub(crate) index: [u8; 16],
    /// Counts the openings for writing that came as far as a commit.
    pub(crate) epoch: u64,
    pub(crate) settings: Settings,
    pub(crate) shard_map: ShardMap,
    pub(crate) shards: Vec<ShardEntry>,
    /// The log is needed from this LSN on by this generation.
    pub(crate) log_floor: Lsn,
    /// Ascending by name.
    pub(crate) checkpoints: Vec<Checkpoint>,
}

impl Manifest {
    /// Every part it names, those of checkpoints included; one may come several times.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &PartRef> {
        self.segments().flat_map(SegmentEntry::parts)
    }

    /// Every part it names that is at home in the folder; one may come several times.
    pub(crate) fn home_parts(&self) -> impl Iterator<Item = &PartRef> {
        self.segments().flat_map(SegmentEntry::home_parts)
    }

    /// Every segment it names, those of checkpoints included; one may come several times.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &SegmentEntry> {
        let kept = self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.shards).flatten();
        self.shards.iter().flat_map(|shard| &shard.segments).chain(kept)
    }

    /// All live rows in its parts; `None` if the sum of a segment is not known.
    pub(crate) fn ledger(&self) -> Option<Ledger> {
        let segments = self.shards.iter().flat_map(|shard| &shard.segments);
        segments.map(SegmentEntry::ledger).try_fold(Ledger::default(), |sum, entry| Some(sum + entry?))
    }

    /// The largest LSN that its parts speak of; the log was durable up to there when the manifest was written.
    pub(crate) fn durable_lsn(&self) -> Lsn {
        let attached = self.shards.iter().map(|shard| shard.attached_lsn.max(shard.covered_lsn));
        let updated = self.shards.iter().flat_map(|shard| &shard.segments).map(|segment| segment.overlay_lsn);
        attached.chain(updated).max().unwrap_or(0)
    }

    /// The first LSN that a replay needs.
    pub(crate) fn replay_from(&self) -> Lsn {
        self.shards.iter().map(|s| s.covered_lsn).min().unwrap_or(0) + 1
    }
}
