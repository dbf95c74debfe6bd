//! Files whose checksums are right and whose content is not: checksums find accidents, not forgers, so nothing may
//! lean on them.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vectra_tier::{Mode, OpenError, PartHandle, PartRef, ReadError, SectionKind};

use crate::material::{PATH, file_of, holding, pattern, repair, small};

/// Where the parts of the small file are.
const FOOTER: usize = 12_288;
const DIRECTORY: usize = FOOTER + 8;

fn open(bytes: &[u8], part: &PartRef) -> Result<Arc<PartHandle>, OpenError> {
    PartHandle::open(&*holding(bytes), Path::new(PATH), part, Mode::Map)
}

/// The small file with `patch` at `offset` and right checksums.
fn patched(offset: usize, patch: &[u8]) -> Result<Arc<PartHandle>, OpenError> {
    let (mut bytes, _) = file_of(&small());
    bytes[offset..offset + patch.len()].copy_from_slice(patch);
    let part = repair(&mut bytes);
    open(&bytes, &part)
}

fn refused_as(offset: usize, patch: &[u8], what: &str) {
    let error = patched(offset, patch).expect_err(what);
    assert_eq!(error.damage().map(|damage| damage.what), Some(what), "{error:?}");
}

#[test]
fn later_formats_are_refused_and_compatible_ones_are_read() {
    assert!(
        matches!(patched(8, &[2, 0]), Err(OpenError::Unsupported { what, .. }) if what.contains("version 2"))
    );
    assert!(patched(10, &[9, 0]).is_ok(), "a higher minor version");
    assert!(patched(16, &[1, 2, 3, 4]).is_ok_and(|handle| handle.is_rewritable()), "compat");
    assert!(patched(20, &[1, 0, 0, 0]).is_ok_and(|handle| !handle.is_rewritable()), "ro_compat");
    assert!(matches!(patched(24, &[0, 1, 0, 0]), Err(OpenError::Unsupported { .. })), "incompat");
    refused_as(12, &[0x0a, 0x0b, 0x0c, 0x0d], "endianness mark");
    refused_as(28, &[6, 0], "part role");
    refused_as(28, &[1, 1], "part role");
    refused_as(30, &[1, 0], "reserved zero");
    refused_as(4000, &[1], "reserved zero");
}

#[test]
fn sections_that_overlap_stray_or_repeat_are_refused() {
    let entry = |n: usize, at: usize| DIRECTORY + n * 48 + at;
    refused_as(entry(0, 0), &[1, 0, 9, 0], "section name");
    refused_as(entry(0, 5), &[1], "reserved zero");
    refused_as(entry(0, 8), &4097_u64.to_le_bytes(), "section offset");
    refused_as(entry(2, 8), &4096_u64.to_le_bytes(), "section offset");
    refused_as(entry(1, 8), &(1_u64 << 63).to_le_bytes(), "section offset");
    refused_as(entry(0, 16), &u64::MAX.to_le_bytes(), "section length");
    refused_as(entry(0, 16), &9000_u64.to_le_bytes(), "section length");
    refused_as(entry(2, 16), &5000_u64.to_le_bytes(), "section length");
    refused_as(entry(0, 16), &4097_u64.to_le_bytes(), "section offset");
    refused_as(entry(2, 16), &0_u64.to_le_bytes(), "footer offset");
    refused_as(entry(2, 24), &0_u64.to_le_bytes(), "page checksum offset");
}

#[test]
fn numbers_of_the_trailer_are_bounded() {
    let (bytes, _) = file_of(&small());
    let trailer = bytes.len() - 64;
    for footer in [0_u64, 4095, 4096 + 8, 1 << 40, u64::MAX] {
        refused_as(trailer, &footer.to_le_bytes(), "footer offset");
    }
    refused_as(trailer, &8192_u64.to_le_bytes(), "page checksum offset");
    refused_as(trailer, &4096_u64.to_le_bytes(), "section length");
    refused_as(trailer + 8, &(DIRECTORY as u64 + 48).to_le_bytes(), "directory offset");
    refused_as(trailer + 16, &u32::MAX.to_le_bytes(), "directory offset");
    refused_as(trailer + 16, &2_u32.to_le_bytes(), "directory offset");
    refused_as(trailer + 24, &1_u64.to_le_bytes(), "total length");
    refused_as(trailer + 32, &[0xff], "repeated part id");
    refused_as(trailer + 52, &[1], "reserved zero");
    refused_as(trailer + 56, b"v", "end magic");
}

#[test]
fn an_unknown_codec_is_refused_where_it_is_used() {
    let handle = patched(DIRECTORY + 4, &[1]).expect("the other sections are readable");
    assert!(matches!(handle.section(SectionKind(1), 0), Err(ReadError::Unsupported { .. })));
    let other = handle.section(SectionKind(1), 9).expect("plain");
    assert_eq!(other.verified_range(0..5).expect("undamaged"), pattern(2, 5));
    handle.verify().expect("stored bytes can be checked whatever they mean");
}

#[test]
fn a_section_digest_that_does_not_fit_is_found_by_the_full_check() {
    let handle = patched(DIRECTORY + 32, &[0; 16]).expect("the frame is intact");
    let report = handle.verify().expect_err("the digest is wrong");
    assert_eq!(report.damages.len(), 1);
    assert_eq!((report.damages[0].what, report.damages[0].section), ("digest", Some((SectionKind(1), 0))));
}

#[test]
fn only_the_trailers_repetition_vouches_for_the_header() {
    let (mut bytes, part) = file_of(&small());
    bytes[48] = 78;
    let forged = repair(&mut bytes);
    assert_ne!(part.digest, forged.digest, "the row count is under the reference's digest");
    assert!(open(&bytes, &part).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn forged_frames_never_panic_and_never_reach_outside(
        changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..6),
    ) {
        let (mut bytes, _) = file_of(&small());
        let framed = 64 + bytes.len() - FOOTER;
        for (at, value) in changes {
            let at = at % framed;
            let at = if at < 64 { at } else { FOOTER + at - 64 };
            bytes[at] = value;
        }
        let part = repair(&mut bytes);
        if let Ok(handle) = open(&bytes, &part) {
            for (kind, field, length) in handle.sections() {
                if let Ok(section) = handle.section(kind, field) {
                    prop_assert_eq!(section.len() as u64, length);
                    let _either = section.verified();
                }
            }
            let _either = handle.verify();
        }
    }
}
