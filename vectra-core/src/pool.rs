//! The candidate pool of a graph walk: a sorted linear array with a cursor at the first unexpanded entry.
//!
//! A linear array beats a heap at the pool sizes of graph search (10-1000): most newcomers belong near its end, and the
//! cursor makes "nearest unexpanded candidate" free. Distance, slot and the mark of expansion are one integer, so that a
//! comparison is one instruction; whether a newcomer is near enough cannot be foreseen, so it is decided for many at
//! once without a branch ([`Pool::offer`]).

use crate::topk::{Neighbor, of_sortable, sortable};

/// The most slots one segment can have: an entry of a pool holds 31 bits of slot and the mark of expansion.
pub const SLOTS_MAX: u32 = 1 << 31;

/// The lowest bit of a key: the candidate was handed out for expansion.
const EXPANDED: u64 = 1;

/// Entries moved at a time to make room: as many as a cache line holds.
const STEP: usize = 8;

/// The `capacity` nearest candidates seen so far, ascending; ties in order of slot.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    keys: Vec<u64>,
    capacity: usize,
    cursor: usize,
}

impl Pool {
    /// Empties the pool and sets its capacity; keeps its memory.
    pub fn reset(&mut self, capacity: usize) {
        self.keys.clear();
        self.keys.reserve(capacity + 1);
        self.capacity = capacity;
        self.cursor = 0;
    }

    /// How many candidates are held.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no candidate is held.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a newcomer has to displace someone.
    pub fn is_full(&self) -> bool {
        self.keys.len() == self.capacity
    }

    /// The distance a newcomer has to stay below: the worst held, or infinity while there is room.
    pub fn bound(&self) -> f32 {
        if self.is_full() {
            self.keys.last().map_or(f32::NEG_INFINITY, |worst| neighbor(*worst).distance)
        } else {
            f32::INFINITY
        }
    }

    /// The candidate that `rank` others are nearer than.
    #[inline]
    pub fn nth(&self, rank: usize) -> Option<Neighbor> {
        self.keys.get(rank).map(|key| neighbor(*key))
    }

    /// How far from the query it is still worth looking: the distance of the `wanted`-th nearest and `slack` times as
    /// much more. Infinity while fewer are held, or if `slack` is infinite.
    #[inline]
    pub fn limit(&self, wanted: usize, slack: f32) -> f32 {
        if slack == f32::INFINITY {
            return f32::INFINITY;
        }
        let Some(Neighbor { distance, .. }) = self.nth(wanted.max(1) - 1) else { return f32::INFINITY };
        distance + slack * distance.abs()
    }

    /// Lets go of what is farther than `limit`.
    #[inline]
    pub fn trim(&mut self, limit: f32) {
        let last = key(limit, SLOTS_MAX - 1) | EXPANDED;
        while self.keys.last().is_some_and(|worst| *worst > last) {
            self.keys.pop();
        }
    }

    /// How many candidates are nearer than the one handed out last was when it was handed out.
    pub fn rank(&self) -> usize {
        self.cursor.saturating_sub(1)
    }

    /// Offers a candidate; whether it is kept. The caller offers each slot once.
    pub fn insert(&mut self, distance: f32, slot: u32) -> bool {
        debug_assert!(slot < SLOTS_MAX, "slots have 31 bits");
        self.insert_key(key(distance, slot))
    }

    /// Offers `slots[i]` at `distances[i]` for all i with a distance of at most `bound`. The caller offers each slot
    /// once.
    ///
    /// # Panics
    /// If there are more than 64, or not as many of both.
    pub fn offer(&mut self, slots: &[u32], distances: &[f32], bound: f32) {
        assert_eq!(slots.len(), distances.len(), "one distance for each slot");
        let mut near = [0; 64];
        assert!(slots.len() <= near.len(), "at most 64 at a time");
        let mut count = 0;
        for (slot, distance) in slots.iter().zip(distances) {
            near[count] = key(*distance, *slot);
            count += usize::from(*distance <= bound);
        }
        for key in &near[..count] {
            self.insert_key(*key);
        }
    }

    fn insert_key(&mut self, new: u64) -> bool {
        if self.is_full() {
            match self.keys.last() {
                Some(worst) if new < *worst => _ = self.keys.pop(),
                _ => return false,
            }
        }
        let mut at = self.keys.len();
        self.keys.push(new);
        let keys = &mut self.keys[..];
        while at >= STEP && keys[at - STEP] > new {
            keys.copy_within(at - STEP..at, at - STEP + 1);
            at -= STEP;
        }
        while at > 0 && keys[at - 1] > new {
            keys[at] = keys[at - 1];
            at -= 1;
        }
        keys[at] = new;
        self.cursor = self.cursor.min(at);
        true
    }

    /// The nearest candidate that was not yet handed out for expansion.
    pub fn next_unexpanded(&mut self) -> Option<Neighbor> {
        while let Some(key) = self.keys.get_mut(self.cursor) {
            self.cursor += 1;
            if *key & EXPANDED == 0 {
                *key |= EXPANDED;
                return Some(neighbor(*key));
            }
        }
        None
    }

    /// The slots that [`next_unexpanded`](Self::next_unexpanded) would give if nothing nearer came.
    pub fn upcoming(&self) -> impl Iterator<Item = u32> + '_ {
        let rest = self.keys.get(self.cursor..).unwrap_or_default();
        rest.iter().filter(|key| **key & EXPANDED == 0).map(|key| neighbor(*key).slot)
    }

    /// The candidates, nearest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Neighbor> + '_ {
        self.keys.iter().map(|key| neighbor(*key))
    }
}

/// (distance, slot, not expanded) as one integer that sorts like the pair (distance by `total_cmp`).
#[inline]
fn key(distance: f32, slot: u32) -> u64 {
    u64::from(sortable(distance)) << 32 | u64::from(slot << 1)
}

/// What a key was made of.
#[inline]
fn neighbor(key: u64) -> Neighbor {
    Neighbor { distance: of_sortable((key >> 32) as u32), slot: key as u32 >> 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_sort_like_pairs_and_give_them_back() {
        let distances = [f32::NEG_INFINITY, -2.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-30, 3.25, f32::INFINITY];
        let pairs: Vec<(f32, u32)> =
            distances.iter().flat_map(|d| [0, 7, SLOTS_MAX - 1].map(|slot| (*d, slot))).collect();
        assert!(pairs.is_sorted_by_key(|(distance, slot)| key(*distance, *slot)));
        for (distance, slot) in pairs {
            let back = neighbor(key(distance, slot) | EXPANDED);
            assert_eq!((back.distance.to_bits(), back.slot), (distance.to_bits(), slot));
        }
    }

    #[test]
    fn what_comes_up_is_what_is_handed_out() {
        let mut pool = Pool::default();
        pool.reset(8);
        assert_eq!(pool.upcoming().count(), 0);
        pool.offer(&[4, 1, 3, 2], &[0.4, 0.1, 0.3, 0.2], f32::INFINITY);
        assert_eq!(pool.next_unexpanded().map(|n| n.slot), Some(1));
        assert_eq!(pool.upcoming().collect::<Vec<_>>(), [2, 3, 4]);
        pool.insert(0.0, 9);
        assert_eq!(pool.upcoming().collect::<Vec<_>>(), [9, 2, 3, 4]);
        let handed: Vec<u32> = std::iter::from_fn(|| pool.next_unexpanded()).map(|n| n.slot).collect();
        assert_eq!(handed, [9, 2, 3, 4]);
    }

    #[test]
    fn the_limit_is_the_wanted_distance_and_its_slack() {
        let mut pool = Pool::default();
        pool.reset(8);
        pool.offer(&[0, 1, 2], &[-2.0, 0.0, 4.0], f32::INFINITY);
        let limit = |wanted, slack| pool.limit(wanted, slack).to_bits();
        assert_eq!([limit(1, 0.5), limit(2, 0.5), limit(3, 0.5)], [-1.0, 0.0, 6.0].map(f32::to_bits));
        assert_eq!([limit(3, 0.0), limit(0, 0.5)], [4.0, -1.0].map(f32::to_bits));
        assert_eq!(
            [limit(4, 0.5), limit(2, f32::INFINITY)],
            [f32::INFINITY.to_bits(); 2],
            "fewer held, or no limit"
        );
        assert_eq!((pool.nth(2).map(|n| n.slot), pool.nth(3)), (Some(2), None));
    }

    proptest! {
        #[test]
        fn trimming_keeps_what_is_within_the_limit_and_what_was_handed_out(
            distances in proptest::collection::vec(-20i8..20, 0..40), handed in 0usize..40, limit in -25i8..25,
            later in proptest::collection::vec(-20i8..20, 0..10),
        ) {
            let mut pool = Pool::default();
            pool.reset(64);
            for (slot, d) in distances.iter().enumerate() { pool.insert(f32::from(*d), slot as u32); }
            let out: Vec<_> = (0..handed).map_while(|_| pool.next_unexpanded()).collect();
            prop_assert!(out.is_empty() || pool.nth(pool.rank()) == out.last().copied());
            let mut kept: Vec<_> = pool.iter().filter(|n| n.distance <= f32::from(limit)).collect();
            pool.trim(f32::from(limit));
            prop_assert_eq!(pool.iter().collect::<Vec<_>>(), kept.clone());
            for (slot, d) in (100..).zip(&later) {
                pool.insert(f32::from(*d), slot);
                kept.push(Neighbor { distance: f32::from(*d), slot });
            }
            kept.retain(|n| !out.contains(n));
            kept.sort();
            prop_assert_eq!(std::iter::from_fn(|| pool.next_unexpanded()).collect::<Vec<_>>(), kept);
        }

        #[test]
        fn offering_many_is_inserting_those_within_the_bound(
            batches in proptest::collection::vec(proptest::collection::vec(-20i8..20, 0..64), 0..6),
            bound in -20i8..20, capacity in 0usize..40,
        ) {
            let (mut one, mut many) = (Pool::default(), Pool::default());
            one.reset(capacity);
            many.reset(capacity);
            let mut slot = 0;
            for batch in batches {
                let distances: Vec<f32> = batch.iter().map(|d| f32::from(*d)).collect();
                let slots: Vec<u32> = (slot..).take(batch.len()).collect();
                slot += batch.len() as u32;
                for (slot, distance) in slots.iter().zip(&distances).filter(|(_, d)| **d <= f32::from(bound)) {
                    one.insert(*distance, *slot);
                }
                many.offer(&slots, &distances, f32::from(bound));
                prop_assert_eq!(one.next_unexpanded(), many.next_unexpanded());
            }
            prop_assert!(one.iter().eq(many.iter()));
        }

        #[test]
        fn keeps_the_nearest_in_order(distances in proptest::collection::vec(-20i8..20, 0..100), capacity in 1usize..30) {
            let mut pool = Pool::default();
            pool.reset(capacity);
            let mut all = Vec::new();
            for (slot, d) in distances.iter().enumerate() {
                let n = Neighbor { distance: f32::from(*d), slot: slot as u32 };
                pool.insert(n.distance, n.slot);
                all.push(n);
                // expanding in between must not disturb the order
                if slot % 3 == 0 { pool.next_unexpanded(); }
            }
            all.sort();
            all.truncate(capacity);
            prop_assert_eq!(pool.iter().collect::<Vec<_>>(), all);
        }

        #[test]
        fn every_kept_candidate_is_handed_out_once(distances in proptest::collection::vec(0u8..50, 1..60)) {
            let mut pool = Pool::default();
            pool.reset(64);
            let mut seen = std::collections::BTreeSet::new();
            for (slot, d) in distances.iter().enumerate() {
                pool.insert(f32::from(*d), slot as u32);
                if slot % 2 == 0 { prop_assert!(seen.insert(pool.next_unexpanded().expect("one is left").slot)); }
            }
            while let Some(n) = pool.next_unexpanded() { prop_assert!(seen.insert(n.slot)); }
            prop_assert_eq!(seen.len(), distances.len());
        }
    }
}
