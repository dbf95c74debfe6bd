//! Sizes and counts of an open index.

mod codes;

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use vectra_core::codec::Digest;
use vectra_tier::{PartRef, Role};
use vectra_wal::{LogStats, Lsn};

pub use self::codes::{Codes, QuantizationStats};
use crate::engine::Engine;
use crate::maintain::{Summary, Wanted};
use crate::manifest::{SegmentEntry, Tier};
use crate::segment::sealed::SealedView;
use crate::snapshot::State;

/// Sizes and counts at one moment; from [`crate::Index::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Live items.
    pub items: u64,
    /// The last visible LSN.
    pub visible_lsn: u64,
    /// The last LSN known to survive a power cut.
    pub durable_lsn: u64,
    /// The manifest's generation.
    pub generation: u64,
    /// Digest of the manifest's file.
    pub manifest: Digest,
    /// One entry per shard.
    pub shards: Vec<ShardStats>,
    /// How vectors are encoded for search, and the memory that takes.
    pub quantization: QuantizationStats,
    /// Log files on disk.
    pub log_files: u64,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Syncs of the log since it was opened.
    pub log_syncs: u64,
    /// What was written since the index was opened.
    pub written: Written,
    /// Parts of codes and graphs that turned out damaged since the index was opened; they are built anew.
    pub damaged_indexes: u64,
}

/// Bytes written since an index was opened, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Written {
    /// Frames of the log.
    pub log: u64,
    /// Parts with ids and vectors.
    pub rows: u64,
    /// Parts with metadata.
    pub metadata: u64,
    /// Parts with codes and graphs.
    pub index: u64,
    /// Parts that name deleted rows.
    pub deletes: u64,
    /// Parts with newer metadata of sealed rows.
    pub overlay: u64,
}

/// Counts the bytes of new parts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows: AtomicU64,
    metadata: AtomicU64,
    index: AtomicU64,
    deletes: AtomicU64,
    overlay: AtomicU64,
}

impl Counters {
    pub(crate) fn add(&self, part: &PartRef) {
        let counter = match part.role {
            Role::Rows => &self.rows,
            Role::Meta => &self.metadata,
            Role::Index => &self.index,
            Role::Deletes => &self.deletes,
            Role::Overlay => &self.overlay,
            // A kind of part that this crate does not write.
            _ => return,
        };
        counter.fetch_add(part.length, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, log: u64) -> Written {
        let [rows, metadata, index, deletes, overlay] =
            [&self.rows, &self.metadata, &self.index, &self.deletes, &self.overlay]
                .map(|counter| counter.load(Ordering::Relaxed));
        Written { log, rows, metadata, index, deletes, overlay }
    }
}

/// One shard of [`Stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStats {
    /// Rows in memory that are not sealed yet, dead ones included.
    pub unsealed_rows: u64,
    /// Bytes of memory those take, metadata excluded.
    pub unsealed_bytes: u64,
    /// Every operation up to this LSN is in parts.
    pub covered_lsn: u64,
    /// The sealed segments, oldest first.
    pub segments: Vec<SegmentStats>,
}

/// One sealed segment of [`ShardStats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStats {
    /// Its name: the id of its rows.
    pub id: Uuid,
    /// Whether its parts rest in an object store; the folder holds copies.
    pub cold: bool,
    /// Rows, dead ones included.
    pub rows: u32,
    /// Live rows.
    pub live: u32,
    /// Rows whose metadata changed after the seal.
    pub updated: u32,
    /// Whether its graph is built.
    pub has_graph: bool,
    /// The codes that are searched, and what they are made of.
    pub codes: Option<Codes>,
    /// Bytes of its graph.
    pub graph_bytes: u64,
    /// Whether its codes and graph are in memory, verified.
    pub verified: bool,
    /// Bytes of its parts.
    pub bytes: u64,
}

impl Stats {
    pub(crate) fn collect(engine: &Engine) -> Self {
        let state = engine.cell.load();
        let log = engine.log.stats();
        let wanted = (*engine.wanted.lock(), engine.settings.dim);
        let stats = Self::of(&state, engine.summary(), wanted, engine.log.durable_lsn(), log);
        let (written, damaged_indexes) = (engine.written(log.frame_bytes), engine.derived.damaged());
        Self { written, damaged_indexes, ..stats }
    }

    /// Of a state and the manifest and log behind it, with what is wanted of codes for vectors of so many components.
    pub(crate) fn of(
        state: &State,
        committed: Summary,
        (wanted, dim): (Wanted, u32),
        durable_lsn: Lsn,
        log: LogStats,
    ) -> Self {
        let shards = state.shards.iter().zip(committed.covered).map(|(shard, covered_lsn)| ShardStats {
            unsealed_rows: shard.unsealed().map(|s| u64::from(s.len())).sum(),
            unsealed_bytes: shard.unsealed().map(|s| s.bytes() as u64).sum(),
            covered_lsn,
            segments: shard.sealed.iter().map(segment).collect(),
        });
        let shards: Vec<ShardStats> = shards.collect();
        Self {
            items: state.shards.iter().map(|shard| shard.live(state.visible_lsn)).sum(),
            visible_lsn: state.visible_lsn,
            durable_lsn,
            generation: committed.generation,
            manifest: committed.digest,
            quantization: QuantizationStats::of(wanted, dim, &shards),
            shards,
            log_files: log.files,
            log_bytes: log.bytes,
            log_syncs: log.syncs,
            written: Written::default(),
            damaged_indexes: 0,
        }
    }

    /// Bytes of all sealed parts.
    pub fn part_bytes(&self) -> u64 {
        self.shards.iter().flat_map(|shard| &shard.segments).map(|segment| segment.bytes).sum()
    }
}

fn segment(view: &SealedView) -> SegmentStats {
    SegmentStats {
        id: view.segment.entry.rows_part.id,
        cold: view.segment.entry.tier == Tier::Cold,
        rows: view.segment.rows(),
        live: view.live(),
        updated: view.overlay.len() as u32,
        has_graph: view.segment.has_graph(),
        codes: view.segment.index.as_ref().map(|index| Codes::of(index)),
        graph_bytes: view.segment.index.as_ref().map_or(0, |index| index.graph_bytes()),
        verified: view.segment.index.as_ref().is_some_and(|index| index.is_verified()),
        bytes: SegmentEntry::parts(&view.segment.entry).map(|part| part.length).sum(),
    }
}
