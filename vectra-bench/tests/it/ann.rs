//! What is measured, and that it is measured on the index that is there.

use serde_json::Value;

use crate::set::{ROWS, Set, text};

fn settings(report: &Value) -> Vec<&str> {
    let points = report["points"].as_array().expect("a list");
    points.iter().map(|point| point["setting"].as_str().expect("a name")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Every figure that can be checked without knowing the machine.
fn check_points(report: &Value) {
    for point in report["points"].as_array().expect("a list") {
        let recall = number(&point["recall"]);
        assert!((0.8..=1.0).contains(&recall), "{point}");
        assert!(number(&point["qps"]) > 0.0 && number(&point["p50_us"]) > 0.0, "{point}");
        assert!(number(&point["p99_us"]) >= number(&point["p50_us"]), "{point}");
        assert!(number(&point["exact_reads"]) >= 10.0, "{point}");
        if point["setting"] == "exact" {
            assert!((recall - 1.0).abs() < f64::EPSILON, "{point}");
            assert!((number(&point["exact_reads"]) - ROWS as f64).abs() < f64::EPSILON, "{point}");
        }
    }
}

#[test]
fn an_index_is_built_once_and_reused() {
    for metric in ["l2", "cosine"] {
        let set = Set::new(metric);
        let base = set.path("base.npy");
        let (built, table) = set.report(&["--base", text(&base), "--exact", "--threads", "2"]);
        assert_eq!(settings(&built), ["default", "exact"], "{metric}");
        check_points(&built);
        assert!(number(&built["build_s"]) > 0.0);
        assert!(number(&built["build_s"]) >= number(&built["build_write_s"]));
        assert!(number(&built["first_answer_s"]) >= number(&built["open_s"]));
        assert!(number(&built["index_bytes"]) > (ROWS * 8 * 4) as f64);
        for rates in ["by_turns", "repeated"] {
            let rates = &built["exact_scan"][rates];
            assert!(number(&rates["scan"]) > 0.0 && number(&rates["reading"]) > 0.0);
        }
        assert!(table.starts_with("built in ") && table.contains("exact scan of "), "{table}");

        for more in [&["--base", text(&base), "--ef", "10,200"][..], &["--ef", "10,200"]] {
            let (reused, table) = set.report(more);
            assert_eq!(settings(&reused), ["ef=10", "ef=200"], "{metric}");
            check_points(&reused);
            assert!(reused["build_s"].is_null() && reused["build_peak_rss_bytes"].is_null());
            assert!(reused.get("exact_scan").is_none());
            assert!(table.starts_with("index reused\n"), "{table}");
        }
    }
}

#[test]
fn a_recall_is_reached_with_the_least_effort() {
    let set = Set::new("l2");
    let (report, table) = set.report(&["--base", text(&set.path("base.npy")), "--reach", "0.5,0.9"]);
    assert_eq!(settings(&report), ["reach=0.5", "reach=0.9"]);
    check_points(&report);
    for point in report["points"].as_array().expect("a list") {
        assert!(number(&point["ef"]) >= 10.0, "{point}");
    }
    assert!(table.contains("the first half of the queries chose ef"), "{table}");
}

#[test]
fn fewer_queries_can_be_asked_by_more_threads_than_there_are() {
    let set = Set::new("cosine");
    let base = set.path("base.npy");
    let (report, _) = set.report(&["--base", text(&base), "--queries-max", "3", "--threads", "8", "--exact"]);
    check_points(&report);
}

#[test]
fn wrong_truth_shows_as_low_recall() {
    let set = Set::new("l2");
    // Each query's own ten nearest rows are replaced by one row, mostly a farther one than the true tenth.
    let one_row: Vec<u8> = [7_i32; 600].iter().flat_map(|row| row.to_le_bytes()).collect();
    set.write("truth.npy", "<i4", 60, 10, &one_row);
    let (far, _) = set.report(&["--base", text(&set.path("base.npy")), "--exact"]);
    // Whatever is returned is nearer than that row: right, as recall is by distance.
    assert!(number(&far["points"][1]["recall"]) > 0.9);
    // And against the nearest row alone, only that one is right.
    let truth = set.path("nearest.npy");
    let good = Set::new("l2");
    let bytes = std::fs::read(good.path("truth.npy")).expect("it was written");
    let data: Vec<u8> =
        bytes[bytes.len() - 2400..].chunks_exact(40).flat_map(|row| row[..4].repeat(10)).collect();
    set.write("nearest.npy", "<i4", 60, 10, &data);
    std::fs::rename(truth, set.path("truth.npy")).expect("the folder is writable");
    let (near, _) = set.report(&["--exact"]);
    assert!((number(&near["points"][1]["recall"]) - 0.1).abs() < 1e-9);
}
