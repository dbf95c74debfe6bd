//! Group commit and background syncs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use vectra_core::env::Env;
use vectra_core::io::sim::{CallKind, CrashModel, SimFs};
use vectra_core::io::{Fs, MemFs};
use vectra_wal::{AppendError, Durability, FileLog, Log, Options};

use crate::world::{open, sim_env};

const DIR: &str = "/wal";

fn create(fs: Arc<dyn Fs>, env: &Env) -> FileLog {
    FileLog::create(fs, Path::new(DIR), env, Options::new([1; 16])).expect("a fresh file system")
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the threads need a real pause to meet in")]
fn many_threads_share_syncs_and_are_acknowledged_in_order() {
    const THREADS: u64 = 8;
    const FRAMES: u64 = 40;
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let env = Env::os(1);
    let log = create(Arc::clone(&fs), &env);
    let published = Mutex::new(vec![0]);
    let acknowledged = AtomicU64::new(0);
    let publish = |lsn| {
        // A slow publication, like a slow sync, lets a group gather behind it.
        std::thread::sleep(Duration::from_micros(300));
        // Whoever was acknowledged so far was published before.
        let mut published = published.lock();
        assert!(acknowledged.load(Ordering::SeqCst) <= published[published.len() - 1]);
        assert!(published[published.len() - 1] < lsn);
        published.push(lsn);
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (log, publish, acknowledged) = (&log, &publish, &acknowledged);
            scope.spawn(move || {
                for i in 0..FRAMES {
                    let ticket = log.enqueue(thread as u8, 1, i.to_le_bytes().to_vec()).expect("open");
                    log.commit(&ticket, Durability::Sync, publish).expect("no faults");
                    acknowledged.fetch_max(ticket.last_lsn, Ordering::SeqCst);
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!((stats.frames, log.durable_lsn()), (THREADS * FRAMES, THREADS * FRAMES));
    assert_eq!(published.lock().len() as u64 - 1, stats.groups, "one publication per group");
    assert!(stats.groups < stats.frames / 2, "no grouping: {stats:?}");
    assert!(stats.syncs <= stats.groups, "more than one sync per group: {stats:?}");
    drop(log);
    let (_, _, frames) = open(fs, Path::new(DIR), &env, Options::new([1; 16])).expect("an intact log");
    for thread in 0..THREADS {
        let own: Vec<u64> = frames
            .iter()
            .filter(|f| u64::from(f.kind) == thread)
            .map(|f| u64::from_le_bytes(f.payload[..].try_into().expect("eight bytes")))
            .collect();
        assert!(own.iter().copied().eq(0..FRAMES), "frames of thread {thread} out of order");
    }
}

#[test]
fn one_write_and_one_sync_per_group() {
    let fs = SimFs::new(1, CrashModel::WeakPosix);
    let (env, _) = sim_env(1);
    let log = create(Arc::new(fs.clone()), &env);
    let tickets: Vec<_> = (0..10).map(|i| log.enqueue(1, 1, vec![i; 100]).expect("open")).collect();
    let before = fs.trace().len();
    log.commit(&tickets[3], Durability::Sync, &|_| ()).expect("no faults");
    let kinds: Vec<CallKind> = fs.trace()[before..].iter().map(|call| call.kind).collect();
    // The first write reserves space ahead.
    assert_eq!(kinds, [CallKind::Write, CallKind::Write, CallKind::SyncData]);
    assert_eq!((log.durable_lsn(), log.stats().syncs, log.stats().groups), (10, 1, 1));
}

#[test]
fn an_interval_write_is_synced_in_the_background() {
    let (env, spawner) = sim_env(1);
    let log = create(Arc::new(MemFs::new()), &env);
    let append = |durability| {
        let ticket = log.enqueue(1, 1, vec![1]).expect("open");
        log.commit(&ticket, durability, &|_| ()).expect("no faults");
    };
    append(Durability::None);
    assert_eq!(spawner.pending(), 0, "nobody asked for a sync");
    let due = env.clock.now() + Duration::from_millis(20);
    append(Durability::Interval(Duration::from_mins(1)));
    append(Durability::Interval(Duration::from_millis(20)));
    append(Durability::Interval(Duration::from_millis(30)));
    assert_eq!(
        (log.durable_lsn(), spawner.pending()),
        (0, 2),
        "a sooner sync is arranged, a later one is not"
    );
    assert!(spawner.step());
    assert_eq!((log.durable_lsn(), env.clock.now()), (4, due));
    spawner.run_all();
    assert_eq!((log.stats().syncs, log.stats().marks), (2, 1), "one for the frames and one for the mark");
    append(Durability::Interval(Duration::from_millis(5)));
    drop(log);
    spawner.run_all();
}

#[test]
fn a_background_sync_that_meets_a_leader_does_not_wait_and_is_not_forgotten() {
    let (env, spawner) = sim_env(1);
    let log = create(Arc::new(MemFs::new()), &env);
    let ticket = log.enqueue(1, 1, vec![1]).expect("open");
    log.commit(&ticket, Durability::Interval(Duration::from_millis(5)), &|_| ()).expect("no faults");
    let ticket = log.enqueue(1, 1, vec![2]).expect("open");
    // The job runs in the middle of the leader's turn.
    log.commit(&ticket, Durability::None, &|_| assert!(spawner.step())).expect("no faults");
    assert_eq!((log.durable_lsn(), spawner.pending()), (0, 1));
    let ticket = log.enqueue(1, 1, vec![3]).expect("open");
    log.commit(&ticket, Durability::None, &|_| ()).expect("no faults");
    assert_eq!(log.durable_lsn(), 3, "the next leader syncs in its place");
    let ticket = log.enqueue(1, 1, vec![4]).expect("open");
    log.commit(&ticket, Durability::Interval(Duration::from_millis(5)), &|_| ()).expect("no faults");
    spawner.run_all();
    assert_eq!(log.durable_lsn(), 4, "or the job itself does, later");
}

#[test]
fn background_syncs_catch_up_with_busy_writers() {
    let env = Env::os(1);
    let log = create(Arc::new(MemFs::new()), &env);
    let durability = Durability::Interval(Duration::from_millis(1));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for i in 0..2000 {
                    let ticket = log.enqueue(1, 1, vec![i as u8; 20]).expect("open");
                    log.commit(&ticket, durability, &|_| ()).expect("no faults");
                }
            });
        }
    });
    let deadline = env.clock.now() + Duration::from_secs(20);
    while log.durable_lsn() < log.last_lsn() {
        assert!(env.clock.now() < deadline, "the last writes are never synced");
        std::thread::yield_now();
    }
    let stats = log.stats();
    assert!(stats.frames == 6000 && stats.syncs < 3000, "{stats:?}");
}

#[test]
fn a_sync_caller_behind_an_unsynced_group_syncs_itself() {
    let (env, _) = sim_env(1);
    let log = create(Arc::new(MemFs::new()), &env);
    let careful = log.enqueue(1, 1, vec![1]).expect("open");
    let careless = log.enqueue(1, 1, vec![2]).expect("open");
    log.commit(&careless, Durability::None, &|_| ()).expect("no faults");
    assert_eq!(log.durable_lsn(), 0);
    log.commit(&careful, Durability::Sync, &|_| panic!("published already")).expect("no faults");
    assert_eq!(log.durable_lsn(), 2);
}

#[test]
fn a_panicking_publication_poisons_the_log() {
    let (env, _) = sim_env(1);
    let log = create(Arc::new(MemFs::new()), &env);
    let ticket = log.enqueue(1, 1, vec![1]).expect("open");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.commit(&ticket, Durability::Sync, &|_| panic!("a bug in the caller"))
    }));
    assert!(outcome.is_err());
    assert!(log.stats().poisoned);
    assert!(matches!(log.commit(&ticket, Durability::Sync, &|_| ()), Err(AppendError::Uncertain { .. })));
    assert!(matches!(log.enqueue(1, 1, vec![]), Err(AppendError::Poisoned { .. })));
}
