//! What every file system must do (without faults or crashes).

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use crate::io::{Access, Entry, File, Fs};

type Case = fn(&dyn Fs, &Path);

/// Runs the whole suite below `root`, an existing directory in which the suite's names are free.
pub fn conformance(fs: &dyn Fs, root: &Path) {
    let cases: [(&str, Case); 19] = [
        ("create", create_makes_an_empty_file_once),
        ("open", open_needs_an_existing_file),
        ("positions", reads_and_writes_go_to_their_positions),
        ("gap", writing_behind_the_end_fills_with_zeros),
        ("len", set_len_cuts_and_grows_with_zeros),
        ("allocate", allocate_changes_nothing_visible),
        ("readonly", handles_for_reading_do_not_write),
        ("publish", published_files_stay_readable),
        ("handles", handles_share_the_file_and_outlive_its_name),
        ("link", link_gives_a_second_name),
        ("rename", rename_moves_and_replaces),
        ("rename-self", rename_to_a_name_of_the_same_file_loses_nothing),
        ("remove", remove_takes_the_name_away),
        ("list", list_is_sorted_and_flat),
        ("mkdir", mkdir_needs_its_parent),
        ("sync", sync_works_on_files_and_directories),
        ("lock", lock_excludes_and_names_its_holder),
        ("lock_existing", lock_existing_excludes_and_writes_nothing),
        ("map", map_gives_the_whole_content),
    ];
    for (name, case) in cases {
        let dir = root.join(name);
        fs.mkdir(&dir).expect("the suite's directory is new");
        case(fs, &dir);
    }
    assert!(fs.free_space(root).is_ok_and(|free| free > 0) || cfg!(not(unix)), "there is space");
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e: Error| e.kind())
}

fn write(fs: &dyn Fs, path: &Path, content: &[u8]) -> Box<dyn File> {
    let file = fs.create_new(path).expect("a new name");
    file.write_all_at(content, 0).expect("space");
    file
}

fn read(fs: &dyn Fs, path: &Path) -> Vec<u8> {
    fs.read(path, 1 << 20).expect("a small file")
}

fn names(fs: &dyn Fs, dir: &Path) -> Vec<String> {
    fs.list(dir).expect("a directory").into_iter().map(|entry| entry.name).collect()
}

fn create_makes_an_empty_file_once(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("a");
    assert!(!fs.exists(&path).expect("a directory"));
    let file = fs.create_new(&path).expect("a new name");
    assert!(file.is_empty().expect("open"));
    assert!(fs.exists(&path).expect("a directory"));
    assert_eq!(kind(fs.create_new(&path)), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs.create_new(&dir.join("missing/a"))), Some(ErrorKind::NotFound));
    assert!(!fs.exists(&dir.join("missing/a")).expect("no error for a missing directory"));
    assert!(fs.create_new(&path.join("below a file")).is_err());
}

fn open_needs_an_existing_file(fs: &dyn Fs, dir: &Path) {
    for access in [Access::Read, Access::ReadWrite] {
        assert_eq!(kind(fs.open(&dir.join("missing"), access)), Some(ErrorKind::NotFound));
        assert!(fs.open(dir, access).is_err(), "a directory is no file");
    }
    drop(write(fs, &dir.join("a"), b"text"));
    let file = fs.open(&dir.join("a"), Access::ReadWrite).expect("it is there");
    file.write_all_at(b"xy", 1).expect("space");
    assert_eq!(read(fs, &dir.join("a")), b"txyt", "opening does not cut");
    assert_eq!(kind(fs.read(&dir.join("a"), 3)), Some(ErrorKind::InvalidData), "longer than allowed");
}

fn reads_and_writes_go_to_their_positions(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"0123456789");
    file.write_all_at(b"abc", 4).expect("space");
    file.write_all_at(b"", 1000).expect("nothing to write");
    assert_eq!(file.len().expect("open"), 10, "an empty write grows nothing");
    let mut buf = [0; 4];
    file.read_exact_at(&mut buf, 3).expect("inside");
    assert_eq!(&buf, b"3abc");
    assert_eq!(file.read_at(&mut buf, 8).expect("the last two bytes"), 2);
    assert_eq!(&buf[..2], b"89");
    assert_eq!(file.read_at(&mut buf, 10).expect("at the end"), 0);
    assert_eq!(file.read_at(&mut buf, 1 << 40).expect("far behind the end"), 0);
    assert_eq!(kind(file.read_exact_at(&mut buf, 8)), Some(ErrorKind::UnexpectedEof));
}

fn writing_behind_the_end_fills_with_zeros(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"ab");
    file.write_all_at(b"z", 600).expect("space");
    let mut expected = vec![0; 601];
    expected[..2].copy_from_slice(b"ab");
    expected[600] = b'z';
    assert_eq!(read(fs, &dir.join("a")), expected);
}

fn set_len_cuts_and_grows_with_zeros(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"abcdef");
    file.set_len(3).expect("shorter");
    assert_eq!(read(fs, &dir.join("a")), b"abc");
    file.set_len(5).expect("longer");
    assert_eq!(read(fs, &dir.join("a")), b"abc\0\0", "what was cut does not come back");
}

fn allocate_changes_nothing_visible(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"abc");
    file.allocate(0).expect("nothing");
    file.allocate(4096).expect("space");
    assert_eq!(read(fs, &dir.join("a")), b"abc");
}

fn handles_for_reading_do_not_write(fs: &dyn Fs, dir: &Path) {
    drop(write(fs, &dir.join("a"), b"abc"));
    let file = fs.open(&dir.join("a"), Access::Read).expect("it is there");
    assert!(file.write_all_at(b"x", 0).is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(read(fs, &dir.join("a")), b"abc");
}

fn published_files_stay_readable(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"abc");
    file.set_readonly().expect("our own file");
    assert_eq!(read(fs, &dir.join("a")), b"abc");
    file.sync_all().expect("attributes are synced too");
    fs.rename(&dir.join("a"), &dir.join("b")).expect("the directory is writable");
    fs.remove(&dir.join("b")).expect("the directory is writable");
}

fn handles_share_the_file_and_outlive_its_name(fs: &dyn Fs, dir: &Path) {
    let writer = write(fs, &dir.join("a"), b"one");
    let reader = fs.open(&dir.join("a"), Access::Read).expect("it is there");
    fs.remove(&dir.join("a")).expect("it is there");
    drop(write(fs, &dir.join("a"), b"another file"));
    writer.write_all_at(b"two", 0).expect("the file lives");
    let mut buf = [0; 3];
    reader.read_exact_at(&mut buf, 0).expect("the file lives");
    assert_eq!(&buf, b"two");
    assert_eq!(read(fs, &dir.join("a")), b"another file");
}

fn link_gives_a_second_name(fs: &dyn Fs, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    let file = write(fs, &a, b"one");
    fs.link(&a, &b).expect("a free name");
    file.write_all_at(b"two", 0).expect("space");
    assert_eq!(read(fs, &b), b"two", "one file under both names");
    fs.remove(&a).expect("it is there");
    assert_eq!(read(fs, &b), b"two");
    drop(write(fs, &a, b"new"));
    assert_eq!(kind(fs.link(&a, &b)), Some(ErrorKind::AlreadyExists));
    assert_eq!(read(fs, &b), b"two", "link never replaces");
    assert_eq!(kind(fs.link(&dir.join("missing"), &dir.join("c"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs.link(&a, &dir.join("missing/a"))), Some(ErrorKind::NotFound));
}

fn rename_moves_and_replaces(fs: &dyn Fs, dir: &Path) {
    let (a, b, sub) = (dir.join("a"), dir.join("b"), dir.join("sub"));
    drop(write(fs, &a, b"a"));
    fs.rename(&a, &b).expect("a free name");
    assert_eq!(names(fs, dir), ["b"]);
    drop(write(fs, &a, b"newer"));
    fs.rename(&a, &b).expect("replaces");
    assert_eq!(names(fs, dir), ["b"]);
    assert_eq!(read(fs, &b), b"newer");
    fs.mkdir(&sub).expect("a free name");
    fs.rename(&b, &sub.join("c")).expect("across directories");
    assert_eq!(read(fs, &sub.join("c")), b"newer");
    assert_eq!(names(fs, dir), ["sub"]);
    assert_eq!(kind(fs.rename(&a, &b)), Some(ErrorKind::NotFound));
    assert!(fs.rename(&sub.join("c"), &sub).is_err(), "a file does not replace a directory");
    assert_eq!(kind(fs.rename(&sub.join("c"), &dir.join("missing/c"))), Some(ErrorKind::NotFound));
    assert_eq!(read(fs, &sub.join("c")), b"newer", "a failed rename changes nothing");
}

fn rename_to_a_name_of_the_same_file_loses_nothing(fs: &dyn Fs, dir: &Path) {
    let (a, b) = (dir.join("a"), dir.join("b"));
    drop(write(fs, &a, b"a"));
    fs.rename(&a, &a).expect("nothing to do");
    assert_eq!(read(fs, &a), b"a");
    fs.link(&a, &b).expect("a free name");
    fs.rename(&a, &b).expect("POSIX: does nothing");
    assert_eq!(read(fs, &b), b"a");
}

fn remove_takes_the_name_away(fs: &dyn Fs, dir: &Path) {
    drop(write(fs, &dir.join("a"), b"a"));
    fs.remove(&dir.join("a")).expect("it is there");
    assert_eq!(kind(fs.remove(&dir.join("a"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs.open(&dir.join("a"), Access::Read)), Some(ErrorKind::NotFound));
    assert!(names(fs, dir).is_empty());
    fs.mkdir(&dir.join("sub")).expect("a free name");
    assert!(fs.remove(&dir.join("sub")).is_err(), "a directory is no file");
}

fn list_is_sorted_and_flat(fs: &dyn Fs, dir: &Path) {
    assert!(names(fs, dir).is_empty());
    fs.mkdir(&dir.join("b")).expect("a free name");
    for name in ["c", "a", "b/inner", "a-b", "B"] {
        drop(write(fs, &dir.join(name), name.as_bytes()));
    }
    let entry = |name: &str, is_dir| Entry { name: name.to_owned(), is_dir };
    let expected =
        [entry("B", false), entry("a", false), entry("a-b", false), entry("b", true), entry("c", false)];
    assert_eq!(fs.list(dir).expect("a directory"), expected);
    assert_eq!(names(fs, &dir.join("b")), ["inner"]);
    assert_eq!(kind(fs.list(&dir.join("missing"))), Some(ErrorKind::NotFound));
    assert!(fs.list(&dir.join("a")).is_err(), "a file has no entries");
}

fn mkdir_needs_its_parent(fs: &dyn Fs, dir: &Path) {
    fs.mkdir(&dir.join("a")).expect("a free name");
    assert_eq!(kind(fs.mkdir(&dir.join("a"))), Some(ErrorKind::AlreadyExists));
    assert_eq!(kind(fs.mkdir(&dir.join("missing/b"))), Some(ErrorKind::NotFound));
    assert_eq!(kind(fs.create_new(&dir.join("a"))), Some(ErrorKind::AlreadyExists));
    fs.mkdir(&dir.join("a/b")).expect("nested");
    drop(write(fs, &dir.join("a/b/c"), b"deep"));
    assert_eq!(read(fs, &dir.join("a/b/c")), b"deep");
}

fn sync_works_on_files_and_directories(fs: &dyn Fs, dir: &Path) {
    let file = write(fs, &dir.join("a"), b"a");
    file.sync_data().expect("synced");
    file.sync_all().expect("synced");
    fs.sync_dir(dir).expect("synced");
    let reader = fs.open(&dir.join("a"), Access::Read).expect("it is there");
    reader.sync_data().expect("a file can be synced through any handle");
    assert_eq!(kind(fs.sync_dir(&dir.join("missing"))), Some(ErrorKind::NotFound));
    assert!(fs.sync_dir(&dir.join("a")).is_err(), "a file is no directory");
}

fn lock_excludes_and_names_its_holder(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("LOCK");
    let guard = fs.lock(&path, "first").expect("free");
    let err = fs.lock(&path, "second").expect_err("held");
    assert_eq!(err.kind(), ErrorKind::WouldBlock);
    assert!(err.to_string() == "first" || cfg!(windows), "the holder is named, not {err}");
    drop(fs.lock(&dir.join("OTHER"), "second").expect("another lock is free"));
    drop(guard);
    assert_eq!(names(fs, dir), ["LOCK", "OTHER"], "the files stay");
    let guard = fs.lock(&path, "third").expect("free again");
    assert!(cfg!(windows) || read(fs, &path) == b"third");
    drop(guard);
    assert!(fs.lock(dir, "me").is_err(), "a directory is no lock file");
}

fn lock_existing_excludes_and_writes_nothing(fs: &dyn Fs, dir: &Path) {
    let path = dir.join("LOCK");
    assert_eq!(kind(fs.lock_existing(&path)), Some(ErrorKind::NotFound));
    assert_eq!(names(fs, dir), [""; 0], "nothing is made");
    let guard = fs.lock(&path, "first").expect("free");
    assert_eq!(kind(fs.lock_existing(&path)), Some(ErrorKind::WouldBlock));
    drop(guard);
    let guard = fs.lock_existing(&path).expect("free again");
    assert_eq!(kind(fs.lock(&path, "second")), Some(ErrorKind::WouldBlock));
    assert_eq!(kind(fs.lock_existing(&path)), Some(ErrorKind::WouldBlock));
    drop(guard);
    assert_eq!(read(fs, &path), b"first");
    let file = fs.open(&path, Access::ReadWrite).expect("it is there");
    file.set_readonly().expect("it is there");
    drop(file);
    drop(fs.lock_existing(&path).expect("it need not be writable"));
    assert!(fs.lock_existing(dir).is_err(), "a directory is no lock file");
}

fn map_gives_the_whole_content(fs: &dyn Fs, dir: &Path) {
    let content: Vec<u8> = (0..10_000u32).map(|i| (i % 251) as u8).collect();
    drop(write(fs, &dir.join("a"), &content));
    drop(write(fs, &dir.join("empty"), b""));
    let blob = fs.open(&dir.join("a"), Access::Read).expect("it is there").map().expect("readable");
    assert_eq!(&*blob, &content[..]);
    assert_eq!(blob.as_ptr() as usize % 64, 0, "aligned");
    fs.remove(&dir.join("a")).expect("it is there");
    assert_eq!(&*blob, &content[..], "outlives the name");
    assert!(
        fs.open(&dir.join("empty"), Access::Read).expect("it is there").map().expect("readable").is_empty()
    );
}
