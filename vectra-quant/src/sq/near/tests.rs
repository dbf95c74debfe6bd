use proptest::prelude::*;
use vectra_core::testing::oracle::Dice;

use crate::sq::kernel::all_kernels;

/// What every kernel finds: the same promise, not the same places.
fn found(distances: &[f32], count: usize) -> Vec<Vec<u32>> {
    let find = |kernel: &&crate::sq::kernel::Kernels| {
        // What an earlier search found is gone.
        let mut places = vec![77];
        kernel.nearest(distances, count, &mut places);
        places
    };
    all_kernels().iter().map(find).collect()
}

/// Checks that the `count` least are found, in the order of their places, and nothing that is no number.
fn check(distances: &[f32], count: usize) {
    let mut numbers: Vec<f32> = distances.iter().copied().filter(|distance| !distance.is_nan()).collect();
    numbers.sort_unstable_by(f32::total_cmp);
    let worst = count.checked_sub(1).map(|last| numbers.get(last).copied().unwrap_or(f32::INFINITY));
    for places in found(distances, count) {
        assert!(places.is_sorted_by(|a, b| a < b), "places ascend: {places:?}");
        assert!(places.iter().all(|place| !distances[*place as usize].is_nan()));
        for (place, distance) in distances.iter().enumerate() {
            let is_near = worst.is_some_and(|worst| *distance <= worst);
            assert!(!is_near || places.contains(&(place as u32)), "{count} of {distances:?}: {place}");
        }
    }
}

#[test]
fn few_and_many_and_none_are_found() {
    let mut dice = Dice::new(1);
    for len in (0..70).chain([127, 128, 129, 500, 1000]) {
        let distances: Vec<f32> = (0..len).map(|_| dice.uniform()).collect();
        for count in [0, 1, 5, 8, 9, 16, 17, 33, 64, 65, 100] {
            check(&distances, count);
        }
    }
}

#[test]
fn few_others_come_with_them() {
    let mut dice = Dice::new(2);
    let distances: Vec<f32> = (0..512).map(|_| dice.uniform()).collect();
    for (count, most) in [(5, 12), (9, 24), (17, 48)] {
        for places in found(&distances, count) {
            assert!((count..=most).contains(&places.len()), "{} instead of {count}", places.len());
        }
    }
}

#[test]
fn equal_ones_are_all_found() {
    for len in [16, 64, 100, 333] {
        for places in found(&vec![2.0; len], 3) {
            assert!(places.iter().copied().eq(0..len as u32), "{places:?}");
        }
    }
}

#[test]
fn what_is_no_number_hides_nothing() {
    for len in [20, 64, 130] {
        let mut distances = vec![f32::NAN; len];
        check(&distances, 4);
        distances[len - 1] = 3.0;
        distances[7] = f32::INFINITY;
        distances[9] = f32::NEG_INFINITY;
        check(&distances, 4);
        check(&distances, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_least_of_any_distances_are_found(
        distances in prop::collection::vec(prop_oneof![Just(0.0), Just(-1.5), Just(f32::NAN), any::<f32>()], 0..300),
        count in 0..70_usize,
    ) {
        // An ordered zero below another zero is as near as that.
        let distances: Vec<f32> = distances.iter().map(|distance| distance + 0.0).collect();
        check(&distances, count);
    }
}
