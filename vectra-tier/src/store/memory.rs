//! Parts in memory, gone with the store: for tests and throw-away indexes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;
use vectra_core::env::Rng;
use vectra_core::io::{Access, Fs, MemFs};

use crate::container::{Header, WriteError, Writer};
use crate::handle::{Mode, OpenError, PartHandle};
use crate::part::{PartRef, Role};
use crate::store::open_parts::OpenParts;
use crate::store::{Listing, PartStore, StoreError};

/// Parts in memory.
#[derive(Debug)]
pub struct MemStore {
    fs: Arc<dyn Fs>,
    rng: Arc<dyn Rng>,
    published: Mutex<BTreeSet<Uuid>>,
    open: OpenParts,
}

impl MemStore {
    /// An empty store; ids come from `rng`.
    pub fn new(rng: Arc<dyn Rng>) -> Self {
        let (published, open) = (Mutex::default(), OpenParts::default());
        Self { fs: Arc::new(MemFs::new()), rng, published, open }
    }

    fn is_published(&self, id: Uuid) -> bool {
        self.published.lock().contains(&id)
    }
}

fn path(id: Uuid) -> PathBuf {
    Path::new("/").join(id.to_string())
}

fn fault(action: &'static str, id: Uuid, source: std::io::Error) -> StoreError {
    StoreError::Io { action, path: path(id), source }
}

impl PartStore for MemStore {
    fn writer(&self, role: Role, rows: u32, schema_epoch: u32) -> Result<Writer, WriteError> {
        let header = Header { id: self.rng.uuid(), role, rows, schema_epoch };
        Writer::create(&self.fs, &path(header.id), header)
    }

    fn publish(&self, part: &PartRef) -> Result<(), StoreError> {
        if !self.fs.exists(&path(part.id)).map_err(|e| fault("publish", part.id, e))? {
            return Err(StoreError::Absent { id: part.id });
        }
        if self.published.lock().insert(part.id) {
            Ok(())
        } else {
            Err(StoreError::Published { id: part.id })
        }
    }

    fn discard(&self, id: Uuid) -> Result<(), StoreError> {
        if !self.is_published(id) {
            let _gone_either_way = self.fs.remove(&path(id));
        }
        Ok(())
    }

    fn open(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
        if !self.is_published(part.id) {
            return Err(OpenError::io(&path(part.id), std::io::ErrorKind::NotFound.into()));
        }
        self.open.get(part, || PartHandle::open(&*self.fs, &path(part.id), part, Mode::Read))
    }

    fn in_use(&self, id: Uuid) -> bool {
        self.open.in_use(id)
    }

    fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for id in self.published.lock().iter().copied() {
            let length = self.fs.open(&path(id), Access::Read).and_then(|file| file.len());
            listing.parts.push((id, length.map_err(|e| fault("open", id, e))?));
        }
        Ok(listing)
    }

    fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        let removed = self.open.unless_in_use(id, || self.published.lock().remove(&id));
        match removed {
            None => Err(StoreError::InUse { id }),
            Some(false) => Err(StoreError::Absent { id }),
            Some(true) => self.fs.remove(&path(id)).map_err(|e| fault("remove", id, e)),
        }
    }

    fn clear_tmp(&self) -> Result<usize, StoreError> {
        let entries = self.fs.list(Path::new("/"));
        let entries = entries.map_err(|e| fault("list", Uuid::nil(), e))?;
        let ids = entries.iter().filter_map(|entry| Uuid::parse_str(&entry.name).ok());
        let left: Vec<Uuid> = ids.filter(|id| !self.is_published(*id)).collect();
        for id in &left {
            self.fs.remove(&path(*id)).map_err(|e| fault("remove", *id, e))?;
        }
        Ok(left.len())
    }
}
