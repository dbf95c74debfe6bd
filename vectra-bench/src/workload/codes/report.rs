//! What was measured of codes.

use std::fmt::Write as _;

use serde::Serialize;

/// All rungs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CodesReport {
    pub(crate) rows: usize,
    pub(crate) dim: usize,
    pub(crate) metric: String,
    pub(crate) queries: usize,
    pub(crate) k: usize,
    pub(crate) lines: Vec<Line>,
}

/// One rung. Times are medians of turns, per query of one thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) rung: String,
    /// Bytes of a vector's code with everything that a scan reads beside it.
    pub(crate) bytes: f64,
    pub(crate) train_s: f64,
    /// One thread.
    pub(crate) encode_s: f64,
    /// Of `f32` vectors.
    pub(crate) encode_mb_per_s: f64,
    /// Of the scan alone.
    pub(crate) recall: f64,
    pub(crate) us: f64,
    /// Many queries in a call, where the codes take many at once.
    pub(crate) together_us: Option<f64>,
    pub(crate) reranked: Vec<Reranked>,
    /// For codes that say how wrong they may be.
    pub(crate) pruned: Vec<Pruned>,
}

/// When only those are compared exactly that the codes leave open.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pruned {
    /// How wide the ranges are, in standard deviations.
    pub(crate) eps: f32,
    /// Exact comparisons a query.
    pub(crate) reads: f64,
    pub(crate) recall: f64,
    pub(crate) us: f64,
}

/// The same when the nearest by codes are compared exactly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Reranked {
    pub(crate) candidates: usize,
    pub(crate) recall: f64,
    pub(crate) us: f64,
}

impl CodesReport {
    /// The report as text.
    pub(crate) fn table(&self) -> String {
        let Self { rows, dim, metric, queries, k, .. } = self;
        let mut out = format!("{rows} x {dim}, {metric}, {queries} queries, recall@{k}, one thread\n");
        for line in &self.lines {
            let Line { rung, bytes, train_s, encode_s, encode_mb_per_s, recall, us, .. } = line;
            let cost =
                format!("trained in {train_s:.2} s, encoded in {encode_s:.2} s ({encode_mb_per_s:.0} MB/s)");
            let _infallible = writeln!(out, "{rung}: {bytes:.1} B a vector, {cost}");
            let _infallible = write!(out, "  codes alone {recall:.4} in {us:.1} us");
            if let Some(us) = line.together_us {
                let _infallible = write!(out, " ({us:.1} together)");
            }
            for Reranked { candidates, recall, us } in &line.reranked {
                let _infallible = write!(out, "; {candidates} re-ranked {recall:.4} in {us:.1} us");
            }
            for Pruned { eps, reads, recall, us } in &line.pruned {
                let _infallible =
                    write!(out, "\n  pruned by {eps} deviations {recall:.4} in {us:.1} us, {reads:.1} read");
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_rung() {
        let reranked = vec![Reranked { candidates: 20, recall: 0.99, us: 110.0 }];
        let line = Line {
            rung: "sq8".to_owned(),
            bytes: 448.0,
            train_s: 0.0,
            encode_s: 0.5,
            encode_mb_per_s: 195.6,
            recall: 0.95,
            us: 100.25,
            together_us: Some(50.0),
            reranked,
            pruned: vec![Pruned { eps: 1.5, reads: 33.3, recall: 0.985, us: 60.0 }],
        };
        let report = CodesReport {
            rows: 63_666,
            dim: 384,
            metric: "cosine".to_owned(),
            queries: 2000,
            k: 10,
            lines: vec![line],
        };
        let expected = "63666 x 384, cosine, 2000 queries, recall@10, one thread\n\
            sq8: 448.0 B a vector, trained in 0.00 s, encoded in 0.50 s (196 MB/s)\n  \
            codes alone 0.9500 in 100.2 us (50.0 together); 20 re-ranked 0.9900 in 110.0 us\n  \
            pruned by 1.5 deviations 0.9850 in 60.0 us, 33.3 read\n";
        assert_eq!(report.table(), expected);
    }
}
