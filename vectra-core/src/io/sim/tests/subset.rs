//! Crashes of which the caller decides what they keep, images, and observers.

use parking_lot::Mutex;

use super::*;

/// What is at `path` after each crash that the model allows.
fn every_outcome(disk: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let n = disk.pending();
    let choices = (0..1_u32 << n).map(|mask| (0..n).map(|i| mask >> i & 1 == 1).collect::<Vec<_>>());
    choices.filter_map(|kept| disk.crash_keeping(&kept)).map(|after| read(&after, path)).collect()
}

/// As [`read`] gives it.
#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may not be there")]
fn some(content: &[u8]) -> Option<Vec<u8>> {
    Some(content.to_vec())
}

#[test]
fn a_weak_disk_keeps_any_of_the_writes_and_an_ordered_one_the_first_of_the_appends() {
    let disk = |model| {
        let disk = SimFs::new(1, model);
        let file = write_synced(&disk, "a", b"--");
        file.write_all_at(b"ab", 2).expect("space");
        file.write_all_at(b"cd", 4).expect("space");
        disk
    };
    let (first, both) = (some(b"--ab"), some(b"--abcd"));
    let second = some(b"--\0\0cd");
    let weak = every_outcome(&disk(CrashModel::WeakPosix), "a");
    assert_eq!(weak, BTreeSet::from([some(b"--"), first.clone(), second.clone(), both.clone()]));
    assert_eq!(every_outcome(&disk(CrashModel::Windows), "a"), weak);
    let ordered = every_outcome(&disk(CrashModel::Ext4Ordered), "a");
    assert_eq!(ordered, BTreeSet::from([some(b"--"), first, both]));
}

#[test]
fn names_are_kept_in_order_where_there_is_a_journal() {
    let disk = |model| {
        let disk = SimFs::new(1, model);
        drop(write(&disk, "a", b""));
        drop(write(&disk, "b", b""));
        disk
    };
    for (model, expected) in
        [(CrashModel::WeakPosix, 4), (CrashModel::Ext4Ordered, 3), (CrashModel::Windows, 3)]
    {
        let disk = disk(model);
        assert_eq!(disk.pending(), 2, "an empty write is none");
        let outcomes: BTreeSet<_> = (0..4)
            .filter_map(|mask| disk.crash_keeping(&[mask & 1 == 1, mask & 2 == 2]))
            .map(|after| dump(&after, p("/")))
            .collect();
        assert_eq!(outcomes.len(), expected, "{model:?}");
    }
}

#[test]
fn a_rename_over_a_file_brings_its_content_along_on_ext4_only() {
    let disk = |model| {
        let disk = SimFs::new(1, model);
        drop(write_synced(&disk, "a", b"old"));
        drop(write(&disk, "b", b"new"));
        (&disk as &dyn Fs).rename(p("b"), p("a")).expect("there");
        disk
    };
    let ordered = every_outcome(&disk(CrashModel::Ext4Ordered), "a");
    assert_eq!(ordered, BTreeSet::from([some(b"old"), some(b"new")]));
    let weak = every_outcome(&disk(CrashModel::WeakPosix), "a");
    assert_eq!(weak, BTreeSet::from([some(b"old"), some(b"new"), some(b"")]));
}

#[test]
fn every_enumerated_outcome_of_whole_sectors_is_one_of_chance_and_the_other_way_round() {
    for model in [CrashModel::Ext4Ordered, CrashModel::Windows] {
        let disk = SimFs::new(1, model);
        let fs: &dyn Fs = &disk;
        let file = write_synced(fs, "a", &[1; 1024]);
        file.write_all_at(&[2; 512], 0).expect("space");
        file.write_all_at(&[3; 512], 512).expect("space");
        drop(file);
        fs.link(p("a"), p("b")).expect("new");
        fs.remove(p("a")).expect("there");
        let n = disk.pending();
        let choices = (0..1_u32 << n).map(|mask| (0..n).map(|i| mask >> i & 1 == 1).collect::<Vec<_>>());
        let all: BTreeSet<_> =
            choices.filter_map(|kept| disk.crash_keeping(&kept)).map(|after| dump(&after, p("/"))).collect();
        let by_chance: BTreeSet<_> = (0..600).map(|seed| dump(&disk.crash(seed), p("/"))).collect();
        assert_eq!(all, by_chance, "{model:?}");
        assert_eq!(all.len(), 3 * 4, "{model:?}");
    }
}

#[test]
fn what_no_crash_can_show_is_not_pending() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let fs: &dyn Fs = &disk;
    drop(write(fs, "a", b"abc"));
    fs.remove(p("a")).expect("there");
    assert_eq!(disk.pending(), 3, "a crash may lose the removal alone");
    fs.sync_dir(p("/")).expect("no fault is planned");
    assert_eq!(disk.pending(), 0);
}

#[test]
fn an_observer_sees_what_a_crash_at_each_call_leaves() {
    for model in ALL_MODELS {
        let moments = Arc::new(Mutex::new(Vec::new()));
        let disk = SimFs::new(4, model);
        let seen = Arc::clone(&moments);
        disk.on_call(move |moment| seen.lock().push(moment));
        busy(&disk);
        let calls = disk.calls();
        disk.unobserved();
        let moments = moments.lock();
        assert_eq!(moments.len() as u64, calls);
        for (n, moment) in (1..).zip(moments.iter()) {
            assert!(moment.before.is_off() && (&moment.before as &dyn Fs).list(p("/")).is_err());
            let aimed = SimFs::new(4, model);
            aimed.crash_at(n);
            let _cut_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| busy(&aimed)));
            let outcome = |disk: &SimFs| (0..8).map(|s| dump(&disk.crash(s), p("/"))).collect::<Vec<_>>();
            let found = outcome(&aimed);
            assert!(found == outcome(&moment.before) || found == outcome(&moment.within), "{model:?}: {n}");
        }
    }
}

#[test]
fn an_image_stays_as_it_was() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    let file = write_synced(&disk, "a", b"abc");
    let image = disk.image();
    file.write_all_at(b"xyz", 0).expect("the disk goes on");
    file.sync_data().expect("no fault is planned");
    assert_eq!(outcomes(&image, "a"), BTreeSet::from([some(b"abc")]));
    assert_eq!(outcomes(&disk, "a"), BTreeSet::from([some(b"xyz")]));
}

#[test]
fn the_content_hash_sees_names_and_bytes() {
    let hash = |name: &str, content: &[u8]| {
        let disk = SimFs::new(1, CrashModel::WeakPosix);
        drop(write(&disk, name, content));
        disk.content_hash()
    };
    assert_eq!(hash("a", b"1"), hash("a", b"1"));
    assert_ne!(hash("a", b"1"), hash("b", b"1"));
    assert_ne!(hash("a", b"1"), hash("a", b"2"));
}
