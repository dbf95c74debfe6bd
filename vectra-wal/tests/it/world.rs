//! A log on a simulated disk, a script of what happens to it, and the ledger of what it owes its caller.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::Fs;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_wal::{Anchor, Durability, FileLog, Frame, Log, Lsn, OpenError, Options, Recovery, Ticket};

pub(crate) const MODELS: [CrashModel; 2] = [CrashModel::WeakPosix, CrashModel::Ext4Ordered];

/// Where the log is.
pub(crate) fn wal_dir() -> PathBuf {
    PathBuf::from("/index/wal")
}

/// A frame kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) kind: u8,
    pub(crate) first_lsn: Lsn,
    pub(crate) op_count: u32,
    pub(crate) payload: Vec<u8>,
}

impl Owned {
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.first_lsn + u64::from(self.op_count) - 1
    }
}

impl From<Frame<'_>> for Owned {
    fn from(frame: Frame<'_>) -> Self {
        let Frame { kind, first_lsn, op_count, payload, .. } = frame;
        Self { kind, first_lsn, op_count, payload: payload.to_vec() }
    }
}

/// Bytes that differ from frame to frame.
pub(crate) fn payload(seed: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| ((seed.wrapping_mul(131) / 2 + i * 7) % 251) as u8).collect()
}

/// Small files, so that a few frames reach rotation.
pub(crate) fn small_options() -> Options {
    let mut options = Options::new(*b"the index's uuid");
    options.file_bytes_min = 4096 + 700;
    options.file_bytes_max = 4096 + 2000;
    options.reserve_bytes = 300;
    options
}

pub(crate) fn sim_env(seed: u64) -> (Env, Arc<SimSpawner>) {
    let clock = Arc::new(SimClock::new(seed));
    let spawner = Arc::new(SimSpawner::new(seed, Arc::clone(&clock)));
    let env = Env { clock, rng: Arc::new(SeededRng::new(seed)), spawner: Arc::<SimSpawner>::clone(&spawner) };
    (env, spawner)
}

/// Opens the log and collects its frames.
pub(crate) fn open(
    fs: Arc<dyn Fs>,
    dir: &Path,
    env: &Env,
    options: Options,
) -> Result<(FileLog, Recovery, Vec<Owned>), OpenError> {
    let mut frames = Vec::new();
    let (log, recovery) = FileLog::open(fs, dir, env, options, &mut |frame| {
        frames.push(Owned::from(frame));
        Ok(())
    })?;
    Ok((log, recovery, frames))
}

/// Something that happens to a log.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Queues a frame of so many bytes and operations; a later commit takes it along.
    Queue(usize, u32),
    /// Queues and commits a frame.
    Append(usize, u32, Durability),
    /// Makes everything durable.
    Sync,
    /// Truncates everything but this many newest operations.
    TruncateTo(u64),
    /// Lets background jobs run, marks included.
    Tick,
    /// The owner publishes its next generation and notes it.
    Anchor,
    /// The process dies and comes back.
    Reopen,
    /// The log is closed and opened again.
    CloseAndReopen,
}

/// What the log owes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// Whether creation was reported.
    pub(crate) created: bool,
    /// Everything queued, in order.
    pub(crate) frames: Vec<Owned>,
    /// What was reported durable.
    pub(crate) durable: Lsn,
    /// What was published.
    pub(crate) published: Lsn,
    /// What a mark or its like testifies to: from here down damage must be provable.
    pub(crate) marked: Lsn,
    /// Highest generation whose note was begun, was written, and was synced.
    pub(crate) noting: u64,
    pub(crate) noted: u64,
    pub(crate) noted_durable: u64,
    /// What truncation was allowed to remove ends before this.
    pub(crate) floor: Lsn,
}

/// Why a script ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The log reported a failure, which is its right when the disk fails.
    Failed(String),
    /// The log broke a promise.
    Broken(String),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(text) => write!(f, "failed: {text}"),
            Self::Broken(text) => write!(f, "broke a promise: {text}"),
        }
    }
}

pub(crate) fn broken(text: impl Into<String>) -> Stop {
    Stop::Broken(text.into())
}

fn failed(error: &dyn std::error::Error) -> Stop {
    Stop::Failed(error.to_string())
}

/// An opened log may end anywhere behind what was durable; the rest of the ledger is then void.
pub(crate) fn settle(ledger: &mut Ledger, recovery: &Recovery, replayed: &[Owned]) -> Result<(), Stop> {
    let last = recovery.last_lsn;
    if last < ledger.durable {
        return Err(broken(format!("LSN {} was durable, the log ends with {last}", ledger.durable)));
    }
    ledger.frames.retain(|frame| frame.last_lsn() <= last);
    if ledger.frames.last().map_or(0, Owned::last_lsn) != last {
        return Err(broken(format!("the log ends with LSN {last}, which nobody wrote")));
    }
    let expected: Vec<&Owned> = ledger.frames.iter().filter(|f| f.last_lsn() >= ledger.floor).collect();
    if expected != replayed.iter().collect::<Vec<_>>() {
        return Err(broken(format!("replayed {} frames, expected {}", replayed.len(), expected.len())));
    }
    let noted = recovery.anchor.map_or(0, |c| c.generation);
    if recovery.anchor.is_some_and(|c| c != anchor(noted)) {
        return Err(broken(format!("{:?} was never noted", recovery.anchor)));
    }
    if noted < ledger.noted_durable || noted > ledger.noting {
        return Err(broken(format!("generation {} was noted, the log knows {noted}", ledger.noted_durable)));
    }
    // What was read was made durable before it was served, and the header of the fresh file testifies to it.
    (ledger.durable, ledger.published, ledger.marked) = (last, last, last);
    (ledger.noting, ledger.noted, ledger.noted_durable) = (noted, noted, noted);
    Ok(())
}

/// What the owner publishes as a generation.
pub(crate) fn anchor(generation: u64) -> Anchor {
    Anchor { generation, digest: [generation as u8; 16] }
}

/// A disk, and what is needed to run a log on it.
pub(crate) struct World {
    pub(crate) fs: SimFs,
    env: Env,
    spawner: Arc<SimSpawner>,
    pub(crate) options: Options,
}

impl World {
    /// A disk with the folder the log's folder belongs into.
    pub(crate) fn new(seed: u64, model: CrashModel) -> Self {
        let fs = SimFs::new(seed, model);
        let root: &dyn Fs = &fs;
        root.mkdir(Path::new("/index")).expect("a fresh disk");
        root.sync_dir(Path::new("/")).expect("a fresh disk");
        Self::on(fs, seed)
    }

    pub(crate) fn on(fs: SimFs, seed: u64) -> Self {
        let (env, spawner) = sim_env(seed);
        Self { fs, env, spawner, options: small_options() }
    }

    pub(crate) fn fs(&self) -> Arc<dyn Fs> {
        Arc::new(self.fs.clone())
    }

    /// Opens the log and holds it against the ledger.
    pub(crate) fn open(&self, ledger: &mut Ledger) -> Result<FileLog, Stop> {
        let options = Options { replay_from: ledger.floor, ..self.options.clone() };
        match open(self.fs(), &wal_dir(), &self.env, options) {
            Ok((log, recovery, replayed)) => {
                settle(ledger, &recovery, &replayed)?;
                if (log.last_lsn(), log.durable_lsn()) != (recovery.last_lsn, recovery.last_lsn) {
                    return Err(broken("an opened log is durable to its end"));
                }
                Ok(log)
            }
            Err(e @ OpenError::Io { .. }) => Err(failed(&e)),
            Err(OpenError::Missing { .. }) if !ledger.created => {
                let log = FileLog::create(self.fs(), &wal_dir(), &self.env, self.options.clone())
                    .map_err(|e| failed(&e))?;
                ledger.created = true;
                Ok(log)
            }
            Err(e) => Err(broken(format!("the log does not open: {e}"))),
        }
    }

    /// Runs the whole script on a new or existing log.
    pub(crate) fn run(&self, ledger: &mut Ledger, steps: &[Step]) -> Result<(), Stop> {
        let mut log = self.open(ledger)?;
        for step in steps {
            match step {
                Step::CloseAndReopen => {
                    log.close().map_err(|e| failed(&e))?;
                    ledger.durable = ledger.frames.last().map_or(0, Owned::last_lsn);
                    ledger.noted_durable = ledger.noted;
                    drop(log);
                    log = self.open(ledger)?;
                }
                Step::Reopen => {
                    drop(log);
                    // The process died, not the machine: what was published is still there.
                    let (durable, noted_durable) = (ledger.published, ledger.noted);
                    let mut owed = Ledger { durable, noted_durable, ..ledger.clone() };
                    log = self.open(&mut owed)?;
                    *ledger = owed;
                }
                other => self.step(&log, ledger, other)?,
            }
            if log.durable_lsn() < ledger.durable {
                return Err(broken("durable_lsn went back"));
            }
            ledger.durable = log.durable_lsn();
        }
        Ok(())
    }

    fn step(&self, log: &FileLog, ledger: &mut Ledger, step: &Step) -> Result<(), Stop> {
        let before = log.stats();
        let published = RefCell::new(vec![ledger.published]);
        let publish = |lsn: Lsn| published.borrow_mut().push(lsn);
        let outcome = match step {
            Step::Queue(len, op_count) => queue(log, ledger, *len, *op_count).map(drop),
            Step::Append(len, op_count, durability) => {
                let ticket = queue(log, ledger, *len, *op_count)?;
                let outcome = log.commit(&ticket, *durability, &publish).map_err(|e| failed(&e));
                if outcome.is_ok() && *durability == Durability::Sync {
                    ledger.durable = ledger.durable.max(ticket.last_lsn);
                }
                outcome
            }
            Step::Sync => match log.sync(&publish) {
                Ok(lsn) if lsn == log.last_lsn() => {
                    ledger.durable = lsn;
                    Ok(())
                }
                Ok(lsn) => Err(broken(format!("sync left off at LSN {lsn}"))),
                Err(e) => Err(failed(&e)),
            },
            Step::TruncateTo(keep) => {
                // The owner's anchor covers only what is durable.
                ledger.floor = ledger.floor.max((ledger.durable + 1).saturating_sub(*keep));
                log.truncate(ledger.floor).map_err(|e| failed(&e))
            }
            Step::Tick => {
                self.spawner.run_all();
                if log.stats().poisoned { Err(Stop::Failed("poisoned".into())) } else { Ok(()) }
            }
            Step::Anchor => {
                ledger.noting = ledger.noted + 1;
                let outcome = log.note_anchor(anchor(ledger.noting)).map_err(|e| failed(&e));
                if outcome.is_ok() {
                    ledger.noted = ledger.noting;
                }
                outcome
            }
            Step::Reopen | Step::CloseAndReopen => unreachable!("done by run"),
        };
        let published = published.into_inner();
        if !published.is_sorted_by(|a, b| a < b) {
            return Err(broken(format!("published out of order: {published:?}")));
        }
        ledger.published = published[published.len() - 1];
        if outcome.is_ok() {
            if log.stats().syncs > before.syncs {
                ledger.noted_durable = ledger.noted;
            }
            if log.stats().marks > before.marks {
                ledger.marked = log.durable_lsn();
            }
        }
        outcome
    }
}

fn queue(log: &FileLog, ledger: &mut Ledger, len: usize, op_count: u32) -> Result<Ticket, Stop> {
    let seed = log.last_lsn() + 1000 * ledger.frames.len() as u64;
    let (kind, payload) = (seed as u8, payload(seed, len));
    let ticket = log.enqueue(kind, op_count, payload.clone()).map_err(|e| failed(&e))?;
    ledger.frames.push(Owned { kind, first_lsn: ticket.first_lsn, op_count, payload });
    Ok(ticket)
}

/// Background syncs come after this long.
pub(crate) const INTERVAL: Durability = Durability::Interval(Duration::from_millis(50));

/// A script that reaches every road: groups, rotation, truncation, both ways of ending and background syncs.
pub(crate) fn script() -> Vec<Step> {
    use Step::{Anchor, Append, CloseAndReopen, Queue, Reopen, Sync, Tick, TruncateTo};
    vec![
        Append(100, 1, Durability::Sync),
        Append(0, 3, Durability::None),
        Queue(40, 2),
        Append(300, 1, Durability::Sync),
        Append(250, 1, INTERVAL),
        Append(600, 2, Durability::None),
        Append(30, 1, Durability::None),
        Tick,
        Append(520, 1, Durability::Sync),
        Append(60, 1, Durability::None),
        Tick,
        Anchor,
        Tick,
        Reopen,
        Anchor,
        Append(10, 1, Durability::None),
        Append(700, 4, Durability::Sync),
        TruncateTo(8),
        Queue(5, 1),
        Sync,
        Tick,
        Append(1200, 1, Durability::Sync),
        Append(64, 1, Durability::None),
        Append(800, 1, Durability::None),
        Append(790, 1, Durability::None),
        CloseAndReopen,
        Append(80, 1, Durability::Sync),
        Append(1000, 1, Durability::None),
        Tick,
        Anchor,
        TruncateTo(0),
        Anchor,
        Append(900, 1, INTERVAL),
        Tick,
        Append(33, 2, Durability::Sync),
    ]
}
