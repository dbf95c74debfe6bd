//! One wide walk, and from it what every narrower one would have found and cost.

use vectra_core::Neighbor;
use vectra_core::admit::Bits;
use vectra_core::index::SearchCounts;
use vectra_core::pool::Pool;
use vectra_core::scorer::Scorer;
use vectra_hnsw::{HnswView, Scratch, Watch};

use super::nearest::Near;
use crate::segment::calibration::WANTED;

/// The pool of the walk that is watched.
pub(super) const EF_WATCHED: usize = 768;

/// The pools that a rule can ask for.
pub(super) const POOLS: [u32; 30] = [
    4,
    6,
    8,
    10,
    12,
    14,
    16,
    18,
    20,
    24,
    28,
    32,
    36,
    40,
    44,
    48,
    56,
    64,
    72,
    80,
    96,
    128,
    160,
    192,
    256,
    320,
    384,
    512,
    640,
    EF_WATCHED as u32,
];

/// How many slacks there are; the last is none at all.
pub(super) const SLACKS: usize = 36;

/// The slacks that a rule can ask for: each is a sixth larger than the one before.
pub(super) fn slacks() -> [f32; SLACKS] {
    let mut next = 0.004;
    let mut slacks = [f32::INFINITY; SLACKS];
    for slack in &mut slacks[..SLACKS - 1] {
        *slack = next;
        next *= 7.0 / 6.0;
    }
    slacks
}

/// How much farther than the true k-th neighbour a row may be, relatively, and count as one: as far as rounding goes.
const TIE: f32 = 1e-6;

/// A walk of one query.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outcome {
    /// The distance at which the descent ended.
    pub(super) first: f32,
    /// By wanted, slack and pool; see [`case`].
    pub(super) cases: Vec<Case>,
    /// By wanted: the ranks by code of the true neighbours.
    pub(super) ranks: [Vec<u32>; WANTED.len()],
}

/// What a walk with some slack and pool brings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Case {
    pub(super) recall: f32,
    /// Distances computed, but for those of the last node or two.
    pub(super) distances: f32,
}

/// The place of a case in [`Outcome::cases`].
pub(super) fn case(wanted: usize, slack: usize, pool: usize) -> usize {
    (wanted * SLACKS + slack) * POOLS.len() + pool
}

/// A node that the walk took.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The largest rank of a node so far.
    rank: u32,
    /// Distances computed before.
    distances: u32,
    /// By wanted: the distance of the k-th best at that time, infinity if there was none.
    kth: [f32; WANTED.len()],
    /// By wanted: the slack that it takes to take it; once the walk is over, see [`settle`], to come here.
    slack: [f32; WANTED.len()],
}

/// How many steps in a row must be too far for a walk to end: two nodes are on their way while one is chosen, and a walk that
/// finds that one too far goes on with what they bring.
const FAR_STEPS: usize = 3;

/// Watches a walk.
struct Tracer<'a> {
    steps: Vec<Step>,
    /// What to look out for.
    wanted: &'a Bits,
    /// Each of them that was scored, and how many steps it takes to score it.
    seen: Vec<(u32, u32)>,
    /// How many steps were taken to their end: nodes are scored in the order in which they were taken.
    done: u32,
}

impl Watch for Tracer<'_> {
    fn opens(&mut self, next: Neighbor, pool: &Pool, counts: &SearchCounts) {
        let before = self.steps.last().copied();
        let kth = WANTED.map(|k| pool.nth(k as usize - 1).map_or(f32::INFINITY, |kth| kth.distance));
        // Before anything was scored a walk takes the starts, however far they are.
        let slack = kth.map(|kth| if self.done == 0 { 0.0 } else { needed(next.distance, kth) });
        let rank = (pool.rank() as u32).max(before.map_or(0, |step| step.rank));
        self.steps.push(Step { rank, distances: counts.distances as u32, kth, slack });
    }

    fn scores(&mut self, slots: &[u32]) {
        self.done += u32::from(!self.steps.is_empty());
        let done = self.done;
        self.seen.extend(slots.iter().filter(|slot| self.wanted.contains(**slot)).map(|slot| (*slot, done)));
    }
}

/// The slack with which a walk takes a node at `distance` while the k-th best is at `kth`.
fn needed(distance: f32, kth: f32) -> f32 {
    if distance <= kth { 0.0 } else { (distance - kth) / kth.abs() }
}

/// From the slack that each step takes to the slack that it takes to come to it.
///
/// A walk with less of it waits at what is too far for what the nodes before bring, and goes on with that.
fn settle(steps: &mut [Step]) {
    for i in 0..WANTED.len() {
        let mut most = 0.0_f32;
        for at in 0..steps.len() {
            let next = steps[at..].iter().take(FAR_STEPS).map(|step| step.slack[i]);
            most = most.max(next.fold(f32::INFINITY, f32::min));
            steps[at].slack[i] = most;
        }
    }
}

/// Walks `graph` as if it had no slot `row`; `near` are the true neighbours, nearest first. `None` if the descent ended
/// at that slot.
pub(super) fn trace<S: Scorer>(
    graph: &HnswView,
    scorer: &mut S,
    row: u32,
    near: &[Near],
    scratch: &mut Scratch,
) -> Option<Outcome> {
    let answers = WANTED.map(|k| within(near, k as usize));
    let most = answers.iter().map(|answers| answers.len()).max().unwrap_or(0);
    let wanted = Bits::from_slots(graph_rows(graph), near[..most].iter().map(|near| near.slot));
    let mut tracer = Tracer { steps: Vec::new(), wanted: &wanted, seen: Vec::new(), done: 0 };
    let first = graph.watched(scorer, EF_WATCHED, &[row], scratch, &mut tracer)?.distance;
    settle(&mut tracer.steps);
    let mut outcome = Outcome {
        first,
        cases: vec![Case::default(); case(WANTED.len(), 0, 0)],
        ranks: std::array::from_fn(|i| near.iter().take(WANTED[i] as usize).map(|near| near.rank).collect()),
    };
    tracer.seen.sort_unstable();
    for (i, answers) in answers.iter().enumerate() {
        // After how many steps each is seen, and how far it is by its code.
        let mut seen: Vec<(u32, f32)> = answers
            .iter()
            .filter_map(|near| {
                let at = tracer.seen.binary_search_by_key(&near.slot, |seen| seen.0).ok()?;
                Some((tracer.seen[at].1, near.estimate))
            })
            .collect();
        seen.sort_unstable_by_key(|seen| seen.0);
        fill(&mut outcome.cases, i, &tracer.steps, &seen, answers.len().min(WANTED[i] as usize));
    }
    Some(outcome)
}

/// The first `k` of `near` and those as near as the last of them.
fn within(near: &[Near], k: usize) -> &[Near] {
    let Some(last) = near.get(k - 1) else { return near };
    let limit = last.exact + TIE * last.exact.abs();
    &near[..near.partition_point(|near| near.exact <= limit)]
}

fn graph_rows(graph: &HnswView) -> u32 {
    vectra_core::index::AnnIndex::len(graph) as u32
}

/// The cases of the `i`-th of [`WANTED`]: `seen` of its `k` answers, ascending.
fn fill(cases: &mut [Case], i: usize, steps: &[Step], seen: &[(u32, f32)], k: usize) {
    for (s, slack) in slacks().into_iter().enumerate() {
        let by_slack = steps.partition_point(|step| step.slack[i] <= slack);
        let mut last = usize::MAX;
        for (p, pool) in POOLS.into_iter().enumerate() {
            let pool = pool.max(WANTED[i]);
            let end = by_slack.min(steps.partition_point(|step| step.rank < pool));
            cases[case(i, s, p)] =
                if end == last { cases[case(i, s, p - 1)] } else { ended(steps, end, i, slack, seen, k) };
            last = end;
        }
    }
}

/// A walk that takes `end` of `steps` and no more.
fn ended(steps: &[Step], end: usize, i: usize, slack: f32, seen: &[(u32, f32)], k: usize) -> Case {
    let Some(step) = steps.get(end).or(steps.last()) else { return Case::default() };
    let limit = if slack.is_finite() { step.kth[i] + slack * step.kth[i].abs() } else { f32::INFINITY };
    let scored = &seen[..seen.partition_point(|seen| seen.0 as usize <= end)];
    let found = scored.iter().filter(|seen| seen.1 <= limit).count();
    Case { recall: found.min(k) as f32 / k.max(1) as f32, distances: step.distances as f32 }
}
