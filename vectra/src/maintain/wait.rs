//! The callers who wait for the background worker, and the writers it slows down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::goal::{Goal, Health};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::ShardState;

/// The most rows without a graph before writers have to wait.
pub(super) const BARE_ROWS_MAX: u64 = 131_072;

impl Engine {
    pub(crate) fn health(&self) -> Health {
        let health = self.maintenance.progress.lock().health.clone();
        match (health, self.damage()) {
            (Health::Good, Some(error)) => Health::Degraded { since_ms: self.env.clock.unix_ms(), error },
            (health, _) => health,
        }
    }

    /// The damage that keeps a segment from being tended, if any was met.
    fn damage(&self) -> Option<Error> {
        self.maintenance.set_aside.lock().values().next().cloned()
    }

    /// Waits until the worker has brought everything to `goal`; helps where it has no threads of its own.
    pub(crate) fn reach(self: &Arc<Self>, goal: Goal) -> Result<()> {
        {
            let mut progress = self.maintenance.progress.lock();
            progress.goal = progress.goal.max(goal);
            progress.upto = progress.upto.max(self.cell.load().visible_lsn);
            match &progress.health {
                Health::Stopped { error } => return Err(error.clone()),
                // An old failure; whether it lasts is about to be seen.
                Health::Degraded { .. } if !progress.busy => progress.health = Health::Good,
                _ => {}
            }
        }
        self.kick();
        loop {
            let mut progress = self.maintenance.progress.lock();
            match &progress.health {
                Health::Degraded { error, .. } | Health::Stopped { error } => return Err(error.clone()),
                Health::Good if !progress.busy => break,
                Health::Good => {}
            }
            drop(progress);
            if !self.env.spawner.help() {
                progress = self.maintenance.progress.lock();
                if progress.busy {
                    self.maintenance.changed.wait_for(&mut progress, Duration::from_millis(50));
                }
            }
        }
        if goal == Goal::Flushed {
            // A flush leaves graphs for later; later begins now.
            self.kick();
        }
        match self.damage() {
            Some(error) if goal > Goal::Flushed => Err(error),
            _ => Ok(()),
        }
    }

    /// Slows a writer down while too many rows wait for their graph; fails when nobody builds them any more.
    pub(crate) fn wait_for_room(self: &Arc<Self>) -> Result<()> {
        while self.deferred.load(Ordering::Relaxed) == 0 && self.bare_rows() > BARE_ROWS_MAX {
            if let Health::Stopped { error } | Health::Degraded { error, .. } = self.health() {
                self.kick();
                return Err(Error::caused(
                    ErrorKind::Unavailable,
                    "too many rows wait for their graph, and building fails",
                    error,
                ));
            }
            self.kick();
            if !self.env.spawner.help() {
                let mut progress = self.maintenance.progress.lock();
                if progress.busy {
                    self.maintenance.changed.wait_for(&mut progress, Duration::from_millis(50));
                }
            }
        }
        Ok(())
    }

    /// Rows that no graph covers.
    pub(crate) fn bare_rows(&self) -> u64 {
        let state = self.cell.load();
        let bare = |shard: &ShardState| {
            let unsealed: u64 = shard.unsealed().map(|s| u64::from(s.len())).sum();
            let sealed = shard.sealed.iter().filter(|view| !view.segment.has_graph());
            unsealed + sealed.map(|view| u64::from(view.segment.rows())).sum::<u64>()
        };
        state.shards.iter().map(|shard| bare(shard)).sum()
    }

    /// Waits for a running step to end; none starts once the engine is closed.
    pub(crate) fn wait_for_step(&self) {
        drop(self.maintenance.stepping.lock());
    }
}
