//! Parts as files of a directory: `tmp/<uuid>.part` while written, `seg/<uuid>.part` once published.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;
use vectra_core::env::Rng;
#[cfg(feature = "remote")]
use vectra_core::io::File;
use vectra_core::io::{Access, Fs};

use crate::container::{Header, WriteError, Writer};
#[cfg(feature = "remote")]
use crate::damage::DamageReport;
use crate::handle::{Mode, OpenError, PartHandle};
use crate::part::{PartRef, Role};
#[cfg(feature = "remote")]
use crate::remote::Received;
use crate::store::open_parts::OpenParts;
use crate::store::{Listing, PartStore, StoreError};

const EXTENSION: &str = ".part";

/// Parts in a directory.
#[derive(Debug)]
pub struct LocalStore {
    fs: Arc<dyn Fs>,
    root: PathBuf,
    seg: PathBuf,
    tmp: PathBuf,
    rng: Arc<dyn Rng>,
    mode: Mode,
    open: OpenParts,
}

impl LocalStore {
    /// A store in the directory `root`; touches nothing. Ids come from `rng`, sections into memory by `mode`.
    pub fn new(fs: Arc<dyn Fs>, root: &Path, rng: Arc<dyn Rng>, mode: Mode) -> Self {
        Self::in_folder(fs, root, "seg", rng, mode)
    }

    /// As [`LocalStore::new`], with published parts in `folder` instead of `seg`: for parts that are at home elsewhere
    /// and only cached here.
    pub fn in_folder(fs: Arc<dyn Fs>, root: &Path, folder: &str, rng: Arc<dyn Rng>, mode: Mode) -> Self {
        let (seg, tmp) = (root.join(folder), root.join("tmp"));
        Self { fs, root: root.to_owned(), seg, tmp, rng, mode, open: OpenParts::default() }
    }

    /// Creates its directories where they are missing and makes them durable. `root` must exist.
    /// For writers, before anything else.
    pub fn prepare(&self) -> Result<(), StoreError> {
        for dir in [&self.seg, &self.tmp] {
            match self.fs.mkdir(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fault("create", dir, e)),
                _ => {}
            }
        }
        // Also when both are there: the process that made them may have died before its sync.
        self.fs.sync_dir(&self.root).map_err(|e| fault("sync", &self.root, e))
    }

    /// Makes the names of published parts durable.
    #[cfg(feature = "remote")]
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.fs.sync_dir(&self.seg).map_err(|e| fault("sync", &self.seg, e))
    }

    /// Where a published part is.
    pub fn path(&self, id: Uuid) -> PathBuf {
        self.seg.join(file_name(id))
    }

    /// Copies `from` into `tmp`, from where [`PartStore::publish`] takes it: every byte is compared with the reference,
    /// as it is on the disk. Nothing is left behind on an error.
    #[cfg(feature = "remote")]
    pub(crate) fn receive(&self, part: &PartRef, from: &dyn File) -> Result<(), Received> {
        let path = self.tmp_path(part.id);
        let received = self.copy_in(part, from, &path);
        if received.is_err() {
            // What stays goes when the next writer starts.
            let _best_effort = self.fs.remove(&path);
        }
        received
    }

    #[cfg(feature = "remote")]
    fn copy_in(&self, part: &PartRef, from: &dyn File, path: &Path) -> Result<(), Received> {
        let failed = |action| move |e: io::Error| Received::Local(action, e.into());
        match self.fs.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("replace")(e)),
            _ => {}
        }
        let file = self.fs.create_new(path).map_err(failed("create"))?;
        let mut buf = vec![0; crate::container::PAGE];
        let mut at = 0;
        while at < part.length {
            let length = (part.length - at).min(buf.len() as u64) as usize;
            from.read_exact_at(&mut buf[..length], at).map_err(failed("receive"))?;
            file.write_all_at(&buf[..length], at).map_err(failed("write"))?;
            at += length as u64;
        }
        file.set_readonly().and_then(|()| file.sync_all()).map_err(failed("sync"))?;
        let different = |damage| Received::Different(DamageReport { damages: vec![damage] });
        let handle = PartHandle::open(&*self.fs, path, part, Mode::Read).map_err(|e| match e {
            OpenError::Corrupt(damage) => different(damage),
            other => Received::Local("open", other.into()),
        })?;
        handle.verify().map_err(Received::Different)
    }

    fn tmp_path(&self, id: Uuid) -> PathBuf {
        self.tmp.join(file_name(id))
    }
}

impl PartStore for LocalStore {
    fn writer(&self, role: Role, rows: u32, schema_epoch: u32) -> Result<Writer, WriteError> {
        let header = Header { id: self.rng.uuid(), role, rows, schema_epoch };
        Writer::create(&self.fs, &self.tmp_path(header.id), header)
    }

    fn publish(&self, part: &PartRef) -> Result<(), StoreError> {
        let (from, to) = (self.tmp_path(part.id), self.path(part.id));
        self.fs.link(&from, &to).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Published { id: part.id },
            io::ErrorKind::NotFound => StoreError::Absent { id: part.id },
            _ => fault("publish", &to, e),
        })?;
        self.fs.sync_dir(&self.seg).map_err(|e| fault("sync", &self.seg, e))?;
        // The part is published from here on; a name left in tmp goes when the next writer starts.
        let _left_for_clear_tmp = self.fs.remove(&from);
        Ok(())
    }

    fn discard(&self, id: Uuid) -> Result<(), StoreError> {
        let path = self.tmp_path(id);
        match self.fs.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fault("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn open(&self, part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
        self.open.get(part, || PartHandle::open(&*self.fs, &self.path(part.id), part, self.mode))
    }

    fn in_use(&self, id: Uuid) -> bool {
        self.open.in_use(id)
    }

    fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for entry in self.fs.list(&self.seg).map_err(|e| fault("list", &self.seg, e))? {
            let Some(id) = part_id(&entry.name).filter(|_| !entry.is_dir) else {
                listing.ignored.push(entry.name);
                continue;
            };
            let path = self.path(id);
            match self.fs.open(&path, Access::Read).and_then(|file| file.len()) {
                Ok(length) => listing.parts.push((id, length)),
                // Removed meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(fault("open", &path, e)),
            }
        }
        Ok(listing)
    }

    fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        let path = self.path(id);
        let removed =
            self.open.unless_in_use(id, || self.fs.remove(&path)).ok_or(StoreError::InUse { id })?;
        removed.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::Absent { id },
            _ => fault("remove", &path, e),
        })
    }

    fn clear_tmp(&self) -> Result<usize, StoreError> {
        let mut removed = 0;
        for entry in self.fs.list(&self.tmp).map_err(|e| fault("list", &self.tmp, e))? {
            if !entry.is_dir {
                let path = self.tmp.join(&entry.name);
                self.fs.remove(&path).map_err(|e| fault("remove", &path, e))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn fault(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

pub(crate) fn file_name(id: Uuid) -> String {
    format!("{id}{EXTENSION}")
}

/// The id in the name of a part, if it is spelled the way [`file_name`] does.
pub(crate) fn part_id(name: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(name.strip_suffix(EXTENSION)?).ok()?;
    (file_name(id) == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_has_one_name() {
        let id = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
        assert_eq!(part_id(&file_name(id)), Some(id));
        assert_eq!(file_name(id), "67e55044-10b1-426f-9247-bb680e5fe0c8.part");
        for name in [
            "67E55044-10B1-426F-9247-BB680E5FE0C8.part",
            "67e5504410b1426f9247bb680e5fe0c8.part",
            "{67e55044-10b1-426f-9247-bb680e5fe0c8}.part",
            "67e55044-10b1-426f-9247-bb680e5fe0c8.part.tmp",
            "67e55044-10b1-426f-9247-bb680e5fe0c8",
            ".part",
            "",
        ] {
            assert_eq!(part_id(name), None, "{name}");
        }
    }
}
