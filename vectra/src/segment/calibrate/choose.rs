//! From what walks brought to the rules of a table.

use super::trace::{Outcome, POOLS, SLACKS, case, slacks};
use crate::segment::calibration::{Calibration, Rule, TARGETS, WANTED};

/// Bands of the first distance, where there are enough queries for them ...
const BANDS_MAX: usize = 4;
/// ... which is so many each.
const BAND_MIN: usize = 48;

/// The recall of a sample reaches the target, and with so many of its standard errors less it misses it by less than ...
const ERRORS: f64 = 1.0;
/// ... this much.
const MISS_MAX: f64 = 0.01;
/// The recall of a sample exceeds the target by at least this part of what may be missed: queries of users differ from made-up
/// ones, the more, the more may be missed.
const MARGIN: f64 = 0.05;
/// What one query misses counts for no more than so many times what may be missed, or one hit. Otherwise a few queries that
/// nobody may ever ask would make all others dear.
const MISSED_MAX: f32 = 15.0;

/// The most times wider than what was watched a pool is made where that does not reach a target.
const WIDER_MAX: f64 = 4.0;

/// The table that follows from `outcomes`; `None` if there are none.
pub(super) fn choose(mut outcomes: Vec<Outcome>) -> Option<Calibration> {
    outcomes.sort_by(|a, b| a.first.total_cmp(&b.first));
    let bands = (outcomes.len() / BAND_MIN).clamp(1, BANDS_MAX);
    let ends: Vec<usize> = (0..=bands).map(|band| outcomes.len() * band / bands).collect();
    let edge = |end: &usize| end.checked_sub(1).and_then(|last| outcomes.get(last)).map(|last| last.first);
    let edges: Vec<f32> = ends[1..].iter().map(edge).collect::<Option<_>>()?;
    if edges.iter().any(|edge| edge.is_nan()) {
        return None;
    }
    let mut rules = Vec::new();
    for (i, wanted) in WANTED.into_iter().enumerate() {
        let depths = TARGETS.map(|target| depth(&outcomes, i, target, wanted));
        let mut band_before = [Choice::default(); TARGETS.len()];
        for band in 0..bands {
            // A band borrows its neighbours' queries.
            let near = ends[band.saturating_sub(1)]..ends[(band + 2).min(bands)];
            let mut found = Averages::of(&outcomes[near], i);
            let mut below = Choice::default();
            for (t, target) in TARGETS.into_iter().enumerate() {
                // No less for a higher target, or for queries farther out, whatever the sample says.
                below = found.cheapest(below.or_wider(band_before[t]), target);
                band_before[t] = below;
                rules.push(below.rule(wanted, depths[t]));
            }
        }
    }
    Some(Calibration::new(edges, rules))
}

/// A walk: the number of its slack and of its pool, and how many times wider than that the pool is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    slack: usize,
    pool: usize,
    wider: f64,
}

impl Default for Choice {
    fn default() -> Self {
        Self { slack: 0, pool: 0, wider: 1.0 }
    }
}

impl Choice {
    fn or_wider(self, other: Self) -> Self {
        let (slack, pool) = (self.slack.max(other.slack), self.pool.max(other.pool));
        Self { slack, pool, wider: self.wider.max(other.wider) }
    }

    fn rule(self, wanted: u32, depth: u32) -> Rule {
        let ef = (f64::from(POOLS[self.pool].max(wanted)) * self.wider).ceil() as u32;
        Rule { slack: slacks()[self.slack], ef, depth }
    }
}

/// What each walk brings to some queries, on average, for one number of hits.
struct Averages<'a> {
    outcomes: &'a [Outcome],
    /// Which of [`WANTED`] it is.
    i: usize,
    cases: Vec<Average>,
    /// The share of its hits that a query counts as missing at most.
    missed_max: f32,
}

/// A mean recall, how far it may be off, and a mean cost.
#[derive(Debug, Clone, Copy, Default)]
struct Average {
    recall: f64,
    error: f64,
    distances: f64,
}

impl Average {
    fn reaches(self, target: f64) -> bool {
        let missed = 1.0 - target;
        self.recall >= target + missed * missed.max(MARGIN)
            && self.recall - ERRORS * self.error >= target - MISS_MAX
    }
}

impl<'a> Averages<'a> {
    fn of(outcomes: &'a [Outcome], i: usize) -> Self {
        let cases = vec![Average::default(); case(1, 0, 0)];
        let mut averages = Self { outcomes, i, cases, missed_max: 1.0 };
        averages.sum();
        averages
    }

    /// Counts misses as it befits `target`.
    fn count_for(&mut self, target: f32) {
        let missed_max = (MISSED_MAX * (1.0 - target)).max(1.0 / WANTED[self.i] as f32).min(1.0);
        if missed_max < self.missed_max {
            self.missed_max = missed_max;
            self.sum();
        }
    }

    fn sum(&mut self) {
        let (least, many) = (1.0 - self.missed_max, self.outcomes.len() as f64);
        let mut sums = vec![(0.0_f32, 0.0_f32, 0.0_f32); self.cases.len()];
        for outcome in self.outcomes {
            let cases = &outcome.cases[case(self.i, 0, 0)..case(self.i + 1, 0, 0)];
            for ((recall, squares, distances), found) in sums.iter_mut().zip(cases) {
                // Misses and not hits: their squares are small and add up exactly enough.
                let missed = 1.0 - found.recall.max(least);
                *recall += missed;
                *squares += missed * missed;
                *distances += found.distances;
            }
        }
        for (average, (missed, squares, distances)) in self.cases.iter_mut().zip(sums) {
            let missed = f64::from(missed) / many;
            let variance = (f64::from(squares) / many - missed * missed).max(0.0);
            let error = (variance / many).sqrt();
            *average = Average { recall: 1.0 - missed, error, distances: f64::from(distances) / many };
        }
    }

    /// The walk of the least cost that reaches `target` and is nowhere narrower than `least`.
    fn cheapest(&mut self, least: Choice, target: f32) -> Choice {
        self.count_for(target);
        let mut best: Option<(f64, Choice)> = None;
        for slack in least.slack..SLACKS {
            for pool in least.pool.max(narrowest(slack))..POOLS.len() {
                let found = self.cases[case(0, slack, pool)];
                if found.reaches(target.into()) && best.is_none_or(|(cost, _)| found.distances < cost) {
                    best = Some((found.distances, Choice { slack, pool, ..least }));
                }
            }
        }
        best.map_or_else(|| self.last_resort(least, target), |(_, choice)| choice)
    }

    /// A pool wider than was watched: what a walk misses halves, about, when its pool is doubled.
    fn last_resort(&self, least: Choice, target: f32) -> Choice {
        let (slack, pool) = (SLACKS - 1, POOLS.len() - 1);
        let reached = self.cases[case(0, slack, pool)];
        let wider = (1.0 - reached.recall + reached.error) / f64::from(1.0 - target).max(1e-6);
        Choice { slack, pool, wider: wider.clamp(least.wider, WIDER_MAX) }
    }
}

/// The number of the narrowest pool for a slack: it is the slack that ends most walks. By what it takes the queries of
/// another kind find about as much as those of the sample; by a pool they do not.
fn narrowest(slack: usize) -> usize {
    (3 * slack + 2) / 4
}

/// How many by code hold all but a tenth of what may be missed, and some more.
fn depth(outcomes: &[Outcome], i: usize, target: f32, wanted: u32) -> u32 {
    let mut ranks: Vec<u32> = outcomes.iter().flat_map(|outcome| &outcome.ranks[i]).copied().collect();
    if ranks.is_empty() {
        return 2 * wanted + 12;
    }
    let beyond = (f64::from(1.0 - target) * 0.1 * ranks.len() as f64) as usize;
    let place = ranks.len() - 1 - beyond.min(ranks.len() - 1);
    let (_, deepest, _) = ranks.select_nth_unstable(place);
    let needed = *deepest + 1;
    (needed + needed / 4 + 2).max(wanted)
}

#[cfg(test)]
mod tests;
