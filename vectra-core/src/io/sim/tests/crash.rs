//! What becomes of content.

use super::*;

#[test]
fn synced_content_always_survives() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let content: Vec<u8> = (0..3000u32).map(|i| (i % 251) as u8).collect();
        let file = write_synced(&disk, "a", &content);
        file.set_len(2500).expect("shorter");
        file.write_all_at(b"more", 2500).expect("space");
        file.sync_all().expect("no fault is planned");
        let mut expected = content[..2500].to_vec();
        expected.extend(b"more");
        // Traffic elsewhere changes nothing.
        drop(write(&disk, "b", &content));
        assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(expected)]), "{model:?}");
    }
}

#[test]
fn unsynced_content_may_be_lost_kept_or_mixed() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", &[1; 2048]);
        file.write_all_at(&[2; 2048], 0).expect("space");
        let outcomes = outcomes(&disk, "a");
        assert!(outcomes.contains(&Some(vec![1; 2048])), "{model:?}: lost");
        assert!(outcomes.contains(&Some(vec![2; 2048])), "{model:?}: kept");
        // A later sector of the write outlives an earlier one.
        let reordered = |c: &Option<Vec<u8>>| {
            c.as_ref().is_some_and(|c| c[..512].iter().all(|&b| b == 1) && c[1536..].iter().all(|&b| b == 2))
        };
        assert!(outcomes.iter().any(reordered), "{model:?}: mixed");
        assert!(outcomes.iter().flatten().all(|c| c.len() == 2048), "{model:?}: the length was synced");
    }
}

#[test]
fn only_the_weak_model_tears_sectors_and_leaves_garbage() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", &[1; 1024]);
        file.write_all_at(&[2; 1024], 0).expect("space");
        let outcomes = outcomes(&disk, "a");
        let torn = outcomes.iter().flatten().any(|c| c[..512].iter().any(|&b| b != c[0]));
        let garbage = outcomes.iter().flatten().flatten().any(|&b| b != 1 && b != 2);
        assert_eq!(
            (torn, garbage),
            (model == CrashModel::WeakPosix, model == CrashModel::WeakPosix),
            "{model:?}"
        );
    }
}

#[test]
fn bytes_beside_an_unsynced_write_are_never_harmed() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", &[1; 1000]);
        file.write_all_at(&[2; 300], 400).expect("space");
        for content in outcomes(&disk, "a").into_iter().flatten() {
            assert!(content[..400].iter().chain(&content[700..]).all(|&b| b == 1), "{model:?}");
        }
    }
}

#[test]
fn later_writes_may_outlive_earlier_ones_only_in_the_weak_model() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", b"");
        file.write_all_at(&[1; 512], 0).expect("space");
        file.write_all_at(&[2; 512], 512).expect("space");
        let second_alone = |c: &Vec<u8>| c.len() == 1024 && c[..512] != [1; 512] && c[512..] == [2; 512];
        let seen = outcomes(&disk, "a").iter().flatten().any(second_alone);
        assert_eq!(seen, model == CrashModel::WeakPosix, "{model:?}");
    }
}

#[test]
fn length_and_bytes_survive_apart_only_in_the_weak_model() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", b"");
        file.write_all_at(&[7; 1024], 0).expect("space");
        let outcomes = outcomes(&disk, "a");
        assert!(outcomes.contains(&Some(vec![])), "{model:?}: lost");
        assert!(outcomes.contains(&Some(vec![7; 1024])), "{model:?}: kept");
        let zeros = outcomes.contains(&Some(vec![0; 1024]));
        assert_eq!(zeros, model == CrashModel::WeakPosix, "{model:?}: a length without its bytes");
    }
}

#[test]
fn a_cut_survives_or_not() {
    for model in MODELS {
        let disk = SimFs::new(5, model);
        let file = write_synced(&disk, "a", &[1; 600]);
        file.set_len(100).expect("shorter");
        let outcomes = outcomes(&disk, "a");
        assert!(outcomes.contains(&Some(vec![1; 600])), "{model:?}");
        assert!(outcomes.contains(&Some(vec![1; 100])), "{model:?}");
    }
}

#[test]
fn a_failed_sync_makes_the_next_one_lie() {
    for model in MODELS {
        for (content, visible) in [(SyncedContent::Kept, &b"new"[..]), (SyncedContent::Reverted, &b"old"[..])]
        {
            let disk = SimFs::new(5, model);
            let file = write_synced(&disk, "a", b"old");
            file.write_all_at(b"new", 0).expect("space");
            disk.fail_call(disk.calls() + 1, Fault::SyncFailed { content }, false);
            assert!(file.sync_data().is_err());
            assert_eq!(read(&disk, "a").as_deref(), Some(visible), "{content:?}");
            file.sync_data().expect("the pages are clean: a retry reports success");
            assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(b"old".to_vec())]), "{content:?}");
        }
    }
}

#[test]
fn read_only_survives_once_all_is_synced() {
    let disk = SimFs::new(5, CrashModel::WeakPosix);
    let file = write_synced(&disk, "a", b"abc");
    file.set_readonly().expect("there");
    file.sync_data().expect("no fault is planned");
    let writable = |seed| (&disk.crash(seed) as &dyn Fs).open(p("a"), Access::ReadWrite).is_ok();
    let seen: BTreeSet<bool> = (0..100).map(writable).collect();
    assert_eq!(seen.len(), 2, "attributes are not data");

    let disk = SimFs::new(5, CrashModel::WeakPosix);
    let file = write_synced(&disk, "a", b"abc");
    file.set_readonly().expect("there");
    file.sync_all().expect("no fault is planned");
    let writable = |seed| (&disk.crash(seed) as &dyn Fs).open(p("a"), Access::ReadWrite).is_ok();
    assert!(!(0..100).any(writable));
}
