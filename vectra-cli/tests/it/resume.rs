//! Going on with an import that was interrupted.

use serde_json::json;

use crate::files::{metadata, npy_f32, vectors};
use crate::run::Place;

/// A place whose index holds the first `rows` of the 200 rows of `v.npy`, as after an interruption.
fn interrupted(rows: u64) -> Place {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(rows, 8)));
    place.write("m.jsonl", metadata(rows));
    place.vectra("import v.npy --into index --metadata m.jsonl").ok();
    place.write("v.npy", npy_f32(&vectors(200, 8)));
    place.write("m.jsonl", metadata(200));
    place
}

#[test]
fn without_resume_a_taken_id_is_a_conflict() {
    let place = interrupted(120);
    let ran = place.vectra("import v.npy --into index --metadata m.jsonl");
    ran.refused(4, "row 0: the id `0` is in the index already; nothing was written", "--resume");
    assert_eq!(place.items("index"), 120);
}

#[test]
fn resume_adds_what_is_missing() {
    let place = interrupted(120);
    let done = place.vectra("import v.npy --into index --metadata m.jsonl --resume --batch 7 --json").json();
    assert_eq!((&done["imported"], &done["skipped"], &done["rows"]), (&json!(80), &json!(120), &json!(200)));
    assert_eq!(place.items("index"), 200);
    assert_eq!(place.vectra("get index 199 --json").json()["metadata"]["name"], "item-199");
    let again = place.vectra("import v.npy --into index --metadata m.jsonl --resume --json").json();
    assert_eq!((&again["imported"], &again["skipped"]), (&json!(0), &json!(200)));
    assert_eq!(place.vectra("verify index --json").json()["ok"], true);
}

#[test]
fn resume_refuses_another_vector_under_a_taken_id() {
    let place = interrupted(120);
    let mut rows = vectors(200, 8);
    rows[100][3] += 1.0;
    place.write("v.npy", npy_f32(&rows));
    let ran = place.vectra("import v.npy --into index --metadata m.jsonl --resume");
    ran.refused(4, "row 100: the id `100` is in the index already, with another vector", "same file");
    assert_eq!(place.items("index"), 120);
}

#[test]
fn a_failure_in_the_middle_says_what_is_durable_and_how_to_go_on() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(40, 8)));
    // Larger than an index takes, which only the index itself can tell.
    let large = format!("{{\"text\": \"{}\"}}\n", "x".repeat(2 << 20));
    place.write("m.jsonl", metadata(25) + &large + &metadata(14));
    let ran = place.vectra("import v.npy --into index --metadata m.jsonl --batch 10");
    ran.refused(5, "the import stopped after 20 new rows, which are in the index and durable", "--resume");
    assert_eq!(place.items("index"), 20);
    place.write("m.jsonl", metadata(40));
    let done = place.vectra("import v.npy --into index --metadata m.jsonl --resume --json").json();
    assert_eq!((&done["imported"], &done["skipped"]), (&json!(20), &json!(20)));
}

#[test]
fn an_import_that_is_killed_leaves_whole_batches_and_goes_on() {
    let place = Place::new();
    place.write("v.npy", npy_f32(&vectors(6000, 64)));
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vectra"))
        .args(["import", "v.npy", "--into", "index", "--batch", "10"])
        .current_dir(place.path("."))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    // Killed as soon as there is something to lose, or when it has ended on its own.
    let started = std::time::Instant::now();
    while !place.has("index/wal") && started.elapsed().as_secs() < 20 {
        std::thread::yield_now();
    }
    std::thread::sleep(std::time::Duration::from_millis(30));
    child.kill().expect("killed");
    child.wait().expect("ended");
    let ran = place.vectra("info index --json");
    // Before the first manifest there is no index yet, which is fine too: nothing was acknowledged.
    let before = if ran.code == 3 { 0 } else { ran.json()["items"].as_u64().expect("a count") };
    assert!(before == 6000 || before.is_multiple_of(10), "{before} rows are not whole batches");
    let done = place.vectra("import v.npy --into index --resume --json").json();
    assert_eq!((done["skipped"].as_u64(), done["imported"].as_u64()), (Some(before), Some(6000 - before)));
    assert_eq!(place.items("index"), 6000);
}
