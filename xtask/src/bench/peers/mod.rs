//! `cargo xtask bench --peers`: other engines and Vectra, measured in one interleaved run.
//!
//! What is measured, and how, is in `bench/peers`; here its surroundings are made: the program, a Python environment,
//! the command line.

mod environment;
mod outcome;

use crate::{Outcome, process};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The set to measure and what with; without `--base` the generated set, whose metric is l2.
#[derive(Args)]
pub(super) struct PeersOptions {
    /// Measure other engines and Vectra in one interleaved run: bench/peers/README.md.
    #[arg(long)]
    pub(super) peers: bool,
    /// Vectors of your own (npy, f16 or f32).
    #[arg(long, requires_all = ["peers", "queries", "truth"], value_name = "FILE")]
    base: Option<PathBuf>,
    /// Their queries (npy, f16 or f32).
    #[arg(long, requires = "base", value_name = "FILE")]
    queries: Option<PathBuf>,
    /// The row numbers of each query's nearest rows, best first (npy, i32 or i64).
    #[arg(long, requires = "base", value_name = "FILE")]
    truth: Option<PathBuf>,
    /// The metric of vectors of your own.
    #[arg(long, requires = "base", value_parser = ["cosine", "l2", "dot"], default_value = "cosine")]
    metric: String,
    /// Neighbours per query.
    #[arg(long, requires = "peers", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Sweeps over all engines.
    #[arg(long, requires = "peers", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure codes beside those of faiss and turbovec, not indexes; --only names rungs, such as sq8,sq4.
    #[arg(long, requires = "base")]
    codes: bool,
    /// Only these peers, such as svs,hnswlib.
    #[arg(long, requires = "peers", value_delimiter = ',')]
    only: Vec<String>,
    /// Where the report goes [default: target/peers-report.json].
    #[arg(long, requires = "peers", value_name = "FILE")]
    out: Option<PathBuf>,
    /// A Python that has the peers, instead of an environment made in target/peers-env.
    #[arg(long, requires = "peers", value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// A vectra-bench to measure, instead of this checkout's, built in the release profile.
    #[arg(long, requires = "peers", value_name = "PROGRAM")]
    vectra_bench: Option<PathBuf>,
}

/// The files of the set that is measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    pub(super) base: PathBuf,
    pub(super) queries: PathBuf,
    pub(super) truth: PathBuf,
    pub(super) metric: String,
}

impl PeersOptions {
    /// The vectors that the caller brought, if any.
    pub(super) fn own_set(&self) -> Outcome<Option<Set>> {
        let (Some(base), Some(queries), Some(truth)) = (&self.base, &self.queries, &self.truth) else {
            return Ok(None);
        };
        Ok(Some(Set {
            base: present(base)?,
            queries: present(queries)?,
            truth: present(truth)?,
            metric: self.metric.clone(),
        }))
    }
}

/// An absolute path, for the programs run in other folders; an error if there is no such file.
fn present(path: &Path) -> Outcome<PathBuf> {
    std::fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Measures `set`; `extra` goes to the driver as it is.
pub(super) fn run(root: &Path, options: &PeersOptions, set: &Set, extra: &[String]) -> Outcome<()> {
    let requirements = std::fs::read_to_string(root.join("bench/peers/requirements.txt"))
        .map_err(|error| format!("bench/peers/requirements.txt: {error}"))?;
    let python = match &options.python {
        // Not made canonical: the interpreter of an environment is a link, and finds its packages by its own path.
        Some(python) => environment::checked(std::path::absolute(python)?)?,
        None => environment::ready(&root.join("target/peers-env"), &requirements)?,
    };
    let program = match &options.vectra_bench {
        Some(program) => present(program)?,
        None => build(root)?,
    };
    let out = match &options.out {
        Some(out) => std::path::absolute(out)?,
        None => root.join("target/peers-report.json"),
    };
    let run = Run { root, options, set, program: &program, out: &out };
    let mut command = Command::new(&python);
    command.current_dir(root).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(run.arguments(&revision(root))).args(extra);
    process::pass_through(&mut command)?;
    if options.codes {
        println!("bench: report in {}", out.display());
        return Ok(());
    }
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let report: Value = serde_json::from_str(&text)?;
    for line in outcome::lines(&report)? {
        println!("bench: {line}");
    }
    println!("bench: report in {}", out.display());
    Ok(())
}

/// Builds the program and returns where cargo put it.
fn build(root: &Path) -> Outcome<PathBuf> {
    println!("bench: building vectra-bench");
    let mut command = process::cargo(root);
    command.args(["build", "--release", "-p", "vectra-bench", "--message-format=json-render-diagnostics"]);
    executable(&process::capture(&mut command)?).ok_or_else(|| "cargo named no program vectra-bench".into())
}

/// The program vectra-bench among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let parsed = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = parsed.filter(|message| message["target"]["name"] == "vectra-bench");
    programs.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// The commit, marked if files differ from it; empty where git does not say.
fn revision(root: &Path) -> String {
    let mut git = Command::new("git");
    git.current_dir(root).args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]);
    process::capture(&mut git).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Everything that the driver is told.
struct Run<'a> {
    root: &'a Path,
    options: &'a PeersOptions,
    set: &'a Set,
    program: &'a Path,
    out: &'a Path,
}

impl Run<'_> {
    fn arguments(&self, revision: &str) -> Vec<String> {
        let Set { base, queries, truth, metric } = self.set;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let own: Vec<String> = std::env::args().skip(1).collect();
        let script = if self.options.codes { "bench/peers/codes.py" } else { "bench/peers/run.py" };
        let mut arguments = vec!["-u".to_owned(), text(&self.root.join(script))];
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        add("--base", text(base));
        add("--queries", text(queries));
        add("--truth", text(truth));
        add("--metric", metric.clone());
        add("--vectra-bench", text(self.program));
        add("--work", text(&self.root.join("target/peers-work")));
        add("--out", text(self.out));
        add("--k", self.options.k.to_string());
        add("--rounds", self.options.rounds.to_string());
        if !self.options.only.is_empty() {
            add("--only", self.options.only.join(","));
        }
        add("--revision", revision.to_owned());
        add("--command", format!("cargo xtask {}", own.join(" ")));
        arguments
    }
}

#[cfg(test)]
mod tests;
