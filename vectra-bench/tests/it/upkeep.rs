//! The workloads about maintenance: figures that can be checked without knowing the machine.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::set::{ROWS, Set};

/// Runs a workload with `--json`, which has to succeed.
fn report(workload: &str, args: &[(&str, &Path)], more: &[&str], json: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vectra-bench"));
    command.arg(workload);
    args.iter().for_each(|(name, path)| _ = command.arg(name).arg(path));
    let output = command.args(more).arg("--json").arg(json).output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(!output.stdout.is_empty(), "there is a table");
    serde_json::from_slice(&std::fs::read(json).expect("the report was written")).expect("it is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn churn_tells_recall_reachability_and_bytes() {
    let set = Set::new("l2");
    let (base, queries, folder) = (set.path("base.npy"), set.path("queries.npy"), set.path("churn"));
    let args = [("--base", &*base), ("--queries", &*queries), ("--folder", &*folder)];
    let report = report("churn", &args, &["--metric", "l2", "--generations", "3"], &set.path("churn.json"));
    assert_eq!(report["generation_s"].as_array().map(Vec::len), Some(3));
    assert!(number(&report["rows"]) < ROWS as f64, "some rows are held back");
    assert!(number(&report["recall_churned"]) >= 0.9 && number(&report["recall_fresh"]) >= 0.9, "{report}");
    for lost in [&report["lost_churned"], &report["lost_fresh"]] {
        assert_eq!(
            (&lost["unreachable"], &lost["missed_widest"]),
            (&Value::from(0), &Value::from(0)),
            "{report}"
        );
    }
    assert_eq!(report["update_other_bytes"], 0, "neither vectors nor graphs");
    assert!(number(&report["update_overlay_bytes"]) > 0.0);
    assert!(number(&report["folder_bytes_after"]) <= 1.3 * number(&report["folder_bytes_fresh"]), "{report}");
}

#[test]
fn interfere_asks_before_and_during_a_compaction() {
    let set = Set::new("l2");
    let index = set.path("interfere");
    let more = ["--rows", "2000", "--dim", "8", "--idle-s", "0.05", "--rounds", "2"];
    let report = report("interfere", &[("--index", &*index)], &more, &set.path("interfere.json"));
    assert_eq!(report["compaction_s"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["rows"], 1998, "one more is dead with each round");
    for times in [&report["idle"], &report["busy"]] {
        assert!(number(&times["queries"]) > 0.0 && number(&times["p99_us"]) >= number(&times["p50_us"]));
    }
    assert!(number(&report["p99_ratio"]) > 0.0 && number(&report["part_bytes"]) > 0.0);
}
