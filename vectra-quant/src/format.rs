//! The header of a section of codes, 64 bytes, followed at once by the rows.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQCS` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | codec: 1 = SQ8, 2 = SQ4, 3 = RaBitQ, 4 = PQ, 5 = BINARY |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2, 4 L1 (with SQ8 only) |
//! | 8..12 | dimension, `u32`, 1 ..= 65,536 |
//! | 12..16 | row stride in bytes, `u32`; must be the one that codec and dimension give |
//! | 16..20 | number of rows, `u32` |
//! | 20..28 | settings of the codec: 20 the bits of RaBitQ, 1 ..= 8, or of PQ, 4 or 8; of PQ also 22..24 the pieces of a vector, `u16`, and 24..28 the checksum of the model, `u32`; all others zero |
//! | 28..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//!
//! The bytes of a row are described at [`crate::sq::Sq8`], [`crate::sq4::Sq4`], [`crate::rabitq::RaBitQ`], [`crate::pq::Pq`] and
//! [`crate::binary::Binary`]. The rows carry no checksum of their own:
//! they can be made again from the vectors, and the container that holds the section has a digest of it.

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};

use crate::quantizer::{Quantizer, SETTINGS_BYTES};
use crate::sq::DIM_MAX;

/// Bytes of the header; a multiple of 64, so that the rows keep the alignment of the section.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQCS";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;
const RESERVED_BYTES: usize = CHECKED_BYTES - 20 - SETTINGS_BYTES;

/// Why bytes are not a section of codes. Offsets count from the start of the section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A field cannot be read or has a value that no writer gives it.
    #[error("section of codes: {0}")]
    Field(#[from] DecodeError),
    /// A later version wrote it.
    #[error("section of codes: version {found} at byte 4; this program reads version 1")]
    Version {
        /// The version it has.
        found: u16,
    },
    /// The header was damaged.
    #[error("section of codes: checksum {found:#010x} at byte 60, expected {expected:#010x}")]
    Checksum {
        /// Computed from the bytes before it.
        expected: u32,
        /// Read from the header.
        found: u32,
    },
    /// There are not as many bytes as the rows need.
    #[error("{rows} rows of {row_bytes} bytes need {expected} bytes, found {found}")]
    Length {
        /// Rows that should be there.
        rows: u32,
        /// Bytes of each.
        row_bytes: usize,
        /// Their product.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
}

/// What the first 64 bytes of a section say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Codec, dimension and metric.
    pub quantizer: Quantizer,
    /// Rows that follow.
    pub rows: u32,
}

impl Header {
    /// The bytes to write in front of the rows.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(self.quantizer.code()).u8(self.quantizer.metric().code());
        w.u32(self.quantizer.dim() as u32).u32(self.quantizer.row_bytes() as u32).u32(self.rows);
        w.bytes(&self.quantizer.settings()).bytes(&[0; RESERVED_BYTES]);
        w.u32(crc32c(w.as_bytes()));
        w.into_bytes().try_into().expect("the fields add up to the header's length")
    }

    /// Reads the header at the start of `section`; total over arbitrary bytes.
    pub fn decode(section: &[u8]) -> Result<Self, FormatError> {
        let mut r = Reader::new(section);
        if r.bytes(4)? != MAGIC {
            return Err(DecodeError::new(0, "magic of a section of codes").into());
        }
        let version = r.u16()?;
        if version != VERSION {
            return Err(FormatError::Version { found: version });
        }
        let (codec, metric) = (r.u8()?, r.u8()?);
        let (dim, row_bytes, rows) = (r.u32()?, r.u32()?, r.u32()?);
        let settings = *r.bytes(SETTINGS_BYTES)?.first_chunk().expect("as many bytes were asked for");
        let reserved = r.bytes(RESERVED_BYTES)?;
        let (found, expected) = (r.u32()?, crc32c(&section[..CHECKED_BYTES]));
        if found != expected {
            return Err(FormatError::Checksum { expected, found });
        }
        let field = |offset, what| DecodeError::new(offset, what);
        let metric = Metric::from_code(metric).ok_or(field(7, "metric"))?;
        let dim = usize::try_from(dim).ok().filter(|dim| (1..=DIM_MAX).contains(dim));
        let dim = dim.ok_or(field(8, "dimension"))?;
        let quantizer = Quantizer::from_code(codec, dim, metric, settings)
            .ok_or(field(6, "codec, or its settings from byte 20 on"))?;
        if u64::from(row_bytes) != quantizer.row_bytes() as u64 {
            return Err(field(12, "row stride").into());
        }
        if reserved.iter().any(|byte| *byte != 0) {
            return Err(field(28, "reserved bytes").into());
        }
        Ok(Self { quantizer, rows })
    }

    /// Bytes of the rows.
    pub fn rows_bytes(&self) -> u64 {
        u64::from(self.rows) * self.quantizer.row_bytes() as u64
    }
}

/// Checks that `found` bytes are exactly `rows` rows of `row_bytes`.
pub(crate) fn check_length(rows: u32, row_bytes: usize, found: usize) -> Result<(), FormatError> {
    let (expected, found) = (u64::from(rows) * row_bytes as u64, found as u64);
    if expected == found { Ok(()) } else { Err(FormatError::Length { rows, row_bytes, expected, found }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sq::Sq8;

    const CODEC: &str = "codec, or its settings from byte 20 on";

    fn header() -> Header {
        Header { quantizer: Quantizer::Sq8(Sq8::new(384, Metric::Cosine)), rows: 1000 }
    }

    /// The header with some bytes replaced and the checksum made right again.
    fn forged(offset: usize, bytes: &[u8]) -> [u8; HEADER_BYTES] {
        let mut section = header().encode();
        section[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c(&section[..CHECKED_BYTES]);
        section[CHECKED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        section
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = header().encode();
        assert_eq!(bytes[..20], *b"VQCS\x01\0\x01\x01\x80\x01\0\0\xc0\x01\0\0\xe8\x03\0\0");
        assert_eq!(bytes[20..60], [0; 40]);
        assert_eq!(bytes[60..], crc32c(&bytes[..60]).to_le_bytes());
        assert_eq!(header().rows_bytes(), 448_000);
    }

    #[test]
    fn each_field_is_checked() {
        let field = |offset, what| Err(FormatError::Field(DecodeError::new(offset, what)));
        assert_eq!(Header::decode(&forged(20, &[1])), field(6, CODEC), "SQ8 has no settings");
        assert_eq!(Header::decode(&forged(6, &[3])), field(6, CODEC), "codes of no bits");
        assert_eq!(Header::decode(&forged(0, b"VQCT")), field(0, "magic of a section of codes"));
        assert_eq!(Header::decode(&forged(4, &[2])), Err(FormatError::Version { found: 2 }));
        assert_eq!(Header::decode(&forged(6, &[0])), field(6, CODEC));
        assert_eq!(Header::decode(&forged(6, &[2, 4])), field(6, CODEC), "L1 has no codes of four bits");
        assert_eq!(Header::decode(&forged(6, &[2])), field(12, "row stride"), "the stride is that of SQ8");
        assert_eq!(Header::decode(&forged(7, &[5])), field(7, "metric"));
        assert_eq!(Header::decode(&forged(8, &[0, 0])), field(8, "dimension"));
        assert_eq!(Header::decode(&forged(8, &[1, 0, 1])), field(8, "dimension"));
        assert_eq!(Header::decode(&forged(12, &[0])), field(12, "row stride"));
        assert_eq!(Header::decode(&forged(59, &[1])), field(28, "reserved bytes"));
        assert_eq!(Header::decode(&forged(16, &[7])).map(|h| h.rows), Ok(0x307));
        assert!(matches!(Header::decode(&header().encode()[..63]), Err(FormatError::Field(_))));
    }

    #[test]
    fn lengths_are_compared_without_overflow() {
        assert_eq!(check_length(3, 64, 192), Ok(()));
        let error = check_length(u32::MAX, 65_600, 7).expect_err("too short");
        assert_eq!(error.to_string(), "4294967295 rows of 65600 bytes need 281749854552000 bytes, found 7");
    }

    proptest! {
        #[test]
        fn round_trip(dim in 1..=DIM_MAX, metric in 0..4_usize, code in 1..8_u8, bits in 0..9_u8, pieces: u8, rows: u32) {
            let metric = Metric::ALL[metric];
            if let Some(quantizer) = Quantizer::from_code(code, dim, metric, [bits, 0, if code == 4 { pieces } else { 0 }, 0, 0, 0, 0, 0]) {
                let header = Header { quantizer, rows };
                prop_assert_eq!(Header::decode(&header.encode()), Ok(header));
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_a_header(mut bytes in prop::collection::vec(any::<u8>(), 0..80), known: bool) {
            if known {
                let len = bytes.len().min(7);
                bytes[..len].copy_from_slice(&header().encode()[..len]);
            }
            if let Ok(header) = Header::decode(&bytes) { prop_assert_eq!(&header.encode()[..], &bytes[..64]); }
        }

        #[test]
        fn a_flipped_bit_is_found(bit in 0..512_usize) {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }
}
