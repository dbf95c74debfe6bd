//! What every store does, whatever it is made of.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::SeededRng;
use vectra_core::io::{Fs, MemFs, OsFs};
use vectra_tier::{LocalStore, MemStore, Mode, OpenError, PartRef, PartStore, Role, SectionKind, StoreError};

use crate::material::pattern;

const KIND: SectionKind = SectionKind(1);

/// Runs every rule on a fresh store each.
fn conforms(fresh: &dyn Fn() -> Box<dyn PartStore>) {
    published_parts_are_read(&*fresh());
    unpublished_parts_are_nowhere(&*fresh());
    publishing_is_create_only(&*fresh());
    handles_are_shared_and_counted(&*fresh());
    parts_in_use_stay(&*fresh());
    left_overs_are_cleared(&*fresh());
    references_are_believed_to_the_bit(&*fresh());
    an_empty_part_is_a_part(&*fresh());
    many_threads_share_a_store(&*fresh());
}

fn write(store: &dyn PartStore, seed: u64) -> PartRef {
    let mut writer = store.writer(Role::Index, 3, 1).expect("room");
    writer.section(KIND, 0, &pattern(seed, 70_000)).expect("room");
    let id = writer.id();
    let part = writer.finish().expect("room");
    assert_eq!((part.id, part.role), (id, Role::Index));
    part
}

fn publish(store: &dyn PartStore, seed: u64) -> PartRef {
    let part = write(store, seed);
    store.publish(&part).expect("fresh");
    part
}

fn listed(store: &dyn PartStore) -> Vec<(uuid::Uuid, u64)> {
    let listing = store.list().expect("readable");
    assert!(listing.ignored.is_empty(), "{listing:?}");
    assert!(listing.parts.is_sorted());
    listing.parts
}

fn published_parts_are_read(store: &dyn PartStore) {
    let parts = [1, 2, 3].map(|seed| publish(store, seed));
    for (seed, part) in (1..).zip(&parts) {
        let handle = store.open(part).expect("published");
        let section = handle.section(KIND, 0).expect("written");
        assert!(**section.verified().expect("undamaged") == pattern(seed, 70_000));
        assert_eq!((handle.rows(), handle.reference()), (3, part));
        handle.verify().expect("undamaged");
    }
    let mut expected = parts.map(|part| (part.id, part.length));
    expected.sort_unstable();
    assert_eq!(listed(store), expected);
}

fn unpublished_parts_are_nowhere(store: &dyn PartStore) {
    let part = write(store, 1);
    let refused = store.open(&part).expect_err("not published");
    assert!(matches!(refused, OpenError::Io { source, .. } if source.kind() == ErrorKind::NotFound));
    assert!(listed(store).is_empty() && !store.in_use(part.id));
    assert!(matches!(store.remove(part.id), Err(StoreError::Absent { id }) if id == part.id));
    store.publish(&part).expect("remove leaves what is not published");
    assert!(store.open(&part).is_ok());
}

fn publishing_is_create_only(store: &dyn PartStore) {
    let part = publish(store, 1);
    let again = store.publish(&part).expect_err("once only");
    assert!(matches!(again, StoreError::Published { .. } | StoreError::Absent { .. }), "{again}");
    let never = PartRef { id: uuid::Uuid::from_u128(9), ..part };
    assert!(matches!(store.publish(&never), Err(StoreError::Absent { .. })));
    assert_eq!(listed(store).len(), 1);
    store.open(&part).expect("published").verify().expect("undamaged");
}

fn handles_are_shared_and_counted(store: &dyn PartStore) {
    let part = publish(store, 1);
    assert!(!store.in_use(part.id));
    let (a, b) = (store.open(&part).expect("published"), store.open(&part).expect("published"));
    assert!(Arc::ptr_eq(&a, &b), "one part is opened once");
    assert!(store.in_use(part.id));
    drop(a);
    assert!(store.in_use(part.id));
    drop(b);
    assert!(!store.in_use(part.id));
    store.open(&part).expect("it can be opened again");
}

fn parts_in_use_stay(store: &dyn PartStore) {
    let (part, other) = (publish(store, 1), publish(store, 2));
    let handle = store.open(&part).expect("published");
    assert!(matches!(store.remove(part.id), Err(StoreError::InUse { id }) if id == part.id));
    store.remove(other.id).expect("nobody uses it");
    assert!(**handle.section(KIND, 0).expect("written").verified().expect("undamaged") == pattern(1, 70_000));
    drop(handle);
    store.remove(part.id).expect("nobody uses it any more");
    assert!(listed(store).is_empty());
    assert!(matches!(store.remove(part.id), Err(StoreError::Absent { .. })));
    assert!(store.open(&part).is_err());
}

fn left_overs_are_cleared(store: &dyn PartStore) {
    let kept = publish(store, 1);
    let mut dropped = store.writer(Role::Rows, 0, 0).expect("room");
    dropped.section(KIND, 0, &[1; 100]).expect("room");
    drop(dropped);
    assert_eq!(store.clear_tmp().expect("room"), 0, "a dropped writer cleans up after itself");
    let discarded = write(store, 2);
    store.discard(discarded.id).expect("room");
    store.discard(discarded.id).expect("gone already");
    store.discard(kept.id).expect("published parts are not touched");
    assert_eq!(store.clear_tmp().expect("room"), 0);
    let left = [write(store, 3), write(store, 4)];
    assert_eq!(store.clear_tmp().expect("room"), 2);
    assert!(left.iter().all(|part| matches!(store.publish(part), Err(StoreError::Absent { .. }))));
    assert_eq!(listed(store), [(kept.id, kept.length)]);
    store.open(&kept).expect("published").verify().expect("undamaged");
}

fn references_are_believed_to_the_bit(store: &dyn PartStore) {
    let part = publish(store, 1);
    let wrong = [
        PartRef { length: part.length + 1, ..part },
        PartRef { digest: vectra_core::codec::digest(b"other"), ..part },
        PartRef { role: Role::Meta, ..part },
    ];
    let handle = store.open(&part).expect("published");
    for wrong in &wrong {
        assert!(matches!(store.open(wrong), Err(OpenError::Corrupt(_))), "though the right one is open");
    }
    assert!(Arc::ptr_eq(&handle, &store.open(&part).expect("published")));
    drop(handle);
    assert!(wrong.iter().all(|wrong| matches!(store.open(wrong), Err(OpenError::Corrupt(_)))));
}

fn an_empty_part_is_a_part(store: &dyn PartStore) {
    let part = store.writer(Role::Deletes, 0, 0).expect("room").finish().expect("room");
    assert_eq!(part.length, 4096 + 64);
    store.publish(&part).expect("fresh");
    let handle = store.open(&part).expect("published");
    assert!(handle.section(KIND, 0).is_err());
    handle.verify().expect("undamaged");
}

fn many_threads_share_a_store(store: &dyn PartStore) {
    let shared = publish(store, 50);
    let first = store.open(&shared).expect("published");
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (first, shared) = (&first, &shared);
            scope.spawn(move || {
                let own = publish(store, seed);
                assert!(Arc::ptr_eq(first, &store.open(shared).expect("published")));
                let handle = store.open(&own).expect("published");
                let section = handle.section(KIND, 0).expect("written");
                assert!(**section.verified().expect("undamaged") == pattern(seed, 70_000));
                drop(handle);
                store.remove(own.id).expect("nobody else knows it");
            });
        }
    });
    assert_eq!(listed(store), [(shared.id, shared.length)]);
}

fn local(fs: Arc<dyn Fs>, root: &Path, mode: Mode) -> Box<dyn PartStore> {
    let store = LocalStore::new(fs, root, Arc::new(SeededRng::new(11)), mode);
    store.prepare().expect("the root is there");
    store.prepare().expect("preparing twice is no error");
    Box::new(store)
}

#[test]
fn memory_conforms() {
    conforms(&|| Box::new(MemStore::new(Arc::new(SeededRng::new(11)))));
}

#[test]
fn directories_in_memory_conform() {
    for mode in [Mode::Map, Mode::Read, Mode::Lean] {
        conforms(&|| local(Arc::new(MemFs::new()), Path::new("/"), mode));
    }
}

#[test]
fn real_directories_conform() {
    for mode in [Mode::Map, Mode::Read, Mode::Lean] {
        let dir = tempfile::tempdir().expect("a directory for tests");
        let next = std::cell::Cell::new(0);
        conforms(&|| {
            next.set(next.get() + 1);
            let root = dir.path().join(next.get().to_string());
            let fs = OsFs::new();
            fs.mkdir(&root).expect("a fresh name");
            local(Arc::new(fs), &root, mode)
        });
    }
}

#[test]
fn names_that_no_part_has_are_reported_and_left() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let store = LocalStore::new(Arc::clone(&fs), Path::new("/"), Arc::new(SeededRng::new(1)), Mode::Map);
    store.prepare().expect("memory does not fail");
    let part = publish(&store, 1);
    let odd = ["README", "x.part", "67E55044-10B1-426F-9247-BB680E5FE0C8.part", "a.part.tmp"];
    for name in odd {
        fs.create_new(&Path::new("/seg").join(name)).expect("free");
    }
    let dir = format!("{}.part", uuid::Uuid::from_u128(7));
    fs.mkdir(&Path::new("/seg").join(&dir)).expect("free");
    let listing = store.list().expect("odd names are no error");
    assert_eq!(listing.parts, [(part.id, part.length)]);
    let mut expected = [&odd[..], &[&*dir]].concat();
    expected.sort_unstable();
    assert_eq!(listing.ignored, expected);
    store.clear_tmp().expect("memory does not fail");
    assert!(expected.iter().all(|name| fs.exists(&Path::new("/seg").join(name)).is_ok_and(|there| there)));
}
