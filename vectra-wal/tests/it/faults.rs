//! Failing calls: never a false acknowledgement, never a retry, and the next open gets everything that was promised.

use std::path::Path;
use std::sync::Arc;

use vectra_core::io::sim::{CallKind, CrashModel, Fault, SimFs, SyncedContent};
use vectra_core::io::{Fs, MemFs};
use vectra_wal::{AppendError, Durability, FileLog, Log, OpenError, Options};

use crate::world::{
    INTERVAL, Ledger, MODELS, Step, Stop, World, open, script, sim_env, small_options, wal_dir,
};

const FAULTS: [Fault; 6] = [
    Fault::Eio,
    Fault::Enospc,
    Fault::Short,
    Fault::Interrupted,
    Fault::SyncFailed { content: SyncedContent::Kept },
    Fault::SyncFailed { content: SyncedContent::Reverted },
];

/// Runs the script with a fault at call `n`; the survivors must hold what was promised, with and without a power cut.
fn with_fault(model: CrashModel, n: u64, fault: Fault, sticky: bool) -> Result<(), Stop> {
    let world = World::new(3, model);
    world.fs.fail_call(n, fault, sticky);
    let mut ledger = Ledger::default();
    match world.run(&mut ledger, &script()) {
        Err(broken @ Stop::Broken(_)) => return Err(broken),
        Ok(()) | Err(Stop::Failed(_)) => {}
    }
    world.fs.clear_faults();
    // Only the process starts again: what it reads may be in the cache only, and what it serves must then last.
    if !ledger.created {
        // The folder's own name may be lost: the owner begins again in another one.
        return Ok(());
    }
    let mut served = ledger.clone();
    let restarted = World::on(world.fs.clone(), 50);
    drop(restarted.open(&mut served)?);
    for seed in 0..3 {
        World::on(world.fs.crash(seed), 60).open(&mut served.clone())?;
    }
    Ok(())
}

#[test]
fn a_fault_at_every_call() {
    for model in MODELS {
        let whole = World::new(3, model);
        let first = whole.fs.calls() + 1;
        whole.run(&mut Ledger::default(), &script()).expect("no fault, no failure");
        for n in first..=whole.fs.calls() {
            for fault in FAULTS {
                for sticky in [false, true] {
                    with_fault(model, n, fault, sticky).unwrap_or_else(|stop| {
                        panic!("{model:?}, {fault:?} at call {n}, sticky {sticky}: {stop}")
                    });
                }
            }
        }
    }
}

#[test]
fn after_a_failed_sync_nothing_is_retried_or_published() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, spawner) = sim_env(1);
    let log = FileLog::create(Arc::new(fs.clone()), Path::new("/wal"), &env, Options::new([1; 16]))
        .expect("a disk");
    let early = log.enqueue(1, 1, vec![1]).expect("open");
    log.commit(&early, INTERVAL, &|_| ()).expect("no fault yet");
    let late = log.enqueue(1, 1, vec![2]).expect("open");
    // The write, then the sync; the space was reserved by the first group.
    fs.fail_call(fs.calls() + 2, Fault::SyncFailed { content: SyncedContent::Kept }, false);
    let never = |_| panic!("published after a failure");
    let outcome = log.commit(&late, Durability::Sync, &never);
    assert!(matches!(outcome, Err(AppendError::Uncertain { .. })), "{outcome:?}");
    let calls = fs.calls();
    assert!(matches!(log.commit(&late, Durability::None, &never), Err(AppendError::Uncertain { .. })));
    log.commit(&early, Durability::None, &never).expect("it was acknowledged before");
    assert!(matches!(log.commit(&early, Durability::Sync, &never), Err(AppendError::Uncertain { .. })));
    assert!(matches!(log.enqueue(1, 1, vec![]), Err(AppendError::Poisoned { .. })));
    assert!(matches!(log.sync(&never), Err(AppendError::Poisoned { .. })));
    assert!(matches!(log.truncate(5), Err(AppendError::Poisoned { .. })));
    assert!(matches!(log.close(), Err(AppendError::Poisoned { .. })));
    spawner.run_all();
    assert_eq!(fs.calls(), calls, "a poisoned log touches nothing");
    assert_eq!((log.durable_lsn(), log.stats().poisoned), (0, true));
}

#[test]
fn frames_behind_a_failed_group_were_certainly_not_written() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, _) = sim_env(1);
    let mut options = Options::new([1; 16]);
    options.file_bytes_min = 4096;
    let log = FileLog::create(Arc::new(fs.clone()), Path::new("/wal"), &env, options).expect("a disk");
    // Two groups: together the frames are longer than what is written at once.
    let first = log.enqueue(1, 1, vec![1; 4000]).expect("open");
    let second = log.enqueue(1, 1, vec![2; 4000]).expect("open");
    fs.fail_call(fs.calls() + 1, Fault::Eio, true);
    let never = |_| panic!("published after a failure");
    assert!(matches!(log.commit(&second, Durability::None, &never), Err(AppendError::Poisoned { .. })));
    assert!(matches!(log.commit(&first, Durability::None, &never), Err(AppendError::Uncertain { .. })));
}

#[test]
fn a_full_disk_stops_reserving_ahead_before_it_stops_writing() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, _) = sim_env(1);
    let log = FileLog::create(Arc::new(fs.clone()), Path::new("/wal"), &env, Options::new([1; 16]))
        .expect("a disk");
    fs.quota(4096 + 1000);
    let append = |len| {
        let ticket = log.enqueue(1, 1, vec![7; len])?;
        log.commit(&ticket, Durability::Sync, &|_| ())
    };
    append(100).expect("there is room for the frame");
    append(200).expect("there is room for the frame");
    assert!(matches!(append(2000), Err(AppendError::Uncertain { .. })));
    fs.quota(1 << 20);
    let (_, recovery, frames) =
        open(Arc::new(fs), Path::new("/wal"), &env, Options::new([1; 16])).expect("opens");
    assert_eq!((frames.len(), recovery.last_lsn), (2, 2));
}

#[test]
fn a_file_that_cannot_be_removed_does_not_stop_the_log() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, _) = sim_env(1);
    let mut options = small_options();
    options.reserve_bytes = 0;
    let log = FileLog::create(Arc::new(fs.clone()), Path::new("/wal"), &env, options).expect("a disk");
    for _ in 0..8 {
        log.enqueue(1, 1, vec![7; 500]).expect("open");
        log.sync(&|_| ()).expect("no faults");
    }
    let files = log.stats().files;
    fs.fail_call(fs.calls() + 1, Fault::Eio, false);
    assert!(matches!(log.truncate(8), Err(AppendError::Remove { .. })));
    assert_eq!((log.stats().files, log.stats().poisoned), (files, false));
    log.truncate(8).expect("the fault is over");
    assert!(log.stats().files < files);
}

/// A log with several files, and how many frames it holds.
pub(crate) fn filled() -> (World, Ledger) {
    let world = World::new(9, CrashModel::WeakPosix);
    let mut ledger = Ledger::default();
    let steps = [200, 400, 10, 600, 500, 30, 900].map(|len| Step::Append(len, 1, Durability::Sync));
    world.run(&mut ledger, &steps).expect("no fault, no failure");
    (world, ledger)
}

#[test]
fn a_write_that_the_disk_lost_is_missed() {
    let steps = [200, 400, 10, 600, 500, 30, 900].map(|len| Step::Append(len, 1, Durability::Sync));
    let whole = World::new(9, CrashModel::WeakPosix);
    whole.run(&mut Ledger::default(), &steps).expect("no fault, no failure");
    let writes = whole.fs.trace().into_iter().filter(|call| call.kind == CallKind::Write);
    let mut missed = 0;
    for call in writes {
        let world = World::new(9, CrashModel::WeakPosix);
        world.fs.fail_call(call.n, Fault::Lost, false);
        let mut ledger = Ledger::default();
        world.run(&mut ledger, &steps).expect("the disk lies, so nobody fails");
        let (env, _) = sim_env(1);
        let options = Options { durable_floor: ledger.durable, ..small_options() };
        match open(Arc::new(world.fs), &wal_dir(), &env, options) {
            Ok((_, _, frames)) => assert_eq!(frames, ledger.frames, "write {}", call.n),
            Err(e) => {
                assert!(matches!(e, OpenError::Corruption(_)), "write {}: {e}", call.n);
                missed += 1;
            }
        }
    }
    // Of each file the header, and every frame; what is reserved ahead and the seals nobody misses.
    assert!(missed >= 7 + 2, "only {missed} lost writes were missed");
}

#[test]
fn waiting_threads_hear_of_the_failure() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, _) = sim_env(1);
    let log = FileLog::create(Arc::new(fs.clone()), Path::new("/wal"), &env, Options::new([1; 16]))
        .expect("a disk");
    fs.fail_call(fs.calls() + 40, Fault::Eio, true);
    let acknowledged: Vec<u64> = std::thread::scope(|scope| {
        let append = || {
            let mut acknowledged = 0;
            loop {
                let ticket = match log.enqueue(1, 1, vec![1; 30]) {
                    Ok(ticket) => ticket,
                    Err(AppendError::Poisoned { .. }) => return acknowledged,
                    Err(e) => panic!("{e}"),
                };
                match log.commit(&ticket, Durability::Sync, &|_| ()) {
                    Ok(()) => acknowledged = ticket.last_lsn,
                    Err(AppendError::Uncertain { .. } | AppendError::Poisoned { .. }) => return acknowledged,
                    Err(e) => panic!("{e}"),
                }
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(append)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    fs.clear_faults();
    let durable = log.durable_lsn();
    assert_eq!(acknowledged.into_iter().max(), Some(durable), "the last durable operation was acknowledged");
    let (_, recovery, frames) =
        open(Arc::new(fs.crash(1)), Path::new("/wal"), &env, Options::new([1; 16])).expect("opens");
    assert!(recovery.last_lsn >= durable && frames.len() as u64 == recovery.last_lsn);
}

#[test]
fn a_visitor_that_fails_stops_the_open_without_harm() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (env, _) = sim_env(1);
    let (dir, options) = (Path::new("/wal"), Options::new([1; 16]));
    let log = FileLog::create(Arc::clone(&fs), dir, &env, options.clone()).expect("memory");
    (0..3).for_each(|i| _ = log.enqueue(i, 1, vec![i]).expect("open"));
    log.sync(&|_| ()).expect("no faults");
    drop(log);
    let outcome = FileLog::open(Arc::clone(&fs), dir, &env, options.clone(), &mut |frame| {
        if frame.first_lsn == 2 { Err("cannot take this".into()) } else { Ok(()) }
    });
    assert!(matches!(outcome, Err(OpenError::Visit { lsn: 2, .. })), "{outcome:?}");
    let (_, recovery, _) = open(fs, dir, &env, options).expect("an intact log");
    assert_eq!(recovery.frames, 3);
}
