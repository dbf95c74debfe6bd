//! The layout of the three sections: versions, headers, directories. Everything is little-endian.

use std::ops::Range;

use vectra_core::codec::{DecodeError, Reader, Writer};

use crate::error::FormatError;
use crate::row::ROW_BYTES_MAX;
use crate::schema::{FieldKind, IndexedField, Schema};

/// Version of each section's layout.
pub(crate) const VERSION: u16 = 1;

/// Names of the sections in errors.
pub(crate) const ROWS: &str = "rows";
pub(crate) const DICTIONARY: &str = "dictionary";
pub(crate) const INDEXES: &str = "indexes";

/// A block holds rows of at most this many encoded bytes, unless it is one larger row.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// A block holds at most this many rows.
pub(crate) const BLOCK_ROWS: usize = 1024;
/// Compression beyond this ratio is not used and not accepted.
pub(crate) const RATIO_MAX: usize = 1000;

/// The most shared strings, and their longest in bytes.
pub(crate) const SHARED_COUNT_MAX: usize = 1 << 16;
pub(crate) const SHARED_BYTES_MAX: usize = 256;
/// All shared strings with their lengths.
const SHARED_SECTION_BYTES_MAX: usize = SHARED_COUNT_MAX * (SHARED_BYTES_MAX + 2) + 10;
/// The largest zstd dictionary.
pub(crate) const TRAINED_BYTES_MAX: usize = 112 << 10;

/// Size of the header of the rows section, and of one directory entry.
const ROWS_HEADER_BYTES: usize = 12;
const BLOCK_ENTRY_BYTES: usize = 20;

/// How the bytes of a block, or of the shared strings, are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Codec {
    Raw = 0,
    Zstd = 1,
    /// zstd with the trained dictionary of the dictionary section.
    ZstdTrained = 2,
}

/// How the rows of a block are arranged before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Layout {
    /// One encoded value after the other.
    Rows = 0,
    /// Shredded into columns.
    Columns = 1,
}

/// Directory entry of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    /// Slot of its first row. Not stored: the sum of the rows before.
    pub(crate) first_slot: u32,
    pub(crate) rows: u32,
    /// Where its stored bytes begin in the section. Not stored: blocks follow each other.
    pub(crate) offset: usize,
    pub(crate) stored_len: usize,
    /// Length after decompression.
    pub(crate) raw_len: usize,
    /// Length of all its rows as encoded values; bounds what decoding may allocate.
    pub(crate) value_len: usize,
    pub(crate) codec: Codec,
    pub(crate) layout: Layout,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Raw, Self::Zstd, Self::ZstdTrained].into_iter().find(|codec| *codec as u8 == byte)
    }
}

/// Damage in `section`.
pub(crate) fn damaged(section: &'static str) -> impl Fn(DecodeError) -> FormatError {
    move |source| FormatError::Damaged { section, source }
}

/// Reads and checks the version that every section begins with.
pub(crate) fn read_version(reader: &mut Reader<'_>, section: &'static str) -> Result<(), FormatError> {
    let found = reader.u16().map_err(damaged(section))?;
    if found == VERSION {
        return Ok(());
    }
    Err(FormatError::Unsupported { section, what: "layout version", found: found.into() })
}

/// Header and directory of the rows section; the blocks follow in order.
pub(crate) fn write_directory(blocks: &[BlockEntry], row_count: u32) -> Vec<u8> {
    let mut w = Writer::new();
    w.u16(VERSION).u16(0).u32(row_count).u32(blocks.len() as u32);
    for block in blocks {
        w.u32(block.rows).u32(block.stored_len as u32).u32(block.raw_len as u32).u32(block.value_len as u32);
        w.u8(block.codec as u8).u8(block.layout as u8).u16(0);
    }
    w.into_bytes()
}

/// Reads header and directory; every block lies inside the section and states lengths within the limits.
pub(crate) fn read_directory(section: &[u8], row_count: u32) -> Result<Vec<BlockEntry>, FormatError> {
    let mut reader = Reader::new(section);
    read_version(&mut reader, ROWS)?;
    let (stated, block_count) = read_counts(&mut reader).map_err(damaged(ROWS))?;
    if stated != row_count {
        return Err(mismatch(ROWS, "rows", row_count.into(), stated.into()));
    }
    let mut blocks = Vec::with_capacity(block_count);
    let mut offset = ROWS_HEADER_BYTES + block_count * BLOCK_ENTRY_BYTES;
    let mut first_slot = 0_u32;
    for _ in 0..block_count {
        let at = reader.position();
        let mut block = read_entry(&mut reader).map_err(damaged(ROWS))?;
        (block.first_slot, block.offset) = (first_slot, offset);
        let bad = |what| damaged(ROWS)(DecodeError::new(at, what));
        first_slot = first_slot.checked_add(block.rows).ok_or_else(|| bad("row count of a block"))?;
        offset = offset.checked_add(block.stored_len).ok_or_else(|| bad("length of a block"))?;
        blocks.push(block);
    }
    if offset != section.len() {
        return Err(mismatch(ROWS, "bytes", section.len() as u64, offset as u64));
    }
    if first_slot != row_count {
        return Err(mismatch(ROWS, "rows in blocks", row_count.into(), first_slot.into()));
    }
    Ok(blocks)
}

fn read_counts(reader: &mut Reader<'_>) -> Result<(u32, usize), DecodeError> {
    if reader.u16()? != 0 {
        return Err(reader.error("zero padding"));
    }
    let rows = reader.u32()?;
    let blocks = reader.u32()? as usize;
    if blocks > reader.remaining() / BLOCK_ENTRY_BYTES {
        return Err(reader.error("block count"));
    }
    Ok((rows, blocks))
}

fn read_entry(reader: &mut Reader<'_>) -> Result<BlockEntry, DecodeError> {
    let at = reader.position();
    let bad = |what| DecodeError::new(at, what);
    let rows = reader.u32()?;
    let [stored_len, raw_len, value_len] = [reader.u32()?, reader.u32()?, reader.u32()?].map(|n| n as usize);
    let codec = Codec::from_byte(reader.u8()?).ok_or(bad("codec of a block"))?;
    let layout = match reader.u8()? {
        0 => Layout::Rows,
        1 => Layout::Columns,
        _ => return Err(bad("layout of a block")),
    };
    if reader.u16()? != 0 {
        return Err(bad("zero padding"));
    }
    let single_or_small = value_len <= BLOCK_BYTES || rows == 1 && value_len <= ROW_BYTES_MAX;
    if rows == 0 || rows as usize > BLOCK_ROWS || !single_or_small || (rows as usize) > value_len {
        return Err(bad("block within the limits"));
    }
    if layout == Layout::Columns && value_len > BLOCK_BYTES {
        return Err(bad("columns of a small block"));
    }
    let lengths_fit = raw_len <= value_len && raw_len <= stored_len.saturating_mul(RATIO_MAX);
    if !lengths_fit || codec == Codec::Raw && raw_len != stored_len {
        return Err(bad("block lengths that fit"));
    }
    Ok(BlockEntry { first_slot: 0, rows, offset: 0, stored_len, raw_len, value_len, codec, layout })
}

/// Header of the dictionary section: how the shared strings are stored; the trained dictionary is all that follows.
pub(crate) struct DictionaryHeader {
    pub(crate) codec: Codec,
    pub(crate) shared_stored_len: usize,
    pub(crate) shared_raw_len: usize,
}

impl DictionaryHeader {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u16(VERSION).u8(self.codec as u8).u8(0);
        w.u32(self.shared_stored_len as u32).u32(self.shared_raw_len as u32);
        w.into_bytes()
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        read_version(reader, DICTIONARY)?;
        Self::read_lengths(reader).map_err(damaged(DICTIONARY))
    }

    fn read_lengths(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bad = reader.error("codec of the shared strings");
        // The shared strings cannot depend on the trained dictionary, which stands behind them.
        let codec = Codec::from_byte(reader.u8()?).filter(|c| *c != Codec::ZstdTrained).ok_or(bad)?;
        if reader.u8()? != 0 {
            return Err(reader.error("zero padding"));
        }
        let [shared_stored_len, shared_raw_len] = [reader.u32()?, reader.u32()?].map(|n| n as usize);
        let ratio_fits = shared_raw_len <= shared_stored_len.saturating_mul(RATIO_MAX);
        let raw_fits = codec != Codec::Raw || shared_raw_len == shared_stored_len;
        if shared_raw_len > SHARED_SECTION_BYTES_MAX || !ratio_fits || !raw_fits {
            return Err(reader.error("length of the shared strings"));
        }
        Ok(Self { codec, shared_stored_len, shared_raw_len })
    }
}

/// Directory of the indexes section: each field with the length of its index; the indexes follow in order.
pub(crate) fn write_index_directory<'f>(
    fields: impl ExactSizeIterator<Item = (&'f IndexedField, u64)>,
) -> Vec<u8> {
    let mut w = Writer::new();
    w.u16(VERSION).u16(fields.len() as u16);
    for (field, len) in fields {
        w.u8(field.kind.to_byte()).u64(len).text(&field.path);
    }
    w.into_bytes()
}

/// Reads the directory of the indexes section; every index lies inside the section.
pub(crate) fn read_index_directory(section: &[u8]) -> Result<Vec<(IndexedField, Range<usize>)>, FormatError> {
    let mut reader = Reader::new(section);
    read_version(&mut reader, INDEXES)?;
    let (fields, lengths) = read_fields(&mut reader).map_err(damaged(INDEXES))?;
    let schema = Schema::new(fields);
    let schema = schema.map_err(|_| damaged(INDEXES)(DecodeError::new(4, "sane field paths")))?;
    let mut entries = Vec::with_capacity(lengths.len());
    for (field, len) in schema.fields().iter().zip(lengths) {
        let start = reader.position();
        let len = usize::try_from(len).map_err(|_| damaged(INDEXES)(reader.error("length of an index")))?;
        reader.bytes(len).map_err(damaged(INDEXES))?;
        entries.push((field.clone(), start..start + len));
    }
    reader.finish().map_err(damaged(INDEXES))?;
    Ok(entries)
}

fn read_fields(reader: &mut Reader<'_>) -> Result<(Vec<IndexedField>, Vec<u64>), DecodeError> {
    let count = reader.u16()?;
    let (mut fields, mut lengths) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let bad = reader.error("kind of an index");
        let kind = FieldKind::from_byte(reader.u8()?).ok_or(bad)?;
        lengths.push(reader.u64()?);
        fields.push(IndexedField { path: reader.text()?.to_owned(), kind });
    }
    Ok((fields, lengths))
}

/// Two places that must agree do not.
pub(crate) fn mismatch(section: &'static str, what: &'static str, expected: u64, found: u64) -> FormatError {
    FormatError::Mismatch { section, what, expected, found }
}

impl FieldKind {
    /// The number that stands for it in the indexes section.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Keyword => 0,
            Self::Number => 1,
            Self::Bool => 2,
        }
    }

    /// The inverse of [`FieldKind::to_byte`].
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Keyword, Self::Number, Self::Bool].into_iter().find(|kind| kind.to_byte() == byte)
    }
}

#[cfg(test)]
mod tests;
