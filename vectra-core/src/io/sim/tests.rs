use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::io::{Access, File, Fs};
use crate::testing::fs::conformance;

mod crash;
mod faults;
mod names;
mod subset;
mod windows;

const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];
/// With the one that does not remove open files, as the seam's suite asks for.
const ALL_MODELS: [CrashModel; 3] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered, CrashModel::Windows];

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// A new file with content, neither of it synced.
fn write(fs: &dyn Fs, path: &str, content: &[u8]) -> Box<dyn File> {
    let file = fs.create_new(p(path)).expect("a new name");
    file.write_all_at(content, 0).expect("space");
    file
}

/// A new file, synced with its name.
fn write_synced(fs: &dyn Fs, path: &str, content: &[u8]) -> Box<dyn File> {
    let file = write(fs, path, content);
    file.sync_data().expect("no fault is planned");
    fs.sync_dir(p(path).parent().expect("not the root")).expect("no fault is planned");
    file
}

fn read(fs: &dyn Fs, path: &str) -> Option<Vec<u8>> {
    fs.exists(p(path)).expect("power is on").then(|| fs.read(p(path), 1 << 20).expect("a small file"))
}

/// What is at `path` after crashes of 300 seeds.
fn outcomes(disk: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..300).map(|seed| read(&disk.crash(seed), path)).collect()
}

#[test]
fn conforms_while_nothing_fails() {
    for model in MODELS {
        conformance(&SimFs::new(1, model), p("/"));
    }
}

#[test]
fn conforms_after_a_crash() {
    for model in MODELS {
        let disk = SimFs::new(2, model);
        drop(write(&disk, "some", b"thing"));
        conformance(&disk.crash(3), p("/"));
    }
}

/// A workload with every kind of operation.
fn busy(disk: &SimFs) {
    let fs: &dyn Fs = disk;
    fs.mkdir(p("d")).expect("new");
    for i in 0..6u8 {
        let file = write(fs, &format!("d/{i}"), &[i; 2000]);
        file.set_len(1500 + u64::from(i)).expect("space");
        if i % 2 == 0 {
            file.sync_data().expect("no fault is planned");
        }
        file.write_all_at(&[100 + i; 700], 300).expect("space");
    }
    fs.rename(p("d/0"), p("d/1")).expect("there");
    fs.sync_dir(p("/")).expect("there");
    fs.link(p("d/2"), p("again")).expect("new");
    fs.remove(p("d/3")).expect("there");
    fs.rename(p("d/4"), p("moved")).expect("there");
    drop(fs.lock(p("LOCK"), "busy").expect("free"));
}

/// Every name on a disk, with the content of files.
fn dump(fs: &dyn Fs, dir: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs.list(dir).expect("a directory") {
        let path = dir.join(&entry.name);
        let content = (!entry.is_dir).then(|| fs.read(&path, 1 << 20).expect("a file"));
        found.push((path.display().to_string(), content));
        if entry.is_dir {
            found.extend(dump(fs, &path));
        }
    }
    found
}

#[test]
fn equal_seeds_give_equal_traces_and_survivors() {
    for model in ALL_MODELS {
        let run = |seed| {
            let disk = SimFs::new(seed, model);
            busy(&disk);
            disk
        };
        let (one, two) = (run(1), run(1));
        assert_eq!(one.trace(), two.trace());
        assert_eq!(one.trace_hash(), two.trace_hash());
        let mut outcomes = BTreeSet::new();
        for seed in 0..50 {
            let survived = dump(&one.crash(seed), p("/"));
            assert_eq!(survived, dump(&two.crash(seed), p("/")), "seed {seed}");
            outcomes.insert(survived);
        }
        assert!(outcomes.len() > 25, "50 seeds gave only {} outcomes", outcomes.len());
    }
}

#[test]
fn the_trace_hash_sees_the_bytes() {
    let hash = |content: &[u8]| {
        let disk = SimFs::new(1, CrashModel::WeakPosix);
        drop(write(&disk, "a", content));
        disk.trace_hash()
    };
    assert_eq!(hash(b"one"), hash(b"one"));
    assert_ne!(hash(b"one"), hash(b"two"));
}

#[test]
fn changing_and_reading_calls_are_counted_apart() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    let file = write_synced(fs, "a", b"abc");
    assert_eq!((disk.calls(), disk.reads()), (4, 0));
    fs.list(p("/")).expect("the root");
    file.len().expect("open");
    drop(fs.open(p("a"), Access::Read).expect("there"));
    assert_eq!((disk.calls(), disk.reads()), (4, 3));
    let kinds: Vec<CallKind> = disk.trace().iter().map(|call| call.kind).collect();
    assert_eq!(kinds, [CallKind::CreateNew, CallKind::Write, CallKind::SyncData, CallKind::SyncDir]);
    assert_eq!(disk.trace()[3].n, 4);
}

#[test]
fn after_a_crash_everything_old_fails_and_locks_are_free() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    let file = write_synced(fs, "a", b"abc");
    let guard = fs.lock(p("LOCK"), "before").expect("free");
    fs.sync_dir(p("/")).expect("there");
    let after = disk.crash(0);
    assert!(disk.is_off() && !after.is_off());
    let err = file.write_all_at(b"x", 0).expect_err("no power");
    assert_eq!(err.to_string(), "simulated power cut");
    assert!(file.len().is_err() && file.read_at(&mut [0], 0).is_err() && file.sync_data().is_err());
    assert!(fs.list(p("/")).is_err() && fs.create_new(p("b")).is_err());
    let after: &dyn Fs = &after;
    let held = after.lock(p("LOCK"), "after").expect("the old lock is gone");
    drop(guard);
    assert!(after.lock(p("LOCK"), "another").is_err(), "an old guard does not free a new lock");
    drop(held);
}

#[test]
fn clones_are_the_same_disk() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    drop(write(&disk.clone(), "a", b"abc"));
    assert_eq!(read(&disk, "a").as_deref(), Some(&b"abc"[..]));
}
