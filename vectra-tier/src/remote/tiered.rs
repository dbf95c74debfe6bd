//! A folder whose parts may rest in an object store, with copies of them in `cache`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;
use vectra_core::env::Rng;
use vectra_core::io::Fs;

use super::{RemoteError, RemoteStore};
use crate::container::{WriteError, Writer};
use crate::damage::DamageReport;
use crate::handle::{Mode, OpenError, PartHandle};
use crate::part::{PartRef, Role};
use crate::store::{Listing, LocalStore, PartStore, StoreError};

/// Parts at home in `seg`, and copies of parts at home in an object store in `cache`.
///
/// As a [`PartStore`] it is the home; [`PartStore::open_cold`] opens the others, from their copy, which is fetched
/// first where there is none.
#[derive(Debug)]
pub struct TieredStore {
    fs: Arc<dyn Fs>,
    home: LocalStore,
    cache: LocalStore,
    remote: Option<RemoteStore>,
    /// Held while a copy is fetched: two at a time would write the same file.
    fetching: Mutex<()>,
}

impl TieredStore {
    /// A store in the directory `root`; touches nothing. Without `remote`, cold parts are opened only where there is a
    /// copy.
    pub fn new(
        fs: Arc<dyn Fs>,
        root: &Path,
        rng: Arc<dyn Rng>,
        mode: Mode,
        remote: Option<RemoteStore>,
    ) -> Self {
        let home = LocalStore::new(Arc::clone(&fs), root, Arc::clone(&rng), mode);
        let cache = LocalStore::in_folder(Arc::clone(&fs), root, "cache", rng, mode);
        Self { fs, home, cache, remote, fetching: Mutex::default() }
    }

    /// The object store, if there is one.
    pub fn remote(&self) -> Option<&RemoteStore> {
        self.remote.as_ref()
    }

    /// Makes a part that is at home here also a cached one, durably. Fine if it is already.
    pub fn copy_to_cache(&self, part: &PartRef) -> Result<(), StoreError> {
        self.cache.prepare()?;
        self.link(part, &self.home, &self.cache)
    }

    /// Makes a cached part also one that is at home here, durably. Fine if it is already.
    pub fn copy_home(&self, part: &PartRef) -> Result<(), StoreError> {
        self.link(part, &self.cache, &self.home)
    }

    /// Parts never change, so a second name is as good as a copy.
    fn link(&self, part: &PartRef, from: &LocalStore, to: &LocalStore) -> Result<(), StoreError> {
        let (source, target) = (from.path(part.id), to.path(part.id));
        let linked = match self.fs.link(&source, &target) {
            // What an earlier attempt left. A damaged copy is replaced.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // The handle is gone again before anything is removed: what is open stays.
                let sound = to.open(part).is_ok_and(|handle| handle.verify().is_ok());
                if sound {
                    Ok(())
                } else {
                    to.remove(part.id)?;
                    self.fs.link(&source, &target)
                }
            }
            other => other,
        };
        linked.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::Absent { id: part.id },
            _ => StoreError::Io { action: "link", path: target.clone(), source: e },
        })?;
        to.sync()
    }

    /// Removes the copies of parts that are neither in `keep` nor in use, and says how many those were.
    pub fn trim_cache(&self, keep: &BTreeSet<Uuid>) -> Result<usize, StoreError> {
        let mut removed = 0;
        for (id, _) in self.cached()?.parts {
            if !keep.contains(&id) && !self.cache.in_use(id) {
                self.cache.remove(id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The copies.
    pub fn cached(&self) -> Result<Listing, StoreError> {
        match self.cache.list() {
            // Nothing was ever cold.
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Listing::default())
            }
            listed => listed,
        }
    }

    /// Checks every byte of a cold part: of its copy, where there is one, and of its object, where there is a store.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] with the first damage; [`OpenError::Away`] if neither could be looked at.
    pub fn verify_cold(&self, part: &PartRef) -> Result<(), OpenError> {
        let first = |report: DamageReport| match report.damages.into_iter().next() {
            Some(damage) => OpenError::Corrupt(damage),
            None => away(part, "it is damaged", None),
        };
        let copied = match self.cache.open(part) {
            Ok(handle) => handle.verify().map(|()| true).map_err(first)?,
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => false,
            Err(other) => return Err(other),
        };
        match &self.remote {
            Some(remote) => remote.verify(part).map_err(|error| far(part, error)),
            None if copied => Ok(()),
            None => Err(away(part, UNCONFIGURED, None)),
        }
    }
}

const UNCONFIGURED: &str =
    "there is no copy of it here, and no object store was named when the index was opened";

fn away(part: &PartRef, what: &str, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
    OpenError::Away { id: part.id, what: what.to_owned(), source }
}

/// Whether a copy has to be fetched: it is missing or damaged.
fn lacks_copy(opened: &Result<Arc<PartHandle>, OpenError>) -> bool {
    match opened {
        Err(OpenError::Corrupt(_)) => true,
        Err(OpenError::Io { source, .. }) => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// What an error of the object store means to whoever opens a part.
fn far(part: &PartRef, error: RemoteError) -> OpenError {
    match error {
        RemoteError::Different { damage: DamageReport { mut damages }, .. } if !damages.is_empty() => {
            OpenError::Corrupt(damages.swap_remove(0))
        }
        other => away(part, "it cannot be had from there now", Some(other.into())),
    }
}

impl PartStore for TieredStore {
    fn writer(&self, role: Role, rows: u32, schema_epoch: u32) -> Result<Writer, WriteError> {
        self.home.writer(role, rows, schema_epoch)
    }

    fn publish(&self, part: &PartRef) -> Result<(), StoreError> {
        self.home.publish(part)
    }

    fn discard(&self, id: Uuid) -> Result<(), StoreError> {
        self.home.discard(id)
    }

    fn open(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
        self.home.open(part)
    }

    fn open_cold(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
        let opened = self.cache.open(part);
        let Some(remote) = self.remote.as_ref().filter(|_| lacks_copy(&opened)) else {
            return opened.map_err(|error| match error {
                OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    away(part, UNCONFIGURED, None)
                }
                other => other,
            });
        };
        let _one_at_a_time = self.fetching.lock();
        // Somebody else may have fetched it meanwhile.
        let opened = self.cache.open(part);
        if !lacks_copy(&opened) {
            return opened;
        }
        self.cache
            .prepare()
            .map_err(|e| away(part, "the folder for its copy cannot be made", Some(e.into())))?;
        remote.fetch(part, &self.cache).map_err(|error| far(part, error))?;
        self.cache.open(part)
    }

    fn in_use(&self, id: Uuid) -> bool {
        self.home.in_use(id)
    }

    fn list(&self) -> Result<Listing, StoreError> {
        self.home.list()
    }

    fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        self.home.remove(id)
    }

    fn clear_tmp(&self) -> Result<usize, StoreError> {
        self.home.clear_tmp()
    }
}
