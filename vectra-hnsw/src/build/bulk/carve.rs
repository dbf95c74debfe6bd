//! Cutting rows into small overlapping groups of near rows, in which everything can be compared with everything.
//!
//! Random ball carving (`PiPNN`, Microsoft 2026): some rows are drawn as leaders and every row joins the groups of the
//! leaders nearest to it; groups that are too large are carved again. A row's neighbours are missed only if they share
//! none of its groups. Where rows are many they join cells first, and groups within these.

use vectra_core::scorer::VectorStore;

use super::groups::Groups;
use super::shape::Shape;
use super::split::Split;
use super::told::Told;
use crate::params::mix;

/// Rows in groups.
#[derive(Default)]
pub(super) struct Carved {
    /// The slots in an order in which near ones are near to each other.
    pub(super) order: Vec<u32>,
    /// Groups of positions in that order.
    pub(super) groups: Groups,
}

impl Carved {
    /// All in one group.
    pub(super) fn whole(order: Vec<u32>) -> Self {
        let mut groups = Groups::default();
        groups.push_some(&(0..order.len() as u32).collect::<Vec<u32>>());
        Self { order, groups }
    }
}

/// What cuts rows into groups.
pub(super) struct Carver<'a, V> {
    pub(super) store: &'a V,
    pub(super) shape: &'a Shape,
    pub(super) threads: usize,
    pub(super) told: &'a Told<'a>,
}

impl<V: VectorStore> Carver<'_, V> {
    /// Carves the rows at `slots`, which are distinct, by a seed; `None` if the build is to stop.
    pub(super) fn carve(&self, slots: Vec<u32>, seed: u64) -> Option<Carved> {
        let Shape { joins, cell, cells, .. } = *self.shape;
        if slots.len() <= cell {
            let members = (0..slots.len() as u32).collect();
            let mut carved = Carved { order: slots, groups: Groups::default() };
            self.cut(&mut carved, members, joins, seed)?;
            return Some(carved);
        }
        let split = self.split(&slots, (slots.len() * cells).div_ceil(cell), cells, seed);
        let rows = split.order(self.store);
        let members = split.parts(cells, &rows, |at| at as u32);
        let order = rows.into_iter().map(|row| slots[row as usize]).collect();
        drop((split, slots));
        let mut carved = Carved { order, groups: Groups::default() };
        for (number, members) in members.into_iter().enumerate() {
            self.cut(&mut carved, members, joins / cells, mix(seed ^ mix(number as u64)))?;
        }
        Some(carved)
    }

    /// Cuts `members`, ascending positions, into groups of which each joins `joins`.
    fn cut(&self, carved: &mut Carved, members: Vec<u32>, joins: usize, seed: u64) -> Option<()> {
        let Shape { group, group_max, .. } = *self.shape;
        if members.len() <= group {
            carved.groups.push_some(&members);
            return Some(());
        }
        let slots: Vec<u32> = members.iter().map(|position| carved.order[*position as usize]).collect();
        let leaders = (members.len() * joins).div_ceil(group).max(joins + 1);
        let split = self.split(&slots, leaders, joins, seed);
        let rows: Vec<u32> = (0..members.len() as u32).collect();
        self.told.add((members.len() * joins) as u64)?;
        for (number, part) in split.parts(joins, &rows, |at| members[at]).into_iter().enumerate() {
            if part.len() <= group_max {
                carved.groups.push_some(&part);
            } else if part.len() > members.len() / 2 {
                // Little tells these rows apart, or nothing, as equal ones: any cut is as good as another.
                let pieces = part.len().div_ceil(group_max);
                part.chunks(part.len().div_ceil(pieces)).for_each(|piece| carved.groups.push_some(piece));
            } else {
                self.cut(carved, part, 1, mix(seed ^ mix(number as u64)))?;
            }
        }
        Some(())
    }

    fn split(&self, slots: &[u32], leaders: usize, joins: usize, seed: u64) -> Split {
        Split::new(self.store, slots, leaders, joins, seed, self.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::store::{Rows, clustered};

    fn shape() -> Shape {
        let default = Shape::of(&Params::default());
        Shape { joins: 8, group: 20, group_max: 60, cells: 4, cell: 300, ..default }
    }

    fn carved(store: &Rows, shape: &Shape, threads: usize) -> (Vec<u32>, Vec<Vec<u32>>) {
        let told = Told::new(1, u64::MAX, &|_| true);
        let slots = (0..store.len() as u32).collect();
        let carved = Carver { store, shape, threads, told: &told }.carve(slots, 9).expect("not stopped");
        let mut groups = vec![Vec::new(); carved.groups.len()];
        groups.iter_mut().enumerate().for_each(|(at, group)| carved.groups.read(at, group));
        (carved.order, groups)
    }

    /// Checks what a carving promises, and that every row has company.
    fn check(store: &Rows, shape: &Shape) {
        let (order, groups) = carved(store, shape, 1);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..store.len() as u32), "every slot has one position");
        let mut joined = vec![0; order.len()];
        for group in &groups {
            assert!((2..=shape.group_max).contains(&group.len()), "a group of {}", group.len());
            group.iter().for_each(|position| joined[*position as usize] += 1);
        }
        assert!(joined.iter().all(|count| (1..=shape.joins).contains(count)), "{joined:?}");
        assert_eq!((order, groups), carved(store, shape, 3), "whatever the threads");
    }

    #[test]
    fn every_row_is_in_a_group_and_in_no_more_than_it_may_join() {
        // without and with cells, and groups that are too large
        for rows in [61, 250, 1500] {
            check(&clustered(rows, 5, 7, 2), &shape());
        }
        check(&clustered(900, 3, 2, 2), &Shape { group: 30, group_max: 31, ..shape() });
        check(&clustered(900, 3, 2, 2), &Shape { cells: 2, cell: 64, joins: 6, ..shape() });
    }

    #[test]
    fn rows_that_nothing_tells_apart_are_cut_all_the_same() {
        check(&Rows::new(vec![vec![1.0, 2.0]; 1000]), &shape());
        let mut some = vec![vec![0.0, 0.0]; 700];
        some.extend((0..300).map(|i| vec![i as f32, 1.0]));
        check(&Rows::new(some), &shape());
        check(&Rows::new((0..1000).map(|i| vec![i as f32]).collect()), &shape());
    }

    #[test]
    fn near_rows_are_near_in_the_order() {
        let store = clustered(1500, 5, 5, 2);
        let (order, _) = carved(&store, &shape(), 1);
        let changes = order.windows(2).filter(|pair| pair[0] % 5 != pair[1] % 5).count();
        assert!(changes < 300, "{changes} times the next row is of another cluster");
    }

    #[test]
    fn most_true_neighbours_share_a_group() {
        let store = clustered(1500, 6, 10, 4);
        let (order, groups) = carved(&store, &shape(), 1);
        let mut shared = 0;
        for position in (0..1500).step_by(30) {
            let slot = order[position as usize];
            let nearest = store.exact(store.row(slot), 6, &vectra_core::admit::All);
            for near in nearest.iter().filter(|near| near.slot != slot) {
                let other = order.iter().position(|slot| *slot == near.slot).expect("a position") as u32;
                let both = |group: &&Vec<u32>| group.contains(&position) && group.contains(&other);
                shared += u32::from(groups.iter().find(both).is_some());
            }
        }
        assert!(shared > 225, "{shared} of 250");
    }

    #[test]
    fn a_stop_gives_nothing() {
        let store = clustered(500, 5, 7, 2);
        let told = Told::new(500, 1, &|_| false);
        let carver = Carver { store: &store, shape: &shape(), threads: 2, told: &told };
        assert!(carver.carve((0..500).collect(), 1).is_none());
    }
}
