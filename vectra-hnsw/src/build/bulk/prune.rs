//! Which candidates become neighbours.

use vectra_core::Neighbor;
use vectra_core::scorer::{Scorer, VectorStore, keep_nearest};

/// How much nearer a candidate must be to a neighbour than to the row so that it is left out, on distances that are
/// squared.
const ALPHA: f32 = 1.15;

/// Memory for the candidates of one row after the other.
#[derive(Debug, Default)]
pub(super) struct Pruner {
    /// Who may become a neighbour; each once.
    pub(super) slots: Vec<u32>,
    distances: Vec<f32>,
    near: Vec<Neighbor>,
    chosen: Vec<u32>,
    left_out: Vec<Neighbor>,
}

impl Pruner {
    /// Chooses at most `limit` neighbours of the row at `own` among the `kept` nearest of `slots`: those that no chosen one is
    /// much nearer to than the row is (the pruning of Vamana, Subramanya et al. 2019), nearest first.
    ///
    /// A quarter of `limit` is filled up with the nearest of those left out: sparse lists strand rows. Of rows that are all
    /// alike each links those after its own slot and not all the same few.
    pub(super) fn choose<V: VectorStore>(
        &mut self,
        store: &V,
        own: u32,
        kept: usize,
        limit: usize,
    ) -> &[u32] {
        self.score(store, own);
        self.near.clear();
        let pairs = self.slots.iter().zip(&self.distances);
        self.near.extend(pairs.map(|(slot, distance)| Neighbor { distance: *distance, slot: *slot }));
        keep_nearest(own, kept, &mut self.near);
        self.chosen.clear();
        self.left_out.clear();
        while let Some(next) = self.near.get(self.chosen.len()).filter(|_| self.chosen.len() < limit) {
            self.chosen.push(next.slot);
            self.leave_out(store);
        }
        let missing = (limit / 4).saturating_sub(self.chosen.len());
        if missing > 0 {
            keep_nearest(own, missing, &mut self.left_out);
            self.chosen.extend(self.left_out.iter().map(|near| near.slot));
        }
        &self.chosen
    }

    /// Leaves out those behind the chosen that are much nearer to the last chosen one than to the row.
    fn leave_out<V: VectorStore>(&mut self, store: &V) {
        let first = self.chosen.len();
        self.slots.clear();
        self.slots.extend(self.near[first..].iter().map(|near| near.slot));
        self.score(store, self.chosen[first - 1]);
        let mut last = first;
        for (i, distance) in self.distances.iter().enumerate() {
            let candidate = self.near[first + i];
            if ALPHA * distance <= candidate.distance {
                self.left_out.push(candidate);
            } else {
                self.near[last] = candidate;
                last += 1;
            }
        }
        self.near.truncate(last);
    }

    /// The distances of the slots from the row at `from`.
    fn score<V: VectorStore>(&mut self, store: &V, from: u32) {
        self.distances.resize(self.slots.len(), 0.0);
        store.bind_slot(from).score_all(&self.slots, &mut self.distances);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Rows, clustered};

    fn choose(store: &Rows, own: u32, slots: &[u32], kept: usize, limit: usize) -> Vec<u32> {
        let mut pruner = Pruner { slots: slots.to_vec(), ..Pruner::default() };
        pruner.choose(store, own, kept, limit).to_vec()
    }

    #[test]
    fn those_behind_a_neighbour_are_left_out() {
        // from 0: 1 and 2 in one direction, 3 in another, 4 almost as far from 1 as from 0
        let rows = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [-0.5, 3.2]];
        let store = Rows::new(rows.iter().map(|row| row.to_vec()).collect());
        assert_eq!(choose(&store, 0, &[1, 2, 3, 4], 10, 4), [1, 3]);
        assert_eq!(choose(&store, 0, &[4, 3, 2, 1], 2, 4), [1], "the farther ones are no candidates");
        assert_eq!(choose(&store, 0, &[3, 2], 10, 1), [2], "the limit");
        assert_eq!(choose(&store, 0, &[], 10, 4), [] as [u32; 0]);
    }

    #[test]
    fn a_quarter_is_filled_up_with_the_nearest() {
        let store = Rows::new((0..12).map(|i| vec![i as f32]).collect());
        let others: Vec<u32> = (1..12).collect();
        assert_eq!(choose(&store, 0, &others, 11, 16), [1, 2, 3, 4]);
        assert_eq!(choose(&store, 0, &others, 2, 16), [1, 2]);
    }

    #[test]
    fn rows_that_are_alike_link_those_behind_them() {
        let store = Rows::new(vec![vec![1.0, 2.0]; 10]);
        let others = |own: u32| (0..10).filter(|slot| *slot != own).collect::<Vec<u32>>();
        assert_eq!(choose(&store, 4, &others(4), 10, 8), [5, 6]);
        assert_eq!(choose(&store, 8, &others(8), 10, 8), [9, 0]);
    }

    #[test]
    fn the_chosen_are_what_one_comparison_after_the_other_gives() {
        let store = clustered(80, 6, 5, 3);
        for own in 0..20 {
            let others: Vec<u32> = (0..80).filter(|slot| *slot != own).collect();
            let mut near: Vec<Neighbor> = others
                .iter()
                .map(|slot| Neighbor { distance: store.between(own, *slot), slot: *slot })
                .collect();
            near.sort_unstable();
            let mut expected: Vec<u32> = Vec::new();
            for candidate in near {
                let is_near =
                    |chosen: &u32| ALPHA * store.between(*chosen, candidate.slot) <= candidate.distance;
                if expected.len() < 12 && !expected.iter().any(is_near) {
                    expected.push(candidate.slot);
                }
            }
            let chosen = choose(&store, own, &others, 80, 12);
            assert!(
                chosen.starts_with(&expected) && chosen.len() == expected.len().max(3),
                "{chosen:?} {expected:?}"
            );
        }
    }
}
