//! Where the parts of an index rest: in its folder, and with the feature `remote` also in an object store.

use std::path::Path;
use std::sync::Arc;

use vectra_tier::PartStore;

use crate::recover::Outside;

/// The stores of one index.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    /// The parts of the folder.
    pub(crate) parts: Arc<dyn PartStore>,
    /// The same, with what is special to parts that rest elsewhere.
    #[cfg(feature = "remote")]
    pub(crate) tiers: Arc<vectra_tier::TieredStore>,
}

impl Stores {
    /// The stores of the index with this id in the folder `root`; touches nothing. Without an id, only copies of parts
    /// that rest elsewhere are opened.
    #[cfg(feature = "remote")]
    pub(crate) fn new(outside: &Outside, root: &Path, index: Option<[u8; 16]>) -> Self {
        // Many indexes may share an object store: each has its own prefix.
        let name = index.map(|id| uuid::Uuid::from_bytes(id).to_string());
        let remote = outside.remote.as_ref().zip(name).map(|(remote, name)| remote.under(&name));
        let (fs, rng) = (Arc::clone(&outside.fs), Arc::clone(&outside.env.rng));
        let tiers = Arc::new(vectra_tier::TieredStore::new(fs, root, rng, outside.mode, remote));
        Self { parts: Arc::clone(&tiers) as Arc<dyn PartStore>, tiers }
    }

    /// The store of the index in the folder `root`; touches nothing.
    #[cfg(not(feature = "remote"))]
    pub(crate) fn new(outside: &Outside, root: &Path, _index: Option<[u8; 16]>) -> Self {
        let (fs, rng) = (Arc::clone(&outside.fs), Arc::clone(&outside.env.rng));
        Self { parts: Arc::new(vectra_tier::LocalStore::new(fs, root, rng, outside.mode)) }
    }
}
