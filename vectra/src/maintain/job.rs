//! Who does the work and when: one background worker per index, a step at a time, and the callers who wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use vectra_wal::Lsn;

use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::sealed::SealedView;
use crate::snapshot::ShardState;

/// The most rows without a graph before writers have to wait.
const BARE_ROWS_MAX: u64 = 131_072;
/// Segments of a size that are merged together.
const FAN_IN: usize = 4;
/// How often a failing step is tried again before the worker gives up.
const RETRIES_MAX: u32 = 5;
/// Log files that unsealed rows may pin before they are sealed by force.
const LOG_FILES_MAX: u64 = 4;

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
struct Progress {
    /// A step is queued or running.
    busy: bool,
    goal: Goal,
    /// The goal is about rows up to this LSN: what is written later may stay in memory.
    upto: Lsn,
    failures: u32,
    health: Health,
}

/// The state of the background worker.
#[derive(Debug)]
pub(crate) struct Maintenance {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Held while a step runs, so that a step never meets another.
    stepping: Mutex<()>,
}

impl Default for Maintenance {
    fn default() -> Self {
        let progress =
            Progress { busy: false, goal: Goal::Background, upto: 0, failures: 0, health: Health::Good };
        Self { progress: Mutex::new(progress), changed: Condvar::new(), stepping: Mutex::new(()) }
    }
}

impl Engine {
    pub(crate) fn health(&self) -> Health {
        self.maintenance.progress.lock().health.clone()
    }

    /// Makes sure that a step is on its way.
    pub(crate) fn kick(self: &Arc<Self>) {
        let mut progress = self.maintenance.progress.lock();
        if !progress.busy && !matches!(progress.health, Health::Stopped { .. }) {
            progress.busy = true;
            self.schedule(Duration::ZERO);
        }
    }

    fn schedule(self: &Arc<Self>, delay: Duration) {
        // A weak reference: queued work must not keep a dropped index open.
        let engine = Arc::downgrade(self);
        let job = Box::new(move || {
            if let Some(engine) = engine.upgrade() {
                engine.run_step();
            }
        });
        if delay.is_zero() {
            self.env.spawner.spawn("vectra-maintain", job);
        } else {
            self.env.spawner.spawn_after(delay, "vectra-maintain", job);
        }
    }

    fn run_step(self: &Arc<Self>) {
        let (goal, upto) = {
            let progress = self.maintenance.progress.lock();
            (progress.goal, progress.upto)
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _one_at_a_time = self.maintenance.stepping.lock();
            if self.closed.load(Ordering::Acquire) { Ok(false) } else { self.step(goal, upto) }
        }));
        let mut progress = self.maintenance.progress.lock();
        match result {
            Ok(Ok(more)) => {
                progress.failures = 0;
                progress.health = Health::Good;
                // A goal raised meanwhile is looked at before the worker rests.
                progress.busy = more || progress.goal > goal || progress.upto > upto;
                if progress.busy {
                    self.schedule(Duration::ZERO);
                } else {
                    progress.goal = Goal::Background;
                }
            }
            Ok(Err(error)) => self.step_failed(&mut progress, error),
            Err(_) => {
                progress.busy = false;
                let error = Error::new(ErrorKind::Unavailable, "a background job panicked; reopen the index");
                progress.health = Health::Stopped { error };
            }
        }
        self.maintenance.changed.notify_all();
    }

    fn step_failed(self: &Arc<Self>, progress: &mut Progress, error: Error) {
        tracing::warn!(%error, "background step failed");
        let permanent = !matches!(error.kind(), ErrorKind::Io | ErrorKind::Full | ErrorKind::Unavailable);
        progress.failures += 1;
        if permanent || progress.failures > RETRIES_MAX {
            progress.busy = false;
            progress.goal = Goal::Background;
            progress.health = Health::Stopped { error };
            return;
        }
        let since_ms = match progress.health {
            Health::Degraded { since_ms, .. } => since_ms,
            _ => self.env.clock.unix_ms(),
        };
        progress.health = Health::Degraded { since_ms, error };
        self.schedule(Duration::from_millis(50 << progress.failures));
    }

    /// Does the most urgent thing; whether there was anything to do.
    fn step(&self, goal: Goal, upto: Lsn) -> Result<bool> {
        for number in 0..self.shards.len() {
            if self.seal_oldest(number)? {
                return Ok(true);
            }
        }
        let flush = if goal >= Goal::Flushed {
            Some(upto)
        } else {
            (self.log.stats().files > LOG_FILES_MAX).then(|| self.cell.load().visible_lsn)
        };
        if let Some(upto) = flush {
            for number in 0..self.shards.len() {
                if self.freeze_upto(number, upto)? {
                    return Ok(true);
                }
            }
        }
        for number in 0..self.shards.len() {
            let state = self.cell.load();
            match self.choose(goal, &state.shards[number]) {
                Choice::Nothing => {}
                Choice::Merge(positions) => return self.merge(number, &positions).map(|()| true),
                Choice::BuildGraph(position) => return self.build_graph(number, position).map(|()| true),
            }
        }
        flush.map_or(Ok(false), |upto| self.finish(goal, upto))
    }

    fn choose(&self, goal: Goal, shard: &ShardState) -> Choice {
        let stats: Vec<SegmentStats> = shard
            .sealed
            .iter()
            .map(|view| SegmentStats {
                rows: view.segment.rows(),
                live: view.live(),
                overlay: view.overlay.len() as u32,
                has_graph: view.segment.has_graph(),
            })
            .collect();
        let rows_max = self.settings.segment_rows_max;
        match goal {
            Goal::Optimized => Everything { rows_max, drop_dead: false }.choose(&stats),
            Goal::Compacted => Everything { rows_max, drop_dead: true }.choose(&stats),
            Goal::Background | Goal::Flushed => {
                let defer_graphs = goal == Goal::Flushed || self.deferred.load(Ordering::Relaxed) > 0;
                SizeTiered { fan_in: FAN_IN, rows_max, defer_graphs }.choose(&stats)
            }
        }
    }

    /// Commits what is left in memory only, then settles.
    fn finish(&self, goal: Goal, upto: Lsn) -> Result<bool> {
        for number in 0..self.shards.len() {
            let behind = {
                let state = self.cell.load();
                let shard = &state.shards[number];
                let covered = self.committed.lock().newest.shards[number].covered_lsn;
                shard.sealed.iter().any(SealedView::is_dirty) || shard.mutable.len() == 0 && covered < upto
            };
            if behind {
                self.commit(number, &|shard, _| shard.clone())?;
                return Ok(true);
            }
        }
        if goal == Goal::Compacted {
            self.settle()?;
        }
        Ok(false)
    }

    /// Waits until the worker has brought everything to `goal`; helps where it has no threads of its own.
    pub(crate) fn reach(self: &Arc<Self>, goal: Goal) -> Result<()> {
        {
            let mut progress = self.maintenance.progress.lock();
            progress.goal = progress.goal.max(goal);
            progress.upto = progress.upto.max(self.cell.load().visible_lsn);
            if let Health::Stopped { error } = &progress.health {
                return Err(error.clone());
            }
        }
        self.kick();
        loop {
            let mut progress = self.maintenance.progress.lock();
            match &progress.health {
                Health::Degraded { error, .. } | Health::Stopped { error } => return Err(error.clone()),
                Health::Good if !progress.busy => return Ok(()),
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
    }

    /// Slows a writer down while too many rows wait for their graph; fails when nobody builds them any more.
    pub(crate) fn wait_for_room(self: &Arc<Self>) -> Result<()> {
        while self.deferred.load(Ordering::Relaxed) == 0 && self.bare_rows() > BARE_ROWS_MAX {
            if let Health::Stopped { error } = self.health() {
                return Err(Error::caused(
                    ErrorKind::Unavailable,
                    "no graphs are being built; writes have stopped",
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
