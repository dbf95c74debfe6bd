//! The beam under a filter: only admitted nodes are candidates, the others are bridges to look across.
//!
//! A node that is not admitted costs no distance. Expanding a candidate reads the lists of its neighbours that are not
//! admitted too, for their admitted neighbours (the two-hop step of ACORN, Patel et al. 2024, chosen by local
//! selectivity as in `NaviX`, Sehgal and Salihoglu 2025), and looks on behind them while it finds next to nothing. The
//! walk starts at many admitted slots, because the way from the query's own region to the nearest admitted one can be
//! blocked. When the candidates run dry it goes on breadth first through bridges, and what a bounded number of them
//! does not find is found by scanning. When a sample says that so few slots are admitted that a scan is cheaper than a
//! walk, there is no walk. An end by distance counts only where most slots are admitted: elsewhere the nearest admitted ones
//! may lie behind a gap that is wider than any slack.

use vectra_core::Neighbor;
use vectra_core::admit::Admit;
use vectra_core::index::SearchCounts;
use vectra_core::pool::Pool;
use vectra_core::scorer::{Expansion, Scorer};

use crate::graph::Links;
use crate::scratch::{Scratch, Visited};
use crate::search::beam::End;
use crate::search::descend::descend;

/// How many slots are asked for the share of admitted ones.
const SAMPLES: u32 = 1024;

/// How many of the admitted samples a walk starts from.
const SEEDS: usize = 64;

/// How many bridges are crossed at most once the candidates are dry.
const BRIDGES_MAX: usize = 1024;

/// How many admitted nodes end the look across a candidate's own neighbours ...
const FOUND_AT_TWO_HOPS: u32 = 32;

/// ... and how many the look farther on.
const FOUND_BEYOND: u32 = 8;

/// How many bridges are read for one candidate at most.
const LOOK_MAX: u32 = 64;

/// How much wider the pool is when nothing around the query is admitted: then the nearest admitted slots lie all round
/// a blocked region, far from each other.
const WIDER: usize = 8;

/// Around the query is blocked if less than this part of the share that is admitted elsewhere is admitted there. (Lists
/// overlap: of what is read some third is new.)
const BLOCKED: f64 = 0.1;

/// The share of admitted slots from which on a walk may end by distance.
const OPEN: f64 = 0.5;

/// How wide a pool, in results wanted, a walk that ends by distance usually comes to.
const USUAL_WIDTH: usize = 4;

/// Fills the pool of capacity `ef` with admitted slots near the query; if fewer are admitted, it gets all of them. With an
/// end by distance, and most slots admitted, it gets only those within that.
#[allow(clippy::too_many_arguments, reason = "what a walk needs, and nothing that belongs together")]
pub(crate) fn filtered<L: Links, S: Scorer, A: Admit>(
    links: &L,
    scorer: &mut S,
    ef: usize,
    end: End,
    starts: Option<[Neighbor; 2]>,
    admit: &A,
    scratch: &mut Scratch,
    counts: &mut SearchCounts,
) {
    let rows = links.rows();
    let samples = sample(rows, admit, &mut scratch.seeds);
    let hits = scratch.seeds.len() as u32;
    let share = f64::from(hits) / f64::from(samples);
    let end = if share < OPEN { End::NEVER } else { end };
    let mut walk = Walk { links, scorer, admit, end, limit: f32::INFINITY, scratch, counts };
    // With an end by distance the pool is only a cap, which says little about the length of the walk.
    let width = if end.is_never() { ef } else { ef.min(USUAL_WIDTH * end.wanted) };
    if scan_is_cheaper(rows, samples, hits, width) {
        return walk.scan();
    }
    let blocked = walk.begin(ef, share, starts);
    if blocked && scan_is_cheaper(rows, samples, hits, width.saturating_mul(WIDER)) {
        return walk.scan();
    }
    walk.run();
}

/// Collects the admitted of evenly spread slots and returns how many were asked.
fn sample<A: Admit>(rows: u32, admit: &A, admitted: &mut Vec<u32>) -> u32 {
    let samples = rows.min(SAMPLES);
    let start = |i: u32| (u64::from(i) * u64::from(rows) / u64::from(samples)) as u32;
    // Somewhere in each stretch and not at its start: filters can have a period too.
    let slots =
        (0..samples).map(|i| start(i) + (i.wrapping_mul(0x9e37_79b9) >> 8) % (start(i + 1) - start(i)));
    admitted.clear();
    admitted.extend(slots.filter(|slot| admit.admits(*slot)));
    samples
}

/// Whether scoring all admitted slots costs less than a walk, judged by `hits` admitted among `samples` slots.
///
/// Per place in the pool a walk costs as much as scanning 96 slots and four for each list it reads to find an admitted
/// one (measured on 64,000 rows of 8-bit codes of 384 dimensions): it jumps about in memory, a scan does not.
fn scan_is_cheaper(rows: u32, samples: u32, hits: u32, ef: usize) -> bool {
    let (rows, samples, hits) = (u64::from(rows), u64::from(samples), u64::from(hits.max(1)));
    let admitted = rows * hits / samples.max(1);
    admitted <= (ef as u64).saturating_mul(96 + 4 * samples / hits)
}

/// What reading lists gave: entries that were admitted and new, among all entries.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    found: u32,
    read: u32,
}

impl std::ops::AddAssign for Look {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.read += other.read;
    }
}

struct Walk<'a, L, S, A> {
    links: &'a L,
    scorer: &'a mut S,
    admit: &'a A,
    end: End,
    /// What is farther is of no use.
    limit: f32,
    scratch: &'a mut Scratch,
    counts: &'a mut SearchCounts,
}

impl<L: Links, S: Scorer, A: Admit> Walk<'_, L, S, A> {
    /// Starts at the ends of the descent, as candidates if they are admitted and as bridges if not, and at the seeds.
    /// Whether the region of the query is blocked, `share` being admitted of all; then the pool has become wider.
    fn begin(&mut self, ef: usize, share: f64, starts: Option<[Neighbor; 2]>) -> bool {
        self.scratch.frontier.clear();
        let Some(entry) = self.links.entry() else { return false };
        let [nearest, entry] =
            starts.unwrap_or_else(|| descend(self.links, entry, self.scorer, self.scratch, self.counts));
        let mut blocked = false;
        if !self.admit.admits(nearest.slot) {
            let look = self.expand(nearest.slot);
            blocked = f64::from(look.found) < f64::from(look.read) * share * BLOCKED;
        }
        if blocked {
            self.widen(ef.saturating_mul(WIDER).min(self.links.rows() as usize));
        }
        for start in [nearest, entry] {
            if self.admit.admits(start.slot) && self.scratch.visited.insert(start.slot) {
                self.scratch.pool.insert(start.distance, start.slot);
            }
        }
        let step = self.scratch.seeds.len().div_ceil(SEEDS).max(1);
        for i in (0..self.scratch.seeds.len()).step_by(step) {
            self.offer(self.scratch.seeds[i]);
        }
        blocked
    }

    /// Gives the pool another capacity.
    fn widen(&mut self, capacity: usize) {
        let Scratch { pool, held, .. } = &mut *self.scratch;
        held.clear();
        held.extend(pool.iter());
        pool.reset(capacity);
        for near in held {
            pool.insert(near.distance, near.slot);
        }
    }

    /// Walks the graph from the candidates.
    fn run(&mut self) {
        let mut crossed = 0;
        loop {
            while let Some(next) = self.scratch.pool.next_unexpanded() {
                self.expand(next.slot);
                self.limit = self.end.tighten(&mut self.scratch.pool);
            }
            if self.has_enough() || !self.cross(&mut crossed) {
                break;
            }
        }
        if !self.has_enough() {
            self.scan();
        }
    }

    /// Whether the pool holds what the walk is after: as many as fit in, or an end by distance was reached.
    fn has_enough(&self) -> bool {
        let pool = &self.scratch.pool;
        pool.is_full() || !self.end.is_never() && pool.len() >= self.end.wanted
    }

    /// Scores an admitted slot unless that is done already.
    fn offer(&mut self, slot: u32) {
        if self.scratch.visited.insert(slot) {
            self.counts.distances += 1;
            let distance = self.scorer.score(slot);
            self.scratch.pool.insert(distance, slot);
        }
    }

    /// Scores the admitted neighbours of `node` and, while they are few, those across its bridges, breadth first.
    fn expand(&mut self, node: u32) -> Look {
        let Scratch { visited, pool, near, frontier, bridges, .. } = &mut *self.scratch;
        let neighbours = self.links.base(node, near);
        let mut beyond = frontier.len();
        // all of them, also those that another candidate has queued: the look from here may be the only one
        bridges.clear();
        bridges.extend(neighbours.iter().filter(|slot| !self.admit.admits(**slot)));
        let keep = mark(self.admit, visited, frontier, neighbours);
        score(self.scorer, &Expansion::some(node, neighbours, keep, &mut [0; 64]), self.limit, pool);
        self.counts.hops += 1;
        self.counts.distances += u64::from(keep.count_ones());
        let mut look = Look { found: keep.count_ones(), read: neighbours.len() as u32 };
        for i in 0..self.scratch.bridges.len() {
            if look.found >= FOUND_AT_TWO_HOPS {
                return look;
            }
            look += self.look_across(self.scratch.bridges[i]);
        }
        for _ in 0..LOOK_MAX {
            if look.found >= FOUND_BEYOND || beyond == self.scratch.frontier.len() {
                return look;
            }
            look += self.look_across(self.scratch.frontier[beyond]);
            beyond += 1;
        }
        look
    }

    /// Scores the admitted neighbours of a bridge, unless it was crossed before.
    fn look_across(&mut self, bridge: u32) -> Look {
        let Scratch { visited, pool, near, frontier, .. } = &mut *self.scratch;
        if !visited.insert(bridge) {
            return Look::default();
        }
        let neighbours = self.links.base(bridge, near);
        let keep = mark(self.admit, visited, frontier, neighbours);
        self.counts.hops += 1;
        self.counts.distances += u64::from(keep.count_ones());
        if keep != 0 {
            score(self.scorer, &Expansion::some(bridge, neighbours, keep, &mut [0; 64]), self.limit, pool);
        }
        Look { found: keep.count_ones(), read: neighbours.len() as u32 }
    }

    /// Goes on breadth first through bridges until one leads to an admitted slot; whether one did within the budget.
    fn cross(&mut self, crossed: &mut usize) -> bool {
        while *crossed < BRIDGES_MAX {
            let Some(bridge) = self.scratch.frontier.get(*crossed).copied() else { return false };
            *crossed += 1;
            if self.look_across(bridge).found > 0 {
                return true;
            }
        }
        false
    }

    /// Scores every admitted slot that was not scored yet.
    fn scan(&mut self) {
        for slot in 0..self.links.rows() {
            if self.admit.admits(slot) {
                self.offer(slot);
            }
        }
    }
}

/// Scores an expansion at once: what else a filtered walk could do meanwhile depends on what this brings.
fn score<S: Scorer>(scorer: &mut S, expansion: &Expansion<'_>, limit: f32, pool: &mut Pool) {
    scorer.fetch(expansion);
    scorer.expand(expansion, limit.min(pool.bound()), pool);
}

/// Marks the admitted nodes of a list as visited, giving the mask of the new ones, and queues the others as bridges.
fn mark<A: Admit>(admit: &A, visited: &mut Visited, frontier: &mut Vec<u32>, neighbours: &[u32]) -> u64 {
    let mut keep = 0;
    for (i, slot) in neighbours.iter().enumerate() {
        if admit.admits(*slot) {
            keep |= u64::from(visited.insert(*slot)) << i;
        } else if visited.queue(*slot) {
            frontier.push(*slot);
        }
    }
    keep
}

#[cfg(test)]
mod tests;
