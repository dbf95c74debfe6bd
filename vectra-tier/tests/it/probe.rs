//! A file system that remembers what was read and stops writing when it is told to.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vectra_core::io::{Access, Blob, Entry, File, Fs, LockGuard, MemFs, Site};

#[derive(Debug, Default)]
struct Notes {
    reads: Mutex<Vec<Range<u64>>>,
    maps: AtomicU64,
    /// How many more writes, syncs, links and removals succeed.
    changes_left: Mutex<Option<u64>>,
}

impl Notes {
    fn change(&self) -> io::Result<()> {
        match &mut *self.changes_left.lock() {
            Some(0) => Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// A memory with a record of its reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probe {
    inner: MemFs,
    notes: Arc<Notes>,
}

impl Probe {
    /// The bytes read since the last call, in the order of the reads.
    pub(crate) fn reads(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut *self.notes.reads.lock())
    }

    /// How often a file was mapped.
    pub(crate) fn maps(&self) -> u64 {
        self.notes.maps.load(Ordering::Relaxed)
    }

    /// Lets `left` more changes succeed, or all.
    pub(crate) fn limit_changes(&self, left: Option<u64>) {
        *self.notes.changes_left.lock() = left;
    }
}

impl Fs for Probe {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = self.inner.create_new(path)?;
        Ok(Box::new(ProbeFile { file, notes: Arc::clone(&self.notes) }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let file = self.inner.open(path, access)?;
        Ok(Box::new(ProbeFile { file, notes: Arc::clone(&self.notes) }))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.notes.change()?;
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.notes.change()?;
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.inner.mkdir(dir)
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.notes.change()?;
        self.inner.sync_dir_at(dir, site)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        self.inner.lock(path, holder)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }
}

#[derive(Debug)]
struct ProbeFile {
    file: Box<dyn File>,
    notes: Arc<Notes>,
}

impl File for ProbeFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.notes.reads.lock().push(offset..offset + buf.len() as u64);
        self.file.read_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.notes.change()?;
        self.file.write_all_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data_at(&self, site: Site) -> io::Result<()> {
        self.notes.change()?;
        self.file.sync_data_at(site)
    }

    fn sync_all_at(&self, site: Site) -> io::Result<()> {
        self.notes.change()?;
        self.file.sync_all_at(site)
    }

    fn set_readonly(&self) -> io::Result<()> {
        self.file.set_readonly()
    }

    fn map(&self) -> io::Result<Blob> {
        self.notes.maps.fetch_add(1, Ordering::Relaxed);
        self.file.map()
    }
}
