//! The k best, whichever structure keeps them, against sorting everything.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vectra_core::pool::{Pool, SLOTS_MAX};
use vectra_core::query::{Candidate, Place, Profile, QueryCtx};
use vectra_core::topk::Ranked;
use vectra_core::{Neighbor, TopK};

/// Distances with all that is awkward about floats, ties included.
fn distance() -> impl Strategy<Value = f32> {
    prop_oneof![
        prop::sample::select(vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            -f32::from_bits(1),
        ]),
        (-3..3_i8).prop_map(f32::from),
        any::<f32>().prop_filter("a number", |x| !x.is_nan()),
    ]
}

/// Neighbours with a slot of their own each, as a search offers them.
fn neighbors() -> impl Strategy<Value = Vec<Neighbor>> {
    prop::collection::vec(distance(), 0..60).prop_map(|distances| {
        // Slots in an order that has nothing to do with the order of arrival.
        let slot = |at: usize| (at as u32 * 37) % 61;
        distances
            .into_iter()
            .enumerate()
            .map(|(at, distance)| Neighbor { distance, slot: slot(at) })
            .collect()
    })
}

fn bits(neighbors: &[Neighbor]) -> Vec<(u32, u32)> {
    neighbors.iter().map(|n| (n.distance.to_bits(), n.slot)).collect()
}

fn best(mut all: Vec<Neighbor>, k: usize) -> Vec<Neighbor> {
    all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
    all.truncate(k);
    all
}

/// The pool's rules at their simplest: a sorted list with a mark on each entry.
#[derive(Default)]
struct Model {
    entries: Vec<(Neighbor, bool)>,
    capacity: usize,
}

impl Model {
    fn insert(&mut self, new: Neighbor) -> bool {
        self.entries.push((new, false));
        self.entries.sort_by_key(|(n, _)| *n);
        let dropped = if self.entries.len() > self.capacity { self.entries.pop() } else { None };
        dropped.is_none_or(|(n, _)| n != new)
    }

    fn next_unexpanded(&mut self) -> Option<Neighbor> {
        let (neighbor, expanded) = self.entries.iter_mut().find(|(_, expanded)| !expanded)?;
        *expanded = true;
        Some(*neighbor)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_pool_is_a_sorted_list_with_marks(
        all in neighbors(), expand in prop::collection::vec(0..3_u8, 60), capacity in 0..20_usize
    ) {
        let mut pool = Pool::default();
        pool.reset(capacity);
        let mut model = Model { capacity, ..Model::default() };
        for (n, expand) in all.iter().zip(expand) {
            prop_assert_eq!(pool.insert(n.distance, n.slot), model.insert(*n), "{:?}", n);
            for _ in 0..expand {
                prop_assert_eq!(pool.next_unexpanded(), model.next_unexpanded());
            }
            let held: Vec<Neighbor> = pool.iter().collect();
            let expected: Vec<Neighbor> = model.entries.iter().map(|(n, _)| *n).collect();
            prop_assert_eq!(bits(&held), bits(&expected));
            prop_assert_eq!((pool.len(), pool.is_empty()), (held.len(), held.is_empty()));
            prop_assert_eq!(pool.is_full(), held.len() == capacity);
            let bound = if capacity == 0 { f32::NEG_INFINITY } else if held.len() < capacity { f32::INFINITY } else { held[capacity - 1].distance };
            prop_assert_eq!(pool.bound().to_bits(), bound.to_bits());
        }
        prop_assert_eq!(bits(&pool.iter().collect::<Vec<_>>()), bits(&best(all, capacity)));
    }

    #[test]
    fn the_k_best_are_those_of_sorting(all in neighbors(), k in 0..30_usize) {
        let mut top = TopK::new(k);
        for (at, n) in all.iter().enumerate() {
            let before = best(all[..at].to_vec(), k);
            let after = best(all[..=at].to_vec(), k);
            prop_assert_eq!(top.push(*n), bits(&before) != bits(&after), "kept if it changes the best");
            prop_assert_eq!(top.len(), after.len());
        }
        prop_assert_eq!(top.k(), k);
        prop_assert_eq!(bits(&top.into_sorted()), bits(&best(all, k)));
    }

    #[test]
    fn parts_merge_to_the_whole_in_any_order(parts in prop::collection::vec(neighbors(), 0..5), k in 0..20_usize) {
        let of = |items: &[Neighbor]| {
            let mut top = TopK::new(k);
            items.iter().for_each(|n| _ = top.push(*n));
            top
        };
        let merged = |parts: &mut dyn Iterator<Item = &Vec<Neighbor>>| {
            let mut top = TopK::new(k);
            parts.for_each(|part| top.merge(of(part)));
            top.into_sorted()
        };
        let expected = best(parts.concat(), k);
        prop_assert_eq!(bits(&merged(&mut parts.iter())), bits(&expected));
        prop_assert_eq!(bits(&merged(&mut parts.iter().rev())), bits(&expected));
    }

    #[test]
    fn candidates_are_ordered_by_distance_then_place(
        items in prop::collection::vec((distance(), 0..3_u16, 0..3_u16, 0..3_u32), 0..20)
    ) {
        let mut candidates: Vec<Candidate> = items
            .iter()
            .map(|&(distance, shard, segment, slot)| Candidate { distance, at: Place { shard, segment, slot } })
            .collect();
        candidates.sort();
        for pair in candidates.windows(2) {
            let key = |c: &Candidate| (c.at.shard, c.at.segment, c.at.slot);
            let by_distance = pair[0].distance.total_cmp(&pair[1].distance);
            prop_assert!(by_distance.then(key(&pair[0]).cmp(&key(&pair[1]))).is_le());
            prop_assert_eq!(pair[0].partial_cmp(&pair[1]), Some(pair[0].cmp(&pair[1])));
        }
        let mut top = TopK::new(5);
        candidates.iter().rev().for_each(|c| _ = top.push(*c));
        let kept: Vec<u32> = top.into_sorted().iter().map(|c| Ranked::distance(c).to_bits()).collect();
        let expected: Vec<u32> = candidates.iter().take(5).map(|c| c.distance.to_bits()).collect();
        prop_assert_eq!(kept, expected);
    }
}

#[test]
fn a_pool_can_be_used_again_with_another_capacity() {
    let mut pool = Pool::default();
    assert!(!pool.insert(1.0, 1), "no room before the first reset");
    for capacity in [3, 0, 1, 5] {
        pool.reset(capacity);
        assert!(pool.is_empty() && pool.next_unexpanded().is_none());
        let kept = (0..9).filter(|slot| pool.insert(9.0 - *slot as f32, *slot)).count();
        assert_eq!(kept, if capacity == 0 { 0 } else { 9 }, "each is nearer than all before");
        assert_eq!(pool.len(), capacity);
        let first = pool.next_unexpanded().map(|n| n.slot);
        assert_eq!(first, (capacity > 0).then_some(8));
    }
}

#[test]
fn the_highest_slot_keeps_its_bits_when_expanded() {
    let mut pool = Pool::default();
    pool.reset(2);
    let slot = SLOTS_MAX - 1;
    assert!(pool.insert(1.0, slot) && pool.insert(1.0, 0));
    assert_eq!(pool.next_unexpanded().map(|n| n.slot), Some(0), "ties by slot");
    assert_eq!(pool.next_unexpanded().map(|n| n.slot), Some(slot));
    assert_eq!(pool.iter().map(|n| n.slot).collect::<BTreeSet<_>>(), BTreeSet::from([0, slot]));
    assert!(!pool.insert(1.0, slot - 1) || pool.iter().all(|n| n.slot != slot), "the worst goes first");
}

#[test]
fn zeros_are_ordered_by_sign() {
    let mut top = TopK::new(1);
    assert!(top.push(Neighbor { distance: 0.0, slot: 0 }));
    assert!(top.push(Neighbor { distance: -0.0, slot: 9 }), "minus zero comes before zero");
    let mut pool = Pool::default();
    pool.reset(1);
    assert!(pool.insert(0.0, 0) && pool.insert(-0.0, 9) && !pool.insert(0.0, 1));
    assert_eq!(pool.iter().next().map(|n| n.slot), Some(9));
    assert!(top.into_sorted()[0].distance.is_sign_negative());
}

#[test]
fn work_adds_up() {
    let one = Profile {
        distances: 1,
        hops: 2,
        exact_reads: 3,
        segments: 4,
        filter_evaluations: 5,
        unverified: 6,
        calibrated: 7,
        uncalibrated: 8,
    };
    let mut ctx = QueryCtx::default();
    assert!(ctx.deadline.is_none() && ctx.bound.is_infinite());
    ctx.profile += one;
    ctx.profile += one;
    let twice = Profile {
        distances: 2,
        hops: 4,
        exact_reads: 6,
        segments: 8,
        filter_evaluations: 10,
        unverified: 12,
        calibrated: 14,
        uncalibrated: 16,
    };
    assert_eq!(ctx.profile, twice);
}
