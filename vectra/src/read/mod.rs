//! The read road: pin a snapshot, plan per segment, execute, merge, hydrate.

mod context;
pub(crate) mod execute;
mod hydrate;
pub(crate) mod plan;
mod query;
mod shard;
mod snapshot;

pub(crate) use context::ReadContext;
pub use query::QueryBuilder;
pub use snapshot::Snapshot;
