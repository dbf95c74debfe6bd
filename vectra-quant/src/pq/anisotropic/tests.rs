use vectra_core::Metric;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;
use crate::columns::Nearest;

const WEIGHT: f32 = 6.0;

fn shape(dim: usize, pieces: usize) -> PqShape {
    PqShape::new(dim, Metric::Dot, pieces, 4, 0).expect("a shape")
}

/// Some rows as the centroids of each piece.
fn drawn(rows: &[f32], shape: &PqShape) -> Vec<Columns> {
    let piece = |range: std::ops::Range<usize>| {
        let first = rows.chunks_exact(shape.dim()).take(16);
        Columns::new(&first.flat_map(|row| row[range.clone()].to_vec()).collect::<Vec<_>>(), range.len())
    };
    shape.pieces().map(piece).collect()
}

/// What codes of a row are wrong by, in f64: the squared length, and that of the part along the row.
fn errors(row: &[f32], codes: &[u8], shape: &PqShape, books: &[Columns]) -> (f64, f64) {
    let decoded: Vec<f64> =
        books.iter().zip(codes).flat_map(|(book, code)| book.vector((*code).into())).map(f64::from).collect();
    assert_eq!(decoded.len(), shape.dim());
    let wrong = || row.iter().zip(&decoded).map(|(x, y)| (f64::from(*x), f64::from(*x) - y));
    let norm = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let along = if norm > 0.0 { wrong().map(|(x, e)| x * e).sum::<f64>() / norm } else { 0.0 };
    (wrong().map(|(_, e)| e * e).sum(), along * along)
}

fn loss(row: &[f32], codes: &[u8], shape: &PqShape, books: &[Columns]) -> f64 {
    let (square, along) = errors(row, codes, shape, books);
    square + f64::from(WEIGHT) * along
}

#[test]
fn no_other_code_of_a_piece_is_better() {
    let (rows, shape) = (uniform(200, 14, 1), shape(14, 4));
    let books = drawn(&rows, &shape);
    let (mut choice, mut better) = (Choice::new(&shape), 0);
    for row in rows.chunks_exact(14) {
        let (mut nearest, mut codes) = ([9; 4], [9; 4]);
        choice.look(row, &shape, &books);
        choice.nearest(&mut nearest);
        for ((range, book), code) in shape.pieces().zip(&books).zip(nearest) {
            let mut found = [Nearest::NONE];
            book.nearest(&row[range], &mut found);
            assert_eq!(found[0].index, u32::from(code));
        }
        codes.copy_from_slice(&nearest);
        choice.improve(WEIGHT, &mut codes);
        // Sweeps end before the best is reached in a row or two at most.
        choice.improve(WEIGHT, &mut codes);
        choice.improve(WEIGHT, &mut codes);
        let found = loss(row, &codes, &shape, &books);
        for piece in 0..4 {
            for other in 0..16 {
                let mut changed = codes;
                changed[piece] = other;
                assert!(loss(row, &changed, &shape, &books) >= found - 1e-5, "{codes:?} {changed:?}");
            }
        }
        better += usize::from(found < loss(row, &nearest, &shape, &books) - 1e-3);
    }
    assert!(better > 100, "most rows have better codes than the nearest: {better}");
}

#[test]
fn turns_lower_the_loss() {
    let (rows, shape) = (clustered(800, 12, 20, 0.4, 2), shape(12, 3));
    let start = drawn(&rows, &shape);
    let whole = |books: &[Columns]| {
        let mut choice = Choice::new(&shape);
        let mut codes = [0; 3];
        let of = |row: &[f32]| {
            choice.look(row, &shape, books);
            choice.nearest(&mut codes);
            choice.improve(WEIGHT, &mut codes);
            loss(row, &codes, &shape, books)
        };
        rows.chunks_exact(12).map(of).sum::<f64>()
    };
    let mut books = start.clone();
    settle(&rows, &shape, WEIGHT, &mut books);
    let (before, after) = (whole(&start), whole(&books));
    assert!(after < 0.7 * before, "{after} of {before}");
}

#[test]
fn a_solution_is_the_best_centroid() {
    let mut dice = Dice::new(3);
    let mut system = System::new(3);
    let rows: Vec<([f32; 3], f64, f64)> = (0..20)
        .map(|_| {
            (
                [0; 3].map(|_| dice.gaussian()),
                0.3 + f64::from(dice.uniform().abs()),
                f64::from(dice.gaussian()),
            )
        })
        .collect();
    rows.iter().for_each(|(piece, inverse, others)| system.add(piece, *inverse, *others, 6.0));
    let mut centroid = [9.0; 3];
    system.solve(&mut centroid);
    let loss = |centroid: &[f64; 3]| {
        let of = |(piece, inverse, others): &([f32; 3], f64, f64)| {
            let wrong = || piece.iter().zip(centroid).map(|(x, c)| (f64::from(*x), f64::from(*x) - c));
            let along = others + wrong().map(|(x, e)| x * inverse * e).sum::<f64>();
            wrong().map(|(_, e)| e * e).sum::<f64>() + 6.0 * along * along
        };
        rows.iter().map(of).sum::<f64>()
    };
    let best = loss(&centroid);
    for i in 0..3 {
        for step in [-0.01, 0.01] {
            let mut other = centroid;
            other[i] += step;
            assert!(loss(&other) > best, "{i} {step}");
        }
    }
    let mut still = [9.0; 3];
    System::new(3).solve(&mut still);
    assert_eq!(still.map(|x| x as i32), [9; 3], "no row, no move");
}

#[test]
fn a_threshold_is_a_weight() {
    let weight = |dim, threshold| weight(dim, &PqSettings::new(1, 4).threshold(threshold));
    assert!((weight(200, 0.2) - 7.291_67).abs() < 1e-4, "{}", weight(200, 0.2));
    // Errors along a vector never weigh less than others.
    assert!(weight(10, 0.1).abs() < 1e-9 && weight(1, 0.9).abs() < 1e-9 && weight(300, 0.0).abs() < 1e-9);
}

#[test]
fn zeros_and_huge_numbers_have_codes() {
    let mut rows = uniform(40, 6, 4);
    rows[..6].fill(0.0);
    rows[6..12].fill(1.8e16);
    let shape = shape(6, 2);
    let mut books = drawn(&rows, &shape);
    settle(&rows, &shape, 1e6, &mut books);
    assert!(books.iter().all(|book| (0..16).all(|n| book.vector(n).all(f32::is_finite))));
}
