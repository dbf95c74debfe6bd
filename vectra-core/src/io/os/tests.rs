use std::path::Path;

use super::*;
use crate::testing::fs::conformance;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn conforms() {
    let dir = dir();
    conformance(&OsFs::new(), dir.path());
}

#[cfg(unix)]
#[test]
fn new_files_and_directories_are_private_and_published_files_read_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let (file_path, dir_path) = (dir.path().join("file"), dir.path().join("sub"));
    let file = OsFs.create_new(&file_path).expect("a new file");
    assert_eq!(mode(&file_path), 0o600);
    OsFs.mkdir(&dir_path).expect("a new directory");
    assert_eq!(mode(&dir_path), 0o700);
    file.set_readonly().expect("our own file");
    assert_eq!(mode(&file_path), 0o400);
}

#[cfg(unix)]
#[test]
fn only_regular_files_open() {
    let dir = dir();
    let path = dir.path().join("dir");
    OsFs.mkdir(&path).expect("a new directory");
    assert!(OsFs.open(&path, Access::Read).is_err(), "a directory");

    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    drop(OsFs.create_new(&target).expect("a new file"));
    std::os::unix::fs::symlink(&target, &link).expect("a symbolic link");
    assert!(OsFs.open(&link, Access::Read).is_err(), "a symbolic link");
    assert!(OsFs.lock(&link, "me").is_err(), "a symbolic link is not a lock file either");
    let err = OsFs.open(Path::new("/dev/null"), Access::Read).expect_err("a device");
    assert_eq!(err.kind(), ErrorKind::InvalidInput);
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_refused_and_does_not_block() {
    let dir = dir();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    assert!(OsFs.open(&path, Access::Read).is_err());
}

#[test]
fn an_empty_file_maps_to_an_empty_blob() {
    let dir = dir();
    let file = OsFs.create_new(&dir.path().join("empty")).expect("a new file");
    assert!(file.map().expect("readable").is_empty());
}

#[cfg(all(feature = "mmap", unix))]
#[test]
fn a_file_is_mapped_and_outlives_its_name() {
    let dir = dir();
    let path = dir.path().join("file");
    let file = OsFs.create_new(&path).expect("a new file");
    file.write_all_at(b"mapped bytes", 0).expect("space");
    let blob = file.map().expect("mappable");
    assert!(!blob.is_owned());
    drop(file);
    OsFs.remove(&path).expect("it is there");
    assert_eq!(&*blob, b"mapped bytes");
    assert!(blob.to_owned_memory().is_owned());
}

#[test]
fn a_lock_shortens_the_text_of_a_longer_earlier_holder() {
    let dir = dir();
    let path = dir.path().join("LOCK");
    drop(OsFs.lock(&path, "a rather long holder").expect("free"));
    let held = OsFs.lock(&path, "short").expect("free again");
    let err = OsFs.lock(&path, "third").expect_err("held");
    assert_eq!(err.kind(), ErrorKind::WouldBlock);
    if cfg!(unix) {
        assert_eq!(err.to_string(), "short");
    }
    drop(held);
}
