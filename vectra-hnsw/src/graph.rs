//! Adjacency: what a search needs to read, and the lists of a graph that is being built.
//!
//! On layer 0 a node is its slot. Above it a node is an *ordinal*, its position among the nodes that have upper layers:
//! the few of them stay dense, and a descent needs no look-up from slot to list.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};
use vectra_core::memory::prefetch;

use crate::params::Params;

/// Ends a list that is shorter than its stride.
pub(crate) const NONE: u32 = u32::MAX;

/// Memory for one neighbour list.
pub(crate) type Buffer = [u32; 64];

/// Where every search starts: a node on the highest layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its slot.
    pub(crate) slot: u32,
    /// Its ordinal; meaningless when `level` is 0.
    pub(crate) ordinal: u32,
    /// The highest layer there is.
    pub(crate) level: usize,
}

/// Read access to the layers of a graph, being built or frozen.
pub(crate) trait Links {
    /// How many slots layer 0 has.
    fn rows(&self) -> u32;

    /// The start of every search, `None` when the graph is empty.
    fn entry(&self) -> Option<Entry>;

    /// The slots linked from `slot` on layer 0; entries of damaged bytes may be out of range.
    fn base<'a>(&'a self, slot: u32, buffer: &'a mut Buffer) -> &'a [u32];

    /// Asks for the memory of the list of `slot` on layer 0 ahead of [`base`](Self::base); a slot that does not exist
    /// does no harm.
    fn fetch(&self, slot: u32);

    /// The ordinals linked from `ordinal` on `layer` >= 1; entries of damaged bytes may be out of range.
    fn upper<'a>(&'a self, layer: usize, ordinal: u32, buffer: &'a mut Buffer) -> &'a [u32];

    /// Asks for the memory of [`upper`](Self::upper) ahead of it.
    fn fetch_upper(&self, layer: usize, ordinal: u32);

    /// The slot of an ordinal, `None` if there is no such slot.
    fn slot_of(&self, ordinal: u32) -> Option<u32>;
}

/// How many locks guard the lists; a list's lock is chosen by its node.
const LOCKS: usize = 1024;

/// The lists of a graph that is being built.
///
/// Lists change under the lock of their node and are read without it: a reader may meet a half-changed list, which
/// holds ids of the old and the new one and nothing else.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) params: Params,
    pub(crate) entry: Option<Entry>,
    rows: u32,
    base: Vec<AtomicU32>,
    uppers: Vec<Upper>,
    upper_links: Vec<AtomicU32>,
    locks: Box<[Mutex<()>]>,
}

/// A node with lists above layer 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upper {
    pub(crate) slot: u32,
    pub(crate) level: u32,
    /// Position of its list of layer 1 in units of lists; those of the higher layers follow.
    first: u32,
}

impl Graph {
    pub(crate) fn new(params: Params) -> Self {
        let locks = (0..LOCKS).map(|_| Mutex::new(())).collect();
        Self {
            params,
            entry: None,
            rows: 0,
            base: Vec::new(),
            uppers: Vec::new(),
            upper_links: Vec::new(),
            locks,
        }
    }

    /// Makes room for `count` more nodes without links.
    ///
    /// # Panics
    /// If there would be more slots than a pool can tell apart.
    pub(crate) fn grow(&mut self, count: u32) {
        let rows = self.rows.checked_add(count).filter(|rows| *rows <= vectra_core::pool::SLOTS_MAX);
        let rows = rows.expect("a segment has at most 2^31 slots");
        let empty = |n: usize| std::iter::repeat_with(|| AtomicU32::new(NONE)).take(n);
        self.base.extend(empty(count as usize * self.params.stride(0)));
        for slot in self.rows..rows {
            let level = self.params.level_of(slot);
            if level > 0 {
                let first = (self.upper_links.len() / self.params.stride(1)) as u32;
                self.uppers.push(Upper { slot, level: level as u32, first });
                self.upper_links.extend(empty(level * self.params.stride(1)));
            }
        }
        self.rows = rows;
    }

    /// The entry that `slot` would be.
    pub(crate) fn entry_at(&self, slot: u32) -> Entry {
        // slots are added in ascending order
        match self.uppers.binary_search_by_key(&slot, |upper| upper.slot) {
            Ok(at) => Entry { slot, ordinal: at as u32, level: self.uppers[at].level as usize },
            Err(_) => Entry { slot, ordinal: NONE, level: 0 },
        }
    }

    /// The first slot of the highest level as the entry; `None` without rows.
    pub(crate) fn highest(&self) -> Option<Entry> {
        // The last of those that are equal is what `max_by_key` gives.
        let first = (self.rows > 0).then(|| self.entry_at(0));
        let uppers = self.uppers.iter().rev().map(|upper| self.entry_at(upper.slot));
        first.into_iter().chain(uppers).max_by_key(|entry| entry.level)
    }

    /// The nodes with upper layers, by ordinal.
    pub(crate) fn uppers(&self) -> &[Upper] {
        &self.uppers
    }

    /// The words of a list; `node` is a slot on layer 0 and an ordinal above.
    pub(crate) fn list(&self, layer: usize, node: u32) -> &[AtomicU32] {
        let stride = self.params.stride(layer);
        if layer == 0 {
            &self.base[node as usize * stride..][..stride]
        } else {
            let upper = self.uppers[node as usize];
            debug_assert!(layer <= upper.level as usize, "a node has lists up to its level");
            &self.upper_links[(upper.first as usize + layer - 1) * stride..][..stride]
        }
    }

    /// The links of a list.
    pub(crate) fn read<'a>(&self, layer: usize, node: u32, buffer: &'a mut Buffer) -> &'a [u32] {
        let list = self.list(layer, node);
        let mut len = 0;
        for (word, copy) in list.iter().zip(buffer.iter_mut()) {
            *copy = word.load(Relaxed);
            if *copy == NONE {
                break;
            }
            len += 1;
        }
        &buffer[..len]
    }

    /// Replaces a list. The caller holds its lock, or nobody else touches this list.
    pub(crate) fn write(&self, layer: usize, node: u32, links: impl ExactSizeIterator<Item = u32>) {
        let list = self.list(layer, node);
        debug_assert!(links.len() <= self.params.degree_max(layer), "degrees are bounded");
        for (word, link) in list.iter().zip(links.chain(std::iter::repeat(NONE))) {
            word.store(link, Relaxed);
        }
    }

    /// The lock under which a list may change.
    pub(crate) fn lock(&self, node: u32) -> MutexGuard<'_, ()> {
        self.locks[node as usize % LOCKS].lock()
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        (self.base.capacity() + self.upper_links.capacity()) * size_of::<AtomicU32>()
            + self.uppers.capacity() * size_of::<Upper>()
            + self.locks.len() * size_of::<Mutex<()>>()
    }
}

impl Links for Graph {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn entry(&self) -> Option<Entry> {
        self.entry
    }

    fn base<'a>(&'a self, slot: u32, buffer: &'a mut Buffer) -> &'a [u32] {
        self.read(0, slot, buffer)
    }

    fn fetch(&self, slot: u32) {
        prefetch(self.list(0, slot));
    }

    fn fetch_upper(&self, layer: usize, ordinal: u32) {
        prefetch(self.list(layer, ordinal));
    }

    fn upper<'a>(&'a self, layer: usize, ordinal: u32, buffer: &'a mut Buffer) -> &'a [u32] {
        self.read(layer, ordinal, buffer)
    }

    fn slot_of(&self, ordinal: u32) -> Option<u32> {
        self.uppers.get(ordinal as usize).map(|upper| upper.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_and_read_back() {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(40);
        graph.grow(60);
        let mut buffer = [0; 64];
        assert_eq!(graph.read(0, 99, &mut buffer), &[] as &[u32]);
        graph.write(0, 99, 1..9);
        assert_eq!(graph.read(0, 99, &mut buffer), &[1, 2, 3, 4, 5, 6, 7, 8]);
        graph.write(0, 99, 5..7);
        assert_eq!(graph.read(0, 99, &mut buffer), &[5, 6]);
        assert_eq!(graph.read(0, 98, &mut buffer), &[] as &[u32], "the neighbour's list is untouched");
    }

    #[test]
    fn upper_lists_do_not_overlap() {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(300);
        let lists: Vec<(usize, u32)> = (0..graph.uppers().len() as u32)
            .flat_map(|o| (1..=graph.uppers()[o as usize].level as usize).map(move |layer| (layer, o)))
            .collect();
        assert!(lists.iter().any(|(layer, _)| *layer > 1), "the sample has a second layer");
        for (i, (layer, ordinal)) in lists.iter().enumerate() {
            graph.write(*layer, *ordinal, std::iter::repeat_n(i as u32, 4));
        }
        let mut buffer = [0; 64];
        for (i, (layer, ordinal)) in lists.iter().enumerate() {
            assert_eq!(graph.read(*layer, *ordinal, &mut buffer), &[i as u32; 4]);
        }
        for (ordinal, upper) in graph.uppers().iter().enumerate() {
            let entry = graph.entry_at(upper.slot);
            assert_eq!((entry.ordinal as usize, entry.level), (ordinal, graph.params.level_of(upper.slot)));
        }
    }
}
