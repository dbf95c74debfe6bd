//! A set answers as one searcher over everything would.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vectra_core::query::{Candidate, Effort, Place, Profile, Query, QueryCtx, SearchError, Searcher};
use vectra_shard::ShardSet;

/// Items on a line, searched one by one.
#[derive(Debug)]
struct Naive {
    shard: u16,
    items: Vec<f32>,
    /// Whether it returns ties beyond `k`, as it may.
    ties: bool,
    bounds: Mutex<Vec<f32>>,
}

impl Naive {
    fn new(shard: usize, items: &[i8], ties: bool) -> Self {
        let items = items.iter().map(|x| f32::from(*x)).collect();
        Self { shard: shard as u16, items, ties, bounds: Mutex::default() }
    }

    fn all(&self, query: &Query) -> Vec<Candidate> {
        let at = |slot: usize| Place { shard: self.shard, segment: 0, slot: slot as u32 };
        let distance = |x: &f32| (x - query.vector[0]).powi(2);
        self.items.iter().enumerate().map(|(i, x)| Candidate { distance: distance(x), at: at(i) }).collect()
    }
}

impl Searcher for Naive {
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        self.bounds.lock().expect("no panic under the lock").push(ctx.bound);
        ctx.profile += Profile { segments: 1, distances: self.items.len() as u64, ..Profile::default() };
        let mut found = self.all(query);
        found.retain(|c| c.distance <= ctx.bound);
        found.sort_unstable();
        cut(&mut found, query.k);
        if !self.ties {
            // The least that the contract asks for would be k; ties beyond it are the set's to handle when given.
            found.truncate(query.k);
        }
        found.reverse();
        Ok(found)
    }

    fn len(&self) -> u64 {
        self.items.len() as u64
    }
}

/// The k nearest of sorted candidates and whatever is as far as the last of them.
fn cut(sorted: &mut Vec<Candidate>, k: usize) {
    let Some(kth) = k.checked_sub(1).and_then(|at| sorted.get(at)).map(|c| c.distance) else {
        sorted.truncate(if k == 0 { 0 } else { sorted.len() });
        return;
    };
    sorted.retain(|c| c.distance <= kth);
}

struct Broken;

impl Searcher for Broken {
    fn search(&self, _: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        ctx.profile.segments += 1;
        Err(SearchError::Timeout)
    }

    fn len(&self) -> u64 {
        5
    }
}

fn query(at: f32, k: usize) -> Query {
    Query { vector: Arc::from([at]), k, effort: Effort::Exact, filter: None }
}

fn shards(items: &[Vec<i8>], ties: bool) -> Vec<Arc<Naive>> {
    items.iter().enumerate().map(|(shard, items)| Arc::new(Naive::new(shard, items, ties))).collect()
}

fn set(shards: &[Arc<Naive>]) -> ShardSet {
    ShardSet::new(shards.iter().map(|shard| Arc::clone(shard) as Arc<dyn Searcher>).collect())
}

proptest! {
    #[test]
    fn a_set_is_the_brute_force_over_all_of_it(
        items in prop::collection::vec(prop::collection::vec(-6_i8..6, 0..12), 0..6),
        at in -6_i8..6,
        k in 0_usize..20,
        bound in prop_oneof![Just(f32::INFINITY), (0_u8..40).prop_map(f32::from)],
    ) {
        let (shards, query) = (shards(&items, true), query(f32::from(at), k));
        let mut expected: Vec<Candidate> = shards.iter().flat_map(|shard| shard.all(&query)).collect();
        expected.retain(|c| c.distance <= bound);
        expected.sort_unstable();
        cut(&mut expected, k);

        let mut ctx = QueryCtx { bound, ..QueryCtx::default() };
        let found = set(&shards).search(&query, &mut ctx).expect("nobody fails");
        prop_assert_eq!(&found, &expected);

        let total: u64 = items.iter().map(|items| items.len() as u64).sum();
        prop_assert_eq!(set(&shards).len(), total);
        if k > 0 {
            prop_assert_eq!((ctx.profile.segments, ctx.profile.distances), (items.len() as u64, total));
            let kth = expected.get(k - 1).map_or(bound, |c| c.distance);
            prop_assert_eq!(ctx.bound.to_bits(), kth.to_bits());
        }
        let mut backwards = shards.clone();
        backwards.reverse();
        let again = set(&backwards).search(&query, &mut QueryCtx { bound, ..QueryCtx::default() });
        prop_assert_eq!(again.expect("nobody fails"), expected, "whatever the order");
    }

    #[test]
    fn searchers_that_cut_their_ties_cost_no_distance(
        items in prop::collection::vec(prop::collection::vec(-6_i8..6, 0..12), 1..6),
        k in 1_usize..10,
    ) {
        let (shards, query) = (shards(&items, false), query(0.5, k));
        let mut all: Vec<f32> = shards.iter().flat_map(|shard| shard.all(&query)).map(|c| c.distance).collect();
        all.sort_unstable_by(f32::total_cmp);
        all.truncate(k);
        let found = set(&shards).search(&query, &mut QueryCtx::default()).expect("nobody fails");
        let found: Vec<f32> = found.iter().take(k).map(|c| c.distance).collect();
        prop_assert_eq!(found, all);
    }
}

#[test]
fn the_bound_travels_and_only_shrinks() {
    let shards = shards(&[vec![9, 8, 7], vec![3, 4], vec![5, 1], vec![2]], true);
    let mut ctx = QueryCtx::default();
    let found = set(&shards).search(&query(0.0, 2), &mut ctx).expect("nobody fails");
    assert_eq!(found.iter().map(|c| c.distance).collect::<Vec<_>>(), [1.0, 4.0]);
    let bounds: Vec<f32> = shards
        .iter()
        .flat_map(|shard| shard.bounds.lock().expect("no panic under the lock").clone())
        .collect();
    assert_eq!(bounds, [f32::INFINITY, 64.0, 16.0, 9.0]);
}

#[test]
fn sets_nest() {
    let shards = shards(&[vec![1, 5], vec![2, 5], vec![3, 5]], true);
    let inner: Arc<dyn Searcher> = Arc::new(set(&shards[1..]));
    let outer = ShardSet::new(vec![Arc::clone(&shards[0]) as Arc<dyn Searcher>, inner]);
    let flat = set(&shards);
    for k in 0..8 {
        let ask =
            |set: &ShardSet| set.search(&query(0.0, k), &mut QueryCtx::default()).expect("nobody fails");
        assert_eq!(ask(&outer), ask(&flat), "k = {k}");
    }
    assert_eq!((outer.len(), outer.is_empty(), outer.searchers().len()), (6, false, 2));
}

#[test]
fn one_failure_fails_the_whole_and_keeps_the_account() {
    let shards = shards(&[vec![1], vec![2]], true);
    let mut searchers = set(&shards).searchers().to_vec();
    searchers.insert(1, Arc::new(Broken));
    let mut ctx = QueryCtx::default();
    let failed = ShardSet::new(searchers).search(&query(0.0, 1), &mut ctx);
    assert!(matches!(failed, Err(SearchError::Timeout)), "never a silent partial answer");
    assert_eq!(ctx.profile.segments, 2, "the first and the broken one");
}

#[test]
fn an_empty_set_finds_nothing() {
    let set = ShardSet::new(Vec::new());
    assert!(set.is_empty());
    assert!(set.search(&query(0.0, 5), &mut QueryCtx::default()).expect("nobody fails").is_empty());
    assert_eq!(format!("{set:?}"), "ShardSet { searchers: 0, len: 0 }");
}
