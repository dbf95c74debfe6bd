#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// What the caller sets and what the graph is.
mod graph;
mod params;

// Building: one insertion, many in parallel, and the repair afterwards of what links do not reach.
mod build;
mod hnsw;
mod reach;

// Searching: reusable memory, the descent, the beam and its filtered form.
mod scratch;
mod search;

// The frozen graph: its bytes, a view of them, the checks and the figures.
mod format;
mod stats;
mod verify;
mod view;

#[cfg(test)]
#[path = "../tests/it/store.rs"]
mod store;

pub use crate::build::BuildError;
pub use crate::format::FormatError;
pub use crate::hnsw::Hnsw;
pub use crate::params::{Params, ParamsError};
pub use crate::scratch::Scratch;
pub use crate::search::watch::Watch;
pub use crate::stats::{LayerStats, Stats};
pub use crate::view::HnswView;
