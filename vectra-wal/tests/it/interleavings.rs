//! Group commit under every order in which its threads may take their locks, as far as few preemptions lead to it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vectra-wal --test it --target-dir target/loom`. `LOOM_MAX_PREEMPTIONS` (2 or
//! 3 here unless set) says how many preemptions an order may have. That nobody waits for ever loom itself sees: a thread that
//! nobody can wake is a deadlock.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use loom::thread;
use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::sim::{CrashModel, Fault, SimFs};
use vectra_core::io::{Fs, MemFs};
use vectra_wal::{Anchor, AppendError, Durability, FileLog, Log, Lsn, Options};

const DIR: &str = "/wal";

/// What every thread of a model shares. Nothing in it but the log waits.
struct Model {
    fs: Arc<dyn Fs>,
    spawner: Arc<SimSpawner>,
    env: Env,
    log: FileLog,
    published: Mutex<Vec<Lsn>>,
}

fn options() -> Options {
    let mut options = Options::new([1; 16]);
    options.reserve_bytes = 0;
    options
}

impl Model {
    fn on(fs: Arc<dyn Fs>) -> Arc<Self> {
        let clock = Arc::new(SimClock::new(1));
        let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
        let sim: Arc<SimSpawner> = Arc::clone(&spawner);
        let env = Env { clock, rng: Arc::new(SeededRng::new(1)), spawner: sim };
        let log = FileLog::create(Arc::clone(&fs), Path::new(DIR), &env, options()).expect("a new folder");
        Arc::new(Self { fs, spawner, env, log, published: Mutex::default() })
    }

    fn new() -> Arc<Self> {
        Self::on(Arc::new(MemFs::new()))
    }

    fn publish(&self, lsn: Lsn) {
        let mut published = self.published.lock().expect("no panic");
        assert!(published.last().is_none_or(|last| *last < lsn), "{lsn} published after {published:?}");
        published.push(lsn);
    }

    fn last_published(&self) -> Lsn {
        self.published.lock().expect("no panic").last().copied().unwrap_or(0)
    }

    /// Writes one frame; the LSN if it was acknowledged.
    fn append(&self, durability: Durability) -> Result<Lsn, AppendError> {
        let ticket = self.log.enqueue(1, 1, vec![7; 8])?;
        self.log.commit(&ticket, durability, &|lsn| self.publish(lsn))?;
        assert!(self.last_published() >= ticket.last_lsn, "acknowledged before it was published");
        if durability == Durability::Sync {
            assert!(self.log.durable_lsn() >= ticket.last_lsn, "acknowledged before it was durable");
        }
        Ok(ticket.last_lsn)
    }

    /// Opens what the log wrote; everything durable must be there.
    fn reopened(&self, fs: Arc<dyn Fs>) -> Lsn {
        let mut next = 1;
        let mut visit = |frame: vectra_wal::Frame<'_>| {
            assert_eq!(frame.first_lsn, next, "a prefix without gaps");
            next += 1;
            Ok(())
        };
        let (_, recovery) =
            FileLog::open(fs, Path::new(DIR), &self.env, options(), &mut visit).expect("it opens");
        assert!(recovery.last_lsn >= self.log.durable_lsn(), "something durable is missing");
        recovery.last_lsn
    }
}

/// Runs `model` in every order that takes at most `preemptions` preemptions.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let orders = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&orders);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{orders} orders");
    assert!(orders >= 10, "only {orders} orders: the threads never met");
}

/// Runs `others` beside `own` and waits for them.
fn beside<R: 'static>(
    model: &Arc<Model>,
    others: Vec<fn(&Model) -> R>,
    own: impl FnOnce(&Model) -> R,
) -> Vec<R> {
    let spawn = |work: fn(&Model) -> R| {
        let model = Arc::clone(model);
        thread::spawn(move || work(&model))
    };
    let threads: Vec<_> = others.into_iter().map(spawn).collect();
    let mut results = vec![own(model)];
    results.extend(threads.into_iter().map(|t| t.join().expect("no panic")));
    results
}

#[test]
fn two_writers() {
    for durabilities in [[Durability::Sync; 2], [Durability::Sync, Durability::None], [Durability::None; 2]] {
        explore(3, move || {
            let model = Model::new();
            let other = if durabilities[0] == Durability::Sync {
                |m: &Model| m.append(Durability::Sync)
            } else {
                |m: &Model| m.append(Durability::None)
            };
            let lsns = beside(&model, vec![other], |m| m.append(durabilities[1]));
            let mut lsns: Vec<Lsn> = lsns.into_iter().map(|lsn| lsn.expect("no faults")).collect();
            lsns.sort_unstable();
            let stats = model.log.stats();
            assert_eq!((lsns, model.last_published(), stats.frames), (vec![1, 2], 2, 2));
            assert_eq!(model.published.lock().expect("no panic").len() as u64, stats.groups);
            assert!(stats.syncs <= stats.groups + 1);
            assert_eq!(model.reopened(Arc::clone(&model.fs)), 2);
        });
    }
}

/// So many that some share a seat, and that come back while others gather.
#[test]
fn a_crowd_that_comes_back() {
    explore(2, || {
        let model = Model::new();
        let twice = |m: &Model| m.append(Durability::Sync).and_then(|_| m.append(Durability::Sync));
        let once = |m: &Model| m.append(Durability::Sync);
        let results = beside(&model, vec![twice, once, once], twice);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let stats = model.log.stats();
        assert_eq!((model.last_published(), model.log.durable_lsn(), stats.frames), (6, 6, 6));
        assert!(stats.syncs <= 6);
    });
}

#[test]
fn three_writers() {
    explore(2, || {
        let model = Model::new();
        let others: Vec<fn(&Model) -> _> =
            vec![|m| m.append(Durability::Sync), |m| m.append(Durability::None)];
        let lsns = beside(&model, others, |m| m.append(Durability::Sync));
        assert!(lsns.into_iter().all(|lsn| lsn.is_ok()));
        assert_eq!((model.last_published(), model.log.stats().frames), (3, 3));
    });
}

#[test]
fn a_writer_and_one_who_syncs() {
    explore(3, || {
        let model = Model::new();
        beside(&model, vec![|m| m.append(Durability::None).map(drop)], |m| {
            let durable = m.log.sync(&|lsn| m.publish(lsn))?;
            assert!(durable <= m.last_published());
            Ok(())
        })
        .into_iter()
        .for_each(|outcome| outcome.expect("no faults"));
        model.log.wait_durable(1, &|_| panic!("published already")).expect("no faults");
        assert_eq!((model.log.durable_lsn(), model.last_published()), (1, 1));
    });
}

#[test]
fn a_writer_and_one_who_closes() {
    explore(3, || {
        let model = Model::new();
        let outcomes = beside(&model, vec![|m| m.append(Durability::Sync).map(drop)], |m| m.log.close());
        outcomes[0].as_ref().expect("no faults");
        match &outcomes[1] {
            Ok(()) => assert_eq!(model.last_published(), 1),
            Err(e) => assert!(matches!(e, AppendError::Closed), "{e}"),
        }
        assert_eq!(model.log.durable_lsn(), model.log.last_lsn());
        assert_eq!(model.reopened(Arc::clone(&model.fs)), model.log.last_lsn());
    });
}

#[test]
fn two_writers_on_a_disk_that_fails() {
    // The write of the first group, its sync, the write of the second, ...
    for call in 1..=4 {
        for sticky in [false, true] {
            explore(3, move || {
                let disk = SimFs::new(1, CrashModel::WeakPosix);
                let model = Model::on(Arc::new(disk.clone()));
                disk.fail_call(disk.calls() + call, Fault::Eio, sticky);
                let outcomes = beside(&model, vec![|m| m.append(Durability::Sync)], |m| {
                    let outcome = m.append(Durability::Sync);
                    if outcome.is_err() {
                        assert!(matches!(m.append(Durability::None), Err(AppendError::Poisoned { .. })));
                    }
                    outcome
                });
                let acknowledged =
                    outcomes.iter().filter_map(|o| o.as_ref().ok()).max().copied().unwrap_or(0);
                assert!(acknowledged <= model.log.durable_lsn());
                for outcome in outcomes {
                    match outcome {
                        Ok(_) | Err(AppendError::Uncertain { .. } | AppendError::Poisoned { .. }) => {}
                        Err(e) => panic!("{e}"),
                    }
                }
                assert!(model.last_published() <= model.log.durable_lsn(), "published after a failure");
                disk.clear_faults();
                assert!(model.reopened(Arc::new(disk.crash(1))) >= acknowledged);
            });
        }
    }
}

#[test]
fn a_writer_an_anchor_and_a_mark() {
    explore(3, || {
        let model = Model::new();
        model.append(Durability::Sync).expect("no faults");
        let others: Vec<fn(&Model) -> _> = vec![|m| m.append(Durability::Sync).map(drop)];
        let outcomes = beside(&model, others, |m| {
            // The job of the append before: it must never wait.
            m.spawner.step();
            m.log.note_anchor(Anchor { generation: 1, digest: [1; 16] })
        });
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!((model.last_published(), model.log.durable_lsn()), (2, 2));
        assert_eq!(model.reopened(Arc::clone(&model.fs)), 2);
    });
}
