//! The operating system's files where they differ from those of the other file systems.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, Fs, MemFs, OsFs};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn os() -> Box<dyn Fs> {
    Box::new(OsFs::new())
}

fn write(fs: &dyn Fs, path: &Path, content: &[u8]) {
    fs.create_new(path).expect("a new name").write_all_at(content, 0).expect("space");
}

/// `a` and `./a` are one file, so the directory of `a` is the current one. Cargo runs tests beside their manifest.
#[test]
fn the_empty_directory_is_the_current_one() {
    let fs = os();
    let manifest = Path::new("Cargo.toml");
    assert!(fs.exists(manifest).expect("a listing"));
    assert!(!fs.exists(Path::new("no such file")).expect("a listing"));
    let parent = manifest.parent().expect("the empty path");
    assert_eq!(fs.list(parent).expect("a directory"), fs.list(Path::new(".")).expect("a directory"));
    fs.sync_dir(parent).expect("a directory");
    assert!(cfg!(not(unix)) || fs.free_space(parent).is_ok());
    let memory: Box<dyn Fs> = Box::new(MemFs::new());
    write(&*memory, Path::new("a"), b"");
    assert!(memory.exists(Path::new("a")).expect("a listing"), "as in memory");
}

#[test]
fn whether_something_exists_needs_the_path_of_a_file() {
    let (fs, dir) = (os(), dir());
    for path in ["/", "..", ""] {
        let found = fs.exists(Path::new(path)).map_err(|e| e.kind());
        assert_eq!(found, Err(ErrorKind::InvalidInput), "{path:?}");
    }
    let file = dir.path().join("file");
    write(&*fs, &file, b"");
    assert!(fs.exists(&file).expect("a listing"));
    assert!(fs.exists(&file.join("below")).is_err(), "a file is no directory, and that is worth an error");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_text_are_left_out_of_listings_alone() {
    use std::os::unix::ffi::OsStrExt;
    let (fs, dir) = (os(), dir());
    let odd: PathBuf = dir.path().join(std::ffi::OsStr::from_bytes(b"odd-\xff"));
    write(&*fs, &dir.path().join("plain"), b"");
    write(&*fs, &odd, b"content");
    let names: Vec<String> = fs.list(dir.path()).expect("a directory").into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["plain"]);
    assert_eq!(fs.read(&odd, 100).expect("it opens all the same"), b"content");
    fs.remove(&odd).expect("and goes");
    assert!(fs.exists(&odd).is_err(), "what cannot be listed cannot be answered for");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_to_files_but_directories_on_the_way_are() {
    use std::os::unix::fs::symlink;
    let (fs, dir) = (os(), dir());
    let real = dir.path().join("real");
    fs.mkdir(&real).expect("new");
    write(&*fs, &real.join("file"), b"content");
    let (to_dir, to_file, broken) =
        (dir.path().join("to-dir"), real.join("to-file"), dir.path().join("broken"));
    symlink(&real, &to_dir).expect("a link");
    symlink(real.join("file"), &to_file).expect("a link");
    symlink(dir.path().join("gone"), &broken).expect("a link");
    assert_eq!(fs.read(&to_dir.join("file"), 100).expect("through the directory"), b"content");
    for path in [&to_file, &broken] {
        for access in [Access::Read, Access::ReadWrite] {
            assert!(fs.open(path, access).is_err(), "{}", path.display());
        }
        assert!(fs.create_new(path).is_err(), "{} is taken", path.display());
        assert!(fs.lock(path, "me").is_err(), "{}", path.display());
    }
    assert!(!fs.exists(&dir.path().join("gone")).expect("a listing"), "nothing was made behind the link");
    let entries = fs.list(dir.path()).expect("a directory");
    let links: Vec<_> = entries.iter().filter(|e| e.name != "real").map(|e| (&*e.name, e.is_dir)).collect();
    assert_eq!(links, [("broken", false), ("to-dir", false)], "a link to a directory is none");
    fs.remove(&to_file).expect("the link");
    assert_eq!(fs.read(&real.join("file"), 100).expect("not its target"), b"content");
}

#[cfg(unix)]
#[test]
fn a_published_file_is_read_only_for_whoever_opens_it_later() {
    let (fs, dir) = (os(), dir());
    let path = dir.path().join("published");
    let file = fs.create_new(&path).expect("a new name");
    file.write_all_at(b"done", 0).expect("space");
    file.set_readonly().expect("our own");
    file.write_all_at(b"DONE", 0).expect("a handle from before keeps its right");
    assert_eq!(fs.read(&path, 4).expect("readable"), b"DONE");
    let renamed = dir.path().join("renamed");
    fs.rename(&path, &renamed).expect("names are the directory's business");
    fs.remove(&renamed).expect("removal too");
}

#[test]
fn a_lock_says_who_holds_it_whatever_he_wrote() {
    let (fs, dir) = (os(), dir());
    let path = dir.path().join("LOCK");
    let long = "x".repeat(10_000);
    for (holder, said) in [("pid 1", "pid 1"), ("", "held by an unknown process"), (&*long, &long[..4096])] {
        let guard = fs.lock(&path, holder).expect("free");
        let refused = fs.lock(&path, "another").expect_err("held");
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        assert!(cfg!(not(unix)) || refused.to_string() == said, "{refused}");
        assert_eq!(fs.read(&path, 1 << 20).expect("a file"), holder.as_bytes(), "the refused wrote nothing");
        drop(guard);
    }
    let guard = fs.lock(&path, "last").expect("free again");
    drop(guard);
    assert_eq!(fs.read(&path, 100).expect("it stays"), b"last", "the text stays when the lock ends");
}

#[cfg(target_os = "linux")]
#[test]
fn a_lock_goes_with_the_file_not_with_its_name() {
    let (fs, dir) = (os(), dir());
    let (path, moved) = (dir.path().join("LOCK"), dir.path().join("moved"));
    let guard = fs.lock(&path, "first").expect("free");
    fs.rename(&path, &moved).expect("there");
    assert!(fs.lock(&moved, "second").is_err(), "the file is locked under its new name");
    let other = fs.lock(&path, "second").expect("the old name is a new file");
    drop((guard, other));
    assert!(fs.lock(&moved, "third").is_ok());
}

#[test]
fn large_offsets_and_lengths_are_errors_or_sparse_files() {
    let (fs, dir) = (os(), dir());
    let file = fs.create_new(&dir.path().join("sparse")).expect("a new name");
    assert!(file.write_all_at(b"x", u64::MAX).is_err());
    assert!(file.set_len(u64::MAX).is_err());
    assert_eq!(file.len().expect("open"), 0);
    file.set_len(1 << 30).expect("a hole");
    assert_eq!(file.len().expect("open"), 1 << 30);
    let mut tail = [1; 8];
    file.read_exact_at(&mut tail, (1 << 30) - 8).expect("inside");
    assert_eq!(tail, [0; 8]);
    assert_eq!(file.read_at(&mut tail, 1 << 30).expect("at the end"), 0);
    let cut = file.read_exact_at(&mut tail, (1 << 30) - 4).map_err(|e| e.kind());
    assert_eq!(cut, Err(ErrorKind::UnexpectedEof));
    assert_eq!(
        fs.read(&dir.path().join("sparse"), 1 << 20).map_err(|e| e.kind()),
        Err(ErrorKind::InvalidData)
    );
    file.read_exact_at(&mut [], u64::MAX >> 2).expect("nothing is read");
}

#[test]
fn threads_write_and_read_one_file_by_position() {
    let (fs, dir) = (os(), dir());
    let file = fs.create_new(&dir.path().join("shared")).expect("a new name");
    std::thread::scope(|scope| {
        for part in 0..4_u8 {
            let file = &file;
            scope.spawn(move || {
                for round in 0..50_u64 {
                    let at = (round * 4 + u64::from(part)) * 100;
                    file.write_all_at(&[part + 1; 100], at).expect("space");
                    let mut back = [0; 100];
                    file.read_exact_at(&mut back, at).expect("just written");
                    assert_eq!(back, [part + 1; 100]);
                }
            });
        }
    });
    let all = fs.read(&dir.path().join("shared"), 1 << 20).expect("a file");
    assert_eq!(all.len(), 50 * 4 * 100);
    assert!(all.chunks(100).enumerate().all(|(at, part)| part == [(at % 4) as u8 + 1; 100]));
}
