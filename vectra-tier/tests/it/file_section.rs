//! Sections read from their file: what is read and checked, and that it is what a section in memory gives.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vectra_core::io::{Access, Fs};
use vectra_tier::container::PAGE;
use vectra_tier::{FileSection, Mode, PartHandle, ReadBuf, ReadError, SectionKind};

use crate::material::{PATH, file_of, holding, overwrite, pattern, write_part};
use crate::probe::Probe;

const WIDE: SectionKind = SectionKind(1);
const LENGTH: usize = 5 * PAGE + 100;
/// Where the first section begins in its file.
const START: u64 = 4096;

/// A section of five pages and a bit, on a disk that keeps a record.
fn wide() -> (Probe, Arc<PartHandle>, Vec<u8>) {
    let (probe, bytes) = (Probe::default(), pattern(4, LENGTH));
    let fs: Arc<dyn Fs> = Arc::new(probe.clone());
    let part = write_part(&fs, Path::new(PATH), &[(1, 0, bytes.clone()), (2, 0, Vec::new())]);
    let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Lean).expect("own file");
    probe.reads();
    (probe, handle, bytes)
}

fn in_file(range: Range<usize>) -> Range<u64> {
    START + range.start as u64..START + range.end as u64
}

#[test]
fn a_page_is_read_whole_once_and_then_only_what_is_wanted() {
    let (probe, handle, bytes) = wide();
    let (section, mut buf) = (handle.file_section(WIDE, 0).expect("there"), ReadBuf::default());
    assert_eq!((section.len(), section.is_empty(), probe.reads().len()), (LENGTH, false, 0));
    let mut read = |range: Range<usize>| {
        let found = section.read(range.clone(), &mut buf).expect("sound");
        assert!(*found == bytes[range]);
        assert_eq!(found.as_ptr() as usize % 64, 0);
        (probe.reads(), section.page_checks())
    };
    assert_eq!(read(10..20), (vec![in_file(0..PAGE)], 1));
    assert_eq!(read(300..1068), (vec![in_file(300..1068)], 1));
    let pages = vec![in_file(PAGE - 8..PAGE), in_file(PAGE..2 * PAGE), in_file(2 * PAGE..3 * PAGE)];
    assert_eq!(read(PAGE - 8..2 * PAGE + 8), (pages, 3), "what is known, and two pages that are not");
    assert_eq!(read(PAGE - 8..2 * PAGE + 8), (vec![in_file(PAGE - 8..2 * PAGE + 8)], 3), "at once");
    assert_eq!(read(LENGTH - 5..LENGTH), (vec![in_file(5 * PAGE..LENGTH)], 4), "the short page");
    assert_eq!(read(7..7), (Vec::new(), 4));
    assert_eq!(probe.maps(), 0);
    assert!(handle.file_section(SectionKind(2), 0).expect("there").is_empty());
}

#[test]
fn what_is_not_there_is_an_error() {
    let (_, handle, _) = wide();
    let section = handle.file_section(WIDE, 0).expect("there");
    #[expect(clippy::reversed_empty_ranges, reason = "one of the ranges that no section has")]
    for range in [0..LENGTH + 1, LENGTH + 1..LENGTH + 1, 9..8, usize::MAX - 1..usize::MAX] {
        let error = section.read(range, &mut ReadBuf::default()).expect_err("beyond the end");
        assert!(matches!(error, ReadError::OutOfRange { length: LENGTH, .. }), "{error}");
    }
    let error = handle.file_section(WIDE, 3).expect_err("no such field");
    assert!(matches!(error, ReadError::Missing { field: 3, .. }), "{error}");
}

#[test]
fn a_file_that_was_cut_is_damaged_where_it_ends() {
    let (bytes, part) = file_of(&[(1, 0, pattern(4, LENGTH))]);
    let fs = holding(&bytes);
    let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Lean).expect("own file");
    let (section, mut buf) = (handle.file_section(WIDE, 0).expect("there"), ReadBuf::default());
    section.read(0..10, &mut buf).expect("sound");
    let file = fs.open(Path::new(PATH), Access::ReadWrite);
    file.and_then(|file| file.set_len(START + 3000)).expect("memory does not fail");
    section.read(0..3000, &mut buf).expect("what is left of a page that was sound");
    for (range, offset) in [(2990..3010, START + 2990), (PAGE..PAGE + 1, START + PAGE as u64)] {
        let error = section.read(range, &mut buf).expect_err("it is not there any more");
        assert_eq!(error.damage().map(|damage| damage.offset), Some(offset), "{error}");
    }
}

fn reads() -> impl Strategy<Value = Vec<Range<usize>>> {
    let at = || prop_oneof![0..=LENGTH, (0..=5_usize).prop_map(|page| page * PAGE)];
    let short = (0..=LENGTH, 0..900_usize).prop_map(|(start, len)| start..(start + len).min(LENGTH));
    let any = (at(), at()).prop_map(|(a, b)| a.min(b)..a.max(b));
    proptest::collection::vec(prop_oneof![short, any], 1..12)
}

/// What a section gives: bytes, or the place of the damage.
fn outcome(read: Result<&[u8], ReadError>) -> Result<Vec<u8>, Option<u64>> {
    read.map(<[u8]>::to_vec).map_err(|error| error.damage().map(|damage| damage.offset))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_is_read_and_the_same_damage_found_as_in_memory(
        reads in reads(),
        damaged in proptest::collection::btree_set(0..LENGTH, 0..3),
    ) {
        let (mut bytes, part) = file_of(&[(1, 0, pattern(9, LENGTH))]);
        damaged.iter().for_each(|at| bytes[START as usize + at] ^= 0x10);
        let fs = holding(&bytes);
        let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Lean).expect("a sound footer");
        let in_memory = handle.section(WIDE, 0).expect("there");
        let (section, mut buf) = (handle.file_section(WIDE, 0).expect("there"), ReadBuf::default());
        for range in reads {
            let expected = outcome(in_memory.verified_range(range.clone()));
            prop_assert_eq!(outcome(section.read(range, &mut buf)), expected);
        }
        prop_assert_eq!(section.page_checks(), in_memory.page_checks());
    }
}

#[test]
fn threads_share_what_is_verified_and_damage_after_that_is_the_disks() {
    let bytes = pattern(2, LENGTH);
    let (file, part) = file_of(&[(1, 0, bytes.clone())]);
    let fs = holding(&file);
    let handle = PartHandle::open(&*fs, Path::new(PATH), &part, Mode::Lean).expect("own file");
    let section: FileSection = handle.file_section(WIDE, 0).expect("there");
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (section, bytes) = (&section, &bytes);
            scope.spawn(move || {
                let mut buf = ReadBuf::default();
                for page in (0..5).map(|i| (i + start) % 5) {
                    let range = page * PAGE + 5..(page + 1) * PAGE;
                    assert!(*section.read(range.clone(), &mut buf).expect("sound") == bytes[range]);
                }
            });
        }
    });
    assert!((5..=20).contains(&section.page_checks()), "{}", section.page_checks());
    overwrite(&*fs, START as usize, &[!bytes[0]]);
    let mut buf = ReadBuf::default();
    assert_eq!(section.read(0..1, &mut buf).expect("it was checked once"), [!bytes[0]]);
    let anew = handle.file_section(WIDE, 0).expect("there");
    assert!(anew.read(0..1, &mut buf).is_err(), "each has a memory of its own");
}
