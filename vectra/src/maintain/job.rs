//! Who does the work and when: one background worker per index, a step at a time, and the callers who wait for it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use vectra_wal::Lsn;

use super::policy::{Choice, CompactionPolicy, Everything, SegmentStats, SizeTiered};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
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
    /// Somebody asked for a step while one was running: it may have looked too early.
    wanted: bool,
}

/// The state of the background worker.
#[derive(Debug)]
pub(crate) struct Maintenance {
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Held while a step runs, so that a step never meets another.
    stepping: Mutex<()>,
    /// Segments (by number) whose stored bytes turned out damaged: they are left as they are, the others are tended.
    set_aside: Mutex<BTreeMap<u64, Error>>,
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

    /// Makes sure that a step is on its way.
    pub(crate) fn kick(self: &Arc<Self>) {
        let mut progress = self.maintenance.progress.lock();
        progress.wanted = true;
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
            let mut progress = self.maintenance.progress.lock();
            progress.wanted = false;
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
                progress.busy = more || progress.wanted || progress.goal > goal || progress.upto > upto;
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
        if permanent {
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
        if progress.failures > RETRIES_MAX {
            // Rests until the next write or wait asks again; a disk that was full may have room by then.
            progress.busy = false;
            progress.goal = Goal::Background;
            progress.failures = 0;
        } else {
            self.schedule(Duration::from_millis(50 << progress.failures));
        }
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
            let forced = self.log.stats().files > LOG_FILES_MAX || self.bare_rows() > BARE_ROWS_MAX;
            forced.then(|| self.cell.load().visible_lsn)
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
                Choice::Merge(positions) => {
                    return self.tend(&state.shards[number], &positions, || self.merge(number, &positions));
                }
                Choice::BuildGraph(position) => {
                    return self
                        .tend(&state.shards[number], &[position], || self.build_graph(number, position));
                }
            }
        }
        flush.map_or(Ok(false), |upto| self.finish(goal, upto))
    }

    /// Works on some segments of a shard. Damage met there sets them aside instead of stopping everything else.
    fn tend(
        &self,
        shard: &ShardState,
        positions: &[usize],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<bool> {
        match work() {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "damaged segments are left as they are");
                let numbers = positions.iter().map(|position| shard.sealed[*position].segment.number);
                self.maintenance.set_aside.lock().extend(numbers.map(|number| (number, error.clone())));
                Ok(true)
            }
            done => done.map(|()| true),
        }
    }

    fn choose(&self, goal: Goal, shard: &ShardState) -> Choice {
        let set_aside = self.maintenance.set_aside.lock();
        let tended =
            shard.sealed.iter().enumerate().filter(|(_, view)| !set_aside.contains_key(&view.segment.number));
        let (positions, stats): (Vec<usize>, Vec<SegmentStats>) = tended
            .map(|(position, view)| {
                let stats = SegmentStats {
                    rows: view.segment.rows(),
                    live: view.live(),
                    overlay: view.overlay.len() as u32,
                    has_graph: view.segment.has_graph(),
                };
                (position, stats)
            })
            .unzip();
        let rows_max = self.settings.segment_rows_max;
        let choice = match goal {
            Goal::Optimized => Everything { rows_max, drop_dead: false }.choose(&stats),
            Goal::Compacted => Everything { rows_max, drop_dead: true }.choose(&stats),
            Goal::Background | Goal::Flushed => {
                let defer_graphs = goal == Goal::Flushed || self.deferred.load(Ordering::Relaxed) > 0;
                SizeTiered { fan_in: FAN_IN, rows_max, defer_graphs }.choose(&stats)
            }
        };
        match choice {
            Choice::Nothing => Choice::Nothing,
            Choice::Merge(chosen) => Choice::Merge(chosen.into_iter().map(|i| positions[i]).collect()),
            Choice::BuildGraph(i) => Choice::BuildGraph(positions[i]),
        }
    }

    /// Commits what is left in memory only, then settles.
    fn finish(&self, goal: Goal, upto: Lsn) -> Result<bool> {
        for number in 0..self.shards.len() {
            // Everything up to `upto` is sealed by now, so a commit covers it: later writes do not keep a flush waiting.
            if self.committed.lock().newest.shards[number].covered_lsn < upto {
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
