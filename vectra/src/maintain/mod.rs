//! Work behind the scenes: sealing, merging, building graphs, committing, collecting garbage.

mod commit;
mod compact;
mod gc;
mod job;
mod policy;

pub use job::Health;
pub(crate) use job::{Goal, Maintenance};
