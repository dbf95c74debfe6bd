//! Tables of buckets as a section.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `VQLH` |
//! | 4..6 | version, `u16` = 1 |
//! | 6..8 | reserved, zero |
//! | 8..12 | dimension of the vectors, `u32`, 1 ..= 65,536 |
//! | 12..16 | rows, `u32` |
//! | 16..20 | tables, `u32`, 1 ..= 1,024 |
//! | 20..24 | bits of a bucket's number, `u32`, 1 ..= 24 |
//! | 24..28 | buckets of a table that a query visits, `u32`, 1 ..= 4,096 |
//! | 28..32 | reserved, zero |
//! | 32..40 | seed, `u64` |
//! | 40..60 | reserved, zero |
//! | 60..64 | CRC32C of bytes 0..60, `u32` |
//! | 64.. | the tables |
//!
//! A table is, in `u32`: for each bucket and the end how many rows lie in buckets before it, then the slots, bucket by bucket.
//! Bit i of the bucket of a vector in table t is set if its component `t * bits + i` is below zero, counted through the rotations of
//! the seeds `seed`, `seed + 1` and so on, each with the dimension rounded up to a multiple of 64 components. Numbers are
//! little-endian. What follows the header has no checksum of its own, as rows of codes have none.

use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};

use super::settings::LshPrefilter;
use crate::format::{FormatError, check_length};
use crate::sq::DIM_MAX;

/// Bytes of the header; a multiple of 64.
pub const HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"VQLH";
const VERSION: u16 = 1;
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// The bytes in front of the tables.
pub(super) fn header(settings: LshPrefilter, dim: usize, rows: u32) -> [u8; HEADER_BYTES] {
    let mut w = Writer::new();
    w.bytes(&MAGIC).u16(VERSION).u16(0).u32(dim as u32).u32(rows);
    w.u32(settings.tables).u32(settings.bits).u32(settings.probes).u32(0).u64(settings.seed);
    w.bytes(&[0; CHECKED_BYTES - 40]);
    w.u32(crc32c(w.as_bytes()));
    w.into_bytes().try_into().expect("the fields add up to the header's length")
}

/// Settings, dimension and rows of a section; total over arbitrary bytes. Checks the header and lengths.
pub(super) fn open(section: &[u8]) -> Result<(LshPrefilter, usize, u32), FormatError> {
    let field = |offset, what| DecodeError::new(offset, what);
    let mut r = Reader::new(section);
    if r.bytes(4)? != MAGIC {
        return Err(field(0, "magic of tables of buckets").into());
    }
    let version = r.u16()?;
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let (first, dim, rows) = (r.u16()?, r.u32()?, r.u32()?);
    let (tables, bits, probes, second, seed) = (r.u32()?, r.u32()?, r.u32()?, r.u32()?, r.u64()?);
    let reserved = r.bytes(CHECKED_BYTES - 40)?;
    let (found, expected) = (r.u32()?, crc32c(&section[..CHECKED_BYTES]));
    if found != expected {
        return Err(FormatError::Checksum { expected, found });
    }
    let dim = usize::try_from(dim).ok().filter(|dim| (1..=DIM_MAX).contains(dim));
    let dim = dim.ok_or(field(8, "dimension"))?;
    let settings = LshPrefilter { tables, bits, probes, seed };
    if !settings.is_sound() {
        return Err(field(16, "tables, bits and buckets visited").into());
    }
    if first != 0 || second != 0 || reserved.iter().any(|byte| *byte != 0) {
        return Err(field(6, "reserved bytes").into());
    }
    let table =
        usize::try_from(settings.table_bytes(rows)).map_err(|_| field(12, "rows that fit into memory"))?;
    check_length(tables, table, section.len() - HEADER_BYTES)?;
    Ok((settings, dim, rows))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::io::Blob;
    use vectra_core::testing::oracle::uniform;

    use super::*;
    use crate::lsh::LshTables;

    const SETTINGS: LshPrefilter = LshPrefilter { tables: 3, bits: 5, probes: 4, seed: 9 };

    fn section() -> Vec<u8> {
        SETTINGS.build(&uniform(50, 20, 1), 20).section().to_vec()
    }

    fn open_bytes(bytes: &[u8]) -> Result<LshTables, FormatError> {
        LshTables::open_section(&Blob::copy_of(bytes))
    }

    /// The section with some bytes of the header replaced and the checksum made right again.
    fn forged(offset: usize, bytes: &[u8]) -> Result<LshTables, FormatError> {
        let mut section = section();
        section[offset..offset + bytes.len()].copy_from_slice(bytes);
        let crc = crc32c(&section[..CHECKED_BYTES]);
        section[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        open_bytes(&section)
    }

    #[test]
    fn what_is_opened_answers_as_what_was_built() {
        let built = SETTINGS.build(&uniform(50, 20, 1), 20);
        let opened = open_bytes(&section()).expect("just built");
        assert_eq!((opened.settings(), opened.dim(), opened.rows()), (SETTINGS, 20, 50));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for query in uniform(30, 20, 2).chunks_exact(20) {
            built.candidates(query, &mut a);
            opened.candidates(query, &mut b);
            assert_eq!(a, b);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = section();
        assert_eq!(bytes[..28], *b"VQLH\x01\0\0\0\x14\0\0\0\x32\0\0\0\x03\0\0\0\x05\0\0\0\x04\0\0\0");
        assert_eq!(bytes[28..40], [0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes.len(), 64 + 3 * 4 * (33 + 50));
        assert_eq!(SETTINGS.bytes(50), bytes.len() as u64);
        let words: Vec<u32> =
            bytes[64..].as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        for table in words.chunks(83) {
            assert!(table[..33].is_sorted() && table[0] == 0 && table[32] == 50);
            let mut slots = table[33..].to_vec();
            slots.sort_unstable();
            assert_eq!(slots, (0..50).collect::<Vec<_>>(), "each row lies in one bucket of a table");
        }
    }

    #[test]
    fn each_field_is_checked() {
        let field = |offset: usize| move |error: &FormatError| matches!(error, FormatError::Field(field) if field.offset == offset);
        let refused = |offset: usize, bytes: &[u8], at: usize| {
            let error = forged(offset, bytes).expect_err("not what a writer writes");
            assert!(field(at)(&error), "{error}");
        };
        refused(0, b"VQLI", 0);
        assert_eq!(forged(4, &[2]).expect_err("another version"), FormatError::Version { found: 2 });
        refused(6, &[1], 6);
        refused(8, &[0], 8);
        refused(8, &[1, 0, 1], 8);
        refused(16, &[0], 16);
        refused(17, &[5], 16);
        refused(20, &[0], 16);
        refused(20, &[25], 16);
        refused(24, &[0], 16);
        refused(25, &[17], 16);
        refused(28, &[1], 6);
        refused(59, &[1], 6);
        for (offset, byte) in [(12, 51), (16, 2), (20, 6)] {
            let error = forged(offset, &[byte]).expect_err("the tables are longer or shorter");
            assert!(matches!(error, FormatError::Length { .. }), "{error}");
        }
        assert!(forged(24, &[5]).is_ok() && forged(32, &[1]).is_ok());
        let mut section = section();
        section.push(0);
        assert!(matches!(open_bytes(&section), Err(FormatError::Length { .. })));
        assert!(matches!(open_bytes(&section[..63]), Err(FormatError::Field(_))));
        section[10] ^= 1;
        assert!(matches!(open_bytes(&section), Err(FormatError::Checksum { .. })));
    }

    proptest! {
        #[test]
        fn any_tables_give_rows_that_there_are(noise in prop::collection::vec((64..1060_usize, any::<u8>()), 1..200)) {
            let mut section = section();
            noise.iter().for_each(|(at, byte)| section[*at] = *byte);
            let tables = open_bytes(&section).expect("the header is sound");
            let mut candidates = Vec::new();
            for query in uniform(5, 20, 3).chunks_exact(20) {
                tables.candidates(query, &mut candidates);
                prop_assert!(candidates.is_sorted() && candidates.iter().all(|slot| *slot < 50));
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_tables(mut bytes in prop::collection::vec(any::<u8>(), 0..200), known: bool) {
            if known {
                let len = bytes.len().min(8);
                bytes[..len].copy_from_slice(&section()[..len]);
            }
            prop_assert!(open_bytes(&bytes).is_err(), "the checksum is hardly met by chance");
        }
    }
}
