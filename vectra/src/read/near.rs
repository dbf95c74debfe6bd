//! The nearest of a long scan, most of whose rows are not near.

use vectra_core::Neighbor;

use super::execute::{LOOK, any_within};

/// How many times as many as are kept may be held, until the farthest of them are dropped.
const HELD: usize = 4;

/// Room for so many is made at once, for more when they come.
const HELD_FIRST: usize = 4096;

/// The nearest rows seen so far. Unlike a [`TopK`](vectra_core::TopK) it sorts nothing while the scan goes on.
#[derive(Debug)]
pub(super) struct Near {
    kept: usize,
    held: Vec<Neighbor>,
    /// A row must be no farther than this; infinite until as many as are kept were found.
    bound: f32,
}

impl Near {
    /// Keeps the `kept` nearest, at least one.
    pub(super) fn new(kept: usize) -> Self {
        // A chunk of rows that are all near may go beyond what is held.
        Self { kept, held: Vec::with_capacity((HELD * kept).min(HELD_FIRST) + LOOK), bound: f32::INFINITY }
    }

    /// Offers neighbouring rows, the first of which stands in the slot `first`.
    pub(super) fn offer(&mut self, first: u32, distances: &[f32]) {
        for (slots, distances) in (first..).step_by(LOOK).zip(distances.chunks(LOOK)) {
            let bound = self.bound;
            if any_within(distances, bound) {
                let near = (slots..).zip(distances).filter(|(_, distance)| **distance <= bound);
                self.held.extend(near.map(|(slot, distance)| Neighbor { distance: *distance, slot }));
                if self.held.len() >= HELD * self.kept {
                    self.drop_farthest();
                }
            }
        }
    }

    fn drop_farthest(&mut self) {
        if self.held.len() > self.kept {
            let (_, worst, _) = self.held.select_nth_unstable(self.kept - 1);
            self.bound = worst.distance;
            self.held.truncate(self.kept);
        }
    }

    /// Whether it holds everything that was offered.
    pub(super) fn is_everything(&self) -> bool {
        self.bound.is_infinite() && self.held.len() <= self.kept
    }

    /// Nearest first, ties in order of slot.
    pub(super) fn into_sorted(mut self) -> Vec<Neighbor> {
        self.drop_farthest();
        self.held.sort_unstable();
        self.held
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
