//! Bringing one part into a folder: reused if it is there and sound, else linked or copied; checked before it counts.

use std::io;
use std::path::Path;

use vectra_core::io::Access;
use vectra_tier::{DamageReport, Mode, OpenError, PartHandle, PartRef, PartStore};

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

/// What the folder has under the name of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Sound,
    Damaged,
    Nothing,
}

impl Folder {
    /// Sees to it that the part is in the folder under its final name, durable, every byte of it checked.
    ///
    /// # Errors
    /// Of kind `Corrupt` if what is to be copied is damaged, of kind `Io` if it is not known whether anything is.
    pub(crate) fn bring(
        &self,
        part: &PartRef,
        from: &Path,
        link: bool,
        meter: &Meter<'_>,
    ) -> Result<Brought> {
        let there = self.look_for(part)?;
        if there == There::Sound {
            meter.add(part.length);
            return Ok(Brought::Reused);
        }
        // Opened first: its length is what the reference says, and no more than that is ever copied.
        let source =
            PartHandle::open(&*self.fs, from, part, Mode::Read).map_err(|e| Error::open_part(part, e))?;
        let name = self.root.join("tmp").join(format!("{}.part", part.id));
        self.remove(&name)?;
        let brought = if link && self.link(from, &name)? {
            Brought::Linked
        } else {
            self.copy(part, from, &name, meter)?;
            Brought::Copied
        };
        let copy = PartHandle::open(&*self.fs, &name, part, Mode::Read);
        let damage = match copy.map_err(|e| Error::open_part(part, e)).map(|handle| handle.verify()) {
            Ok(Ok(())) => None,
            Ok(Err(report)) => Some(report.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(damage) = damage {
            self.remove(&name)?;
            return Err(match source.verify() {
                Err(report) => is_damaged(part, report),
                Ok(()) => Error::new(ErrorKind::Io, format!("a copy differs from what was read: {damage}")),
            });
        }
        if there == There::Damaged {
            // A better one is at hand now.
            self.remove(&self.store.path(part.id))?;
        }
        self.store.publish(part).map_err(|e| Error::publish_part(part, e))?;
        if brought == Brought::Linked {
            meter.add(part.length);
        }
        Ok(brought)
    }

    /// Whether the folder has the part. A file system that fails says nothing about that, and the part may be all that an
    /// earlier backup has.
    fn look_for(&self, part: &PartRef) -> Result<There> {
        let path = self.store.path(part.id);
        let unreadable = |problem: &dyn std::error::Error| {
            let text = format!(
                "{} cannot be read ({problem}); try again, or use another folder for the backup",
                path.display()
            );
            Error::new(ErrorKind::Io, text)
        };
        match PartHandle::open(&*self.fs, &path, part, Mode::Read) {
            Ok(handle) => match handle.verify() {
                Ok(()) => Ok(There::Sound),
                Err(report) => match report.unreadable() {
                    Some(place) => Err(unreadable(place)),
                    None => Ok(There::Damaged),
                },
            },
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(There::Nothing)
            }
            // Cut off while it was read.
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(There::Damaged)
            }
            Err(OpenError::Io { source, .. }) => Err(unreadable(&source)),
            Err(_) => Ok(There::Damaged),
        }
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match self.fs.remove(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(self.broken("removed", path, e)),
            _ => Ok(()),
        }
    }

    /// Gives the file a second name; false where that cannot be done.
    fn link(&self, from: &Path, to: &Path) -> Result<bool> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        match self.fs.link(from, to) {
            Ok(()) => Ok(true),
            Err(e) if [CrossesDevices, PermissionDenied, TooManyLinks, Unsupported].contains(&e.kind()) => {
                Ok(false)
            }
            Err(e) => Err(self.broken("linked", to, e)),
        }
    }

    /// Copies the file under a temporary name, durably.
    fn copy(&self, part: &PartRef, from: &Path, to: &Path, meter: &Meter<'_>) -> Result<()> {
        let source = self.fs.open(from, Access::Read).map_err(|e| self.broken("opened", from, e))?;
        let target = self.fs.create_new(to).map_err(|e| self.broken("created", to, e))?;
        let mut bytes = vec![0; COPY_BYTES.min(part.length as usize)];
        let mut at = 0;
        while at < part.length {
            let piece = &mut bytes[..(part.length - at).min(COPY_BYTES as u64) as usize];
            source.read_exact_at(piece, at).map_err(|e| self.broken("read", from, e))?;
            target.write_all_at(piece, at).map_err(|e| self.broken("written", to, e))?;
            at += piece.len() as u64;
            meter.add(piece.len() as u64);
        }
        target.set_readonly().map_err(|e| self.broken("protected", to, e))?;
        target.sync_all().map_err(|e| self.broken("synced", to, e))
    }

    fn broken(&self, what: &str, path: &Path, error: io::Error) -> Error {
        Error::io(format!("{} cannot be {what} for {}", path.display(), self.root.display()), error)
    }
}

/// What is wrong with a part of the index.
fn is_damaged(part: &PartRef, report: DamageReport) -> Error {
    if report.unreadable().is_some() {
        return Error::caused(
            ErrorKind::Io,
            format!("the part {} ({}) cannot be read", part.id, part.role),
            report,
        );
    }
    let text = format!("the part {} ({}) is damaged; run `vectra verify --deep`", part.id, part.role);
    Error::caused(ErrorKind::Corrupt, text, report)
}
