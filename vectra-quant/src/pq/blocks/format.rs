//! Blocks as a section.
//!
//! As a section: a header of 64 bytes and the blocks, whose layout is that of [`Layout`] with a column for each piece.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQPB` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | bits of a code, 4 or 8 |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2 |
//! | 8..12 | dimension of the vectors, `u32` |
//! | 12..16 | pieces of a vector, `u32` |
//! | 16..20 | number of rows, `u32`, at most 2^32 - 64 |
//! | 20..24 | checksum of the model, `u32` |
//! | 24..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//! | 64.. | the blocks; the last is filled up with rows of zeros |

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};
use vectra_core::io::Blob;

use super::{PqBlocks, ROWS_MAX, layout};
use crate::codec::Codec;
use crate::fastscan::BLOCK_ROWS;
use crate::format::{FormatError, check_length};
use crate::pq::{Pq, PqShape};
use crate::sq::DIM_MAX;

/// Bytes of the header; a multiple of 64, so that the blocks keep the alignment of the section.
pub(super) const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQPB";
const VERSION: u16 = 1;
pub(super) const CHECKED_BYTES: usize = HEADER_BYTES - 4;

impl PqBlocks {
    /// The bytes of a section.
    pub fn to_section(&self) -> Vec<u8> {
        let shape = self.codec.shape();
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(shape.bits()).u8(shape.metric().code());
        w.u32(shape.dim() as u32).u32(shape.subspaces() as u32).u32(self.rows).u32(shape.model());
        w.bytes(&[0; CHECKED_BYTES - 24]);
        w.u32(crc32c(w.as_bytes()));
        let mut section = w.into_bytes();
        section.extend_from_slice(&self.blocks);
        section
    }

    /// Opens a section of rows that `codec` wrote; the blocks are used where they are. Checks the header and lengths: whatever
    /// the blocks hold are codes.
    pub fn open_section(section: &Blob, codec: Pq) -> Result<Self, FormatError> {
        let (shape, rows) = header(section)?;
        if shape != codec.shape() {
            return Err(DecodeError::new(6, Pq::NAME).into());
        }
        let blocks = section.slice(HEADER_BYTES..section.len()).expect("a header was read from these bytes");
        let layout = layout(shape);
        check_length(rows.next_multiple_of(BLOCK_ROWS as u32), layout.lines(), blocks.len())?;
        Ok(Self { codec, rows, blocks })
    }
}

/// Shape and number of rows.
fn header(section: &[u8]) -> Result<(PqShape, u32), FormatError> {
    let mut r = Reader::new(section);
    if r.bytes(4)? != MAGIC {
        return Err(DecodeError::new(0, "magic of blocks of product quantization").into());
    }
    let version = r.u16()?;
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let (bits, metric, dim, subspaces) = (r.u8()?, r.u8()?, r.u32()? as usize, r.u32()? as usize);
    let (rows, model, reserved) = (r.u32()?, r.u32()?, r.bytes(CHECKED_BYTES - 24)?);
    let (found, expected) = (r.u32()?, crc32c(&section[..CHECKED_BYTES]));
    if found != expected {
        return Err(FormatError::Checksum { expected, found });
    }
    let field = |offset, what| DecodeError::new(offset, what);
    let metric = Metric::from_code(metric).ok_or(field(7, "metric"))?;
    if !(1..=DIM_MAX).contains(&dim) {
        return Err(field(8, "dimension").into());
    }
    if rows > ROWS_MAX {
        return Err(field(16, "number of rows").into());
    }
    let shape = PqShape::new(dim, metric, subspaces, bits, model).ok_or(field(6, "shape of the codes"))?;
    if reserved.iter().any(|byte| *byte != 0) {
        return Err(field(24, "reserved bytes").into());
    }
    Ok((shape, rows))
}
