//! The workloads about throughput: figures that can be checked without knowing the machine.

use std::process::Command;

use serde_json::Value;

use crate::set::Set;

/// Runs the program, which has to succeed.
fn run(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_vectra-bench")).args(arguments).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("the report was written")).expect("it is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn throughput_is_told_of_many_at_once_and_of_threads() {
    let set = Set::new("l2");
    let path = |name: &str| set.path(name).to_str().expect("a path of text").to_owned();
    let (index, queries, report) = (path("index"), path("queries.npy"), path("throughput.json"));
    let (base, truth) = (path("base.npy"), path("truth.npy"));
    run(&[
        "ann",
        "--base",
        &base,
        "--index",
        &index,
        "--queries",
        &queries,
        "--truth",
        &truth,
        "--metric",
        "l2",
    ]);
    let table =
        run(&["throughput", "--index", &index, "--queries", &queries, "--rounds", "2", "--json", &report]);
    assert!(table.contains("256 at once") && table.contains("kernel"), "{table}");
    let report = json(&report);
    let counts: Vec<f64> =
        report["exact"]["together"].as_array().expect("pairs").iter().map(|pair| number(&pair[0])).collect();
    assert_eq!(counts, [1.0, 4.0, 16.0, 64.0, 256.0]);
    assert!(number(&report["exact"]["scan"]["by_turns"]["reading"]) > 0.0);
    for name in ["calls", "together", "kernel"] {
        assert!(
            number(&report["scaling"][name][0]) > 0.0 && number(&report["scaling"][name][1]) > 0.0,
            "{name}"
        );
    }
}

#[test]
fn unsealed_rows_are_set_against_none() {
    let set = Set::new("l2");
    let path = |name: &str| set.path(name).to_str().expect("a path of text").to_owned();
    let (folder, report) = (path("unsealed"), path("unsealed.json"));
    std::fs::create_dir(&folder).expect("a new folder");
    let sizes = ["--rows", "700", "--sealed", "400", "--dim", "16", "--turns", "2"];
    run(&[&["unsealed", "--folder", &folder, "--json", &report], &sizes[..]].concat());
    let report = json(&report);
    assert_eq!((&report["unsealed_rows"], &report["sealed_rows"]), (&Value::from(700), &Value::from(400)));
    assert!(number(&report["with_us"]) > 0.0 && number(&report["recall"]) > 0.95, "{report}");
}
