//! Work behind the scenes: sealing, merging, building graphs, committing, collecting garbage.

mod attempt;
mod commit;
mod compact;
mod encode;
mod fresh;
mod gc;
mod goal;
mod job;
mod policy;
mod space;
#[cfg(feature = "remote")]
mod spill;
mod step;
mod upkeep;
mod verify_job;
mod wait;

#[cfg(test)]
pub(crate) use attempt::Attempt;
pub(crate) use encode::Wanted;
pub(crate) use fresh::Fresh;
pub use goal::Health;
pub(crate) use goal::{Goal, Maintenance};
pub(crate) use space::{Space, drop_ballast};
#[cfg(feature = "remote")]
pub use spill::Spilled;
#[cfg(feature = "remote")]
pub(crate) use spill::remote_error;
pub(crate) use upkeep::{Summary, Upkeep};
pub(crate) use verify_job::Derived;
