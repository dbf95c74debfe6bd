//! Where parts are kept: written apart, published under their final name, opened once, removed when unused.

mod local;
mod memory;
mod open_parts;

pub use local::LocalStore;
pub use memory::MemStore;

#[cfg(feature = "remote")]
pub(crate) use local::{file_name, part_id};

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use crate::container;
use crate::handle::{OpenError, PartHandle};
use crate::part::{PartRef, Role};

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// A part of this name is published already; published parts are never replaced.
    #[error("part {id} is published already")]
    Published {
        /// The part.
        id: Uuid,
    },
    /// No such part was written.
    #[error("part {id} is not there")]
    Absent {
        /// The part.
        id: Uuid,
    },
    /// Somebody still reads the part.
    #[error("part {id} is in use")]
    InUse {
        /// The part.
        id: Uuid,
    },
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Published parts and their lengths in bytes, by id.
    pub parts: Vec<(Uuid, u64)>,
    /// Names that no part has: left alone, worth a warning.
    pub ignored: Vec<String>,
}

/// A place for parts.
///
/// A part is written under a name of its own that no reader looks at, then published whole and durable; a crash at
/// any point leaves it published or not, never in between. What is published never changes.
pub trait PartStore: Send + Sync + Debug {
    /// Starts a part under a fresh id. It is gone if the writer is dropped unfinished.
    fn writer(
        &self,
        role: Role,
        rows: u32,
        schema_epoch: u32,
    ) -> Result<container::Writer, container::WriteError>;

    /// Makes a finished part visible and durable under its final name. Once only; after an error the part may or
    /// may not be there, and is not to be referred to.
    fn publish(&self, part: &PartRef) -> Result<(), StoreError>;

    /// Drops a finished part that will not be published. Nothing happens if it is gone already.
    fn discard(&self, id: Uuid) -> Result<(), StoreError>;

    /// Opens a published part. While somebody holds the handle, everybody gets the same one.
    fn open(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError>;

    /// Opens a part that is at home in an object store, from its copy here.
    ///
    /// # Errors
    /// [`OpenError::Away`] if it cannot be had; always so for a store that has no way to object stores.
    fn open_cold(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
        let what = "this store has no way to object stores".to_owned();
        Err(OpenError::Away { id: part.id, what, source: None })
    }

    /// Whether somebody holds a handle of the part.
    fn in_use(&self, id: Uuid) -> bool;

    /// The published parts.
    fn list(&self) -> Result<Listing, StoreError>;

    /// Removes a published part that nobody uses and no manifest names. Not durable by itself: after a crash the
    /// part may be back.
    fn remove(&self, id: Uuid) -> Result<(), StoreError>;

    /// Removes what earlier writers left unpublished and says how many files that were. Only while no part is being
    /// written.
    fn clear_tmp(&self) -> Result<usize, StoreError>;
}
