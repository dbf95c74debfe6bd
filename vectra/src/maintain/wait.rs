//! The callers who wait for the background work, and the writers it slows down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vectra_wal::AppendError;

use super::goal::{Goal, Health, Lane, Request};
use super::upkeep::Summary;
use crate::engine::{Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::segment::sealed::SealedView;
use crate::snapshot::ShardState;
use crate::stats::Written;

/// The most rows without a graph before writers have to wait.
const BARE_ROWS_MAX: u64 = 131_072;

impl Engine {
    pub(crate) fn health(&self) -> Health {
        if let Err(error @ AppendError::Poisoned { .. }) = self.log.accepts() {
            return Health::Stopped { error: append_error(error) };
        }
        let health = self.maintenance.progress.lock().health();
        match (health, self.damage()) {
            (Health::Good, Some(error)) => Health::Degraded { since_ms: self.env.clock.unix_ms(), error },
            (health, _) => health,
        }
    }

    /// The newest generation, without waiting for a commit that is under way.
    pub(crate) fn summary(&self) -> Summary {
        self.maintenance.summary.lock().clone()
    }

    /// What was written since the index was opened, of it `log` bytes of log.
    pub(crate) fn written(&self, log: u64) -> Written {
        self.maintenance.written.read(log)
    }

    /// What keeps a segment from being tended or garbage from being collected, if anything does.
    fn damage(&self) -> Option<Error> {
        let set_aside = self.maintenance.set_aside.lock().values().next().cloned();
        set_aside.or_else(|| self.maintenance.uncollected.lock().clone())
    }

    /// Waits until everything written so far is brought to `goal`; helps where the workers have no threads of their own.
    pub(crate) fn reach(self: &Arc<Self>, goal: Goal) -> Result<()> {
        let request = {
            let mut progress = self.maintenance.progress.lock();
            for lane in Lane::ALL {
                let state = progress.lane(lane);
                // An old failure; whether it lasts is about to be seen.
                if matches!(state.health, Health::Degraded { .. }) {
                    state.health = Health::Good;
                }
            }
            // The number first: whatever is pinned later sees all that is dead by now.
            let mark = self.next_number();
            Request { goal, upto: self.cell.load().visible_lsn, mark }
        };
        loop {
            {
                let mut progress = self.maintenance.progress.lock();
                if progress.has_met(goal, request.mark) {
                    break;
                }
                if let Some(error) = progress.trouble(goal) {
                    return Err(error.clone());
                }
                let now = &progress.request;
                // Also when a lane gave up meanwhile and dropped the request with all others.
                if now.goal < goal || now.mark < request.mark || !progress.is_busy() {
                    progress.ask(request);
                    Lane::ALL.into_iter().for_each(|lane| self.wake(&mut progress, lane));
                }
            }
            self.help_or_wait();
        }
        match self.damage() {
            Some(error) if goal > Goal::Flushed => Err(error),
            _ => Ok(()),
        }
    }

    /// Does a background step, or waits a moment for one to end.
    fn help_or_wait(&self) {
        if !self.env.spawner.help() {
            let mut progress = self.maintenance.progress.lock();
            if progress.is_busy() {
                self.maintenance.changed.wait_for(&mut progress, Duration::from_millis(50));
            }
        }
    }

    /// Slows a writer down while too many rows wait for their graph; fails when nobody builds them any more.
    pub(crate) fn wait_for_room(self: &Arc<Self>) -> Result<()> {
        while self.bare_rows() > self.bare_rows_max(4) {
            self.check_open()?;
            if let Some(error) = self.health().error() {
                self.kick();
                let full = error.kind() == ErrorKind::Full;
                return Err(Error::caused(
                    if full { ErrorKind::Full } else { ErrorKind::Unavailable },
                    "too many rows wait for their graph, and building fails",
                    error.clone(),
                ));
            }
            self.kick();
            self.help_or_wait();
        }
        Ok(())
    }

    /// Whether graphs are put off: somebody asked for it, and there is something to gain from waiting on.
    pub(super) fn is_deferred(&self) -> bool {
        self.deferred.load(Ordering::Relaxed) > 0 && !self.is_crowded()
    }

    /// Whether so many rows lack a graph that unsealed ones have to be sealed for it.
    pub(super) fn is_crowded(&self) -> bool {
        self.bare_rows() > self.bare_rows_max(2)
    }

    /// How many rows may lack a graph. While optimization is put off it is `segments` of the largest segments: a graph
    /// is built once for each of those in any case, so that waiting for more gains nothing.
    fn bare_rows_max(&self, segments: u64) -> u64 {
        let deferred = self.deferred.load(Ordering::Relaxed) > 0;
        let put_off = if deferred { segments * u64::from(self.settings.segment_rows_max) } else { 0 };
        put_off.max(BARE_ROWS_MAX)
    }

    /// Rows that no graph covers. Those of a bulk load do not count while they stand in segments of their own: whoever
    /// loads many rows at once knows that they are searched by scan first, and nobody's writes should wait for it.
    fn bare_rows(&self) -> u64 {
        let state = self.cell.load();
        let bare = |shard: &ShardState| {
            let unsealed: u64 = shard.unsealed().map(|s| u64::from(s.len())).sum();
            let counted = |view: &&SealedView| !view.segment.has_graph() && !view.segment.is_loaded();
            let sealed = shard.sealed.iter().filter(counted);
            unsealed + sealed.map(|view| u64::from(view.segment.rows())).sum::<u64>()
        };
        state.shards.iter().map(|shard| bare(shard)).sum()
    }

    /// Waits for running steps to end; none starts once the engine is closed.
    pub(crate) fn wait_for_step(&self) {
        self.maintenance.stepping.iter().for_each(|stepping| drop(stepping.lock()));
    }
}
