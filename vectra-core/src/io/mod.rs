//! The file-system seam: the only way to the disk, so that a simulated disk can prove the engine crash-safe.
//!
//! Every `sync` remembers its call site, so that a test can ignore one site at a time and prove that it is needed.
//! Paths are ordinary [`Path`]s; errors are [`io::Error`]s of the usual kinds.

mod blob;
mod mem;
mod os;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

pub use blob::{Blob, Reads};
pub use mem::MemFs;
pub use os::OsFs;

use std::fmt::Debug;
use std::io;
use std::panic::Location;
use std::path::Path;

/// The place in the source that asked for a sync.
pub type Site = &'static Location<'static>;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// File name without its directory; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A file system. Object-safe; cheap to share behind an `Arc`.
pub trait Fs: Debug + Send + Sync {
    /// Creates a file that must not exist yet and opens it for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing regular file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>>;

    /// Gives the file `from` a second name; fails with `AlreadyExists` if `to` exists.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file, replacing `to` atomically. Durable only after the directory is synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Creates a directory whose parent exists; `AlreadyExists` if it is there.
    fn mkdir(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in `dir` durable. Callers use [`Fs::sync_dir`](trait.Fs.html#method.sync_dir), which fills in `site`.
    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()>;

    /// Takes an exclusive lock on the file `path` (created if missing) and writes `holder` into it for people to read.
    ///
    /// While someone else holds it: an error of kind `WouldBlock` whose text is what the holder wrote. The lock ends
    /// when the returned value is dropped or the process dies.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>>;

    /// Takes the lock that [`Fs::lock`] takes, on a file that is there, and writes nothing: this needs neither the right to
    /// write to it nor space. Errors as [`Fs::lock`], and of kind `NotFound` if there is no such file.
    ///
    /// The default, for file systems that stand before another one, is [`Fs::lock`] without a text.
    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.lock(path, "")
    }

    /// Free bytes on the volume that holds `dir`.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;

    /// Bytes that the volume that holds `dir` has in all, free or not; `Unsupported` where nobody knows.
    fn total_space(&self, dir: &Path) -> io::Result<u64> {
        let text = format!("nobody knows how large the volume of {} is", dir.display());
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

impl dyn Fs + '_ {
    /// Makes the names in `dir` durable: creations, links, renames and removals.
    #[track_caller]
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync_dir_at(dir, Location::caller())
    }

    /// Whether something has this name.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
        };
        match self.list(dir) {
            Ok(entries) => Ok(entries.iter().any(|e| e.name == name)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Reads a whole file of at most `len_max` bytes.
    pub fn read(&self, path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, Access::Read)?;
        let len = file.len()?;
        if len > len_max {
            let text = format!("{} is {len} bytes long, more than the {len_max} allowed", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// Held while a lock is held.
pub trait LockGuard: Debug + Send + Sync {}

/// An open file. Dropping it closes it, which syncs nothing.
pub trait File: Debug + Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 at or behind the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`, growing the file as needed. On error any part may have been written.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves disk space for the first `len` bytes without changing the content; may do nothing where unsupported.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// The file's length.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Makes content and length durable. Callers use [`File::sync_data`](trait.File.html#method.sync_data).
    fn sync_data_at(&self, site: Site) -> io::Result<()>;

    /// Makes content and all attributes durable. Callers use [`File::sync_all`](trait.File.html#method.sync_all).
    fn sync_all_at(&self, site: Site) -> io::Result<()>;

    /// Takes write permission away from the file (published files are never changed in place).
    fn set_readonly(&self) -> io::Result<()>;

    /// The file's whole content: mapped where the platform and the build allow it, otherwise read into memory.
    ///
    /// Only for closed, length-checked, immutable files.
    fn map(&self) -> io::Result<Blob>;
}

impl dyn File + '_ {
    /// Makes content and length durable.
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        self.sync_data_at(Location::caller())
    }

    /// Makes content and all attributes durable.
    #[track_caller]
    pub fn sync_all(&self) -> io::Result<()> {
        self.sync_all_at(Location::caller())
    }

    /// Fills `buf` from `offset`, or fails with `UnexpectedEof`.
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
