//! The bytes of one section, with their checksums at hand.

use std::fmt;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use vectra_core::codec::crc32c;
use vectra_core::io::{Blob, File, Reads};
use vectra_core::memory::AlignedBuf;

use crate::container::{Entry, PAGE};
use crate::damage::{Damage, crc_text};
use crate::handle::ReadError;
use crate::part::SectionKind;

/// One section of an open part. Cheap to clone; all clones share the memory of what is verified.
///
/// Truth is read through [`Section::verified_range`], which checks each 64 KiB page on its first read. Derived data
/// may be read through [`Section::bytes`] at once, with every index taken from it clamped, and copied and verified
/// later.
#[derive(Clone)]
pub struct Section(Arc<Inner>);

struct Inner {
    path: PathBuf,
    file: Arc<dyn File>,
    entry: Entry,
    blob: Blob,
    page_crcs: Box<[u32]>,
    /// A bit for each page: set once its checksum was found right.
    verified: Box<[AtomicU64]>,
    all_verified: AtomicBool,
    checks: AtomicUsize,
}

impl Section {
    pub(crate) fn new(
        path: PathBuf,
        file: Arc<dyn File>,
        entry: Entry,
        blob: Blob,
        page_crcs: &[u32],
    ) -> Self {
        assert_eq!(blob.len() as u64, entry.length, "the blob is the section");
        let verified = (0..page_crcs.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (all_verified, checks) = (AtomicBool::new(page_crcs.is_empty()), AtomicUsize::new(0));
        Self(Arc::new(Inner {
            path,
            file,
            entry,
            blob,
            page_crcs: page_crcs.into(),
            verified,
            all_verified,
            checks,
        }))
    }

    /// What the section holds.
    pub fn kind(&self) -> SectionKind {
        self.0.entry.kind
    }

    /// The field it belongs to; 0 is the default field.
    pub fn field(&self) -> u16 {
        self.0.entry.field
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.blob.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.blob.is_empty()
    }

    /// The bytes as the disk gave them, checked by nothing: for derived data read with care.
    pub fn bytes(&self) -> &Blob {
        &self.0.blob
    }

    /// The bytes, every page of them verified. Remembered, so later calls cost one load.
    pub fn verified(&self) -> Result<&Blob, ReadError> {
        if !self.0.all_verified.load(Ordering::Acquire) {
            self.verified_range(0..self.len())?;
            self.0.all_verified.store(true, Ordering::Release);
        }
        Ok(&self.0.blob)
    }

    /// Some of the bytes; the pages they lie in are verified on their first read and cost one load each afterwards.
    pub fn verified_range(&self, range: Range<usize>) -> Result<&[u8], ReadError> {
        let Some(bytes) = self.0.blob.get(range.clone()) else {
            return Err(ReadError::OutOfRange {
                file: self.0.path.clone(),
                kind: self.kind(),
                field: self.field(),
                range,
                length: self.len(),
            });
        };
        if !range.is_empty() {
            for page in range.start / PAGE..=(range.end - 1) / PAGE {
                self.0.verify_page(page)?;
            }
        }
        Ok(bytes)
    }

    /// The bytes in memory of our own, every page of them verified *there*: whatever becomes of the file afterwards,
    /// these are the bytes that were checked. Where the section is mapped, each call reads the file, past the map, into
    /// memory aligned to huge pages where it fills one; bytes that were read into memory are verified where they are.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`], naming the first page that does not match its checksum; [`ReadError::Io`] if the file cannot
    /// be read.
    pub fn owned_verified(&self) -> Result<Blob, ReadError> {
        if self.0.blob.is_owned() {
            return self.verified().cloned();
        }
        let mut copy = AlignedBuf::zeroed(self.len());
        for (page, bytes) in copy.chunks_mut(PAGE).enumerate() {
            self.0.read_page(page, bytes)?;
        }
        Ok(Blob::from_buf(copy))
    }

    /// How many pages the section has.
    pub fn pages(&self) -> usize {
        self.0.page_crcs.len()
    }

    /// How many times a page's checksum was computed so far.
    pub fn page_checks(&self) -> usize {
        self.0.checks.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn verify_page(&self, page: usize) -> Result<(), ReadError> {
        let (word, bit) = (&self.verified[page / 64], 1_u64 << (page % 64));
        // Acquire and release order the flag after the check; the bytes themselves never change.
        if word.load(Ordering::Acquire) & bit != 0 {
            return Ok(());
        }
        let start = page * PAGE;
        self.fetch(page);
        self.check_page(page, &self.blob[start..self.blob.len().min(start + PAGE)])?;
        word.fetch_or(bit, Ordering::Release);
        Ok(())
    }

    /// Has the system read a page that is not in its cache at once, not one small piece after the other; and no more than
    /// this page, so that queries that wait for the disk meanwhile wait for no more than that.
    fn fetch(&self, page: usize) {
        let start = page * PAGE;
        if let Some(bytes) = self.blob.slice(start..self.blob.len().min(start + PAGE)) {
            bytes.advise(Reads::Soon);
        }
    }

    /// Reads a page into `bytes` and checks it there, while it is still in the cache. Not through the map, whose pages would
    /// become resident beside their copy.
    fn read_page(&self, page: usize, bytes: &mut [u8]) -> Result<(), ReadError> {
        let offset = self.entry.offset + (page * PAGE) as u64;
        match self.file.read_exact_at(bytes, offset) {
            Ok(()) => self.check_page(page, bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let place = (offset, bytes.len() as u64);
                let damage = Damage::new(&self.path, place, "page", "as long as the rest says", error);
                Err(ReadError::Corrupt(damage.within(self.entry.kind, self.entry.field)))
            }
            Err(source) => Err(ReadError::Io { file: self.path.clone(), source }),
        }
    }

    /// Compares `bytes`, which are to be those of `page`, with its checksum.
    fn check_page(&self, page: usize, bytes: &[u8]) -> Result<(), ReadError> {
        let (expected, found) = (self.page_crcs[page], crc32c(bytes));
        self.checks.fetch_add(1, Ordering::Relaxed);
        if found == expected {
            return Ok(());
        }
        let place = (self.entry.offset + (page * PAGE) as u64, bytes.len() as u64);
        let damage = Damage::new(&self.path, place, "page", crc_text(expected), crc_text(found));
        Err(ReadError::Corrupt(damage.within(self.entry.kind, self.entry.field)))
    }
}

impl fmt::Debug for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Section")
            .field("kind", &self.kind())
            .field("field", &self.field())
            .field("bytes", self.bytes())
            .field("pages", &self.pages())
            .field("page_checks", &self.page_checks())
            .finish_non_exhaustive()
    }
}
