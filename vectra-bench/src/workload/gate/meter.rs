//! A file system that counts what goes through it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vectra::seams::{Access, Blob, Entry, File, Fs, LockGuard, Site};

/// What went through so far, or between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traffic {
    /// Bytes that reads and mappings brought.
    pub(super) read_bytes: u64,
    /// Bytes that writes took.
    pub(super) written_bytes: u64,
    /// Syncs of files and of directories.
    pub(super) syncs: u64,
}

impl Traffic {
    /// What came after `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            read_bytes: self.read_bytes - earlier.read_bytes,
            written_bytes: self.written_bytes - earlier.written_bytes,
            syncs: self.syncs - earlier.syncs,
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
}

/// Counts what goes to and comes from the file system behind it. What a lock's holder writes about itself does not
/// count: it names the process.
#[derive(Debug)]
pub(super) struct Meter {
    inner: Arc<dyn Fs>,
    counts: Arc<Counts>,
}

impl Meter {
    pub(super) fn new(inner: Arc<dyn Fs>) -> Self {
        Self { inner, counts: Arc::default() }
    }

    pub(super) fn traffic(&self) -> Traffic {
        let Counts { read_bytes, written_bytes, syncs } = &*self.counts;
        let [read_bytes, written_bytes, syncs] =
            [read_bytes, written_bytes, syncs].map(|count| count.load(Ordering::Relaxed));
        Traffic { read_bytes, written_bytes, syncs }
    }

    fn metered(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(MeteredFile { file, counts: Arc::clone(&self.counts) })
    }
}

fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more as u64, Ordering::Relaxed);
}

impl Fs for Meter {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.inner.create_new(path).map(|file| self.metered(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        self.inner.open(path, access).map(|file| self.metered(file))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.inner.mkdir(dir)
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        add(&self.counts.syncs, 1);
        self.inner.sync_dir_at(dir, site)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        self.inner.lock(path, holder)
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.inner.lock_existing(path)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }

    fn total_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.total_space(dir)
    }
}

#[derive(Debug)]
struct MeteredFile {
    file: Box<dyn File>,
    counts: Arc<Counts>,
}

impl File for MeteredFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, offset)?;
        add(&self.counts.read_bytes, read);
        Ok(read)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        add(&self.counts.written_bytes, buf.len());
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
        add(&self.counts.syncs, 1);
        self.file.sync_data_at(site)
    }

    fn sync_all_at(&self, site: Site) -> io::Result<()> {
        add(&self.counts.syncs, 1);
        self.file.sync_all_at(site)
    }

    fn set_readonly(&self) -> io::Result<()> {
        self.file.set_readonly()
    }

    fn map(&self) -> io::Result<Blob> {
        let blob = self.file.map()?;
        add(&self.counts.read_bytes, blob.len());
        Ok(blob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vectra::seams::MemFs;

    fn meter() -> Meter {
        Meter::new(Arc::new(MemFs::new()))
    }

    #[test]
    fn it_behaves_as_a_file_system() {
        vectra_core::testing::fs::conformance(&meter(), Path::new("/"));
    }

    #[test]
    fn it_counts_what_goes_through() {
        let meter = meter();
        let file = meter.create_new(Path::new("/a")).expect("a new name");
        file.write_all_at(b"0123456789", 0).expect("space");
        file.sync_data().expect("open");
        let mut buf = [0; 8];
        assert_eq!(file.read_at(&mut buf, 6).expect("open"), 4, "only what there is");
        let then = meter.traffic();
        assert_eq!(then, Traffic { read_bytes: 4, written_bytes: 10, syncs: 1 });

        file.sync_all().expect("open");
        (&meter as &dyn Fs).sync_dir(Path::new("/")).expect("the root");
        assert_eq!(file.map().expect("open").len(), 10);
        drop(meter.lock(Path::new("/lock"), "who holds it").expect("nobody else"));
        let later = Traffic { read_bytes: 10, written_bytes: 0, syncs: 2 };
        assert_eq!(meter.traffic().since(then), later);
    }
}
