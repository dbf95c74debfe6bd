//! What is refused, and how.

use crate::set::{DIM, QUERIES, Set, text};

/// Runs `ann`, which has to fail with status 1 and say `expected`.
fn refused(set: &Set, more: &[&str], expected: &str) {
    let output = set.run(more);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("vectra-bench: ") && errors.contains(expected), "{errors}, not {expected}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_index_and_base_it_says_what_is_missing() {
    let set = Set::new("l2");
    refused(&set, &[], "give --base");
    assert!(!set.path("index").exists(), "asking for an index made one");
    refused(&set, &["--base", "no/such.npy"], "no/such.npy");
    assert_eq!(set.run(&["--ef", "ten"]).status.code(), Some(2));
}

#[test]
fn an_index_of_something_else_is_not_measured() {
    let mut set = Set::new("l2");
    let base = set.path("base.npy");
    set.report(&["--base", text(&base), "--queries-max", "2"]);
    set.write("short.npy", "<f4", 2, DIM, &[1; 2 * DIM * 4]);
    refused(&set, &["--base", text(&set.path("short.npy"))], "remove the folder");
    set.metric = "cosine";
    refused(&set, &[], "the index measures by l2, not cosine");
}

#[test]
fn truth_that_does_not_fit_is_refused() {
    let set = Set::new("l2");
    let base = set.path("base.npy");
    let with_truth = |rows: usize, columns: usize, row: i32| {
        set.write("truth.npy", "<i4", rows, columns, &row.to_le_bytes().repeat(rows * columns));
    };
    with_truth(QUERIES, 9, 0);
    refused(&set, &["--base", text(&base)], "fewer than k = 10");
    with_truth(QUERIES - 1, 10, 0);
    refused(&set, &[], "59 rows for 60 queries");
    with_truth(QUERIES, 10, -1);
    refused(&set, &[], "names row -1");
    with_truth(QUERIES, 10, 5000);
    refused(&set, &[], "no row 5000");
    refused(&set, &["--base", text(&base)], "asked for rows 5000..5001");
    with_truth(QUERIES, 10, 0);
    let whole = std::fs::read(set.path("truth.npy")).expect("it was written");
    std::fs::write(set.path("truth.npy"), &whole[..whole.len() - 1]).expect("the folder is writable");
    refused(&set, &[], "truncated or damaged");
}
