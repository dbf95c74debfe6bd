//! A model as a section.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQPM` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | bits of a code, 4 or 8 |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2 |
//! | 8..12 | dimension of the vectors, `u32`, 1 ..= 65,536 |
//! | 12..16 | pieces of a vector, `u32`, 1 ..= dimension and at most 16,384 |
//! | 16 | 1 if there is a rotation, else 0 |
//! | 17..20 | reserved, zero |
//! | 20..24 | how much more errors along a vector weigh, `f32`, 0 ..= 2^20; 0 under L2 |
//! | 24..28 | how much of what codes are short of in squared length is added to products, `f32`, 0 ..= 0.5; 0 but under cosine |
//! | 28..56 | reserved, zero |
//! | 56..60 | CRC32C of all bytes behind the header, `u32` |
//! | 60..64 | CRC32C of bytes 0..60, `u32`; sections of rows name the model by it |
//! | 64.. | for each piece its 16 or 256 centroids, each with its components, `f32` |
//! | then | the rotation if there is one: as many directions as dimensions, each with its components, `f32` |
//!
//! With `d` dimensions and `m` pieces the first `d mod m` pieces have `d / m + 1` components, the others `d / m`. Integers and
//! floats are little-endian; all floats are finite and at most 2^54 in magnitude.

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};
use vectra_core::vector::normalize::check_finite;

use super::codec::Pq;
use super::model::Model;
use super::pieces::PqShape;
use super::turn::Turn;
use crate::columns::Columns;
use crate::fastscan::COLUMNS_MAX;
use crate::sq::DIM_MAX;

const MAGIC: [u8; 4] = *b"VQPM";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 64;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// Beyond what the highest threshold gives the longest vectors.
const WEIGHT_MAX: f32 = 1_048_576.0;

/// Why bytes are not a model of product quantization. Offsets count from the start of the section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PqFormatError {
    /// A field cannot be read or has a value that no writer gives it.
    #[error("model of product quantization: {0}; train it again from the vectors")]
    Field(#[from] DecodeError),
    /// A later version wrote it.
    #[error("model of product quantization: version {found} at byte 4; this program reads version 1")]
    Version {
        /// The version it has.
        found: u16,
    },
    /// Bytes were damaged.
    #[error(
        "model of product quantization: checksum {found:#010x} at byte {offset}, expected {expected:#010x}; \
         train it again from the vectors"
    )]
    Checksum {
        /// Where the checksum is.
        offset: usize,
        /// Computed from the bytes.
        expected: u32,
        /// Read from the header.
        found: u32,
    },
    /// There are not as many bytes as the header says.
    #[error(
        "model of product quantization: {expected} bytes expected, found {found}; train it again from the vectors"
    )]
    Length {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
}

impl Pq {
    /// The bytes of a section.
    pub fn to_section(&self) -> Vec<u8> {
        section(self.model())
    }

    /// Reads a section, which is copied. Everything in it is checked.
    pub fn open_section(section: &[u8]) -> Result<Self, PqFormatError> {
        let header = Header::decode(section)?;
        let body = &section[HEADER_BYTES..];
        let (expected, found) = (header.section_bytes(), section.len() as u64);
        if expected != found {
            return Err(PqFormatError::Length { expected, found });
        }
        let expected = crc32c(body);
        if expected != header.body {
            return Err(PqFormatError::Checksum { offset: 56, expected, found: header.body });
        }
        let floats: Vec<f32> =
            body.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Err(place) = check_finite(&floats) {
            return Err(
                DecodeError::new(HEADER_BYTES + 4 * place, "component of a centroid or direction").into()
            );
        }
        let (shape, mut rest) = (header.shape, &floats[..]);
        let mut books = Vec::with_capacity(shape.subspaces());
        for range in shape.pieces() {
            let (book, others) = rest.split_at(shape.centroids() * range.len());
            books.push(Columns::new(book, range.len()));
            rest = others;
        }
        let turn = header.turned.then(|| Turn::new(rest, shape.dim()));
        Ok(Self::of_model(Model { shape, books, turn, weight: header.weight, correction: header.correction }))
    }
}

/// The model with its checksum.
pub(super) fn identified(mut model: Model) -> Model {
    let section = section(&model);
    model.shape.model = crc32c(&section[..CHECKED_BYTES]);
    model
}

fn section(model: &Model) -> Vec<u8> {
    let shape = &model.shape;
    let mut body = Vec::new();
    let mut add = |x: f32| body.extend_from_slice(&x.to_le_bytes());
    for book in &model.books {
        (0..book.count()).for_each(|n| book.vector(n).for_each(&mut add));
    }
    if let Some(turn) = &model.turn {
        turn.to_rows().into_iter().for_each(&mut add);
    }
    let mut w = Writer::new();
    w.bytes(&MAGIC).u16(VERSION).u8(shape.bits()).u8(shape.metric().code());
    w.u32(shape.dim() as u32).u32(shape.subspaces() as u32).u8(model.turn.is_some().into());
    w.bytes(&[0; 3]).u32(model.weight.to_bits()).u32(model.correction.to_bits());
    w.bytes(&[0; 28]).u32(crc32c(&body));
    w.u32(crc32c(w.as_bytes()));
    let mut section = w.into_bytes();
    section.extend_from_slice(&body);
    section
}

/// What the first 64 bytes say.
struct Header {
    shape: PqShape,
    turned: bool,
    weight: f32,
    correction: f32,
    /// Checksum of what follows.
    body: u32,
}

impl Header {
    fn decode(section: &[u8]) -> Result<Self, PqFormatError> {
        let mut r = Reader::new(section);
        if r.bytes(4)? != MAGIC {
            return Err(DecodeError::new(0, "magic of a model of product quantization").into());
        }
        let version = r.u16()?;
        if version != VERSION {
            return Err(PqFormatError::Version { found: version });
        }
        let (bits, metric, dim, subspaces) = (r.u8()?, r.u8()?, r.u32()? as usize, r.u32()? as usize);
        let (turned, zeros, weight) = (r.u8()?, r.bytes(3)?, f32::from_bits(r.u32()?));
        let correction = f32::from_bits(r.u32()?);
        let (reserved, body) = (r.bytes(28)?, r.u32()?);
        let (found, expected) = (r.u32()?, crc32c(&section[..CHECKED_BYTES]));
        if found != expected {
            return Err(PqFormatError::Checksum { offset: CHECKED_BYTES, expected, found });
        }
        let field = |offset, what| PqFormatError::from(DecodeError::new(offset, what));
        let metric =
            Metric::from_code(metric).filter(|metric| *metric != Metric::L1).ok_or(field(7, "metric"))?;
        if !(1..=DIM_MAX).contains(&dim) {
            return Err(field(8, "dimension"));
        }
        if !(1..=dim.min(COLUMNS_MAX)).contains(&subspaces) {
            return Err(field(12, "pieces of a vector"));
        }
        let shape = PqShape::new(dim, metric, subspaces, bits, found).ok_or(field(6, "bits of a code"))?;
        let most = if metric == Metric::L2 { 0.0 } else { WEIGHT_MAX };
        if !(0.0..=most).contains(&weight) || weight.is_sign_negative() {
            return Err(field(20, "weight of errors along a vector"));
        }
        let most = if metric == Metric::Cosine { 0.5 } else { 0.0 };
        if !(0.0..=most).contains(&correction) || correction.is_sign_negative() {
            return Err(field(24, "correction of products"));
        }
        if turned > 1 || zeros.iter().chain(reserved).any(|byte| *byte != 0) {
            return Err(field(16, "rotation or reserved bytes"));
        }
        Ok(Self { shape, turned: turned == 1, weight, correction, body })
    }

    /// The length of the whole section.
    fn section_bytes(&self) -> u64 {
        let dim = self.shape.dim() as u64;
        let rotation = if self.turned { dim * dim } else { 0 };
        HEADER_BYTES as u64 + 4 * (dim * self.shape.centroids() as u64 + rotation)
    }
}

#[cfg(test)]
mod tests;
