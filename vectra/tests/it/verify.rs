//! Checking a folder: what a writer beside it does is no damage, a disk that fails is none either, and what only the log
//! names is looked at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra::{ErrorKind, Index, Metric};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CallKind, Fault};

use crate::world::{MODELS, Meddler, Op, Run, World, check_items, item, tiny};

fn files(world: &World, dir: &str) -> Vec<PathBuf> {
    let fs: &dyn Fs = &world.fs;
    let entries = fs.list(Path::new(dir)).expect("a folder").into_iter();
    entries.map(|entry| Path::new(dir).join(entry.name)).collect()
}

/// An index of which the newest two generations name different parts.
fn moving(world: &World) -> Arc<Index> {
    let index = world.builder().create("/index", tiny(Metric::L2, 1)).expect("created");
    index.insert_items((1..30).map(|key| item(key, 1)).collect()).expect("inserted");
    index.compact().expect("compacted");
    (1..3).for_each(|key| move_on(&index, key));
    Arc::new(index)
}

/// One more generation, with tombstones of its own.
fn move_on(index: &Index, key: u64) {
    index.delete_item(crate::world::id(key)).expect("deleted");
    index.flush().expect("flushed");
}

/// A disk on which the writer commits twice whenever a file below `dir` is opened, up to so many times.
fn disturbed(world: &World, index: &Arc<Index>, dir: &'static str, times: u64) -> Meddler {
    let (meddler, weak) = (Meddler::new(world.fs.clone()), Arc::downgrade(index));
    let mut left = times;
    meddler.watch(move |kind, path| {
        if kind == CallKind::Open && path.starts_with(dir) && left > 0 {
            left -= 1;
            let index = weak.upgrade().expect("open");
            [3, 4].iter().for_each(|n| move_on(&index, n + 2 * (times - left)));
        }
        Ok(())
    });
    meddler
}

#[test]
fn regress_a_writer_at_work_is_no_damage() {
    for (dir, times) in [("/index/seg", 1), ("/index/manifest", 1), ("/index/manifest", 3), ("/index/seg", 4)]
    {
        for deep in [false, true] {
            let world = World::new(1, MODELS[0]);
            let index = moving(&world);
            let generation = index.stats().generation;
            let builder = || world.builder().fs(Arc::new(disturbed(&world, &index, dir, times)));
            let report = if deep { builder().verify_deep("/index") } else { builder().verify("/index") };
            let report = report.unwrap_or_else(|e| panic!("{dir}, {times}: {e:?}"));
            assert_eq!(report.findings, [], "{dir}, {times} times");
            assert!(report.parts > 0 && index.stats().generation > generation);
            assert!(files(&world, "/index/pins").is_empty());
        }
    }
    // Opening meets the same.
    let world = World::new(2, MODELS[0]);
    let index = moving(&world);
    let meddler = disturbed(&world, &index, "/index/manifest", 3);
    let reader = world.builder().fs(Arc::new(meddler)).open_reader("/index").expect("opened");
    assert_eq!(reader.snapshot().len(), index.snapshot().len());
}

#[test]
fn parts_that_only_the_log_names_are_checked() {
    let settings = tiny(Metric::L2, 1);
    let (mut damaged, mut derived) = (0, 0);
    for n in 0..3 {
        let world = World::new(3, MODELS[0]);
        let (mut run, created) = Run::create(&world, &settings);
        created.and_then(|()| run.all(&[Op::Load((1..20).collect())])).unwrap_or_else(|e| panic!("{e}"));
        let model = run.ledger.now.clone();
        drop(run.index.take());
        drop(run);
        for deep in [false, true] {
            let report =
                if deep { world.builder().verify_deep("/index") } else { world.builder().verify("/index") };
            let report = report.expect("an index");
            assert_eq!((report.parts, report.findings, report.unknown), (3, vec![], vec![]), "deep: {deep}");
        }
        let part = &files(&world, "/index/seg")[n];
        world.fs.flip_bit(part, 8 * 4100).expect("flipped");
        let report = world.builder().verify_deep("/index").expect("an index");
        assert!(!report.findings.is_empty() && report.unknown.is_empty(), "{report:?}");
        let is_data = report.findings.iter().any(|finding| finding.data);
        damaged += u32::from(is_data);
        derived += u32::from(!is_data);
        world.fs.flip_bit(part, 8 * 4100).expect("flipped back");
        (&world.fs as &dyn Fs).rename(part, Path::new("/index/taken")).expect("moved");
        let report = world.builder().verify("/index").expect("an index");
        assert_eq!(report.findings.len(), 1, "{report:?}");
        (&world.fs as &dyn Fs).rename(Path::new("/index/taken"), part).expect("moved");
        let index = world.builder().open("/index").expect("an index");
        check_items(&index.snapshot(), &model).unwrap_or_else(|e| panic!("{e}"));
    }
    assert_eq!((damaged, derived), (2, 1), "rows and metadata are data, the index part is not");
}

#[test]
fn regress_a_disk_that_fails_is_no_damage() {
    let world = World::new(4, MODELS[0]);
    let index = moving(&world);
    let meddler = Meddler::new(world.fs.clone());
    let builder = || world.builder().fs(Arc::new(meddler.clone()));
    for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
        meddler.watch(move |_, path| if path.starts_with("/index/seg") { Err(kind.into()) } else { Ok(()) });
        for checked in [builder().verify("/index"), builder().verify_deep("/index")] {
            assert_eq!(checked.map(drop).map_err(|e| e.kind()), Err(ErrorKind::Io), "{kind:?}");
        }
    }
    meddler.unwatched();
    drop(index);
    let before = world.fs.reads();
    builder().verify_deep("/index").expect("checked");
    let (reads, mut failed) = (world.fs.reads() - before, 0);
    for n in 1..=reads {
        world.fs.fail_read(world.fs.reads() + n, Fault::Eio, false);
        match builder().verify_deep("/index") {
            Ok(report) => assert_eq!(report.findings, [], "read {n} of {reads}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "read {n} of {reads}: {error:?}");
                failed += 1;
            }
        }
        world.fs.clear_faults();
    }
    assert!(failed > 10, "only {failed} of {reads} faults mattered");
}
