//! The candidate pool of a graph walk: a sorted linear array with a cursor at the first unexpanded entry.
//!
//! A linear array with binary search and one `memmove` beats a heap at the pool sizes of graph search (10-1000), and
//! the cursor makes "nearest unexpanded candidate" free.

use crate::topk::Neighbor;

const EXPANDED: u32 = 1 << 31;

/// The most slots one segment can have: the top bit of a pool entry marks expansion.
pub const SLOTS_MAX: u32 = EXPANDED;

#[derive(Debug, Clone, Copy)]
struct Entry {
    distance: f32,
    slot_and_flag: u32,
}

/// The `capacity` nearest candidates seen so far, ascending; ties in order of slot.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    entries: Vec<Entry>,
    capacity: usize,
    cursor: usize,
}

impl Pool {
    /// Empties the pool and sets its capacity; keeps its memory.
    pub fn reset(&mut self, capacity: usize) {
        self.entries.clear();
        self.entries.reserve(capacity + 1);
        self.capacity = capacity;
        self.cursor = 0;
    }

    /// How many candidates are held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no candidate is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a newcomer has to displace someone.
    pub fn is_full(&self) -> bool {
        self.entries.len() == self.capacity
    }

    /// The distance a newcomer has to stay below: the worst held, or infinity while there is room.
    pub fn bound(&self) -> f32 {
        if self.is_full() {
            self.entries.last().map_or(f32::NEG_INFINITY, |e| e.distance)
        } else {
            f32::INFINITY
        }
    }

    /// Offers a candidate; whether it is kept. The caller offers each slot once.
    pub fn insert(&mut self, distance: f32, slot: u32) -> bool {
        debug_assert!(slot < SLOTS_MAX, "slots have 31 bits");
        if self.is_full() {
            match self.entries.last() {
                Some(worst) if key(distance, slot) < key(worst.distance, worst.slot_and_flag & !EXPANDED) => {
                    self.entries.pop();
                }
                _ => return false,
            }
        }
        let new = key(distance, slot);
        let at = self.entries.partition_point(|e| key(e.distance, e.slot_and_flag & !EXPANDED) < new);
        self.entries.insert(at, Entry { distance, slot_and_flag: slot });
        self.cursor = self.cursor.min(at);
        true
    }

    /// The nearest candidate that was not yet handed out for expansion.
    pub fn next_unexpanded(&mut self) -> Option<Neighbor> {
        while let Some(entry) = self.entries.get_mut(self.cursor) {
            self.cursor += 1;
            if entry.slot_and_flag & EXPANDED == 0 {
                let slot = entry.slot_and_flag;
                entry.slot_and_flag |= EXPANDED;
                return Some(Neighbor { distance: entry.distance, slot });
            }
        }
        None
    }

    /// The candidates, nearest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Neighbor> + '_ {
        self.entries.iter().map(|e| Neighbor { distance: e.distance, slot: e.slot_and_flag & !EXPANDED })
    }
}

/// (distance, slot) as one integer that sorts like the pair (distance by `total_cmp`).
fn key(distance: f32, slot: u32) -> u64 {
    let bits = distance.to_bits();
    let sortable = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(sortable) << 32 | u64::from(slot)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
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
