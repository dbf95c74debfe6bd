//! `cargo xtask faults`: the fault tests of the database, for as long as it takes, and the record of what they did.
//!
//! The tests themselves live in `vectra/tests/it`; each writes a record into the folder that a variable names. Here
//! they are started, and their records are kept in `docs/evidence`, which is tracked.

use crate::workspace::Workspace;
use crate::{Outcome, process};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Release code that keeps its assertions: see the profile of this name in the workspace's Cargo.toml.
const PROFILE: &str = "faults";

/// What is proven by which tests of which packages; a test is named by the beginning of its path.
type Goal = (&'static str, &'static [(&'static str, &'static [&'static str])]);

const GOALS: [Goal; 10] = [
    (
        "d1",
        &[(
            "vectradb",
            &[
                "crash::every_acknowledged_write",
                "crash::batches_over_several_shards",
                "crash::a_prefix_survives",
            ],
        )],
    ),
    ("d2", &[("vectradb", &["crash::a_crash_inside_a_recovery"])]),
    ("d3", &[("vectradb", &["small::"])]),
    // `golden_flips`, too.
    ("d4", &[("vectradb", &["flips::"])]),
    ("d5", &[("vectradb", &["faults::", "lies::"])]),
    ("d6", &[("vectradb", &["kill::"])]),
    ("d7", &[("vectradb", &["full_disk::"])]),
    ("d8", &[("vectradb", &["slice::a_seed_run_twice"])]),
    ("f2", &[("vectradb", &["mutants::"])]),
    (
        "m1",
        &[
            (
                "vectradb",
                &[
                    "sites::",
                    "backup::regress_what_is_reused_is_durable",
                    "backup_syncs::a_withdrawn_backup",
                    "backup_syncs::every_sync_of_a_backup_and_a_restore_is_needed",
                    "fallback::what_is_set_aside_survives",
                ],
            ),
            (
                "vectra-wal",
                &[
                    "follow::what_is_shown_survives",
                    "seals::what_was_cut_off_stays_so_by_its_sync",
                    "syncs::without_any_one_sync_the_sweep_fails",
                ],
            ),
            (
                "vectra-tier",
                &["crash::every_sync_is_needed", "tiered_crash::every_sync_of_a_moving_part_is_needed"],
            ),
        ],
    ),
];

/// Its options.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run the counts of the long gate, in the profile `faults`, and keep their records in docs/evidence.
    #[arg(long)]
    long: bool,
    /// Only these goals, such as `d1,d2`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// With --long: stop each test after so many seconds, to learn its rate; nothing is kept.
    #[arg(long, requires = "long")]
    seconds: Option<u64>,
    /// Record the slice of seeds anew that every day's tests run again; after a change to what the engine does to
    /// the disk that you meant.
    #[arg(long, conflicts_with_all = ["long", "only"])]
    bless_slice: bool,
}

/// Runs what the options name.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    let workspace = Workspace::load()?;
    let root = &workspace.root;
    if options.bless_slice {
        let mut command = cargo_test(root, false, "vectradb", &["slice::the_recorded_slice"]);
        return process::pass_through(command.env("VECTRA_FAULTS_BLESS", "1"));
    }
    let goals = chosen(&options.only)?;
    let records = root.join("target/faults");
    if records.exists() {
        fs::remove_dir_all(&records)?;
    }
    fs::create_dir_all(&records)?;
    for (id, packages) in goals {
        for (package, tests) in packages {
            let mut command = cargo_test(root, options.long, package, tests);
            command.env("VECTRA_FAULTS_OUT", &records);
            if options.long {
                command.env("VECTRA_FAULTS", "long");
            }
            if let Some(seconds) = options.seconds {
                command.env("VECTRA_FAULTS_SECONDS", seconds.to_string());
            }
            println!("faults: {id}: {package}: {}", tests.join(" "));
            process::pass_through(&mut command)?;
        }
        let evidence = gather(root, &records, id, options)?;
        println!("faults: {id}: {}", summary(&evidence));
        if options.long && options.seconds.is_none() {
            let path = root.join(format!("docs/evidence/{id}.json"));
            fs::write(&path, format!("{evidence:#}\n"))?;
            println!("faults: {id}: recorded in {}", path.display());
        }
    }
    Ok(())
}

fn chosen(only: &[String]) -> Outcome<Vec<Goal>> {
    let known: Vec<&str> = GOALS.iter().map(|(id, _)| *id).collect();
    if let Some(unknown) = only.iter().find(|id| !known.contains(&id.as_str())) {
        return Err(format!("there is no goal {unknown}; choose among {}", known.join(", ")).into());
    }
    Ok(GOALS.into_iter().filter(|(id, _)| only.is_empty() || only.iter().any(|o| o == id)).collect())
}

/// The tests one after the other on one core, so that their wall times say something.
fn cargo_test(root: &Path, long: bool, package: &str, tests: &[&str]) -> std::process::Command {
    let mut command = process::cargo(root);
    command.args(["test", "-p", package, "--test", "it"]);
    if long {
        command.args(["--profile", PROFILE]);
    }
    command.args(["--", "--nocapture", "--test-threads=1"]).args(tests);
    command
}

/// The records of one goal, together.
fn gather(root: &Path, records: &Path, id: &str, options: &Options) -> Outcome<Value> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(records)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(&format!("{id}.")))
    });
    paths.sort();
    let mut tests = Vec::new();
    for path in paths {
        tests.push(serde_json::from_str::<Value>(&fs::read_to_string(path)?)?);
    }
    if tests.is_empty() {
        return Err(format!("the tests of {id} left no record").into());
    }
    let command = format!("cargo xtask faults{} --only {id}", if options.long { " --long" } else { "" });
    let commit = git(root, &["rev-parse", "HEAD"]);
    let changed = !git(root, &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    Ok(json!({
        "id": id,
        "command": command,
        "commit": commit,
        "uncommitted_changes": changed,
        "counts": totals(&tests),
        "failures": 0,
        "wall_seconds": tests.iter().filter_map(|test| test["wall_seconds"].as_f64()).sum::<f64>().round(),
        "tests": tests,
    }))
}

fn git(root: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    process::capture(command.current_dir(root).args(arguments))
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The sums of all counts, by their names.
fn totals(tests: &[Value]) -> Value {
    let mut totals = serde_json::Map::new();
    for (name, n) in tests.iter().filter_map(|test| test["counts"].as_object()).flatten() {
        let sum = totals.get(name).and_then(Value::as_u64).unwrap_or(0) + n.as_u64().unwrap_or(0);
        totals.insert(name.clone(), sum.into());
    }
    Value::Object(totals)
}

fn summary(evidence: &Value) -> String {
    format!("{} in {} s, no failure", evidence["counts"], evidence["wall_seconds"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_chosen_by_name_and_unknown_ones_are_refused() {
        let ids = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&id| id.to_owned()).collect();
            chosen(&only).map(|goals| goals.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        };
        assert_eq!(ids(&[]).expect("all").len(), GOALS.len());
        assert_eq!(ids(&["d8", "d1"]).expect("both"), ["d1", "d8"]);
        let error = ids(&["d1", "x9"]).expect_err("unknown");
        assert!(error.to_string().contains("no goal x9; choose among d1, d2"), "{error}");
    }

    #[test]
    fn records_are_gathered_and_summed() {
        let folder = std::env::temp_dir().join(format!("vectra-xtask-faults-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let record = |crashes: u64| json!({ "counts": { "crashes": crashes }, "wall_seconds": 1.4 });
        for (name, crashes) in [("d1.a.json", 3), ("d1.b.json", 4), ("d10.c.json", 100)] {
            fs::write(folder.join(name), record(crashes).to_string()).expect("space");
        }
        let options = Options { long: true, only: Vec::new(), seconds: None, bless_slice: false };
        let evidence = gather(&folder, &folder, "d1", &options);
        let nothing = gather(&folder, &folder, "d2", &options);
        fs::remove_dir_all(&folder).expect("it was made above");
        let evidence = evidence.expect("two records");
        assert_eq!(evidence["counts"]["crashes"], 7);
        assert_eq!(evidence["tests"].as_array().map(Vec::len), Some(2));
        assert_eq!(evidence["command"], "cargo xtask faults --long --only d1");
        assert_eq!(summary(&evidence), "{\"crashes\":7} in 3.0 s, no failure");
        assert!(nothing.expect_err("none").to_string().contains("d2 left no record"));
    }

    /// What the test of all syncs leaves to others, the goal runs.
    #[test]
    fn every_test_that_leaves_out_a_sync_is_run() {
        let (_, packages) = GOALS.into_iter().find(|(id, _)| *id == "m1").expect("it is a goal");
        let source = include_str!("../../vectra/tests/it/sites.rs");
        let texts = source.split('"').filter(|text| text.starts_with("vectra") && text.contains(' '));
        let named: Vec<(&str, &str)> = texts.filter_map(|text| text.split_once(' ')).collect();
        assert!(named.len() > 5, "{named:?}");
        for (package, test) in named {
            let run = packages.iter().any(|(its, tests)| *its == package && tests.contains(&test));
            assert!(run, "{test} of {package} is not among the tests of m1");
        }
    }

    #[test]
    fn the_long_run_has_a_profile_of_its_own() {
        let line = |long| {
            let command = cargo_test(Path::new("."), long, "vectradb", &["crash::"]);
            let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
            arguments.join(" ")
        };
        assert_eq!(line(false), "test -p vectradb --test it -- --nocapture --test-threads=1 crash::");
        assert!(line(true).contains("--test it --profile faults --"));
    }
}
