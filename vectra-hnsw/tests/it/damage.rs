//! Bytes that are not a graph: found by verify, harmless to search.

use proptest::prelude::*;
use vectra_core::admit::{All, Bits};
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{FormatError, Hnsw, HnswView, Params, Scratch};

use crate::store::{Rows, clustered};

const ROWS: u32 = 400;
const HEADER: usize = 128;
/// Words per list of layer 0 at m = 4.
const STRIDE: usize = 16;

fn graph() -> (Rows, Vec<u8>) {
    let rows = clustered(ROWS as usize, 4, 6, 31);
    let params = Params { m: 4, ef_construction: 20, seed: 1 };
    let bytes = Hnsw::build(&rows, &params, 1, &|_| true).expect("not stopped").encode();
    (rows, bytes)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn set(bytes: &mut [u8], at: usize, to: u32) {
    bytes[at..at + 4].copy_from_slice(&to.to_le_bytes());
}

/// Where the words of list `i` of layer 0 begin.
fn list(i: u32) -> usize {
    HEADER + i as usize * STRIDE * 4
}

fn search_all(view: &HnswView, rows: &Rows) {
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    // a larger graph first, so that the scratch remembers more rows than this one has
    let larger = clustered(1000, 4, 3, 32);
    let params = Params { m: 4, ef_construction: 10, seed: 1 };
    let other = Hnsw::build(&larger.first(600), &params, 1, &|_| true).expect("not stopped");
    let search = SearchParams::new(10, 30);
    other.search(&mut larger.bind(larger.row(0)), &search, &All, &mut scratch, &mut found);
    let third = Bits::from_slots(ROWS, (0..ROWS).step_by(3));
    for slot in (0..ROWS).step_by(40) {
        view.search(&mut rows.bind(rows.row(slot)), &search, &All, &mut scratch, &mut found);
        assert!(!found.is_empty() && found.iter().all(|n| n.slot < ROWS));
        assert!(found.is_sorted() && found.windows(2).all(|w| w[0] != w[1]));
        view.search(&mut rows.bind(rows.row(slot)), &search, &third, &mut scratch, &mut found);
        assert!(found.len() == 10 && found.iter().all(|n| n.slot < ROWS && n.slot % 3 == 0));
    }
}

#[test]
fn verify_finds_every_kind_of_damage() {
    let (rows, good) = graph();
    let base_end = list(ROWS);
    let degree = (0..8).take_while(|i| word(&good, list(7) + 4 * i) != u32::MAX).count();
    assert!((2..8).contains(&degree), "list 7 has links and room");
    let uppers = word(&good, 64) as usize;
    assert!(word(&good, 28) >= 2 && uppers > 20, "there are upper layers");
    let layer1 = base_end + 4 * uppers;
    let kinds = [
        ("a neighbour that does not exist", list(7), ROWS),
        ("a link to itself", list(7), 7),
        ("a link twice", list(7) + 4, word(&good, list(7))),
        ("a link behind the end", list(7) + 4 * (degree + 1), 3),
        ("a link behind the longest list", list(9) + 4 * 12, 3),
        ("the entry is another slot", base_end, (word(&good, base_end) + 1) % ROWS),
        ("an upper slot that does not exist", base_end + 4 * (uppers - 1), ROWS),
        ("upper slots out of order", base_end + 4 * (uppers - 1), 0),
        ("an upper link that does not exist", layer1, uppers as u32),
        ("an upper link to itself", layer1, 0),
        ("an upper link above the layer", good.len() - 16, uppers as u32 - 1),
    ];
    for (kind, at, to) in kinds {
        let mut bytes = good.clone();
        set(&mut bytes, at, to);
        let view = HnswView::open(Blob::copy_of(&bytes), ROWS).expect("the header is whole");
        match view.verify() {
            Err(FormatError::Damaged { offset, .. }) => {
                assert!(offset.abs_diff(at as u64) <= 64, "{kind}: found at {offset}, planted at {at}");
            }
            other => panic!("{kind}: {other:?}"),
        }
        search_all(&view, &rows);
    }
}

#[test]
fn a_list_of_too_many_links_is_found() {
    let (_, mut bytes) = graph();
    for i in 0..9 {
        set(&mut bytes, list(5) + 4 * i, 10 + i as u32);
    }
    let view = HnswView::open(Blob::copy_of(&bytes), ROWS).expect("the header is whole");
    assert!(matches!(view.verify(), Err(FormatError::Damaged { found: 9, .. })));
}

#[test]
fn all_ones_all_zeros_and_noise_are_harmless() {
    let (rows, good) = graph();
    for fill in [0, 0xff, 0x55, 1] {
        let mut bytes = good.clone();
        bytes[HEADER..].fill(fill);
        search_all(&HnswView::open(Blob::copy_of(&bytes), ROWS).expect("the header is whole"), &rows);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn searching_mutated_bytes_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0u32..ROWS + 50, any::<bool>()), 1..2000),
    ) {
        let (rows, mut bytes) = graph();
        let words = (bytes.len() - HEADER) / 4;
        for (at, to, wild) in changes {
            set(&mut bytes, HEADER + 4 * at.index(words), if wild { to.wrapping_mul(0x9e37_79b9) } else { to });
        }
        let view = HnswView::open(Blob::copy_of(&bytes), ROWS).expect("the header is whole");
        search_all(&view, &rows);
        let _ = view.verify();
        let _ = view.stats();
    }

    #[test]
    fn opening_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), rows in 0u32..10) {
        prop_assert!(HnswView::open(Blob::copy_of(&bytes), rows).is_err());
    }
}
