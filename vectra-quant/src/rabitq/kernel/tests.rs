use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::testing::oracle::Dice;

use super::*;
use crate::isa::runnable;
use crate::rabitq::row::{self, Factors};

/// A query under dot whose distance to a row of scale 2 is minus `sum b (2 u - 2 m)`.
fn side(codes: &[i8], bits: u32) -> Side {
    let sum = codes.iter().map(|code| i32::from(*code)).sum();
    Side::new(Metric::Dot, bits, codes, &OfQuery { energy: 0.0, lost: 0.0, step: 1.0, sum }, 0.0)
}

/// Rows whose codes are `byte(i)` and whose factors are energy 0 and scale 2.
fn rows(count: usize, row_bytes: usize, mut byte: impl FnMut() -> u8) -> Vec<u8> {
    let mut rows: Vec<u8> = (0..count * row_bytes).map(|_| byte()).collect();
    let factors = Factors { energy: 0.0, scale: 2.0, error: 0.0 };
    rows.chunks_mut(row_bytes).for_each(|row| factors.write(row));
    rows
}

/// What a kernel gives for the codes of `row` and the `codes` of the query, one component after the other.
fn scalar(codes: &[i8], row: &[u8], bits: u32) -> f32 {
    let mut units = vec![0; codes.len()];
    row::unpack(row, bits, &mut units);
    let top = (1 << bits) - 1;
    let product = |(b, u): (&i8, &u8)| i64::from(*b) * (2 * i64::from(*u) - top);
    let sum: i64 = codes.iter().zip(&units).map(product).sum();
    -(i32::try_from(sum).expect("the limit on dimensions keeps sums in range") as f32)
}

fn signed(dice: &mut Dice, len: usize) -> Vec<i8> {
    (0..len).map(|_| dice.bits() as i8).collect()
}

#[test]
fn every_kernel_is_exact_for_every_dimension() {
    let mut dice = Dice::new(1);
    for dim in (1..=140).chain([255, 256, 384, 416, 417, 768, 1536]) {
        for bits in 1..=8 {
            let row_bytes = row::row_bytes(dim, bits);
            let (codes, rows) = (signed(&mut dice, dim), rows(6, row_bytes, || dice.bits() as u8));
            let expected: Vec<f32> = rows.chunks(row_bytes).map(|row| scalar(&codes, row, bits)).collect();
            let side = side(&codes, bits);
            for kernel in runnable::<Kernels>() {
                for count in [0, 1, 3, 4, 6] {
                    let mut out = vec![f32::NAN; count];
                    kernel.scan(&side, &rows[..count * row_bytes], row_bytes, &mut out);
                    assert_eq!(out, expected[..count], "{} at {dim}, {bits} bits", kernel.name());
                }
            }
        }
    }
}

#[test]
fn gather_gives_the_sums_of_its_rows() {
    let mut dice = Dice::new(3);
    for (dim, bits) in [(5, 1), (112, 3), (240, 4), (384, 5), (500, 7), (384, 8)] {
        let row_bytes = row::row_bytes(dim, bits);
        let (codes, rows) = (signed(&mut dice, dim), rows(37, row_bytes, || dice.bits() as u8));
        let slots: Vec<u32> = (0..80).map(|_| dice.below(37) as u32).collect();
        let row = |slot: &u32| scalar(&codes, &rows[*slot as usize * row_bytes..][..row_bytes], bits);
        for kernel in runnable::<Kernels>() {
            for count in [0, 1, 2, 3, 4, 5, 80] {
                let mut out = vec![f32::NAN; count];
                kernel.gather(&side(&codes, bits), &rows, row_bytes, &slots[..count], &mut out);
                let expected: Vec<f32> = slots[..count].iter().map(row).collect();
                assert_eq!(out, expected, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for (dim, bits) in [(416, 1), (200, 2), (240, 4), (100, 7), (DIM_MAX, 1), (DIM_MAX, 4), (DIM_MAX, 8)] {
        let row_bytes = row::row_bytes(dim, bits);
        for code in [i8::MIN, -127, 127] {
            for byte in [0x00, 0x0f, 0xf0, 0xff] {
                let (codes, rows) = (vec![code; dim], rows(2, row_bytes, || byte));
                let expected = scalar(&codes, &rows[..row_bytes], bits);
                for kernel in runnable::<Kernels>() {
                    let mut out = [f32::NAN; 2];
                    kernel.scan(&side(&codes, bits), &rows, row_bytes, &mut out);
                    assert_eq!(out, [expected; 2], "{} at {dim}, {bits} bits", kernel.name());
                }
            }
        }
    }
}

#[test]
fn any_alignment_will_do() {
    let mut dice = Dice::new(2);
    let codes = signed(&mut dice, 200);
    let stride = row::row_bytes(200, 7);
    for offset in 0..LINE {
        let whole = rows(4, stride, || dice.bits() as u8);
        let moved = [vec![0; offset], whole.clone()].concat();
        for kernel in runnable::<Kernels>() {
            let (mut expected, mut out) = ([0.0; 4], [1.0; 4]);
            kernel.scan(&side(&codes, 7), &whole, stride, &mut expected);
            kernel.scan(&side(&codes, 7), &moved[offset..], stride, &mut out);
            assert_eq!(out, expected, "{} at {offset}", kernel.name());
        }
    }
}

#[test]
fn every_kernel_gives_a_vector_the_same_codes() {
    let mut dice = Dice::new(8);
    for dim in [1, 15, 16, 17, 384, 1000] {
        for (spread, bits) in [(1.0, 1), (1e-20, 2), (1e12, 3), (1.0, 4), (1.0, 5), (1.0, 8)] {
            let mut vector: Vec<f32> = (0..dim).map(|_| spread * dice.gaussian()).collect();
            vector[dim / 2] = -0.0;
            let both = |kernel: &Kernels| {
                let (mut row, mut query) = (vec![9; dim], vec![9; dim]);
                let of = (kernel.encode(&vector, bits, &mut row), kernel.bind(&vector, &mut query));
                (of, row, query)
            };
            let expected = both(&generic::PORTABLE);
            for kernel in runnable::<Kernels>() {
                assert_eq!(both(kernel), expected, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn the_choice_is_the_first_of_all_and_portable_is_the_last() {
    let all = runnable::<Kernels>();
    assert!(std::ptr::eq(kernels(), all[0]));
    assert_eq!(format!("{:?}", all[all.len() - 1]), "Kernels { name: \"portable\", .. }");
}

#[test]
#[should_panic(expected = "beyond the 2 rows")]
fn a_slot_beyond_the_rows_panics() {
    kernels().gather(&side(&[1; 8], 1), &[0; 150], 64, &[0, 2], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_query_of_other_rows_panics() {
    kernels().scan(&side(&[1; 8], 1), &[0; 128], 128, &mut [0.0]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_row_too_few_panics() {
    kernels().scan(&side(&[1; 8], 1), &[0; 127], 64, &mut [0.0; 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kernels_agree_on_any_bytes(
        pairs in prop::collection::vec(any::<(i8, u8)>(), 1..500),
        factors in any::<[u8; 12]>(),
        metric in 0..3_usize,
        bits in 1..9_u32,
        step: f32,
        energy: f64,
    ) {
        let (codes, bytes): (Vec<i8>, Vec<u8>) = pairs.into_iter().unzip();
        let row_bytes = row::row_bytes(codes.len(), bits);
        let mut row = bytes.clone();
        row.resize(row_bytes, 0xa5);
        row[row_bytes - 12..].copy_from_slice(&factors);
        let sum = codes.iter().map(|code| i32::from(*code)).sum();
        let metric = [Metric::Cosine, Metric::Dot, Metric::L2][metric];
        let side = Side::new(metric, bits, &codes, &OfQuery { energy, lost: 0.0, step, sum }, 1.0);
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
