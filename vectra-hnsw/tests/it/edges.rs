//! Empty, tiny and degenerate graphs; stopping a build.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use vectra_core::admit::{All, Bits};
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{BuildError, Hnsw, HnswView, Params, ParamsError, Scratch};

use crate::store::{Rows, clustered};

#[test]
fn zero_to_five_rows() {
    for count in 0..=5 {
        let rows = Rows::new((0..count).map(|i| vec![i as f32]).collect());
        let built = Hnsw::build(&rows, &Params::default(), 2, &|_| true).expect("not stopped");
        let mut grown = Hnsw::new(Params::default()).expect("valid");
        (0..count).for_each(|_| grown.insert(&rows));
        for hnsw in [built, grown] {
            let view = HnswView::open(Blob::copy_of(&hnsw.encode()), count).expect("own encoding");
            assert_eq!(view.verify(), Ok(()));
            assert_eq!(
                (hnsw.len(), view.len(), view.is_empty()),
                (count as usize, count as usize, count == 0)
            );
            let (mut scratch, mut found) = (Scratch::default(), Vec::new());
            for k in [0, 1, 3, 100, usize::MAX] {
                let params = SearchParams::new(k, 1);
                view.search(&mut rows.bind(&[1.2]), &params, &All, &mut scratch, &mut found);
                assert_eq!(found, rows.exact(&[1.2], k, &All), "{count} rows, k = {k}");
                let admit = Bits::all(count);
                hnsw.search(&mut rows.bind(&[1.2]), &params, &admit, &mut scratch, &mut found);
                assert_eq!(found, rows.exact(&[1.2], k, &admit), "{count} rows, k = {k}, filtered");
            }
        }
    }
}

#[test]
fn a_thousand_identical_rows_are_all_found() {
    let rows = Rows::new(vec![vec![1.0, -2.0, 3.0]; 1000]);
    let hnsw =
        Hnsw::build(&rows, &Params { ef_construction: 60, ..Params::default() }, 2, &|_| true).expect("runs");
    let mut found = Vec::new();
    let params = SearchParams::new(1000, 1000);
    hnsw.search(&mut rows.bind(&[1.0, -2.0, 3.0]), &params, &All, &mut Scratch::default(), &mut found);
    assert!(found.iter().map(|n| n.slot).eq(0..1000));
}

#[test]
fn rows_among_many_duplicates_are_found() {
    let mut all = vec![vec![0.0, 0.0]; 1500];
    all.extend((0..100).map(|i| vec![1.0 + i as f32, 1.0]));
    let rows = Rows::new(all);
    let hnsw =
        Hnsw::build(&rows, &Params { ef_construction: 60, ..Params::default() }, 1, &|_| true).expect("runs");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let hits = (0..100).filter(|i| {
        let query = [1.0 + *i as f32, 1.0];
        hnsw.search(&mut rows.bind(&query), &SearchParams::new(1, 32), &All, &mut scratch, &mut found);
        found[0].slot == 1500 + *i as u32
    });
    assert!(hits.count() >= 98);
}

#[test]
fn a_line_is_searched_exactly() {
    let rows = Rows::new((0..1500).map(|i| vec![i as f32, 3.0 * i as f32]).collect());
    let hnsw =
        Hnsw::build(&rows, &Params { m: 4, ef_construction: 40, seed: 1 }, 2, &|_| true).expect("runs");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    for slot in (0..1500).step_by(37) {
        hnsw.search(
            &mut rows.bind(rows.row(slot)),
            &SearchParams::new(5, 30),
            &All,
            &mut scratch,
            &mut found,
        );
        assert_eq!(found, rows.exact(rows.row(slot), 5, &All));
    }
}

#[test]
fn a_wide_search_returns_everything() {
    let rows = clustered(800, 6, 15, 41);
    let hnsw = Hnsw::build(&rows, &Params { m: 4, ef_construction: 8, seed: 7 }, 2, &|_| true).expect("runs");
    let mut found = Vec::new();
    hnsw.search(
        &mut rows.bind(&[0.0; 6]),
        &SearchParams::new(800, 0),
        &All,
        &mut Scratch::default(),
        &mut found,
    );
    assert_eq!(found, rows.exact(&[0.0; 6], 800, &All), "every row can be reached");
}

#[test]
fn progress_is_told_and_can_stop() {
    let rows = clustered(1000, 4, 5, 42);
    let last = AtomicU64::new(0);
    let told = |done| last.fetch_max(done, Relaxed) < u64::MAX;
    Hnsw::build(&rows, &Params::default(), 2, &told).expect("not stopped");
    assert_eq!(last.load(Relaxed), 1000);
    match Hnsw::build(&rows, &Params::default(), 2, &|done| done < 500) {
        Err(BuildError::Stopped(done)) => assert!((500..600).contains(&done), "stopped after {done}"),
        other => panic!("not stopped: {other:?}"),
    }
    let bad = Params { m: 99, ..Params::default() };
    let refused = Hnsw::build(&rows, &bad, 1, &|_| true).map(|_| ());
    assert_eq!(refused, Err(BuildError::Params(ParamsError::M(99))));
}
