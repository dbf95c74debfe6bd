//! Every row of a graph that was built can be reached, whatever the rows are like.

use proptest::prelude::*;
use vectra_core::admit::All;
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, HnswView, Params, Scratch};

use crate::store::{Numbers, Rows, clustered, uniform};

/// Rows that make it hard to keep everybody linked.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Spread evenly.
    Uniform,
    /// Tight clusters far apart.
    Clustered,
    /// Most rows are the same, hundreds of times.
    Duplicates,
    /// Most rows are all zero.
    Zeros,
    /// Numbers that grow by half each: the near ones of a row are all on one side.
    Spiral,
}

fn rows(kind: Kind, count: usize, seed: u64) -> Rows {
    let mut numbers = Numbers(seed);
    match kind {
        Kind::Uniform => uniform(count, 5, seed),
        Kind::Clustered => clustered(count, 5, 1 + count / 40, seed),
        Kind::Duplicates => {
            let few: Vec<Vec<f32>> = (0..3).map(|_| numbers.vector(4, 2.0)).collect();
            let row = |i: usize| {
                if i.is_multiple_of(9) { numbers.vector(4, 3.0) } else { few[i * 31 % 7 % 3].clone() }
            };
            Rows::new((0..count).map(row).collect())
        }
        Kind::Zeros => {
            let row = |i: usize| if i % 11 == 3 { numbers.vector(3, 1.0) } else { vec![0.0; 3] };
            Rows::new((0..count).map(row).collect())
        }
        Kind::Spiral => {
            Rows::new((0..count).map(|i| vec![1.5_f32.powi((i % 80) as i32), i as f32]).collect())
        }
    }
}

/// What a search wide enough for all rows comes to.
fn found_by_the_widest(hnsw: &Hnsw, rows: &Rows, query: &[f32]) -> Vec<u32> {
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let params = SearchParams::new(rows.len(), rows.len());
    hnsw.search(&mut rows.bind(query), &params, &All, &mut scratch, &mut found);
    found.iter().map(|near| near.slot).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn everything_built_is_reachable(
        kind in prop_oneof![
            Just(Kind::Uniform), Just(Kind::Clustered), Just(Kind::Duplicates), Just(Kind::Zeros), Just(Kind::Spiral),
        ],
        count in 1usize..900, m in 4usize..9, ef in 4usize..40, threads in 1usize..4, seed: u64,
    ) {
        let rows = rows(kind, count, seed);
        let params = Params { m, ef_construction: ef, seed };
        let hnsw = Hnsw::build(&rows, &params, threads, &|_| true).expect("not stopped");
        prop_assert_eq!(hnsw.unreachable(), [] as [u32; 0]);
        let view = HnswView::open(Blob::copy_of(&hnsw.encode()), count as u32).expect("own encoding");
        prop_assert_eq!(view.verify(), Ok(()), "a repair keeps the rules");
        prop_assert_eq!(view.unreachable(), [] as [u32; 0]);
        prop_assert_eq!(found_by_the_widest(&hnsw, &rows, rows.row(0)).len(), count);
    }

    #[test]
    fn what_grew_row_by_row_is_mended(
        kind in prop_oneof![Just(Kind::Clustered), Just(Kind::Duplicates), Just(Kind::Zeros)],
        count in 100usize..500, seed: u64,
    ) {
        let rows = rows(kind, count, seed);
        let mut hnsw = Hnsw::new(Params { m: 4, ef_construction: 4, seed }).expect("valid");
        (0..count).for_each(|_| hnsw.insert(&rows));
        let lost = hnsw.unreachable();
        // What is said to be reachable is met by a search from anywhere.
        for slot in [0, count as u32 / 2] {
            let met = found_by_the_widest(&hnsw, &rows, rows.row(slot));
            let missing: Vec<u32> = (0..count as u32).filter(|slot| !met.contains(slot)).collect();
            prop_assert!(missing.iter().all(|slot| lost.contains(slot)), "{missing:?} of {lost:?}");
        }
        let links = hnsw.repair(&rows);
        prop_assert!(links <= lost.len() && (links > 0) != lost.is_empty(), "{links} links for {lost:?}");
        prop_assert_eq!(hnsw.unreachable(), [] as [u32; 0]);
    }
}

/// What [`Hnsw::unreachable`] names, searches miss; otherwise counting them would prove nothing.
#[test]
fn a_row_without_links_to_it_is_named_and_missed() {
    let rows = clustered(400, 4, 6, 31);
    let params = Params { m: 4, ef_construction: 20, seed: 1 };
    let mut bytes = Hnsw::build(&rows, &params, 1, &|_| true).expect("not stopped").encode();
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    // The header, 16 words for each row, then the rows on upper layers: a descent may end at one of those.
    let all = words(&bytes);
    let uppers = &all[32 + 400 * 16..][..all[16] as usize];
    let lost = (0..400).find(|slot| !uppers.contains(slot)).expect("most rows are on layer 0 alone");
    for list in bytes[128..128 + 400 * 16 * 4].chunks_exact_mut(16 * 4) {
        let mut kept: Vec<u32> = words(list).into_iter().filter(|link| *link != lost).collect();
        kept.resize(16, u32::MAX);
        list.copy_from_slice(&kept.iter().flat_map(|link| link.to_le_bytes()).collect::<Vec<u8>>());
    }
    let view = HnswView::open(Blob::copy_of(&bytes), 400).expect("a sound header");
    assert_eq!(view.verify(), Ok(()), "nothing is damaged");
    assert_eq!(view.unreachable(), [lost]);
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let all = SearchParams::new(400, 400);
    view.search(&mut rows.bind(rows.row(lost)), &all, &All, &mut scratch, &mut found);
    assert_eq!(found.len(), 399);
    assert!(found.iter().all(|near| near.slot != lost));
}
