//! More rules of the simulated disk: directories, links, quotas and failed syncs across crashes.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use proptest::prelude::*;
use vectra_core::io::sim::{CallKind, CrashModel, Fault, SimFs, SyncedContent};
use vectra_core::io::{Access, File, Fs};

const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];

fn p(path: &str) -> &Path {
    Path::new(path)
}

fn write(fs: &dyn Fs, path: &str, content: &[u8]) -> Box<dyn File> {
    let file = fs.create_new(p(path)).expect("a new name");
    file.write_all_at(content, 0).expect("space");
    file
}

/// A file whose content and name are sure to survive.
fn write_safely(fs: &dyn Fs, path: &str, content: &[u8]) -> Box<dyn File> {
    let file = write(fs, path, content);
    file.sync_data().expect("no fault is planned");
    fs.sync_dir(p(path).parent().expect("not the root")).expect("no fault is planned");
    file
}

fn read(fs: &dyn Fs, path: &str) -> Option<Vec<u8>> {
    fs.exists(p(path)).expect("a directory").then(|| fs.read(p(path), 1 << 20).expect("a small file"))
}

fn outcomes(disk: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    (0..200).map(|seed| read(&disk.crash(seed), path)).collect()
}

#[test]
fn links_are_names_and_survive_like_names() {
    for model in MODELS {
        let disk = SimFs::new(1, model);
        let fs: &dyn Fs = &disk;
        drop(write_safely(fs, "a", b"abc"));
        fs.link(p("a"), p("b")).expect("new");
        fs.remove(p("a")).expect("there");
        let found: BTreeSet<_> = (0..300)
            .map(|seed| {
                let after = disk.crash(seed);
                (read(&after, "a").is_some(), read(&after, "b").is_some())
            })
            .collect();
        // In order, the new name is there before the old one goes; without order the file may lose both.
        let lost = found.contains(&(false, false));
        assert_eq!(lost, model == CrashModel::WeakPosix, "{model:?}: {found:?}");
        assert!(found.contains(&(true, false)) && found.contains(&(false, true)), "{model:?}: {found:?}");
    }
}

#[test]
fn a_rename_onto_the_other_name_of_the_file_is_nothing() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    drop(write_safely(fs, "a", b"abc"));
    fs.link(p("a"), p("b")).expect("new");
    fs.rename(p("a"), p("b")).expect("POSIX says so");
    assert_eq!((read(fs, "a"), read(fs, "b")), (Some(b"abc".to_vec()), Some(b"abc".to_vec())));
    fs.sync_dir(p("/")).expect("there");
    assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(b"abc".to_vec())]));
}

#[test]
fn directories_are_not_renamed_removed_or_opened() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    fs.mkdir(p("d")).expect("new");
    fs.mkdir(p("d/e")).expect("new");
    drop(write(fs, "a", b"abc"));
    assert!(fs.rename(p("d"), p("f")).is_err() && fs.rename(p("d/e"), p("f")).is_err());
    assert!(fs.rename(p("a"), p("d")).is_err() && fs.rename(p("a"), p("/")).is_err());
    assert!(fs.remove(p("d")).is_err() && fs.remove(p("/")).is_err());
    assert!(fs.link(p("d"), p("f")).is_err() && fs.lock(p("d"), "me").is_err());
    assert!(fs.open(p("d"), Access::Read).is_err() && fs.open(p("/"), Access::Read).is_err());
    for path in ["../a", "d/../a"] {
        assert_eq!(fs.create_new(p(path)).map(drop).map_err(|e| e.kind()), Err(ErrorKind::InvalidInput));
    }
    let names: Vec<_> = fs.list(p("/")).expect("the root").into_iter().map(|e| (e.name, e.is_dir)).collect();
    assert_eq!(names, [("a".to_owned(), false), ("d".to_owned(), true)]);
}

#[test]
fn a_sync_of_one_directory_says_nothing_about_another_in_the_weak_model() {
    for model in MODELS {
        let disk = SimFs::new(2, model);
        let fs: &dyn Fs = &disk;
        fs.mkdir(p("d")).expect("new");
        fs.mkdir(p("e")).expect("new");
        fs.sync_dir(p("/")).expect("there");
        write(fs, "d/a", b"").sync_data().expect("no fault is planned");
        fs.sync_dir(p("e")).expect("there");
        let kept = outcomes(&disk, "d/a");
        assert_eq!(kept.contains(&None), model == CrashModel::WeakPosix, "{model:?}: {kept:?}");
        fs.sync_dir(p("d")).expect_err("that was a crash");
    }
}

#[test]
fn read_only_lasts_only_if_all_was_synced() {
    for (all, lasting) in [(false, false), (true, true)] {
        let disk = SimFs::new(3, CrashModel::WeakPosix);
        let file = write_safely(&disk, "a", b"abc");
        file.set_readonly().expect("there");
        let open =
            |disk: &SimFs| (disk as &dyn Fs).open(p("a"), Access::ReadWrite).map(drop).map_err(|e| e.kind());
        assert_eq!(open(&disk), Err(ErrorKind::PermissionDenied));
        if all {
            file.sync_all().expect("no fault is planned");
        } else {
            file.sync_data().expect("no fault is planned");
        }
        let writable = (0..100).any(|seed| open(&disk.crash(seed)).is_ok());
        assert_eq!(writable, !lasting, "attributes are synced by sync_all: {all}");
    }
}

/// After a sync that failed, a second one reports success and saves nothing.
#[test]
fn a_second_sync_after_a_failed_one_is_a_trap() {
    for content in [SyncedContent::Kept, SyncedContent::Reverted] {
        let disk = SimFs::new(4, CrashModel::WeakPosix);
        let file = write_safely(&disk, "a", b"old");
        file.write_all_at(b"new", 0).expect("space");
        disk.fail_call(disk.calls() + 1, Fault::SyncFailed { content }, false);
        assert!(file.sync_data().is_err());
        let visible = if content == SyncedContent::Kept { b"new" } else { b"old" };
        assert_eq!(read(&disk, "a").as_deref(), Some(&visible[..]), "{content:?}");
        file.sync_data().expect("reports success");
        assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(b"old".to_vec())]), "{content:?}");
    }
}

#[test]
fn a_failed_directory_sync_may_take_names_back() {
    let disk = SimFs::new(4, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    write(fs, "a", b"abc").sync_data().expect("no fault is planned");
    let fault = Fault::SyncFailed { content: SyncedContent::Reverted };
    disk.fail_call(disk.calls() + 1, fault, false);
    assert!(fs.sync_dir(p("/")).is_err());
    assert_eq!(read(fs, "a"), None);
    drop(fs.create_new(p("a")).expect("the name is free again"));
}

#[test]
fn a_lost_write_is_missed_by_no_sync_that_follows() {
    let disk = SimFs::new(5, CrashModel::Ext4Ordered);
    let file = write_safely(&disk, "a", b"0000");
    disk.fail_call(disk.calls() + 2, Fault::Lost, false);
    file.write_all_at(b"1", 0).expect("done");
    file.write_all_at(b"2", 1).expect("said to be done");
    file.write_all_at(b"3", 2).expect("done");
    file.sync_all().expect("no fault is planned");
    assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(b"1030".to_vec())]));
    let lengths: Vec<(CallKind, u64, u64)> =
        disk.trace().iter().rev().take(4).map(|call| (call.kind, call.offset, call.len)).collect();
    let write = CallKind::Write;
    assert_eq!(lengths, [(CallKind::SyncAll, 0, 0), (write, 2, 1), (write, 1, 1), (write, 0, 1)]);
}

#[test]
fn a_quota_counts_files_by_content_once_and_reservations() {
    let disk = SimFs::new(6, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    assert_eq!(fs.free_space(p("/")).expect("the root"), u64::MAX, "no quota, no end");
    disk.quota(100);
    let file = write(fs, "a", &[1; 40]);
    fs.link(p("a"), p("b")).expect("new");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 60, "two names, one file");
    fs.remove(p("a")).expect("there");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 60, "one name left");
    file.allocate(90).expect("it fits");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 10);
    assert_eq!(file.allocate(101).map_err(|e| e.kind()), Err(ErrorKind::StorageFull));
    let gap = fs.create_new(p("gap")).expect("names are free");
    assert_eq!(
        gap.write_all_at(b"x", 10).map_err(|e| e.kind()),
        Err(ErrorKind::StorageFull),
        "the gap counts"
    );
    gap.write_all_at(b"x", 9).expect("it just fits");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 0);
    assert!(fs.lock(p("LOCK"), "holder").is_err(), "no space for the holder");
    disk.quota(200);
    drop(fs.lock(p("LOCK"), "holder").expect("and nobody holds it"));
    let after = disk.crash(1);
    assert!((&after as &dyn Fs).free_space(p("/")).expect("the root") <= 200, "a quota is taken over");
}

#[test]
fn locks_follow_the_file_and_end_with_the_guard() {
    let disk = SimFs::new(7, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    let guard = fs.lock(p("LOCK"), "one").expect("free");
    fs.link(p("LOCK"), p("other")).expect("new");
    let refused = fs.lock(p("other"), "two").expect_err("the same file");
    assert_eq!((refused.kind(), refused.to_string().as_str()), (ErrorKind::WouldBlock, "one"));
    fs.remove(p("LOCK")).expect("there");
    let second = fs.lock(p("LOCK"), "two").expect("a new file under the old name");
    drop(guard);
    assert!(fs.lock(p("LOCK"), "three").is_err(), "the first guard frees its own file only");
    drop(second);
    assert!(fs.lock(p("LOCK"), "three").is_ok());
}

/// A write, a cut or a sync of one small file.
#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..1500_u64, prop::collection::vec(1..=u8::MAX, 1..900)).prop_map(|(at, b)| Change::Write(at, b)),
        1 => (0..2000_u64).prop_map(Change::SetLen),
        1 => Just(Change::Sync),
    ]
}

fn model(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, bytes) => {
            let (at, end) = (*at as usize, *at as usize + bytes.len());
            content.resize(content.len().max(end), 0);
            content[at..end].copy_from_slice(bytes);
        }
        Change::SetLen(len) => content.resize(*len as usize, 0),
        Change::Sync => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Readers see every change; after a crash what was synced is whole, and the rest is of that time or later.
    #[test]
    fn content_is_what_was_written_and_synced_content_survives(
        changes in prop::collection::vec(change(), 1..12), seed in any::<u64>(), weak in any::<bool>()
    ) {
        let disk = SimFs::new(seed, if weak { CrashModel::WeakPosix } else { CrashModel::Ext4Ordered });
        let file = write_safely(&disk, "a", b"");
        let (mut content, mut synced, mut since) = (Vec::new(), Vec::new(), Vec::new());
        for change in &changes {
            model(&mut content, change);
            match change {
                Change::Write(at, bytes) => file.write_all_at(bytes, *at).expect("space"),
                Change::SetLen(len) => file.set_len(*len).expect("space"),
                Change::Sync => {
                    file.sync_data().expect("no fault is planned");
                    synced.clone_from(&content);
                    since.clear();
                }
            }
            since.push(change.clone());
            prop_assert_eq!(read(&disk, "a"), Some(content.clone()));
        }
        // The bytes that no later change touched, and that every later length leaves inside.
        let mut untouched = vec![true; synced.len()];
        for change in &since {
            match change {
                Change::Write(at, bytes) => {
                    let start = (*at as usize).min(untouched.len());
                    let end = (*at as usize + bytes.len()).min(untouched.len());
                    untouched[start..end].fill(false);
                }
                Change::SetLen(len) => untouched.truncate(*len as usize),
                Change::Sync => {}
            }
        }
        for crash in 0..20 {
            let after = read(&disk.crash(seed ^ crash), "a").expect("the name was synced");
            for (at, _) in untouched.iter().enumerate().filter(|(_, untouched)| **untouched) {
                prop_assert_eq!(after.get(at), Some(&synced[at]), "byte {} of {} after {:?}", at, after.len(), since);
            }
        }
    }
}
