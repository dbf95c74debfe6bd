//! The background worker under damage, back-pressure and a log that fills without rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra::seams::MemFs;
use vectra::{Builder, Durability, ErrorKind, Health, Index, Item, ItemId, ItemUpdate, Settings, Value};

fn items(range: std::ops::Range<u64>) -> Vec<Item> {
    range.map(|n| Item::new(n, [(n as f32 * 0.37).sin(), (n as f32 * 0.11).cos(), 0.5])).collect()
}

fn settings() -> Settings {
    Settings::new(3).with_seal_rows(100).with_graph(4, 16)
}

/// An index on disk of three sealed segments without graphs, closed.
fn three_bare_segments(dir: &Path) {
    let index = Index::create(dir, settings()).expect("a new folder");
    let deferred = index.defer_optimization();
    for first in [0, 100, 200] {
        index.insert_items(items(first..first + 100)).expect("new ids");
    }
    index.flush().expect("a healthy disk");
    drop(deferred);
    drop(index);
}

/// Flips a byte in the first part that has a section of this kind, within the section.
fn damage(dir: &Path, kind: u16) -> PathBuf {
    for entry in std::fs::read_dir(dir.join("seg")).expect("the folder of parts") {
        let path = entry.expect("an entry").path();
        let sound = std::fs::read(&path).expect("a part");
        // Sections begin at blocks; the last block begins with the checksums.
        for block in 1..sound.len() / 4096 {
            let mut bytes = sound.clone();
            bytes[block * 4096 + 200] ^= 0x40;
            overwrite(&path, &bytes);
            let found = vectra::verify(dir).expect("an index").findings;
            if found.iter().any(|finding| finding.problem.contains(&format!("section {kind} "))) {
                return path;
            }
        }
        overwrite(&path, &sound);
    }
    panic!("no part has a section of kind {kind}");
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::remove_file(path).expect("parts are read-only, their folder is not");
    std::fs::write(path, bytes).expect("a free name");
}

#[test]
fn damaged_codes_are_encoded_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    three_bare_segments(&root);
    damage(&root, 33);
    let index = Index::open(&root).expect("derived damage does not keep an index closed");
    index.wait_optimized().expect("codes come from the vectors");
    assert!(index.stats().shards[0].segments.iter().all(|segment| segment.has_graph));
    assert_eq!(index.query(&[0.3, 0.4, 0.5]).top_k(300).exact().run().expect("sound vectors").len(), 300);
    index.compact().expect("nothing is damaged any more");
    index.close().expect("a healthy disk");
    assert_eq!(vectra::verify(&root).expect("an index").findings, []);
}

#[test]
fn a_damaged_segment_does_not_stop_the_others() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    three_bare_segments(&root);
    damage(&root, 6);
    let index = Index::open(&root).expect("vectors are checked when they are read");
    let error = index.wait_optimized().expect_err("a segment cannot be read");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(matches!(index.health(), Health::Degraded { .. }), "{:?}", index.health());
    index.insert_items(items(1000..1250)).expect("writes go on");
    index.flush().expect("sealing goes on");
    assert_eq!(index.stats().shards[0].unsealed_rows, 0);
    assert_eq!(
        index.get_item(1100_u64).expect("a sound row").expect("just written").id,
        ItemId::from(1100_u64)
    );
}

#[test]
fn regress_unsealed_rows_of_many_shards_do_not_block_writers_for_ever() {
    let settings = Settings::new(2).with_shards(9).with_graph(4, 8).with_durability(Durability::None);
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/index", settings).expect("an empty disk");
    for first in (0..150_000_u64).step_by(5000) {
        let batch = (first..first + 5000).map(|n| Item::new(n, [1.0 + (n % 977) as f32, (n % 83) as f32]));
        index.insert_items(batch.collect()).expect("writers wait, they do not fail");
    }
    assert_eq!(index.snapshot().len(), 150_000);
}

#[test]
fn updates_and_deletes_alone_get_folded_in() {
    let settings = Settings { log_bytes_min: 4096, log_bytes_max: 4096, ..settings() };
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/index", settings).expect("an empty disk");
    index.insert_items(items(0..100)).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    for round in 0..40_u64 {
        let updates = (0..100_u64).map(|n| ItemUpdate::new(n, [("round", Value::from(round))]));
        index.update_items(updates.collect()).expect("known ids");
    }
    index.compact().expect("a healthy disk");
    assert!(index.stats().log_files <= 2, "{:?}", index.stats());
    assert_eq!(index.stats().shards[0].segments[0].updated, 0);
    let item = index.get_item(7_u64).expect("a sound row").expect("there");
    assert_eq!(item.metadata.get("round"), Some(&Value::from(39_u64)));
}

#[test]
fn an_absurd_interval_is_only_long() {
    let index =
        Builder::new().fs(Arc::new(MemFs::new())).create("/index", settings()).expect("an empty disk");
    let forever = Durability::Interval(std::time::Duration::MAX);
    index.with_durability(forever).insert_items(items(0..3)).expect("new ids");
    assert_eq!(index.sync().expect("a healthy disk"), 3);
}

#[test]
fn what_is_left_of_an_index_is_not_built_over() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    three_bare_segments(&root);
    std::fs::remove_dir_all(root.join("manifest")).expect("manifests");
    let error = Index::create(&root, settings()).expect_err("parts are there");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(std::fs::read_dir(root.join("seg")).expect("the folder of parts").count() >= 9);
}
