//! The layout of a container file. All numbers are little-endian.
//!
//! | part | place | length |
//! |---|---|---|
//! | header | 0 | one block |
//! | each section, then zeros up to the next block | the first block behind the previous section | any |
//! | page checksums: a `u32` for each page of each section, in file order | the first block behind the last section | 4 x pages |
//! | directory: one entry for each section, in file order | behind them | 48 x sections |
//! | trailer | the end of the file | 64 |
//!
//! The footer (checksums, directory, trailer) is what a reference's digest covers. The places of everything follow
//! from the lengths of the sections; they are stored nevertheless and a file where they differ is refused, so there
//! are no gaps, no overlaps and no byte without a meaning.

use uuid::Uuid;
use vectra_core::codec::{DecodeError, Digest, Reader, Writer, crc32c};

use crate::part::{Role, SectionKind};

/// Alignment of sections and of the footer in bytes, and the length of the header.
pub const BLOCK: u64 = 4096;

/// The number of bytes of a section that share one checksum (CRC32C).
pub const PAGE: usize = 64 << 10;

pub(super) const MAGIC: [u8; 8] = *b"VECTRPRT";
pub(super) const END_MAGIC: [u8; 8] = *b"VECTREND";
/// Another major version cannot be read.
pub(super) const MAJOR: u16 = 1;
/// A higher minor version can be read.
pub(super) const MINOR: u16 = 0;
/// Reads back as another number where somebody swapped bytes.
const ENDIANNESS: u32 = 0x0a0b_0c0d;
const HEADER_CRC_AT: usize = BLOCK as usize - 4;
pub(super) const ENTRY_LEN: usize = 48;
pub(super) const TRAILER_LEN: usize = 64;
const FOOTER_CRC_BACK: usize = 16;

/// The smallest container: a header and a trailer.
pub(super) const FILE_LEN_MIN: u64 = BLOCK + TRAILER_LEN as u64;

/// The only codec so far: the bytes as they are.
pub(crate) const CODEC_PLAIN: u8 = 0;

/// The first multiple of [`BLOCK`] at or behind `at`; `None` beyond 2^64.
pub(super) fn align_up(at: u64) -> Option<u64> {
    at.checked_next_multiple_of(BLOCK)
}

/// What stands in front of a part: who it is and how many rows it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The part's name.
    pub id: Uuid,
    /// What it is for.
    pub role: Role,
    /// How many rows it speaks of.
    pub rows: u32,
    /// The schema its content was written under.
    pub schema_epoch: u32,
}

/// The feature words, by the rule of ext4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Features {
    /// Unknown bits may be ignored.
    pub(crate) compat: u32,
    /// Unknown bits forbid rewriting the part (what they mean would be lost), not reading it.
    pub(crate) ro_compat: u32,
    /// Unknown bits forbid reading the part.
    pub(crate) incompat: u32,
}

/// Why a header is refused.
pub(super) enum HeaderFault {
    /// Bytes that no version would write.
    Bad(DecodeError),
    /// The checksum does not match: expected, found.
    Checksum(u32, u32),
    /// A later format.
    Unsupported(String),
}

impl From<DecodeError> for HeaderFault {
    fn from(error: DecodeError) -> Self {
        Self::Bad(error)
    }
}

/// The header block and its checksum.
pub(super) fn encode_header(header: &Header) -> (Vec<u8>, u32) {
    let mut out = Writer::new();
    out.bytes(&MAGIC).u16(MAJOR).u16(MINOR).u32(ENDIANNESS);
    out.u32(0).u32(0).u32(0);
    out.u16(u16::from(header.role.code())).u16(0);
    out.bytes(header.id.as_bytes()).u32(header.rows).u32(header.schema_epoch);
    let mut block = out.into_bytes();
    block.resize(HEADER_CRC_AT, 0);
    let crc = crc32c(&block);
    block.extend_from_slice(&crc.to_le_bytes());
    (block, crc)
}

/// Reads a header block; total over arbitrary bytes. Gives the header, its features and its checksum.
pub(super) fn decode_header(block: &[u8; BLOCK as usize]) -> Result<(Header, Features, u32), HeaderFault> {
    let mut reader = Reader::new(&block[..HEADER_CRC_AT]);
    if reader.array()? != MAGIC {
        return Err(DecodeError::new(0, "part magic").into());
    }
    let stored = Reader::new(&block[HEADER_CRC_AT..]).u32()?;
    let found = crc32c(&block[..HEADER_CRC_AT]);
    if stored != found {
        return Err(HeaderFault::Checksum(stored, found));
    }
    let (major, _minor) = (reader.u16()?, reader.u16()?);
    if major != MAJOR {
        return Err(HeaderFault::Unsupported(format!("format version {major} (this program reads {MAJOR})")));
    }
    if reader.u32()? != ENDIANNESS {
        return Err(DecodeError::new(12, "endianness mark").into());
    }
    let features = Features { compat: reader.u32()?, ro_compat: reader.u32()?, incompat: reader.u32()? };
    if features.incompat != 0 {
        return Err(HeaderFault::Unsupported(format!("feature bits {:#x}", features.incompat)));
    }
    let role = u8::try_from(reader.u16()?).ok().and_then(Role::from_code);
    let role = role.ok_or(DecodeError::new(28, "part role"))?;
    if reader.u16()? != 0 {
        return Err(DecodeError::new(30, "reserved zero").into());
    }
    let id = Uuid::from_bytes(reader.array()?);
    let header = Header { id, role, rows: reader.u32()?, schema_epoch: reader.u32()? };
    let at = reader.position();
    if let Some(bad) = reader.rest().iter().position(|byte| *byte != 0) {
        return Err(DecodeError::new(at + bad, "reserved zero").into());
    }
    Ok((header, features, stored))
}

/// One line of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: SectionKind,
    pub(crate) field: u16,
    pub(crate) codec: u8,
    /// From the start of the file.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Where the section's page checksums begin, from the start of the file.
    pub(crate) page_crcs: u64,
    pub(crate) digest: Digest,
}

impl Entry {
    pub(crate) fn pages(&self) -> u64 {
        self.length.div_ceil(PAGE as u64)
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u16(self.kind.0).u16(self.field).u8(self.codec).bytes(&[0; 3]);
        out.u64(self.offset).u64(self.length).u64(self.page_crcs).bytes(&self.digest.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, field, codec) = (SectionKind(reader.u16()?), reader.u16()?, reader.u8()?);
        if reader.array()? != [0; 3] {
            return Err(reader.error("reserved zero"));
        }
        let (offset, length, page_crcs) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let digest = Digest::from_le_bytes(reader.array()?);
        Ok(Self { kind, field, codec, offset, length, page_crcs, digest })
    }
}

/// The fixed-size end of the file, from which everything else is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Where the footer begins.
    pub(super) footer: u64,
    /// Where the directory begins.
    pub(super) directory: u64,
    pub(super) sections: u32,
    /// Repeats the header's checksum, so that the footer's digest vouches for the header too.
    pub(super) header_crc: u32,
    /// The length of the whole file.
    pub(super) total_len: u64,
    /// Repeats the part's name: two files' halves never make one.
    pub(super) id: Uuid,
}

impl Trailer {
    /// Appends the trailer to a footer that holds everything else, with the checksum of the whole.
    pub(super) fn encode(&self, footer: Vec<u8>) -> Vec<u8> {
        let mut out = Writer::append_to(footer);
        out.u64(self.footer).u64(self.directory).u32(self.sections).u32(self.header_crc);
        out.u64(self.total_len).bytes(self.id.as_bytes());
        let crc = crc32c(out.as_bytes());
        out.u32(crc).u32(0).bytes(&END_MAGIC);
        out.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8; TRAILER_LEN]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (footer, directory) = (reader.u64()?, reader.u64()?);
        let (sections, header_crc, total_len) = (reader.u32()?, reader.u32()?, reader.u64()?);
        let id = Uuid::from_bytes(reader.array()?);
        let _crc = reader.u32()?;
        if reader.u32()? != 0 {
            return Err(DecodeError::new(52, "reserved zero"));
        }
        if reader.array()? != END_MAGIC {
            return Err(DecodeError::new(56, "end magic"));
        }
        Ok(Self { footer, directory, sections, header_crc, total_len, id })
    }
}

/// The checksum that a footer states and the one that it has.
pub(super) fn footer_crcs(footer: &[u8]) -> Result<(u32, u32), DecodeError> {
    let short = DecodeError::new(0, "footer");
    let at = footer.len().checked_sub(FOOTER_CRC_BACK).ok_or(short)?;
    Ok((Reader::new(&footer[at..]).u32()?, crc32c(&footer[..at])))
}

#[cfg(test)]
mod tests;
