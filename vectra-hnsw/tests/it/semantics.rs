//! What every `AnnIndex` promises, against the exact index.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use vectra_core::admit::{Admit, All, Bits};
use vectra_core::index::{AnnIndex, SearchParams};
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, Params, Scratch};

use crate::store::{Rows, clustered};

fn check<A: Admit>(
    hnsw: &Hnsw,
    rows: &Rows,
    query: &[f32],
    params: &SearchParams,
    admit: &A,
) -> Result<(), TestCaseError> {
    let mut found = Vec::new();
    let mut scratch = Scratch::default();
    let first = hnsw.search(&mut rows.bind(query), params, admit, &mut scratch, &mut found);
    let truth = rows.exact(query, rows.len(), admit);
    prop_assert!(found.len() <= params.k);
    prop_assert!(found.is_sorted(), "nearest first, ties by slot");
    prop_assert!(found.windows(2).all(|w| w[0].slot != w[1].slot), "each once");
    prop_assert!(found.iter().all(|n| n.distance <= params.bound && truth.contains(n)), "true and admitted");
    // a used scratch changes nothing, and what was in `out` is gone
    let before = found.clone();
    let second = hnsw.search(&mut rows.bind(query), params, admit, &mut scratch, &mut found);
    prop_assert_eq!(first, second);
    prop_assert_eq!(before, found);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_search_keeps_the_promises(
        count in 1usize..250, k in 0usize..30, ef in 0usize..60, seed: u64, step in 1usize..9,
        bound in prop_oneof![Just(f32::INFINITY), 0f32..40.0, Just(-1.0)],
    ) {
        // few distinct values, so that ties are common
        let rows = clustered(count, 3, 4, seed);
        let rounded = Rows::new((0..count as u32).map(|s| rows.row(s).iter().map(|x| x.round()).collect()).collect());
        let params = Params { m: 4 + (seed % 8) as usize, ef_construction: 24, seed };
        let hnsw = Hnsw::build(&rounded, &params, 1, &|_| true).expect("not stopped");
        let search = SearchParams { bound, ..SearchParams::new(k, ef) };
        let query = [1.0, 0.0, -1.0];
        check(&hnsw, &rounded, &query, &search, &All)?;
        let admit = Bits::from_slots(count as u32, (0..count as u32).step_by(step));
        check(&hnsw, &rounded, &query, &search, &admit)?;
    }

    #[test]
    fn a_pool_as_large_as_the_graph_is_exact(count in 1usize..200, seed: u64, k in 1usize..20) {
        let rows = clustered(count, 3, 4, seed);
        let hnsw = Hnsw::build(&rows, &Params { m: 4, ef_construction: 10, seed }, 1, &|_| true).expect("not stopped");
        let mut found = Vec::new();
        let search = SearchParams::new(k, count);
        hnsw.search(&mut rows.bind(&[0.0; 3]), &search, &All, &mut Scratch::default(), &mut found);
        prop_assert_eq!(found, rows.exact(&[0.0; 3], k, &All));
    }
}

#[test]
fn the_bound_cuts_the_answer_and_not_the_walk() {
    let rows = clustered(1000, 8, 10, 51);
    let hnsw = Hnsw::build(&rows, &Params::default(), 1, &|_| true).expect("not stopped");
    let (mut scratch, mut found, mut cut) = (Scratch::default(), Vec::new(), Vec::new());
    let free = SearchParams::new(20, 50);
    let all = hnsw.search(&mut rows.bind(rows.row(3)), &free, &All, &mut scratch, &mut found);
    let bound = found[9].distance;
    let some = SearchParams { bound, ..free };
    assert_eq!(hnsw.search(&mut rows.bind(rows.row(3)), &some, &All, &mut scratch, &mut cut), all);
    assert_eq!(cut, found[..10]);
}

#[test]
fn a_scratch_serves_graphs_of_any_size_in_turn() {
    let sizes = [700, 30, 1, 200, 700];
    let graphs = sizes.map(|count| {
        let rows = clustered(count, 6, 7, count as u64);
        let hnsw = Hnsw::build(&rows, &Params::default(), 1, &|_| true).expect("not stopped");
        (rows, hnsw)
    });
    let (mut shared, mut found, mut fresh) = (Scratch::default(), Vec::new(), Vec::new());
    for round in 0..100 {
        let (rows, hnsw) = &graphs[round % graphs.len()];
        let query = rows.row(round as u32 * 31 % rows.len() as u32);
        let params = SearchParams::new(4, 4 + round);
        let counts = hnsw.search(&mut rows.bind(query), &params, &All, &mut shared, &mut found);
        let mut own = Scratch::default();
        assert_eq!(hnsw.search(&mut rows.bind(query), &params, &All, &mut own, &mut fresh), counts);
        assert_eq!(found, fresh, "round {round}");
    }
}
