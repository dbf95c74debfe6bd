#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// Where an item lives.
mod format;
mod map;
mod router;

// Asking many as if they were one.
mod gather;
mod set;

pub use crate::map::ShardMap;
pub use crate::router::{HashRouter, RangeRouter, Router, Routing, SplitError};
pub use crate::set::ShardSet;
