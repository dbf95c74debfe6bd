//! Vectors that are read from their file where they are compared: the same answers, and nothing of them in memory.

use std::path::Path;

use vectra::{Builder, ElementKind, ErrorKind, Hit, Index, Item, ItemId, Metric, Mode, Profile, Settings};
use vectra_core::testing::oracle::clustered;

use crate::maintain::damage;

const DIM: usize = 96;
const ROWS: usize = 3000;

/// Of one segment with a graph, with dead rows, closed.
fn one_segment(root: &Path, metric: Metric, element: ElementKind) -> Vec<Vec<f32>> {
    let vectors = clustered(ROWS, DIM, 30, 0.6, 5);
    let rows: Vec<Vec<f32>> = vectors.chunks_exact(DIM).map(<[f32]>::to_vec).collect();
    let settings = Settings::new(DIM as u32).with_metric(metric).with_element(element);
    let index = Builder::new().threads(1).create(root, settings).expect("a new folder");
    let items = rows.iter().enumerate().map(|(n, row)| Item::new(n as u64, row.as_slice()));
    index.insert_items(items.collect()).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    index.delete_items([5_u64, 77, 1234].map(ItemId::from).to_vec()).expect("there");
    index.close().expect("a healthy disk");
    rows
}

fn open(root: &Path, mode: Mode) -> Index {
    let index = Builder::new().threads(1).mode(mode).open(root).expect("an index");
    index.wait_optimized().expect("a healthy disk");
    index
}

/// Walks, exact scans of one and of several queries, and the vectors of the hits.
fn answers(index: &Index, queries: &[Vec<f32>]) -> (Vec<Vec<Hit>>, Profile, Vec<Item>) {
    let (mut hits, mut sum) = (Vec::new(), Profile::default());
    for query in queries {
        for query in [index.query(query).ef(16), index.query(query).exact()] {
            let (found, profile) = query.top_k(10).run_profiled().expect("answered");
            hits.push(found);
            sum += profile;
        }
    }
    let items =
        hits[0].iter().map(|hit| index.get_item(hit.id.clone()).expect("readable").expect("it was found"));
    let items = items.collect();
    (hits, sum, items)
}

#[test]
fn the_answers_are_those_of_a_map() {
    for (metric, element) in [(Metric::Cosine, ElementKind::F16), (Metric::L2, ElementKind::F32)] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("index");
        let rows = one_segment(&root, metric, element);
        let queries = &rows[..40];
        let mapped = answers(&open(&root, Mode::Map), queries);
        assert!(mapped.1.hops > 0 && mapped.1.exact_reads as usize > 40 * ROWS, "{:?}", mapped.1);
        let index = open(&root, Mode::Lean);
        assert_eq!(answers(&index, queries), mapped, "{metric}");
        assert_eq!(index.compact().map_err(|error| error.kind()), Ok(()));
        let before = answers(&index, queries);
        index.close().expect("a healthy disk");
        assert_eq!(answers(&open(&root, Mode::Map), queries), before, "merged from what was read");
        assert_eq!(vectra::verify_deep(&root).expect("an index").findings, []);
    }
}

/// How many KiB of the files below `root` are resident in this process.
#[cfg(target_os = "linux")]
fn resident_kib(root: &Path) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("the system tells");
    let (mut inside, mut sum) = (false, 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next_back()) {
            (Some("Rss:"), Some(kib), _) if inside => sum += kib.parse::<u64>().expect("a number"),
            (Some(first), _, Some(last)) if !first.ends_with(':') => {
                inside = last.starts_with(root.to_str().expect("a plain path"));
            }
            _ => {}
        }
    }
    sum
}

#[cfg(target_os = "linux")]
#[test]
fn no_vector_becomes_resident() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    let rows = one_segment(&root, Metric::Cosine, ElementKind::F32);
    let vectors_kib = (ROWS * DIM * 4 / 1024) as u64;
    // The system may map small pages around one that is touched, up to 64 KiB, and does where columns are small.
    for (mode, all) in [(Mode::Lean, false), (Mode::Map, true)] {
        let index = open(&root, mode);
        answers(&index, &rows[..20]);
        let resident = resident_kib(&root);
        assert_eq!(resident >= vectors_kib, all, "{mode:?}: {resident} KiB, {vectors_kib} of vectors");
        index.close().expect("a healthy disk");
    }
}

#[test]
fn damage_to_a_vector_is_found_both_ways() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    let index = Index::create(&root, Settings::new(3).with_graph(4, 16)).expect("a new folder");
    index.insert_items(crate::maintain::items(0..300)).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    index.close().expect("a healthy disk");
    damage(&root, 6);
    let found = [Mode::Map, Mode::Lean].map(|mode| {
        let index = open(&root, mode);
        let error = index.query(&[0.1, 0.2, 0.3]).exact().run().expect_err("a page is damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{mode:?}: {error}");
        // With where and what, down to its cause.
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        causes.map(ToString::to_string).collect::<Vec<_>>()
    });
    assert_eq!(found[0], found[1]);
    assert!(found[0].iter().any(|cause| cause.contains(".part")), "{:?}", found[0]);
}
