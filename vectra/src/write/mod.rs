//! The write road: validate, one frame, stage, log, publish.

pub(crate) mod batch;
pub(crate) mod bulk;
pub(crate) mod frame;
pub(crate) mod op;
pub(crate) mod seal;
pub(crate) mod shard;
pub(crate) mod stage;
pub(crate) mod validate;
