//! Work behind the scenes: sealing, merging, building graphs, committing, collecting garbage.

mod commit;
mod compact;
mod gc;
mod goal;
mod job;
mod policy;
mod step;
mod wait;

pub use goal::Health;
pub(crate) use goal::{Goal, Maintenance};
