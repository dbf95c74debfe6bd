use proptest::prelude::*;
use vectra_core::testing::oracle::{Dice, uniform};

use super::*;
use crate::isa::runnable;
use kernel::Kernels;

const DIMS: [usize; 12] = [1, 2, 3, 63, 64, 65, 100, 128, 384, 768, 1000, 4096];

fn rotated(rotation: &Rotation, vector: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; rotation.padded()];
    rotation.apply(vector, &mut out);
    out
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn lengths_and_products_are_kept() {
    for dim in DIMS {
        let rotation = Rotation::new(dim, 1);
        assert_eq!(rotation.padded(), dim.next_multiple_of(64));
        let (a, b) = (uniform(1, dim, 2), uniform(1, dim, 3));
        let (ra, rb) = (rotated(&rotation, &a), rotated(&rotation, &b));
        let size = (product(&a, &a) * product(&b, &b)).sqrt();
        assert!((product(&ra, &rb) - product(&a, &b)).abs() < 2e-6 * size, "{dim}");
        assert!((product(&ra, &ra) - product(&a, &a)).abs() < 2e-6 * product(&a, &a), "{dim}");
    }
}

#[test]
fn it_is_the_product_with_a_matrix_of_orthonormal_columns() {
    for dim in [3, 64, 100, 192] {
        let rotation = Rotation::new(dim, 4);
        let unit = |i: usize| (0..dim).map(|j| f32::from(u8::from(i == j))).collect::<Vec<_>>();
        let columns: Vec<Vec<f32>> = (0..dim).map(|i| rotated(&rotation, &unit(i))).collect();
        for i in 0..dim {
            for j in 0..=i {
                let expected = f64::from(u8::from(i == j));
                assert!((product(&columns[i], &columns[j]) - expected).abs() < 1e-5, "{dim}: {i} {j}");
            }
        }
        let vector = uniform(1, dim, 5);
        for (at, found) in rotated(&rotation, &vector).iter().enumerate() {
            let expected: f64 =
                columns.iter().zip(&vector).map(|(column, x)| f64::from(column[at]) * f64::from(*x)).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{dim}: {at}");
        }
    }
}

#[test]
fn the_transform_is_that_of_hadamard() {
    for len in [64_usize, 128, 256] {
        let vector = uniform(1, len, 6);
        let mut found = vector.clone();
        rounds::hadamard(&mut found, &mut vec![0.0; len]);
        for (row, found) in found.iter().enumerate() {
            let signed = |(column, x): (usize, &f32)| {
                if (row & column).count_ones() % 2 == 0 { f64::from(*x) } else { -f64::from(*x) }
            };
            let expected: f64 = vector.iter().enumerate().map(signed).sum::<f64>() / (len as f64).sqrt();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{len}: {row}");
        }
    }
}

#[test]
fn the_inverse_leads_back() {
    for dim in DIMS {
        let rotation = Rotation::new(dim, 7);
        let vector = uniform(1, dim, 8);
        let mut back = vec![f32::NAN; dim];
        rotation.apply_inverse(&rotated(&rotation, &vector), &mut back);
        assert!(vector.iter().zip(&back).all(|(x, y)| (x - y).abs() < 2e-6), "{dim}");
    }
}

#[test]
fn the_seed_decides() {
    let vector = uniform(1, 100, 9);
    let (one, same, other) = (Rotation::new(100, 1), Rotation::new(100, 1), Rotation::new(100, 2));
    assert_eq!(one, same);
    assert_eq!(rotated(&one, &vector), rotated(&same, &vector));
    assert_eq!((one.seed(), one.dim()), (1, 100));
    let (one, other) = (rotated(&one, &vector), rotated(&other, &vector));
    let cosine = product(&one, &other) / product(&one, &one);
    assert!(cosine.abs() < 0.5, "other seeds turn elsewhere: {cosine}");
}

#[test]
fn a_file_can_count_on_the_bits() {
    let rotation = Rotation::new(96, 42);
    let vector: Vec<f32> = (0..96).map(|i| (i % 7) as f32 - 3.0).collect();
    let bits: Vec<u32> = rotated(&rotation, &vector).iter().map(|x| x.to_bits()).collect();
    let sum = vectra_core::codec::crc32c(bytemuck::cast_slice(&bits));
    assert_eq!(sum, 3_062_917_794, "a rotation whose bits change makes the codes of files foreign");
}

#[test]
fn one_component_is_spread_over_all() {
    for dim in [64, 100, 384, 768, 1000] {
        let rotation = Rotation::new(dim, 11);
        for at in [0, dim / 2, dim - 1] {
            let mut vector = vec![0.0; dim];
            vector[at] = 1.0;
            let found = rotated(&rotation, &vector);
            let greatest = found.iter().fold(0.0_f32, |greatest, x| greatest.max(x.abs()));
            // The greatest of so many normal numbers is below this but once in ten thousand times.
            let expected = 5.5 / (rotation.padded() as f32).sqrt();
            assert!(greatest < expected, "{dim} {at}: {greatest} beyond {expected}");
        }
    }
}

/// The kurtosis of a component over many seeds: 3 for normal numbers.
#[test]
fn components_are_about_normal_over_the_seeds() {
    for dim in [64, 96, 384] {
        let vector = uniform(1, dim, 12);
        let size = product(&vector, &vector) / dim.next_multiple_of(64) as f64;
        let (mut second, mut fourth, mut count) = (0.0, 0.0, 0.0);
        for seed in 0..200 {
            for x in rotated(&Rotation::new(dim, seed), &vector) {
                let square = f64::from(x).powi(2) / size;
                second += square;
                fourth += square * square;
                count += 1.0;
            }
        }
        assert!((second / count - 1.0).abs() < 1e-4);
        let kurtosis = fourth / count;
        assert!((2.8..3.2).contains(&kurtosis), "{dim}: {kurtosis}");
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let mut dice = Dice::new(13);
    for dim in DIMS {
        let rotation = Rotation::new(dim, dice.bits());
        for spread in [1.0, 1e-38, 1e15] {
            let vector: Vec<f32> = (0..rotation.padded()).map(|_| spread * dice.gaussian()).collect();
            let both = |kernel: &Kernels| {
                let (mut there, mut back) = (vector.clone(), vector.clone());
                kernel.forward(&rotation.rounds, &mut there);
                kernel.backward(&rotation.rounds, &mut back);
                (there, back)
            };
            let all = runnable::<Kernels>();
            let expected = both(all[all.len() - 1]);
            for kernel in all {
                assert_eq!(both(kernel), expected, "{dim}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "1..=65536")]
fn no_components_are_refused() {
    Rotation::new(0, 1);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn vectors_of_other_dimensions_are_refused() {
    Rotation::new(3, 1).apply(&[0.0; 4], &mut [0.0; 64]);
}

#[test]
#[should_panic(expected = "padded components")]
fn room_for_the_components_alone_is_not_enough() {
    Rotation::new(3, 1).apply(&[0.0; 3], &mut [0.0; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn distances_are_kept(dim in 1..300_usize, seed: u64, exponent in -30..30_i32) {
        let scale = 2.0_f32.powi(exponent);
        let vectors: Vec<f32> = uniform(2, dim, seed).iter().map(|x| x * scale).collect();
        let rotation = Rotation::new(dim, seed);
        let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let before = difference(&vectors[..dim], &vectors[dim..]);
        let after = difference(&rotated(&rotation, &vectors[..dim]), &rotated(&rotation, &vectors[dim..]));
        let (before, after) = (product(&before, &before), product(&after, &after));
        prop_assert!((before - after).abs() <= 1e-5 * (before + 1e-9), "{before} {after}");
    }
}
