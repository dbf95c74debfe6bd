//! What becomes of names.

use super::*;

fn present(disk: &SimFs, path: &str) -> BTreeSet<bool> {
    outcomes(disk, path).iter().map(Option::is_some).collect()
}

const BOTH: [bool; 2] = [false, true];

#[test]
fn a_name_without_a_directory_sync_may_vanish_with_its_synced_content() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        write(&disk, "a", b"abc").sync_all().expect("no fault is planned");
        assert_eq!(outcomes(&disk, "a"), BTreeSet::from([None, Some(b"abc".to_vec())]), "{model:?}");
        (&disk as &dyn Fs).list(p("/")).expect_err("that was a crash");
    }
}

#[test]
fn a_removed_name_may_come_back_until_the_directory_is_synced() {
    for model in MODELS {
        for sync in BOTH {
            let disk = SimFs::new(5, model);
            let fs: &dyn Fs = &disk;
            drop(write_synced(fs, "a", b"abc"));
            fs.remove(p("a")).expect("there");
            if sync {
                fs.sync_dir(p("/")).expect("there");
            }
            let expected = if sync { vec![None] } else { vec![None, Some(b"abc".to_vec())] };
            assert_eq!(outcomes(&disk, "a").into_iter().collect::<Vec<_>>(), expected, "{model:?}");
        }
    }
}

#[test]
fn a_directory_needs_its_parent_synced() {
    let disk = SimFs::new(5, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    fs.mkdir(p("d")).expect("new");
    drop(write_synced(fs, "d/a", b"abc"));
    let exists = |seed| (&disk.crash(seed) as &dyn Fs).list(p("d")).is_ok();
    assert_eq!((0..100).map(exists).collect::<BTreeSet<_>>(), BTreeSet::from(BOTH));

    let disk = SimFs::new(5, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    fs.mkdir(p("d")).expect("new");
    fs.sync_dir(p("/")).expect("there");
    drop(write_synced(fs, "d/a", b"abc"));
    assert_eq!(outcomes(&disk, "d/a"), BTreeSet::from([Some(b"abc".to_vec())]));
}

#[test]
fn a_rename_is_atomic_but_not_durable() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let fs: &dyn Fs = &disk;
        drop(write_synced(fs, "old", b"old"));
        drop(write_synced(fs, "new", b"new"));
        fs.rename(p("new"), p("old")).expect("there");
        for seed in 0..100 {
            let after = disk.crash(seed);
            let found = (read(&after, "old"), read(&after, "new"));
            let before = (Some(b"old".to_vec()), Some(b"new".to_vec()));
            assert!(found == before || found == (Some(b"new".to_vec()), None), "{model:?}: {found:?}");
        }
        assert_eq!(present(&disk, "new"), BTreeSet::from(BOTH), "{model:?}");
    }
}

#[test]
fn names_are_reordered_only_in_the_weak_model() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        drop(write(&disk, "first", b""));
        drop(write(&disk, "second", b""));
        let second_alone = (0..300).any(|seed| {
            let after = disk.crash(seed);
            read(&after, "second").is_some() && read(&after, "first").is_none()
        });
        assert_eq!(second_alone, model == CrashModel::WeakPosix, "{model:?}");
    }
}

#[test]
fn a_move_across_directories_may_lose_the_file_only_in_the_weak_model() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let fs: &dyn Fs = &disk;
        fs.mkdir(p("d")).expect("new");
        drop(write_synced(fs, "a", b"abc"));
        fs.rename(p("a"), p("d/a")).expect("there");
        let found: BTreeSet<_> = (0..300)
            .map(|seed| {
                let after = disk.crash(seed);
                (read(&after, "a").is_some(), read(&after, "d/a").is_some())
            })
            .collect();
        let whole = BTreeSet::from([(true, false), (false, true)]);
        let all = BTreeSet::from([(true, false), (false, true), (true, true), (false, false)]);
        assert_eq!(found, if model == CrashModel::WeakPosix { all } else { whole }, "{model:?}");
    }
}

#[test]
fn an_ordered_replacing_rename_brings_its_content_along() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let fs: &dyn Fs = &disk;
        drop(write_synced(fs, "a", b"old"));
        drop(write(fs, "a.tmp", b"new"));
        fs.rename(p("a.tmp"), p("a")).expect("there");
        let outcomes = outcomes(&disk, "a");
        let safe = BTreeSet::from([Some(b"old".to_vec()), Some(b"new".to_vec())]);
        assert!(outcomes.is_superset(&safe), "{model:?}");
        assert_eq!(outcomes == safe, model == CrashModel::Ext4Ordered, "{model:?}: {outcomes:?}");
    }
}

#[test]
fn two_names_stay_one_file() {
    let disk = SimFs::new(5, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    drop(write_synced(fs, "a", b"abc"));
    fs.link(p("a"), p("b")).expect("new");
    fs.sync_dir(p("/")).expect("there");
    let after = disk.crash(1);
    let fs: &dyn Fs = &after;
    fs.open(p("a"), Access::ReadWrite).expect("there").write_all_at(b"xyz", 0).expect("space");
    assert_eq!(read(fs, "b").as_deref(), Some(&b"xyz"[..]));
}
