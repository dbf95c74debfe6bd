//! Codes and graphs from raw to verified: used at once, checked in the background, rebuilt where they are damaged.

use std::path::Path;

use vectra::{Builder, Hit, Index, Settings};

use crate::maintain::{damage, items};

const QUERIES: [[f32; 3]; 3] = [[0.3, 0.4, 0.5], [-0.7, 0.2, 0.5], [0.1, -0.9, 0.4]];

fn settings() -> Settings {
    Settings::new(3).with_seal_rows(2500).with_graph(4, 16)
}

/// An index of one segment that is large enough for its graph to be walked, closed.
fn one_segment(dir: &Path) {
    let index = Index::create(dir, settings()).expect("a new folder");
    index.insert_items(items(0..2500)).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    assert!(index.stats().shards[0].segments.iter().all(|segment| segment.verified), "just built");
    index.close().expect("a healthy disk");
}

fn answers(index: &Index) -> (Vec<Vec<Hit>>, u64) {
    let ask = |vector: &[f32; 3]| index.query(vector).top_k(5).run_profiled().expect("an answer");
    let (hits, profiles): (Vec<_>, Vec<_>) = QUERIES.iter().map(ask).unzip();
    (hits, profiles.iter().map(|profile| profile.unverified).sum())
}

#[test]
fn within_the_budget_everything_is_verified_and_beyond_it_nothing_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    one_segment(&root);
    let index = Index::open(&root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    let (verified, unverified) = answers(&index);
    assert_eq!(unverified, 0);
    assert!(index.stats().shards[0].segments.iter().all(|segment| segment.verified));
    let generation = index.stats().generation;
    index.close().expect("a healthy disk");

    let index = Builder::new().verified_bytes_max(0).open(&root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    assert!(index.stats().shards[0].segments.iter().all(|segment| !segment.verified));
    let (raw, unverified) = answers(&index);
    assert_eq!((raw, unverified), (verified, 3), "the same answers, and it is said what they rest on");
    assert_eq!(index.stats().generation, generation, "verifying commits nothing");
    assert_eq!(index.stats().damaged_indexes, 0);
}

#[test]
fn a_part_larger_than_the_budget_stays_mapped() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    one_segment(&root);
    let bytes = 10_000;
    let index = Builder::new().verified_bytes_max(bytes).open(&root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    assert!(index.stats().shards[0].segments.iter().all(|segment| !segment.verified));
    assert_eq!(answers(&index).1, 3);
}

/// Damage in codes (33) or graph (34): never an error to a reader, found by the job, and gone afterwards.
#[test]
fn damage_found_by_the_job_is_repaired_from_the_truth() {
    for kind in [33, 34] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("index");
        one_segment(&root);
        let exact = |index: &Index| {
            QUERIES.map(|vector| index.query(&vector).top_k(5).exact().run().expect("sound vectors"))
        };
        let before = exact(&Index::open(&root).expect("an index"));
        damage(&root, kind);
        let index = Index::open(&root).expect("derived damage does not keep an index closed");
        answers(&index);
        index.wait_optimized().expect("codes and graph come from the vectors");
        assert_eq!(index.stats().damaged_indexes, 1, "section {kind}");
        assert!(index.stats().shards[0].segments.iter().all(|segment| segment.has_graph && segment.verified));
        assert_eq!(answers(&index).1, 0);
        assert_eq!(exact(&index), before);
        index.compact().expect("a healthy disk");
        index.close().expect("a healthy disk");
        assert_eq!(vectra::verify_deep(&root).expect("an index").findings, []);
    }
}

/// Codes and graph in memory of our own are not held in a map of their file as well.
#[cfg(target_os = "linux")]
#[test]
fn a_verified_part_is_mapped_no_more() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    one_segment(&root);
    let mapped_parts = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("the system tells");
        let files = maps.lines().filter_map(|line| line.split_whitespace().last());
        let parts = files.filter(|file| file.starts_with(root.to_str().expect("a plain path")));
        parts.collect::<std::collections::BTreeSet<_>>().len()
    };
    let index = Index::open(&root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    answers(&index);
    assert_eq!(mapped_parts(), 2, "rows and metadata");
    index.close().expect("a healthy disk");
    let index = Builder::new().verified_bytes_max(0).open(&root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    answers(&index);
    assert_eq!(mapped_parts(), 3, "rows, metadata and the index");
}
