use proptest::prelude::*;
use vectra_core::testing::oracle::Dice;

use super::*;
use crate::fastscan::Layout;

/// The best `k` of all sums, by sorting them.
fn naive(query: &Tables, blocks: &[u8], rows: u32, k: usize, admits: impl Fn(u32) -> bool) -> Vec<Found> {
    let mut sums = vec![0; rows as usize];
    query.scan(blocks, &mut sums);
    let found = (0..rows).zip(sums).filter(|(row, _)| admits(*row));
    let mut found: Vec<Found> = found.map(|(row, sum)| Found { sum, row }).collect();
    found.sort_unstable();
    found.truncate(k);
    found
}

fn setting(layout: Layout, rows: u32, queries: usize, seed: u64) -> (Vec<u8>, Vec<Tables>) {
    let mut dice = Dice::new(seed);
    let codes: Vec<u8> =
        (0..rows as usize * layout.columns()).map(|_| dice.below(layout.codes()) as u8).collect();
    let mut blocks = Vec::new();
    layout.append(&mut blocks, 0, &codes);
    let mut values = || (0..layout.columns() * layout.codes()).map(|_| dice.gaussian()).collect::<Vec<_>>();
    (blocks, (0..queries).map(|_| Tables::new(layout, &values())).collect())
}

#[test]
fn the_best_are_those_of_a_sort() {
    for (layout, rows) in [(Layout::nibbles(2), 5000), (Layout::bytes(1), 3000), (Layout::nibbles(200), 3000)]
    {
        let (blocks, tables) = setting(layout, rows, 11, 1);
        let queries: Vec<&Tables> = tables.iter().collect();
        for k in [0, 1, 10, 100, 2999, 6000] {
            for (found, query) in nearest(&queries, &blocks, rows, k, |_| true).iter().zip(&queries) {
                assert_eq!(*found, naive(query, &blocks, rows, k, |_| true), "{k} of {layout:?}");
                assert_eq!(*found, nearest_of(query, &blocks, rows, k, |_| true));
            }
        }
    }
}

#[test]
fn rows_that_are_not_admitted_take_no_place() {
    let (blocks, tables) = setting(Layout::nibbles(6), 4000, 1, 2);
    let admits = |row: u32| row % 7 == 3;
    let found = nearest_of(&tables[0], &blocks, 4000, 50, admits);
    assert_eq!(found, naive(&tables[0], &blocks, 4000, 50, admits));
    assert_eq!(nearest_of(&tables[0], &blocks, 4000, 50, |_| false), []);
}

#[test]
fn few_rows_are_asked_about() {
    let (blocks, tables) = setting(Layout::nibbles(32), 20_000, 1, 3);
    let asked = std::cell::Cell::new(0);
    let admits = |_| {
        asked.set(asked.get() + 1);
        true
    };
    assert_eq!(nearest_of(&tables[0], &blocks, 20_000, 10, admits).len(), 10);
    assert!(asked.get() < 400, "{}", asked.get());
}

#[test]
fn rows_that_fill_up_a_block_are_not_found() {
    let layout = Layout::nibbles(1);
    let mut blocks = Vec::new();
    layout.append(&mut blocks, 0, &[5, 6, 7]);
    // The code of rows that are none is the best there is.
    let values: Vec<f32> = (0..16_u8).map(f32::from).collect();
    let found = nearest_of(&Tables::new(layout, &values), &blocks, 3, 10, |_| true);
    assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn of_equal_sums_the_lower_rows_win() {
    let layout = Layout::bytes(2);
    let query = Tables::new(layout, &[1.0; 512]);
    let found = nearest_of(&query, &vec![0; layout.bytes_for(3000)], 3000, 40, |_| true);
    assert_eq!(found, (0..40).map(|row| Found { sum: 0, row }).collect::<Vec<_>>());
}

#[test]
fn no_queries_have_no_answers() {
    assert!(nearest(&[], &[], 0, 10, |_| true).is_empty());
    let query = Tables::new(Layout::bytes(2), &[1.0; 512]);
    assert_eq!(nearest(&[&query], &[], 0, 10, |_| true), [[]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_rows_are_found_as_by_a_sort(
        columns in 1..10_usize,
        wide: bool,
        rows in 0..3000_u32,
        k in 0..200_usize,
        queries in 1..10_usize,
        seed: u64,
    ) {
        let layout = if wide { Layout::bytes(columns) } else { Layout::nibbles(columns) };
        let (blocks, tables) = setting(layout, rows, queries, seed);
        let queries: Vec<&Tables> = tables.iter().collect();
        let admits = |row: u32| row % 3 != 1;
        for (found, query) in nearest(&queries, &blocks, rows, k, admits).iter().zip(&queries) {
            prop_assert_eq!(found, &naive(query, &blocks, rows, k, admits));
        }
    }
}
