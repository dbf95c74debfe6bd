//! Which shard an item belongs to.

mod hash;
mod range;

pub use hash::HashRouter;
pub use range::{RangeRouter, SplitError};

use std::fmt::Debug;

/// Sends each item to one of a fixed number of shards.
///
/// A pure function of the encoded id: the same id goes to the same shard in every process and in every later version
/// of this crate, or items written yesterday would not be found today.
pub trait Router: Debug + Send + Sync {
    /// The shard of the item whose id has this encoding (`ItemId::encode` of `vectra-core`); less than
    /// [`Router::shards`].
    fn route(&self, encoded_id: &[u8]) -> u16;

    /// How many shards there are; at least one.
    fn shards(&self) -> u16;
}

/// The routers that a file can name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Routing {
    /// By a hash of the id.
    Hash(HashRouter),
    /// By the order of the ids.
    Range(RangeRouter),
}

impl Router for Routing {
    fn route(&self, encoded_id: &[u8]) -> u16 {
        match self {
            Self::Hash(router) => router.route(encoded_id),
            Self::Range(router) => router.route(encoded_id),
        }
    }

    fn shards(&self) -> u16 {
        match self {
            Self::Hash(router) => router.shards(),
            Self::Range(router) => router.shards(),
        }
    }
}

impl From<HashRouter> for Routing {
    fn from(router: HashRouter) -> Self {
        Self::Hash(router)
    }
}

impl From<RangeRouter> for Routing {
    fn from(router: RangeRouter) -> Self {
        Self::Range(router)
    }
}
