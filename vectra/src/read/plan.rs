//! How one segment is going to be searched: a value, decided from counts.

use std::fmt;

use vectra_core::query::Effort;

/// Admitted rows up to which their codes are scanned instead of walking the graph.
const SCAN_ROWS_MAX: u32 = 8192;
/// The share of admitted rows below which a walk would mostly meet rows it must not answer.
const SCAN_SHARE: u32 = 16;

/// The way through one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Compare with every admitted vector.
    ExactScan,
    /// Compare with every admitted code, then re-rank the best exactly.
    CodeScan { rerank: usize },
    /// Walk the graph over the codes, then re-rank the best exactly.
    GraphWalk { ef_search: usize, rerank: usize },
}

/// What the decision rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) rows: u32,
    /// Rows that may be answered.
    pub(crate) admitted: u32,
    pub(crate) has_codes: bool,
    pub(crate) has_graph: bool,
    /// The codes are those of a projection.
    pub(crate) is_projected: bool,
    pub(crate) effort: Effort,
    pub(crate) k: usize,
    /// The index's own `ef_search`.
    pub(crate) ef_default: usize,
}

/// How many of the best by code are compared exactly, at most: codes of 8 bits rarely misplace a row by more, those of a
/// projection by twice as much.
fn rerank_depth(k: usize, is_projected: bool) -> usize {
    let depth = 2 * k + 12;
    if is_projected { 2 * depth } else { depth }
}

/// Chooses the strategy for one segment.
pub(crate) fn plan(facts: &Facts) -> Strategy {
    let rerank = rerank_depth(facts.k, facts.is_projected);
    if facts.effort == Effort::Exact || !facts.has_codes || facts.admitted as usize <= rerank {
        return Strategy::ExactScan;
    }
    let few = facts.admitted <= SCAN_ROWS_MAX && facts.admitted < facts.rows / 2
        || facts.admitted <= facts.rows / SCAN_SHARE
        || facts.admitted <= 1024;
    if few || !facts.has_graph {
        return Strategy::CodeScan { rerank };
    }
    let ef = match facts.effort {
        Effort::Ef(ef) => ef,
        _ => facts.ef_default,
    };
    let ef_search = ef.max(facts.k);
    Strategy::GraphWalk { ef_search, rerank: rerank.min(ef_search) }
}

/// Whether every admitted vector is compared where the codes cannot tell which rows are nearest: many equal rows, or
/// rows that lie closer together than the levels of a code. Only where that costs little, and not where the caller has
/// chosen what a walk may cost. Codes of a projection are in doubt far more often, and hardly ever wrong by as much.
pub(crate) fn scans_in_doubt(facts: &Facts, strategy: Strategy) -> bool {
    let is_walk = matches!(strategy, Strategy::GraphWalk { .. });
    !facts.is_projected && facts.admitted <= SCAN_ROWS_MAX && (!is_walk || facts.effort == Effort::Default)
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExactScan => write!(f, "exact scan"),
            Self::CodeScan { rerank } => write!(f, "code scan, re-rank {rerank}"),
            Self::GraphWalk { ef_search, rerank } => {
                write!(f, "graph walk, ef_search {ef_search}, re-rank {rerank}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Facts = Facts {
        rows: 60_000,
        admitted: 60_000,
        has_codes: true,
        has_graph: true,
        is_projected: false,
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
            plan(&Facts { is_projected: true, ..WIDE }),
            Strategy::GraphWalk { ef_search: 96, rerank: 64 }
        );
        assert_eq!(plan(&Facts { effort: Effort::Exact, ..WIDE }), Strategy::ExactScan);
        assert_eq!(plan(&Facts { admitted: 600, ..WIDE }), Strategy::CodeScan { rerank: 32 });
        assert_eq!(plan(&Facts { admitted: 20, ..WIDE }), Strategy::ExactScan);
        assert_eq!(plan(&Facts { has_graph: false, ..WIDE }), Strategy::CodeScan { rerank: 32 });
        assert_eq!(plan(&Facts { has_codes: false, has_graph: false, ..WIDE }), Strategy::ExactScan);
    }

    #[test]
    fn small_segments_are_scanned_in_doubt_unless_an_effort_was_chosen() {
        let small = Facts { rows: 5000, admitted: 5000, ..WIDE };
        let scans = |facts: &Facts| scans_in_doubt(facts, plan(facts));
        assert!(scans(&small));
        assert!(!scans(&WIDE));
        assert!(!scans(&Facts { effort: Effort::Ef(16), ..small }));
        assert!(scans(&Facts { effort: Effort::Ef(16), has_graph: false, ..small }));
    }
}
