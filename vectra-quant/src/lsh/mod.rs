//! Locality-sensitive hashing: rows that share a bucket with a query in one of some tables, as candidates to be scored.
//!
//! A table has a bucket for each pattern of signs of a vector's components in some random directions (Charikar 2002). Two
//! vectors with the angle `a` between them have different signs in one with the probability `a / pi`; so near ones often share
//! a bucket and far ones seldom. Beside its own bucket a query visits those whose patterns differ where its
//! components are nearest to zero (multi-probe, Lv et al. 2007), which takes fewer tables for the same recall.
//!
//! Use it when rows are so alike to what is asked for that few buckets hold them: duplicates, near copies, keys of a cache.
//! Do not use it to find neighbours of embeddings: they are some 40 to 60 degrees apart, and so many buckets must be visited
//! that a scan of all rows' short codes ([`RaBitQ`](crate::RaBitQ), [`fastscan`](crate::fastscan)) takes less time. Nothing in
//! this crate uses it by itself.
//!
//! ```
//! use vectra_quant::lsh::LshPrefilter;
//!
//! // Near copies: cosines of 0.95 and more, of which 9 of 10 shall be found.
//! let settings = LshPrefilter::for_recall(1000, 0.9, 0.95);
//! let vectors: Vec<f32> = (0..1000 * 8).map(|i| ((i * i % 131) as f32).sin()).collect();
//! let tables = settings.build(&vectors, 8);
//! let mut candidates = Vec::new();
//! tables.candidates(&vectors[16..24], &mut candidates);
//! assert!(candidates.contains(&2) && candidates.len() < 500);
//! ```

mod format;
mod probes;
mod settings;
mod tables;

pub use format::HEADER_BYTES;
pub use settings::{BITS_MAX, LshPrefilter, PROBES_MAX, TABLES_MAX};
pub use tables::LshTables;
