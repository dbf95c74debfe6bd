//! `cargo xtask bench`: vectra-bench on a data set that anybody can make again from its seed, alone or beside peers.

mod data;
pub(crate) mod gate;
mod npy;
mod peers;

use crate::workspace::Workspace;
use crate::{Outcome, process};
use clap::Args;
use std::path::{Path, PathBuf};

/// The neighbours kept per query in the truth, so that `-- --k 100` works as well.
const TRUTH_K: usize = 100;
/// What the generated set's truth is sorted by.
const METRIC: &str = "l2";

/// What to generate and what to hand on.
#[derive(Args)]
pub(crate) struct Options {
    /// Compare the counters of a fixed piece of work with those in bench/gate.json instead.
    #[arg(long, conflicts_with_all = ["seed", "rows", "query_count", "dim", "keep_index", "peers", "extra"])]
    gate: bool,
    /// Record what the gate finds.
    #[arg(long, requires = "gate")]
    bless: bool,
    /// Seed of the generated vectors.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Vectors in the base set.
    #[arg(long, default_value_t = 20_000)]
    rows: usize,
    /// Generated queries.
    #[arg(long, default_value_t = 500)]
    query_count: usize,
    /// Components per vector.
    #[arg(long, default_value_t = 128)]
    dim: usize,
    /// Keep the index of an earlier run instead of building it anew.
    #[arg(long)]
    keep_index: bool,
    #[command(flatten)]
    peers: peers::PeersOptions,
    /// Further arguments of `vectra-bench ann`, such as `-- --ef 10,16,24`; with --peers those of bench/peers/run.py.
    #[arg(last = true)]
    extra: Vec<String>,
}

/// Where the generated files of one set lie.
struct Files {
    base: PathBuf,
    queries: PathBuf,
    truth: PathBuf,
    index: PathBuf,
    report: PathBuf,
}

impl Files {
    /// Paths below `folder`, named after everything that decides the content.
    fn new(folder: &Path, shape: data::Shape) -> Self {
        let data::Shape { seed, rows, queries, dim } = shape;
        let at = |part: &str| folder.join(format!("clustered-{seed}-{rows}x{dim}-{queries}-{part}"));
        Self {
            base: at("base.npy"),
            queries: at("queries.npy"),
            truth: at("truth.npy"),
            index: at("index"),
            report: at("report.json"),
        }
    }

    fn all_there(&self) -> bool {
        [&self.base, &self.queries, &self.truth].iter().all(|path| path.is_file())
    }
}

/// Generates the set if it is not there, then runs the benchmark on it in the release profile.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if options.gate {
        return gate::run(&Workspace::load()?, options.bless);
    }
    let root = Workspace::load()?.root;
    if let Some(set) = options.peers.own_set()? {
        return peers::run(&root, &options.peers, &set, &options.extra);
    }
    let files = prepare(&root, options)?;
    if options.peers.peers {
        let Files { base, queries, truth, .. } = files;
        let set = peers::Set { base, queries, truth, metric: METRIC.to_owned() };
        return peers::run(&root, &options.peers, &set, &options.extra);
    }
    if files.index.exists() && !options.keep_index {
        // The benchmark would reuse it, and measure the code that built it, not this one.
        std::fs::remove_dir_all(&files.index)
            .map_err(|error| format!("{}: {error}", files.index.display()))?;
    }
    let mut command = process::cargo(&root);
    command.args(arguments(&files)).args(&options.extra);
    process::pass_through(&mut command)?;
    println!("bench: report in {}", files.report.display());
    Ok(())
}

/// The files of the generated set, written if they are not there.
fn prepare(root: &Path, options: &Options) -> Outcome<Files> {
    let Options { seed, rows, query_count: queries, dim, .. } = *options;
    if rows == 0 || queries == 0 || dim == 0 {
        return Err("--rows, --query-count and --dim are at least 1".into());
    }
    let shape = data::Shape { seed, rows, queries, dim };
    let folder = root.join("target/bench-data");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = Files::new(&folder, shape);
    println!("bench: {rows} x {dim} f32 in {} clusters, {queries} queries, seed {seed}", data::CLUSTERS);
    if files.all_there() {
        println!("bench: data is there: {}", files.base.display());
    } else {
        generate(shape, &files)?;
    }
    Ok(files)
}

fn generate(shape: data::Shape, files: &Files) -> Outcome<()> {
    let set = data::Set::generate(shape);
    let truth = set.truth(TRUTH_K.min(shape.rows));
    npy::write_f32(&files.base, &set.base, shape.dim)?;
    npy::write_f32(&files.queries, &set.queries, shape.dim)?;
    npy::write_i32(&files.truth, &truth, TRUTH_K.min(shape.rows))?;
    println!("bench: data written: {}", files.base.display());
    Ok(())
}

fn arguments(files: &Files) -> Vec<String> {
    let line = format!("run --release -p vectra-bench -- ann --metric {METRIC} --k 10 --threads 1");
    let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let paths = [
        ("--base", &files.base),
        ("--index", &files.index),
        ("--queries", &files.queries),
        ("--truth", &files.truth),
        ("--json", &files.report),
    ];
    for (name, path) in paths {
        arguments.push(name.to_owned());
        arguments.push(path.to_string_lossy().into_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_tell_sets_apart() {
        let shape = data::Shape { seed: 1, rows: 20, queries: 3, dim: 4 };
        let other = data::Shape { seed: 2, ..shape };
        let folder = Path::new("d");
        assert_eq!(Files::new(folder, shape).base, Path::new("d/clustered-1-20x4-3-base.npy"));
        assert_ne!(Files::new(folder, shape).index, Files::new(folder, other).index);
        assert!(!Files::new(folder, shape).all_there());
    }

    #[test]
    fn the_command_names_every_file() {
        let files = Files::new(Path::new("d"), data::Shape { seed: 1, rows: 20, queries: 3, dim: 4 });
        let line = arguments(&files).join(" ");
        assert!(line.starts_with("run --release -p vectra-bench -- ann "), "{line}");
        for part in ["--truth d/clustered-1-20x4-3-truth.npy", "--k 10", "--json d/", "--index d/"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}
