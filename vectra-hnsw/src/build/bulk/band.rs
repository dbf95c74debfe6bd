//! What the rows of a band found in their groups.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use vectra_core::Neighbor;

/// Lists of candidates for a run of positions. Threads add to them in any order: a list is a set.
pub(super) struct Band {
    positions: Range<u32>,
    capacity: usize,
    slots: Vec<AtomicU32>,
    counts: Vec<AtomicU32>,
}

impl Band {
    /// Lists of `capacity` for at most `rows` positions.
    pub(super) fn new(rows: usize, capacity: usize) -> Self {
        let empty = |count| std::iter::repeat_with(|| AtomicU32::new(0)).take(count).collect();
        Self { positions: 0..0, capacity, slots: empty(rows * capacity), counts: empty(rows) }
    }

    /// Empties the lists and takes them for other positions, at most as many as there are lists.
    pub(super) fn begin(&mut self, positions: Range<u32>) {
        assert!(positions.len() <= self.counts.len(), "a list for each position");
        self.counts.iter_mut().for_each(|count| *count.get_mut() = 0);
        self.positions = positions;
    }

    /// The positions that have lists.
    pub(super) fn positions(&self) -> Range<u32> {
        self.positions.clone()
    }

    /// Adds what the row at `position` found in one of its groups.
    ///
    /// # Panics
    /// If it has no list, or the list has no room.
    pub(super) fn add(&self, position: u32, found: &[Neighbor]) {
        let row = (position - self.positions.start) as usize;
        let at = self.counts[row].fetch_add(found.len() as u32, Relaxed) as usize;
        assert!(at + found.len() <= self.capacity, "a row joins a bounded number of groups");
        let places = &self.slots[row * self.capacity + at..];
        places.iter().zip(found).for_each(|(place, near)| place.store(near.slot, Relaxed));
    }

    /// The slots that the row at `position` found, ascending and each once, into `slots`.
    pub(super) fn read(&self, position: u32, slots: &mut Vec<u32>) {
        let row = (position - self.positions.start) as usize;
        let count = self.counts[row].load(Relaxed) as usize;
        slots.clear();
        slots.extend(self.slots[row * self.capacity..][..count].iter().map(|slot| slot.load(Relaxed)));
        slots.sort_unstable();
        slots.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(slots: &[u32]) -> Vec<Neighbor> {
        slots.iter().map(|slot| Neighbor { distance: 0.5, slot: *slot }).collect()
    }

    #[test]
    fn a_list_is_a_set_of_what_was_added() {
        let mut band = Band::new(4, 6);
        band.begin(10..14);
        assert_eq!(band.positions(), 10..14);
        let mut slots = vec![1];
        band.add(12, &found(&[9, 3]));
        band.add(11, &found(&[8]));
        band.add(12, &found(&[3, 70, 1]));
        band.read(12, &mut slots);
        assert_eq!(slots, [1, 3, 9, 70]);
        band.read(10, &mut slots);
        assert!(slots.is_empty(), "the neighbour's list is another");
        band.begin(20..22);
        band.read(21, &mut slots);
        assert!(slots.is_empty(), "nothing is left of the band before");
        band.add(21, &found(&[1, 2, 3, 4, 5, 6]));
        band.read(21, &mut slots);
        assert_eq!(slots, [1, 2, 3, 4, 5, 6], "a list may be full");
    }

    #[test]
    #[should_panic(expected = "bounded number of groups")]
    fn more_than_a_list_holds_is_a_bug() {
        let mut band = Band::new(2, 2);
        band.begin(0..2);
        band.add(0, &found(&[1, 2, 3]));
    }

    #[test]
    #[should_panic(expected = "a list for each position")]
    fn a_band_too_long_is_a_bug() {
        Band::new(2, 2).begin(0..3);
    }
}
