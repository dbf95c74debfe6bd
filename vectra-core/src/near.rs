//! The nearest of a long scan, most of whose rows are not near.

use crate::topk::{Neighbor, of_sortable, sortable};

/// How many neighbouring rows are looked at together: most have none that is near enough.
pub const LOOK: usize = 16;

/// How many times as many as are kept may be held, until the farthest of them are dropped.
const HELD: usize = 4;

/// Room for so many is made at once, for more when they come.
const HELD_FIRST: usize = 4096;

/// A distance and a slot as one integer that sorts like a [`Neighbor`], which integers do in far less time.
type Key = u64;

/// The nearest rows seen so far. Unlike a [`TopK`](crate::TopK) it sorts nothing while the scan goes on.
#[derive(Debug)]
pub struct Near {
    kept: usize,
    /// [`Key`]s of those held are the first `len`; at least [`LOOK`] places follow.
    held: Vec<Key>,
    len: usize,
    /// A row must be no farther than this; infinite until as many as are kept were found.
    bound: f32,
}

impl Near {
    /// Keeps the `kept` nearest.
    ///
    /// # Panics
    /// If that is none.
    pub fn new(kept: usize) -> Self {
        assert!(kept > 0, "at least one row is kept");
        let held = vec![Key::MAX; (HELD * kept).min(HELD_FIRST) + LOOK];
        Self { kept, held, len: 0, bound: f32::INFINITY }
    }

    /// A row farther than this is not kept; infinite until as many as are kept were found and some dropped.
    #[inline]
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// Offers neighbouring rows, the first of which stands in the slot `first`.
    pub fn offer(&mut self, first: u32, distances: &[f32]) {
        let (blocks, rest) = distances.as_chunks::<LOOK>();
        for (slots, distances) in (first..).step_by(LOOK).zip(blocks) {
            if any_within(distances, self.bound) {
                self.take(slots, distances);
            }
        }
        if any_within(rest, self.bound) {
            let mut padded = [f32::NAN; LOOK];
            padded[..rest.len()].copy_from_slice(rest);
            self.take(first + (distances.len() - rest.len()) as u32, &padded);
        }
    }

    /// Holds those of the distances that are within the bound; one that is not a number is not.
    ///
    /// All are written and only the place of the next moves on or does not: which are near cannot be foreseen, and a branch
    /// foreseen wrongly costs more than sixteen writes.
    fn take(&mut self, first: u32, distances: &[f32; LOOK]) {
        let (bound, mut taken) = (self.bound, 0);
        let keys: [Key; LOOK] = std::array::from_fn(|i| key(distances[i], first + i as u32));
        let places = self.held[self.len..].first_chunk_mut::<LOOK>().expect("there is room for a block");
        for (key, distance) in keys.iter().zip(distances) {
            // A place below `LOOK`, as no more were taken than were looked at.
            places[taken % LOOK] = *key;
            taken += usize::from(*distance <= bound);
        }
        self.len += taken;
        if self.len >= HELD * self.kept {
            self.drop_farthest();
        }
        if self.held.len() < self.len + LOOK {
            self.held.resize(2 * self.held.len(), Key::MAX);
        }
    }

    fn drop_farthest(&mut self) {
        if self.len > self.kept {
            let (_, worst, _) = self.held[..self.len].select_nth_unstable(self.kept - 1);
            self.bound = neighbor(*worst).distance;
            self.len = self.kept;
        }
    }

    /// Whether it holds everything that was offered.
    pub fn is_everything(&self) -> bool {
        self.bound.is_infinite() && self.len <= self.kept
    }

    /// Nearest first, ties in order of slot.
    pub fn into_sorted(mut self) -> Vec<Neighbor> {
        self.drop_farthest();
        self.held.truncate(self.len);
        self.held.sort_unstable();
        self.held.into_iter().map(neighbor).collect()
    }
}

/// Whether any of at most [`LOOK`] distances is at most `bound`.
#[inline]
pub fn any_within(distances: &[f32], bound: f32) -> bool {
    let within = |any: u32, distance: &f32| any | u32::from(*distance <= bound);
    match distances.first_chunk::<LOOK>() {
        // Of known length, so that it takes a few instructions for all.
        Some(all) => all.iter().fold(0, within) != 0,
        None => distances.iter().fold(0, within) != 0,
    }
}

/// The key of a row.
#[inline]
fn key(distance: f32, slot: u32) -> Key {
    u64::from(sortable(distance)) << 32 | u64::from(slot)
}

/// What a key was made of.
fn neighbor(key: Key) -> Neighbor {
    Neighbor { distance: of_sortable((key >> 32) as u32), slot: key as u32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_sort_like_neighbors_and_give_them_back() {
        let distances = [f32::NEG_INFINITY, -2.5, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-30, 3.25, f32::INFINITY];
        let rows =
            distances.iter().flat_map(|d| [0, 7, u32::MAX].map(|slot| Neighbor { distance: *d, slot }));
        let rows: Vec<Neighbor> = rows.collect();
        assert!(rows.is_sorted() && rows.is_sorted_by_key(|row| key(row.distance, row.slot)));
        assert!(rows.iter().all(|row| neighbor(key(row.distance, row.slot)) == *row));
    }

    #[test]
    fn room_is_made_for_as_many_as_are_kept_and_nothing_that_is_no_number_is() {
        let kept = 3 * HELD_FIRST;
        let mut near = Near::new(kept);
        // Nearer and nearer, so that all are taken; every third is no number.
        let distances: Vec<f32> =
            (0..8 * kept).map(|i| if i % 3 == 0 { f32::NAN } else { (8 * kept - i) as f32 }).collect();
        for (first, run) in (0..).step_by(500).zip(distances.chunks(500)) {
            near.offer(first, run);
        }
        assert!(!near.is_everything());
        let slots = near.into_sorted().into_iter().map(|row| row.slot);
        assert!(slots.eq((0..8 * kept as u32).rev().filter(|slot| slot % 3 != 0).take(kept)));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_the_nearest(
            runs in proptest::collection::vec(proptest::collection::vec(-30_i8..30, 0..70), 0..8),
            kept in 1_usize..40,
        ) {
            let mut near = Near::new(kept);
            let (mut first, mut expected) = (0, Vec::new());
            for run in runs {
                let distances: Vec<f32> = run.iter().map(|d| f32::from(*d)).collect();
                near.offer(first, &distances);
                expected.extend((first..).zip(&distances).map(|(slot, d)| Neighbor { distance: *d, slot }));
                first += distances.len() as u32;
            }
            let total = expected.len();
            expected.sort();
            expected.truncate(kept);
            prop_assert_eq!(near.is_everything(), total <= kept);
            prop_assert_eq!(near.into_sorted(), expected);
        }
    }
}
