//! The pages of one section in its file: where they lie, what their checksums are, and which were found right.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use vectra_core::codec::crc32c;
use vectra_core::io::File;

use crate::container::{Entry, PAGE};
use crate::damage::{Damage, crc_text};
use crate::handle::ReadError;

/// Shared by all who read the section.
pub(crate) struct Pages {
    path: PathBuf,
    file: Arc<dyn File>,
    entry: Entry,
    crcs: Box<[u32]>,
    /// A bit for each page: set once its checksum was found right.
    verified: Box<[AtomicU64]>,
    checks: AtomicUsize,
}

impl Pages {
    pub(crate) fn new(path: PathBuf, file: Arc<dyn File>, entry: Entry, crcs: &[u32]) -> Self {
        let verified = (0..crcs.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { path, file, entry, crcs: crcs.into(), verified, checks: AtomicUsize::new(0) }
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    pub(crate) fn count(&self) -> usize {
        self.crcs.len()
    }

    /// How many times a page's checksum was computed so far.
    pub(crate) fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    pub(crate) fn is_verified(&self, page: usize) -> bool {
        // Acquire and release order the flag after the check; the bytes themselves never change.
        self.verified[page / 64].load(Ordering::Acquire) & (1 << (page % 64)) != 0
    }

    /// Remembers that the page was found right.
    pub(crate) fn remember(&self, page: usize) {
        self.verified[page / 64].fetch_or(1 << (page % 64), Ordering::Release);
    }

    /// Compares `bytes`, which are to be those of `page`, with its checksum.
    pub(crate) fn check(&self, page: usize, bytes: &[u8]) -> Result<(), ReadError> {
        let (expected, found) = (self.crcs[page], crc32c(bytes));
        self.checks.fetch_add(1, Ordering::Relaxed);
        if found == expected {
            return Ok(());
        }
        let place = (self.entry.offset + (page * PAGE) as u64, bytes.len() as u64);
        let damage = Damage::new(&self.path, place, "page", crc_text(expected), crc_text(found));
        Err(ReadError::Corrupt(damage.within(self.entry.kind, self.entry.field)))
    }

    /// Reads the page `page` from the file into `bytes`, which are as long, and checks it there, while it is in the cache.
    pub(crate) fn read_page(&self, page: usize, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.read(page * PAGE, bytes)?;
        self.check(page, bytes)
    }

    /// Fills `bytes` from the file, `from` bytes behind the section's start.
    pub(crate) fn read(&self, from: usize, bytes: &mut [u8]) -> Result<(), ReadError> {
        let offset = self.entry.offset + from as u64;
        match self.file.read_exact_at(bytes, offset) {
            Ok(()) => Ok(()),
            // A file that has become shorter is damaged; one that cannot be read may be sound.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let place = (offset, bytes.len() as u64);
                let damage = Damage::new(&self.path, place, "page", "as long as the rest says", error);
                Err(ReadError::Corrupt(damage.within(self.entry.kind, self.entry.field)))
            }
            Err(source) => Err(ReadError::Io { file: self.path.clone(), source }),
        }
    }

    pub(crate) fn out_of_range(&self, range: Range<usize>, length: usize) -> ReadError {
        let Entry { kind, field, .. } = self.entry;
        ReadError::OutOfRange { file: self.path.clone(), kind, field, range, length }
    }
}
