//! The background worker under damage, back-pressure and a log that fills without rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra::seams::MemFs;
use vectra::{Builder, Durability, ErrorKind, Health, Index, Item, ItemId, ItemUpdate, Settings, Value};
use vectra_core::io::Fs;
use vectra_core::io::sim::CallKind;

use crate::forge::Folder;
use crate::world::{MODELS, Meddler, World};

pub(crate) fn items(range: std::ops::Range<u64>) -> Vec<Item> {
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
pub(crate) fn damage(dir: &Path, kind: u16) -> PathBuf {
    for entry in std::fs::read_dir(dir.join("seg")).expect("the folder of parts") {
        let path = entry.expect("an entry").path();
        let sound = std::fs::read(&path).expect("a part");
        // Sections begin at blocks; the last block begins with the checksums.
        for block in 1..sound.len() / 4096 {
            let mut bytes = sound.clone();
            bytes[block * 4096 + 200] ^= 0x40;
            overwrite(&path, &bytes);
            let found = vectra::verify_deep(dir).expect("an index").findings;
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
    assert_eq!(vectra::verify_deep(&root).expect("an index").findings, []);
}

/// A palace of `MemPalace` reported a healthy count while tens of thousands of its vectors could not be found. Here what
/// is counted is what is found, also while a graph is missing; and that it is missing is said, by whoever is asked.
#[test]
fn regress_mempalace_1710_what_is_counted_is_found() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("index");
    three_bare_segments(&root);
    let index = Index::open(&root).expect("sound");
    index.compact().expect("a healthy disk");
    index.close().expect("a healthy disk");
    let found = |index: &Index| {
        let stats = index.stats();
        assert_eq!((stats.items, index.list_items(None, 1000).expect("readable").items.len()), (300, 300));
        for item in items(0..300) {
            let hits = index.query(&item.vector).top_k(1).run().expect("answered");
            assert!(hits[0].distance < 1e-6, "{} is counted, and not found: {hits:?}", item.id);
        }
        stats.shards[0].segments.iter().all(|segment| segment.has_graph)
    };
    assert!(found(&Index::open(&root).expect("sound")));
    let lost = damage(&root, 33);
    let report = vectra::verify_deep(&root).expect("an index");
    assert!(report.findings.iter().any(|finding| !finding.data), "{report:?}");
    std::fs::remove_file(&lost).expect("ours");
    assert!(!vectra::verify(&root).expect("an index").findings.is_empty(), "quickly seen, too");
    let index = Index::open(&root).expect("derived damage does not keep an index closed");
    assert!(!found(&index), "all are found without a graph, and that there is none is told");
    index.wait_optimized().expect("built anew");
    assert!(found(&index), "the graph is back");
    index.close().expect("a healthy disk");
    assert_eq!(vectra::verify_deep(&root).expect("an index").findings, []);
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

/// An update of metadata writes neither vectors nor graphs again.
#[test]
fn an_update_writes_the_log_and_an_overlay_and_nothing_else() {
    const ROWS: u64 = 2000;
    let settings = Settings::new(3).with_graph(4, 16);
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/index", settings).expect("an empty disk");
    index.insert_items(items(0..ROWS)).expect("new ids");
    index.compact().expect("a healthy disk");
    let before = index.stats().written;
    assert!(before.rows > 0 && before.metadata > 0 && before.index > 0 && before.log > 0);
    let updates: Vec<ItemUpdate> =
        (0..ROWS).step_by(100).map(|n| ItemUpdate::new(n, [("round", Value::from(1_u64))])).collect();
    let count = updates.len() as u64;
    index.update_items(updates).expect("known ids");
    index.flush().expect("a healthy disk");
    index.wait_optimized().expect("a healthy disk");
    let after = index.stats().written;
    assert_eq!(after.rows, before.rows, "no vector");
    assert_eq!(after.metadata, before.metadata);
    assert_eq!(after.index, before.index, "no graph");
    assert_eq!(after.deletes, before.deletes);
    let (log, overlay) = (after.log - before.log, after.overlay - before.overlay);
    println!("{count} updates in one batch: {log} bytes of log, {overlay} bytes of overlay");
    assert!(log > 0 && log / count < 100, "{log}");
    // One part, of whole blocks.
    assert!(overlay > 0 && overlay <= 16 << 10, "{overlay}");
    let item = index.get_item(100_u64).expect("sound rows").expect("there");
    assert_eq!(item.metadata.get("round"), Some(&Value::from(1_u64)));
}

fn bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let size = |entry: std::fs::DirEntry| match entry.metadata().expect("there") {
        meta if meta.is_dir() => bytes(&entry.path()),
        meta => meta.len(),
    };
    entries.map(size).sum()
}

#[test]
fn what_is_deleted_and_compacted_takes_no_place() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings { log_bytes_min: 4096, log_bytes_max: 64 << 10, ..settings() };
    let make = |name: &str, range: std::ops::Range<u64>| {
        let index = Index::create(dir.path().join(name), settings.clone()).expect("a new folder");
        index.insert_items(items(range)).expect("new ids");
        index.compact().expect("a healthy disk");
        index
    };
    let (used, fresh) = (make("used", 0..4000), make("fresh", 3600..4000));
    let (full, aim) = (bytes(used.path()), bytes(fresh.path()));
    used.delete_items((0..3600_u64).map(Into::into).collect()).expect("a healthy disk");
    used.compact().expect("a healthy disk");
    let left = bytes(used.path());
    println!("{full} bytes, {left} after deleting nine tenths, {aim} if there had never been more");
    assert!(left * 10 <= aim * 13 && left * 2 < full);
}

/// Nobody asks for it: after a quiet while what a merge replaced is gone.
#[test]
fn a_quiet_index_gives_space_back() {
    let world = World::new(4, MODELS[0]);
    let index = world.builder().create("/index", settings()).expect("an empty disk");
    index.insert_items(items(0..300)).expect("new ids");
    index.wait_optimized().expect("no faults");
    let fs: &dyn Fs = &world.fs;
    let parts = || fs.list(Path::new("/index/seg")).expect("a folder").len();
    let generation = index.stats().generation;
    assert!(parts() > 3, "the generation before keeps its parts");
    world.spawner.run_all();
    assert_eq!(parts(), 3);
    assert_eq!(index.stats().generation, generation + 1);
    index.insert_items(items(300..310)).expect("new ids");
    world.spawner.run_all();
    assert_eq!(index.stats().generation, generation + 1, "there is nothing to give back");
}

/// Putting optimization off is for bulk loads; it does not let rows without a graph pile up for ever.
#[test]
fn deferring_has_an_end() {
    let settings = Settings { segment_rows_max: 16_384, ..Settings::new(2).with_graph(4, 8) }
        .with_durability(Durability::None);
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/index", settings).expect("an empty disk");
    let _deferred = index.defer_optimization();
    for first in (0..180_000_u64).step_by(6000) {
        let batch = (first..first + 6000).map(|n| Item::new(n, [1.0 + (n % 977) as f32, (n % 83) as f32]));
        index.insert_items(batch.collect()).expect("writers wait, they do not fail");
    }
    let stats = index.stats();
    let bare: u64 = stats.shards[0].segments.iter().filter(|s| !s.has_graph).map(|s| u64::from(s.rows)).sum();
    assert!(bare + stats.shards[0].unsealed_rows <= 131_072 + 6000, "{bare} rows without a graph");
}

/// A pin of another user, which the writer may not even open, counts as held; nothing else suffers from it.
#[test]
fn regress_a_pin_that_cannot_be_looked_at_stops_no_commit() {
    let world = World::new(21, MODELS[0]);
    let meddler = Meddler::new(world.fs.clone());
    let index = world.builder().fs(Arc::new(meddler.clone())).create("/index", settings()).expect("new");
    index.insert_items(items(0..50)).expect("new ids");
    index.compact().expect("a healthy disk");
    let fs: &dyn Fs = &world.fs;
    let names = |dir: &str| fs.list(Path::new(dir)).expect("a folder").into_iter().map(|e| e.name);
    let held: Vec<String> = names("/index/seg").collect();
    let generation = index.stats().generation;
    let pin = format!("/index/pins/{generation:020}-67e55044-10b1-426f-9247-bb680e5fe0c8");
    drop(fs.create_new(Path::new(&pin)).expect("a new name"));
    meddler.watch(|_, path| match path.parent() {
        Some(dir) if dir == Path::new("/index/pins") => Err(std::io::ErrorKind::PermissionDenied.into()),
        _ => Ok(()),
    });
    for round in 1..5 {
        index.upsert_items(items(0..50 + round)).expect("written");
        index.compact().expect("committed and collected");
        assert!(matches!(index.health(), Health::Good), "{:?}", index.health());
    }
    assert!(held.iter().all(|part| names("/index/seg").any(|name| name == *part)), "somebody may read them");
    assert_eq!(names("/index/manifest").count(), 3, "the one that may be read, and the two newest");
    meddler.unwatched();
    index.upsert_items(items(0..50)).expect("written");
    index.compact().expect("a healthy disk");
    assert_eq!((names("/index/manifest").count(), names("/index/pins").count()), (2, 0));
    index.close().expect("closed");
}

/// What is published is published, whether or not its predecessor's leftovers can be removed.
#[test]
fn regress_a_collection_that_fails_is_no_failed_commit() {
    let world = World::new(22, MODELS[0]);
    let meddler = Meddler::new(world.fs.clone());
    let index = world.builder().fs(Arc::new(meddler.clone())).create("/index", settings()).expect("new");
    index.insert_items(items(0..50)).expect("new ids");
    (0..2_u64).for_each(|id| {
        index.delete_item(id).expect("deleted");
        index.flush().expect("a healthy disk");
    });
    let before = index.stats().generation;
    meddler.watch(|kind, path| match path.parent() {
        Some(dir) if kind == CallKind::Remove && dir == Path::new("/index/seg") => {
            Err(std::io::ErrorKind::PermissionDenied.into())
        }
        _ => Ok(()),
    });
    for id in 2..6_u64 {
        index.delete_item(id).expect("deleted");
        index.flush().expect("the commit itself works");
    }
    assert!(index.stats().generation >= before + 4);
    assert!(matches!(index.health(), Health::Degraded { .. }), "{:?}", index.health());
    meddler.unwatched();
    index.delete_item(6_u64).expect("deleted");
    index.compact().expect("a healthy disk");
    assert!(matches!(index.health(), Health::Good), "{:?}", index.health());
    let parts = (&world.fs as &dyn Fs).list(Path::new("/index/seg")).expect("a folder").len();
    assert_eq!(parts, 3, "one segment, nothing else");
    index.close().expect("closed");
}

/// What a later program marked is read, and everything else is tended; health says why it stays.
#[test]
fn a_segment_that_only_a_newer_program_may_rewrite_is_left_as_it_is() {
    for role in [1, 2] {
        let world = World::new(23, MODELS[0]);
        let index = world.builder().create("/index", settings()).expect("new");
        index.insert_items(items(0..40)).expect("new ids");
        index.compact().expect("a healthy disk");
        index.close().expect("closed");
        let mut folder = Folder::read(&world.fs);
        let name = folder.part(role);
        folder.forge_part(&name, |part| part.header[20] = 4);
        let fs: Arc<MemFs> = Arc::new(folder.to_fs());
        let builder = Builder::new().fs(Arc::clone(&fs) as Arc<dyn Fs>).env(vectra::seams::Env::os(1));
        let index = builder.open("/index").expect("it can be read");
        index.delete_items((0..20_u64).map(ItemId::from).collect()).expect("deleted");
        index.insert_items(items(40..80)).expect("new ids");
        let left = index.compact().expect_err("it says what it left");
        assert_eq!(left.kind(), ErrorKind::Unsupported, "{left}");
        let stats = index.stats();
        assert_eq!((stats.items, stats.shards[0].segments.len()), (60, 2), "role {role}");
        let Health::Degraded { error, .. } = index.health() else { panic!("{:?}", index.health()) };
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("newer program"));
        let path = Path::new("/index").join(&name);
        assert!((&*fs as &dyn Fs).exists(&path).expect("asked"), "the part is still there");
        index.close().expect("closed");
    }
}
