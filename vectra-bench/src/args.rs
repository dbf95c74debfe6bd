//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use vectra::{Metric, Quantization};

use crate::generate::Kind;
use crate::workload::Rung;

/// Measures Vectra on vectors of one's own.
#[derive(Debug, Parser)]
#[command(name = "vectra-bench", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The workloads.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Nearest neighbours, one query per call: recall against speed.
    Ann(AnnArgs),
    /// Generations of replaced items and compactions: recall, reachability, what stays on disk.
    Churn(ChurnArgs),
    /// Codes without an engine: bytes per vector, recall of their scan, alone and re-ranked, and its time.
    Codes(CodesArgs),
    /// Queries while the index is compacted, against queries while nothing else goes on.
    Interfere(InterfereArgs),
    /// Queries per second: many at once by exact scan, and by graph over several threads.
    Throughput(ThroughputArgs),
    /// What rows that are not sealed yet add to a query.
    Unsealed(UnsealedArgs),
    /// A fixed piece of work whose counters are the same on every machine, compared with what was recorded.
    Gate(GateArgs),
    /// Writes a set of vectors, queries and true neighbours that a seed determines.
    Generate(GenerateArgs),
}

/// What `generate` is to write.
#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateArgs {
    /// The set.
    #[arg(long)]
    pub(crate) kind: Kind,
    /// Vectors.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: u64,
    /// Queries.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) query_count: u64,
    /// Determines everything.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder; files of the same names are replaced.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Threads that look for the true neighbours; all that there are if not given.
    #[arg(long, value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
}

/// What `gate` compares with.
#[derive(Debug, Clone, Args)]
pub(crate) struct GateArgs {
    /// The recorded counters (JSON).
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: PathBuf,
    /// Records what is found as the new baseline instead of failing where it is worse.
    #[arg(long)]
    pub(crate) bless: bool,
    /// Also writes what is found, all of it, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `churn` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChurnArgs {
    /// The vectors (npy, f32 or f16); some are held back to replace others.
    #[arg(long)]
    pub(crate) base: PathBuf,
    /// The query vectors (npy, f32 or f16).
    #[arg(long)]
    pub(crate) queries: PathBuf,
    /// A folder for the indexes, which must not be there yet.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// cosine, dot, l2 or l1.
    #[arg(long, default_value_t = Metric::Cosine)]
    pub(crate) metric: Metric,
    /// How often a fiftieth is replaced and the index compacted.
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub(crate) generations: usize,
    /// Threads that build graphs.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Asks only the first N queries.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) queries_max: Option<usize>,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `codes` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct CodesArgs {
    /// The vectors (npy, f32 or f16); all of them are held in memory.
    #[arg(long)]
    pub(crate) base: PathBuf,
    /// The query vectors (npy, f32 or f16).
    #[arg(long)]
    pub(crate) queries: PathBuf,
    /// The row numbers of each query's nearest rows, best first (npy, i32 or i64).
    #[arg(long)]
    pub(crate) truth: PathBuf,
    /// cosine, dot, l2 or l1.
    #[arg(long, default_value_t = Metric::Cosine)]
    pub(crate) metric: Metric,
    /// The codecs, such as sq8,rabitq-1,signs,opq-48x4.
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) rungs: Vec<Rung>,
    /// Neighbours per query.
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub(crate) k: usize,
    /// How many of the nearest by codes are compared exactly.
    #[arg(long, value_delimiter = ',', default_value = "20,50,100", value_parser = at_least_one)]
    pub(crate) candidates: Vec<usize>,
    /// How wide the ranges of codes that have any are taken, in standard deviations, where they decide what is compared exactly.
    #[arg(long, value_delimiter = ',', default_value = "1.5,1.9,2.5")]
    pub(crate) eps: Vec<f32>,
    /// Passes over the queries whose median counts.
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub(crate) turns: usize,
    /// Determines what is trained.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Asks only the first N queries.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) queries_max: Option<usize>,
    /// Prints what was found of a rung as a line of JSON, and then answers each line on stdin, a number of candidates to
    /// re-rank or 0, or `together`, with the microseconds a query of one more pass: to take turns with another program.
    #[arg(long)]
    pub(crate) serve: bool,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `interfere` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct InterfereArgs {
    /// The folder of the index: built of synthetic rows if it is not there, reused if it is.
    #[arg(long)]
    pub(crate) index: PathBuf,
    /// Rows of a new index.
    #[arg(long, default_value_t = 500_000)]
    pub(crate) rows: u64,
    /// Components of a row.
    #[arg(long, default_value_t = 96, value_parser = at_least_one)]
    pub(crate) dim: usize,
    /// Compactions to measure.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) rounds: usize,
    /// Seconds of queries before and after each compaction.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) idle_s: f64,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `throughput` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct ThroughputArgs {
    /// The folder of the index, as `ann` builds it.
    #[arg(long)]
    pub(crate) index: PathBuf,
    /// The query vectors (npy, f32 or f16).
    #[arg(long)]
    pub(crate) queries: PathBuf,
    /// Neighbours per query.
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub(crate) k: usize,
    /// Threads to set against one.
    #[arg(long, default_value_t = 2, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// How often everything is measured.
    #[arg(long, default_value_t = 9, value_parser = at_least_one)]
    pub(crate) rounds: usize,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `unsealed` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnsealedArgs {
    /// A folder for the indexes, which must not be there yet.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// Unsealed rows.
    #[arg(long, default_value_t = 16_384)]
    pub(crate) rows: u64,
    /// Sealed rows.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) sealed: u64,
    /// Components of a row.
    #[arg(long, default_value_t = 384, value_parser = at_least_one)]
    pub(crate) dim: usize,
    /// How often both indexes are asked 50 queries in turn.
    #[arg(long, default_value_t = 40, value_parser = at_least_one)]
    pub(crate) turns: usize,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What `ann` is to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct AnnArgs {
    /// The vectors to index (npy, f32 or f16); row numbers become ids. Needed if the index is not there yet.
    #[arg(long)]
    pub(crate) base: Option<PathBuf>,
    /// The folder of the index: built if it is not there, reused if it is.
    #[arg(long)]
    pub(crate) index: PathBuf,
    /// The query vectors (npy, f32 or f16).
    #[arg(long)]
    pub(crate) queries: PathBuf,
    /// The row numbers of each query's nearest rows, best first (npy, i32 or i64, at least k columns).
    #[arg(long)]
    pub(crate) truth: PathBuf,
    /// cosine, dot, l2 or l1.
    #[arg(long, default_value_t = Metric::Cosine)]
    pub(crate) metric: Metric,
    /// Neighbours per query.
    #[arg(long, default_value_t = 10, value_parser = at_least_one)]
    pub(crate) k: usize,
    /// Threads that build the index and that ask queries.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Search efforts to measure, such as 16,32,64. Without --ef, --recall and --reach the index's default is measured.
    #[arg(long, value_delimiter = ',', value_parser = at_least_one)]
    pub(crate) ef: Vec<usize>,
    /// Recalls to ask the index for, such as 0.90,0.95: measures what its own calibration makes of them.
    #[arg(long, value_delimiter = ',', value_parser = share)]
    pub(crate) recall: Vec<f32>,
    /// Recalls to reach, such as 0.90,0.95: half of the queries choose the least effort, the others measure it.
    #[arg(long, value_delimiter = ',', value_parser = share, conflicts_with_all = ["ef", "recall"])]
    pub(crate) reach: Vec<f32>,
    /// Leaves out the first N queries, where those were looked at before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) queries_from: usize,
    /// Also measures the exact scan, and how much of one thread's read bandwidth it uses.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Keeps vectors out of memory: each that is compared exactly is read from its file.
    #[arg(long)]
    pub(crate) lean: bool,
    /// Has the vectors encoded so, such as sq8 or rabitq-2, before anything is measured.
    #[arg(long, value_name = "NAME")]
    pub(crate) quantization: Option<Quantization>,
    /// Has codes and graphs take at most so many bytes, chosen by the engine.
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_budget: Option<u64>,
    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Asks only the first N queries.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) queries_max: Option<usize>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".to_owned()),
        Ok(number) => Ok(number),
    }
}

fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("expected a share above 0 and at most 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [&str; 8] =
        ["vectra-bench", "ann", "--index", "i", "--queries", "q.npy", "--truth", "t.npy"];

    fn parse(more: &[&str]) -> Result<AnnArgs, clap::Error> {
        match Cli::try_parse_from(NEEDED.iter().chain(more))?.command {
            Command::Ann(args) => Ok(args),
            other => panic!("{other:?} is not what was asked for"),
        }
    }

    #[test]
    fn the_defaults_are_one_thread_ten_neighbours_cosine() {
        let args = parse(&[]).expect("what is needed is there");
        assert_eq!((args.k, args.threads, args.metric), (10, 1, Metric::Cosine));
        assert!(
            args.ef.is_empty()
                && args.recall.is_empty()
                && args.reach.is_empty()
                && !args.exact
                && !args.lean
                && args.base.is_none()
        );
    }

    #[test]
    fn lists_are_split_at_commas() {
        let args = parse(&["--ef", "16,32", "--metric", "l2"]).expect("a list of efforts");
        assert_eq!((args.ef, args.metric), (vec![16, 32], Metric::L2));
        let args = parse(&["--recall", "0.9,0.99", "--exact"]).expect("a list of recalls");
        assert_eq!((args.recall, args.exact), (vec![0.9, 0.99], true));
        let args = parse(&["--ef", "16", "--recall", "0.9"]).expect("both at once");
        assert_eq!((args.ef, args.recall, args.reach), (vec![16], vec![0.9], vec![]));
    }

    #[test]
    fn the_gate_needs_a_baseline() {
        let parse = |more: &[&str]| Cli::try_parse_from(["vectra-bench", "gate"].iter().chain(more));
        assert!(parse(&["--bless"]).is_err());
        match parse(&["--baseline", "g.json"]).expect("that is enough").command {
            Command::Gate(args) => assert!(!args.bless && args.json.is_none()),
            other => panic!("{other:?} is not what was asked for"),
        }
    }

    #[test]
    fn a_set_needs_a_kind_rows_and_a_folder() {
        let parse = |more: &[&str]| Cli::try_parse_from(["vectra-bench", "generate"].iter().chain(more));
        match parse(&["--kind", "ood768", "--rows", "5", "--out", "d"]).expect("that is enough").command {
            Command::Generate(args) => {
                assert_eq!((args.kind, args.rows, args.query_count, args.seed), (Kind::Ood768, 5, 1000, 1));
            }
            other => panic!("{other:?} is not what was asked for"),
        }
        assert!(parse(&["--kind", "sift", "--rows", "5", "--out", "d"]).is_err());
        assert!(parse(&["--kind", "l2", "--rows", "0", "--out", "d"]).is_err());
        assert!(parse(&["--kind", "l2", "--rows", "5"]).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for more in [
            &["--ef", "16", "--reach", "0.9"][..],
            &["--recall", "0.9", "--reach", "0.9"],
            &["--ef", "0"],
            &["--recall", "1.5"],
            &["--recall", "nan"],
            &["--k", "0"],
            &["--threads", "-1"],
            &["--metric", "hamming"],
        ] {
            assert!(parse(more).is_err(), "{more:?} passed");
        }
    }
}
