use vectra_core::testing::oracle::Dice;

use super::*;
use crate::columns::Columns;
use crate::isa::runnable;

fn gaussian(dice: &mut Dice, count: usize) -> Vec<f32> {
    (0..count).map(|_| dice.gaussian()).collect()
}

fn reference(x: &[f32], y: &[f32]) -> (f64, f64) {
    let pairs = || x.iter().zip(y).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    (pairs().map(|(x, y)| (x - y) * (x - y)).sum(), pairs().map(|(x, y)| x * y).sum())
}

#[test]
fn sums_are_those_of_the_components() {
    let mut dice = Dice::new(1);
    for (dim, count, rows) in [(1, 1, 1), (2, 16, 5), (3, 17, 7), (8, 33, 4), (50, 100, 66), (384, 20, 3)] {
        let (vectors, lines) = (gaussian(&mut dice, dim * count), gaussian(&mut dice, dim * rows));
        let columns = Columns::new(&vectors, dim);
        let (mut squares, mut products) =
            (vec![0.0; rows * columns.width()], vec![0.0; rows * columns.width()]);
        columns.squares(&lines, &mut squares);
        columns.products(&lines, &mut products);
        for (i, line) in lines.chunks(dim).enumerate() {
            for (n, vector) in vectors.chunks(dim).enumerate() {
                let (square, product) = reference(line, vector);
                let at = i * columns.width() + n;
                assert!((f64::from(squares[at]) - square).abs() < 1e-5 * (1.0 + square), "{dim} {i} {n}");
                assert!((f64::from(products[at]) - product).abs() < 1e-5 * (1.0 + square), "{dim} {i} {n}");
            }
            assert!(squares[i * columns.width()..][count..columns.width()].iter().all(|x| x.is_infinite()));
        }
    }
}

#[test]
fn every_kernel_gives_the_same_bits() {
    let mut dice = Dice::new(2);
    for (dim, count) in [(1, 5), (2, 256), (3, 16), (4, 47), (7, 300), (96, 33)] {
        for rows in [0, 1, 3, 4, 9, 64, 65, 131] {
            let (vectors, mut lines) = (gaussian(&mut dice, dim * count), gaussian(&mut dice, dim * rows));
            if rows > 2 {
                // Vectors themselves, and sums that overflow.
                lines[..dim].copy_from_slice(&vectors[..dim]);
                lines[dim..2 * dim].fill(1e30);
            }
            let columns = Columns::new(&vectors, dim);
            let run = |kernels: &Kernels| {
                let mut nearest = vec![Nearest { index: 9, distance: 9.0 }; rows];
                kernels.nearest(&lines, dim, &columns.blocks, &mut nearest);
                let mut sums = [vec![9.0; rows * columns.width()], vec![9.0; rows * columns.width()]];
                kernels.squares(&lines, dim, &columns.blocks, &mut sums[0]);
                kernels.products(&lines, dim, &columns.blocks, &mut sums[1]);
                let bits = sums.map(|sums| {
                    sums.chunks_exact(columns.width())
                        .flat_map(|sums| sums[..count].to_vec())
                        .map(f32::to_bits)
                        .collect::<Vec<_>>()
                });
                (nearest, bits)
            };
            let expected = run(&generic::PORTABLE);
            for kernels in runnable::<Kernels>() {
                assert!(run(kernels) == expected, "{kernels:?}: {dim} x {count}, {rows} rows");
            }
        }
    }
}

#[test]
fn the_nearest_is_the_first_of_the_least() {
    let mut dice = Dice::new(3);
    // Few values, so that many are equally near.
    let vectors: Vec<f32> = (0..2 * 70).map(|_| dice.below(4) as f32).collect();
    let lines: Vec<f32> = (0..2 * 90).map(|_| dice.below(5) as f32).collect();
    let columns = Columns::new(&vectors, 2);
    for kernels in runnable::<Kernels>() {
        let mut found = vec![Nearest { index: 99, distance: -1.0 }; 90];
        kernels.nearest(&lines, 2, &columns.blocks, &mut found);
        for (line, found) in lines.chunks(2).zip(found) {
            let distances: Vec<f64> = vectors.chunks(2).map(|vector| reference(line, vector).0).collect();
            let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
            let first = distances.iter().position(|distance| *distance <= least).expect("one is the least");
            assert_eq!((found.index as usize, f64::from(found.distance)), (first, least), "{kernels:?}");
        }
    }
}

#[test]
#[should_panic(expected = "one result for each row")]
fn lengths_are_checked() {
    let columns = Columns::new(&[1.0, 2.0], 2);
    columns.nearest(&[1.0; 5], &mut [Nearest { index: 0, distance: 0.0 }; 2]);
}
