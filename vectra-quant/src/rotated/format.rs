//! A centre and a rotation as a section.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQRO` |
//! | 4..6 | version, `u16` = 1 |
//! | 6 | reserved, zero |
//! | 7 | metric: 1 cosine, 2 dot, 3 L2 |
//! | 8..12 | dimension of the vectors, `u32`, 1 ..= 65,536 |
//! | 12..16 | CRC32C of the centre's bytes, `u32` |
//! | 16..24 | seed of the rotation, `u64` |
//! | 24..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//! | 64.. | the centre, one `f32` for each dimension, each finite and of a magnitude that vectors may have |
//!
//! Integers and floats are little-endian. The signs of the rotation follow from the seed.

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};
use vectra_core::io::Blob;
use vectra_core::vector::normalize::check_finite;

use super::Rotated;
use crate::format::{FormatError, check_length};
use crate::sq::DIM_MAX;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQRO";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// What a header says.
struct Header {
    dim: usize,
    metric: Metric,
    centre_crc: u32,
    seed: u64,
}

impl Rotated {
    /// The bytes of a section.
    pub fn to_section(&self) -> Vec<u8> {
        let centre: Vec<u8> = self.centre.iter().flat_map(|c| c.to_le_bytes()).collect();
        let mut w = Writer::new();
        w.bytes(&MAGIC).u16(VERSION).u8(0).u8(self.metric.code());
        w.u32(self.dim() as u32).u32(crc32c(&centre)).u64(self.rotation.seed());
        w.bytes(&[0; CHECKED_BYTES - 24]);
        w.u32(crc32c(w.as_bytes()));
        w.bytes(&centre);
        w.into_bytes()
    }

    /// Opens a section; total over arbitrary bytes.
    pub fn open_section(section: &Blob) -> Result<Self, FormatError> {
        let header = header(section)?;
        let bytes = &section[HEADER_BYTES..];
        check_length(1, 4 * header.dim, bytes.len())?;
        let field = |offset, what| FormatError::Field(DecodeError::new(offset, what));
        if crc32c(bytes) != header.centre_crc {
            return Err(field(12, "checksum of the centre"));
        }
        let centre: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if check_finite(&centre).is_err() {
            return Err(field(HEADER_BYTES, "centre"));
        }
        Ok(Self::new(&centre, header.metric, header.seed))
    }
}

fn header(section: &[u8]) -> Result<Header, FormatError> {
    let mut r = Reader::new(section);
    if r.bytes(4)? != MAGIC {
        return Err(DecodeError::new(0, "magic of a centre and rotation").into());
    }
    let version = r.u16()?;
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let (zero, metric) = (r.u8()?, r.u8()?);
    let (dim, centre_crc, seed) = (r.u32()? as usize, r.u32()?, r.u64()?);
    let reserved = r.bytes(CHECKED_BYTES - 24)?;
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
        return Err(field(24, "reserved bytes").into());
    }
    Ok(Header { dim, metric, centre_crc, seed })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section() -> Vec<u8> {
        Rotated::new(&[0.5, -1.0, 2.0], Metric::L2, 0x0102_0304_0506_0708).to_section()
    }

    /// The section with some bytes replaced and the header's checksum made right again.
    fn forged(offset: usize, bytes: &[u8]) -> Blob {
        let mut section = section();
        section[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c(&section[..CHECKED_BYTES]);
        section[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        Blob::copy_of(&section)
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = section();
        assert_eq!(bytes[..12], *b"VQRO\x01\0\0\x03\x03\0\0\0");
        assert_eq!(bytes[12..16], crc32c(&bytes[64..]).to_le_bytes());
        assert_eq!(bytes[16..24], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(bytes[24..60], [0; 36]);
        assert_eq!(bytes[60..64], crc32c(&bytes[..60]).to_le_bytes());
        assert_eq!(bytes[68..72], (-1.0_f32).to_le_bytes());
        assert_eq!(bytes.len(), 76);
    }

    #[test]
    fn a_section_leads_back() {
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let rotated = Rotated::new(&[0.5; 100], metric, u64::MAX);
            let opened = Rotated::open_section(&Blob::copy_of(&rotated.to_section())).expect("own section");
            assert_eq!(opened, rotated);
        }
    }

    #[test]
    fn each_field_is_checked() {
        let field = |offset, what| Err(FormatError::Field(DecodeError::new(offset, what)));
        let open = |offset, bytes: &[u8]| Rotated::open_section(&forged(offset, bytes));
        assert_eq!(open(0, b"VQRP"), field(0, "magic of a centre and rotation"));
        assert_eq!(open(4, &[2]), Err(FormatError::Version { found: 2 }));
        assert_eq!(open(6, &[1]), field(24, "reserved bytes"));
        assert_eq!(open(7, &[4]), field(7, "metric"));
        assert_eq!(open(8, &[0]), field(8, "dimension"));
        assert_eq!(open(8, &[1, 0, 1]), field(8, "dimension"));
        assert_eq!(open(12, &[0; 4]), field(12, "checksum of the centre"));
        assert_eq!(open(70, &[1]), field(12, "checksum of the centre"));
        assert_eq!(open(59, &[1]), field(24, "reserved bytes"));
        assert!(matches!(open(8, &[4]), Err(FormatError::Length { expected: 16, found: 12, .. })));
        let mut infinite = section();
        infinite[64..68].copy_from_slice(&f32::INFINITY.to_le_bytes());
        let centre = crc32c(&infinite[64..]).to_le_bytes();
        infinite[12..16].copy_from_slice(&centre);
        let header = crc32c(&infinite[..60]).to_le_bytes();
        infinite[60..64].copy_from_slice(&header);
        assert_eq!(Rotated::open_section(&Blob::copy_of(&infinite)), field(64, "centre"));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found(bit in 0..76 * 8_usize) {
            let mut bytes = section();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Rotated::open_section(&Blob::copy_of(&bytes)).is_err());
        }

        #[test]
        fn any_bytes_are_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..100), known: bool) {
            if known {
                let len = bytes.len().min(12);
                bytes[..len].copy_from_slice(&section()[..len]);
            }
            prop_assert!(Rotated::open_section(&Blob::copy_of(&bytes)).is_err());
        }
    }
}
