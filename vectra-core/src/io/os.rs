//! The operating system's file system.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the one place that may call the operating system's file system"
)]

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use super::{Access, Blob, Entry, File, Fs, LockGuard, Site};

/// Text of the error when a lock's holder left nothing to read.
const HOLDER_UNKNOWN: &str = "held by an unknown process";

/// The operating system's file system.
///
/// New files get the mode 0600, new directories 0700. Anything that is not a regular file, symbolic links
/// included, is refused when opened. Where directories cannot be synced (neither Unix nor
/// Windows), [`Fs::sync_dir_at`] does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFs;

impl OsFs {
    /// The file system of this process.
    pub fn new() -> Self {
        Self
    }
}

#[derive(Debug)]
struct OsFile(fs::File);

#[derive(Debug)]
struct OsLock {
    // Closing the handle ends the lock.
    _file: fs::File,
}

impl LockGuard for OsLock {}

impl Fs for OsFs {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = options(Access::ReadWrite).create_new(true).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let file = options(access).open(path)?;
        require_regular(&file, path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(or_current(dir))? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir)
    }

    #[cfg(unix)]
    fn sync_dir_at(&self, dir: &Path, _site: Site) -> io::Result<()> {
        let handle = fs::File::open(or_current(dir))?;
        if !handle.metadata()?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        handle.sync_all()
    }

    /// A rename that is not synced may be lost here, too: a log sealed in favour of a successor that has no name yet
    /// could not be opened again.
    #[cfg(windows)]
    fn sync_dir_at(&self, dir: &Path, _site: Site) -> io::Result<()> {
        use std::os::windows::fs::OpenOptionsExt;
        // Without this flag no directory can be opened, and without write access it cannot be flushed.
        const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
        let mut options = OpenOptions::new();
        let handle = options.write(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(or_current(dir))?;
        if !handle.metadata()?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        handle.sync_all()
    }

    #[cfg(not(any(unix, windows)))]
    fn sync_dir_at(&self, dir: &Path, _site: Site) -> io::Result<()> {
        if fs::metadata(or_current(dir))?.is_dir() { Ok(()) } else { Err(ErrorKind::NotADirectory.into()) }
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        let mut file = options(Access::ReadWrite).create(true).truncate(false).open(path)?;
        require_regular(&file, path)?;
        take_lock(&mut file)?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(holder.as_bytes())?;
        Ok(Box::new(OsLock { _file: file }))
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut file = options(Access::Read).open(path)?;
        require_regular(&file, path)?;
        take_lock(&mut file)?;
        Ok(Box::new(OsLock { _file: file }))
    }

    #[cfg(unix)]
    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let volume = rustix::fs::statvfs(or_current(dir))?;
        Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
    }

    #[cfg(unix)]
    fn total_space(&self, dir: &Path) -> io::Result<u64> {
        let volume = rustix::fs::statvfs(or_current(dir))?;
        Ok(volume.f_blocks.saturating_mul(volume.f_frsize))
    }

    #[cfg(not(unix))]
    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        Err(io::Error::new(ErrorKind::Unsupported, "free space cannot be asked for on this platform"))
    }
}

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        position::read_at(&self.0, buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        position::write_all_at(&self.0, buf, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn allocate(&self, len: u64) -> io::Result<()> {
        use rustix::io::Errno;
        if len == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len) {
            // Not every file system can reserve; the write that runs out of space will say so.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn allocate(&self, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data_at(&self, _site: Site) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all_at(&self, _site: Site) -> io::Result<()> {
        self.0.sync_all()
    }

    fn set_readonly(&self) -> io::Result<()> {
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        #[cfg(not(unix))]
        let permissions = {
            let mut permissions = self.0.metadata()?.permissions();
            permissions.set_readonly(true);
            permissions
        };
        self.0.set_permissions(permissions)
    }

    fn map(&self) -> io::Result<Blob> {
        let len = self.len()?;
        #[cfg(feature = "mmap")]
        if len > 0 {
            // SAFETY: the trait allows mapping only closed, immutable files, which nobody changes or cuts while they
            // are mapped; `open` has checked that this is a regular file, and it is not empty.
            #[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
            let map = unsafe { memmap2::Mmap::map(&self.0) };
            // A file system or platform that cannot map still can read.
            if let Ok(map) = map {
                return Ok(Blob::from_map(map));
            }
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
        let mut bytes = vec![0; len];
        (self as &dyn File).read_exact_at(&mut bytes, 0)?;
        Ok(Blob::copy_of(&bytes))
    }
}

/// The parent of a plain file name is the empty path, which the system does not know: it means the current directory.
fn or_current(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// How every file is opened: private to the user, never through a symbolic link, never waiting for a pipe's other end.
fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(access == Access::ReadWrite);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits() as i32);
    }
    options
}

fn require_regular(file: &fs::File, path: &Path) -> io::Result<()> {
    if file.metadata()?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(ErrorKind::InvalidInput, format!("{} is not a regular file", path.display())))
}

/// The lock of the whole file, for this handle alone.
fn take_lock(file: &mut fs::File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(ErrorKind::WouldBlock, read_holder(file))),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn read_holder(file: &mut fs::File) -> String {
    let mut text = String::new();
    // Windows locks are mandatory: there the holder's text cannot be read.
    match file.take(4096).read_to_string(&mut text) {
        Ok(n) if n > 0 => text,
        _ => HOLDER_UNKNOWN.to_owned(),
    }
}

#[cfg(unix)]
mod position {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buf, offset)
    }

    pub(super) fn write_all_at(file: &File, buf: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(buf, offset)
    }
}

#[cfg(windows)]
mod position {
    use std::fs::File;
    use std::io::{self, ErrorKind};
    use std::os::windows::fs::FileExt;

    pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        file.seek_read(buf, offset)
    }

    pub(super) fn write_all_at(file: &File, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match file.seek_write(buf, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    buf = &buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

#[cfg(not(any(unix, windows)))]
mod position {
    use std::fs::File;
    use std::io::{self, ErrorKind};

    pub(super) fn read_at(_file: &File, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(ErrorKind::Unsupported.into())
    }

    pub(super) fn write_all_at(_file: &File, _buf: &[u8], _offset: u64) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests;
