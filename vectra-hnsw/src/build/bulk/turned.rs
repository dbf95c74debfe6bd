//! Links turned round: who chose a node.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::graph::{Graph, NONE};

/// For each node of a layer those that link it, four bytes a link.
pub(super) struct Turned {
    /// Where the list of a node ends; it begins where that of the node before it ends.
    ends: Vec<AtomicU64>,
    sources: Vec<AtomicU32>,
}

impl Turned {
    /// Turns the links of nodes below `count`; `each` calls for every one of them, from threads of its choice, or gives `None`
    /// if the build is to stop.
    pub(super) fn of(
        graph: &Graph,
        layer: usize,
        count: usize,
        each: impl Fn(&(dyn Fn(u32) + Sync)) -> Option<()>,
    ) -> Option<Self> {
        let ends: Vec<AtomicU64> = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        let next = |link: &u32| ends[*link as usize].fetch_add(1, Relaxed);
        each(&|node| graph.read(layer, node, &mut [NONE; 64]).iter().for_each(|link| _ = next(link)))?;
        let mut total = 0;
        for end in &ends {
            let links = end.load(Relaxed);
            end.store(total, Relaxed);
            total += links;
        }
        let sources: Vec<AtomicU32> =
            std::iter::repeat_with(AtomicU32::default).take(total as usize).collect();
        // Each list grows from its beginning to its end, in any order.
        each(&|node| {
            let mut buffer = [NONE; 64];
            let links = graph.read(layer, node, &mut buffer);
            links.iter().for_each(|link| sources[next(link) as usize].store(node, Relaxed));
        })?;
        Some(Self { ends, sources })
    }

    /// Those that link `node`, in no order.
    pub(super) fn sources(&self, node: u32) -> impl Iterator<Item = u32> {
        let node = node as usize;
        let begin = if node == 0 { 0 } else { self.ends[node - 1].load(Relaxed) };
        let list = &self.sources[begin as usize..self.ends[node].load(Relaxed) as usize];
        list.iter().map(|source| source.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;

    #[test]
    fn who_links_a_node_is_found() {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(50);
        // 0 links nobody, and nobody links 49
        for node in 1..50_u32 {
            graph.write(
                0,
                node,
                (0..node % 8).map(|i| (node * 7 + i * 5) % 49).collect::<Vec<_>>().into_iter(),
            );
        }
        let turned = Turned::of(&graph, 0, 50, |visit| {
            (0..50).rev().for_each(visit);
            Some(())
        });
        let turned = turned.expect("not stopped");
        for node in 0..50 {
            let mut sources: Vec<u32> = turned.sources(node).collect();
            sources.sort_unstable();
            let links = |other: &u32| graph.read(0, *other, &mut [NONE; 64]).contains(&node);
            assert_eq!(sources, (0..50).filter(links).collect::<Vec<u32>>(), "node {node}");
        }
        assert_eq!(turned.sources(49).count(), 0);
    }

    #[test]
    fn a_stop_gives_nothing() {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(9);
        assert!(Turned::of(&graph, 0, 9, |_| None).is_none());
    }
}
