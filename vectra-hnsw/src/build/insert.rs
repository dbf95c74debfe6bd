//! One insertion (Malkov and Yashunin 2018, algorithm 1).

use vectra_core::index::SearchCounts;
use vectra_core::scorer::{Scorer, VectorStore};

use crate::build::link::{connect, slot_on};
use crate::build::select::Selection;
use crate::graph::{Entry, Graph, Links};
use crate::scratch::Scratch;
use crate::search::beam;
use crate::search::descend::{At, greedy};

/// Memory that insertions reuse; one per thread.
#[derive(Debug, Default)]
pub(crate) struct InsertScratch {
    pub(crate) search: Scratch,
    pub(crate) selection: Selection,
    /// The neighbours chosen on each layer.
    chosen: Vec<Vec<vectra_core::Neighbor>>,
    counts: SearchCounts,
}

/// Links `slot`, which the graph has room for and no links of, into a graph that has an entry (another slot).
///
/// All layers are searched before any is linked, and layer 0 is linked first: a node that another thread meets on some
/// layer has its links on all layers below.
pub(crate) fn insert<V: VectorStore>(
    graph: &Graph,
    store: &V,
    entry: Entry,
    slot: u32,
    scratch: &mut InsertScratch,
) {
    let new = graph.entry_at(slot);
    let top = new.level.min(entry.level);
    if scratch.chosen.len() <= top {
        scratch.chosen.resize_with(top + 1, Vec::new);
    }
    search_layers(graph, store, entry, new, scratch);
    for layer in 0..=top {
        let node = if layer == 0 { slot } else { new.ordinal };
        connect(graph, store, layer, node, &scratch.chosen[layer], &mut scratch.selection);
    }
}

fn search_layers<V: VectorStore>(
    graph: &Graph,
    store: &V,
    entry: Entry,
    new: Entry,
    scratch: &mut InsertScratch,
) {
    let InsertScratch { search, chosen, counts, .. } = scratch;
    let mut scorer = store.bind_slot(new.slot);
    let mut at = At { ordinal: entry.ordinal, distance: scorer.score(entry.slot) };
    for layer in (new.level + 1..=entry.level).rev() {
        at = greedy(graph, layer, at, &mut scorer, &mut search.near, counts);
    }
    for layer in (1..=new.level.min(entry.level)).rev() {
        search.visited.reset(graph.uppers().len());
        search.pool.reset(graph.params.ef());
        search.visited.insert(at.ordinal);
        search.visited.insert(new.ordinal);
        search.pool.insert(at.distance, at.ordinal);
        beam::beam_upper(graph, layer, &mut scorer, search, counts);
        if let Some(nearest) = search.pool.iter().next() {
            at = At { ordinal: nearest.slot, distance: nearest.distance };
        }
        choose(graph, store, layer, search, &mut scratch.selection, &mut chosen[layer]);
    }
    let slot = if entry.level == 0 { entry.slot } else { slot_on(graph, 1, at.ordinal) };
    search.visited.reset(graph.rows() as usize);
    search.pool.reset(graph.params.ef());
    search.visited.insert(slot);
    search.visited.insert(new.slot);
    search.pool.insert(at.distance, slot);
    beam::beam(graph, &mut scorer, search, counts);
    choose(graph, store, 0, search, &mut scratch.selection, &mut chosen[0]);
}

/// Selects neighbours from the pool.
fn choose<V: VectorStore>(
    graph: &Graph,
    store: &V,
    layer: usize,
    search: &Scratch,
    selection: &mut Selection,
    chosen: &mut Vec<vectra_core::Neighbor>,
) {
    selection.candidates.clear();
    selection.candidates.extend(search.pool.iter());
    selection.diverse(store, graph.params.m, |node| slot_on(graph, layer, node));
    chosen.clear();
    chosen.extend_from_slice(&selection.chosen);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::graph::NONE;
    use crate::store::clustered;

    #[test]
    fn an_insertion_links_both_ways_on_every_layer() {
        let store = clustered(300, 6, 5, 1);
        let mut graph = Graph::new(Params { m: 8, ..Params::default() });
        graph.grow(300);
        let entry = (0..300).map(|slot| graph.entry_at(slot)).max_by_key(|e| e.level).expect("some");
        let mut scratch = InsertScratch::default();
        let mut buffer = [NONE; 64];
        for slot in (0..300).filter(|slot| *slot != entry.slot) {
            insert(&graph, &store, entry, slot, &mut scratch);
            let links = graph.read(0, slot, &mut buffer).to_vec();
            assert!(!links.is_empty() && !links.contains(&slot), "slot {slot}: {links:?}");
            let back = links.iter().filter(|n| graph.read(0, **n, &mut buffer).contains(&slot)).count();
            assert!(back > 0, "somebody links back to slot {slot}");
        }
        for (ordinal, upper) in graph.uppers().iter().enumerate() {
            for layer in 1..=upper.level.min(entry.level as u32) {
                let alone = graph.uppers().iter().filter(|u| u.level >= layer).count() == 1;
                let links = graph.read(layer as usize, ordinal as u32, &mut buffer);
                assert!(alone || !links.is_empty(), "ordinal {ordinal} has links on layer {layer}");
                assert!(links.iter().all(|o| graph.uppers()[*o as usize].level >= layer));
            }
        }
    }
}
