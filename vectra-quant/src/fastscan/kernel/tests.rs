use proptest::prelude::*;
use vectra_core::testing::oracle::Dice;

use super::*;
use crate::isa::runnable;

/// Tables whose entries fill what a group may hold: the worst that sums of bytes must bear.
fn full(layout: Layout, dice: &mut Dice) -> Tables {
    let values = |_| if dice.below(3) == 0 { 1.0 } else { dice.uniform() };
    Tables::new(layout, &(0..layout.columns() * layout.codes()).map(values).collect::<Vec<_>>())
}

fn random_blocks(layout: Layout, blocks: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..blocks * layout.block_bytes()).map(|_| dice.bits() as u8).collect();
    if layout.bits() == 4 && layout.columns() % 2 == 1 {
        for block in bytes.chunks_mut(layout.block_bytes()) {
            block[layout.block_bytes() - 64..].iter_mut().for_each(|byte| *byte &= 15);
        }
    }
    bytes
}

/// The sums, entry by entry.
fn naive(query: &Tables, blocks: &[u8]) -> Vec<Sums> {
    let layout = query.layout();
    let mut codes = vec![0; layout.columns()];
    let mut sum = |row: usize| {
        layout.unpack(blocks, row, &mut codes);
        let sum: u32 = (0..layout.columns()).map(|i| u32::from(query.entry(i, codes[i]))).sum();
        u16::try_from(sum).expect("sums fit")
    };
    let count = blocks.len() / layout.block_bytes();
    (0..count).map(|block| std::array::from_fn(|i| sum(64 * block + i))).collect()
}

/// Every table of kernels gives the naive sums and masks, for all numbers of queries given.
fn check(layout: Layout, queries: &[&Tables], blocks: &[u8], limits: &[u16]) {
    let expected: Vec<Sums> = queries.iter().flat_map(|query| naive(query, blocks)).collect();
    let count = blocks.len() / layout.block_bytes();
    for kernel in runnable::<Kernels>() {
        let (mut masks, mut sums) = (vec![7; expected.len()], vec![[9; 64]; expected.len()]);
        kernel.sift(layout, queries, blocks, limits, &mut masks, &mut sums);
        for (i, expected) in expected.iter().enumerate() {
            let limit = limits[i / count];
            for row in 0..64 {
                let set = masks[i] >> row & 1 == 1;
                assert_eq!(set, expected[row] <= limit, "{} {layout:?} {i} {row}", kernel.name());
                if set {
                    assert_eq!(sums[i][row], expected[row], "{} {layout:?} {i} {row}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn every_kernel_is_exact_for_every_number_of_columns() {
    let mut dice = Dice::new(1);
    for columns in (1..=20).chain([31, 48, 63, 64, 96]) {
        for layout in [Layout::nibbles(columns), Layout::bytes(columns)] {
            let query = full(layout, &mut dice);
            let blocks = random_blocks(layout, 3, &mut dice);
            check(layout, &[&query], &blocks, &[u16::MAX]);
        }
    }
}

#[test]
fn every_number_of_queries_and_blocks_will_do() {
    let mut dice = Dice::new(2);
    for layout in [Layout::nibbles(7), Layout::bytes(7)] {
        let tables: Vec<Tables> = (0..QUERIES_MAX).map(|_| full(layout, &mut dice)).collect();
        let queries: Vec<&Tables> = tables.iter().collect();
        for count in 1..=QUERIES_MAX {
            for blocks in 0..=6 {
                let blocks = random_blocks(layout, blocks, &mut dice);
                check(layout, &queries[..count], &blocks, &vec![u16::MAX; count]);
            }
        }
    }
}

#[test]
fn limits_are_those_of_their_queries() {
    let mut dice = Dice::new(3);
    for layout in [Layout::nibbles(9), Layout::bytes(9)] {
        let tables: Vec<Tables> = (0..5).map(|_| full(layout, &mut dice)).collect();
        let queries: Vec<&Tables> = tables.iter().collect();
        let blocks = random_blocks(layout, 5, &mut dice);
        let mut all: Vec<u16> = naive(queries[0], &blocks).concat();
        all.sort_unstable();
        for limit in [0, all[0] - 1, all[0], all[1], all[160], all[318], all[319], u16::MAX - 1] {
            check(layout, &queries, &blocks, &[limit, 0, u16::MAX, limit, all[20]]);
        }
    }
}

#[test]
fn the_largest_sums_neither_saturate_nor_overflow() {
    for columns in [4, 1000, super::super::layout::COLUMNS_MAX] {
        let layout = Layout::nibbles(columns);
        let values: Vec<f32> = (0..16 * columns).map(|i| if i % 16 == 9 { 1.0 } else { 0.0 }).collect();
        let query = Tables::new(layout, &values);
        check(layout, &[&query], &vec![0x99; layout.block_bytes()], &[u16::MAX]);
    }
    let layout = Layout::bytes(4);
    let values: Vec<f32> = (0..1024).map(|i| if i == 1023 { 1.0 } else { 0.0 }).collect();
    let query = Tables::new(layout, &values);
    check(layout, &[&query], &vec![0xff; layout.block_bytes()], &[u16::MAX]);
    assert!(query.entry(3, 255) > 250, "one column may have all of a byte");
}

#[test]
fn any_alignment_will_do() {
    let mut dice = Dice::new(4);
    for layout in [Layout::nibbles(5), Layout::bytes(5)] {
        let query = full(layout, &mut dice);
        let blocks = random_blocks(layout, 3, &mut dice);
        let expected = naive(&query, &blocks);
        for offset in 0..64 {
            let moved = [vec![0; offset], blocks.clone()].concat();
            for kernel in runnable::<Kernels>() {
                let mut sums = [[0; 64]; 3];
                kernel.sift(layout, &[&query], &moved[offset..], &[u16::MAX], &mut [0; 3], &mut sums);
                assert_eq!(&sums[..], expected, "{} at {offset}", kernel.name());
            }
        }
    }
}

#[test]
fn every_kernel_makes_the_same_tables() {
    let mut dice = Dice::new(5);
    for layout in [Layout::nibbles(7), Layout::nibbles(96), Layout::bytes(5)] {
        for size in [0.0, 1e-30, 1.0, 1e25] {
            let values: Vec<f32> =
                (0..layout.columns() * layout.codes()).map(|_| size * dice.gaussian()).collect();
            let mut expected = vec![0; entries_bytes(layout)];
            let line = generic::PORTABLE.of_values(layout, &values, &mut expected);
            for kernel in runnable::<Kernels>() {
                let mut entries = vec![0; expected.len()];
                assert_eq!(kernel.of_values(layout, &values, &mut entries), line, "{}", kernel.name());
                assert_eq!(entries, expected, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn the_choice_is_the_first_that_runs() {
    let all = runnable::<Kernels>();
    assert!(std::ptr::eq(kernels(), all[0]));
    assert_eq!(format!("{:?}", all[all.len() - 1]), "Kernels { name: \"portable\", .. }");
}

#[test]
#[should_panic(expected = "different layouts")]
fn a_query_of_other_columns_panics() {
    let query = Tables::new(Layout::nibbles(2), &[0.0; 32]);
    kernels().sift(Layout::nibbles(1), &[&query], &[0; 64], &[0], &mut [0], &mut [[0; 64]]);
}

#[test]
#[should_panic(expected = "whole blocks")]
fn half_a_block_panics() {
    let query = Tables::new(Layout::nibbles(3), &[0.0; 48]);
    kernels().sift(Layout::nibbles(3), &[&query], &[0; 64], &[0], &mut [0], &mut [[0; 64]]);
}

#[test]
#[should_panic(expected = "a result for each")]
fn a_block_without_a_result_panics() {
    let query = Tables::new(Layout::nibbles(2), &[0.0; 32]);
    kernels().sift(Layout::nibbles(2), &[&query], &[0; 128], &[0], &mut [0], &mut [[0; 64]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn kernels_give_the_naive_sums(
        columns in 1..70_usize,
        wide: bool,
        blocks in 0..4_usize,
        queries in 1..=QUERIES_MAX,
        limit: u16,
        seed: u64,
    ) {
        let layout = if wide { Layout::bytes(columns) } else { Layout::nibbles(columns) };
        let mut dice = Dice::new(seed);
        let tables: Vec<Tables> = (0..queries).map(|_| full(layout, &mut dice)).collect();
        let queries: Vec<&Tables> = tables.iter().collect();
        let blocks = random_blocks(layout, blocks, &mut dice);
        check(layout, &queries, &blocks, &vec![limit % 4096; queries.len()]);
    }
}
