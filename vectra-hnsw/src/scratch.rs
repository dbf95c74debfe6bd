//! Memory that a search reuses: which nodes it has seen, its candidates and the lists it is reading.

use vectra_core::Neighbor;
use vectra_core::pool::Pool;
use vectra_core::scorer::Expansion;

use crate::graph::Buffer;

/// Reusable memory of a search, one per thread; grows to the largest graph searched and allocates nothing after that.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) visited: Visited,
    pub(crate) pool: Pool,
    pub(crate) near: Buffer,
    /// Nodes taken from the pool whose neighbours are on their way from memory.
    pub(crate) flight: [Fresh; 2],
    /// Nodes that are not admitted and were not walked through yet, in the order they were met.
    pub(crate) frontier: Vec<u32>,
    /// Admitted slots to start a filtered search from.
    pub(crate) seeds: Vec<u32>,
    /// What a pool held while its capacity changes.
    pub(crate) held: Vec<Neighbor>,
    /// The neighbours of one node that are not admitted.
    pub(crate) bridges: Vec<u32>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            visited: Visited::default(),
            pool: Pool::default(),
            near: [0; 64],
            flight: Default::default(),
            frontier: Vec::new(),
            seeds: Vec::new(),
            held: Vec::new(),
            bridges: Vec::new(),
        }
    }
}

/// The neighbours of a node that were not visited before.
#[derive(Debug)]
pub(crate) struct Fresh {
    node: u32,
    slots: Buffer,
    len: usize,
    lanes: u64,
}

impl Default for Fresh {
    fn default() -> Self {
        Self { node: 0, slots: [0; 64], len: 0, lanes: 0 }
    }
}

impl Fresh {
    /// Takes those of `list`, the neighbours of `node`, that exist and were not visited, and marks them as visited.
    #[inline]
    pub(crate) fn take(&mut self, node: u32, list: &[u32], visited: &mut Visited) {
        (self.node, self.len, self.lanes) = (node, 0, 0);
        for (lane, slot) in list.iter().take(self.slots.len()).enumerate() {
            self.slots[self.len] = *slot;
            let is_new = visited.insert(*slot);
            self.len += usize::from(is_new);
            self.lanes |= u64::from(is_new) << lane;
        }
    }

    /// What is to be scored.
    #[inline]
    pub(crate) fn expansion(&self) -> Expansion<'_> {
        Expansion { node: self.node, slots: &self.slots[..self.len], lanes: self.lanes }
    }
}

/// Marks on the nodes `0..len`: untouched, queued, visited.
///
/// A byte per node holds the stamp of the search that marked it, so that a new search begins by raising the stamp; the
/// bytes are cleared once in 127 searches. One byte more stands for all nodes that do not exist, and is always visited.
#[derive(Debug, Default)]
pub(crate) struct Visited {
    stamps: Vec<u8>,
    len: usize,
    /// The stamp of a queued node; a visited one has the next.
    queued: u8,
}

impl Visited {
    /// Unmarks everything and covers `0..len`.
    pub(crate) fn reset(&mut self, len: usize) {
        if self.stamps.len() <= len {
            self.stamps.resize(len + 1, 0);
        }
        self.len = len;
        if self.queued >= u8::MAX - 2 {
            self.stamps.fill(0);
            self.queued = 0;
        }
        self.queued += 2;
        self.stamps[len] = self.queued + 1;
    }

    /// Marks `node` as visited; whether it exists and was not visited before.
    #[inline]
    pub(crate) fn insert(&mut self, node: u32) -> bool {
        let visited = self.queued + 1;
        // No branch: half of the nodes of a list were visited before, and which ones cannot be foreseen.
        let stamp = &mut self.stamps[(node as usize).min(self.len)];
        let is_new = *stamp != visited;
        *stamp = visited;
        is_new
    }

    /// Marks `node` as queued; whether it exists and was neither queued nor visited before.
    pub(crate) fn queue(&mut self, node: u32) -> bool {
        let stamp = &mut self.stamps[(node as usize).min(self.len)];
        let is_new = *stamp < self.queued;
        *stamp = self.queued.max(*stamp);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stamps_survive_their_wrap() {
        let mut visited = Visited::default();
        for round in 0..1000_u32 {
            visited.reset(10);
            assert!(visited.insert(round % 10), "nothing is left over in round {round}");
            assert!(!visited.insert(round % 10));
            assert!(visited.queue((round + 1) % 10));
        }
    }

    #[test]
    fn nodes_beyond_the_graph_do_not_exist_even_when_the_memory_is_larger() {
        let mut visited = Visited::default();
        visited.reset(100);
        visited.reset(10);
        assert!(!visited.insert(10) && !visited.queue(50) && !visited.insert(u32::MAX));
        assert!(visited.insert(9));
    }

    proptest! {
        #[test]
        fn behaves_like_two_sets(steps in proptest::collection::vec((any::<bool>(), 0u32..12), 0..60)) {
            let mut visited = Visited::default();
            visited.reset(10);
            let (mut queued, mut seen) = (HashSet::new(), HashSet::new());
            for (queue, node) in steps {
                let exists = node < 10;
                if queue {
                    let expected = exists && !queued.contains(&node) && !seen.contains(&node);
                    prop_assert_eq!(visited.queue(node), expected);
                    if exists { queued.insert(node); }
                } else {
                    prop_assert_eq!(visited.insert(node), exists && !seen.contains(&node));
                    if exists { seen.insert(node); }
                }
            }
        }
    }
}
