//! Points spread over four plain lists by a router, and asked as if they were one.

use std::num::NonZeroU16;
use std::sync::Arc;

use vectra_core::ItemId;
use vectra_core::query::{Candidate, Effort, Place, Query, QueryCtx, SearchError, Searcher};
use vectra_shard::{HashRouter, Router, ShardMap, ShardSet};

/// The least that can be searched: a list.
struct List {
    shard: u16,
    points: Vec<(u64, [f32; 2])>,
}

impl Searcher for List {
    fn search(&self, query: &Query, ctx: &mut QueryCtx) -> Result<Vec<Candidate>, SearchError> {
        ctx.profile.distances += self.len();
        let distance =
            |point: &[f32; 2]| point.iter().zip(&*query.vector).map(|(a, b)| (a - b).powi(2)).sum();
        let at = |slot: usize| Place { shard: self.shard, segment: 0, slot: slot as u32 };
        let all = self.points.iter().enumerate();
        let mut found: Vec<Candidate> =
            all.map(|(slot, (_, point))| Candidate { distance: distance(point), at: at(slot) }).collect();
        found.retain(|candidate| candidate.distance <= ctx.bound);
        found.sort_unstable();
        found.truncate(query.k);
        Ok(found)
    }

    fn len(&self) -> u64 {
        self.points.len() as u64
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let map = ShardMap::new(HashRouter::new(NonZeroU16::new(4).ok_or("zero shards")?));
    let mut lists: Vec<List> = (0..map.shards()).map(|shard| List { shard, points: Vec::new() }).collect();
    for id in 0..1000_u64 {
        let angle = id as f32 * 0.01;
        let shard = map.route(&ItemId::from(id).encode());
        lists[usize::from(shard)].points.push((id, [angle.cos() * angle, angle.sin() * angle]));
    }
    for list in &lists {
        println!("shard {} has {} points", list.shard, list.len());
    }

    let lists: Vec<Arc<List>> = lists.into_iter().map(Arc::new).collect();
    let set = ShardSet::new(lists.iter().map(|list| Arc::clone(list) as Arc<dyn Searcher>).collect());
    let query = Query { vector: Arc::from([1.0, 2.0]), k: 3, effort: Effort::Exact, filter: None };
    let mut ctx = QueryCtx::default();
    for Candidate { distance, at } in set.search(&query, &mut ctx)?.iter().take(query.k) {
        let (id, point) = lists[usize::from(at.shard)].points[at.slot as usize];
        println!("{distance:.5}  point {id} at {point:?}, from shard {}", at.shard);
    }
    println!("{} distances for {} points", ctx.profile.distances, set.len());
    Ok(())
}
