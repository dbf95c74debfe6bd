//! Links back: a new node enters the lists of its neighbours, which are thinned out when they overflow.

use vectra_core::Neighbor;
use vectra_core::scorer::{Scorer, VectorStore};

use crate::build::select::Selection;
use crate::graph::{Graph, Links, NONE};

/// The slot of a node on `layer`.
pub(crate) fn slot_on(graph: &Graph, layer: usize, node: u32) -> u32 {
    if layer == 0 { node } else { graph.slot_of(node).expect("ordinals of a graph being built have slots") }
}

/// Gives `node` its list and enters it into the list of each neighbour.
pub(crate) fn connect<V: VectorStore>(
    graph: &Graph,
    store: &V,
    layer: usize,
    node: u32,
    neighbours: &[Neighbor],
    selection: &mut Selection,
) {
    {
        let _guard = graph.lock(node);
        graph.write(layer, node, neighbours.iter().map(|n| n.slot));
    }
    for neighbour in neighbours {
        enter(graph, store, layer, neighbour.slot, Neighbor { slot: node, ..*neighbour }, selection);
    }
}

/// Adds `new` to the list of `owner`.
fn enter<V: VectorStore>(
    graph: &Graph,
    store: &V,
    layer: usize,
    owner: u32,
    new: Neighbor,
    selection: &mut Selection,
) {
    let degree_max = graph.params.degree_max(layer);
    let mut buffer = [NONE; 64];
    let _guard = graph.lock(owner);
    let links = graph.read(layer, owner, &mut buffer);
    if links.len() < degree_max {
        graph.write(layer, owner, Appended { links, new: Some(new.slot) });
        return;
    }
    let mut scorer = store.bind_slot(slot_on(graph, layer, owner));
    selection.candidates.clear();
    selection.candidates.push(new);
    selection.candidates.extend(
        links
            .iter()
            .map(|node| Neighbor { distance: scorer.score(slot_on(graph, layer, *node)), slot: *node }),
    );
    selection.candidates.sort_unstable();
    selection.diverse(store, degree_max, |node| slot_on(graph, layer, node));
    graph.write(layer, owner, selection.chosen.iter().map(|n| n.slot));
}

/// A list with one more at its end.
struct Appended<'a> {
    links: &'a [u32],
    new: Option<u32>,
}

impl Iterator for Appended<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self.links.split_first() {
            Some((first, rest)) => {
                self.links = rest;
                Some(*first)
            }
            None => self.new.take(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.links.len() + usize::from(self.new.is_some());
        (len, Some(len))
    }
}

impl ExactSizeIterator for Appended<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::store::Rows;

    #[test]
    fn a_full_list_is_thinned_and_keeps_its_directions() {
        // node 0 in the middle of a circle of 8, then a ninth far outside in the direction of node 1
        let mut rows = vec![vec![0.0, 0.0]];
        rows.extend(
            (0..8).map(|i| (i as f32 * std::f32::consts::FRAC_PI_4).sin_cos()).map(|(y, x)| vec![x, y]),
        );
        rows.push(vec![3.0, 0.0]);
        let store = Rows::new(rows);
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(10);
        let mut selection = Selection::default();
        let near = [Neighbor { distance: 1.0, slot: 0 }];
        for node in 1..=8 {
            connect(&graph, &store, 0, node, &near, &mut selection);
        }
        let mut buffer = [0; 64];
        assert_eq!(graph.read(0, 0, &mut buffer), &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(graph.read(0, 5, &mut buffer), &[0]);
        connect(&graph, &store, 0, 9, &[Neighbor { distance: 9.0, slot: 0 }], &mut selection);
        let links = graph.read(0, 0, &mut buffer);
        assert!(links.len() < 9 && links.len() >= 4, "thinned: {links:?}");
        assert!(!links.contains(&9), "behind node 1");
    }
}
