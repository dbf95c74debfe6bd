//! Power cuts and failing calls at every point of a store's life: a part is absent or whole, and what was published
//! stays.

use std::path::Path;
use std::sync::Arc;

use vectra_core::env::SeededRng;
use vectra_core::io::Fs;
use vectra_core::io::sim::{CallKind, CrashModel, Fault, SimFs, SyncedContent};
use vectra_tier::{LocalStore, Mode, PartRef, PartStore, Role, SectionKind};

use crate::material::pattern;

const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// What the caller of a store knows.
#[derive(Default)]
struct Known {
    /// Every part whose writer gave a reference.
    finished: Vec<PartRef>,
    /// Those whose publishing succeeded and which nobody tried to remove.
    published: Vec<PartRef>,
}

fn store(disk: &SimFs, seed: u64) -> LocalStore {
    let fs: Arc<dyn Fs> = Arc::new(disk.clone());
    LocalStore::new(fs, Path::new("/"), Arc::new(SeededRng::new(seed)), Mode::Read)
}

fn publish(store: &LocalStore, seed: u64, known: &mut Known) -> Outcome {
    let mut writer = store.writer(Role::Rows, 1, 1)?;
    writer.section(SectionKind(1), 0, &pattern(seed, 1500))?;
    writer.section(SectionKind(2), 0, &pattern(seed, 20))?;
    let part = writer.finish()?;
    known.finished.push(part);
    store.publish(&part)?;
    known.published.push(part);
    Ok(())
}

/// Three parts are published and one of them is removed; stops at the first error.
fn live(disk: &SimFs, seed: u64, known: &mut Known) -> Outcome {
    let store = store(disk, seed);
    store.prepare()?;
    store.clear_tmp()?;
    publish(&store, seed, known)?;
    publish(&store, seed + 1, known)?;
    let gone = known.published.pop().ok_or("just published")?;
    store.remove(gone.id)?;
    publish(&store, seed + 2, known)
}

/// Everything there is whole and known, everything published is there. Errors are broken promises.
fn check(disk: &SimFs, known: &Known) -> Outcome {
    let store = store(disk, u64::MAX);
    store.prepare()?;
    store.clear_tmp()?;
    if !disk_tmp(disk)?.is_empty() {
        return Err("tmp is not empty".into());
    }
    let listing = store.list()?;
    if !listing.ignored.is_empty() {
        return Err(format!("strange names: {:?}", listing.ignored).into());
    }
    for (id, length) in &listing.parts {
        let part = known.finished.iter().find(|part| part.id == *id).ok_or("a part nobody finished")?;
        if part.length != *length {
            return Err(format!("{part} has {length} bytes").into());
        }
        store.open(part)?.verify()?;
    }
    for part in &known.published {
        if !listing.parts.iter().any(|(id, _)| *id == part.id) {
            return Err(format!("the {part} is lost").into());
        }
    }
    Ok(())
}

fn disk_tmp(disk: &SimFs) -> std::io::Result<Vec<vectra_core::io::Entry>> {
    disk.list(Path::new("/tmp"))
}

/// How many changing calls one life takes.
fn calls(model: CrashModel) -> u64 {
    let disk = SimFs::new(1, model);
    live(&disk, 100, &mut Known::default()).expect("nothing fails");
    disk.calls()
}

/// Cuts the power at every call with several outcomes each, lets the survivors live on and cuts again.
fn sweep(prepare: impl Fn(&SimFs)) -> Outcome<u32> {
    let mut cuts = 0;
    for model in MODELS {
        for n in 1..=calls(model) {
            let (disk, mut known) = (SimFs::new(n, model), Known::default());
            prepare(&disk);
            disk.crash_at(n);
            let _cut_short = live(&disk, 100, &mut known);
            for seed in 0..8 {
                let after = disk.crash(seed);
                check(&after, &known)?;
                let mut known =
                    Known { finished: known.finished.clone(), published: known.published.clone() };
                live(&after, 200, &mut known)?;
                check(&after.crash(seed), &known)?;
                cuts += 2;
            }
        }
    }
    Ok(cuts)
}

#[test]
fn a_power_cut_at_any_call_leaves_parts_absent_or_whole() {
    let cuts = sweep(|_| ()).unwrap_or_else(|error| panic!("{error}"));
    assert!(cuts > 500, "{cuts}");
}

/// The honesty test of the sweep: it notices every single sync that is left out.
#[test]
fn every_sync_is_needed() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    live(&disk, 100, &mut Known::default()).expect("nothing fails");
    let sites = disk.sync_sites();
    assert_eq!(sites.len(), 3, "the directories, a part, its name: {sites:?}");
    for site in sites {
        assert!(sweep(|disk| disk.ignore_sync(site.file, site.line)).is_err(), "nobody missed {site:?}");
    }
}

#[test]
fn between_the_new_name_and_the_end_of_the_old_one_the_part_is_published() {
    for model in MODELS {
        let disk = SimFs::new(3, model);
        let mut known = Known::default();
        live(&disk, 100, &mut known).expect("nothing fails");
        let trace = disk.trace();
        let remove =
            trace.iter().find(|call| call.kind == CallKind::Remove).expect("the old name of the first part");
        assert!(remove.path.to_string_lossy().contains("tmp"), "{remove:?}");
        for seed in 0..20 {
            let (disk, mut known) = (SimFs::new(3, model), Known::default());
            disk.crash_at(remove.n);
            live(&disk, 100, &mut known).expect_err("the power went");
            let after = disk.crash(seed);
            let part = known.finished[0];
            let store = store(&after, 1);
            store.open(&part).expect("linked and synced").verify().expect("whole");
            store.clear_tmp().expect("the old name may be there or not");
            store.open(&part).expect("the new name is its own").verify().expect("whole");
            assert!(disk_tmp(&after).expect("readable").is_empty());
        }
    }
}

#[test]
fn any_failing_call_is_an_error_and_never_a_false_promise() {
    let (kept, reverted) = (SyncedContent::Kept, SyncedContent::Reverted);
    let faults = [
        Fault::Eio,
        Fault::Enospc,
        Fault::Short,
        Fault::Interrupted,
        Fault::SyncFailed { content: kept },
        Fault::SyncFailed { content: reverted },
    ];
    for model in MODELS {
        for n in 1..=calls(model) {
            for (fault, sticky) in faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]) {
                let (disk, mut known) = (SimFs::new(n, model), Known::default());
                disk.fail_call(n, fault, sticky);
                let _may_fail = live(&disk, 100, &mut known);
                disk.clear_faults();
                let told = |error| panic!("{fault:?} at call {n}, sticky {sticky}, {model:?}: {error}");
                check(&disk.crash(n), &known).unwrap_or_else(told);
            }
        }
    }
}

#[test]
fn a_write_that_the_disk_lost_is_found() {
    let disk = SimFs::new(1, CrashModel::WeakPosix);
    live(&disk, 100, &mut Known::default()).expect("nothing fails");
    let writes: Vec<u64> = disk
        .trace()
        .iter()
        .filter(|call| call.kind == CallKind::Write && call.len > 0)
        .map(|call| call.n)
        .collect();
    assert_eq!(writes.len(), 3 * 4, "header, two sections and footer of each part");
    let mut noticed = 0;
    for n in &writes {
        let (disk, mut known) = (SimFs::new(1, CrashModel::WeakPosix), Known::default());
        disk.fail_call(*n, Fault::Lost, false);
        live(&disk, 100, &mut known).expect("the disk told nothing");
        noticed += u32::from(check(&disk, &known).is_err());
    }
    assert_eq!(noticed, 2 * 4, "all but those of the second part, which is removed again");
}

#[test]
fn a_failing_read_is_an_error() {
    let disk = SimFs::new(1, CrashModel::Ext4Ordered);
    let mut known = Known::default();
    live(&disk, 100, &mut known).expect("nothing fails");
    let part = known.published[0];
    let read = |disk: &SimFs| -> Outcome {
        let handle = store(disk, 1).open(&part)?;
        handle.section(SectionKind(1), 0)?.verified()?;
        Ok(handle.verify()?)
    };
    let before = disk.reads();
    read(&disk).expect("undamaged");
    let reads = disk.reads() - before;
    assert!(reads >= 10, "{reads}");
    for _ in 0..reads {
        disk.fail_read(disk.reads() + 1, Fault::Short, false);
        read(&disk).expect("short reads go on where they stopped");
    }
    for nth in 1..=reads {
        disk.fail_read(disk.reads() + nth, Fault::Eio, false);
        read(&disk).expect_err("a medium error");
        disk.clear_faults();
    }
}
