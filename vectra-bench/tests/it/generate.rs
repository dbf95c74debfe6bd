//! Sets out of a seed, as the program writes them and as it measures them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::set::text;

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vectra-bench"));
    command.args(arguments).output().expect("the program starts")
}

fn generate(kind: &str, out: &Path) -> Output {
    run(&["generate", "--kind", kind, "--rows", "300", "--query-count", "20", "--out", text(out)])
}

#[test]
fn a_generated_set_is_measured_and_its_truth_is_what_an_exact_query_finds() {
    for (kind, element, metric) in [
        ("ood768", "f16", "cosine"),
        ("l2", "f32", "l2"),
        ("dot", "f32", "dot"),
        ("clustered128", "f32", "cosine"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| folder.path().join(name);
        let done = generate(kind, folder.path());
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && errors.is_empty(), "{kind}: {errors}");
        let said = String::from_utf8(done.stdout).expect("text");
        assert!(said.starts_with("300 rows and 20 queries of ") && said.contains(metric), "{said}");
        let (base, queries) = (file(&format!("base.{element}.npy")), file(&format!("queries.{element}.npy")));
        let (truth, index, json) = (file("groundtruth.npy"), file("index"), file("report.json"));
        let measured = run(&[
            "ann",
            "--metric",
            metric,
            "--exact",
            "--base",
            text(&base),
            "--queries",
            text(&queries),
            "--truth",
            text(&truth),
            "--index",
            text(&index),
            "--json",
            text(&json),
        ]);
        assert!(measured.status.success(), "{kind}: {}", String::from_utf8_lossy(&measured.stderr));
        let report: Value =
            serde_json::from_slice(&std::fs::read(&json).expect("it was written")).expect("it is JSON");
        let points = report["points"].as_array().expect("points");
        assert_eq!(points.last().expect("the exact one")["recall"], 1.0, "{kind}: {points:?}");
    }
}

#[test]
fn fields_are_one_object_for_each_row() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(generate("ood768", folder.path()).status.success());
    let lines = std::fs::read_to_string(folder.path().join("fields.jsonl")).expect("it was written");
    let fields: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(fields.len(), 300);
    assert!(fields.iter().all(|row| row["category"].is_string() && row["level"].is_number()));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").expect("writable");
    let refused = generate("l2", &file.join("set"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains(text(&file)), "{refused:?}");
}
