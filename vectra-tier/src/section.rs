//! The bytes of one section, with their checksums at hand.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vectra_core::io::{Blob, Reads};
use vectra_core::memory::AlignedBuf;

use crate::container::PAGE;
use crate::handle::ReadError;
use crate::pages::Pages;
use crate::part::SectionKind;

/// One section of an open part. Cheap to clone; all clones share the memory of what is verified.
///
/// Truth is read through [`Section::verified_range`], which checks each 64 KiB page on its first read. Derived data
/// may be read through [`Section::bytes`] at once, with every index taken from it clamped, and copied and verified
/// later.
#[derive(Clone)]
pub struct Section(Arc<Inner>);

struct Inner {
    pages: Pages,
    blob: Blob,
    all_verified: AtomicBool,
}

impl Section {
    pub(crate) fn new(pages: Pages, blob: Blob) -> Self {
        assert_eq!(blob.len() as u64, pages.entry().length, "the blob is the section");
        let all_verified = AtomicBool::new(pages.count() == 0);
        Self(Arc::new(Inner { pages, blob, all_verified }))
    }

    /// What the section holds.
    pub fn kind(&self) -> SectionKind {
        self.0.pages.entry().kind
    }

    /// The field it belongs to; 0 is the default field.
    pub fn field(&self) -> u16 {
        self.0.pages.entry().field
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
            return Err(self.0.pages.out_of_range(range, self.len()));
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
            // Not through the map, whose pages would become resident beside their copy.
            self.0.pages.read_page(page, bytes)?;
        }
        Ok(Blob::from_buf(copy))
    }

    /// How many pages the section has.
    pub fn pages(&self) -> usize {
        self.0.pages.count()
    }

    /// How many times a page's checksum was computed so far.
    pub fn page_checks(&self) -> usize {
        self.0.pages.checks()
    }
}

impl Inner {
    fn verify_page(&self, page: usize) -> Result<(), ReadError> {
        if self.pages.is_verified(page) {
            return Ok(());
        }
        let start = page * PAGE;
        self.fetch(page);
        self.pages.check(page, &self.blob[start..self.blob.len().min(start + PAGE)])?;
        self.pages.remember(page);
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
