//! Recall, determinism, damage and semantics of whole graphs.

mod allocations;
mod damage;
mod edges;
mod filtered;
mod frozen;
mod reach;
mod recall;
mod semantics;
mod store;
