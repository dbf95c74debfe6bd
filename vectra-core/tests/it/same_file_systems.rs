//! The file systems answer the same calls in the same way: what the simulation proves holds on the real one.

use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_core::io::{Access, Fs, MemFs, OsFs};

/// One call, on names that meet each other often.
#[derive(Debug, Clone)]
enum Step {
    Create(usize),
    Write(usize, u64, Vec<u8>),
    SetLen(usize, u64),
    Link(usize, usize),
    Rename(usize, usize),
    Remove(usize),
    Mkdir(usize),
    List(usize),
    Read(usize),
    Exists(usize),
    SyncDir(usize),
}

/// Files, directories, and files below directories that may be missing or be files.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "d/a", "d/e", "d/e/a", "a/x"];

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    prop_oneof![
        3 => name().prop_map(Step::Create),
        3 => (name(), 0..300_u64, prop::collection::vec(any::<u8>(), 0..200))
            .prop_map(|(name, at, bytes)| Step::Write(name, at, bytes)),
        1 => (name(), 0..400_u64).prop_map(|(name, len)| Step::SetLen(name, len)),
        2 => (name(), name()).prop_map(|(from, to)| Step::Link(from, to)),
        3 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => name().prop_map(Step::Remove),
        3 => name().prop_map(Step::Mkdir),
        1 => name().prop_map(Step::List),
        1 => name().prop_map(Step::Read),
        1 => name().prop_map(Step::Exists),
        1 => name().prop_map(Step::SyncDir),
    ]
}

/// What a call gave, as text; errors only as such, since kinds differ where several apply.
fn done<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.map_or_else(|_| "error".to_owned(), |value| format!("{value:?}"))
}

fn take(fs: &dyn Fs, root: &Path, step: &Step) -> String {
    let path = |name: &usize| -> PathBuf { root.join(NAMES[*name]) };
    match step {
        Step::Create(name) => done(fs.create_new(&path(name)).map(drop)),
        Step::Write(name, at, bytes) => {
            done(fs.open(&path(name), Access::ReadWrite).and_then(|file| file.write_all_at(bytes, *at)))
        }
        Step::SetLen(name, len) => {
            done(fs.open(&path(name), Access::ReadWrite).and_then(|file| file.set_len(*len)))
        }
        Step::Link(from, to) => done(fs.link(&path(from), &path(to))),
        // Directories cannot be renamed everywhere; a caller never does.
        Step::Rename(from, to) => match fs.open(&path(from), Access::Read) {
            Ok(_) => done(fs.rename(&path(from), &path(to))),
            Err(_) => "no file".to_owned(),
        },
        Step::Remove(name) => done(fs.remove(&path(name))),
        Step::Mkdir(name) => done(fs.mkdir(&path(name))),
        Step::List(name) => done(fs.list(&path(name))),
        Step::Read(name) => done(fs.read(&path(name), 1 << 20)),
        Step::Exists(name) => done(fs.exists(&path(name))),
        Step::SyncDir(name) => done(fs.sync_dir(&path(name))),
    }
}

/// Every name with the content of its file.
fn picture(fs: &dyn Fs, root: &Path) -> Vec<(String, String)> {
    NAMES.iter().map(|name| ((*name).to_owned(), done(fs.read(&root.join(name), 1 << 20)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_same_calls_have_the_same_results(steps in prop::collection::vec(step(), 1..40), seed in any::<u64>()) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let systems: [(Box<dyn Fs>, &Path); 4] = [
            (Box::new(OsFs::new()), dir.path()),
            (Box::new(MemFs::new()), Path::new("/")),
            (Box::new(SimFs::new(seed, CrashModel::WeakPosix)), Path::new("")),
            (Box::new(SimFs::new(seed, CrashModel::Ext4Ordered)), Path::new("/")),
        ];
        for (at, step) in steps.iter().enumerate() {
            let results: Vec<String> = systems.iter().map(|(fs, root)| take(&**fs, root, step)).collect();
            for (result, (fs, _)) in results.iter().zip(&systems) {
                prop_assert_eq!(result, &results[0], "{:?} after {:?} on {:?}", step, &steps[..at], fs);
            }
        }
        let expected = picture(&*systems[0].0, systems[0].1);
        for (fs, root) in &systems[1..] {
            prop_assert_eq!(&picture(&**fs, root), &expected, "{:?}", steps);
        }
    }
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

/// The kinds that callers decide by are the same everywhere.
#[test]
fn errors_that_matter_have_one_kind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let systems: [(Box<dyn Fs>, &Path); 3] = [
        (Box::new(OsFs::new()), dir.path()),
        (Box::new(MemFs::new()), Path::new("/")),
        (Box::new(SimFs::new(1, CrashModel::WeakPosix)), Path::new("/")),
    ];
    for (fs, root) in &systems {
        let at = |name: &str| root.join(name);
        fs.mkdir(&at("d")).expect("new");
        drop(fs.create_new(&at("a")).expect("new"));
        drop(fs.create_new(&at("b")).expect("new"));
        let taken = Some(ErrorKind::AlreadyExists);
        assert_eq!(kind(fs.create_new(&at("a"))), taken, "{fs:?}");
        assert_eq!(kind(fs.create_new(&at("d"))), taken, "{fs:?}");
        assert_eq!(kind(fs.mkdir(&at("a"))), taken, "{fs:?}");
        assert_eq!(kind(fs.mkdir(&at("d"))), taken, "{fs:?}");
        assert_eq!(kind(fs.link(&at("a"), &at("b"))), taken, "{fs:?}");
        assert_eq!(kind(fs.link(&at("a"), &at("d"))), taken, "{fs:?}");
        let gone = Some(ErrorKind::NotFound);
        assert_eq!(kind(fs.open(&at("x"), Access::Read)), gone, "{fs:?}");
        assert_eq!(kind(fs.remove(&at("x"))), gone, "{fs:?}");
        assert_eq!(kind(fs.rename(&at("x"), &at("a"))), gone, "{fs:?}");
        assert_eq!(kind(fs.link(&at("x"), &at("y"))), gone, "{fs:?}");
        assert_eq!(kind(fs.list(&at("x"))), gone, "{fs:?}");
        assert_eq!(kind(fs.sync_dir(&at("x"))), gone, "{fs:?}");
        assert_eq!(kind(fs.mkdir(&at("x/y"))), gone, "{fs:?}");
        assert_eq!(kind(fs.list(&at("a"))), Some(ErrorKind::NotADirectory), "{fs:?}");
        assert_eq!(kind(fs.sync_dir(&at("a"))), Some(ErrorKind::NotADirectory), "{fs:?}");
        assert!(fs.remove(&at("d")).is_err() && fs.rename(&at("a"), &at("d")).is_err(), "{fs:?}");
        assert_eq!(fs.list(root).expect("a directory").len(), 3, "{fs:?}: nothing changed");
    }
}

/// What lies below a file is not merely missing: creating the directories on the way cannot help.
#[test]
fn below_a_file_there_is_no_directory() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let systems: [(Box<dyn Fs>, &Path); 3] = [
        (Box::new(OsFs::new()), dir.path()),
        (Box::new(MemFs::new()), Path::new("/")),
        (Box::new(SimFs::new(1, CrashModel::WeakPosix)), Path::new("/")),
    ];
    for (fs, root) in &systems {
        drop(fs.create_new(&root.join("file")).expect("new"));
        let wrong = Some(ErrorKind::NotADirectory);
        for below in ["file/a", "file/a/b"] {
            let path = root.join(below);
            assert_eq!(kind(fs.exists(&path)), wrong, "{below} {fs:?}");
            assert_eq!(kind(fs.open(&path, Access::Read)), wrong, "{below} {fs:?}");
            assert_eq!(kind(fs.create_new(&path)), wrong, "{below} {fs:?}");
            assert_eq!(kind(fs.list(&path)), wrong, "{below} {fs:?}");
        }
        assert!(!fs.exists(&root.join("gone/a")).expect("nothing there yet"), "{fs:?}");
    }
}
