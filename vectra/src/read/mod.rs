//! The read road: pin a snapshot, plan per segment, execute, merge, hydrate.

mod context;
pub(crate) mod execute;
mod hydrate;
mod many;
mod measure;
pub(crate) mod plan;
mod query;
mod shard;
mod snapshot;
mod together;

pub(crate) use context::ReadContext;
pub use many::QueryBatch;
pub use measure::{Probe, RecallReport, RecallSample};
pub use query::QueryBuilder;
pub use snapshot::Snapshot;
