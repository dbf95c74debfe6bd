//! A walk that is watched: what it meets, step by step, tells what any narrower walk would have met.
//!
//! A walk expands the nearest candidate that is left. One with a smaller pool or less slack takes the same steps and ends
//! earlier: at the first candidate whose rank is beyond the pool, or whose distance is beyond the limit. So one wide walk
//! shows what each narrower one costs and finds. (Three nodes are in flight: where one is beyond the limit and those
//! before it bring something nearer, a narrower walk goes on with that. It looks at a step or two more, and finds a little more.)

use vectra_core::Neighbor;
use vectra_core::index::SearchCounts;
use vectra_core::pool::Pool;
use vectra_core::scorer::Scorer;

use super::beam::{End, beam_until};
use super::descend::descend;
use crate::graph::Links;
use crate::scratch::Scratch;

/// Sees a walk on layer 0.
pub trait Watch {
    /// `next` was taken from `pool` to be expanded; [`Pool::rank`] is its rank. `counts` is what was done before.
    fn opens(&mut self, next: Neighbor, pool: &Pool, counts: &SearchCounts);

    /// `slots` were scored.
    fn scores(&mut self, slots: &[u32]);
}

/// What watches a search that nobody watches.
pub(crate) struct Nobody;

impl Watch for Nobody {
    #[inline]
    fn opens(&mut self, _next: Neighbor, _pool: &Pool, _counts: &SearchCounts) {}

    #[inline]
    fn scores(&mut self, _slots: &[u32]) {}
}

/// Walks with a pool of `ef` as if the slots of `without` were not in the graph; where the descent ended.
///
/// `None`, and no walk, if the descent ended at one of them, or there is no row.
pub(crate) fn watched<L: Links, S: Scorer, W: Watch>(
    links: &L,
    scorer: &mut S,
    ef: usize,
    without: &[u32],
    scratch: &mut Scratch,
    watch: &mut W,
) -> Option<Neighbor> {
    let entry = links.entry()?;
    let rows = links.rows() as usize;
    let mut counts = SearchCounts::default();
    let starts = descend(links, entry, scorer, scratch, &mut counts);
    if without.contains(&starts[0].slot) {
        return None;
    }
    scratch.pool.reset(ef.min(rows));
    scratch.visited.reset(rows);
    for slot in without {
        scratch.visited.insert(*slot);
    }
    for start in starts {
        if scratch.visited.insert(start.slot) {
            scratch.pool.insert(start.distance, start.slot);
            watch.scores(&[start.slot]);
        }
    }
    beam_until(links, scorer, End::NEVER, scratch, &mut counts, watch);
    Some(starts[0])
}

#[cfg(test)]
mod tests {
    use vectra_core::admit::{All, Bits};
    use vectra_core::index::SearchParams;
    use vectra_core::scorer::VectorStore;

    use super::*;
    use crate::Params;
    use crate::graph::Graph;
    use crate::search::{search, search_chosen};
    use crate::store::{Rows, clustered};

    const ROWS: u32 = 4000;
    const WANTED: usize = 10;

    fn graph() -> (Rows, Graph) {
        let store = clustered(ROWS as usize + 40, 16, 40, 11);
        let mut graph = Graph::new(Params { ef_construction: 80, ..Params::default() });
        graph.grow(ROWS);
        crate::build::parallel::insert_all(&mut graph, &store.first(ROWS as usize), 1, &|_| true)
            .expect("not stopped");
        (store, graph)
    }

    /// One step of a walk: the slack and the rank that it takes, and the distances computed before it.
    #[derive(Default)]
    struct Steps {
        steps: Vec<(f32, usize, u64)>,
        /// Scored slots, with the number of steps begun when they were.
        scored: Vec<(u32, usize)>,
    }

    impl Watch for Steps {
        fn opens(&mut self, next: Neighbor, pool: &Pool, counts: &SearchCounts) {
            assert_eq!(pool.nth(pool.rank()), Some(next));
            let slack = pool.nth(WANTED - 1).map_or(0.0, |kth| next.distance / kth.distance - 1.0);
            self.steps.push((slack, pool.rank(), counts.distances));
        }

        fn scores(&mut self, slots: &[u32]) {
            self.scored.extend(slots.iter().map(|slot| (*slot, self.steps.len())));
        }
    }

    #[test]
    fn a_wide_walk_shows_what_narrower_ones_cost_and_find() {
        let (store, graph) = graph();
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        let (mut foreseen, mut counted, mut same, mut all) = (0, 0, 0, 0);
        for query in ROWS..ROWS + 40 {
            let mut steps = Steps::default();
            let mut scorer = store.bind_slot(query);
            watched(&graph, &mut scorer, 400, &[], &mut scratch, &mut steps).expect("a start");
            for (slack, ef) in [(0.05, 400), (0.2, 400), (0.2, 40), (f32::INFINITY, 40), (0.02, 20)] {
                let end = steps.steps.iter().position(|(needs, rank, _)| *needs > slack || *rank >= ef);
                foreseen += end.map_or(0, |end| steps.steps[end].2);
                let params = SearchParams::new(WANTED, ef).with_slack(WANTED, slack);
                counted += search(&graph, &mut scorer, &params, &All, &mut scratch, &mut found).distances;
                let end = end.unwrap_or(usize::MAX);
                same += found
                    .iter()
                    .filter(|n| {
                        steps.scored.contains(&(n.slot, 0))
                            || steps.scored.iter().any(|(slot, step)| *slot == n.slot && *step <= end)
                    })
                    .count();
                all += found.len();
            }
        }
        assert!(
            foreseen <= counted && (counted - foreseen) * 25 < counted,
            "{foreseen} distances foreseen, {counted} counted"
        );
        assert!(same * 100 >= all * 99, "{same} of {all} were foreseen");
    }

    #[test]
    fn what_is_left_out_is_neither_scored_nor_walked_through() {
        let (store, graph) = graph();
        let mut scratch = Scratch::default();
        let mut steps = Steps::default();
        let without = [1, 2, 3, 500];
        let first = watched(&graph, &mut store.bind_slot(2), 50, &without, &mut scratch, &mut steps)
            .expect("a start");
        assert!(steps.scored.len() > 50 && steps.scored.iter().all(|(slot, _)| !without.contains(slot)));
        let at_the_start = [first.slot];
        assert_eq!(
            watched(&graph, &mut store.bind_slot(2), 50, &at_the_start, &mut scratch, &mut steps),
            None
        );
        let empty = Graph::new(Params::default());
        assert_eq!(watched(&empty, &mut store.bind_slot(2), 50, &[], &mut scratch, &mut steps), None);
    }

    #[test]
    fn an_end_by_distance_saves_what_a_wide_pool_costs() {
        let (store, graph) = graph();
        let (mut scratch, mut found) = (Scratch::default(), Vec::new());
        let mut walk = |params: SearchParams| {
            let (mut distances, mut right, mut held) = (0, 0, 0);
            for query in ROWS..ROWS + 40 {
                let mut scorer = store.bind_slot(query);
                distances += search(&graph, &mut scorer, &params, &All, &mut scratch, &mut found).distances;
                held += scratch.pool.len();
                let exact = store.first(ROWS as usize).exact(store.row(query), WANTED, &All);
                right += exact.iter().filter(|near| found[..WANTED].contains(near)).count();
                assert!(
                    found.iter().all(|n| n.distance <= found[WANTED - 1].distance * (1.0 + params.slack))
                );
            }
            (distances, right, held)
        };
        let wide = walk(SearchParams::new(WANTED, 400));
        let [ended, capped] =
            [400, 120].map(|ef| walk(SearchParams::new(WANTED, ef).with_slack(WANTED, 0.5)));
        let tight = walk(SearchParams::new(WANTED, 400).with_slack(WANTED, 0.1));
        assert!(ended.0 * 3 < wide.0 * 2 && ended.2 * 2 < wide.2, "{ended:?} beside {wide:?}");
        assert!(ended.1 * 100 >= wide.1 * 97, "{ended:?} beside {wide:?}");
        assert!(
            tight.0 < ended.0 && tight.1 <= ended.1 && capped.0 <= ended.0,
            "{tight:?} {capped:?} {ended:?}"
        );
        // What is kept for a re-rank is what lies within the limit.
        let more = walk(SearchParams { k: 40, ..SearchParams::new(WANTED, 400).with_slack(WANTED, 0.5) });
        assert_eq!(more, ended);
    }

    #[test]
    fn parameters_are_chosen_by_where_the_descent_ends() {
        let (store, graph) = graph();
        let (mut scratch, mut one, mut other) = (Scratch::default(), Vec::new(), Vec::new());
        let tenth = Bits::from_slots(ROWS, (0..ROWS).filter(|slot| slot % 10 == 3));
        for query in ROWS..ROWS + 40 {
            let mut scorer = store.bind_slot(query);
            let mut steps = Steps::default();
            let first = watched(&graph, &mut scorer, 50, &[], &mut scratch, &mut steps).map(|n| n.distance);
            let mut seen = None;
            let params = SearchParams::new(WANTED, 30).with_slack(WANTED, 0.3);
            let mut choose = |distance| {
                seen = Some(distance);
                params
            };
            let counts = search_chosen(&graph, &mut scorer, &mut choose, &All, &mut scratch, &mut one);
            assert_eq!(counts, search(&graph, &mut scorer, &params, &All, &mut scratch, &mut other));
            assert_eq!((seen, &one), (first, &other));
            search_chosen(&graph, &mut scorer, |_| params, &tenth, &mut scratch, &mut one);
            search(&graph, &mut scorer, &params, &tenth, &mut scratch, &mut other);
            assert_eq!(one, other);
        }
    }

    #[test]
    fn a_filtered_walk_ends_by_distance_where_most_is_admitted_and_by_its_pool_elsewhere() {
        let (store, graph) = graph();
        let (mut scratch, mut found, mut ended) = (Scratch::default(), Vec::new(), Vec::new());
        let most = Bits::from_slots(ROWS, (0..ROWS).filter(|slot| slot % 10 != 3));
        let third = Bits::from_slots(ROWS, (0..ROWS).filter(|slot| slot % 3 == 1));
        let (mut saved, mut right) = (0, 0);
        for query in ROWS..ROWS + 40 {
            let mut scorer = store.bind_slot(query);
            let wide = SearchParams::new(WANTED, 12);
            let end = wide.with_slack(WANTED, 0.01);
            let all = search(&graph, &mut scorer, &wide, &third, &mut scratch, &mut found);
            assert_eq!(search(&graph, &mut scorer, &end, &third, &mut scratch, &mut ended), all);
            assert_eq!(found, ended);
            let wide = SearchParams { k: WANTED, ..SearchParams::new(30, 30) };
            let all = search(&graph, &mut scorer, &wide, &most, &mut scratch, &mut found);
            let counts =
                search(&graph, &mut scorer, &wide.with_slack(WANTED, 0.1), &most, &mut scratch, &mut ended);
            saved += all.distances - counts.distances;
            right += ended.iter().filter(|n| found.contains(n)).count();
            assert_eq!(ended.len(), WANTED);
        }
        assert!(saved > 40 * 20 && right >= 40 * WANTED * 90 / 100, "{saved} distances saved, {right} right");
    }
}
