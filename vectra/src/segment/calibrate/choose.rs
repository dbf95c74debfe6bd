//! From what walks brought to the rules of a table.

use super::trace::{Outcome, POOLS, SLACKS, case, slacks};
use crate::segment::calibration::{Calibration, Rule, TARGETS, WANTED};

/// Bands of the first distance, where there are enough queries for them ...
const BANDS_MAX: usize = 4;
/// ... which is so many each.
const BAND_MIN: usize = 48;

/// A band borrows its neighbours' queries, which count as so much of one.
const NEIGHBOURS: f64 = 0.5;

/// The recall of a sample reaches the target, and with this many of its standard errors less it misses it by less than ...
const ERRORS: f64 = 1.5;
/// ... this much.
const MISS_MAX: f64 = 0.01;
/// The recall of a sample exceeds the target by this part of what may be missed: queries of users differ from perturbed rows.
const MARGIN: f64 = 0.05;

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
            let found = Averages::of(&outcomes, &ends, band, i);
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

/// What each walk brings in one band, on average, for one number of hits.
struct Averages {
    cases: Vec<Average>,
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
        self.recall >= target + MARGIN * (1.0 - target)
            && self.recall - ERRORS * self.error >= target - MISS_MAX
    }
}

impl Averages {
    fn of(outcomes: &[Outcome], ends: &[usize], band: usize, i: usize) -> Self {
        let first = ends[band.saturating_sub(1)];
        let last = ends[(band + 2).min(ends.len() - 1)];
        let inside = ends[band]..ends[band + 1];
        let (from, to) = (case(i, 0, 0), case(i + 1, 0, 0));
        // Until the end `error` is the sum of the squares of recalls.
        let mut cases = vec![Average::default(); to - from];
        let (mut sum, mut squares) = (0.0, 0.0);
        for (n, outcome) in outcomes.iter().enumerate().take(last).skip(first) {
            let weight = if inside.contains(&n) { 1.0 } else { NEIGHBOURS };
            sum += weight;
            squares += weight * weight;
            for (average, found) in cases.iter_mut().zip(&outcome.cases[from..to]) {
                let recall = f64::from(found.recall);
                average.recall += weight * recall;
                average.error += weight * recall * recall;
                average.distances += weight * f64::from(found.distances);
            }
        }
        for average in &mut cases {
            average.recall /= sum;
            average.distances /= sum;
            let variance = (average.error / sum - average.recall * average.recall).max(0.0);
            average.error = (variance * squares).sqrt() / sum;
        }
        Self { cases }
    }

    /// The walk of the least cost that reaches `target` and is nowhere narrower than `least`.
    fn cheapest(&self, least: Choice, target: f32) -> Choice {
        let mut best: Option<(f64, Choice)> = None;
        for slack in least.slack..SLACKS {
            for pool in least.pool..POOLS.len() {
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
