//! No bit of a part can change unnoticed.

use std::path::Path;

use proptest::prelude::*;
use vectra_core::io::{Access, Fs};
use vectra_tier::container::identify;
use vectra_tier::{Mode, OpenError, PartHandle, PartRef, SectionKind};

use crate::material::{PATH, Plain, file_of, holding, memory, overwrite, pattern, small, write_part};

fn open(fs: &dyn Fs, part: &PartRef, mode: Mode) -> Result<std::sync::Arc<PartHandle>, OpenError> {
    PartHandle::open(fs, Path::new(PATH), part, mode)
}

/// Whatever is handed out as verified is what was written.
fn verified_bytes_are_right(handle: &PartHandle, sections: &[Plain]) {
    for (kind, field, bytes) in sections {
        let section = handle.section(SectionKind(*kind), *field).expect("the directory is intact");
        if let Ok(found) = section.verified() {
            assert!(**found == bytes[..], "wrong bytes of section {kind}");
        }
        for range in [0..bytes.len(), 0..bytes.len() / 2, bytes.len() / 2..bytes.len()] {
            if let Ok(found) = section.verified_range(range.clone()) {
                assert!(*found == bytes[range], "wrong bytes of section {kind}");
            }
        }
    }
}

#[test]
fn every_single_bit_flip_is_detected_and_placed() {
    let sections = small();
    let (bytes, part) = file_of(&sections);
    let fs = holding(&bytes);
    let (mut at_open, mut at_verify) = (0_u32, 0_u32);
    for (at, byte) in bytes.iter().enumerate() {
        for bit in 0..8 {
            overwrite(&*fs, at, &[byte ^ 1 << bit]);
            let mode = if bit % 2 == 0 { Mode::Read } else { Mode::Map };
            match open(&*fs, &part, mode) {
                Err(OpenError::Corrupt(_) | OpenError::Unsupported { .. }) => at_open += 1,
                Err(error) => panic!("byte {at} bit {bit}: {error}"),
                Ok(handle) => {
                    let report = handle.verify().expect_err("a bit is wrong");
                    let [damage] = &report.damages[..] else { panic!("byte {at} bit {bit}: {report:?}") };
                    let place = damage.offset..damage.offset + damage.length;
                    assert!(place.contains(&(at as u64)), "byte {at} bit {bit}: {damage}");
                    assert_eq!(damage.file, Path::new(PATH));
                    verified_bytes_are_right(&handle, &sections);
                    at_verify += 1;
                }
            }
        }
        overwrite(&*fs, at, &[*byte]);
    }
    let framed = (4096 + bytes.len() - 12_288) * 8;
    assert_eq!(
        (at_open as usize, at_verify as usize),
        (framed, 8192 * 8),
        "header and footer, then the rest"
    );
    open(&*fs, &part, Mode::Read).expect("as it was").verify().expect("as it was");
}

#[test]
fn truncation_at_every_byte_is_refused() {
    let (bytes, part) = file_of(&small());
    let fs = holding(&bytes);
    let file = fs.open(Path::new(PATH), Access::ReadWrite).expect("there");
    for length in (0..bytes.len() as u64).rev() {
        file.set_len(length).expect("memory does not fail");
        let refused = open(&*fs, &part, Mode::Read).expect_err("too short");
        let damage = refused.damage().expect("damage");
        assert_eq!((damage.what, &*damage.found), ("file length", &*length.to_string()));
        assert!(identify(&*fs, Path::new(PATH)).is_err(), "{length} bytes");
        let believed = PartRef { length, ..part };
        assert!(open(&*fs, &believed, Mode::Read).is_err(), "{length} bytes");
    }
}

#[test]
fn appended_bytes_are_refused() {
    let (bytes, part) = file_of(&small());
    for extra in [1_usize, 63, 64, 100, 4096] {
        for junk in [vec![0; extra], bytes[bytes.len() - extra..].to_vec()] {
            let fs = holding(&[&bytes[..], &junk].concat());
            assert!(open(&*fs, &part, Mode::Map).is_err(), "{extra} more bytes");
            assert!(identify(&*fs, Path::new(PATH)).is_err(), "{extra} more bytes");
        }
    }
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_error() {
    let (bytes, part) = file_of(&small());
    for mode in [Mode::Read, Mode::Map] {
        let fs = holding(&bytes);
        let handle = open(&*fs, &part, mode).expect("whole");
        let file = fs.open(Path::new(PATH), Access::ReadWrite).expect("there");
        file.set_len(4100).expect("memory does not fail");
        assert!(handle.section(SectionKind(1), 0).is_err());
        let report = handle.verify().expect_err("bytes are missing");
        assert_eq!(report.damages[0].what, "file length");
        assert!(report.damages.len() > 1, "the lost sections are named too: {report}");
    }
}

#[test]
fn another_part_in_its_place_is_refused() {
    let fs = memory();
    let part = write_part(&fs, Path::new(PATH), &small());
    let mut other = small();
    other[0].2[7] ^= 1;
    let (_, other) = file_of(&other);
    assert_eq!(part.length, other.length);
    let refused = open(&*fs, &other, Mode::Read).expect_err("other content");
    assert_eq!(refused.damage().map(|damage| damage.what), Some("footer digest"));
    let role = PartRef { role: vectra_tier::Role::Meta, ..part };
    let refused = open(&*fs, &role, Mode::Read).expect_err("other role");
    assert_eq!(refused.damage().map(|damage| damage.what), Some("part role"));
    let id = PartRef { id: uuid::Uuid::nil(), ..part };
    let refused = open(&*fs, &id, Mode::Read).expect_err("other name");
    assert_eq!(refused.damage().map(|damage| damage.what), Some("part id"));
}

#[test]
fn swapped_and_misplaced_pages_are_detected() {
    let page = 65_536;
    let sections = [(1, 0, pattern(1, 3 * page)), (1, 1, pattern(2, 3 * page))];
    let (bytes, part) = file_of(&sections);
    let at = |n: usize| 4096 + n * page..4096 + (n + 1) * page;
    // Within a section, between sections, and one page written over another.
    for (to, from, damages) in [(0, 2, 2), (1, 4, 2), (5, 3, 1)] {
        let mut wrong = bytes.clone();
        wrong.copy_within(at(from), 4096 + to * page);
        if damages == 2 {
            wrong[at(from)].copy_from_slice(&bytes[at(to)]);
        }
        let fs = holding(&wrong);
        let handle = open(&*fs, &part, Mode::Map).expect("the frame is intact");
        let report = handle.verify().expect_err("pages are not where they belong");
        assert_eq!(report.damages.len(), damages, "{report}");
        assert!(report.damages.iter().any(|damage| damage.offset == at(to).start as u64));
        verified_bytes_are_right(&handle, &sections);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_damage_is_detected_and_verified_bytes_stay_right(
        hits in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..600, any::<Option<u8>>()), 1..8),
    ) {
        let sections = [(1, 0, pattern(1, 70_000)), (2, 3, pattern(2, 9000)), (3, 0, pattern(3, 1))];
        let (bytes, part) = file_of(&sections);
        let mut wrong = bytes.clone();
        for (at, len, with) in hits {
            let at = at.index(bytes.len());
            // A run of one value, as from a lost sector, or every bit turned over.
            wrong[at..bytes.len().min(at + len)].iter_mut().for_each(|byte| *byte = with.unwrap_or(!*byte));
        }
        let fs = holding(&wrong);
        let sound = wrong == bytes;
        match open(&*fs, &part, Mode::Read) {
            Err(error) => prop_assert!(!sound, "{}", error),
            Ok(handle) => {
                prop_assert_eq!(handle.verify().is_ok(), sound);
                verified_bytes_are_right(&handle, &sections);
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..9000), honest in any::<bool>()) {
        let mut bytes = bytes;
        if honest {
            let (whole, _) = file_of(&small());
            let head = bytes.len().min(4096);
            bytes[..head].copy_from_slice(&whole[..head]);
            let tail = bytes.len().saturating_sub(64).max(head);
            let back = bytes.len() - tail;
            bytes[tail..].copy_from_slice(&whole[whole.len() - back..]);
        }
        let fs = holding(&bytes);
        prop_assert!(identify(&*fs, Path::new(PATH)).is_err());
    }

    #[test]
    fn a_damaged_page_is_named_and_spares_the_others(at in 0_usize..200_000, bit in 0..8) {
        let sections = [(1, 0, pattern(1, 200_000))];
        let (mut bytes, part) = file_of(&sections);
        bytes[4096 + at] ^= 1_u8 << bit;
        let fs = holding(&bytes);
        let handle = open(&*fs, &part, Mode::Map).expect("the frame is intact");
        let section = handle.section(SectionKind(1), 0).expect("there");
        let bad = at / 65_536;
        for page in 0..section.pages() {
            let range = page * 65_536..200_000.min((page + 1) * 65_536);
            let read = section.verified_range(range.clone());
            match read {
                Ok(found) => prop_assert!(page != bad && *found == sections[0].2[range]),
                Err(error) => {
                    let damage = error.damage().expect("damage, not another error");
                    prop_assert_eq!(page, bad);
                    prop_assert_eq!(damage.offset, 4096 + 65_536 * bad as u64);
                    prop_assert_eq!(damage.section, Some((SectionKind(1), 0)));
                    prop_assert!(section.verified().is_err());
                }
            }
        }
        let report = handle.verify().expect_err("a bit is wrong");
        prop_assert_eq!(report.damages.len(), 1);
        prop_assert_eq!(report.damages[0].offset, 4096 + 65_536 * bad as u64);
    }
}
