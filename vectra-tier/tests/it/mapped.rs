//! Really mapped files, read in any order, some of their pages damaged: compared with a model that knows which.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use vectra_core::io::{Fs, OsFs, Reads};
use vectra_tier::container::PAGE;
use vectra_tier::{Mode, PartHandle, PartRef, SectionKind};

use crate::material::{file_of, pattern};

const BLOCK: usize = 4096;
const LENGTH: usize = 6 * PAGE + 1234;

/// One use of a section.
#[derive(Debug, Clone)]
enum Use {
    Range(Range<usize>),
    Whole,
    Copy,
    /// The system is told what comes next, rightly or wrongly.
    Hint(Reads),
}

fn uses() -> impl Strategy<Value = Use> {
    let at = || prop_oneof![0..=LENGTH, (0..=6_usize).prop_map(|page| page * PAGE)];
    prop_oneof![
        6 => (at(), at()).prop_map(|(a, b)| Use::Range(a.min(b)..a.max(b))),
        6 => (at(), 0..600_usize).prop_map(|(start, len)| Use::Range(start..(start + len).min(LENGTH))),
        1 => Just(Use::Whole),
        1 => Just(Use::Copy),
        1 => prop_oneof![Just(Reads::Soon), Just(Reads::Scattered)].prop_map(Use::Hint),
    ]
}

/// The model: a use is answered rightly if every page it touches is whole; otherwise the first damaged one is named.
struct Model {
    content: Vec<u8>,
    damaged: BTreeSet<usize>,
    /// Pages found right; only they need no second check.
    known: BTreeSet<usize>,
}

impl Model {
    fn first_damaged(&self, range: &Range<usize>) -> Option<usize> {
        let pages = range.start / PAGE..range.end.div_ceil(PAGE);
        self.damaged.range(pages).next().copied().filter(|_| !range.is_empty())
    }

    /// How many checks reading `range` costs, and what becomes known by it.
    fn check(&mut self, range: &Range<usize>) -> usize {
        let end = self.first_damaged(range).map_or(range.end.div_ceil(PAGE), |page| page + 1);
        let unknown = (range.start / PAGE..end).filter(|page| !self.known.contains(page));
        let unknown: Vec<usize> = unknown.filter(|_| !range.is_empty()).collect();
        self.known.extend(unknown.iter().filter(|page| !self.damaged.contains(page)));
        unknown.len()
    }
}

fn damaged_file(dir: &Path, damaged: &BTreeSet<usize>) -> (Vec<u8>, PartRef) {
    let content = pattern(9, LENGTH);
    let (mut bytes, part) = file_of(&[(1, 0, content.clone()), (2, 0, pattern(3, 50))]);
    for page in damaged {
        bytes[BLOCK + page * PAGE + (page * 7919) % 1234] ^= 0x10;
    }
    OsFs::new()
        .create_new(&dir.join("a.part"))
        .expect("a new folder")
        .write_all_at(&bytes, 0)
        .expect("space");
    (content, part)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_read_is_right_or_names_the_first_damaged_page_it_touches(
        damaged in proptest::collection::btree_set(0..7_usize, 0..4),
        uses in proptest::collection::vec(uses(), 1..24),
    ) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (content, part) = damaged_file(dir.path(), &damaged);
        let fs: Arc<dyn Fs> = Arc::new(OsFs::new());
        let handle = PartHandle::open(&*fs, &dir.path().join("a.part"), &part, Mode::Map).expect("a sound footer");
        let section = handle.section(SectionKind(1), 0).expect("there");
        let mut model = Model { content, damaged, known: BTreeSet::new() };
        let mut checks = 0;
        for one in uses {
            let is_copy = matches!(one, Use::Copy);
            let (range, found) = match one {
                Use::Range(range) => (range.clone(), section.verified_range(range).map(<[u8]>::to_vec)),
                Use::Whole => (0..LENGTH, section.verified().map(|blob| blob.to_vec())),
                Use::Copy => (0..LENGTH, section.owned_verified().map(|blob| blob.to_vec())),
                Use::Hint(reads) => {
                    section.bytes().advise(reads);
                    continue;
                }
            };
            match (found, model.first_damaged(&range)) {
                (Ok(found), None) => prop_assert!(found == model.content[range.clone()], "other bytes"),
                (Err(error), Some(page)) => {
                    let damage = error.damage().expect("damage, no failure");
                    prop_assert_eq!((damage.offset, damage.what), ((BLOCK + page * PAGE) as u64, "page"));
                }
                (found, page) => {
                    prop_assert!(false, "{range:?}: sound: {}, damaged page: {page:?}", found.is_ok());
                }
            }
            // A copy checks what it copied, whatever was known of the file, and makes nothing known.
            let copied = model.first_damaged(&range).map_or(7, |page| page + 1);
            checks += if is_copy { copied } else { model.check(&range) };
            prop_assert_eq!(section.page_checks(), checks);
        }
    }
}
