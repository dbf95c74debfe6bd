//! Power cuts while parts move between a folder, its cache and an object store: a copy is absent or whole, and a part is
//! wherever the caller was told that it is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::SeededRng;
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_tier::testing::FaultyStore;
use vectra_tier::{LocalStore, Mode, PartRef, PartStore, Role, SectionKind, TieredStore};

use crate::material::pattern;
use crate::remote::{Outcome, remote};

const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];

/// What the caller was told.
#[derive(Clone, Default)]
struct Told {
    /// Every part that was ever written.
    parts: Vec<PartRef>,
    /// At home in the folder.
    home: Vec<PartRef>,
    /// Copied into the cache.
    cached: Vec<PartRef>,
}

impl Told {
    fn moves(&mut self, part: &PartRef) {
        self.home.retain(|other| other.id != part.id);
        self.cached.retain(|other| other.id != part.id);
    }
}

fn store(disk: &SimFs, objects: Option<&FaultyStore>, seed: u64) -> Outcome<TieredStore> {
    let remote = objects.map(|objects| remote(Arc::new(objects.clone()))).transpose()?;
    let (fs, rng): (Arc<dyn Fs>, _) = (Arc::new(disk.clone()), Arc::new(SeededRng::new(seed)));
    LocalStore::new(Arc::clone(&fs), Path::new("/"), rng.clone(), Mode::Read).prepare()?;
    let store = TieredStore::new(fs, Path::new("/"), rng, Mode::Read, remote);
    store.clear_tmp()?;
    Ok(store)
}

/// A part that is at home here and in the object store.
fn part(store: &TieredStore, seed: u64, told: &mut Told) -> Outcome<PartRef> {
    let mut writer = store.writer(Role::Rows, 1, 1)?;
    writer.section(SectionKind(1), 0, &pattern(seed, 1500))?;
    let part = writer.finish()?;
    told.parts.push(part);
    store.publish(&part)?;
    told.home.push(part);
    store.remote().ok_or("configured")?.upload(&*store.open(&part)?)?;
    Ok(part)
}

/// One part goes to the cache and comes home, another one is fetched from the object store alone.
fn live(disk: &SimFs, objects: &FaultyStore, seed: u64, told: &mut Told) -> Outcome {
    let store = store(disk, Some(objects), seed)?;
    let back = part(&store, seed, told)?;
    store.copy_to_cache(&back)?;
    told.moves(&back);
    told.cached.push(back);
    store.remove(back.id)?;
    store.open_cold(&back)?.verify()?;
    store.copy_home(&back)?;
    told.moves(&back);
    told.home.push(back);
    told.cached.clear();
    store.trim_cache(&BTreeSet::new())?;
    let far = part(&store, seed + 1, told)?;
    told.moves(&far);
    store.remove(far.id)?;
    store.open_cold(&far)?.verify()?;
    told.cached.push(far);
    Ok(())
}

/// Everything there is whole, and everything that was told is true. The object store is away.
fn check(disk: &SimFs, told: &Told) -> Outcome {
    let store = store(disk, None, u64::MAX)?;
    let known = |id| told.parts.iter().find(|part| part.id == id).ok_or("a part that nobody wrote");
    for (id, _) in store.list()?.parts {
        store.open(known(id)?)?.verify()?;
    }
    for (id, _) in store.cached()?.parts {
        store.open_cold(known(id)?)?.verify()?;
    }
    told.home.iter().try_for_each(|part| store.open(part).map(drop))?;
    told.cached.iter().try_for_each(|part| store.open_cold(part).map(drop))?;
    Ok(())
}

/// Cuts the power at every call with several outcomes each, lets the survivors live on and cuts again.
fn sweep(prepare: impl Fn(&SimFs)) -> Outcome<u32> {
    let mut cuts = 0;
    for model in MODELS {
        let whole = SimFs::new(1, model);
        live(&whole, &FaultyStore::new(), 100, &mut Told::default())?;
        for n in 1..=whole.calls() + 1 {
            let (disk, objects, mut told) = (SimFs::new(n, model), FaultyStore::new(), Told::default());
            prepare(&disk);
            disk.crash_at(n);
            let outcome = live(&disk, &objects, 100, &mut told);
            assert!(outcome.is_ok() || disk.is_off(), "call {n}: {outcome:?}");
            for seed in 0..4 {
                let after = disk.crash(seed);
                check(&after, &told)?;
                let mut told = told.clone();
                live(&after, &objects.fork(), 200, &mut told)?;
                check(&after.crash(seed), &told)?;
                cuts += 2;
            }
        }
    }
    Ok(cuts)
}

#[test]
fn a_power_cut_at_any_call_leaves_every_part_where_it_was_said_to_be() -> Outcome {
    let cuts = sweep(|_| ())?;
    assert!(cuts > 500, "{cuts}");
    Ok(())
}

/// Also those of [`LocalStore`] that only cached parts need.
#[test]
fn every_sync_of_a_moving_part_is_needed() -> Outcome {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    live(&disk, &FaultyStore::new(), 100, &mut Told::default())?;
    let sites = disk.sync_sites();
    assert_eq!(sites.len(), 5, "the folders, a part, its name, a second name, what was fetched: {sites:?}");
    for site in sites {
        assert!(sweep(|disk| disk.ignore_sync(site.file, site.line)).is_err(), "nobody missed {site:?}");
    }
    Ok(())
}
