//! The lists of one layer: first what a row found, then those that found it.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use vectra_core::env::in_parallel;
use vectra_core::scorer::VectorStore;

use super::band::Band;
use super::carve::{Carved, Carver};
use super::prune::Pruner;
use super::shape::Shape;
use super::told::Told;
use super::turned::Turned;
use crate::build::link::slot_on;
use crate::graph::{Graph, Links, NONE};
use crate::params::mix;

/// Rows that a thread takes at a time.
const BLOCK: usize = 256;

/// A layer without links.
pub(super) struct Layer<'a, V> {
    pub(super) graph: &'a Graph,
    pub(super) store: &'a V,
    pub(super) number: usize,
    pub(super) threads: usize,
    pub(super) shape: &'a Shape,
    pub(super) told: &'a Told<'a>,
}

/// What a thread works with.
#[derive(Default)]
struct Scratch {
    pruner: Pruner,
    members: Vec<u32>,
    columns: Vec<u32>,
}

impl<V: VectorStore> Layer<'_, V> {
    /// Links the nodes at `slots`, which ascend; `None` if the build is to stop.
    pub(super) fn link(&self, slots: Vec<u32>) -> Option<()> {
        let order = self.find(slots)?;
        self.merge(&order)
    }

    /// Gives each row the best of those that it meets in its groups; returns the slots in an order in which near ones are
    /// near to each other.
    fn find(&self, slots: Vec<u32>) -> Option<Vec<u32>> {
        let all = slots.len() <= self.shape.all;
        let carved = if all { Carved::whole(slots) } else { self.carve(slots)? };
        let taken = if all { self.shape.kept } else { self.shape.taken };
        let capacity = if all { taken } else { taken * self.shape.joins };
        let rows = carved.order.len();
        let band_rows = (self.shape.band / capacity).min(rows);
        let mut band = Band::new(band_rows, capacity);
        for first in (0..rows).step_by(band_rows.max(1)) {
            band.begin(first as u32..rows.min(first + band_rows) as u32);
            self.meet(&carved, &band, taken)?;
            self.choose(&carved.order, &band)?;
        }
        Some(carved.order)
    }

    fn carve(&self, slots: Vec<u32>) -> Option<Carved> {
        let Self { store, shape, threads, told, .. } = *self;
        let seed = mix(self.graph.params.seed ^ mix(self.number as u64));
        Carver { store, shape, threads, told }.carve(slots, seed)
    }

    /// Lets the rows of a band meet the members of their groups and take the nearest of each.
    fn meet(&self, carved: &Carved, band: &Band, taken: usize) -> Option<()> {
        let (order, positions) = (&carved.order, band.positions());
        self.each(carved.groups.len(), 1, |scratch, groups| {
            let Scratch { members, columns, pruner } = scratch;
            if !carved.groups.touches(groups.start, &positions) {
                return 0;
            }
            carved.groups.read(groups.start, members);
            let within = members.partition_point(|position| *position < positions.start)
                ..members.partition_point(|position| *position < positions.end);
            columns.clear();
            columns.extend(members.iter().map(|position| order[*position as usize]));
            pruner.slots.clear();
            pruner.slots.extend_from_slice(&columns[within.clone()]);
            let rows = &members[within];
            let give = &mut |i: usize, near: &[_]| band.add(rows[i], near);
            self.store.nearest_among(&pruner.slots, columns, taken, give);
            rows.len() as u64
        })
    }

    /// Writes the lists of the rows of a band: the diverse ones of what they found.
    fn choose(&self, order: &[u32], band: &Band) -> Option<()> {
        let limit = self.graph.params.degree_max(self.number);
        let positions = band.positions();
        self.each(positions.len(), BLOCK, |scratch, block| {
            let work = (block.len() * self.shape.joins) as u64;
            for position in block.map(|i| positions.start + i as u32) {
                let slot = order[position as usize];
                band.read(position, &mut scratch.pruner.slots);
                let chosen = scratch.pruner.choose(self.store, slot, self.shape.kept, limit);
                self.graph.write(
                    self.number,
                    self.node_of(slot),
                    chosen.iter().map(|near| self.node_of(*near)),
                );
            }
            work
        })
    }

    /// Makes those that a row was chosen by candidates of the row, too, beside its neighbours.
    fn merge(&self, order: &[u32]) -> Option<()> {
        let nodes = if self.number == 0 { self.graph.rows() as usize } else { self.graph.uppers().len() };
        let turned = Turned::of(self.graph, self.number, nodes, |visit| {
            self.each(order.len(), BLOCK, |_, block| {
                order[block].iter().for_each(|slot| visit(self.node_of(*slot)));
                0
            })
        })?;
        let limit = self.graph.params.degree_max(self.number);
        self.each(order.len(), BLOCK, |scratch, block| {
            let work = (block.len() * self.shape.joins) as u64;
            for slot in &order[block] {
                let (node, slots) = (self.node_of(*slot), &mut scratch.pruner.slots);
                let mut buffer = [NONE; 64];
                let own = self.graph.read(self.number, node, &mut buffer);
                slots.clear();
                slots.extend(own.iter().copied().chain(turned.sources(node)).map(|node| self.slot_of(node)));
                slots.sort_unstable();
                slots.dedup();
                let chosen = scratch.pruner.choose(self.store, *slot, self.shape.kept, limit);
                self.graph.write(self.number, node, chosen.iter().map(|near| self.node_of(*near)));
            }
            work
        })
    }

    /// Does `work` for `0..count` in blocks that threads take; it returns what is to be told. `None` if the build is to stop.
    fn each(
        &self,
        count: usize,
        block: usize,
        work: impl Fn(&mut Scratch, Range<usize>) -> u64 + Sync,
    ) -> Option<()> {
        let next = AtomicUsize::new(0);
        let ends = in_parallel(self.threads, |_| {
            let mut scratch = Scratch::default();
            loop {
                let first = next.fetch_add(block, Relaxed);
                if first >= count {
                    return Some(());
                }
                self.told.add(work(&mut scratch, first..count.min(first + block)))?;
            }
        });
        ends.into_iter().collect()
    }

    fn node_of(&self, slot: u32) -> u32 {
        if self.number == 0 { slot } else { self.graph.entry_at(slot).ordinal }
    }

    fn slot_of(&self, node: u32) -> u32 {
        slot_on(self.graph, self.number, node)
    }
}
