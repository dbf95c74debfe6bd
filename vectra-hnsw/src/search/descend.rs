//! From the entry down to layer 0: on each upper layer move to the nearest neighbour until none is nearer.

use vectra_core::Neighbor;
use vectra_core::index::SearchCounts;
use vectra_core::scorer::Scorer;

use crate::graph::{Buffer, Entry, Links};
use crate::scratch::Scratch;

/// Where a descent stands: an ordinal and the distance of its slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) ordinal: u32,
    pub(crate) distance: f32,
}

/// The nodes to start from on layer 0: the one the descent ends at and the entry.
///
/// The entry costs nothing, its distance is known, and from it every row can be reached.
pub(crate) fn descend<L: Links, S: Scorer>(
    links: &L,
    entry: Entry,
    scorer: &mut S,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
) -> [Neighbor; 2] {
    let top = Neighbor { distance: scorer.score(entry.slot), slot: entry.slot };
    counts.distances += 1;
    let mut at = At { ordinal: entry.ordinal, distance: top.distance };
    for layer in (1..=entry.level).rev() {
        at = greedy(links, layer, at, scorer, &mut scratch.near, counts);
    }
    let slot = if entry.level == 0 { None } else { links.slot_of(at.ordinal) };
    [slot.map_or(top, |slot| Neighbor { distance: at.distance, slot }), top]
}

/// Walks one upper layer downhill.
pub(crate) fn greedy<L: Links, S: Scorer>(
    links: &L,
    layer: usize,
    mut at: At,
    scorer: &mut S,
    buffer: &mut Buffer,
    counts: &mut SearchCounts,
) -> At {
    loop {
        let (mut slots, mut nodes, mut len) = ([0; 64], [0; 64], 0);
        for ordinal in links.upper(layer, at.ordinal, buffer) {
            let Some(slot) = links.slot_of(*ordinal) else { continue };
            (slots[len], nodes[len]) = (slot, *ordinal);
            len += 1;
        }
        nodes[..len].iter().for_each(|ordinal| links.fetch_upper(layer, *ordinal));
        let mut distances = [0.0; 64];
        scorer.score_all(&slots[..len], &mut distances[..len]);
        counts.hops += 1;
        counts.distances += len as u64;
        let mut best = at;
        for (ordinal, distance) in nodes[..len].iter().zip(distances) {
            if distance < best.distance {
                best = At { ordinal: *ordinal, distance };
            }
        }
        if best.ordinal == at.ordinal {
            return at;
        }
        at = best;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::graph::Graph;
    use crate::store::Rows;
    use vectra_core::scorer::VectorStore;

    #[test]
    fn the_descent_ends_at_the_local_minimum_of_layer_one() {
        let store = Rows::new((0..200).map(|i| vec![i as f32]).collect());
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(200);
        let uppers: Vec<u32> = graph.uppers().iter().map(|u| u.slot).collect();
        // layer 1 as a chain along the line
        for o in 0..uppers.len() as u32 {
            let chain = [o.checked_sub(1), (o as usize + 1 < uppers.len()).then_some(o + 1)];
            graph.write(1, o, chain.into_iter().flatten().collect::<Vec<_>>().into_iter());
        }
        let entry = Entry { level: 1, ..graph.entry_at(uppers[0]) };
        let query = [uppers[uppers.len() / 2] as f32];
        let mut counts = SearchCounts::default();
        let starts = descend(&graph, entry, &mut store.bind(&query), &mut Scratch::default(), &mut counts);
        assert_eq!(starts[0], Neighbor { distance: 0.0, slot: uppers[uppers.len() / 2] });
        assert_eq!(starts[1].slot, uppers[0]);
        assert_eq!(counts.hops as usize, uppers.len() / 2 + 1);
    }
}
