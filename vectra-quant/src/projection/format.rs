//! A projection as a section.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQPR` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | reserved, zero |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2 |
//! | 8..12 | dimension of the vectors, `u32`, 1 ..= 65,536 |
//! | 12..16 | directions kept, `u32`, fewer than the dimension |
//! | 16..20 | squared length of the centre, `f32` |
//! | 20..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//! | 64.. | the product of each direction with the centre, `f32`; zeros up to a multiple of 64 bytes |
//! | then | the directions and the centre, each an SQ8 row under dot |
//!
//! Integers and floats are little-endian. What follows the header has no checksum of its own, as rows of codes have none.

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};
use vectra_core::io::Blob;

use super::Projection;
use crate::codec::Codec;
use crate::format::{FormatError, check_length};
use crate::sq::{DIM_MAX, Sq8, Sq8View};

/// Bytes of the header; a multiple of 64, so that the rows keep the alignment of the section.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQPR";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

impl Projection {
    /// The bytes of a section.
    pub fn to_section(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(0).u8(self.metric.code());
        w.u32(self.dim() as u32).u32(self.kept() as u32).u32(self.centre_energy.to_bits());
        w.bytes(&[0; CHECKED_BYTES - 20]);
        w.u32(crc32c(w.as_bytes()));
        let mut section = w.into_bytes();
        self.offsets.iter().for_each(|offset| section.extend_from_slice(&offset.to_le_bytes()));
        section.resize(HEADER_BYTES + offsets_bytes(self.offsets.len()), 0);
        section.extend_from_slice(self.directions.rows().bytes());
        section
    }

    /// Opens a section; its rows are used where they are.
    ///
    /// Checks the header and lengths. Whatever the rest holds, projecting is safe and total, and at worst distances are
    /// wrong.
    pub fn open_section(section: &Blob) -> Result<Self, FormatError> {
        let (dim, kept, metric, centre_energy) = header(section)?;
        let whole = Sq8::new(dim, Metric::Dot);
        let rows_at = HEADER_BYTES + offsets_bytes(kept);
        let Some(rows) = section.slice(rows_at..section.len()) else {
            return Err(DecodeError::new(HEADER_BYTES, "products with the centre").into());
        };
        check_length(kept as u32 + 1, whole.row_bytes(), rows.len())?;
        let floats = section[HEADER_BYTES..].as_chunks::<4>().0;
        let offsets = floats[..kept].iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let directions = Sq8View::open(rows, whole, kept as u32 + 1)?;
        Ok(Self::of_parts(directions, offsets, centre_energy, metric))
    }
}

/// Bytes of the products with the centre, and the zeros behind them.
fn offsets_bytes(kept: usize) -> usize {
    (4 * kept).next_multiple_of(64)
}

/// Dimension, directions kept, metric and squared length of the centre.
fn header(section: &[u8]) -> Result<(usize, usize, Metric, f32), FormatError> {
    let mut r = Reader::new(section);
    if r.bytes(4)? != MAGIC {
        return Err(DecodeError::new(0, "magic of a projection").into());
    }
    let version = r.u16()?;
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let (zero, metric) = (r.u8()?, r.u8()?);
    let (dim, kept, centre_energy) = (r.u32()? as usize, r.u32()? as usize, f32::from_bits(r.u32()?));
    let reserved = r.bytes(CHECKED_BYTES - 20)?;
    let (found, expected) = (r.u32()?, crc32c(&section[..CHECKED_BYTES]));
    if found != expected {
        return Err(FormatError::Checksum { expected, found });
    }
    let field = |offset, what| DecodeError::new(offset, what);
    let metric =
        Metric::from_code(metric).filter(|metric| *metric != Metric::L1).ok_or(field(7, "metric"))?;
    if !(1..=DIM_MAX).contains(&dim) {
        return Err(field(8, "dimension").into());
    }
    if !(1..dim).contains(&kept) {
        return Err(field(12, "directions kept").into());
    }
    if zero != 0 || reserved.iter().any(|byte| *byte != 0) {
        return Err(field(20, "reserved bytes").into());
    }
    Ok((dim, kept, metric, centre_energy))
}
