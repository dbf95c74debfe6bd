use half::f16;
use proptest::prelude::*;

use super::*;
use crate::distance::reference;
use crate::testing::oracle::{clustered, collinear, duplicates, uniform};
use crate::testing::stores::vector_store_conformance;
use crate::vector::normalize::MAX_MAGNITUDE;

fn conforms<E: Element>(vectors: &[f32], dim: usize, tolerance: f64) {
    for metric in Metric::ALL {
        let store = DenseStore::<E>::from_vectors(vectors, dim, metric);
        vector_store_conformance(&store, vectors, metric, tolerance);
        vector_store_conformance(&store.view(), vectors, metric, tolerance);
    }
}

#[test]
fn stores_of_f32_conform() {
    for dim in [1, 3, 16, 65, 384] {
        conforms::<f32>(&uniform(90, dim, 1), dim, 1e-6);
    }
    conforms::<f32>(&clustered(200, 24, 5, 0.1, 2), 24, 1e-6);
    conforms::<f32>(&duplicates(70, 8, 3, 3), 8, 1e-6);
    conforms::<f32>(&collinear(70, 8, 4), 8, 1e-6);
    conforms::<f32>(&[], 8, 0.0);
    conforms::<f32>(&[0.5, -0.5], 2, 1e-6);
}

#[test]
fn stores_of_f16_conform() {
    conforms::<f16>(&uniform(90, 33, 5), 33, 1e-3);
    conforms::<f16>(&clustered(90, 384, 4, 0.3, 6), 384, 1e-3);
}

#[test]
fn scan_and_exact_give_the_bits_of_score() {
    let vectors = uniform(150, 20, 7);
    for metric in Metric::ALL {
        let store = DenseStore::<f32>::from_vectors(&vectors, 20, metric);
        let query = uniform(1, 20, 8);
        let mut scorer = store.bind(&query);
        let scores: Vec<f32> = (0..150).map(|slot| scorer.score(slot)).collect();
        for range in [0..150, 17..83, 149..150, 60..60] {
            let mut found = vec![f32::NAN; range.len()];
            store.view().scan(&query, range.clone(), &mut found);
            assert_eq!(found, scores[range.start as usize..range.end as usize], "{metric} {range:?}");
        }
        let slots = [149, 0, 3, 3, 77];
        let mut found = [f32::NAN; 5];
        scorer.exact(&slots, &mut found);
        assert_eq!(found, slots.map(|slot| scores[slot as usize]));
    }
}

#[test]
fn cosine_rows_of_norm_one_need_no_norms() {
    let mut vectors = uniform(40, 12, 9);
    vectors.chunks_mut(12).for_each(|row| _ = normalize(row).expect("random rows are not zero"));
    let query: Vec<f32> = uniform(1, 12, 10).iter().map(|x| x * 500.0).collect();
    let view = DenseView::new(&vectors, 12, Metric::Cosine);
    vector_store_conformance(&view, &vectors, Metric::Cosine, 1e-6);
    let mut scorer = view.bind(&query);
    for slot in 0..40 {
        let exact = reference::distance(Metric::Cosine, &query, view.row(slot));
        assert!((f64::from(scorer.score(slot)) - exact).abs() < 1e-6);
    }
}

#[test]
fn cosine_is_in_range_for_any_norm() {
    let direction = uniform(1, 30, 11);
    for (a, b) in [(1e-20, 1e-20), (1e-30, 1e15), (1e16, 1e16), (1.0, 1e-36)] {
        let scaled = |factor: f32| direction.iter().map(|x| x * factor).collect::<Vec<f32>>();
        let store = DenseStore::<f32>::from_vectors(&scaled(a), 30, Metric::Cosine);
        for (sign, expected) in [(1.0, 0.0), (-1.0, 2.0)] {
            let found = store.bind(&scaled(b * sign)).score(0);
            assert!((0.0..=2.0).contains(&found) && (found - expected).abs() < 1e-3, "{a} {b}: {found}");
        }
    }
}

#[test]
fn without_a_direction_everything_is_orthogonal() {
    let store = DenseStore::<f32>::from_vectors(&[0.0, 0.0, 1.0, 2.0], 2, Metric::Cosine);
    assert_eq!(store.bind(&[0.0, 0.0]).score(1), 1.0);
    assert_eq!(store.bind(&[3.0, 1.0]).score(0), 1.0);
    assert_eq!(store.between(0, 1), 1.0);
}

#[test]
fn the_largest_accepted_components_give_finite_distances() {
    let row = vec![MAX_MAGNITUDE; 1000];
    let query = vec![-MAX_MAGNITUDE; 1000];
    for metric in Metric::ALL {
        let store = DenseStore::<f32>::from_vectors(&row, 1000, metric);
        assert!(store.bind(&query).score(0).is_finite(), "{metric}");
    }
}

#[test]
fn rows_that_are_pushed_are_rounded_once() {
    let mut store = DenseStore::<f16>::new(2, Metric::Dot);
    assert!(store.is_empty());
    assert_eq!((store.push(&[2049.0, 0.0]), store.push(&[1.0, 1.0])), (0, 1));
    assert_eq!(store.bind(&[1.0, 0.0]).score(0), -2048.0);
    assert_eq!((store.len(), store.dim()), (2, 2));
    assert_eq!(format!("{store:?}"), "DenseStore(2 rows of 2 f16, dot)");
    assert_eq!(format!("{:?}", store.view()), "DenseView(2 rows of 2 f16, dot)");
}

#[test]
#[should_panic(expected = "beyond the 2 rows")]
fn expanding_a_slot_beyond_the_rows_panics() {
    let view = DenseView::new(&[0.0_f32; 6], 3, Metric::L2);
    view.bind(&[0.0; 3]).expand(&Expansion::whole(0, &[0, 2]), 1.0, &mut Pool::default());
}

#[test]
#[should_panic(expected = "out of range")]
fn scoring_a_slot_beyond_the_rows_panics() {
    DenseView::new(&[0.0_f32; 6], 3, Metric::L2).bind(&[0.0; 3]).score(2);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn binding_a_query_of_another_dimension_panics() {
    DenseView::new(&[0.0_f32; 6], 3, Metric::L2).bind(&[0.0; 2]);
}

#[test]
#[should_panic(expected = "one inverse norm for each row")]
fn norms_must_match_the_rows() {
    DenseView::with_inverse_norms(&[0.0_f32; 6], 3, &[1.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn distances_are_those_of_the_reference(
        (query, row) in (1_usize..80).prop_flat_map(|dim| {
            let vector = || prop::collection::vec(-100_f32..100.0, dim);
            (vector(), vector())
        }),
    ) {
        for metric in Metric::ALL {
            let found = DenseStore::<f32>::from_vectors(&row, row.len(), metric).bind(&query).score(0);
            let exact = reference::distance(metric, &query, &row);
            let size = match metric {
                Metric::Cosine => 1.0,
                _ => reference::magnitude(metric.op(), &query, &row),
            };
            prop_assert!((f64::from(found) - exact).abs() <= 1e-5 * size, "{}: {} {}", metric, found, exact);
        }
    }
}
