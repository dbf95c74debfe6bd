use vectra_core::Metric;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;

fn shape(dim: usize, subspaces: usize) -> PqShape {
    PqShape::new(dim, Metric::L2, subspaces, 4, 0).expect("a shape")
}

/// The greatest deviation of the products of the directions from those of orthonormal ones.
fn skew(directions: &[f32], dim: usize) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    let mut greatest = 0.0_f32;
    for (i, a) in directions.chunks_exact(dim).enumerate() {
        for (j, b) in directions.chunks_exact(dim).enumerate() {
            greatest = greatest.max((dot(a, b) - if i == j { 1.0 } else { 0.0 }).abs());
        }
    }
    greatest
}

#[test]
fn rotations_keep_lengths() {
    for rows in [clustered(400, 13, 7, 0.3, 1), uniform(5, 13, 2), vec![0.0; 13 * 4], vec![2.0; 13]] {
        let turn = fit(&rows, &shape(13, 4), &PqSettings::new(4, 4));
        assert!(skew(&turn.to_rows(), 13) < 1e-5, "{}", skew(&turn.to_rows(), 13));
    }
}

#[test]
fn what_overflows_is_left_as_it_is() {
    let rows = vec![1.0e18; 13 * 40];
    let turn = fit(&rows, &shape(13, 4), &PqSettings::new(4, 4));
    assert!(skew(&turn.to_rows(), 13) < 1e-3);
}

#[test]
fn the_largest_spreads_go_to_different_pieces() {
    let order = deal(&[9.0, 8.0, 7.0, 3.0, 2.0, 1.0], &shape(6, 3));
    assert_eq!(order, [0, 5, 1, 4, 2, 3]);
    // A piece that is full takes no more; the first are longer.
    assert_eq!(deal(&[4.0, 3.0, 2.0, 1.0, 0.0], &shape(5, 2)), [0, 3, 4, 1, 2]);
    assert_eq!(deal(&[0.0; 4], &shape(4, 2)).len(), 4);
}

#[test]
fn principal_directions_are_found() {
    let mut dice = Dice::new(3);
    // Component 2 varies most, then component 0.
    let rows: Vec<f32> =
        (0..500).flat_map(|_| [2.0, 0.1, 5.0, 0.2].map(|spread| 10.0 + spread * dice.gaussian())).collect();
    let directions = dealt(&rows, &shape(4, 2));
    assert!(directions[2].abs() > 0.99, "{directions:?}");
    assert!(directions[8].abs() > 0.99, "the second begins the second piece: {directions:?}");
}

#[test]
fn the_best_rotation_is_found_again() {
    let rows = uniform(300, 3, 4);
    let (c, s) = (0.6, -0.8);
    let turn = Turn::new(&[c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0], 3);
    let mut turned = rows.clone();
    turn.turn(&mut turned);
    let found = procrustes(&rows, &turned, 3).expect("a decomposition");
    assert!(found.iter().zip(turn.to_rows()).all(|(found, x)| (found - x).abs() < 1e-5), "{found:?}");
}
