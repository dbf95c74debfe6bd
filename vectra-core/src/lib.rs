#![doc = include_str!("../README.md")]
#![deny(unsafe_op_in_unsafe_fn)]

// The words.
pub mod filter;
pub mod ids;
pub mod topk;
pub mod value;

// Distances and memory.
pub mod distance;
pub mod memory;
pub mod vector;

// The seams of search.
pub mod admit;
pub mod index;
pub mod near;
pub mod pool;
pub mod query;
pub mod scorer;

// The seams to the outside world: everything non-deterministic enters here.
pub mod env;
pub mod io;

// Bytes.
pub mod codec;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::distance::metric::Metric;
pub use crate::filter::Filter;
pub use crate::ids::ItemId;
pub use crate::topk::{Neighbor, TopK};
pub use crate::value::Value;
