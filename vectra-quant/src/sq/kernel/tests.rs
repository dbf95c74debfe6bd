use proptest::prelude::*;
use vectra_core::testing::oracle::Dice;

use super::*;
use crate::sq::levels;

fn scalar(query: &[i8], codes: &[u8]) -> i32 {
    let sum = query.iter().zip(codes).map(|(q, x)| i64::from(*q) * i64::from(*x)).sum::<i64>();
    i32::try_from(sum).expect("the limit on lengths keeps sums in range")
}

fn bytes(dice: &mut Dice, len: usize) -> Vec<u8> {
    (0..len).map(|_| dice.bits() as u8).collect()
}

fn signed(dice: &mut Dice, len: usize) -> Vec<i8> {
    (0..len).map(|_| dice.bits() as i8).collect()
}

#[test]
fn every_kernel_is_exact_for_every_length() {
    let mut dice = Dice::new(1);
    for len in (0..=200).chain([384, 768, 1536]) {
        let (query, codes) = (signed(&mut dice, len), bytes(&mut dice, len));
        for kernel in all_kernels() {
            assert_eq!(kernel.one(&query, &codes), scalar(&query, &codes), "{} at {len}", kernel.name());
        }
    }
}

#[test]
fn extreme_codes_neither_saturate_nor_overflow() {
    for len in [2, 64, 1536, LEN_MAX] {
        for (q, x) in [(i8::MIN, u8::MAX), (i8::MAX, u8::MAX), (-1, u8::MAX), (i8::MIN, 0)] {
            let (query, codes) = (vec![q; len], vec![x; len]);
            for kernel in all_kernels() {
                assert_eq!(
                    kernel.one(&query, &codes),
                    len as i32 * i32::from(q) * i32::from(x),
                    "{}",
                    kernel.name()
                );
            }
        }
    }
}

#[test]
fn any_alignment_will_do() {
    let mut dice = Dice::new(2);
    let (query, codes) = (signed(&mut dice, 300), bytes(&mut dice, 300));
    for offset in 0..65 {
        let (query, codes) = (&query[offset..offset + 200], &codes[2 * offset..2 * offset + 200 - offset]);
        let query = &query[..codes.len()];
        for kernel in all_kernels() {
            assert_eq!(kernel.one(query, codes), scalar(query, codes), "{} at {offset}", kernel.name());
        }
    }
}

#[test]
fn scan_and_gather_give_the_sums_of_their_rows() {
    let mut dice = Dice::new(3);
    for (len, stride) in [(1, 1), (5, 64), (64, 64), (100, 128), (384, 448), (768, 832)] {
        let (query, rows) = (signed(&mut dice, len), bytes(&mut dice, 37 * stride));
        let row = |slot: u32| scalar(&query, &rows[slot as usize * stride..][..len]);
        let slots: Vec<u32> = (0..80).map(|_| dice.below(37) as u32).collect();
        for kernel in all_kernels() {
            let mut out = vec![-1; 37];
            kernel.scan(&query, &rows, stride, &mut out);
            assert_eq!(out, (0..37).map(row).collect::<Vec<_>>(), "{}", kernel.name());
            for count in [0, 1, 3, 4, 5, 80] {
                let mut out = vec![-1; count];
                kernel.gather(&query, &rows, stride, &slots[..count], &mut out);
                assert_eq!(out, slots[..count].iter().map(|slot| row(*slot)).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn manhattan_is_the_sum_of_differences_for_every_length() {
    for len in 0..70_usize {
        let query: Vec<f32> = (0..len).map(|i| i as f32 - 20.0).collect();
        let codes: Vec<u8> = (0..len).map(|i| (i * 37 % 256) as u8).collect();
        let decoded = codes.iter().map(|code| 0.5 + 0.25 * (f32::from(*code) - 128.0));
        let expected: f32 = query.iter().zip(decoded).map(|(q, x)| (q - x).abs()).sum();
        for kernel in all_kernels() {
            // Multiples of a quarter far below 2^24: no rounding in any order.
            assert_eq!(kernel.manhattan(&query, &codes, 0.5, 0.25), expected, "{} at {len}", kernel.name());
        }
    }
}

/// Columns of `count` rows of `len` codes, and four rows of as many codes as they need.
fn tile(dice: &mut Dice, len: usize, count: usize) -> (Vec<Vec<u8>>, Columns, Vec<Vec<i8>>) {
    let codes: Vec<Vec<u8>> = (0..count).map(|_| bytes(dice, len + 3)).collect();
    let mut columns = Columns::default();
    // An earlier use leaves nothing behind.
    columns.fill(5, [[9; 5]; 40].iter().map(<[u8; 5]>::as_slice));
    columns.fill(len, codes.iter().map(Vec::as_slice));
    let mut rows: Vec<Vec<i8>> = (0..TILE_ROWS).map(|_| signed(dice, len)).collect();
    rows.iter_mut().for_each(|row| row.resize(columns.row_len(), 99));
    (codes, columns, rows)
}

#[test]
fn products_of_tiles_are_exact_for_every_shape() {
    let mut dice = Dice::new(4);
    for (len, count) in [(1, 1), (4, 16), (5, 17), (37, 64), (96, 130), (384, 63), (70, 0)] {
        let (codes, columns, rows) = tile(&mut dice, len, count);
        assert_eq!((columns.len(), columns.is_empty()), (count, count == 0));
        let each: [&[i8]; TILE_ROWS] = std::array::from_fn(|row| rows[row].as_slice());
        for kernel in all_kernels() {
            let mut out = vec![-1; TILE_ROWS * columns.padded()];
            kernel.products(each, &columns, &mut out);
            for (row, code) in (0..TILE_ROWS).flat_map(|row| (0..count).map(move |code| (row, code))) {
                let found = out[row * columns.padded() + code];
                assert_eq!(found, scalar(&rows[row][..len], &codes[code][..len]), "{}", kernel.name());
            }
            for (row, products) in each.iter().zip(out.chunks(columns.padded().max(1))) {
                let mut alone = vec![-1; columns.padded()];
                kernel.row(row, &columns, &mut alone);
                assert_eq!(alone, products, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn every_kernel_gives_a_vector_the_same_codes() {
    let mut dice = Dice::new(8);
    for len in [1, 15, 16, 17, 384, 1000] {
        let mut vector: Vec<f32> = (0..len).map(|_| 3.0 * dice.gaussian()).collect();
        vector[len / 2] = -0.0;
        for scale in [1.0, 0.0, 0.37] {
            let mut expected = vec![0; len];
            let factors = levels::encode(&vector, scale, &mut expected);
            for kernel in all_kernels() {
                let mut codes = vec![9; len];
                assert_eq!(kernel.encode(&vector, scale, &mut codes), factors, "{}", kernel.name());
                assert_eq!(codes, expected, "{}", kernel.name());
            }
        }
    }
}

#[test]
fn extreme_tiles_neither_saturate_nor_overflow() {
    for (q, x) in [(i8::MIN, u8::MAX), (i8::MAX, u8::MAX)] {
        let mut columns = Columns::default();
        let codes = vec![x; LEN_MAX];
        columns.fill(LEN_MAX, [codes.as_slice()].into_iter());
        let row = vec![q; LEN_MAX];
        for kernel in all_kernels() {
            let mut out = vec![0; TILE_ROWS * columns.padded()];
            kernel.products([&row; TILE_ROWS], &columns, &mut out);
            assert_eq!(out[0], LEN_MAX as i32 * i32::from(q) * i32::from(x), "{}", kernel.name());
        }
    }
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_row_of_another_length_than_the_columns_panics() {
    let (_, columns, _) = tile(&mut Dice::new(5), 8, 3);
    kernels().products([&[0; 4]; TILE_ROWS], &columns, &mut vec![0; TILE_ROWS * columns.padded()]);
}

#[test]
fn the_choice_is_the_first_of_all_and_portable_is_the_last() {
    let all = all_kernels();
    assert!(std::ptr::eq(kernels(), all[0]));
    assert_eq!(all.last().map(|k| k.name()), Some("portable"));
    let mut names: Vec<_> = all.iter().map(|k| k.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "names tell kernels apart");
    assert_eq!(format!("{:?}", all[all.len() - 1]), "Kernels { name: \"portable\", .. }");
}

#[test]
#[should_panic(expected = "beyond the 2 rows")]
fn a_slot_beyond_the_rows_panics() {
    kernels().gather(&[1; 8], &[0; 20], 8, &[0, 2], &mut [0; 2]);
}

#[test]
#[should_panic(expected = "a query fits a row")]
fn a_query_longer_than_the_stride_panics() {
    kernels().scan(&[1; 9], &[0; 16], 8, &mut [0; 2]);
}

#[test]
#[should_panic(expected = "one result for each row")]
fn a_row_too_few_panics() {
    kernels().scan(&[1; 8], &[0; 15], 8, &mut [0; 2]);
}

#[test]
#[should_panic(expected = "could overflow")]
fn a_sum_that_could_overflow_is_refused() {
    kernels().one(&vec![0; LEN_MAX + 1], &vec![0; LEN_MAX + 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn manhattan_has_the_same_bits_in_every_kernel(
        pairs in prop::collection::vec((-1e3_f32..1e3, any::<u8>()), 0..500),
        mid in -10.0_f32..10.0,
        step in 0.0_f32..1.0,
    ) {
        let (query, codes): (Vec<f32>, Vec<u8>) = pairs.into_iter().unzip();
        let mut bits: Vec<u32> =
            all_kernels().iter().map(|kernel| kernel.manhattan(&query, &codes, mid, step).to_bits()).collect();
        bits.dedup();
        prop_assert_eq!(bits.len(), 1);
    }

    #[test]
    fn kernels_agree(pairs in prop::collection::vec(any::<(i8, u8)>(), 0..500)) {
        let (query, codes): (Vec<i8>, Vec<u8>) = pairs.into_iter().unzip();
        for kernel in all_kernels() {
            prop_assert_eq!(kernel.one(&query, &codes), scalar(&query, &codes), "{}", kernel.name());
        }
    }
}
