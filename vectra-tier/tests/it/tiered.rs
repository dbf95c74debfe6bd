//! A folder whose parts may rest elsewhere: second names, copies that go missing or bad, and no store at all.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::SeededRng;
use vectra_core::io::{Fs, MemFs};
use vectra_tier::testing::{FaultyStore, Trouble};
use vectra_tier::{Mode, OpenError, PartRef, PartStore, Role, SectionKind, StoreError, TieredStore};

use crate::material::pattern;
use crate::remote::{Outcome, place, remote};

fn tiered(fs: &Arc<dyn Fs>, store: Option<&FaultyStore>) -> Outcome<TieredStore> {
    let remote = store.map(|store| remote(Arc::new(store.clone()))).transpose()?;
    let rng = Arc::new(SeededRng::new(2));
    Ok(TieredStore::new(Arc::clone(fs), Path::new("/"), rng, Mode::Read, remote))
}

fn folder() -> Outcome<Arc<dyn Fs>> {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    fs.mkdir(Path::new("/seg"))?;
    fs.mkdir(Path::new("/tmp"))?;
    Ok(fs)
}

fn part(store: &TieredStore, seed: u64) -> Outcome<PartRef> {
    let mut writer = store.writer(Role::Meta, 1, 1)?;
    writer.section(SectionKind(1), 0, &pattern(seed, 9000))?;
    let part = writer.finish()?;
    store.publish(&part)?;
    Ok(part)
}

fn in_cache(part: &PartRef) -> std::path::PathBuf {
    Path::new("/cache").join(format!("{}.part", part.id))
}

#[test]
fn a_part_goes_to_the_cache_and_comes_home_without_a_copy() -> Outcome {
    let fs = folder()?;
    let store = tiered(&fs, None)?;
    let part = part(&store, 1)?;
    assert!(store.cached()?.parts.is_empty(), "nothing was ever cold");
    store.copy_to_cache(&part)?;
    store.copy_to_cache(&part)?;
    assert_eq!(store.cached()?.parts, [(part.id, part.length)]);
    store.remove(part.id)?;
    assert!(store.open(&part).is_err());
    store.open_cold(&part)?.verify()?;
    store.verify_cold(&part)?;
    store.copy_home(&part)?;
    store.open(&part)?.verify()?;
    // In use, then needed, then neither.
    let held = store.open_cold(&part)?;
    assert_eq!(store.trim_cache(&BTreeSet::new())?, 0);
    drop(held);
    assert_eq!(store.trim_cache(&BTreeSet::from([part.id]))?, 0);
    assert_eq!(store.trim_cache(&BTreeSet::new())?, 1);
    let away = store.open_cold(&part).expect_err("no copy, no store");
    assert!(matches!(away, OpenError::Away { id, source: None, .. } if id == part.id), "{away}");
    assert!(matches!(store.verify_cold(&part), Err(OpenError::Away { .. })));
    Ok(())
}

#[test]
fn a_missing_or_damaged_copy_is_fetched_again() -> Outcome {
    let (fs, objects) = (folder()?, FaultyStore::new());
    let store = tiered(&fs, Some(&objects))?;
    let part = part(&store, 2)?;
    store.remote().ok_or("configured")?.upload(&*store.open(&part)?)?;
    store.remove(part.id)?;
    store.open_cold(&part)?.verify()?;
    // The footer of the copy is bad: seen when it is opened, and replaced.
    let mut bytes = fs.read(&in_cache(&part), u64::MAX)?;
    let end = bytes.len() - 30;
    bytes[end] ^= 1;
    fs.remove(&in_cache(&part))?;
    fs.create_new(&in_cache(&part))?.write_all_at(&bytes, 0)?;
    assert!(matches!(tiered(&fs, None)?.open_cold(&part), Err(OpenError::Corrupt(_))));
    let asked = objects.trace().len();
    store.open_cold(&part)?.verify()?;
    assert!(objects.trace().len() > asked);
    // Away is not damaged, and not absent.
    fs.remove(&in_cache(&part))?;
    objects.fail_from(0, Trouble::Busy);
    let away = store.open_cold(&part).expect_err("the store is away");
    assert!(matches!(away, OpenError::Away { source: Some(_), .. }), "{away}");
    objects.recover();
    objects.fail_from(0, Trouble::Flipped);
    assert!(matches!(store.open_cold(&part), Err(OpenError::Corrupt(_))), "what comes is wrong");
    objects.recover();
    store.open_cold(&part)?.verify()?;
    Ok(())
}

/// Whoever comes second waits and opens the copy that the first one fetched.
#[test]
fn many_may_open_a_part_that_is_away_at_once() -> Outcome {
    let (fs, objects) = (folder()?, FaultyStore::new());
    let store = tiered(&fs, Some(&objects))?;
    let part = part(&store, 4)?;
    store.remote().ok_or("configured")?.upload(&*store.open(&part)?)?;
    store.remove(part.id)?;
    let alone = objects.trace().len();
    drop(store.open_cold(&part)?);
    let asked = objects.trace().len() - alone;
    for round in 0..20 {
        fs.remove(&in_cache(&part))?;
        let (before, store) = (objects.trace().len(), &store);
        let handles = vectra_core::env::in_parallel(8, |_| store.open_cold(&part).map_err(|e| e.to_string()));
        for handle in handles {
            handle?.verify()?;
        }
        assert_eq!(objects.trace().len() - before, asked, "round {round}: fetched once");
    }
    Ok(())
}

#[test]
fn other_stores_have_no_way_to_cold_parts() -> Outcome {
    let fs = folder()?;
    let part = part(&tiered(&fs, None)?, 3)?;
    let memory = vectra_tier::MemStore::new(Arc::new(SeededRng::new(1)));
    assert!(matches!(memory.open_cold(&part), Err(OpenError::Away { .. })));
    Ok(())
}

/// Puts other bytes in the place of a file: parts have several names, so it is not changed in place.
fn replace(fs: &Arc<dyn Fs>, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut bytes = fs.read(path, u64::MAX)?;
    change(&mut bytes);
    fs.remove(path)?;
    Ok(fs.create_new(path)?.write_all_at(&bytes, 0)?)
}

#[test]
fn a_name_that_is_taken_is_believed_only_if_the_part_behind_it_is_sound() -> Outcome {
    let fs = folder()?;
    let store = tiered(&fs, None)?;
    let part = part(&store, 4)?;
    let home = Path::new("/seg").join(format!("{}.part", part.id));
    let sound = fs.read(&home, u64::MAX)?;
    // Inside a section, in the header, cut off, and empty: no such file stays in the way, on neither road.
    let changes: [fn(&mut Vec<u8>); 4] =
        [|b| b[5000] ^= 1, |b| b[9] ^= 1, |b| b.truncate(4096), |b| b.clear()];
    for change in changes {
        store.copy_to_cache(&part)?;
        replace(&fs, &in_cache(&part), change)?;
        store.copy_to_cache(&part)?;
        assert_eq!(fs.read(&in_cache(&part), u64::MAX)?, sound);
        replace(&fs, &home, change)?;
        store.copy_home(&part)?;
        assert_eq!(fs.read(&home, u64::MAX)?, sound);
    }
    // What is nowhere cannot be linked, and leaves nothing behind.
    let nowhere = PartRef { id: uuid::Uuid::from_u128(9), ..part };
    let absent =
        |moved: Result<(), StoreError>| matches!(moved, Err(StoreError::Absent { id }) if id == nowhere.id);
    assert!(absent(store.copy_to_cache(&nowhere)) && absent(store.copy_home(&nowhere)));
    assert_eq!((store.list()?.parts.len(), store.cached()?.parts.len()), (1, 1));
    Ok(())
}

#[test]
fn a_cold_part_is_checked_wherever_it_rests() -> Outcome {
    let (fs, objects) = (folder()?, FaultyStore::new());
    let store = tiered(&fs, Some(&objects))?;
    let part = part(&store, 5)?;
    let remote = store.remote().ok_or("configured")?;
    remote.upload(&*store.open(&part)?)?;
    let (name, sound) = (remote.object_name(part.id), fs.read(store.open(&part)?.path(), u64::MAX)?);
    store.verify_cold(&part)?;
    store.copy_to_cache(&part)?;
    store.verify_cold(&part)?;
    // A damaged copy is damage, however sound the object is.
    replace(&fs, &in_cache(&part), |b| b[5000] ^= 1)?;
    let Err(OpenError::Corrupt(damage)) = store.verify_cold(&part) else { return Err("not found".into()) };
    assert!(damage.file.starts_with("/cache") && damage.section.is_some(), "{damage}");
    store.copy_to_cache(&part)?;
    // And so is a damaged object behind a sound copy.
    let mut wrong = sound.clone();
    wrong[5000] ^= 1;
    place(&objects, &name, wrong)?;
    let Err(OpenError::Corrupt(damage)) = store.verify_cold(&part) else { return Err("not found".into()) };
    assert!(
        damage.file.ends_with(format!("{}.part", part.id)) && !damage.file.starts_with("/cache"),
        "{damage}"
    );
    place(&objects, &name, sound[..sound.len() - 1].to_vec())?;
    assert!(matches!(store.verify_cold(&part), Err(OpenError::Corrupt(_))), "it is shorter");
    // One that is gone is away: the copy alone does not make it safe.
    remote.delete(part.id)?;
    let away = store.verify_cold(&part).expect_err("it is gone");
    assert!(matches!(away, OpenError::Away { source: Some(_), .. }), "{away}");
    place(&objects, &name, sound)?;
    store.verify_cold(&part)?;
    Ok(())
}
