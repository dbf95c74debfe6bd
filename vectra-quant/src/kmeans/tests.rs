use proptest::prelude::*;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;

/// The mean squared distance to the nearest centroid, in f64.
fn error(centroids: &Centroids, rows: &[f32]) -> f64 {
    let table = centroids.to_rows();
    let square = |x: &[f32], y: &[f32]| {
        x.iter().zip(y).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum::<f64>()
    };
    let dim = centroids.dim();
    let least = |row: &[f32]| table.chunks(dim).map(|c| square(row, c)).fold(f64::INFINITY, f64::min);
    rows.chunks(dim).map(least).sum::<f64>() / (rows.len() / dim) as f64
}

#[test]
fn clusters_far_apart_are_found() {
    let mut dice = Dice::new(1);
    let places: Vec<f32> = (0..20 * 5).map(|_| 100.0 * dice.gaussian()).collect();
    let rows: Vec<f32> =
        (0..2000).flat_map(|n| places[n % 20 * 5..][..5].to_vec()).map(|x| x + dice.gaussian()).collect();
    let centroids = KMeans::new(20).train(&rows, 5).expect("rows are there");
    assert_eq!((centroids.len(), centroids.dim()), (20, 5));
    // The spread within clusters is one to a component.
    let error = error(&centroids, &rows);
    assert!((4.5..5.5).contains(&error), "{error}");
}

#[test]
fn rounds_lower_the_error() {
    let rows = uniform(4000, 4, 2);
    let errors = [0, 1, 4, 25].map(|rounds| {
        let centroids = KMeans::new(64).rounds(rounds).train(&rows, 4).expect("rows are there");
        assert_eq!(centroids.len(), 64);
        error(&centroids, &rows)
    });
    assert!(errors.windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    assert!(errors[3] < 0.75 * errors[0], "{errors:?}");
}

#[test]
fn a_centroid_is_the_mean_of_its_rows() {
    let rows = clustered(1000, 3, 4, 0.1, 3);
    let centroids = KMeans::new(4).rounds(100).train(&rows, 3).expect("rows are there");
    let found = centroids.nearest_of(&rows);
    for n in 0..centroids.len() {
        let own: Vec<&[f32]> =
            rows.chunks(3).zip(&found).filter(|(_, f)| f.index as usize == n).map(|(row, _)| row).collect();
        for (c, x) in centroids.centroid(n).iter().enumerate() {
            let mean = own.iter().map(|row| f64::from(row[c])).sum::<f64>() / own.len() as f64;
            assert!((f64::from(*x) - mean).abs() < 1e-5, "{n} {c}: {x} {mean}");
        }
    }
}

#[test]
fn fewer_rows_than_centroids_are_the_centroids() {
    let rows = uniform(5, 3, 4);
    let centroids = KMeans::new(16).train(&rows, 3).expect("rows are there");
    assert_eq!(centroids.len(), 5);
    assert!(error(&centroids, &rows) < 1e-12);
}

#[test]
fn rare_rows_beside_many_equal_ones_get_a_centroid() {
    // The sowing looks at 16 rows to a centroid and sees next to nothing but zeros.
    let mut rows = vec![0.0_f32; 30_000];
    for n in 0..7 {
        rows[4000 * n + 13] = 1.0 + n as f32;
    }
    let centroids = KMeans::new(8).rows_max(30_000).train(&rows, 1).expect("rows are there");
    assert_eq!(centroids.len(), 8, "{centroids:?}");
    assert!(error(&centroids, &rows) < 1e-12);
}

#[test]
fn no_row_and_no_centroid_are_refused() {
    assert_eq!(KMeans::new(4).train(&[], 3), Err(TrainError::Empty));
    let none = KMeans::new(0).train(&[1.0], 1).expect_err("no centroid");
    assert!(none.to_string().contains("at least one centroid"), "{none}");
    assert!(KMeans::new(1).rows_max(0).train(&[1.0], 1).is_err());
}

#[test]
fn numbers_that_are_none_and_huge_ones_are_taken() {
    let rows = [f32::NAN, 1.0, f32::INFINITY, -1e30, 1e30, 0.0, 3.0, 1e-38];
    for dim in [1, 2, 4] {
        let centroids = KMeans::new(3).train(&rows, dim).expect("rows are there");
        assert!(centroids.to_rows().iter().all(|x| x.is_finite()), "{centroids:?}");
        assert!(centroids.nearest_of(&rows).iter().all(|found| !found.distance.is_nan()));
    }
}

#[test]
fn samples_are_exact_in_number_and_in_order() {
    let rows: Vec<f32> = (0..1000).map(|n| n as f32).collect();
    let drawn = sample(&rows, 1, 100, &SeededRng::new(3));
    assert_eq!(drawn.len(), 100);
    assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(drawn[30] > 150.0 && drawn[70] < 850.0, "drawn from everywhere: {drawn:?}");
}

#[test]
fn many_centroids_of_long_rows() {
    let rows = clustered(3000, 100, 50, 0.2, 5);
    let centroids = KMeans::new(50).rounds(10).train(&rows, 100).expect("rows are there");
    let spread = error(&KMeans::new(1).train(&rows, 100).expect("rows"), &rows);
    assert!(error(&centroids, &rows) < 0.35 * spread, "{} of {spread}", error(&centroids, &rows));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_rows_have_centroids(
        values in prop::collection::vec(prop_oneof![Just(0.0_f32), -3.0..3.0_f32, -1e20..1e20_f32], 1..300),
        dim in 1..5_usize,
        wanted in 1..40_usize,
        seed: u64,
    ) {
        let rows = &values[..values.len() / dim * dim];
        prop_assume!(!rows.is_empty());
        let settings = KMeans::new(wanted).seed(seed);
        let centroids = settings.train(rows, dim).expect("rows are there");
        prop_assert!(centroids.len() <= wanted.min(rows.len() / dim));
        prop_assert!(centroids.to_rows().iter().all(|x| x.is_finite()));
        prop_assert_eq!(&settings.train(rows, dim).expect("again"), &centroids);
        let found = centroids.nearest_of(rows);
        let mut used = vec![false; centroids.len()];
        found.iter().for_each(|nearest| used[nearest.index as usize] = true);
        prop_assert!(used.iter().all(|used| *used), "every centroid has a row");
    }
}
