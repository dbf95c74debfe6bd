//! Planned faults and power cuts.

use std::io::ErrorKind;

use super::*;

fn disk_with_file() -> (SimFs, Box<dyn File>) {
    let disk = SimFs::new(9, CrashModel::WeakPosix);
    let file = write_synced(&disk, "a", b"0123456789");
    (disk, file)
}

#[test]
fn the_nth_call_fails_and_only_that() {
    let (disk, file) = disk_with_file();
    disk.fail_call(disk.calls() + 2, Fault::Eio, false);
    file.write_all_at(b"a", 0).expect("not yet");
    assert!(file.write_all_at(b"b", 1).is_err());
    file.write_all_at(b"c", 2).expect("over");
    assert_eq!(read(&disk, "a").as_deref(), Some(&b"a1c3456789"[..]));
}

#[test]
fn a_sticky_fault_stays_where_it_applies() {
    let (disk, file) = disk_with_file();
    disk.fail_call(disk.calls() + 1, Fault::Enospc, true);
    for _ in 0..3 {
        assert_eq!(file.write_all_at(b"a", 0).map_err(|e| e.kind()), Err(ErrorKind::StorageFull));
    }
    assert!((&disk as &dyn Fs).create_new(p("b")).is_err());
    file.sync_data().expect("needs no space");
    (&disk as &dyn Fs).remove(p("a")).expect("needs no space");
    disk.clear_faults();
    file.write_all_at(b"a", 0).expect("over");
}

#[test]
fn short_interrupted_and_lost_writes() {
    let mut lens = BTreeSet::new();
    for seed in 0..50 {
        let disk = SimFs::new(seed, CrashModel::WeakPosix);
        let file = write_synced(&disk, "a", b"");
        disk.fail_call(disk.calls() + 1, Fault::Short, false);
        assert_eq!(file.write_all_at(b"abcd", 0).map_err(|e| e.kind()), Err(ErrorKind::WriteZero));
        let content = read(&disk, "a").expect("there");
        assert!(b"abcd".starts_with(&content), "a first part, not {content:?}");
        lens.insert(content.len());
    }
    assert!(lens.len() > 3, "only lengths {lens:?}");

    let (disk, file) = disk_with_file();
    disk.fail_call(disk.calls() + 1, Fault::Interrupted, false);
    disk.fail_call(disk.calls() + 2, Fault::Lost, false);
    assert_eq!(file.write_all_at(b"x", 0).map_err(|e| e.kind()), Err(ErrorKind::Interrupted));
    file.write_all_at(b"x", 0).expect("lost, but acknowledged");
    assert_eq!(read(&disk, "a").as_deref(), Some(&b"0123456789"[..]));
}

#[test]
fn reads_fail_by_their_own_numbers() {
    let (disk, file) = disk_with_file();
    let mut buf = [0; 10];
    disk.fail_read(disk.reads() + 1, Fault::Eio, false);
    disk.fail_read(disk.reads() + 2, Fault::Short, false);
    disk.fail_read(disk.reads() + 3, Fault::Interrupted, false);
    assert!(file.read_at(&mut buf, 0).is_err());
    let n = file.read_at(&mut buf, 0).expect("short");
    assert!((1..10).contains(&n));
    assert_eq!(file.read_at(&mut buf, 0).map_err(|e| e.kind()), Err(ErrorKind::Interrupted));
    disk.fail_read(disk.reads() + 1, Fault::Interrupted, false);
    disk.fail_read(disk.reads() + 2, Fault::Short, false);
    buf.fill(0);
    file.read_exact_at(&mut buf, 0).expect("patient");
    assert_eq!(&buf, b"0123456789");
}

#[test]
fn the_power_goes_during_the_nth_call() {
    let (mut applied, mut skipped) = (0, 0);
    for seed in 0..60 {
        let disk = SimFs::new(seed, CrashModel::WeakPosix);
        let file = write_synced(&disk, "a", b"old");
        disk.crash_at(disk.calls() + 2);
        file.write_all_at(b"new", 0).expect("one call before");
        let err = file.sync_data().expect_err("no power");
        assert_eq!((err.kind(), err.to_string().as_str()), (ErrorKind::Other, "simulated power cut"));
        assert!(disk.is_off());
        assert!(file.len().is_err(), "nothing works after it");
        assert_eq!(disk.calls(), 6, "calls without power do not count");
        // The failed sync may have taken place: then no seed of the crash loses the content.
        match outcomes(&disk, "a").len() {
            1 => applied += 1,
            _ => skipped += 1,
        }
    }
    assert!(applied > 5 && skipped > 5, "{applied} applied, {skipped} skipped");
}

#[test]
fn an_ignored_sync_reports_success_and_does_nothing() {
    let run = |ignore: Option<SyncSite>| {
        let disk = SimFs::new(3, CrashModel::WeakPosix);
        if let Some(site) = ignore {
            disk.ignore_sync(site.file, site.line);
        }
        let file = write(&disk, "a", b"abc");
        file.sync_data().expect("reports success");
        (&disk as &dyn Fs).sync_dir(p("/")).expect("reports success");
        disk
    };
    let all = run(None);
    let sites = all.sync_sites();
    assert_eq!(sites.len(), 2, "each call has its own site: {sites:?}");
    assert!(sites.iter().all(|site| site.file.ends_with("faults.rs")));
    assert_eq!(outcomes(&all, "a").len(), 1, "with both syncs nothing is lost");
    for site in sites {
        let disk = run(Some(site));
        assert!(outcomes(&disk, "a").len() > 1, "without {site:?} something may be lost");
        assert_eq!(disk.sync_sites().len(), 2, "ignored ones are seen, too");
    }
}

#[test]
fn ignored_syncs_stay_ignored_after_a_crash_and_match_by_the_end_of_the_path() {
    let disk = SimFs::new(3, CrashModel::WeakPosix);
    let sync = |file: &dyn File| file.sync_data().expect("reports success");
    sync(&*write_synced(&disk, "a", b"old"));
    // The site of `sync` above comes last in its trace.
    let line = disk.trace().last().and_then(|call| call.site).expect("a sync").line;
    disk.ignore_sync("tests/faults.rs", line);
    disk.ignore_sync("other.rs", line + 1);
    let after = disk.crash(0);
    let file = (&after as &dyn Fs).open(p("a"), Access::ReadWrite).expect("synced");
    file.write_all_at(b"new", 0).expect("space");
    sync(&*file);
    assert!(outcomes(&after, "a").len() > 1);
}

#[test]
fn a_quota_lets_in_what_fits() {
    let (disk, file) = disk_with_file();
    let fs: &dyn Fs = &disk;
    disk.quota(15);
    assert_eq!(fs.free_space(p("/")).expect("the root"), 5);
    assert_eq!(file.write_all_at(b"ABCDEFGH", 8).map_err(|e| e.kind()), Err(ErrorKind::StorageFull));
    assert_eq!(read(fs, "a").as_deref(), Some(&b"01234567ABCDEFG"[..]), "the part that fits");
    file.write_all_at(b"xy", 0).expect("overwriting needs no space");
    assert!(file.set_len(16).is_err());
    file.set_len(5).expect("shorter");
    let other = fs.create_new(p("b")).expect("names are free");
    other.allocate(10).expect("it fits");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 0);
    assert!(file.write_all_at(b"z", 5).is_err(), "reserved");
    other.write_all_at(&[0; 10], 0).expect("reserved for this");
    fs.remove(p("b")).expect("there");
    assert_eq!(fs.free_space(p("/")).expect("the root"), 10);
    assert_eq!((&disk.crash(1) as &dyn Fs).free_space(p("/")).map(|free| free <= 15).ok(), Some(true));
}

#[test]
fn a_flipped_bit_stays_flipped() {
    let (disk, file) = disk_with_file();
    file.write_all_at(b"abc", 0).expect("space");
    disk.flip_bit(p("a"), 8).expect("inside");
    assert_eq!(read(&disk, "a").as_deref(), Some(&b"acc3456789"[..]));
    file.sync_data().expect("no fault is planned");
    disk.flip_bit(p("a"), 79).expect("the last bit");
    assert_eq!(disk.flip_bit(p("a"), 80).map_err(|e| e.kind()), Err(ErrorKind::InvalidInput));
    assert_eq!(disk.flip_bit(p("b"), 0).map_err(|e| e.kind()), Err(ErrorKind::NotFound));
    assert_eq!(outcomes(&disk, "a"), BTreeSet::from([Some(b"acc345678\xb9".to_vec())]));
}

#[test]
fn a_misdirected_write_is_acknowledged_and_lands_elsewhere() {
    let mut places = BTreeSet::new();
    for seed in 0..40 {
        let disk = SimFs::new(seed, CrashModel::WeakPosix);
        let file = write_synced(&disk, "a", &[0; 8192]);
        disk.fail_call(disk.calls() + 1, Fault::Misdirected, false);
        file.write_all_at(b"here", 4096).expect("reports success");
        let content = read(&disk, "a").expect("there");
        assert_eq!(content[4096..4100], [0; 4]);
        let at = content.windows(4).position(|w| w == b"here").expect("somewhere");
        assert_eq!(at % 512, 0);
        places.insert(at);
    }
    assert!(places.len() > 4, "{places:?}");
}

#[test]
fn a_stale_read_sees_what_the_latest_write_replaced() {
    let (disk, file) = disk_with_file();
    file.write_all_at(b"abc", 2).expect("space");
    let mut buf = [0; 10];
    disk.fail_read(disk.reads() + 1, Fault::Stale, false);
    file.read_exact_at(&mut buf, 0).expect("reports success");
    assert_eq!(&buf, b"0123456789");
    file.read_exact_at(&mut buf, 0).expect("over");
    assert_eq!(&buf, b"01abc56789");
    disk.fail_read(disk.reads() + 1, Fault::Stale, false);
    assert_eq!(&file.map().expect("reports success")[..], b"0123456789");
    file.set_len(4).expect("shorter");
    file.sync_data().expect("no fault is planned");
    let fs: &dyn Fs = &disk;
    drop(file);
    let file = fs.open(p("a"), Access::Read).expect("there");
    disk.fail_read(disk.reads() + 1, Fault::Stale, false);
    assert_eq!(&file.map().expect("reports success")[..], b"0123", "never longer than the file");
}

#[test]
fn slow_calls_and_clock_jumps_move_the_clock_they_are_given() {
    use crate::env::{Clock, SimClock};
    use std::time::Duration;

    let (disk, file) = disk_with_file();
    let clock = Arc::new(SimClock::new(1));
    disk.set_clock(Arc::clone(&clock));
    let (now, unix) = (clock.now(), clock.unix_ms());
    disk.fail_call(disk.calls() + 1, Fault::Slow { by: Duration::from_secs(3) }, false);
    disk.fail_read(disk.reads() + 1, Fault::Slow { by: Duration::from_secs(4) }, false);
    file.write_all_at(b"x", 0).expect("slow, but it works");
    assert_eq!((clock.now(), clock.unix_ms()), (now + Duration::from_secs(3), unix + 3000));
    assert_eq!(read(&disk, "a").as_deref(), Some(&b"x123456789"[..]));
    assert_eq!(clock.now(), now + Duration::from_secs(7));
    disk.fail_call(disk.calls() + 1, Fault::ClockJump { unix_ms: 5 }, false);
    file.sync_data().expect("it works");
    assert_eq!((clock.now(), clock.unix_ms()), (now + Duration::from_secs(7), 5));
}
