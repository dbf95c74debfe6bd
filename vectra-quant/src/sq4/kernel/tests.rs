use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::testing::oracle::Dice;

use super::*;
use crate::isa::runnable;
use crate::sq4::row::{Factors, LINE, spread};

/// A query under dot whose distance to a row of scale 2 is minus `sum b (2 u - 15)`.
fn side(codes: &[i8], row_bytes: usize) -> Side {
    let sum = codes.iter().map(|code| i32::from(*code)).sum();
    Side::new(Metric::Dot, spread(codes, row_bytes), sum, 1.0, 0.0)
}

/// Rows whose codes are `byte(i)` and whose factors are energy 0 and scale 2.
fn rows(count: usize, row_bytes: usize, mut byte: impl FnMut() -> u8) -> Vec<u8> {
    let mut rows: Vec<u8> = (0..count * row_bytes).map(|_| byte()).collect();
    rows.chunks_mut(row_bytes).for_each(|row| Factors { energy: 0.0, scale: 2.0 }.write(row));
    rows
}

/// What a kernel gives for the codes of `row` and the `codes` of the query, one component after the other.
fn scalar(codes: &[i8], row: &[u8]) -> f32 {
    let mut units = vec![0; codes.len()];
    row::unpack(row, &mut units);
    let product = |(b, u): (&i8, &u8)| i64::from(*b) * (2 * i64::from(*u) - 15);
    let sum: i64 = codes.iter().zip(&units).map(product).sum();
    -(i32::try_from(sum).expect("the limit on dimensions keeps sums in range") as f32)
}

fn signed(dice: &mut Dice, len: usize) -> Vec<i8> {
    (0..len).map(|_| dice.bits() as i8).collect()
}

#[test]
fn every_kernel_is_exact_for_every_dimension() {
    let mut dice = Dice::new(1);
    for dim in (1..=260).chain([384, 768, 1536]) {
        let row_bytes = row::row_bytes(dim);
        let (codes, rows) = (signed(&mut dice, dim), rows(6, row_bytes, || dice.bits() as u8));
        let expected: Vec<f32> = rows.chunks(row_bytes).map(|row| scalar(&codes, row)).collect();
        for kernel in runnable::<Kernels>() {
            for count in 0..=6 {
                let mut out = vec![f32::NAN; count];
                kernel.scan(&side(&codes, row_bytes), &rows[..count * row_bytes], row_bytes, &mut out);
                assert_eq!(out, expected[..count], "{} at {dim}", kernel.name());
            }
        }
    }
}

#[test]
fn gather_gives_the_sums_of_its_rows() {
    let mut dice = Dice::new(3);
    for dim in [5, 112, 240, 241, 500] {
        let row_bytes = row::row_bytes(dim);
        let (codes, rows) = (signed(&mut dice, dim), rows(37, row_bytes, || dice.bits() as u8));
        let slots: Vec<u32> = (0..80).map(|_| dice.below(37) as u32).collect();
        let row = |slot: &u32| scalar(&codes, &rows[*slot as usize * row_bytes..][..row_bytes]);
        for kernel in runnable::<Kernels>() {
            for count in [0, 1, 2, 3, 4, 5, 80] {
                let mut out = vec![f32::NAN; count];
                kernel.gather(&side(&codes, row_bytes), &rows, row_bytes, &slots[..count], &mut out);
                let expected: Vec<f32> = slots[..count].iter().map(row).collect();
                assert_eq!(out, expected, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for dim in [112, 240, DIM_MAX] {
        let row_bytes = row::row_bytes(dim);
        for code in [i8::MIN, -127, 127] {
            for byte in [0x00, 0x0f, 0xf0, 0xff] {
                let (codes, rows) = (vec![code; dim], rows(2, row_bytes, || byte));
                let expected = scalar(&codes, &rows[..row_bytes]);
                for kernel in runnable::<Kernels>() {
                    let mut out = [f32::NAN; 2];
                    kernel.scan(&side(&codes, row_bytes), &rows, row_bytes, &mut out);
                    assert_eq!(out, [expected; 2], "{} at {dim}", kernel.name());
                }
            }
        }
    }
}

#[test]
fn any_alignment_will_do() {
    let mut dice = Dice::new(2);
    let codes = signed(&mut dice, 200);
    for offset in 0..LINE {
        let whole = rows(4, 128, || dice.bits() as u8);
        let moved = [vec![0; offset], whole.clone()].concat();
        for kernel in runnable::<Kernels>() {
            let (mut expected, mut out) = ([0.0; 4], [1.0; 4]);
            kernel.scan(&side(&codes, 128), &whole, 128, &mut expected);
            kernel.scan(&side(&codes, 128), &moved[offset..], 128, &mut out);
            assert_eq!(out, expected, "{} at {offset}", kernel.name());
        }
    }
}

#[test]
fn every_kernel_gives_a_vector_the_same_codes() {
    let mut dice = Dice::new(8);
    for dim in [1, 15, 16, 17, 240, 384, 1000] {
        for spread in [1.0, 1e-20, 1e12] {
            let mut vector: Vec<f32> = (0..dim).map(|_| spread * dice.gaussian()).collect();
            vector[dim / 2] = -0.0;
            let (mut row, mut query) = (vec![0; dim], vec![0; dim]);
            let portable = &generic::PORTABLE;
            let of = (portable.encode(&vector, &mut row), portable.bind(&vector, &mut query));
            for kernel in runnable::<Kernels>() {
                let (mut codes, mut signed) = (vec![9; dim], vec![9; dim]);
                let found = (kernel.encode(&vector, &mut codes), kernel.bind(&vector, &mut signed));
                assert_eq!(found, of, "{}", kernel.name());
                assert_eq!((codes, signed), (row.clone(), query.clone()), "{}", kernel.name());
            }
        }
    }
}

#[test]
fn the_choice_is_the_first_of_all_and_portable_is_the_last() {
    let all = runnable::<Kernels>();
    assert!(std::ptr::eq(kernels(), all[0]));
    assert_eq!(format!("{:?}", all[all.len() - 1]), "Kernels { name: \"portable\", .. }");
    let names: Vec<_> = all.iter().map(|k| k.name()).collect();
    let others: Vec<_> = crate::sq::kernel::all_kernels().iter().map(|k| k.name()).collect();
    assert_eq!(names, others, "the instruction sets are those of other codes");
}

#[test]
#[should_panic(expected = "beyond the 2 rows")]
fn a_slot_beyond_the_rows_panics() {
    kernels().gather(&side(&[1; 8], 64), &[0; 150], 64, &[0, 2], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_query_of_other_rows_panics() {
    kernels().scan(&side(&[1; 8], 64), &[0; 128], 128, &mut [0.0]);
}

#[test]
#[should_panic(expected = "some lines")]
fn a_stride_of_half_a_line_panics() {
    kernels().scan(&side(&[1; 8], 64), &[0; 32], 32, &mut [0.0]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_row_too_few_panics() {
    kernels().scan(&side(&[1; 8], 64), &[0; 127], 64, &mut [0.0; 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kernels_agree_on_any_bytes(
        pairs in prop::collection::vec(any::<(i8, u8)>(), 1..500),
        factors in any::<[u8; 8]>(),
        metric in 0..3_usize,
        step: f32,
        energy: f32,
    ) {
        let (codes, bytes): (Vec<i8>, Vec<u8>) = pairs.into_iter().unzip();
        let row_bytes = row::row_bytes(codes.len());
        let mut row = bytes.clone();
        row.resize(row_bytes, 0xa5);
        row[row_bytes - 8..].copy_from_slice(&factors);
        let sum = codes.iter().map(|code| i32::from(*code)).sum();
        let metric = [Metric::Cosine, Metric::Dot, Metric::L2][metric];
        let side = Side::new(metric, spread(&codes, row_bytes), sum, step, energy);
        let mut answers = Vec::new();
        for kernel in runnable::<Kernels>() {
            let mut out = [0.0];
            kernel.scan(&side, &row, row_bytes, &mut out);
            // A number that is none may have any sign.
            answers.push(if out[0].is_nan() { None } else { Some(out[0].to_bits()) });
        }
        answers.dedup();
        prop_assert_eq!(answers.len(), 1);
    }
}
