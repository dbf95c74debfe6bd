//! Bringing one part into a folder: reused if it is there and sound, else linked or copied; checked before it counts.

use std::io;
use std::path::Path;

use vectra_core::io::{Access, Fs};
use vectra_tier::{Mode, OpenError, PartHandle, PartRef, PartStore};

use super::folder::Folder;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Meter;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// How a part came to be in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// It was there and is what it should be, to the byte.
    Reused,
    /// It has a second name now.
    Linked,
    Copied,
}

impl Folder {
    /// Sees to it that the part is in the folder under its final name, durable, every byte of it checked.
    ///
    /// # Errors
    /// Of kind `Corrupt` if what is to be copied is damaged.
    pub(crate) fn bring(
        &self,
        part: &PartRef,
        from: &Path,
        link: bool,
        meter: &Meter<'_>,
    ) -> Result<Brought> {
        if self.has(part)? {
            meter.add(part.length);
            return Ok(Brought::Reused);
        }
        // Opened first: its length is what the reference says, and no more than that is ever copied.
        let source =
            PartHandle::open(&*self.fs, from, part, Mode::Read).map_err(|e| Error::open_part(part, e))?;
        let brought = if link && self.link(part, from)? {
            Brought::Linked
        } else {
            self.copy(part, from, meter)?;
            Brought::Copied
        };
        let name = match brought {
            Brought::Copied => self.root.join("tmp").join(format!("{}.part", part.id)),
            _ => self.store.path(part.id),
        };
        if let Err(damage) = check(&*self.fs, &name, part) {
            let failed = |e| self.broken("removed", &name, e);
            self.fs.remove(&name).map_err(failed)?;
            return Err(match source.verify() {
                Err(report) => {
                    let text = format!(
                        "the part {} ({}) is damaged; run `vectra verify --deep`",
                        part.id, part.role
                    );
                    Error::caused(ErrorKind::Corrupt, text, report)
                }
                Ok(()) => Error::new(ErrorKind::Io, format!("a copy differs from what was read: {damage}")),
            });
        }
        if brought == Brought::Copied {
            self.store.publish(part).map_err(|e| Error::publish_part(part, e))?;
        } else {
            meter.add(part.length);
        }
        Ok(brought)
    }

    /// Whether the folder has the part, sound; one that is not is removed.
    fn has(&self, part: &PartRef) -> Result<bool> {
        let path = self.store.path(part.id);
        match PartHandle::open(&*self.fs, &path, part, Mode::Read) {
            Ok(handle) if handle.verify().is_ok() => return Ok(true),
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(false);
            }
            _ => {}
        }
        self.fs.remove(&path).map_err(|e| self.broken("removed", &path, e))?;
        Ok(false)
    }

    /// Gives the file a second name in the folder; false where that cannot be done.
    fn link(&self, part: &PartRef, from: &Path) -> Result<bool> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        let to = self.store.path(part.id);
        match self.fs.link(from, &to) {
            Ok(()) => {}
            Err(e) if [CrossesDevices, PermissionDenied, TooManyLinks, Unsupported].contains(&e.kind()) => {
                return Ok(false);
            }
            Err(e) => return Err(self.broken("linked", &to, e)),
        }
        let seg = self.root.join("seg");
        self.fs.sync_dir(&seg).map_err(|e| self.broken("synced", &seg, e))?;
        Ok(true)
    }

    /// Copies the file under a temporary name, durably.
    fn copy(&self, part: &PartRef, from: &Path, meter: &Meter<'_>) -> Result<()> {
        let to = self.root.join("tmp").join(format!("{}.part", part.id));
        match self.fs.remove(&to) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(self.broken("removed", &to, e)),
            _ => {}
        }
        let source = self.fs.open(from, Access::Read).map_err(|e| self.broken("opened", from, e))?;
        let target = self.fs.create_new(&to).map_err(|e| self.broken("created", &to, e))?;
        let mut bytes = vec![0; COPY_BYTES.min(part.length as usize)];
        let mut at = 0;
        while at < part.length {
            let piece = &mut bytes[..(part.length - at).min(COPY_BYTES as u64) as usize];
            source.read_exact_at(piece, at).map_err(|e| self.broken("read", from, e))?;
            target.write_all_at(piece, at).map_err(|e| self.broken("written", &to, e))?;
            at += piece.len() as u64;
            meter.add(piece.len() as u64);
        }
        target.set_readonly().map_err(|e| self.broken("protected", &to, e))?;
        target.sync_all().map_err(|e| self.broken("synced", &to, e))
    }

    fn broken(&self, what: &str, path: &Path, error: io::Error) -> Error {
        Error::io(format!("{} cannot be {what} for {}", path.display(), self.root.display()), error)
    }
}

/// Every byte of the file against its reference; otherwise what is wrong.
fn check(fs: &dyn Fs, path: &Path, part: &PartRef) -> std::result::Result<(), String> {
    let handle = PartHandle::open(fs, path, part, Mode::Read).map_err(|e| e.to_string())?;
    handle.verify().map_err(|e| e.to_string())
}
