//! Rows and the leaders nearest to them.

use vectra_core::env::in_parallel;
use vectra_core::scorer::{Scorer, VectorStore};

use crate::params::mix;

/// The most leaders at a time; every row is compared with each.
const LEADERS_MAX: usize = 8192;

/// No leader: there are fewer than a row is to join.
const NOBODY: u16 = u16::MAX;

/// Leaders drawn from rows, and for each row those nearest to it.
pub(super) struct Split {
    leaders: Vec<u32>,
    joins: usize,
    /// Numbers of leaders, `joins` for each row, the nearest first.
    joined: Vec<u16>,
}

impl Split {
    /// Draws about `leaders` of the rows at `slots` by `seed` and lets every row join the nearest `joins` of them.
    pub(super) fn new<V: VectorStore>(
        store: &V,
        slots: &[u32],
        leaders: usize,
        joins: usize,
        seed: u64,
        threads: usize,
    ) -> Self {
        let leaders = draw(slots, leaders.min(LEADERS_MAX), seed);
        let chunks: Vec<&[u32]> = slots.chunks(slots.len().div_ceil(threads).max(1)).collect();
        let joined = in_parallel(chunks.len(), |at| join(store, chunks[at], &leaders, joins));
        Self { leaders, joins, joined: joined.concat() }
    }

    /// What joined each leader as one of its nearest `joins`: `label` of each of `rows`, in this order.
    pub(super) fn parts(&self, joins: usize, rows: &[u32], label: impl Fn(usize) -> u32) -> Vec<Vec<u32>> {
        let of = |row: &u32| {
            let joined = &self.joined[*row as usize * self.joins..][..joins];
            joined.iter().filter(|leader| **leader != NOBODY).map(|leader| usize::from(*leader))
        };
        let mut counts = vec![0; self.leaders.len()];
        rows.iter().flat_map(of).for_each(|leader| counts[leader] += 1);
        let mut parts: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
        for (at, row) in rows.iter().enumerate() {
            of(row).for_each(|leader| parts[leader].push(label(at)));
        }
        parts
    }

    /// The rows in an order in which near ones are near to each other: leader by leader, each of these being the nearest to the
    /// one before it of those that are left.
    pub(super) fn order<V: VectorStore>(&self, store: &V) -> Vec<u32> {
        let rows: Vec<u32> = (0..(self.joined.len() / self.joins) as u32).collect();
        let parts = self.parts(1, &rows, |row| row as u32);
        let mut order = Vec::with_capacity(rows.len());
        let mut left: Vec<u32> = (0..self.leaders.len() as u32).collect();
        let mut next = 0;
        while !left.is_empty() {
            let leader = left.swap_remove(next);
            order.extend_from_slice(&parts[leader as usize]);
            let mut scorer = store.bind_slot(self.leaders[leader as usize]);
            let distances = left.iter().map(|other| scorer.score(self.leaders[*other as usize]));
            next = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
        }
        order
    }
}

/// The numbers of the nearest `joins` of `leaders`, which ascend, for each of `slots`. A leader joins itself first.
fn join<V: VectorStore>(store: &V, slots: &[u32], leaders: &[u32], joins: usize) -> Vec<u16> {
    let mut joined = vec![NOBODY; slots.len() * joins];
    store.nearest_among(slots, leaders, joins, &mut |i, nearest| {
        let near = nearest.iter().map(|near| leaders.binary_search(&near.slot).expect("one of the leaders"));
        let own = leaders.binary_search(&slots[i]).ok();
        let places = joined[i * joins..][..joins].iter_mut();
        places.zip(own.into_iter().chain(near)).for_each(|(place, leader)| *place = leader as u16);
    });
    joined
}

/// About `count` of the slots, ascending, drawn by `seed`.
fn draw(slots: &[u32], count: usize, seed: u64) -> Vec<u32> {
    let pick = |i: usize| slots[(mix(seed ^ mix(i as u64)) % slots.len() as u64) as usize];
    let mut drawn: Vec<u32> = (0..count).map(pick).collect();
    drawn.sort_unstable();
    drawn.dedup();
    drawn
}
