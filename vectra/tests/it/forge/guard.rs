//! A disk with patience for so many calls and room for so many bytes: what loops or grows without bound is found out.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vectra_core::io::{Access, Blob, Entry, File, Fs, LockGuard, MemFs, Site};

/// Calls that one mutant may make.
const CALLS_MAX: u64 = 100_000;
/// Bytes that all files together may grow by: room for everything but a length that was made up.
const GROWTH_MAX: u64 = 64 << 20;

#[derive(Debug, Default)]
struct Spent {
    calls: AtomicU64,
    grown: AtomicU64,
    /// Which bytes were read, if somebody wants to know.
    reads: Option<Mutex<Reads>>,
}

/// What was read of each file.
pub(crate) type Reads = BTreeMap<PathBuf, Vec<Range<u64>>>;

impl Spent {
    fn read(&self, path: &Path, range: Range<u64>) {
        if let Some(reads) = &self.reads {
            reads.lock().entry(path.to_owned()).or_default().push(range);
        }
    }

    fn call(&self) {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(calls < CALLS_MAX, "{calls} calls to the disk: a loop without an end");
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        let grown = self.grown.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if grown > GROWTH_MAX { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// A [`MemFs`] that counts.
#[derive(Debug)]
pub(crate) struct Guarded {
    inner: MemFs,
    spent: Arc<Spent>,
}

impl Guarded {
    pub(crate) fn new(inner: MemFs) -> Self {
        Self { inner, spent: Arc::default() }
    }

    /// One that also remembers what is read.
    pub(crate) fn remembering(inner: MemFs) -> Self {
        Self { inner, spent: Arc::new(Spent { reads: Some(Mutex::default()), ..Spent::default() }) }
    }

    /// What was read so far, if it remembers.
    pub(crate) fn reads(&self) -> Reads {
        self.spent.reads.as_ref().map(|reads| reads.lock().clone()).unwrap_or_default()
    }

    /// Bytes by which files have grown, or would have.
    pub(crate) fn grown(&self) -> u64 {
        self.spent.grown.load(Ordering::Relaxed)
    }

    fn guard(&self, path: &Path, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(GuardedFile { inner: file, path: path.to_owned(), spent: Arc::clone(&self.spent) })
    }
}

#[derive(Debug)]
struct GuardedFile {
    inner: Box<dyn File>,
    path: PathBuf,
    spent: Arc<Spent>,
}

impl Fs for Guarded {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.spent.call();
        self.inner.create_new(path).map(|file| self.guard(path, file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        self.spent.call();
        self.inner.open(path, access).map(|file| self.guard(path, file))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spent.call();
        // What is read under the new name is not followed.
        self.spent.read(from, 0..u64::MAX);
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.spent.call();
        self.spent.read(from, 0..u64::MAX);
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.spent.call();
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.spent.call();
        self.inner.list(dir)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.spent.call();
        self.inner.mkdir(dir)
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.spent.call();
        self.inner.sync_dir_at(dir, site)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        self.spent.call();
        self.inner.lock(path, holder)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }
}

impl File for GuardedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.spent.call();
        let len = self.inner.read_at(buf, offset)?;
        self.spent.read(&self.path, offset..offset + len as u64);
        Ok(len)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.spent.call();
        let end = offset.saturating_add(buf.len() as u64);
        self.spent.grow(end.saturating_sub(self.inner.len()?))?;
        self.inner.write_all_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.spent.call();
        self.spent.grow(len.saturating_sub(self.inner.len()?))?;
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.spent.call();
        self.inner.allocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.spent.call();
        self.inner.len()
    }

    fn sync_data_at(&self, site: Site) -> io::Result<()> {
        self.spent.call();
        self.inner.sync_data_at(site)
    }

    fn sync_all_at(&self, site: Site) -> io::Result<()> {
        self.spent.call();
        self.inner.sync_all_at(site)
    }

    fn set_readonly(&self) -> io::Result<()> {
        self.inner.set_readonly()
    }

    fn map(&self) -> io::Result<Blob> {
        self.spent.read(&self.path, 0..self.inner.len()?);
        self.inner.map()
    }
}
