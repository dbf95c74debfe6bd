//! The shard map: which router is in force, and since which change.

use crate::router::{Router, Routing};

/// The routing of an index at one version of it. A split or a move makes a new map with a higher version; whoever
/// holds an older one knows by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardMap {
    /// Grows with every change of the routing.
    pub version: u64,
    /// The routing in force.
    pub routing: Routing,
}

impl ShardMap {
    /// The first map of an index.
    pub fn new(routing: impl Into<Routing>) -> Self {
        Self { version: 1, routing: routing.into() }
    }

    /// The map after this one, with another routing.
    ///
    /// # Panics
    /// After 2^64 changes.
    pub fn next(&self, routing: impl Into<Routing>) -> Self {
        let version = self.version.checked_add(1).expect("nobody lives to see so many changes");
        Self { version, routing: routing.into() }
    }
}

impl Router for ShardMap {
    fn route(&self, encoded_id: &[u8]) -> u16 {
        self.routing.route(encoded_id)
    }

    fn shards(&self) -> u16 {
        self.routing.shards()
    }
}
