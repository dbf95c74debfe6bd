use vectra_core::testing::oracle::Dice;

use super::*;

/// Codes of rows, and some queries for them.
fn setting(layout: Layout, rows: usize, queries: usize) -> (Vec<u8>, Vec<Tables>) {
    let mut dice = Dice::new(rows as u64);
    let codes: Vec<u8> = (0..rows * layout.columns()).map(|_| dice.below(layout.codes()) as u8).collect();
    let mut blocks = vec![0; layout.bytes_for(rows)];
    layout.pack(&codes, &mut blocks);
    let mut values = || (0..layout.columns() * layout.codes()).map(|_| dice.gaussian()).collect::<Vec<_>>();
    (blocks, (0..queries).map(|_| Tables::new(layout, &values())).collect())
}

fn naive(query: &Tables, blocks: &[u8], rows: usize) -> Vec<u16> {
    let layout = query.layout();
    let mut codes = vec![0; layout.columns()];
    let mut sum = |row| {
        layout.unpack(blocks, row, &mut codes);
        (0..layout.columns()).map(|i| u16::from(query.entry(i, codes[i]))).sum()
    };
    (0..rows).map(&mut sum).collect()
}

#[test]
fn every_number_of_rows_is_summed() {
    for rows in [0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2500] {
        for layout in [Layout::nibbles(5), Layout::bytes(3)] {
            let (blocks, queries) = setting(layout, rows, 1);
            let mut sums = vec![7; rows];
            queries[0].scan(&blocks, &mut sums);
            assert_eq!(sums, naive(&queries[0], &blocks, rows), "{rows} rows of {layout:?}");
        }
    }
}

#[test]
fn many_queries_get_the_sums_of_each() {
    // More than a tile: 256 KiB.
    for (layout, rows) in [(Layout::nibbles(300), 2000), (Layout::bytes(5), 1100), (Layout::nibbles(2), 70)] {
        for count in [0, 1, 7, 8, 9, 20] {
            let (blocks, tables) = setting(layout, rows, count);
            let queries: Vec<&Tables> = tables.iter().collect();
            let mut sums = vec![7; rows * count];
            scan_many(&queries, &blocks, rows, &mut sums);
            let mut expected = vec![0; rows * count];
            for (query, sums) in tables.iter().zip(expected.chunks_mut(rows)) {
                query.scan(&blocks, sums);
            }
            assert_eq!(sums, expected, "{count} queries");
        }
    }
}

#[test]
fn sums_are_the_values_within_their_error() {
    let mut dice = Dice::new(5);
    for layout in [Layout::nibbles(96), Layout::bytes(48)] {
        let columns = layout.columns();
        let values: Vec<f32> = (0..columns * layout.codes()).map(|_| dice.gaussian()).collect();
        let codes: Vec<u8> = (0..100 * columns).map(|_| dice.below(layout.codes()) as u8).collect();
        let mut blocks = Vec::new();
        layout.append(&mut blocks, 0, &codes);
        let query = Tables::new(layout, &values);
        let mut sums = [0; 100];
        query.scan(&blocks, &mut sums);
        let mut squares = 0.0;
        for (codes, sum) in codes.chunks(columns).zip(sums) {
            let of = |(column, code): (usize, &u8)| {
                f64::from(values[column * layout.codes() + usize::from(*code)])
            };
            let exact: f64 = codes.iter().enumerate().map(of).sum();
            let error = f64::from(query.value(sum)) - exact;
            assert!(error.abs() <= f64::from(query.error_max()), "{error}");
            squares += error * error / 100.0;
        }
        // Errors of half a step at most, evenly spread: a twelfth of a squared step for each column.
        let expected = f64::from(query.scale()).powi(2) * columns as f64 / 12.0;
        assert!((0.6..1.6).contains(&(squares / expected)), "{squares} {expected}");
    }
}

#[test]
#[should_panic(expected = "as many blocks")]
fn too_few_blocks_panic() {
    Tables::new(Layout::nibbles(2), &[0.0; 32]).scan(&[0; 64], &mut [0; 65]);
}

#[test]
#[should_panic(expected = "a sum for each")]
fn too_few_sums_panic() {
    let query = Tables::new(Layout::nibbles(2), &[0.0; 32]);
    scan_many(&[&query, &query], &[0; 64], 10, &mut [0; 10]);
}

#[test]
#[should_panic(expected = "different layouts")]
fn queries_of_different_layouts_panic() {
    let (a, b) = (Tables::new(Layout::nibbles(2), &[0.0; 32]), Tables::new(Layout::nibbles(1), &[0.0; 16]));
    scan_many(&[&a, &b], &[0; 64], 10, &mut [0; 20]);
}
