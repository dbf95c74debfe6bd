//! Blocks of signs as a section.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQSB` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | reserved, zero |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2 |
//! | 8..12 | dimension, `u32`, 1 ..= 65,536 |
//! | 12..16 | number of rows, `u32` |
//! | 16..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//! | 64.. | the blocks of 64 rows each (the last one filled up with zeros), without gaps: for each eight components 64 bytes, byte i of row i of the block, bit j set if the code of component j of the eight is |
//! | then | for each block 64 energies, 64 scales and 64 errors of its rows, `f32` each, as in rows of RaBitQ |
//!
//! Integers and floats are little-endian. What follows the header has no checksum of its own, as rows of codes have none.

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};
use vectra_core::io::Blob;

use super::super::kernel::FACTORS_OF_BLOCK;
use super::{SignBlocks, layout};
use crate::codec::Codec;
use crate::format::FormatError;
use crate::rabitq::RaBitQ;
use crate::sq::DIM_MAX;

/// Bytes of the header; a multiple of 64, so that the blocks keep the alignment of the section.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQSB";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

impl SignBlocks {
    /// The bytes of a section.
    pub fn to_section(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(0).u8(self.codec.metric().code());
        w.u32(self.codec.dim() as u32).u32(self.rows).bytes(&[0; CHECKED_BYTES - 16]);
        w.u32(crc32c(w.as_bytes()));
        w.bytes(&self.codes).bytes(&self.factors);
        w.into_bytes()
    }

    /// Opens a section of rows of `codec`; its blocks are used where they are.
    ///
    /// Checks the header and lengths. Whatever the rest holds, scanning is safe and total, and at worst distances are wrong or
    /// no numbers.
    pub fn open_section(section: &Blob, codec: &RaBitQ) -> Result<Self, FormatError> {
        let (found, rows) = header(section)?;
        if found != *codec {
            return Err(DecodeError::new(7, "metric and dimension of the codec").into());
        }
        let blocks = layout(codec).blocks_for(rows as usize);
        let block_bytes = layout(codec).block_bytes() + FACTORS_OF_BLOCK;
        let (expected, found) = (blocks as u64 * block_bytes as u64, (section.len() - HEADER_BYTES) as u64);
        if expected != found {
            return Err(FormatError::Length { rows: blocks as u32, row_bytes: block_bytes, expected, found });
        }
        let factors_at = section.len() - blocks * FACTORS_OF_BLOCK;
        let part = |range| section.slice(range).expect("the length was compared");
        let (codes, factors) = (part(HEADER_BYTES..factors_at), part(factors_at..section.len()));
        Ok(Self { codec: *codec, rows, codes, factors })
    }
}

/// The codec and how many rows there are.
fn header(section: &[u8]) -> Result<(RaBitQ, u32), FormatError> {
    let mut r = Reader::new(section);
    if r.bytes(4)? != MAGIC {
        return Err(DecodeError::new(0, "magic of blocks of signs").into());
    }
    let version = r.u16()?;
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let (zero, metric) = (r.u8()?, r.u8()?);
    let (dim, rows) = (r.u32()? as usize, r.u32()?);
    let reserved = r.bytes(CHECKED_BYTES - 16)?;
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
    if zero != 0 || reserved.iter().any(|byte| *byte != 0) {
        return Err(field(16, "reserved bytes").into());
    }
    Ok((RaBitQ::new(dim, 1, metric), rows))
}
