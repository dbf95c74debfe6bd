//! What is read and checked, and when: no sooner and no more often than needed.

use std::path::Path;
use std::sync::Arc;

use vectra_core::io::Fs;
use vectra_tier::container::PAGE;
use vectra_tier::{Mode, PartHandle, SectionKind};

use crate::material::{PATH, pattern, write_part};
use crate::probe::Probe;

const WIDE: SectionKind = SectionKind(1);

/// A part with a section of five pages and a bit, on a disk that keeps a record.
fn wide(mode: Mode) -> (Probe, Arc<PartHandle>, Vec<u8>) {
    let (probe, bytes) = (Probe::default(), pattern(4, 5 * PAGE + 100));
    let fs: Arc<dyn Fs> = Arc::new(probe.clone());
    let part = write_part(&fs, Path::new(PATH), &[(1, 0, bytes.clone()), (2, 0, pattern(5, 10))]);
    probe.reads();
    let handle = PartHandle::open(&*fs, Path::new(PATH), &part, mode).expect("own file");
    (probe, handle, bytes)
}

#[test]
fn opening_reads_header_and_footer_only() {
    for mode in [Mode::Map, Mode::Read] {
        let (probe, handle, bytes) = wide(mode);
        let footer = 4096 + (bytes.len() as u64).next_multiple_of(4096) + 4096;
        let reads = probe.reads();
        assert!(!reads.is_empty() && probe.maps() == 0);
        assert!(reads.iter().all(|read| read.end <= 4096 || read.start >= footer), "{reads:?}");
        assert_eq!(handle.sections().count(), 2);
        assert!(probe.reads().is_empty(), "the directory is in memory");
    }
}

#[test]
fn a_section_is_read_once_and_alone() {
    let (probe, handle, bytes) = wide(Mode::Read);
    probe.reads();
    let section = handle.section(WIDE, 0).expect("there");
    let whole = 4096..4096 + bytes.len() as u64;
    assert_eq!(probe.reads(), std::slice::from_ref(&whole));
    assert!(section.bytes().is_owned());
    handle.section(WIDE, 0).expect("there").verified().expect("undamaged");
    assert!(probe.reads().is_empty(), "the second caller gets the first one's bytes");
    assert_eq!(section.page_checks(), 6, "and shares what is verified");
}

#[test]
fn all_sections_share_one_map() {
    let (probe, handle, _) = wide(Mode::Map);
    probe.reads();
    for kind in [1, 2, 1] {
        handle.section(SectionKind(kind), 0).expect("there").verified().expect("undamaged");
    }
    assert_eq!((probe.maps(), probe.reads().len()), (1, 0));
}

#[test]
fn a_range_verifies_its_own_pages_once() {
    let (_, handle, bytes) = wide(Mode::Map);
    let section = handle.section(WIDE, 0).expect("there");
    assert_eq!((section.pages(), section.page_checks()), (6, 0), "bytes() and section() check nothing");
    let read = |range: std::ops::Range<usize>| {
        let found = section.verified_range(range.clone()).expect("undamaged");
        assert!(*found == bytes[range]);
        section.page_checks()
    };
    assert_eq!(read(0..0), 0);
    assert_eq!(read(PAGE + 1..PAGE + 2), 1, "page 1");
    assert_eq!(read(PAGE..2 * PAGE), 1, "page 1 is known");
    assert_eq!(read(PAGE - 1..PAGE + 1), 2, "page 0");
    assert_eq!(read(5 * PAGE..5 * PAGE + 100), 3, "page 5, the short one");
    assert_eq!(read(0..5 * PAGE + 100), 6, "the other three");
    assert_eq!(section.verified().expect("undamaged").len(), bytes.len());
    assert_eq!(read(0..5 * PAGE + 100), 6);
    assert_eq!(handle.section(SectionKind(2), 0).expect("there").page_checks(), 0, "each section for itself");
}

#[test]
fn many_threads_may_verify_at_once() {
    let (_, handle, bytes) = wide(Mode::Map);
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (handle, bytes) = (&handle, &bytes);
            scope.spawn(move || {
                for page in (0..5).map(|i| (i + start) % 5) {
                    let range = page * PAGE..(page + 1) * PAGE;
                    let section = handle.section(WIDE, 0).expect("there");
                    assert!(*section.verified_range(range.clone()).expect("undamaged") == bytes[range]);
                }
            });
        }
    });
    let checks = handle.section(WIDE, 0).expect("there").page_checks();
    assert!((5..=20).contains(&checks), "{checks}");
}

#[test]
fn the_full_check_reads_every_byte_and_maps_nothing() {
    let (probe, handle, _) = wide(Mode::Map);
    probe.reads();
    handle.verify().expect("undamaged");
    let mut reads = probe.reads();
    reads.sort_by_key(|read| read.start);
    let mut covered = 0;
    for read in reads {
        assert!(read.start <= covered, "a gap at {covered}");
        covered = covered.max(read.end);
    }
    assert_eq!((covered, probe.maps()), (handle.reference().length, 0));
}
