use proptest::prelude::*;
use vectra_core::testing::oracle::Dice;

use super::super::row::spread;
use super::*;
use crate::isa::runnable;

fn random(dice: &mut Dice, len: usize) -> Vec<u8> {
    (0..len).map(|_| dice.bits() as u8).collect()
}

/// Bit by bit.
fn naive(query: &[u8], row: &[u8], dim: usize) -> u32 {
    (0..dim).map(|i| u32::from((query[i / 8] ^ row[i / 8]) >> (i % 8) & 1)).sum()
}

#[test]
fn every_kernel_counts_for_every_dimension() {
    let mut dice = Dice::new(1);
    for dim in (1..=70_usize).chain([383, 384, 511, 512, 513, 768, 1000, 1536, 4096]) {
        let stride = dim.div_ceil(512) * 64;
        let (query, rows) = (random(&mut dice, stride), random(&mut dice, 9 * stride));
        let pairs = spread(&query, dim);
        let expected: Vec<u32> = rows.chunks(stride).map(|row| naive(&query, row, dim)).collect();
        let slots: Vec<u32> = (0..23).map(|_| dice.below(9) as u32).collect();
        for kernel in runnable::<Kernels>() {
            for count in 0..=9 {
                let mut out = vec![9999; count];
                kernel.scan(&pairs, &rows[..count * stride], &mut out);
                assert_eq!(out, expected[..count], "{} at {dim}", kernel.name());
            }
            for count in [0, 1, 3, 4, 5, 23] {
                let mut out = vec![9999; count];
                kernel.gather(&pairs, &rows, &slots[..count], &mut out);
                let found = slots[..count].iter().map(|slot| expected[*slot as usize]);
                assert_eq!(out, found.collect::<Vec<_>>(), "{} at {dim}", kernel.name());
            }
        }
    }
}

#[test]
fn the_longest_rows_do_not_overflow() {
    let dim = crate::sq::DIM_MAX;
    let (query, rows) = (vec![0; dim / 8], vec![0xff; 2 * dim / 8]);
    for kernel in runnable::<Kernels>() {
        let mut out = [0; 2];
        kernel.scan(&spread(&query, dim), &rows, &mut out);
        assert_eq!(out, [dim as u32; 2], "{}", kernel.name());
    }
}

#[test]
fn any_alignment_will_do() {
    let mut dice = Dice::new(2);
    let (query, rows) = (random(&mut dice, 64), random(&mut dice, 5 * 64));
    let expected: Vec<u32> = rows.chunks(64).map(|row| naive(&query, row, 400)).collect();
    for offset in 0..64 {
        let moved = [vec![0; offset], rows.clone()].concat();
        for kernel in runnable::<Kernels>() {
            let mut out = [0; 5];
            kernel.scan(&spread(&query, 400), &moved[offset..], &mut out);
            assert_eq!(&out[..], expected, "{} at {offset}", kernel.name());
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
#[should_panic(expected = "beyond the 2 rows")]
fn a_slot_beyond_the_rows_panics() {
    kernels().gather(&spread(&[0; 64], 64), &[0; 150], &[0, 2], &mut [0; 2]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_row_too_few_panics() {
    kernels().scan(&spread(&[0; 64], 64), &[0; 127], &mut [0; 2]);
}

#[test]
#[should_panic(expected = "one result for each slot")]
fn a_result_too_few_panics() {
    kernels().gather(&spread(&[0; 64], 64), &[0; 128], &[0, 1], &mut [0]);
}

#[test]
#[should_panic(expected = "some lines")]
fn a_query_of_nothing_panics() {
    kernels().scan(&[], &[], &mut []);
}

proptest! {
    #[test]
    fn kernels_agree_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 64..700), dim in 1..2000_usize) {
        let lines = (bytes.len() / 128).max(1);
        let (query, rows) = bytes.split_at(64 * lines.min(bytes.len() / 64));
        let rows = &rows[..rows.len() / (64 * lines) * 64 * lines];
        let dim = dim.min(512 * lines);
        for kernel in runnable::<Kernels>() {
            let mut out = vec![0; rows.len() / (64 * lines)];
            kernel.scan(&spread(query, dim), rows, &mut out);
            for (count, row) in out.iter().zip(rows.chunks(64 * lines)) {
                prop_assert_eq!(*count, naive(query, row, dim));
            }
        }
    }
}
