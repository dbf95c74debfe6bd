//! Who does the work and when: two lanes per index, each a step at a time, neither waiting for the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vectra_wal::Lsn;

use super::goal::{Goal, Health, Lane, Progress};
use super::step::Step;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};

/// How often a failing step is tried again before the worker gives up.
const RETRIES_MAX: u32 = 5;

impl Engine {
    /// Makes sure that both lanes look for something to do.
    pub(crate) fn kick(self: &Arc<Self>) {
        let mut progress = self.maintenance.progress.lock();
        Lane::ALL.into_iter().for_each(|lane| self.wake(&mut progress, lane));
    }

    pub(super) fn wake(self: &Arc<Self>, progress: &mut Progress, lane: Lane) {
        let state = progress.lane(lane);
        state.wanted = true;
        if !state.busy && !matches!(state.health, Health::Stopped { .. }) {
            state.busy = true;
            self.schedule(lane, Duration::ZERO);
        }
    }

    fn schedule(self: &Arc<Self>, lane: Lane, delay: Duration) {
        // A weak reference: queued work must not keep a dropped index open.
        let engine = Arc::downgrade(self);
        let spawner = &self.env.spawner;
        if !delay.is_zero() {
            let later = move || {
                if let Some(engine) = engine.upgrade() {
                    engine.schedule(lane, Duration::ZERO);
                }
            };
            return spawner.spawn_after(delay, "vectra-retry", Box::new(later));
        }
        let job = Box::new(move || {
            if let Some(engine) = engine.upgrade() {
                engine.run_step(lane);
            }
        });
        match lane {
            Lane::Urgent => spawner.spawn("vectra-seal", job),
            Lane::Heavy => spawner.spawn_low("vectra-merge", job),
        }
    }

    fn run_step(self: &Arc<Self>, lane: Lane) {
        let task = {
            let mut progress = self.maintenance.progress.lock();
            progress.lane(lane).wanted = false;
            progress.task()
        };
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _one_at_a_time = self.maintenance.stepping[lane as usize].lock();
            if self.closed.load(Ordering::Acquire) { Ok(Step::Closed) } else { self.step(lane, &task) }
        }));
        let mut progress = self.maintenance.progress.lock();
        match result {
            Ok(Ok(step)) => {
                let again = match step {
                    Step::Done => true,
                    Step::Closed => false,
                    Step::Nothing => {
                        progress.note_rest(lane, &task);
                        // A request made meanwhile is looked at before the lane rests, and so is what a request that
                        // is met now left alone.
                        progress.request.mark > task.request.mark
                            || progress.lane(lane).wanted
                            || (lane == Lane::Heavy
                                && task.request.goal > Goal::Flushed
                                && progress.request.goal == Goal::Background
                                && self.holds_more_than(&task.request))
                    }
                };
                let state = progress.lane(lane);
                (state.failures, state.health, state.busy) = (0, Health::Good, again);
                if again {
                    self.schedule(lane, Duration::ZERO);
                }
                match (lane, step) {
                    // There may be something to merge, or a goal that waited for the last seal.
                    (Lane::Urgent, Step::Done | Step::Nothing) if step == Step::Done || !task.flushed => {
                        self.wake(&mut progress, Lane::Heavy);
                    }
                    (_, Step::Nothing) => self.settle_later(&mut progress),
                    _ => {}
                }
            }
            Ok(Err(error)) => self.step_failed(&mut progress, lane, error),
            Err(_) => {
                let error = Error::new(ErrorKind::Unavailable, "a background job panicked; reopen the index");
                let state = progress.lane(lane);
                (state.busy, state.health) = (false, Health::Stopped { error });
            }
        }
        self.maintenance.changed.notify_all();
    }

    fn step_failed(self: &Arc<Self>, progress: &mut Progress, lane: Lane, error: Error) {
        tracing::warn!(%error, ?lane, "background step failed");
        // What nobody asked for does not take the room that deleting needs.
        let asked = progress.request.goal > Goal::Background;
        if error.kind() == ErrorKind::Full && asked && self.maintenance.space.drop_ballast() {
            return self.schedule(lane, Duration::ZERO);
        }
        if lane == Lane::Urgent {
            // It may have waited for what is not going to be sealed now.
            self.wake(progress, Lane::Heavy);
        }
        let permanent = !matches!(error.kind(), ErrorKind::Io | ErrorKind::Full | ErrorKind::Unavailable);
        let state = progress.lane(lane);
        state.failures += 1;
        if permanent {
            (state.busy, state.health) = (false, Health::Stopped { error });
            progress.request.goal = Goal::Background;
            return;
        }
        let since_ms = match state.health {
            Health::Degraded { since_ms, .. } => since_ms,
            _ => self.env.clock.unix_ms(),
        };
        state.health = Health::Degraded { since_ms, error };
        if state.failures > RETRIES_MAX {
            // Rests until the next write or wait asks again; a disk that was full may have room by then.
            (state.busy, state.failures) = (false, 0);
            progress.request.goal = Goal::Background;
        } else {
            let delay = Duration::from_millis(50 << state.failures);
            self.schedule(lane, delay);
        }
    }

    /// Arranges a look at whether the index is quiet, if something on disk waits for that.
    fn settle_later(self: &Arc<Self>, progress: &mut Progress) {
        if progress.is_busy() || progress.settle_queued || self.summary().settled {
            return;
        }
        progress.settle_queued = true;
        let (engine, seen) = (Arc::downgrade(self), self.cell.load().visible_lsn);
        let job = Box::new(move || {
            if let Some(engine) = engine.upgrade() {
                engine.look_whether_quiet(seen);
            }
        });
        self.env.spawner.spawn_after(self.maintenance.upkeep.settle_after, "vectra-settle", job);
    }

    /// Has the index settle if nothing was written since `seen` and nobody works on it.
    fn look_whether_quiet(self: &Arc<Self>, seen: Lsn) {
        let mut progress = self.maintenance.progress.lock();
        progress.settle_queued = false;
        if self.closed.load(Ordering::Acquire) || progress.is_busy() {
            // Whoever works arranges another look.
            return;
        }
        if self.cell.load().visible_lsn == seen {
            progress.settle_due = true;
            self.wake(&mut progress, Lane::Heavy);
        } else {
            self.settle_later(&mut progress);
        }
    }
}
