//! The kernels on their own, as another codec would use them.

use vectra_core::testing::oracle::Dice;
use vectra_quant::sq::kernel::{Kernels, all_kernels, kernels};

/// The nearest of `rows` by the greatest product, the lower slot on a tie.
fn best(kernel: &Kernels, query: &[i8], rows: &[u8], stride: usize) -> usize {
    let mut products = vec![0; rows.len() / stride];
    kernel.scan(query, rows, stride, &mut products);
    (0..products.len()).rev().max_by_key(|slot| products[*slot]).expect("there are rows")
}

#[test]
fn all_kernels_choose_alike() {
    let mut dice = Dice::new(1);
    let rows: Vec<u8> = (0..500 * 96).map(|_| dice.bits() as u8).collect();
    for _ in 0..20 {
        let query: Vec<i8> = (0..90).map(|_| dice.bits() as i8).collect();
        let expected = best(kernels(), &query, &rows, 96);
        for kernel in all_kernels() {
            assert_eq!(best(kernel, &query, &rows, 96), expected, "{}", kernel.name());
        }
    }
}

#[test]
fn bytes_behind_a_query_count_nothing() {
    let mut dice = Dice::new(2);
    let query: Vec<i8> = (0..64).map(|_| dice.bits() as i8).collect();
    let mut rows: Vec<u8> = (0..10 * 80).map(|_| dice.bits() as u8).collect();
    for kernel in all_kernels() {
        let (mut before, mut after) = ([0; 10], [0; 10]);
        kernel.scan(&query, &rows, 80, &mut before);
        rows.chunks_mut(80).for_each(|row| row[64..].fill(dice.bits() as u8));
        kernel.scan(&query, &rows, 80, &mut after);
        assert_eq!(before, after, "{}", kernel.name());
        // Nor do zeros at the end of a longer one.
        let mut longer = query.clone();
        longer.resize(80, 0);
        kernel.scan(&longer, &rows, 80, &mut after);
        assert_eq!(before, after, "{}", kernel.name());
    }
}

#[test]
fn products_are_additive_over_dimensions() {
    let mut dice = Dice::new(3);
    let query: Vec<i8> = (0..333).map(|_| dice.bits() as i8).collect();
    let codes: Vec<u8> = (0..333).map(|_| dice.bits() as u8).collect();
    for kernel in all_kernels() {
        let whole = kernel.one(&query, &codes);
        for cut in [0, 1, 15, 16, 17, 63, 64, 200, 333] {
            let halves = kernel.one(&query[..cut], &codes[..cut]) + kernel.one(&query[cut..], &codes[cut..]);
            assert_eq!(halves, whole, "{} cut at {cut}", kernel.name());
        }
    }
}
