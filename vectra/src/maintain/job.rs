//! Who does the work and when: one background worker per index, a step at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::goal::{Goal, Health, Progress};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};

/// How often a failing step is tried again before the worker gives up.
const RETRIES_MAX: u32 = 5;

impl Engine {
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
}
