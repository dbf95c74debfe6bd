//! All rows at once, layer by layer, without a search: near rows meet in groups, where their distances are products of
//! matrices (`PiPNN`, Microsoft 2026, there with hashed reservoirs instead of bands).
//!
//! Rows are carved into groups ([`carve`]); what a row finds in its groups is gathered for a [`band`] of rows at a time and
//! pruned ([`prune`]); then the links are [`turned`] round, so that a row chooses among those that chose it, too
//! ([`layer`]). The result depends on the vectors and the parameters alone, not on the threads.

mod band;
mod carve;
mod groups;
mod layer;
mod prune;
mod shape;
mod split;
mod told;
mod turned;

use vectra_core::scorer::VectorStore;

use self::layer::Layer;
use self::shape::Shape;
use self::told::Told;
use crate::build::BuildError;
use crate::graph::{Graph, Links};

/// Links all rows of a graph without links, the entry being the first row of the highest level.
pub(crate) fn link_all<V: VectorStore>(
    graph: &mut Graph,
    store: &V,
    threads: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(), BuildError> {
    let Some(entry) = graph.highest() else { return Ok(()) };
    graph.entry = Some(entry);
    let graph = &*graph;
    let shape = Shape::of(&graph.params);
    let layers: Vec<Vec<u32>> = (0..=entry.level).map(|layer| slots_on(graph, layer)).collect();
    let nodes: u64 = layers.iter().map(|slots| slots.len() as u64).sum();
    let told = Told::new(u64::from(graph.rows()), shape.work() * nodes, progress);
    for (layer, slots) in layers.into_iter().enumerate().rev() {
        let layer =
            Layer { graph, store, number: layer, threads: threads.max(1), shape: &shape, told: &told };
        if layer.link(slots).is_none() {
            break;
        }
    }
    told.end()
}

/// The slots of the nodes on `layer`, ascending.
fn slots_on(graph: &Graph, layer: usize) -> Vec<u32> {
    if layer == 0 {
        return (0..graph.rows()).collect();
    }
    graph.uppers().iter().filter(|upper| upper.level as usize >= layer).map(|upper| upper.slot).collect()
}

#[cfg(test)]
mod tests;
