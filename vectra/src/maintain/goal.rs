//! What the background workers are asked for, how far they are, and how they are doing.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;
use vectra_wal::Lsn;

use super::space::Space;
use super::upkeep::{Summary, Upkeep};
use crate::engine::Committed;
use crate::error::{Error, ErrorKind};
use crate::segment::sealed::SealedView;
use crate::stats::Counters;

/// Failures in a row for want of room after which somebody who waits is told.
const FULL_TRIES: u32 = 3;

/// How the background work and the log are doing.
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
    /// The worker gave up, or the log failed. Reads go on; writes go on until too many rows lack a graph, but none after
    /// the log failed.
    Stopped {
        /// What happened.
        error: Error,
    },
}

impl Health {
    pub(super) fn error(&self) -> Option<&Error> {
        match self {
            Self::Good => None,
            Self::Degraded { error, .. } | Self::Stopped { error } => Some(error),
        }
    }
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

/// Who does a step. Each lane does one at a time, and neither waits for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Sealing and flushing: writers may be waiting for it.
    Urgent,
    /// Merging and building graphs: long, and nobody's answer depends on it.
    Heavy,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Urgent, Self::Heavy];
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) goal: Goal,
    /// It is about rows up to this LSN: what is written later may stay as it is.
    pub(super) upto: Lsn,
    /// Only segments with a smaller number can hold what was dead when the request was made. Grows with each request.
    pub(super) mark: u64,
}

impl Request {
    /// Whether a segment holds anything the request is about.
    pub(super) fn concerns(&self, view: &SealedView) -> bool {
        view.segment.entry.lsns.0 <= self.upto
    }
}

/// What a step goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) request: Request,
    /// Whether everything that the request is about is sealed and committed.
    pub(super) flushed: bool,
    /// Whether the index has been quiet for a while and something is left behind for the generation before.
    pub(super) settle: bool,
}

/// One lane.
#[derive(Debug, Default)]
pub(super) struct LaneState {
    /// A step is queued or running.
    pub(super) busy: bool,
    /// Somebody asked for a step while one was running: it may have looked too early.
    pub(super) wanted: bool,
    pub(super) failures: u32,
    pub(super) health: Health,
}

#[derive(Debug)]
pub(super) struct Progress {
    /// The furthest of what is asked for.
    pub(super) request: Request,
    /// The newest request that was met, for `Flushed`, `Optimized` and `Compacted`.
    met: [u64; 3],
    lanes: [LaneState; 2],
    /// A look at whether the index is quiet is queued.
    pub(super) settle_queued: bool,
    /// The index was found quiet: the next heavy step that finds nothing else to do settles.
    pub(super) settle_due: bool,
}

impl Progress {
    pub(super) fn lane(&mut self, lane: Lane) -> &mut LaneState {
        &mut self.lanes[lane as usize]
    }

    pub(super) fn is_busy(&self) -> bool {
        self.lanes.iter().any(|lane| lane.busy)
    }

    pub(super) fn task(&self) -> Task {
        let flushed = self.has_met(Goal::Flushed, self.request.mark);
        Task { request: self.request, flushed, settle: self.settle_due }
    }

    pub(super) fn ask(&mut self, request: Request) {
        let now = &mut self.request;
        now.goal = now.goal.max(request.goal);
        now.upto = now.upto.max(request.upto);
        now.mark = now.mark.max(request.mark);
    }

    pub(super) fn has_met(&self, goal: Goal, mark: u64) -> bool {
        goal == Goal::Background || self.met[goal as usize - 1] >= mark
    }

    /// Takes down that `lane`, going by `task`, found nothing left to do.
    pub(super) fn note_rest(&mut self, lane: Lane, task: &Task) {
        let (first, last) = match lane {
            Lane::Urgent => (Goal::Flushed, Goal::Flushed),
            Lane::Heavy if task.flushed => (Goal::Optimized, Goal::Compacted),
            Lane::Heavy => return,
        };
        for goal in [Goal::Flushed, Goal::Optimized, Goal::Compacted] {
            if (first..=last).contains(&goal) && goal <= task.request.goal {
                let met = &mut self.met[goal as usize - 1];
                *met = task.request.mark.max(*met);
            }
        }
        if self.has_met(self.request.goal, self.request.mark) {
            self.request.goal = Goal::Background;
        }
    }

    /// What keeps `goal` from being met.
    pub(super) fn trouble(&self, goal: Goal) -> Option<&Error> {
        let concerned = if goal > Goal::Flushed { &self.lanes[..] } else { &self.lanes[..1] };
        // A full disk is given some tries: what failed gives back what it wrote.
        let hopeful = |lane: &LaneState, error: &Error| {
            error.kind() == ErrorKind::Full && (1..FULL_TRIES).contains(&lane.failures)
        };
        concerned.iter().find_map(|lane| lane.health.error().filter(|error| !hopeful(lane, error)))
    }

    /// The worse of both lanes.
    pub(super) fn health(&self) -> Health {
        let stopped = self.lanes.iter().find(|lane| matches!(lane.health, Health::Stopped { .. }));
        let worst = stopped.or_else(|| self.lanes.iter().find(|lane| lane.health.error().is_some()));
        worst.map_or(Health::Good, |lane| lane.health.clone())
    }
}

/// The state of the background work.
#[derive(Debug)]
pub(crate) struct Maintenance {
    pub(super) upkeep: Upkeep,
    pub(super) progress: Mutex<Progress>,
    pub(super) changed: Condvar,
    /// Held while a step of that lane runs, so that it never meets another.
    pub(super) stepping: [Mutex<()>; 2],
    /// Segments (by number) whose stored bytes turned out damaged: they are left as they are, the others are tended.
    pub(super) set_aside: Mutex<BTreeMap<u64, Error>>,
    /// Why the last collection failed; the next one tries again.
    pub(super) uncollected: Mutex<Option<Error>>,
    /// Parts that no manifest names yet, so that the other lane does not collect them.
    pub(super) fresh: Mutex<BTreeSet<Uuid>>,
    pub(super) space: Space,
    pub(super) written: Counters,
    /// What was committed last, for those who do not want to wait for a commit.
    pub(super) summary: Mutex<Summary>,
}

impl Maintenance {
    pub(crate) fn new(upkeep: Upkeep, space: Space, committed: &Committed) -> Self {
        let progress = Progress {
            request: Request { goal: Goal::Background, upto: 0, mark: 0 },
            met: [0; 3],
            lanes: Default::default(),
            settle_queued: false,
            settle_due: false,
        };
        Self {
            upkeep,
            progress: Mutex::new(progress),
            changed: Condvar::new(),
            stepping: Default::default(),
            set_aside: Mutex::default(),
            uncollected: Mutex::default(),
            fresh: Mutex::default(),
            space,
            written: Counters::default(),
            summary: Mutex::new(Summary::of(committed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            request: Request { goal: Goal::Background, upto: 0, mark: 0 },
            met: [0; 3],
            lanes: Default::default(),
            settle_queued: false,
            settle_due: false,
        }
    }

    #[test]
    fn a_request_is_met_by_both_lanes_in_order() {
        let mut progress = progress();
        progress.ask(Request { goal: Goal::Compacted, upto: 7, mark: 3 });
        let early = progress.task();
        assert!(!early.flushed);
        progress.note_rest(Lane::Heavy, &early);
        assert!(!progress.has_met(Goal::Optimized, 3), "the other lane has not sealed everything yet");
        progress.note_rest(Lane::Urgent, &early);
        assert!(progress.has_met(Goal::Flushed, 3) && !progress.has_met(Goal::Compacted, 3));
        let task = progress.task();
        progress.note_rest(Lane::Heavy, &task);
        assert!(progress.has_met(Goal::Compacted, 3) && !progress.has_met(Goal::Compacted, 4));
        assert_eq!(progress.request.goal, Goal::Background);
    }

    #[test]
    fn a_request_made_during_a_step_is_not_met_by_it() {
        let mut progress = progress();
        progress.ask(Request { goal: Goal::Flushed, upto: 1, mark: 1 });
        let task = progress.task();
        progress.ask(Request { goal: Goal::Flushed, upto: 2, mark: 2 });
        progress.note_rest(Lane::Urgent, &task);
        assert!(progress.has_met(Goal::Flushed, 1) && !progress.has_met(Goal::Flushed, 2));
        assert_eq!(progress.request.goal, Goal::Flushed);
    }

    #[test]
    fn trouble_of_the_heavy_lane_does_not_concern_a_flush() {
        let mut progress = progress();
        let error = Error::invalid("on purpose");
        progress.lane(Lane::Heavy).health = Health::Stopped { error };
        assert!(progress.trouble(Goal::Flushed).is_none());
        assert!(progress.trouble(Goal::Compacted).is_some());
        assert!(matches!(progress.health(), Health::Stopped { .. }));
    }
}
