//! Named regressions about disk, memory and mapped files: what an index takes is bounded by what it holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra::{ErrorKind, Index, Item, Metric, Settings};
use vectra_core::io::{Access, Fs, MemFs};
use vectra_core::testing::oracle::Dice;

use crate::forge::{Folder, ROOT, Sandbox};
use crate::world::{MODELS, World};

fn items(keys: std::ops::Range<u64>, dim: usize, salt: u64) -> Vec<Item> {
    let vector = |key| {
        let mut dice = Dice::new(key ^ salt << 32);
        (0..dim).map(|_| dice.uniform()).collect::<Vec<f32>>()
    };
    keys.map(|key| Item::new(key, vector(key))).collect()
}

/// Bytes of all files below `dir`.
fn bytes(fs: &dyn Fs, dir: &Path) -> u64 {
    let size = |path: PathBuf| fs.open(&path, Access::Read).and_then(|file| file.len()).expect("a file");
    let entries = fs.list(dir).expect("a folder").into_iter();
    entries.map(|e| if e.is_dir { bytes(fs, &dir.join(e.name)) } else { size(dir.join(e.name)) }).sum()
}

/// Qdrant took 21 GB for 1.2 GB of vectors while it rewrote them. Here everything is replaced again and again on a disk
/// that has room for a few times the data and no more: old rows go as soon as nobody needs them.
#[test]
fn regress_qdrant_6124_rewriting_takes_a_few_times_the_data() {
    const ITEMS: u64 = 400;
    let world = World::new(7, MODELS[0]);
    let settings = Settings::new(64).with_metric(Metric::L2).with_seal_rows(100).with_graph(4, 16);
    let settings = Settings { log_bytes_min: 4096, log_bytes_max: 16 << 10, ..settings };
    let builder = || world.builder().disk_reserve(0).ballast(0);
    let index = builder().create(ROOT, settings).expect("an empty disk");
    index.insert_items(items(0..ITEMS, 64, 0)).expect("new");
    index.compact().expect("no faults");
    let live = bytes(&world.fs, Path::new(ROOT));
    world.fs.quota(6 * live);
    for round in 1..12 {
        for first in (0..ITEMS).step_by(100) {
            let batch = items(first..first + 100, 64, round);
            index.upsert_items(batch).unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
        index.compact().unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
    assert_eq!(index.snapshot().len(), ITEMS);
    let after = bytes(&world.fs, Path::new(ROOT));
    assert!(after < 2 * live, "{after} bytes, {live} at first");
}

/// After a crash Weaviate asked for terabytes of memory to open 1 GB of data. Here opening takes memory in proportion to
/// the folder, wherever the log was cut off and whatever stands behind the cut.
#[test]
fn regress_weaviate_9918_opening_after_a_crash_takes_no_more_memory_than_data() {
    let fs = Arc::new(MemFs::new());
    let index = Sandbox::on(fs.clone(), 1).builder().create(ROOT, Settings::new(128)).expect("an empty disk");
    for first in (0..2000).step_by(500) {
        index.insert_items(items(first..first + 500, 128, 0)).expect("new");
    }
    drop(index);
    let crashed = Folder::read(&*fs);
    let newest = crashed.names("wal/").pop().expect("a log file");
    let used = crashed.files[&newest].iter().rposition(|byte| *byte != 0).expect("not empty");
    let mut opened = 0;
    for (cut, junk) in [(used, 0), (used / 2, 0xff), (used - used / 5, 0x7f), (4096 + 8, 0xff)] {
        let mut torn = crashed.clone();
        torn.files.get_mut(&newest).expect("there")[cut..].fill(junk);
        let sandbox = Sandbox::on(Arc::new(torn.to_fs()), 2);
        let most = 4 * torn.bytes() + (4 << 20);
        let mut outcome = None;
        let measured = allocation_counter::measure(|| outcome = Some(sandbox.builder().open(ROOT)));
        assert!(measured.bytes_max < most, "{} bytes of {most}, cut at {cut}", measured.bytes_max);
        match outcome.expect("just now") {
            Ok(index) => {
                assert!(index.snapshot().len() <= 2000);
                opened += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {cut}: {error}"),
        }
    }
    assert!(opened > 0, "a torn tail keeps nothing closed");
}

/// Reading a mapped file behind its end kills a process (`SIGBUS`), as users of LMDB and others found out on full disks
/// and truncated files. Here a file is mapped only if it is as long as the manifest says.
#[test]
fn regress_sigbus_a_truncated_part_is_never_mapped() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().join("index");
    let index = Index::create(&root, Settings::new(16).with_graph(4, 16)).expect("a new folder");
    index.insert_items(items(0..300, 16, 0)).expect("new");
    index.wait_optimized().expect("a healthy disk");
    index.close().expect("a healthy disk");
    drop(Index::open(&root).expect("a sound folder"));
    let folder = Folder::read_real(&root);
    let (mut refused, mut answered) = (0, 0);
    for part in folder.names("seg/") {
        let whole = folder.files[&part].len();
        for length in [0, 4096, whole / 2, whole - 4096, whole - 1] {
            let mut cut = folder.clone();
            cut.files.get_mut(&part).expect("there").truncate(length);
            let copy = tempfile::tempdir().expect("a folder");
            cut.write_real(copy.path());
            match Index::open(copy.path()) {
                Ok(index) => {
                    let hits = index.query(&[0.5; 16]).top_k(300).run().expect("answered");
                    assert_eq!(hits.len(), 300, "what is derived is not needed");
                    answered += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!((refused, answered), (10, 5), "rows and metadata are refused, the graph is built anew");
}
