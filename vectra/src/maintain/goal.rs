//! What the background worker is asked for, how far it is, and how it is doing.

use std::collections::BTreeMap;

use parking_lot::{Condvar, Mutex};
use vectra_wal::Lsn;

use crate::error::Error;

/// How the background work is doing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is wrong.
    #[default]
    Good,
    /// The last step failed; it is tried again. Reads and writes go on.
    Degraded {
        /// Unix time in milliseconds of the first failure in a row.
        since_ms: u64,
        /// What happened.
        error: Error,
    },
    /// The worker gave up. Reads go on; writes go on until too many rows lack a graph.
    Stopped {
        /// What happened.
        error: Error,
    },
}

/// How far the caller wants things to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Goal {
    /// Only what has to be done anyway.
    Background,
    /// Everything sealed and in parts.
    Flushed,
    /// And merged, with every graph built.
    Optimized,
    /// And nothing dead left on disk.
    Compacted,
}

#[derive(Debug)]
pub(super) struct Progress {
    /// A step is queued or running.
    pub(super) busy: bool,
    pub(super) goal: Goal,
    /// The goal is about rows up to this LSN: what is written later may stay in memory.
    pub(super) upto: Lsn,
    pub(super) failures: u32,
    pub(super) health: Health,
    /// Somebody asked for a step while one was running: it may have looked too early.
    pub(super) wanted: bool,
}

/// The state of the background worker.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(super) progress: Mutex<Progress>,
    pub(super) changed: Condvar,
    /// Held while a step runs, so that a step never meets another.
    pub(super) stepping: Mutex<()>,
    /// Segments (by number) whose stored bytes turned out damaged: they are left as they are, the others are tended.
    pub(super) set_aside: Mutex<BTreeMap<u64, Error>>,
}

impl Default for Maintenance {
    fn default() -> Self {
        let progress = Progress {
            busy: false,
            goal: Goal::Background,
            upto: 0,
            failures: 0,
            health: Health::Good,
            wanted: false,
        };
        Self {
            progress: Mutex::new(progress),
            changed: Condvar::new(),
            stepping: Mutex::new(()),
            set_aside: Mutex::default(),
        }
    }
}
