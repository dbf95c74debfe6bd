//! A section that is not in memory: what is wanted of it is read from the file.

use std::fmt;
use std::ops::Range;

use vectra_core::memory::AlignedBuf;

use crate::container::PAGE;
use crate::handle::ReadError;
use crate::pages::Pages;

/// One section of an open part, read where it is wanted ([`crate::Mode::Lean`]).
///
/// Each 64 KiB page is read whole and verified before the first of its bytes is given; after that, a read takes the bytes
/// asked for and no more. As with a map, what the system's cache drops comes from the disk again unchecked.
pub struct FileSection {
    pages: Pages,
    length: usize,
}

/// Where the bytes go that are read from a [`FileSection`]: one for each thread, used again and again.
#[derive(Debug, Default)]
pub struct ReadBuf {
    bytes: Option<AlignedBuf>,
    page: Option<AlignedBuf>,
}

impl FileSection {
    pub(crate) fn new(pages: Pages, length: usize) -> Self {
        Self { pages, length }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many times a page's checksum was computed so far.
    pub fn page_checks(&self) -> usize {
        self.pages.checks()
    }

    /// Some of the bytes, in `buf` and aligned to a cache line there.
    ///
    /// # Errors
    /// As [`crate::Section::verified_range`], and [`ReadError::Io`] if the file cannot be read.
    pub fn read<'a>(&self, range: Range<usize>, buf: &'a mut ReadBuf) -> Result<&'a [u8], ReadError> {
        if range.start > range.end || range.end > self.length {
            return Err(self.pages.out_of_range(range, self.length));
        }
        let bytes = room(&mut buf.bytes, range.len());
        let mut at = range.start;
        while at < range.end {
            let page = at / PAGE;
            let from = at - range.start;
            let end = if self.pages.is_verified(page) {
                let unverified =
                    (page + 1..range.end.div_ceil(PAGE)).find(|page| !self.pages.is_verified(*page));
                let end = unverified.map_or(range.end, |page| page * PAGE);
                self.pages.read(at, &mut bytes[from..end - range.start])?;
                end
            } else {
                let start = page * PAGE;
                let whole = room(&mut buf.page, PAGE.min(self.length - start));
                self.pages.read_page(page, whole)?;
                self.pages.remember(page);
                let end = range.end.min(start + PAGE);
                bytes[from..end - range.start].copy_from_slice(&whole[at - start..end - start]);
                end
            };
            at = end;
        }
        Ok(bytes)
    }
}

/// The first `len` bytes of the buffer, a larger one if need be.
fn room(buf: &mut Option<AlignedBuf>, len: usize) -> &mut [u8] {
    if buf.as_ref().is_none_or(|buf| buf.len() < len) {
        *buf = None;
    }
    &mut buf.get_or_insert_with(|| AlignedBuf::zeroed(len))[..len]
}

impl fmt::Debug for FileSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSection")
            .field("kind", &self.pages.entry().kind)
            .field("field", &self.pages.entry().field)
            .field("length", &self.length)
            .field("page_checks", &self.page_checks())
            .finish_non_exhaustive()
    }
}
