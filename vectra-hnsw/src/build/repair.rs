//! Rows that no walk on layer 0 finds: thinning a list can drop the only link to a row. They are linked again.

use vectra_core::Neighbor;
use vectra_core::index::SearchCounts;
use vectra_core::scorer::{Scorer, VectorStore};

use crate::build::insert::InsertScratch;
use crate::graph::{Entry, Graph, Links, NONE};
use crate::reach::Reached;
use crate::search::beam;

/// Links every row that cannot be reached on layer 0 from the entry to a near row that can; returns how many links that
/// took.
pub(crate) fn repair<V: VectorStore>(graph: &Graph, store: &V, scratch: &mut InsertScratch) -> usize {
    let Some(entry) = graph.entry else { return 0 };
    let mut reached = Reached::new(graph.rows());
    reached.walk(graph, entry.slot);
    let mut repaired = 0;
    for slot in 0..graph.rows() {
        if !reached.contains(slot) {
            nearest_reached(graph, store, entry, slot, scratch);
            attach(graph, slot, &scratch.selection.candidates);
            reached.walk(graph, slot);
            repaired += 1;
        }
    }
    repaired
}

/// Puts the reached rows nearest to `slot`, at least one, into the candidates.
fn nearest_reached<V: VectorStore>(
    graph: &Graph,
    store: &V,
    entry: Entry,
    slot: u32,
    scratch: &mut InsertScratch,
) {
    // Started at the entry alone and not where a descent ends, so that only reached rows can be met.
    let InsertScratch { search, selection, .. } = scratch;
    let mut scorer = store.bind_slot(slot);
    search.visited.reset(graph.rows() as usize);
    search.pool.reset(graph.params.ef());
    search.visited.insert(entry.slot);
    search.pool.insert(scorer.score(entry.slot), entry.slot);
    beam::beam(graph, &mut scorer, search, &mut SearchCounts::default());
    selection.candidates.clear();
    selection.candidates.extend(search.pool.iter());
}

/// Makes `slot` a neighbour of the nearest candidate with room. If none has room, `slot` is put between the nearest
/// candidate and that one's last neighbour, so that nothing reached is lost.
fn attach(graph: &Graph, slot: u32, candidates: &[Neighbor]) {
    let degree_max = graph.params.degree_max(0);
    let mut buffer = [NONE; 64];
    for candidate in candidates {
        let mut links = graph.read(0, candidate.slot, &mut buffer).to_vec();
        if links.len() < degree_max {
            links.push(slot);
            graph.write(0, candidate.slot, links.into_iter());
            return;
        }
    }
    let nearest = candidates.first().expect("the entry is a candidate").slot;
    let mut links = graph.read(0, nearest, &mut buffer).to_vec();
    let displaced = links.pop().expect("a full list is not empty");
    links.push(slot);
    graph.write(0, nearest, links.into_iter());
    let mut own = graph.read(0, slot, &mut buffer).to_vec();
    if !own.contains(&displaced) {
        own.truncate(degree_max - 1);
        own.push(displaced);
        graph.write(0, slot, own.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Params;
    use crate::build::parallel::insert_all;
    use crate::store::{Rows, clustered};

    fn unreached(graph: &Graph) -> usize {
        crate::reach::unreachable(graph).len()
    }

    fn built(store: &Rows) -> Graph {
        let mut graph = Graph::new(Params { m: 4, ef_construction: 30, ..Params::default() });
        graph.grow(store.len() as u32);
        insert_all(&mut graph, store, 1, &|_| true).expect("not stopped");
        graph
    }

    #[test]
    fn duplicates_and_lines_are_wholly_reachable() {
        let line = Rows::new((0..1000).map(|i| vec![i as f32, 2.0 * i as f32]).collect());
        let mut some = vec![vec![0.0, 0.0]; 500];
        some.extend((0..500).map(|i| vec![(i % 25) as f32, (i / 25) as f32]));
        for store in [Rows::new(vec![vec![1.0, 2.0]; 1000]), line, Rows::new(some)] {
            let graph = built(&store);
            repair(&graph, &store, &mut InsertScratch::default());
            assert_eq!(unreached(&graph), 0);
        }
    }

    #[test]
    fn rows_that_lost_all_links_are_linked_again() {
        let store = clustered(600, 4, 6, 3);
        let graph = built(&store);
        repair(&graph, &store, &mut InsertScratch::default());
        let entry = graph.entry.expect("rows").slot;
        let mut buffer = [NONE; 64];
        // everybody forgets the slots divisible by seven
        for slot in 0..600 {
            let kept: Vec<u32> = graph
                .read(0, slot, &mut buffer)
                .iter()
                .copied()
                .filter(|n| n % 7 != 0 || *n == entry)
                .collect();
            graph.write(0, slot, kept.into_iter());
        }
        assert!(unreached(&graph) > 50);
        assert!(repair(&graph, &store, &mut InsertScratch::default()) > 0);
        assert_eq!(unreached(&graph), 0);
        assert_eq!(repair(&graph, &store, &mut InsertScratch::default()), 0, "nothing is left to do");
    }

    #[test]
    fn full_lists_everywhere_lose_nothing() {
        // 0..9 link all others among them, each list full; 9.. are alone but full too
        let store = Rows::new((0..18).map(|i| vec![i as f32]).collect());
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(18);
        graph.entry = Some(graph.entry_at(0));
        for slot in 0..18 {
            let from = slot / 9 * 9;
            graph.write(0, slot, (from..from + 9).filter(|n| *n != slot).collect::<Vec<_>>().into_iter());
        }
        assert_eq!(unreached(&graph), 9);
        assert!(repair(&graph, &store, &mut InsertScratch::default()) >= 1);
        assert_eq!(unreached(&graph), 0);
    }
}
