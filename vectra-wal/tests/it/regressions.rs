//! Reports from other databases, as far as they concern a log: what happened there, and that it cannot happen here.

use std::sync::Arc;

use vectra_core::io::sim::{CallKind, CrashModel, Fault, SyncedContent};
use vectra_wal::{Durability, OpenError, Options};

use crate::crash::{Depth, sweep};
use crate::damage::{
    FRAME, Files, HEADER, build, dir, is_corruption, name, opened, options as damage_options, with,
};
use crate::faults::filled;
use crate::layout::{self, Setup};
use crate::world::{
    INTERVAL, Ledger, MODELS, Step, Stop, World, open, script, sim_env, small_options, wal_dir,
};

/// Qdrant 1735: a node lost power while a log file was being created and refused to start ever after: "illegal segment
/// header". Here a file has its name only once its header is on the disk.
#[test]
fn regress_qdrant_1735_illegal_header() {
    let (files, frames) = build(false, 0);
    let whole = files[&name(3)].clone();
    for len in [0, 1, 100, HEADER - 1, HEADER] {
        // What a power cut may leave of the next file: its temporary name, and any part of its content.
        let mut files = files.clone();
        files.insert("00000000000000000004.tmp".to_owned(), whole[..len].to_vec());
        let (_, left) = opened(&files, damage_options()).expect("an unfinished file is in nobody's way");
        assert_eq!(left, frames, "{len} bytes");
    }
    // The whole way, with every header torn in every way the disk can think of.
    let steps = [900, 900, 900].map(|len| Step::Append(len, 1, Durability::Sync));
    let depth = Depth { seeds: 12, in_recovery: true, ack_after_mark: false, disk: 3 };
    for model in MODELS {
        sweep(model, &steps, depth, &|_| ()).unwrap_or_else(|text| panic!("{text}"));
    }
}

/// Qdrant 3090: the server went down in the middle of writing, and afterwards the log counted as corrupt. Here what was
/// torn and never acknowledged is cut off, reported, and forgotten.
#[test]
fn regress_qdrant_3090_forced_shutdown() {
    let mut torn = 0;
    for seed in 0..40 {
        let world = World::new(seed, CrashModel::WeakPosix);
        let mut ledger = Ledger::default();
        let steps = [
            Step::Append(300, 1, Durability::Sync),
            Step::Append(500, 1, Durability::None),
            Step::Append(500, 1, Durability::None),
        ];
        world.run(&mut ledger, &steps).expect("no fault, no failure");
        let after = World::on(world.fs.crash(seed), seed);
        let options = small_options();
        let (log, recovery, _) =
            open(after.fs(), &wal_dir(), &sim_env(seed).0, options.clone()).expect("opens");
        assert!(recovery.last_lsn >= 1, "seed {seed}");
        torn += u64::from(recovery.torn);
        drop(log);
        let (_, again, _) = open(after.fs(), &wal_dir(), &sim_env(seed).0, options).expect("opens");
        assert_eq!((again.torn, again.last_lsn), (false, recovery.last_lsn), "seed {seed}");
    }
    assert!(torn > 5, "only {torn} of 40 cuts tore something");
}

/// Qdrant 3822: a copy of the disk taken while the database ran could not be opened. Here the files as they are at any
/// moment between two calls make up a log.
#[test]
fn regress_qdrant_3822_image_of_a_running_disk() {
    let world = World::new(3, CrashModel::WeakPosix);
    world.run(&mut Ledger::default(), &script()).expect("no fault, no failure");
    for n in 1..=world.fs.calls() {
        let world = World::new(3, CrashModel::WeakPosix);
        world.fs.fail_call(n, Fault::Eio, true);
        let mut ledger = Ledger::default();
        if world.run(&mut ledger, &script()).is_ok() || !ledger.created {
            continue;
        }
        world.fs.clear_faults();
        // Nothing is lost from the cache, but the writer is gone for good.
        ledger.durable = ledger.durable.max(ledger.published);
        World::on(world.fs.clone(), 9).open(&mut ledger).unwrap_or_else(|stop| panic!("call {n}: {stop}"));
    }
}

/// Weaviate 1635: after a kill in the middle of an append the store did not start. Here the newest file may end at any
/// byte.
#[test]
fn regress_weaviate_1635_kill_in_the_middle_of_an_append() {
    let (files, frames) = build(false, 0);
    let newest = &files[&name(3)];
    for len in HEADER..=newest.len() {
        let cut = with(&files, &name(3), |bytes| bytes.truncate(len));
        let (recovery, left) =
            opened(&cut, damage_options()).expect("cut at a place where an append may end");
        assert!(frames.starts_with(&left), "{len}");
        assert_eq!(left == frames && !recovery.torn, len == newest.len(), "{len}");
    }
}

/// Weaviate 1698: a length read from a torn log was believed, and the allocation took the process down. Here no length
/// is believed before its checksum, nor beyond the end of the file.
#[test]
fn regress_weaviate_1698_absurd_length() {
    let (files, frames) = build(false, 0);
    for len in [1_u32 << 10, 1 << 28, 1 << 31, u32::MAX] {
        for seq in [2, 3] {
            let absurd = with(&files, &name(seq), |bytes| {
                bytes[HEADER + 8..HEADER + 12].copy_from_slice(&len.to_le_bytes());
            });
            let outcome = opened(&absurd, damage_options());
            assert!(is_corruption(&outcome), "length {len} in file {seq}: {outcome:?}");
        }
    }
    // Where the checksum is right, too, the file's end still bounds it.
    let content = &files[&name(3)];
    let at = content.len() - (FRAME + frames[6].payload.len()).next_multiple_of(8);
    for len in [200_u32, 1 << 28] {
        let forged = with(&files, &name(3), |bytes| {
            let salt = bytes[56..64].to_vec();
            bytes[at + 8..at + 12].copy_from_slice(&len.to_le_bytes());
            let covered =
                [&salt[..], &(at as u64).to_le_bytes(), &bytes[at..at + 4], &bytes[at + 8..at + FRAME]];
            let sum = vectra_core::codec::crc32c(&covered.concat());
            bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        });
        let (recovery, left) =
            opened(&forged, damage_options()).expect("nothing testifies to the last frame");
        assert_eq!((left.len(), recovery.torn), (6, true), "length {len}");
    }
}

/// Weaviate 1703: a left-over file with a `.tmp` name in the log's folder made every start fail. Here names that are none
/// of the log's are reported and left alone, and unfinished files of ours go.
#[test]
fn regress_weaviate_1703_tmp_name() {
    let setup = Setup::new();
    let log = setup.create();
    layout::append(&log, 100);
    drop(log);
    let foreign = ["00000000000000000009.wal.tmp", "7.wal", "notes.txt", "00000000000000000009.WAL"];
    foreign.iter().for_each(|name| setup.put(name, b"not a log file"));
    setup.fs.mkdir(&layout::dir().join("00000000000000000008.wal")).expect("memory");
    // Unfinished files of ours go silently.
    setup.put("00000000000000000002.tmp", b"half a header");
    setup.put("00000000000000000077.tmp", b"");
    for life in 2..4 {
        let (log, replayed, ignored) = setup.replayed(0).expect("foreign names do not matter");
        assert!(replayed.into_iter().eq(1..life));
        assert_eq!(ignored.len(), 5, "{ignored:?}");
        layout::append(&log, 3);
    }
    assert_eq!(setup.files().len(), 6);
}

/// Weaviate 8624: about every second kill left a store that did not open. Here none does: a power cut at every call, and
/// another at every call of the recovery.
#[test]
fn regress_weaviate_8624_every_second_kill() {
    use Step::{Anchor, Append, CloseAndReopen, Tick};
    let steps = [
        Append(500, 2, Durability::Sync),
        Append(400, 1, INTERVAL),
        Tick,
        Anchor,
        Append(700, 1, Durability::None),
        CloseAndReopen,
        Append(60, 1, Durability::Sync),
    ];
    let depth = Depth { seeds: 4, in_recovery: true, ack_after_mark: false, disk: 3 };
    for model in MODELS {
        let calls = sweep(model, &steps, depth, &|_| ()).unwrap_or_else(|text| panic!("{text}"));
        assert!(calls > 25, "only {calls} calls");
    }
}

/// RocksDB 6288: a read error during recovery was taken for the end of the log, and the rest silently dropped.
#[test]
fn regress_rocksdb_6288_eio_is_not_end_of_log() {
    let (world, ledger) = filled();
    let whole = World::on(world.fs.crash(1), 1);
    whole.open(&mut ledger.clone()).expect("an intact log");
    let reads = whole.fs.reads();
    assert!(reads > 10, "only {reads} reads");
    for n in 1..=reads {
        let fs = world.fs.crash(1);
        fs.fail_read(n, Fault::Eio, false);
        let (env, _) = sim_env(1);
        let outcome = open(Arc::new(fs.clone()), &wal_dir(), &env, small_options());
        assert!(matches!(outcome, Err(OpenError::Io { .. })), "read {n} of {reads}: {outcome:?}");
        World::on(fs, 2).open(&mut ledger.clone()).expect("the failed open did no harm");

        let fs = world.fs.crash(1);
        fs.fail_read(n, Fault::Short, false);
        World::on(fs, 2).open(&mut ledger.clone()).expect("a short read is read on");
    }
}

/// RocksDB 7701: a hole in the middle of the log (zeros that the file system left) ended recovery without a word.
#[test]
fn regress_rocksdb_7701_hole() {
    let (files, _) = build(false, 0);
    for file in [1, 2, 3].map(name) {
        let hole = with(&files, &file, |bytes| bytes[HEADER..HEADER + FRAME].fill(0));
        let outcome = opened(&hole, damage_options());
        match outcome {
            Err(OpenError::Corruption(at)) => {
                assert_eq!(
                    (at.file, at.offset, at.found.as_str()),
                    (dir().join(&file), HEADER as u64, "no frame")
                );
            }
            other => panic!("a hole in {file}: {other:?}"),
        }
    }
}

/// RocksDB 12488: zeros in place of the last records of a log looked like its proper end.
#[test]
fn regress_rocksdb_12488_zero_tail() {
    let (files, frames) = build(true, 0);
    for file in [1, 2, 3].map(name) {
        let zeros = with(&files, &file, |bytes| bytes[HEADER + FRAME + 8..].fill(0));
        assert!(is_corruption(&opened(&zeros, damage_options())), "{file}");
    }
    // In the newest file of a log that was not closed, the owner's knowledge decides.
    let (files, _) = build(false, 0);
    let zeros = with(&files, &name(3), |bytes| bytes[HEADER..].fill(0));
    let (recovery, left) = opened(&zeros, damage_options()).expect("an empty file looks like this");
    assert!(!recovery.torn && frames.starts_with(&left) && left.len() < 7);
    let known = Options { durable_floor: frames[6].last_lsn(), ..damage_options() };
    assert!(is_corruption(&opened(&zeros, known)));
}

/// RocksDB 12488, too: a file cut exactly between two records looked complete, although later files were there.
#[test]
fn regress_rocksdb_12488_clean_truncation() {
    let (files, frames) = build(true, 0);
    let mut cuts = 0;
    for seq in [1, 2, 3] {
        let file = name(seq);
        let mut at = HEADER;
        while at < files[&file].len() - FRAME - 8 {
            let cut = with(&files, &file, |bytes| bytes.truncate(at));
            assert!(is_corruption(&opened(&cut, damage_options())), "{file} cut between frames at {at}");
            let len = u32::from_le_bytes(files[&file][at + 8..at + 12].try_into().expect("4 bytes"));
            at += (FRAME + len as usize).next_multiple_of(8);
            cuts += 1;
        }
    }
    assert_eq!(cuts, frames.len());
}

/// RocksDB 13226: a log file that was missing altogether went unnoticed until each file recorded its predecessor.
#[test]
fn regress_rocksdb_13226_predecessor() {
    let (files, _) = build(true, 0);
    for seq in 1..=4 {
        let mut files = files.clone();
        files.remove(&name(seq));
        let outcome = opened(&files, damage_options());
        assert!(is_corruption(&outcome), "without file {seq}: {outcome:?}");
    }
    let (mut files, _) = build(false, 0);
    files.remove(&name(3));
    assert!(is_corruption(&opened(&files, damage_options())), "the seal names the newest file");
    assert!(matches!(opened(&Files::new(), damage_options()), Err(OpenError::Missing { .. })));
}

/// fsyncgate: after a failed sync the page cache still shows what the disk does not have, so a restarted process took it
/// for durable.
#[test]
fn regress_fsyncgate_what_was_read_from_the_cache_is_made_durable_before_it_is_served() {
    let (world, mut ledger) = filled();
    // A rehearsal tells the number of the sync that will fail.
    let rehearsal = World::on(world.fs.crash(1), 1);
    rehearsal.run(&mut ledger.clone(), &[Step::Append(50, 1, Durability::Sync)]).expect("no fault");
    let sync =
        rehearsal.fs.trace().iter().rev().find(|call| call.kind == CallKind::SyncData).expect("a sync").n;

    let failing = World::on(world.fs.crash(1), 1);
    failing.fs.fail_call(sync, Fault::SyncFailed { content: SyncedContent::Kept }, false);
    let outcome = failing.run(&mut ledger, &[Step::Append(50, 1, Durability::Sync)]);
    assert!(matches!(outcome, Err(Stop::Failed(_))), "{outcome:?}");
    // The process starts again and finds the frame in the cache, although the disk does not have it.
    let frames = ledger.frames.len();
    let log = World::on(failing.fs.clone(), 2).open(&mut ledger).expect("opens");
    assert_eq!(ledger.frames.len(), frames, "the frame was served");
    drop(log);
    for seed in 0..8 {
        World::on(failing.fs.crash(seed), 3)
            .open(&mut ledger.clone())
            .expect("what was served is still there");
    }
}
