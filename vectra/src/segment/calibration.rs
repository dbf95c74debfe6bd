//! What a segment knows about its own graph: which walk reaches which recall. A value, its lookup and its bytes.
//!
//! The table has a row for each of several numbers of hits wanted, bands of the *first distance* (where the descent to
//! layer 0 ends, which a walk knows before most of its work) and recalls. It is made when the graph is
//! (`segment/calibrate`), and derived like that.

mod format;

use vectra_core::Metric;
use vectra_core::index::SearchParams;
use vectra_core::vector::normalize::inverse_norm;

/// The numbers of hits wanted that walks are calibrated for.
pub(crate) const WANTED: [u32; 3] = [1, 10, 100];

/// The recalls that walks are calibrated for.
pub(crate) const TARGETS: [f32; 10] = [0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999];

/// The widest pool a table may ask for.
const EF_MAX: u32 = crate::settings::EF_SEARCH_MAX as u32;

/// Beyond the last band nothing was measured: the rule of that band with this much more slack ...
const SLACK_BEYOND: f32 = 1.5;
/// ... and a pool that is this many times wider.
const EF_BEYOND: u32 = 2;

/// How a walk is ended, and how many of what it finds are compared exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    /// See [`SearchParams::slack`].
    pub(crate) slack: f32,
    /// The cap on the pool.
    pub(crate) ef: u32,
    /// The depth of the re-rank.
    pub(crate) depth: u32,
}

impl Rule {
    /// For segments without a table: a pool that was wide enough on every set measured so far.
    pub(crate) fn uncalibrated(k: usize, target: f32) -> Self {
        let missed = f64::from(1.0 - target).max(1e-4);
        let ef = (3.2 / missed).max(k as f64 * (1.0 + 0.05 / missed)).ceil();
        let depth = 2 * k as u64 + 12;
        Self { slack: f32::INFINITY, ef: (ef as u32).min(EF_MAX), depth: depth.min(EF_MAX.into()) as u32 }
    }

    /// The walk for `k` hits.
    pub(crate) fn params(self, k: usize) -> SearchParams {
        let ef = (self.ef as usize).max(k);
        SearchParams::new((self.depth as usize).clamp(k, ef), ef).with_slack(k, self.slack)
    }

    /// The more thorough of two, in each respect.
    fn or_wider(self, other: Self) -> Self {
        Self {
            slack: self.slack.max(other.slack),
            ef: self.ef.max(other.ef),
            depth: self.depth.max(other.depth),
        }
    }

    /// For `k` hits where this is the rule for fewer, `wanted`: the slack, which is relative, stays.
    fn scaled(self, k: usize, wanted: u32) -> Self {
        let scale = |n: u32| (u64::from(n) * k as u64 / u64::from(wanted)).min(EF_MAX.into()) as u32;
        Self { slack: self.slack, ef: scale(self.ef), depth: scale(self.depth) }
    }

    fn beyond(self) -> Self {
        let ef = self.ef.saturating_mul(EF_BEYOND).min(EF_MAX);
        Self { slack: self.slack * SLACK_BEYOND, ef, depth: self.depth }
    }
}

/// What a first distance is multiplied with before it is looked up. Under dot the same query, made longer, finds the same
/// rows at greater distances: what counts is its direction.
pub(crate) fn first_scale(metric: Metric, query: &[f32]) -> f32 {
    if metric == Metric::Dot { inverse_norm(query) } else { 1.0 }
}

/// The table of one segment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calibration {
    wanted: Vec<u32>,
    /// The largest first distance of each band, ascending.
    edges: Vec<f32>,
    targets: Vec<f32>,
    /// By wanted, then band, then target.
    rules: Vec<Rule>,
}

impl Calibration {
    /// The rules of `edges.len()` bands for [`WANTED`] and [`TARGETS`].
    ///
    /// # Panics
    /// If there are not as many rules as that makes.
    pub(crate) fn new(edges: Vec<f32>, rules: Vec<Rule>) -> Self {
        assert_eq!(rules.len(), WANTED.len() * edges.len() * TARGETS.len(), "a rule for each case");
        Self { wanted: WANTED.to_vec(), edges, targets: TARGETS.to_vec(), rules }
    }

    /// Whether it has rules for a recall as high as `target`.
    pub(crate) fn reaches(&self, target: f32) -> bool {
        self.targets.last().is_some_and(|last| target <= *last)
    }

    /// How to walk for `k` hits and recall `target` when the first distance is `first`.
    ///
    /// Between two recalls of the table the higher counts, and between two numbers of hits the wider of their rules; for
    /// more hits than the most of the table, that rule's pool grows with them.
    pub(crate) fn rule(&self, k: usize, target: f32, first: f32) -> Rule {
        let band = self.edges.iter().position(|edge| first <= *edge);
        let at = |row: usize| {
            let rule = self.at(row, band.unwrap_or(self.edges.len() - 1), target);
            if band.is_none() { rule.beyond() } else { rule }
        };
        let above = self.wanted.partition_point(|wanted| (*wanted as usize) < k);
        match self.wanted.get(above) {
            Some(wanted) if *wanted as usize == k || above == 0 => at(above),
            Some(_) => at(above).or_wider(at(above - 1)),
            None => at(above - 1).scaled(k, self.wanted[above - 1]),
        }
    }

    /// The pool of the narrowest walk for `k` hits and recall `target`, that of the nearest queries.
    pub(crate) fn narrowest(&self, k: usize, target: f32) -> u32 {
        self.rule(k, target, f32::NEG_INFINITY).ef
    }

    fn at(&self, row: usize, band: usize, target: f32) -> Rule {
        let column = self.targets.partition_point(|known| *known < target).min(self.targets.len() - 1);
        self.rules[(row * self.edges.len() + band) * self.targets.len() + column]
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
