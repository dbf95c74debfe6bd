#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What the caller sees.
mod builder;
mod error;
mod index;
mod item;
mod opened;
mod progress;
mod quantization;
mod settings;
mod stats;
mod verify;
mod writer;

// The composition.
mod create;
mod engine;
mod folder;
#[cfg(all(test, loom))]
mod interleavings;
mod recover;
mod replay;
mod snapshot;
mod sync;
mod tiers;

// States that are kept: under a name, in another folder.
mod backup;
mod checkpoint;
mod dump;
mod salvage;

// The write road, the read road, and what happens behind the scenes.
mod maintain;
mod read;
mod reader;
mod write;

// Where rows rest, and what says so.
mod manifest;
mod segment;

// Every decoder, for those who feed it anything.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use crate::backup::{BackupOptions, BackupReport, RestoreReport, restore};
pub use crate::builder::Builder;
pub use crate::checkpoint::CheckpointInfo;
pub use crate::dump::{Effect, LoggedContent, LoggedLoad, LoggedOp, dump_log};
pub use crate::error::{Error, ErrorKind, Result};
pub use crate::index::{DeferGuard, Index, mongo, mongo_json};
pub use crate::item::{Hit, Item, ItemUpdate, Page, metadata_from_json, metadata_to_json};
pub use crate::maintain::Health;
#[cfg(feature = "remote")]
pub use crate::maintain::Spilled;
pub use crate::opened::OpenReport;
pub use crate::progress::{Progress, Watch};
pub use crate::quantization::Quantization;
pub use crate::read::{Probe, QueryBatch, QueryBuilder, RecallReport, RecallSample, Snapshot};
pub use crate::reader::Reader;
pub use crate::salvage::{LostRows, SalvageOptions, SalvageReport, salvage};
pub use crate::settings::{DIM_MAX, Settings};
pub use crate::stats::{Codes, QuantizationStats, SegmentStats, ShardStats, Stats, Written};
pub use crate::verify::{Finding, VerifyOptions, VerifyReport, verify, verify_deep};
pub use crate::write::batch::Receipt;
pub use crate::write::bulk::BulkLoader;
pub use crate::writer::Writer;

pub use vectra_core::distance::ElementKind;
pub use vectra_core::query::Profile;
pub use vectra_core::{Filter, ItemId, Metric, Value};
pub use vectra_metadata::{FieldKind, IndexedField};
pub use vectra_tier::Mode;
#[cfg(feature = "remote")]
pub use vectra_tier::{Patience, RemoteStore};
pub use vectra_wal::{Anchor, Control, DumpEntry, DumpFrame, FileHeader as LogFileHeader};

/// What the acknowledgement of a write promises; the index's own is [`Settings::durability`], and
/// [`Index::with_durability`] writes with another. [`Receipt::wait_durable`] and [`Index::wait_durable`] make up for a
/// weaker one where it matters, [`Builder::ack_after_mark`] makes the strongest provable.
///
#[doc(inline)]
pub use vectra_wal::Durability;

/// The seams an embedder can replace: file system and environment, with all that an implementation of theirs names.
pub mod seams {
    pub use vectra_core::env::{Clock, Env, Job, Rng, SeededRng, Spawner};
    pub use vectra_core::io::{Access, Blob, Entry, File, Fs, LockGuard, MemFs, OsFs, Site};
}
