//! Which candidates become neighbours: the near ones that lie in different directions.

use vectra_core::Neighbor;
use vectra_core::scorer::{Scorer, VectorStore};

/// The candidates of a list and, after [`Selection::diverse`], those chosen; memory is reused.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) candidates: Vec<Neighbor>,
    pub(crate) chosen: Vec<Neighbor>,
    pruned: Vec<Neighbor>,
}

impl Selection {
    /// Chooses at most `limit` of the candidates, which are sorted by their distance to the base.
    ///
    /// The heuristic of Malkov and Yashunin (2018, algorithm 4): a candidate is dropped when one already chosen is at
    /// least as near to it as the base is, so that links spread over directions and clusters stay connected. At least
    /// half of `limit` is kept, filled up with the nearest dropped ones: sparse lists strand rows.
    /// `slot_of` tells the slot of a candidate's node.
    pub(crate) fn diverse<V: VectorStore>(&mut self, store: &V, limit: usize, slot_of: impl Fn(u32) -> u32) {
        let Self { candidates, chosen, pruned } = self;
        chosen.clear();
        pruned.clear();
        // The chosen are bound and not the candidates: binding can cost more than scoring, and these are fewer.
        let mut scorers: Vec<V::Scorer<'_>> = Vec::with_capacity(limit);
        for candidate in candidates.iter() {
            if chosen.len() == limit {
                break;
            }
            let slot = slot_of(candidate.slot);
            if scorers.iter_mut().any(|scorer| scorer.score(slot) <= candidate.distance) {
                pruned.push(*candidate);
            } else {
                chosen.push(*candidate);
                scorers.push(store.bind_slot(slot));
            }
        }
        let missing = (limit / 2).saturating_sub(chosen.len());
        chosen.extend(pruned.iter().take(missing));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::Rows;

    fn select(rows: Vec<Vec<f32>>, limit: usize) -> Vec<u32> {
        let store = Rows::new(rows);
        let mut selection = Selection::default();
        let all = (1..store.len() as u32).map(|slot| Neighbor { distance: store.between(0, slot), slot });
        selection.candidates.extend(all);
        selection.candidates.sort();
        selection.diverse(&store, limit, |slot| slot);
        selection.chosen.iter().map(|n| n.slot).collect()
    }

    #[test]
    fn one_per_direction_then_the_nearest_dropped() {
        // the base at 0; near ones to the right, a far one to the left
        let rows = vec![vec![0.0], vec![1.0], vec![1.5], vec![2.0], vec![-9.0], vec![3.0]];
        assert_eq!(select(rows.clone(), 2), [1, 4]);
        assert_eq!(select(rows.clone(), 4), [1, 4]);
        assert_eq!(select(rows, 6), [1, 4, 2], "half of the limit is filled");
    }

    #[test]
    fn duplicates_do_not_crowd_out_the_rest() {
        let mut rows = vec![vec![0.0, 0.0]; 20];
        rows.extend([vec![5.0, 0.0], vec![0.0, 5.0]]);
        let chosen = select(rows, 8);
        assert!(chosen.contains(&1), "one of the duplicates");
        assert_eq!(chosen.len(), 4, "filled to half with duplicates: {chosen:?}");
    }

    proptest! {
        #[test]
        fn chosen_are_candidates_and_within_the_limit(
            rows in proptest::collection::vec(proptest::collection::vec(-9i8..9, 2), 1..40), limit in 1usize..16,
        ) {
            let rows: Vec<Vec<f32>> = rows.iter().map(|r| r.iter().map(|x| f32::from(*x)).collect()).collect();
            let count = rows.len();
            let mut chosen = select(rows, limit);
            prop_assert!(chosen.len() <= limit);
            prop_assert!(chosen.len() >= (limit / 2).min(count - 1));
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert!(chosen.iter().all(|s| (1..count as u32).contains(s)));
            prop_assert!(count == 1 || !chosen.is_empty() || limit / 2 == 0);
        }
    }
}
