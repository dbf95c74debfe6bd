//! The model of Windows: names in order, content apart from them, open files stay.

use std::io::ErrorKind;

use super::*;

#[test]
fn names_survive_in_order_and_syncing_any_file_makes_them_durable() {
    let disk = SimFs::new(3, CrashModel::Windows);
    let fs: &dyn Fs = &disk;
    for name in ["a", "b", "c"] {
        drop(write(fs, name, b"1"));
    }
    let names = |seed| dump(&disk.crash(seed), p("/")).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let seen: BTreeSet<Vec<String>> = (0..100).map(names).collect();
    assert_eq!(seen.len(), 4, "none, the first, the first two, all: {seen:?}");
    let disk = SimFs::new(3, CrashModel::Windows);
    let fs: &dyn Fs = &disk;
    drop(write(fs, "a", b"1"));
    fs.sync_dir(p("/")).expect("no fault is planned");
    let names = |seed| dump(&disk.crash(seed), p("/")).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!((0..100).map(names).collect::<BTreeSet<_>>().len(), 1);
    assert!(outcomes(&disk, "a").len() > 1, "names, but not content");

    let disk = SimFs::new(3, CrashModel::Windows);
    drop(write(&disk, "a", b"1"));
    write(&disk, "b", b"2").sync_data().expect("no fault is planned");
    assert!(outcomes(&disk, "a").iter().all(Option::is_some), "the name, though not the content");
    assert_eq!(outcomes(&disk, "b"), BTreeSet::from([Some(b"2".to_vec())]));
}

#[test]
fn sectors_are_kept_or_dropped_whole_and_lengths_are_some_the_file_had() {
    let disk = SimFs::new(3, CrashModel::Windows);
    let file = write_synced(&disk, "a", &[1; 1024]);
    file.write_all_at(&[2; 1024], 512).expect("space");
    file.set_len(700).expect("shorter");
    file.set_len(900).expect("longer");
    let outcomes = outcomes(&disk, "a");
    assert!(outcomes.len() > 5, "{} outcomes", outcomes.len());
    for content in outcomes.into_iter().flatten() {
        assert!([1024, 1536, 700, 900].contains(&content.len()), "{}", content.len());
        assert!(content[..512].iter().all(|&b| b == 1));
        assert!(content[512..].chunks(512).all(|s| s.iter().all(|b| b == &s[0] || *b == 0)), "no garbage");
    }
}

#[test]
fn open_files_are_neither_removed_nor_replaced() {
    let disk = SimFs::new(3, CrashModel::Windows);
    let fs: &dyn Fs = &disk;
    let held = write(fs, "a", b"1");
    drop(write(fs, "b", b"2"));
    let refused = |result: std::io::Result<()>| result.expect_err("it is open").kind();
    assert_eq!(refused(fs.remove(p("a"))), ErrorKind::PermissionDenied);
    fs.rename(p("a"), p("moved")).expect("it may be renamed itself");
    fs.rename(p("moved"), p("a")).expect("and back");
    assert_eq!(refused(fs.rename(p("b"), p("a"))), ErrorKind::PermissionDenied);
    fs.link(p("a"), p("other")).expect("new");
    fs.remove(p("other")).expect("not its last name");
    let again = fs.open(p("a"), Access::Read).expect("there");
    drop(held);
    assert_eq!(refused(fs.remove(p("a"))), ErrorKind::PermissionDenied, "by the other handle");
    drop(again);
    fs.rename(p("b"), p("a")).expect("closed");
    fs.remove(p("a")).expect("closed");
}
