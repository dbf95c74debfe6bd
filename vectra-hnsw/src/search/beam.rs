//! The beam on layer 0: expand the nearest unexpanded candidate until none is left in the pool.
//!
//! Memory is far away and does not answer in turn, so three nodes are always on the way: before the neighbours of one
//! are scored, those of the next are asked for, and the list of the one after it. Nodes are thus chosen without knowing
//! what the two before them bring, which costs a few distances more and finds a little more (docs/decisions/0021, 0027).
//!
//! The walk may end by distance, too: what is farther than the limit that [`End`] gives is neither kept nor expanded. So
//! the pool stays small however wide it may be, which matters because making room in a wide one costs time.

use vectra_core::index::SearchCounts;
use vectra_core::pool::Pool;
use vectra_core::scorer::Scorer;

use crate::graph::{Buffer, Links};
use crate::scratch::{Fresh, Scratch, Visited};
use crate::search::watch::{Nobody, Watch};

/// How many lists are asked for ahead of the node that is taken next.
const LISTS_AHEAD: usize = 1;

/// How far from the query a walk looks; see `SearchParams::slack`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) wanted: usize,
    pub(crate) slack: f32,
}

impl End {
    /// As far as the pool reaches.
    pub(crate) const NEVER: Self = Self { wanted: 0, slack: f32::INFINITY };

    /// Whether it is the pool alone that ends a walk.
    pub(crate) fn is_never(self) -> bool {
        self.slack == f32::INFINITY
    }

    /// The distance beyond which nothing is of use, now that `pool` is what was found; drops what is.
    #[inline]
    pub(crate) fn tighten(self, pool: &mut Pool) -> f32 {
        if self.is_never() {
            return f32::INFINITY;
        }
        let limit = pool.limit(self.wanted, self.slack);
        pool.trim(limit);
        limit
    }
}

/// Walks layer 0 from what is in the pool; the pool's capacity is the width of the beam.
pub(crate) fn beam<L: Links, S: Scorer>(
    links: &L,
    scorer: &mut S,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
) {
    beam_until(links, scorer, End::NEVER, scratch, counts, &mut Nobody);
}

/// The same, ended by distance, and watched.
pub(crate) fn beam_until<L: Links, S: Scorer, W: Watch>(
    links: &L,
    scorer: &mut S,
    end: End,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
    watch: &mut W,
) {
    let Scratch { visited, pool, near, flight: [this, next], .. } = scratch;
    let (mut this, mut next) = (this, next);
    let mut limit = f32::INFINITY;
    let mut chosen = choose(links, pool, counts, watch);
    while let Some(slot) = chosen {
        open(links, scorer, visited, near, this, slot);
        chosen = choose(links, pool, counts, watch);
        // From here on `this` is on its way, and the list of the chosen one.
        while let Some(slot) = chosen {
            open(links, scorer, visited, near, next, slot);
            chosen = choose(links, pool, counts, watch);
            limit = score(links, scorer, this, end, limit, pool, counts, watch);
            std::mem::swap(&mut this, &mut next);
            chosen = chosen.or_else(|| choose(links, pool, counts, watch));
        }
        limit = score(links, scorer, this, end, limit, pool, counts, watch);
        chosen = choose(links, pool, counts, watch);
    }
}

/// Takes the nearest unexpanded node from the pool and asks for its list.
#[inline]
fn choose<L: Links, W: Watch>(
    links: &L,
    pool: &mut Pool,
    counts: &SearchCounts,
    watch: &mut W,
) -> Option<u32> {
    let node = pool.next_unexpanded()?;
    watch.opens(node, pool, counts);
    links.fetch(node.slot);
    Some(node.slot)
}

/// Reads the list of a node and asks for its neighbours.
#[inline]
fn open<L: Links, S: Scorer>(
    links: &L,
    scorer: &S,
    visited: &mut Visited,
    near: &mut Buffer,
    fresh: &mut Fresh,
    slot: u32,
) {
    fresh.take(slot, links.base(slot, near), visited);
    scorer.fetch(&fresh.expansion());
}

/// Scores the neighbours of a node and asks for the lists that come up next; the distance beyond which nothing is of use.
#[allow(clippy::too_many_arguments, reason = "parts of one scratch, borrowed apart; inlined")]
#[inline]
fn score<L: Links, S: Scorer, W: Watch>(
    links: &L,
    scorer: &mut S,
    fresh: &Fresh,
    end: End,
    limit: f32,
    pool: &mut Pool,
    counts: &mut SearchCounts,
    watch: &mut W,
) -> f32 {
    let expansion = fresh.expansion();
    counts.hops += 1;
    counts.distances += expansion.slots.len() as u64;
    scorer.expand(&expansion, limit.min(pool.bound()), pool);
    watch.scores(expansion.slots);
    let limit = end.tighten(pool);
    pool.upcoming().take(LISTS_AHEAD).for_each(|slot| links.fetch(slot));
    limit
}

/// The same walk on an upper layer; the pool holds ordinals.
pub(crate) fn beam_upper<L: Links, S: Scorer>(
    links: &L,
    layer: usize,
    scorer: &mut S,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
) {
    let Scratch { visited, pool, near, .. } = scratch;
    while let Some(next) = pool.next_unexpanded() {
        counts.hops += 1;
        for ordinal in links.upper(layer, next.slot, near) {
            let Some(slot) = links.slot_of(*ordinal) else { continue };
            if visited.insert(*ordinal) {
                counts.distances += 1;
                pool.insert(scorer.score(slot), *ordinal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::Neighbor;
    use vectra_core::scorer::{Expansion, VectorStore};

    use super::*;
    use crate::Params;
    use crate::graph::{Entry, Graph};
    use crate::store::{Rows, clustered};

    /// Rings of links: each slot to the next two.
    fn ring(rows: u32) -> Graph {
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(rows);
        (0..rows).for_each(|slot| graph.write(0, slot, [(slot + 1) % rows, (slot + 2) % rows].into_iter()));
        graph
    }

    fn started(rows: usize, capacity: usize, start: Neighbor) -> Scratch {
        let mut scratch = Scratch::default();
        scratch.visited.reset(rows);
        scratch.pool.reset(capacity);
        scratch.visited.insert(start.slot);
        scratch.pool.insert(start.distance, start.slot);
        scratch
    }

    #[test]
    fn a_beam_as_wide_as_the_graph_scores_each_slot_once() {
        let store = clustered(100, 4, 5, 1);
        let graph = ring(100);
        let query = [0.5; 4];
        let mut scorer = store.bind(&query);
        let mut scratch = started(100, 100, Neighbor { distance: scorer.score(7), slot: 7 });
        let mut counts = SearchCounts::default();
        beam(&graph, &mut scorer, &mut scratch, &mut counts);
        assert_eq!(counts, SearchCounts { distances: 99, hops: 100 });
        assert_eq!(
            scratch.pool.iter().collect::<Vec<_>>(),
            store.exact(&query, 100, &vectra_core::admit::All)
        );
    }

    #[test]
    fn a_narrow_beam_stops_when_nothing_nearer_turns_up() {
        let store = Rows::new((0..100).map(|i| vec![i as f32]).collect());
        let graph = ring(100);
        let mut scorer = store.bind(&[10.0]);
        let mut scratch = started(100, 3, Neighbor { distance: scorer.score(5), slot: 5 });
        let mut counts = SearchCounts::default();
        beam(&graph, &mut scorer, &mut scratch, &mut counts);
        assert_eq!(scratch.pool.iter().map(|n| n.slot).collect::<Vec<_>>(), [10, 9, 11]);
        assert!(counts.hops < 10, "{counts:?}");
    }

    #[test]
    fn a_beam_on_an_upper_layer_walks_ordinals() {
        let store = Rows::new((0..400).map(|i| vec![i as f32]).collect());
        let mut graph = Graph::new(Params { m: 4, ..Params::default() });
        graph.grow(400);
        let uppers = graph.uppers().len() as u32;
        (0..uppers).for_each(|o| graph.write(1, o, std::iter::once((o + 1) % uppers)));
        let entry: Entry = graph.entry_at(graph.uppers()[0].slot);
        let mut scorer = store.bind(&[1000.0]);
        let start = Neighbor { distance: scorer.score(entry.slot), slot: entry.ordinal };
        let mut scratch = started(uppers as usize, uppers as usize, start);
        let mut counts = SearchCounts::default();
        beam_upper(&graph, 1, &mut scorer, &mut scratch, &mut counts);
        assert!(
            scratch.pool.iter().map(|n| n.slot).eq((0..uppers).rev()),
            "the farthest along the line is nearest"
        );
        assert_eq!(counts.distances, u64::from(uppers) - 1);
    }

    /// Stands for a store whose blocks hold the codes of a node's neighbours: it relies on the lanes.
    struct Blocks<'a, S> {
        graph: &'a Graph,
        inner: S,
    }

    impl<S: Scorer> Scorer for Blocks<'_, S> {
        fn score(&mut self, slot: u32) -> f32 {
            self.inner.score(slot)
        }

        fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
            let mut memory = [0; 64];
            let list = self.graph.read(0, expansion.node, &mut memory);
            let lanes = (0..list.len()).filter(|lane| expansion.lanes >> lane & 1 == 1);
            assert!(lanes.map(|lane| &list[lane]).eq(expansion.slots), "the lanes of {}", expansion.node);
            assert_eq!(expansion.lanes.count_ones() as usize, expansion.slots.len());
            self.inner.expand(expansion, bound, out)
        }
    }

    #[test]
    fn every_expansion_says_which_lanes_of_its_nodes_list_it_wants() {
        let store = clustered(20_000, 4, 50, 3);
        let mut graph = Graph::new(Params { m: 4, ef_construction: 8, seed: 1 });
        graph.grow(20_000);
        crate::build::parallel::insert_all(&mut graph, &store, 2, &|_| true).expect("not stopped");
        let others = (0..20_000).filter(|slot| slot % 50 > 24);
        let half = vectra_core::admit::Bits::from_slots(20_000, others);
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        for slot in (0..20_000).step_by(400) {
            let mut scorer = Blocks { graph: &graph, inner: store.bind_slot(slot) };
            let params = vectra_core::index::SearchParams::new(5, 8);
            let all = vectra_core::admit::All;
            crate::search::search(&graph, &mut scorer, &params, &all, &mut scratch, &mut found);
            assert_eq!(found.len(), 5);
            let counts = crate::search::search(&graph, &mut scorer, &params, &half, &mut scratch, &mut found);
            assert!(counts.hops > 0 && found.len() == 5 && found.iter().all(|n| n.slot % 50 > 24));
        }
    }
}
