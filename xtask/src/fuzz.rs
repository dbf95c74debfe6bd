//! `cargo xtask fuzz`: every fuzz target, one after the other, and what came of it.
//!
//! Installs nothing: what is missing is named. The toolchain is the stable one; `RUSTC_BOOTSTRAP` lets it count coverage.

use crate::workspace::Workspace;
use crate::{Outcome, process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a recorded run is kept.
const RECORD: &str = "docs/evidence/f1.json";
/// The longest input that is tried, in bytes: the largest seed is well below.
const INPUT_BYTES_MAX: u32 = 64 << 10;

/// How long, which targets, and whether to keep a record.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Add what was counted to docs/evidence/f1.json.
    #[arg(long)]
    record: bool,
    /// Names of targets; all of them if none is given.
    targets: Vec<String>,
}

/// What a target's run counted.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    executions: u64,
    coverage: u64,
    features: u64,
    /// What libFuzzer itself says it spent on the inputs: without the build.
    seconds: u64,
}

/// Runs the targets; fails if one of them found something, and says where the input is.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let workspace = Workspace::load()?;
    let root = &workspace.root;
    if !process::succeeds(process::cargo(root).args(["fuzz", "--version"])) {
        return Err("cargo-fuzz is missing; `cargo install cargo-fuzz --locked` installs it".into());
    }
    let known = targets(&root.join("fuzz/fuzz_targets"))?;
    if let Some(unknown) = options.targets.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no target {unknown}; the targets are {}", known.join(", ")).into());
    }
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    let (mut results, mut found) = (Vec::new(), Vec::new());
    for target in chosen {
        let (clean, text) = fuzz(root, target, options.seconds)?;
        let Counts { executions, coverage, features, seconds } = counts(&text);
        println!(
            "fuzz: {target}: {executions} executions in {seconds} s, coverage {coverage}, clean: {clean}"
        );
        results.push(json!({
            "target": target, "seconds": seconds, "executions": executions, "coverage": coverage,
            "features": features, "findings": u32::from(!clean),
        }));
        if !clean {
            println!("{text}");
            found.push(target.as_str());
        }
    }
    if options.record {
        record(&workspace, options.seconds, results)?;
    }
    if found.is_empty() {
        return Ok(());
    }
    let next = "keep the input in fuzz/regressions/<target>/, then mend the decoder";
    Err(format!("{} found something, see fuzz/artifacts; {next}", found.join(", ")).into())
}

/// The names of the targets in the folder of their sources, sorted.
fn targets(folder: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Runs one target: whether it found nothing, and what it printed.
fn fuzz(root: &Path, target: &str, seconds: u32) -> Outcome<(bool, String)> {
    let folder = root.join("fuzz");
    // What is found on the way stays out of the tracked corpus.
    let found = folder.join("found").join(target);
    std::fs::create_dir_all(&found)?;
    let mut command = process::cargo(root);
    command.env("RUSTC_BOOTSTRAP", "1");
    command.args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]).arg(&folder).arg(target).arg(&found);
    for kind in ["corpus", "regressions"] {
        let inputs = folder.join(kind).join(target);
        if inputs.is_dir() {
            command.arg(inputs);
        }
    }
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        "-timeout=10".to_owned(),
        "-rss_limit_mb=1024".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success()
        && !text.contains("stat::number_of_executed_units")
        && !text.contains("artifact_prefix")
    {
        return Err(format!("the target {target} does not run:\n{text}").into());
    }
    Ok((output.status.success(), text))
}

/// The figures in what libFuzzer printed.
fn counts(text: &str) -> Counts {
    let behind = |line: &str, word: &str| -> Option<u64> {
        line.split_once(word)?.1.split_whitespace().next()?.parse().ok()
    };
    let mut counts = Counts::default();
    for line in text.lines() {
        counts.executions = behind(line, "stat::number_of_executed_units:").unwrap_or(counts.executions);
        counts.coverage = behind(line, " cov: ").unwrap_or(counts.coverage);
        counts.features = behind(line, " ft: ").unwrap_or(counts.features);
        if line.starts_with("Done ") {
            counts.seconds = behind(line, " runs in ").unwrap_or(counts.seconds);
        }
    }
    counts
}

/// Adds a run to those recorded: what counts is how long a target was fuzzed in all.
fn record(workspace: &Workspace, seconds: u32, results: Vec<Value>) -> Outcome<()> {
    let mut git = Command::new("git");
    let commit = process::capture(git.current_dir(&workspace.root).args(["rev-parse", "HEAD"]))?;
    let path = workspace.root.join(RECORD);
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(e) if e.kind() == ErrorKind::NotFound => Value::Null,
        Err(e) => return Err(e.into()),
    };
    let run = json!({
        "command": format!("cargo xtask fuzz --seconds {seconds} --record"),
        "commit": commit.trim(),
        "targets": results,
    });
    std::fs::create_dir_all(path.parent().expect("a file in a folder"))?;
    std::fs::write(&path, serde_json::to_string_pretty(&joined(&before, run))? + "\n")?;
    println!("fuzz: recorded in {RECORD}");
    Ok(())
}

/// The record with one more run, and the totals of all runs.
fn joined(before: &Value, run: Value) -> Value {
    let mut runs = before["runs"].as_array().cloned().unwrap_or_default();
    runs.push(run);
    let results: Vec<&Value> = runs.iter().filter_map(|run| run["targets"].as_array()).flatten().collect();
    let total = |field: &str| results.iter().filter_map(|result| result[field].as_u64()).sum::<u64>();
    let targets: BTreeSet<&str> = results.iter().filter_map(|result| result["target"].as_str()).collect();
    json!({
        "id": "f1",
        "what": "coverage-guided fuzzing of every decoder",
        "counts": {
            "targets": targets.len(), "seconds": total("seconds"), "executions": total("executions"),
        },
        "failures": total("findings"),
        "runs": runs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_count() {
        let text = "INFO: seed corpus: files: 2\n#2\tINITED cov: 61 ft: 62 corp: 1/1b\n\
                    #9000\tDONE   cov: 163 ft: 420 corp: 9/90b lim: 4 exec/s: 0 rss: 40Mb\n\
                    Done 9000 runs in 61 second(s)\n\
                    stat::number_of_executed_units: 9000\nstat::average_exec_per_sec: 0\n";
        assert_eq!(counts(text), Counts { executions: 9000, coverage: 163, features: 420, seconds: 61 });
        assert_eq!(counts("no figures"), Counts::default());
    }

    #[test]
    fn the_runs_of_a_record_are_added_up() {
        let run = |target: &str, seconds: u32| {
            let result = json!({ "target": target, "seconds": seconds, "executions": 7, "findings": 0 });
            json!({ "targets": [result] })
        };
        let first = joined(&Value::Null, run("ids", 60));
        let second = joined(&joined(&first, run("ids", 30)), run("codes", 10));
        assert_eq!(first["counts"], json!({ "targets": 1, "seconds": 60, "executions": 7 }));
        assert_eq!(second["counts"], json!({ "targets": 2, "seconds": 100, "executions": 21 }));
        assert_eq!((second["runs"].as_array().map(Vec::len), &second["failures"]), (Some(3), &json!(0)));
    }

    #[test]
    fn every_target_is_declared_and_begins_somewhere() {
        let root = Workspace::load().expect("this repository").root;
        let names = targets(&root.join("fuzz/fuzz_targets")).expect("the folder of the targets");
        let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).expect("the manifest");
        assert!(names.len() >= 8);
        for name in names {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
            assert!(root.join("fuzz/corpus").join(&name).is_dir(), "{name} has no corpus");
        }
    }
}
