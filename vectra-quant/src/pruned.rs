//! Exact results from estimates with bounds, with as few reads of vectors as possible.
//!
//! Where a scan of codes says of each row in which range its distance lies, most rows are out at once: their low end is
//! beyond the high ends of `k` others. Of the rest, read in the order of their low ends, none is needed from the first on
//! whose low end is beyond the `k`-th best distance that was read. No other order reads fewer rows, as every row before that
//! one might have been among the best.
//!
//! ```
//! use vectra_quant::Estimate;
//! use vectra_quant::pruned::Candidates;
//!
//! let distances = [0.9, 0.1, 0.4, 0.5, 0.2];
//! let mut candidates = Candidates::new(2);
//! for (slot, distance) in (0..).zip([0.95, 0.05, 0.3, 0.6, 0.3]) {
//!     candidates.push(slot, Estimate { distance, error: 0.15 });
//! }
//! let found = candidates.rerank(|slot| distances[slot as usize]);
//! assert_eq!(found.nearest.iter().map(|neighbor| neighbor.slot).collect::<Vec<_>>(), [1, 4]);
//! assert_eq!(found.reads, 3);
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;

use vectra_core::Neighbor;

use crate::rabitq::Estimate;

/// Candidates that are kept before those that have become hopeless are looked for.
const KEPT_MIN: usize = 4096;

/// Rows that may still be among the `k` nearest, as far as estimates tell.
#[derive(Debug, Clone)]
pub struct Candidates {
    k: usize,
    /// The least high ends, `k` at most, as neighbors for their order.
    uppers: BinaryHeap<Neighbor>,
    /// The low ends of those that were not hopeless when they came.
    kept: Vec<Neighbor>,
    /// How many are kept before they are looked through.
    room: usize,
}

/// What a re-rank found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// The nearest, by the distances that were read, ties by slot.
    pub nearest: Vec<Neighbor>,
    /// How many distances were read.
    pub reads: usize,
}

impl Candidates {
    /// No candidates yet, for the `k` nearest.
    pub fn new(k: usize) -> Self {
        Self { k, uppers: BinaryHeap::new(), kept: Vec::new(), room: KEPT_MIN }
    }

    /// A row whose low end lies above this is hopeless: the `k`-th least high end so far, infinite before there are `k`.
    #[inline]
    pub fn bound(&self) -> f32 {
        match self.uppers.peek() {
            Some(upper) if self.uppers.len() == self.k => upper.distance,
            _ if self.k == 0 => f32::NEG_INFINITY,
            _ => f32::INFINITY,
        }
    }

    /// How many candidates there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Takes the row at `slot` for a candidate, unless it is hopeless. An estimate that is no number says nothing: its row is kept.
    #[inline]
    pub fn push(&mut self, slot: u32, estimate: Estimate) {
        let is_hopeless = estimate.lower() > self.bound();
        if !is_hopeless {
            self.keep(slot, estimate);
        }
    }

    fn keep(&mut self, slot: u32, estimate: Estimate) {
        if self.k == 0 {
            return;
        }
        let known = |end: f32, unknown: f32| if end.is_nan() { unknown } else { end };
        let upper = known(estimate.upper(), f32::INFINITY);
        if self.uppers.len() < self.k {
            self.uppers.push(Neighbor { distance: upper, slot });
        } else if let Some(mut greatest) = self.uppers.peek_mut()
            && upper < greatest.distance
        {
            *greatest = Neighbor { distance: upper, slot };
        }
        self.kept.push(Neighbor { distance: known(estimate.lower(), f32::NEG_INFINITY), slot });
        if self.kept.len() == self.room {
            self.drop_hopeless();
            self.room = KEPT_MIN.max(2 * self.kept.len());
        }
    }

    fn drop_hopeless(&mut self) {
        let bound = self.bound();
        self.kept.retain(|candidate| candidate.distance <= bound);
    }

    /// The candidates that are left when better estimates come in, which are asked for in the order of low ends, as long as the
    /// better ones do not make hopeless what follows.
    #[must_use]
    pub fn refine(mut self, mut estimate: impl FnMut(u32) -> Estimate) -> Self {
        self.drop_hopeless();
        self.kept.sort_unstable();
        let mut refined = Self::new(self.k);
        for candidate in self.kept {
            if candidate.distance > refined.bound() {
                break;
            }
            refined.push(candidate.slot, estimate(candidate.slot));
        }
        refined
    }

    /// The `k` nearest by the low ends of their ranges; by their estimates where these say that they are exact.
    pub fn into_nearest(mut self) -> Vec<Neighbor> {
        self.drop_hopeless();
        self.kept.sort_unstable();
        self.kept.truncate(self.k);
        self.kept
    }

    /// The `k` nearest by the distances that `exact` reads, each slot's once at most.
    pub fn rerank(self, mut exact: impl FnMut(u32) -> f32) -> Pruned {
        match self.try_rerank(|slot| Ok::<_, Infallible>(exact(slot))) {
            Ok(pruned) => pruned,
        }
    }

    /// As [`rerank`](Self::rerank), of distances that may fail to be read; gives up at the first that does.
    ///
    /// # Errors
    /// That of `exact`.
    pub fn try_rerank<E>(mut self, mut exact: impl FnMut(u32) -> Result<f32, E>) -> Result<Pruned, E> {
        self.drop_hopeless();
        let mut next: BinaryHeap<Reverse<Neighbor>> = self.kept.into_iter().map(Reverse).collect();
        let (mut nearest, mut reads) = (BinaryHeap::with_capacity(self.k.min(next.len()) + 1), 0);
        while let Some(Reverse(candidate)) = next.pop() {
            let worst = nearest.peek().map(|worst: &Neighbor| worst.distance);
            if nearest.len() == self.k && worst.is_some_and(|worst| candidate.distance > worst) {
                break;
            }
            reads += 1;
            nearest.push(Neighbor { distance: exact(candidate.slot)?, slot: candidate.slot });
            if nearest.len() > self.k {
                nearest.pop();
            }
        }
        Ok(Pruned { nearest: nearest.into_sorted_vec(), reads })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::testing::oracle::Dice;

    use super::*;

    /// The `k` least of all, ties by slot.
    fn naive(exact: &[f32], k: usize) -> Vec<Neighbor> {
        let mut all: Vec<_> =
            exact.iter().zip(0..).map(|(distance, slot)| Neighbor { distance: *distance, slot }).collect();
        all.sort();
        all.truncate(k);
        all
    }

    fn candidates(k: usize, estimates: &[Estimate]) -> Candidates {
        let mut candidates = Candidates::new(k);
        estimates.iter().zip(0..).for_each(|(estimate, slot)| candidates.push(slot, *estimate));
        candidates
    }

    #[test]
    fn bounds_that_hold_give_the_nearest_with_few_reads() {
        let mut dice = Dice::new(1);
        let exact: Vec<f32> = (0..20_000).map(|_| 10.0 + dice.gaussian()).collect();
        let estimates: Vec<_> = exact
            .iter()
            .map(|distance| Estimate { distance: distance + 0.1 * dice.uniform(), error: 0.1 })
            .collect();
        let candidates = candidates(10, &estimates);
        assert!(candidates.len() < 4 * KEPT_MIN, "those without hope go: {}", candidates.len());
        let mut read = Vec::new();
        let found = candidates.rerank(|slot| {
            read.push(slot);
            exact[slot as usize]
        });
        assert_eq!(found.nearest, naive(&exact, 10));
        assert_eq!(found.reads, read.len());
        let worst = found.nearest[9].distance;
        let needed = estimates.iter().filter(|estimate| estimate.lower() <= worst).count();
        assert_eq!(found.reads, needed, "those that might have been nearer, and no other");
        assert!(found.reads < 200, "{}", found.reads);
    }

    #[test]
    fn exact_estimates_are_read_k_times() {
        let estimates: Vec<_> =
            (0..1000).map(|i| Estimate { distance: ((i * 7919) % 1000) as f32, error: 0.0 }).collect();
        let found = candidates(5, &estimates).rerank(|slot| estimates[slot as usize].distance);
        assert_eq!((found.nearest.len(), found.reads), (5, 5));
        let slots: Vec<u32> =
            (0..5).map(|i| (0..1000).find(|slot| slot * 7919 % 1000 == i).expect("one of each")).collect();
        assert_eq!(found.nearest.iter().map(|found| found.slot).collect::<Vec<_>>(), slots);
    }

    #[test]
    fn better_estimates_leave_fewer_candidates() {
        let mut dice = Dice::new(2);
        let exact: Vec<f32> = (0..5000).map(|_| 10.0 + dice.gaussian()).collect();
        let off: Vec<f32> = (0..5000).map(|_| 0.9 * dice.uniform()).collect();
        let estimate = |slot: usize, error| Estimate { distance: exact[slot] + off[slot] * error, error };
        let coarse: Vec<_> = (0..5000).map(|slot| estimate(slot, 0.5)).collect();
        let first = candidates(10, &coarse);
        let (before, mut asked) = (first.len(), 0);
        let fine = first.clone().refine(|slot| {
            asked += 1;
            estimate(slot as usize, 0.01)
        });
        assert!(2 * asked < before, "{asked} of {before}");
        let reads = first.rerank(|slot| exact[slot as usize]).reads;
        let found = fine.clone().rerank(|slot| exact[slot as usize]);
        assert_eq!(found.nearest, naive(&exact, 10));
        assert!(found.reads < 15 && reads > 40, "{} after {reads}", found.reads);
        let certain = candidates(10, &coarse).refine(|slot| estimate(slot as usize, 0.0));
        assert_eq!(certain.into_nearest(), naive(&exact, 10));
    }

    #[test]
    fn fewer_rows_than_wanted_are_all_read() {
        let found = candidates(5, &[Estimate { distance: 1.0, error: 0.5 }; 3]).rerank(|slot| slot as f32);
        assert_eq!((found.nearest.len(), found.reads), (3, 3));
        assert_eq!(Candidates::new(5).rerank(|_| 0.0), Pruned { nearest: Vec::new(), reads: 0 });
    }

    #[test]
    fn nothing_wanted_is_nothing_read() {
        let candidates = candidates(0, &[Estimate::default(); 3]);
        assert!(candidates.is_empty());
        assert_eq!(candidates.rerank(|_| 0.0), Pruned { nearest: Vec::new(), reads: 0 });
    }

    #[test]
    fn what_is_no_number_is_read() {
        let mut estimates = vec![Estimate { distance: 1.0, error: 0.1 }; 50];
        estimates[40] = Estimate { distance: f32::NAN, error: 0.1 };
        estimates[41] = Estimate { distance: f32::INFINITY, error: f32::INFINITY };
        let found = candidates(2, &estimates).rerank(|slot| if slot >= 40 { 0.5 } else { 1.0 });
        assert_eq!(found.nearest.iter().map(|found| found.slot).collect::<Vec<_>>(), [40, 41]);
    }

    #[test]
    fn a_read_that_fails_ends_it() {
        let mut reads = 0;
        let result = candidates(2, &[Estimate::default(); 9]).try_rerank(|slot| {
            reads += 1;
            if reads == 2 { Err(slot) } else { Ok(0.0) }
        });
        assert_eq!((result, reads), (Err(1), 2));
    }

    proptest! {
        #[test]
        fn any_bounds_that_hold_give_the_nearest(
            rows in prop::collection::vec((0..50_u8, 0.0..5.0_f32, -1.0..1.0_f32), 0..300),
            k in 0..20_usize,
        ) {
            let exact: Vec<f32> = rows.iter().map(|(distance, ..)| f32::from(*distance)).collect();
            let estimates: Vec<_> = rows
                .iter()
                .map(|(distance, error, off)| Estimate {
                    distance: f32::from(*distance) + 0.99 * error * off,
                    error: *error,
                })
                .collect();
            let found = candidates(k, &estimates).rerank(|slot| exact[slot as usize]);
            prop_assert_eq!(found.nearest, naive(&exact, k));
        }
    }
}
