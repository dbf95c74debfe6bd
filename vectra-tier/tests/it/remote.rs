//! Parts in an object store: what is acknowledged is there, whatever the store answered on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt};
use vectra_core::env::SeededRng;
use vectra_core::io::{Fs, MemFs, OsFs};
use vectra_tier::testing::{FaultyStore, Request, Trouble};
use vectra_tier::{
    LocalStore, Mode, PartRef, PartStore, Patience, RemoteError, RemoteStore, Role, SectionKind,
};

use crate::material::pattern;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

pub(crate) const PATIENCE: Patience = Patience {
    attempts: 3,
    pause_first: Duration::ZERO,
    pause_max: Duration::ZERO,
    request: Duration::from_millis(100),
    read_bytes: 50_000,
};

/// A folder with a store for parts of its own and one for parts from elsewhere.
pub(crate) struct Folder {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) home: LocalStore,
    pub(crate) cache: LocalStore,
}

pub(crate) fn folder() -> Outcome<Folder> {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let rng = || Arc::new(SeededRng::new(11));
    let home = LocalStore::new(Arc::clone(&fs), Path::new("/"), rng(), Mode::Read);
    let cache = LocalStore::in_folder(Arc::clone(&fs), Path::new("/"), "cache", rng(), Mode::Read);
    home.prepare()?;
    cache.prepare()?;
    Ok(Folder { fs, home, cache })
}

impl Folder {
    pub(crate) fn part(&self, seed: u64) -> Outcome<PartRef> {
        let mut writer = self.home.writer(Role::Rows, 1, 1)?;
        writer.section(SectionKind(1), 0, &pattern(seed, 120_000))?;
        writer.section(SectionKind(2), 0, &pattern(seed, 9))?;
        let part = writer.finish()?;
        self.home.publish(&part)?;
        Ok(part)
    }

    pub(crate) fn file(&self, part: &PartRef) -> Outcome<Vec<u8>> {
        Ok(self.fs.read(&self.home.path(part.id), u64::MAX)?)
    }

    /// Nothing half-done is left.
    pub(crate) fn assert_tidy(&self) -> Outcome {
        assert!(self.fs.list(Path::new("/tmp"))?.is_empty(), "something is left in tmp");
        Ok(())
    }
}

pub(crate) fn remote(objects: Arc<dyn ObjectStore>) -> Outcome<RemoteStore> {
    Ok(RemoteStore::new(objects, "indexes/a", Arc::new(SeededRng::new(5)), PATIENCE)?)
}

/// What lies under a part's name, past all trouble.
pub(crate) fn stored(store: &FaultyStore, name: &str) -> Outcome<Option<Vec<u8>>> {
    let (objects, location) = (store.sound(), Location::parse(name)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    match runtime.block_on(async { objects.get(&location).await?.bytes().await }) {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn place(store: &FaultyStore, name: &str, bytes: Vec<u8>) -> Outcome {
    let (objects, location) = (store.sound(), Location::parse(name)?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async { objects.put(&location, bytes.into()).await })?;
    Ok(())
}

#[test]
fn parts_go_and_come_back_byte_by_byte() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let parts = [folder.part(1)?, folder.part(2)?];
    for part in &parts {
        remote.upload(&*folder.home.open(part)?)?;
        remote.verify(part)?;
        assert_eq!(stored(&store, &remote.object_name(part.id))?, Some(folder.file(part)?));
        // Once more is fine.
        remote.upload(&*folder.home.open(part)?)?;
    }
    let mut expected = parts.map(|part| (part.id, part.length)).to_vec();
    expected.sort_unstable();
    assert_eq!(remote.list()?.parts, expected);
    for part in &parts {
        remote.fetch(part, &folder.cache)?;
        assert_eq!(folder.fs.read(&folder.cache.path(part.id), u64::MAX)?, folder.file(part)?);
        let section = folder.cache.open(part)?.section(SectionKind(2), 0)?;
        assert_eq!(section.verified()?.len(), 9);
    }
    folder.assert_tidy()?;
    remote.delete(parts[0].id)?;
    remote.delete(parts[0].id)?;
    assert_eq!(remote.list()?.parts, [(parts[1].id, parts[1].length)]);
    assert!(matches!(remote.verify(&parts[0]), Err(RemoteError::Absent { .. })));
    Ok(())
}

#[test]
fn a_cached_part_is_not_asked_for_again_unless_it_is_damaged() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let part = folder.part(1)?;
    remote.upload(&*folder.home.open(&part)?)?;
    remote.fetch(&part, &folder.cache)?;
    let asked = store.trace().len();
    remote.fetch(&part, &folder.cache)?;
    assert_eq!(store.trace().len(), asked);

    let path = folder.cache.path(part.id);
    let mut bytes = folder.file(&part)?;
    bytes[9000] ^= 1;
    folder.fs.remove(&path)?;
    folder.fs.create_new(&path)?.write_all_at(&bytes, 0)?;
    store.fail_from(0, Trouble::Busy);
    assert!(matches!(remote.fetch(&part, &folder.cache), Err(RemoteError::Unavailable { .. })));
    assert!(folder.fs.exists(&path)?, "a damaged copy is kept until there is a better one");
    store.recover();
    remote.fetch(&part, &folder.cache)?;
    folder.cache.open(&part)?.verify()?;
    Ok(())
}

#[test]
fn several_indexes_share_a_store_and_strange_names_are_left_alone() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let other = remote.under("b");
    let (mine, theirs) = (folder.part(1)?, folder.part(2)?);
    remote.upload(&*folder.home.open(&mine)?)?;
    other.upload(&*folder.home.open(&theirs)?)?;
    place(&store, "indexes/a/readme.txt", b"by hand".to_vec())?;
    let listing = remote.list()?;
    assert_eq!(
        (listing.parts, listing.ignored),
        (vec![(mine.id, mine.length)], vec!["readme.txt".to_owned()])
    );
    assert_eq!(other.list()?.parts, [(theirs.id, theirs.length)]);
    Ok(())
}

/// A put that was told "exists already" or 500 may be one's own that landed: then cleaning up after it, or giving up,
/// loses data that a manifest is about to name. Or nothing landed at all: then taking it for stored does.
#[test]
fn regress_lance_8123_ambiguous_put() -> Outcome {
    for trouble in [
        Trouble::AnswerLost,
        Trouble::Silence,
        Trouble::OwnConflict,
        Trouble::Conflict,
        Trouble::Busy,
        Trouble::Deaf,
    ] {
        let (folder, store) = (folder()?, FaultyStore::new());
        let remote = remote(Arc::new(store.clone()))?;
        let part = folder.part(3)?;
        store.fail(0, trouble);
        remote.upload(&*folder.home.open(&part)?).map_err(|e| format!("{trouble:?}: {e}"))?;
        assert_eq!(stored(&store, &remote.object_name(part.id))?, Some(folder.file(&part)?), "{trouble:?}");
        let trace = store.trace();
        assert_eq!(trace[0].0, Request::Put);
        let puts = trace.iter().filter(|(request, _)| *request == Request::Put).count();
        let landed = matches!(trouble, Trouble::AnswerLost | Trouble::Silence | Trouble::OwnConflict);
        assert_eq!(puts, if landed { 1 } else { 2 }, "{trouble:?}: sent again only where nothing is there");
        assert!(trace.iter().all(|(request, _)| *request != Request::Delete));
    }
    Ok(())
}

#[test]
fn an_object_of_somebody_else_is_an_error_and_stays() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let part = folder.part(4)?;
    let name = remote.object_name(part.id);
    let mut same_length = folder.file(&part)?;
    same_length[5000] ^= 0x80;
    let other_part = folder.file(&folder.part(5)?)?;
    for bytes in [b"short".to_vec(), same_length, other_part, Vec::new()] {
        place(&store, &name, bytes.clone())?;
        let refused = remote.upload(&*folder.home.open(&part)?);
        let Err(RemoteError::Different { object, damage }) = refused else { return Err("accepted".into()) };
        assert_eq!(object, name);
        assert!(!damage.damages.is_empty());
        assert_eq!(stored(&store, &name)?, Some(bytes), "it is not ours to change");
        assert!(matches!(
            remote.fetch(&part, &folder.cache),
            Err(RemoteError::Different { .. } | RemoteError::Unavailable { .. })
        ));
        assert!(folder.cache.list()?.parts.is_empty());
        folder.assert_tidy()?;
    }
    assert!(store.trace().iter().all(|(request, _)| *request != Request::Delete));
    Ok(())
}

#[test]
fn a_part_damaged_here_is_not_sent() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let part = folder.part(6)?;
    let handle = folder.home.open(&part)?;
    let path = folder.home.path(part.id);
    let mut bytes = folder.file(&part)?;
    bytes[4100] ^= 2;
    folder.fs.remove(&path)?;
    folder.fs.create_new(&path)?.write_all_at(&bytes, 0)?;
    drop(handle);
    let error = remote.upload(&*folder.home.open(&part)?).expect_err("damaged");
    assert!(matches!(error, RemoteError::Local { action: "verify", .. }), "{error}");
    assert!(store.trace().is_empty());
    Ok(())
}

#[test]
fn a_store_that_is_away_is_an_error_that_says_so() -> Outcome {
    let (folder, store) = (folder()?, FaultyStore::new());
    let remote = remote(Arc::new(store.clone()))?;
    let part = folder.part(7)?;
    store.fail_from(0, Trouble::Busy);
    let handle = folder.home.open(&part)?;
    for outcome in [
        remote.upload(&handle),
        remote.verify(&part),
        remote.fetch(&part, &folder.cache),
        remote.delete(part.id),
        remote.list().map(drop),
    ] {
        let error = outcome.expect_err("the store is away");
        assert!(matches!(error, RemoteError::Unavailable { attempts: 3, .. }), "{error}");
        assert!(error.to_string().contains("try again when it is reachable"));
    }
    store.fail_from(0, Trouble::Forbidden);
    let before = store.trace().len();
    let error = remote.delete(part.id).expect_err("not allowed");
    assert!(
        matches!(error, RemoteError::Refused { .. }) && error.to_string().contains("permissions"),
        "{error}"
    );
    assert_eq!(store.trace().len(), before + 1, "asking again would not help");
    Ok(())
}

#[test]
fn a_directory_is_a_store_whose_links_lead_nowhere() -> Outcome {
    let (folder, dir) = (folder()?, tempfile::tempdir()?);
    let url = format!("file://{}", dir.path().display());
    let remote = RemoteStore::from_url(&url, Arc::new(SeededRng::new(1)), Patience::default())?.under("a");
    let part = folder.part(8)?;
    remote.upload(&*folder.home.open(&part)?)?;
    remote.fetch(&part, &folder.cache)?;
    folder.cache.open(&part)?.verify()?;
    assert_eq!(remote.list()?.parts, [(part.id, part.length)]);
    remote.delete(part.id)?;
    assert!(remote.list()?.parts.is_empty());
    #[cfg(unix)]
    {
        let outside = tempfile::tempdir()?;
        std::os::unix::fs::symlink(outside.path(), dir.path().join("b"))?;
        let led_out = remote.under("c");
        let through = RemoteStore::from_url(&url, Arc::new(SeededRng::new(1)), PATIENCE)?.under("b");
        let refused = through.upload(&*folder.home.open(&part)?).expect_err("a link leads out");
        assert!(matches!(refused, RemoteError::Refused { .. }), "{refused}");
        assert!(OsFs::new().list(outside.path())?.is_empty(), "nothing went through it");
        assert!(matches!(through.list(), Err(RemoteError::Refused { .. })));
        // A link in the place of an object.
        led_out.upload(&*folder.home.open(&part)?)?;
        let object = dir.path().join(led_out.object_name(part.id));
        let elsewhere = outside.path().join("there");
        OsFs::new().rename(&object, &elsewhere)?;
        std::os::unix::fs::symlink(&elsewhere, &object)?;
        assert!(matches!(led_out.verify(&part), Err(RemoteError::Refused { .. })));
    }
    Ok(())
}

#[test]
fn memory_urls_work_and_share_between_clones() -> Outcome {
    let folder = folder()?;
    let remote = RemoteStore::from_url("memory:///shop", Arc::new(SeededRng::new(1)), PATIENCE)?;
    let part = folder.part(9)?;
    remote.upload(&*folder.home.open(&part)?)?;
    assert!(remote.object_name(part.id).starts_with("shop/"));
    remote.clone().fetch(&part, &folder.cache)?;
    Ok(())
}
