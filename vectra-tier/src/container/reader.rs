//! Reading what stands around the sections: header, trailer, directory and page checksums.

use std::collections::BTreeMap;
use std::path::Path;

use vectra_core::codec::{DecodeError, Digest, Reader, digest};
use vectra_core::io::{Access, File, Fs};

use crate::container::toc::{
    BLOCK, ENTRY_LEN, Entry, FILE_LEN_MIN, Features, Header, HeaderFault, TRAILER_LEN, Trailer, align_up,
    decode_header, footer_crcs,
};
use crate::damage::{Damage, crc_text};
use crate::handle::OpenError;
use crate::part::{PartRef, SectionKind};

/// The checked table of contents of one file.
#[derive(Debug)]
pub(crate) struct Toc {
    pub(crate) header: Header,
    pub(crate) features: Features,
    /// In file order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) by_name: BTreeMap<(SectionKind, u16), usize>,
    /// Of all sections, in file order.
    page_crcs: Vec<u32>,
    /// Where the footer begins; the last section and its padding end here.
    pub(crate) footer: u64,
    pub(crate) digest: Digest,
    pub(crate) length: u64,
}

impl Toc {
    /// Reads and checks header and footer of `file`, and nothing else.
    pub(crate) fn read(file: &dyn File, path: &Path) -> Result<Self, OpenError> {
        Source { file, path }.toc()
    }

    /// The checksums of the pages of `entries[at]`.
    pub(crate) fn page_crcs(&self, at: usize) -> &[u32] {
        let entry = &self.entries[at];
        let start = ((entry.page_crcs - self.footer) / 4) as usize;
        &self.page_crcs[start..start + entry.pages() as usize]
    }

    /// Checks that this is the file that `expected` refers to.
    pub(crate) fn expect(&self, path: &Path, expected: &PartRef) -> Result<(), Damage> {
        if self.header.id != expected.id {
            return Err(Damage::new(path, (32, 16), "part id", expected.id, self.header.id));
        }
        if self.header.role != expected.role {
            return Err(Damage::new(path, (28, 2), "part role", expected.role, self.header.role));
        }
        if self.digest != expected.digest {
            let place = (self.footer, self.length - self.footer);
            return Err(Damage::new(path, place, "footer digest", expected.digest, self.digest));
        }
        Ok(())
    }
}

/// Reads the reference of a part from the file itself, where nothing else vouches for it (salvage, tools).
///
/// Header and footer are checked; the sections are not.
pub fn identify(fs: &dyn Fs, path: &Path) -> Result<PartRef, OpenError> {
    let file = fs.open(path, Access::Read).map_err(|e| OpenError::io(path, e))?;
    let toc = Toc::read(&*file, path)?;
    Ok(PartRef { id: toc.header.id, role: toc.header.role, length: toc.length, digest: toc.digest })
}

struct Source<'a> {
    file: &'a dyn File,
    path: &'a Path,
}

impl Source<'_> {
    fn toc(&self) -> Result<Toc, OpenError> {
        let length = self.file.len().map_err(|e| OpenError::io(self.path, e))?;
        if length < FILE_LEN_MIN {
            let expected = format_args!("at least {FILE_LEN_MIN}");
            return Err(Damage::new(self.path, (0, length), "file length", expected, length).into());
        }
        let (header, features, header_crc) = self.header()?;
        let trailer = self.trailer(length, &header, header_crc)?;
        let footer = self.read(trailer.footer, length - trailer.footer)?;
        let (stored, found) = footer_crcs(&footer).map_err(|e| self.bad(trailer.footer, &e))?;
        if stored != found {
            let place = (trailer.footer, footer.len() as u64);
            return Err(Damage::new(self.path, place, "footer", crc_text(stored), crc_text(found)).into());
        }
        let tables = (trailer.directory - trailer.footer) as usize;
        let directory = &footer[tables..footer.len() - TRAILER_LEN];
        let page_crcs = footer[..tables].as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let (entries, by_name) = self.directory(directory, &trailer)?;
        let digest = digest(&footer);
        Ok(Toc { header, features, entries, by_name, page_crcs, footer: trailer.footer, digest, length })
    }

    fn header(&self) -> Result<(Header, Features, u32), OpenError> {
        let mut block = [0; BLOCK as usize];
        self.file.read_exact_at(&mut block, 0).map_err(|e| OpenError::io(self.path, e))?;
        decode_header(&block).map_err(|fault| match fault {
            HeaderFault::Bad(error) => self.bad(0, &error),
            HeaderFault::Checksum(stored, found) => {
                Damage::new(self.path, (0, BLOCK), "header", crc_text(stored), crc_text(found)).into()
            }
            HeaderFault::Unsupported(what) => OpenError::Unsupported { file: self.path.to_owned(), what },
        })
    }

    /// The trailer, with every number in it bounded by the file's length.
    fn trailer(&self, length: u64, header: &Header, header_crc: u32) -> Result<Trailer, OpenError> {
        let at = length - TRAILER_LEN as u64;
        let mut bytes = [0; TRAILER_LEN];
        self.file.read_exact_at(&mut bytes, at).map_err(|e| OpenError::io(self.path, e))?;
        let trailer = Trailer::decode(&bytes).map_err(|e| self.bad(at, &e))?;
        let wrong = |back, what, expected: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
            Err(Damage::new(self.path, (at + back, 8), what, expected, found).into())
        };
        if trailer.total_len != length {
            return wrong(24, "total length", &length, &trailer.total_len);
        }
        if trailer.id != header.id {
            return wrong(32, "repeated part id", &header.id, &trailer.id);
        }
        if trailer.header_crc != header_crc {
            return wrong(
                20,
                "repeated header checksum",
                &crc_text(header_crc),
                &crc_text(trailer.header_crc),
            );
        }
        if trailer.footer < BLOCK || trailer.footer > at || !trailer.footer.is_multiple_of(BLOCK) {
            return wrong(0, "footer offset", &"a block behind the header", &trailer.footer);
        }
        let entries_len = u64::from(trailer.sections) * ENTRY_LEN as u64;
        if at.checked_sub(entries_len) != Some(trailer.directory) || trailer.directory < trailer.footer {
            let expected = format_args!("{} entries before the trailer", trailer.sections);
            return wrong(8, "directory offset", &expected, &trailer.directory);
        }
        Ok(trailer)
    }

    /// The entries, checked to lie one behind the other with nothing in between.
    #[expect(clippy::type_complexity, reason = "two fields of the table of contents, used once")]
    fn directory(
        &self,
        bytes: &[u8],
        trailer: &Trailer,
    ) -> Result<(Vec<Entry>, BTreeMap<(SectionKind, u16), usize>), OpenError> {
        let mut reader = Reader::new(bytes);
        let mut entries = Vec::with_capacity(bytes.len() / ENTRY_LEN);
        let mut by_name = BTreeMap::new();
        let (mut next, mut next_crcs) = (BLOCK, trailer.footer);
        while reader.remaining() > 0 {
            let at = trailer.directory + reader.position() as u64;
            let entry = Entry::decode(&mut reader).map_err(|e| self.bad(trailer.directory, &e))?;
            let wrong = |back, what, expected: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
                let damage = Damage::new(self.path, (at + back, 8), what, expected, found);
                OpenError::from(damage.within(entry.kind, entry.field))
            };
            if entry.offset != next {
                return Err(wrong(8, "section offset", &next, &entry.offset));
            }
            let end = entry
                .offset
                .checked_add(entry.length)
                .and_then(align_up)
                .filter(|end| *end <= trailer.footer);
            let expected = format_args!("at most {}", trailer.footer - next);
            next = end.ok_or_else(|| wrong(16, "section length", &expected, &entry.length))?;
            if entry.page_crcs != next_crcs {
                return Err(wrong(24, "page checksum offset", &next_crcs, &entry.page_crcs));
            }
            next_crcs += entry.pages() * 4;
            if by_name.insert((entry.kind, entry.field), entries.len()).is_some() {
                return Err(wrong(0, "section name", &"a new one", &"a repeated one"));
            }
            entries.push(entry);
        }
        if next != trailer.footer || next_crcs != trailer.directory {
            let place = (trailer.footer, trailer.directory - trailer.footer);
            let expected = format_args!("{next} with {} bytes of checksums", next_crcs - trailer.footer);
            let found = format_args!("{} with {} bytes", trailer.footer, place.1);
            return Err(Damage::new(self.path, place, "footer offset", expected, found).into());
        }
        Ok((entries, by_name))
    }

    /// Reads bytes whose length is bounded by that of the file.
    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, OpenError> {
        let length = usize::try_from(length).map_err(|_| OpenError::Unsupported {
            file: self.path.to_owned(),
            what: format!("a footer of {length} bytes"),
        })?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|e| OpenError::io(self.path, e))?;
        Ok(bytes)
    }

    fn bad(&self, start: u64, error: &DecodeError) -> OpenError {
        let at = start + error.offset as u64;
        Damage::new(self.path, (at, 1), error.what, "what the format says", "something else").into()
    }
}
