//! Conformance of vector stores and index structures, for anything that implements the two seams.

use super::oracle::{Dice, Oracle};
use crate::admit::{Admit, All, Bits, mask_of_len};
use crate::distance::{Metric, reference};
use crate::index::{AnnIndex, SearchParams};
use crate::pool::Pool;
use crate::scorer::{Expansion, Scorer, VectorStore};
use crate::topk::Neighbor;

/// Checks that `store` scores `vectors` (one after the other, in order of slot) under `metric`.
///
/// A distance may be wrong by `tolerance` times the largest value that the metric could take between vectors of
/// these norms: 1 for cosine, `(|q| + max |x|)^2` for L2, `|q| max |x|` for dot, `|q|_1 + max |x|_1` for L1.
/// Everything else is exact: `expand` gives the bits of `score`, offers what it was asked and what the bound allows
/// and nothing else; `between` is symmetric; `nearest_among` finds what the distances one by one say.
pub fn vector_store_conformance<S: VectorStore>(store: &S, vectors: &[f32], metric: Metric, tolerance: f64) {
    let oracle = Oracle::new(vectors, store.dim(), metric);
    assert_eq!(store.len(), oracle.len() as usize, "a slot for each vector");
    assert_eq!(store.is_empty(), oracle.is_empty());
    let mut dice = Dice::new(11);
    for _ in 0..8 {
        if oracle.is_empty() {
            break;
        }
        let near = oracle.vector(dice.below(oracle.len() as usize) as u32);
        let query: Vec<f32> = near.iter().map(|x| x + 0.3 * x.abs() * dice.uniform()).collect();
        let allowed = tolerance * scale(&oracle, &query);
        scores_are_distances(store, &oracle, &query, allowed);
        expansion_equals_scores(store, &query, &mut dice);
        stored_vectors_are_queries(store, &oracle, &mut dice, allowed);
        the_nearest_among_some_are_found(store, &mut dice);
    }
    bindings_are_independent(store, &oracle);
}

/// What a distance from `query` is compared with.
fn scale(oracle: &Oracle<'_>, query: &[f32]) -> f64 {
    let zero = vec![0.0; query.len()];
    let size = |metric, v: &[f32]| reference::distance(metric, &zero, v);
    let largest =
        |metric| (0..oracle.len()).map(|slot| size(metric, oracle.vector(slot))).fold(0.0, f64::max);
    match oracle.metric() {
        Metric::Cosine => 1.0,
        Metric::L2 => (size(Metric::L2, query).sqrt() + largest(Metric::L2).sqrt()).powi(2),
        Metric::Dot => (size(Metric::L2, query) * largest(Metric::L2)).sqrt(),
        Metric::L1 => size(Metric::L1, query) + largest(Metric::L1),
    }
}

fn scores_are_distances<S: VectorStore>(store: &S, oracle: &Oracle<'_>, query: &[f32], allowed: f64) {
    let mut scorer = store.bind(query);
    for slot in 0..oracle.len() {
        let (found, exact) = (f64::from(scorer.score(slot)), oracle.distance(query, slot));
        assert!((found - exact).abs() <= allowed, "slot {slot}: {found}, exactly {exact}, allowed {allowed}");
    }
}

fn expansion_equals_scores<S: VectorStore>(store: &S, query: &[f32], dice: &mut Dice) {
    let mut scorer = store.bind(query);
    let mut pool = Pool::default();
    for count in [0, 1, 2, 17, 63, 64] {
        let mut neighbours: Vec<u32> = (0..count).map(|_| dice.below(store.len()) as u32).collect();
        neighbours.sort_unstable();
        neighbours.dedup();
        // Out of order, as the neighbours of a node are.
        neighbours.reverse();
        let keep = match dice.below(3) {
            0 => mask_of_len(neighbours.len()),
            _ => dice.bits() & mask_of_len(neighbours.len()),
        };
        let mut all = vec![f32::NAN; neighbours.len()];
        scorer.score_all(&neighbours, &mut all);
        for (slot, distance) in neighbours.iter().zip(all) {
            assert_eq!(
                distance.to_bits(),
                scorer.score(*slot).to_bits(),
                "slot {slot} with others and alone"
            );
        }
        let kept = neighbours.iter().enumerate().filter(|(i, _)| keep >> i & 1 == 1);
        let mut expected: Vec<Neighbor> =
            kept.map(|(_, slot)| Neighbor { distance: scorer.score(*slot), slot: *slot }).collect();
        expected.sort();
        let median = expected.get(expected.len() / 2).map_or(0.0, |n| n.distance);
        for bound in [f32::INFINITY, median, f32::NEG_INFINITY] {
            pool.reset(64);
            let node = neighbours.first().copied().unwrap_or(0);
            let mut buffer = [0; 64];
            let expansion = Expansion::some(node, &neighbours, keep, &mut buffer);
            scorer.fetch(&expansion);
            if let Some(exact) = scorer.expand(&expansion, bound, &mut pool) {
                assert!(!exact.is_nan(), "the distance of node {node} is not a number");
            }
            let within: Vec<_> = expected.iter().copied().filter(|n| n.distance <= bound).collect();
            let found: Vec<_> = pool.iter().collect();
            assert_eq!(found, within, "expansion of {neighbours:?} with mask {keep:b} and bound {bound}");
        }
    }
}

fn stored_vectors_are_queries<S: VectorStore>(store: &S, oracle: &Oracle<'_>, dice: &mut Dice, allowed: f64) {
    let a = dice.below(store.len()) as u32;
    let mut scorer = store.bind_slot(a);
    let own = f64::from(scorer.score(a));
    for _ in 0..20 {
        let b = dice.below(store.len()) as u32;
        let found = store.between(a, b);
        assert_eq!(found.to_bits(), store.between(b, a).to_bits(), "between {a} and {b} in both directions");
        // A stored vector may carry its own error, and be longer than the query that `allowed` was made for.
        let limit = allowed.max(scale(oracle, oracle.vector(a)) * 1e-6) * 4.0;
        let exact = oracle.distance(oracle.vector(a), b);
        for found in [found, scorer.score(b)].map(f64::from) {
            assert!((found - exact).abs() <= limit, "between {a} and {b}: {found}, exactly {exact}");
            if oracle.metric() != Metric::Dot {
                assert!(
                    own <= found + limit,
                    "slot {a} is not the nearest to itself: {own}, slot {b} at {found}"
                );
            }
        }
    }
}

fn the_nearest_among_some_are_found<S: VectorStore>(store: &S, dice: &mut Dice) {
    let some = |dice: &mut Dice| (0..70).map(|_| dice.below(store.len()) as u32).collect::<Vec<u32>>();
    let (rows, mut columns) = (some(dice), some(dice));
    columns.sort_unstable();
    columns.dedup();
    for k in [0, 1, 4, columns.len()] {
        let mut next = 0;
        store.nearest_among(&rows, &columns, k, &mut |i, nearest| {
            assert_eq!(i, next, "rows in their order");
            next += 1;
            let mut scorer = store.bind_slot(rows[i]);
            let others = columns.iter().filter(|slot| **slot != rows[i]);
            let mut expected: Vec<Neighbor> =
                others.map(|slot| Neighbor { distance: scorer.score(*slot), slot: *slot }).collect();
            expected.sort_by(|a, b| {
                let after = |near: &Neighbor| near.slot.wrapping_sub(rows[i]);
                a.distance.total_cmp(&b.distance).then(after(a).cmp(&after(b)))
            });
            expected.truncate(k);
            assert_eq!(nearest, expected, "the {k} nearest of {columns:?} to {}", rows[i]);
        });
        assert_eq!(next, rows.len(), "every row is answered");
    }
}

/// Two bound queries at once do not disturb each other.
fn bindings_are_independent<S: VectorStore>(store: &S, oracle: &Oracle<'_>) {
    if oracle.len() < 2 {
        return;
    }
    let (first, last) = (0, oracle.len() - 1);
    let alone = store.bind(oracle.vector(first)).score(last);
    let mut one = store.bind(oracle.vector(first));
    let mut other = store.bind(oracle.vector(last));
    let between = other.score(first);
    assert_eq!(one.score(last).to_bits(), alone.to_bits());
    assert_eq!(other.score(first).to_bits(), between.to_bits());
}

/// Checks that `index`, searched through `store`, answers as the `oracle` that knows the same vectors.
///
/// `recall_min` is the least mean recall at 10 with the given `ef_search`, unfiltered and under filters that admit
/// half of the slots, a few and none; 1 for an exact index over exact distances.
pub fn ann_index_conformance<I, S>(
    index: &I,
    store: &S,
    oracle: &Oracle<'_>,
    queries: &[f32],
    ef_search: usize,
    recall_min: f64,
) where
    I: AnnIndex,
    S: VectorStore,
{
    assert_eq!(index.len(), oracle.len() as usize, "a slot for each vector");
    assert_eq!(index.is_empty(), oracle.is_empty());
    let len = oracle.len();
    let mut dice = Dice::new(23);
    let mut sample = |share: usize| Bits::from_slots(len, (0..len).filter(|_| dice.below(100) < share));
    let filters = [sample(50), sample(3), Bits::all(len), Bits::none(len)];
    let check = Check { index, store, oracle, queries, ef_search };
    check.recall(&All, recall_min);
    for filter in &filters {
        check.recall(filter, recall_min);
    }
    let scratch = &mut I::Scratch::default();
    for query in queries.chunks_exact(store.dim()).take(5) {
        check.limits(query, scratch);
        check.bounds(query, scratch);
    }
}

struct Check<'a, I, S> {
    index: &'a I,
    store: &'a S,
    oracle: &'a Oracle<'a>,
    queries: &'a [f32],
    ef_search: usize,
}

impl<I: AnnIndex, S: VectorStore> Check<'_, I, S> {
    /// One search, with everything checked that holds for any structure.
    fn search<A: Admit>(
        &self,
        query: &[f32],
        params: &SearchParams,
        admit: &A,
        scratch: &mut I::Scratch,
    ) -> Vec<Neighbor> {
        let mut scorer = self.store.bind(query);
        // Leftovers of an earlier answer have to go.
        let mut found = vec![Neighbor { distance: -1.0, slot: u32::MAX }];
        let counts = self.index.search(&mut scorer, params, admit, scratch, &mut found);
        assert!(found.len() <= params.k, "{} found, at most {} asked", found.len(), params.k);
        assert!(found.windows(2).all(|w| w[0] < w[1]), "not in order or not distinct: {found:?}");
        for n in &found {
            assert!(n.slot < self.oracle.len() && admit.admits(n.slot), "slot {} is not admitted", n.slot);
            assert!(n.distance <= params.bound, "{n:?} is beyond the bound {}", params.bound);
            assert_eq!(n.distance.to_bits(), scorer.score(n.slot).to_bits(), "the distance is the scorer's");
        }
        let mut again = Vec::new();
        let fresh = &mut I::Scratch::default();
        let counts_again = self.index.search(&mut scorer, params, admit, fresh, &mut again);
        assert_eq!((&again, counts_again), (&found, counts), "a search depends on nothing that went before");
        found
    }

    fn recall<A: Admit>(&self, admit: &A, recall_min: f64) {
        let (mut sum, mut count) = (0.0, 0);
        let mut scratch = I::Scratch::default();
        for query in self.queries.chunks_exact(self.store.dim()) {
            let found = self.search(query, &SearchParams::new(10, self.ef_search), admit, &mut scratch);
            let slots: Vec<u32> = found.iter().map(|n| n.slot).collect();
            sum += self.oracle.recall(query, 10, &slots, |slot| admit.admits(slot));
            count += 1;
        }
        let mean = sum / f64::from(count.max(1));
        assert!(mean >= recall_min, "mean recall {mean} over {count} queries, at least {recall_min} wanted");
    }

    /// No neighbours, one, more than there are.
    fn limits(&self, query: &[f32], scratch: &mut I::Scratch) {
        let len = self.index.len();
        assert_eq!(self.search(query, &SearchParams::new(0, self.ef_search), &All, scratch), []);
        let one = self.search(query, &SearchParams::new(1, self.ef_search), &All, scratch);
        assert_eq!(one.len(), len.min(1));
        let some = self.search(query, &SearchParams::new(len + 7, self.ef_search), &All, scratch);
        assert!(some.len() <= len && (len == 0 || !some.is_empty()));
    }

    /// A bound cuts the answer and nothing else.
    fn bounds(&self, query: &[f32], scratch: &mut I::Scratch) {
        let params = SearchParams::new(10, self.ef_search);
        let free = self.search(query, &params, &All, scratch);
        let Some(middle) = free.get(free.len() / 2) else { return };
        let bounded = self.search(query, &SearchParams { bound: middle.distance, ..params }, &All, scratch);
        assert!(bounded.iter().all(|n| n.distance <= middle.distance));
        let nothing = SearchParams { bound: f32::NEG_INFINITY, ..params };
        assert_eq!(self.search(query, &nothing, &All, scratch), []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Flat, FlatScratch, SearchCounts};
    use crate::scorer::by_scoring;
    use crate::testing::oracle::uniform;
    use crate::vector::dense::DenseStore;

    /// What a broken store or index does.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        WrongDistance,
        LeavesOneOut,
        IgnoresBound,
        Asymmetric,
        MissesNeighbours,
        Unsorted,
        IgnoresAdmit,
        KeepsLeftovers,
    }

    struct Broken<T>(T, Fault);

    struct BrokenScorer<'a>(Box<dyn FnMut(u32) -> f32 + 'a>, Fault);

    impl Scorer for BrokenScorer<'_> {
        fn score(&mut self, slot: u32) -> f32 {
            (self.0)(slot)
        }

        fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
            let missed = usize::from(self.1 == Fault::LeavesOneOut);
            for slot in expansion.slots.iter().skip(missed) {
                let distance = self.score(*slot);
                if distance <= bound || self.1 == Fault::IgnoresBound {
                    out.insert(distance, *slot);
                }
            }
            None
        }
    }

    impl VectorStore for Broken<DenseStore<f32>> {
        type Scorer<'a> = BrokenScorer<'a>;

        fn len(&self) -> usize {
            self.0.len()
        }

        fn dim(&self) -> usize {
            self.0.dim()
        }

        fn bind<'a>(&'a self, query: &'a [f32]) -> BrokenScorer<'a> {
            let mut scorer = self.0.bind(query);
            let error = if self.1 == Fault::WrongDistance { 0.01 } else { 0.0 };
            BrokenScorer(Box::new(move |slot| scorer.score(slot) + error), self.1)
        }

        fn bind_slot(&self, slot: u32) -> BrokenScorer<'_> {
            let mut scorer = self.0.bind_slot(slot);
            let factor = if self.1 == Fault::Asymmetric { 1.0 + slot as f32 * f32::EPSILON } else { 1.0 };
            BrokenScorer(Box::new(move |slot| scorer.score(slot) * factor), self.1)
        }

        fn nearest_among(
            &self,
            rows: &[u32],
            columns: &[u32],
            k: usize,
            give: &mut dyn FnMut(usize, &[Neighbor]),
        ) {
            let missed = usize::from(self.1 == Fault::MissesNeighbours);
            by_scoring(self, rows, &columns[missed..], k, give);
        }
    }

    impl AnnIndex for Broken<Flat> {
        type Scratch = FlatScratch;

        fn len(&self) -> usize {
            self.0.len()
        }

        fn search<S: Scorer, A: Admit>(
            &self,
            scorer: &mut S,
            params: &SearchParams,
            admit: &A,
            scratch: &mut FlatScratch,
            out: &mut Vec<Neighbor>,
        ) -> SearchCounts {
            let leftovers = std::mem::take(out);
            let counts = match self.1 {
                Fault::IgnoresAdmit => self.0.search(scorer, params, &All, scratch, out),
                _ => self.0.search(scorer, params, admit, scratch, out),
            };
            match self.1 {
                Fault::Unsorted => out.reverse(),
                Fault::KeepsLeftovers => out.extend(leftovers),
                _ => {}
            }
            counts
        }
    }

    fn check_store(fault: Fault) {
        let vectors = uniform(80, 6, 1);
        let store = Broken(DenseStore::from_vectors(&vectors, 6, Metric::L2), fault);
        vector_store_conformance(&store, &vectors, Metric::L2, 1e-6);
    }

    fn check_index(fault: Fault) {
        let vectors = uniform(80, 6, 1);
        let store = DenseStore::<f32>::from_vectors(&vectors, 6, Metric::L2);
        let oracle = Oracle::new(&vectors, 6, Metric::L2);
        ann_index_conformance(&Broken(Flat::new(80), fault), &store, &oracle, &uniform(3, 6, 2), 10, 1.0);
    }

    #[test]
    fn sound_ones_pass() {
        check_store(Fault::None);
        check_index(Fault::None);
    }

    #[test]
    fn each_fault_is_found() {
        use Fault::{
            Asymmetric, IgnoresAdmit, IgnoresBound, KeepsLeftovers, LeavesOneOut, MissesNeighbours, Unsorted,
            WrongDistance,
        };
        let stores = [WrongDistance, LeavesOneOut, IgnoresBound, Asymmetric, MissesNeighbours]
            .map(|f| (f, check_store as fn(Fault)));
        let indexes = [Unsorted, IgnoresAdmit, KeepsLeftovers].map(|f| (f, check_index as fn(Fault)));
        for (i, (fault, check)) in stores.into_iter().chain(indexes).enumerate() {
            assert!(std::panic::catch_unwind(|| check(fault)).is_err(), "fault {i} went unnoticed");
        }
    }
}
