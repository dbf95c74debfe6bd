//! How one segment is going to be searched: a value, decided from counts.

use std::fmt;

use vectra_core::query::{Effort, Profile};

use crate::segment::calibration::{Calibration, Rule};

/// Admitted rows up to which their codes are scanned instead of walking the graph.
const SCAN_ROWS_MAX: u32 = 8192;
/// The share of admitted rows below which a walk would mostly meet rows it must not answer.
const SCAN_SHARE: u32 = 16;

/// The highest recall that a walk is trusted with.
const RECALL_MAX: f32 = 0.999;
/// As many codes are scanned in the time that a walk takes for one place of its pool.
const WALKED_PER_PLACE: u64 = 32;

/// The way through one segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Strategy {
    /// Compare with every admitted vector.
    ExactScan,
    /// Compare with every admitted code, then re-rank the best exactly.
    CodeScan { rerank: usize },
    /// Walk the graph over the codes, then re-rank the best exactly.
    GraphWalk { ef_search: usize, rerank: usize },
    /// The same, as wide as the segment's calibration says for this recall and the query's first distance.
    CalibratedWalk { recall: f32 },
}

/// What the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) rows: u32,
    /// Rows that may be answered.
    pub(crate) admitted: u32,
    pub(crate) has_codes: bool,
    pub(crate) has_graph: bool,
    /// How far codes misplace rows, [`Codes::coarseness`](crate::segment::codes::Codes::coarseness).
    pub(crate) coarseness: usize,
    pub(crate) calibration: Option<&'a Calibration>,
    pub(crate) effort: Effort,
    pub(crate) k: usize,
    /// The index's own `ef_search`.
    pub(crate) ef_default: usize,
}

/// How many of the best by code are compared exactly, at most: codes of 8 bits rarely misplace a row by more, coarser ones
/// by so many times as much.
fn rerank_depth(k: usize, coarseness: usize) -> usize {
    coarseness * (2 * k + 12)
}

/// Chooses the strategy for one segment.
pub(crate) fn plan(facts: &Facts<'_>) -> Strategy {
    let rerank = rerank_depth(facts.k, facts.coarseness);
    if takes_all(facts) || !facts.has_codes || facts.admitted as usize <= rerank {
        return Strategy::ExactScan;
    }
    let few = facts.admitted <= SCAN_ROWS_MAX && facts.admitted < facts.rows / 2
        || facts.admitted <= facts.rows / SCAN_SHARE
        || facts.admitted <= 1024;
    if few || !facts.has_graph {
        return Strategy::CodeScan { rerank };
    }
    let (ef, rerank) = match facts.effort {
        Effort::Ef(ef) => (ef, rerank),
        Effort::Recall(recall) => match facts.calibration {
            Some(known) if walk_is_longer(known.narrowest(facts.k, recall), facts.admitted) => {
                return Strategy::CodeScan { rerank };
            }
            Some(_) => return Strategy::CalibratedWalk { recall },
            None => {
                let rule = Rule::uncalibrated(facts.k, recall);
                (rule.ef as usize, rule.depth as usize)
            }
        },
        // A pool no wider than the answer would leave the re-rank nothing to choose from, and what coarse codes misplace has
        // to be in it.
        _ => (
            facts.ef_default.max(facts.k + facts.k / 4).max(if facts.coarseness > 2 { rerank } else { 0 }),
            rerank,
        ),
    };
    let ef_search = ef.max(facts.k);
    Strategy::GraphWalk { ef_search, rerank: rerank.min(ef_search) }
}

/// Whether every admitted vector is compared where the codes cannot tell which rows are nearest: many equal rows, or
/// rows that lie closer together than the levels of a code. Only where that costs little, and not where the caller has
/// chosen what a walk may cost. Coarse codes are in doubt far more often, and hardly ever wrong by as much.
pub(crate) fn scans_in_doubt(facts: &Facts<'_>, strategy: Strategy) -> bool {
    let may = match strategy {
        Strategy::GraphWalk { .. } => matches!(facts.effort, Effort::Default | Effort::Recall(_)),
        // What the codes cost was measured with the rest.
        Strategy::CalibratedWalk { .. } => false,
        Strategy::ExactScan | Strategy::CodeScan { .. } => true,
    };
    facts.coarseness == 1 && facts.admitted <= SCAN_ROWS_MAX && may
}

/// Whether walking with a pool of `ef` takes more time than scanning `rows` codes.
fn walk_is_longer(ef: u32, rows: u32) -> bool {
    u64::from(ef) * WALKED_PER_PLACE > u64::from(rows)
}

/// Whether only a look at every row reaches the recall: it is 1, or higher than any that walks are calibrated for.
fn takes_all(facts: &Facts<'_>) -> bool {
    match facts.effort {
        Effort::Exact => true,
        Effort::Recall(recall) => {
            recall > RECALL_MAX || facts.calibration.is_some_and(|known| !known.reaches(recall))
        }
        _ => false,
    }
}

impl Strategy {
    /// Counts by which rule a recall was planned.
    pub(crate) fn count(self, effort: Effort, profile: &mut Profile) {
        match self {
            Self::CalibratedWalk { .. } => profile.calibrated += 1,
            Self::GraphWalk { .. } if matches!(effort, Effort::Recall(_)) => profile.uncalibrated += 1,
            _ => {}
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExactScan => write!(f, "exact scan"),
            Self::CodeScan { rerank } => write!(f, "code scan, re-rank {rerank}"),
            Self::GraphWalk { ef_search, rerank } => {
                write!(f, "graph walk, ef_search {ef_search}, re-rank {rerank}")
            }
            Self::CalibratedWalk { recall } => write!(f, "graph walk calibrated for recall {recall}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Facts<'_> = Facts {
        rows: 60_000,
        admitted: 60_000,
        has_codes: true,
        has_graph: true,
        coarseness: 1,
        calibration: None,
        effort: Effort::Default,
        k: 10,
        ef_default: 96,
    };

    #[test]
    fn the_graph_serves_wide_questions_and_scans_serve_narrow_ones() {
        assert_eq!(plan(&WIDE), Strategy::GraphWalk { ef_search: 96, rerank: 32 });
        assert_eq!(
            plan(&Facts { effort: Effort::Ef(16), ..WIDE }),
            Strategy::GraphWalk { ef_search: 16, rerank: 16 }
        );
        assert_eq!(
            plan(&Facts { k: 100, ..WIDE }),
            Strategy::GraphWalk { ef_search: 125, rerank: 125 },
            "wider than the answer"
        );
        assert_eq!(plan(&Facts { coarseness: 2, ..WIDE }), Strategy::GraphWalk { ef_search: 96, rerank: 64 });
        assert_eq!(plan(&Facts { effort: Effort::Exact, ..WIDE }), Strategy::ExactScan);
        assert_eq!(plan(&Facts { admitted: 600, ..WIDE }), Strategy::CodeScan { rerank: 32 });
        assert_eq!(plan(&Facts { admitted: 20, ..WIDE }), Strategy::ExactScan);
        assert_eq!(plan(&Facts { has_graph: false, ..WIDE }), Strategy::CodeScan { rerank: 32 });
        assert_eq!(plan(&Facts { has_codes: false, has_graph: false, ..WIDE }), Strategy::ExactScan);
    }

    #[test]
    fn small_segments_are_scanned_in_doubt_unless_an_effort_was_chosen() {
        let small = Facts { rows: 5000, admitted: 5000, ..WIDE };
        let scans = |facts: &Facts<'_>| scans_in_doubt(facts, plan(facts));
        assert!(scans(&small));
        assert!(!scans(&WIDE));
        assert!(!scans(&Facts { effort: Effort::Ef(16), ..small }));
        assert!(scans(&Facts { effort: Effort::Ef(16), has_graph: false, ..small }));
    }

    #[test]
    fn a_recall_is_planned_by_the_table_by_a_rule_of_thumb_or_by_looking_at_all() {
        use crate::segment::calibration::{TARGETS, WANTED};
        let rule = |t: usize| Rule { slack: 0.1, ef: if t < 9 { 64 } else { 4000 }, depth: 14 };
        let rules = (0..WANTED.len()).flat_map(|_| (0..TARGETS.len()).map(rule)).collect();
        let table = Calibration::new(vec![0.5], rules);
        let asked = |recall| Facts { effort: Effort::Recall(recall), ..WIDE };
        let known = |recall| Facts { calibration: Some(&table), ..asked(recall) };
        assert_eq!(plan(&known(0.95)), Strategy::CalibratedWalk { recall: 0.95 });
        assert_eq!(plan(&asked(0.95)), Strategy::GraphWalk { ef_search: 64, rerank: 32 });
        assert_eq!(plan(&known(0.9995)), Strategy::ExactScan);
        assert_eq!(plan(&asked(0.9995)), Strategy::ExactScan);
        assert_eq!(plan(&known(0.999)), Strategy::CodeScan { rerank: 32 }, "the walk would be longer");
        assert_eq!(plan(&Facts { has_graph: false, ..known(0.9) }), Strategy::CodeScan { rerank: 32 });
        assert_eq!(plan(&Facts { admitted: 600, ..known(0.9) }), Strategy::CodeScan { rerank: 32 });
        let mut profile = Profile::default();
        for facts in [known(0.95), asked(0.95), known(0.999), WIDE] {
            plan(&facts).count(facts.effort, &mut profile);
        }
        assert_eq!((profile.calibrated, profile.uncalibrated), (1, 1));
        let small = Facts { admitted: 2000, rows: 2000, ..asked(0.9) };
        assert!(scans_in_doubt(&small, plan(&small)));
        assert!(!scans_in_doubt(&small, Strategy::CalibratedWalk { recall: 0.9 }));
        assert_eq!(
            Strategy::CalibratedWalk { recall: 0.9 }.to_string(),
            "graph walk calibrated for recall 0.9"
        );
    }
}
