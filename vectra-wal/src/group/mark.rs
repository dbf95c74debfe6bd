//! Notes of the log's own: anchors at once, marks when the log falls idle.

use std::time::Duration;

use crate::error::AppendError;
use crate::log::Anchor;
use crate::writer::Writer;

use super::{Group, State};

/// How long the log must have been idle before it marks what it synced.
pub(crate) const MARK_DELAY: Duration = Duration::from_millis(100);

/// A mark to be made once nothing has happened for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkDue {
    /// When to try, from now.
    pub(crate) delay: Duration,
    /// How many turns there had been: if there are more by then, the log was not idle.
    turns: u64,
}

/// What is known about the log's last activity.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Turns taken so far.
    turns: u64,
    /// When the last one ended, on the clock of the environment.
    active_at: Duration,
    /// Whether something was made durable that no mark or header testifies to yet.
    mark_owed: bool,
    /// Whether a background mark is pending.
    mark_armed: bool,
}

impl Rest {
    /// How many turns have ended.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    /// A turn has ended.
    pub(super) fn note(&mut self, writer: &Writer) {
        self.turns += 1;
        self.active_at = writer.env.clock.now();
        self.mark_owed = writer.mark_owed;
    }
}

impl State {
    /// Whether a background mark must be arranged, and is not yet. Who gets one must arrange it.
    pub(super) fn arm_mark(&mut self) -> Option<MarkDue> {
        if !self.rest.mark_owed || self.rest.mark_armed || self.closed || self.fault.is_some() {
            return None;
        }
        self.rest.mark_armed = true;
        Some(MarkDue { delay: MARK_DELAY, turns: self.rest.turns })
    }
}

impl Group {
    /// Writes down that the owner published `anchor`, in a turn of its own.
    pub(crate) fn note_anchor(&self, anchor: Anchor) -> Result<Option<MarkDue>, AppendError> {
        assert!(anchor.generation > 0, "generations count from 1");
        let state = self.wait_for_turn();
        state.check_open()?;
        let (mut state, done) = self.turn(state, |writer| writer.note_anchor(anchor), None);
        match done {
            Some(()) => Ok(state.arm_mark()),
            None => Err(state.fault_of(0).expect("a turn without result poisons")),
        }
    }

    /// See [`State::arm_mark`].
    pub(crate) fn arm_mark(&self) -> Option<MarkDue> {
        self.state.lock().arm_mark()
    }

    /// Marks what is durable if nothing has happened since `due` was made, as a background job; returns when to try
    /// again if something has. `now` is the environment's monotonic time. Never waits.
    pub(crate) fn background_mark(&self, due: MarkDue, now: Duration) -> Option<MarkDue> {
        let mut state = self.state.lock();
        if state.fault.is_some() || state.closed || !state.rest.mark_owed {
            state.rest.mark_armed = false;
            return None;
        }
        let rested = now.saturating_sub(state.rest.active_at);
        // The count also serves where the clock stands still.
        if state.busy || (state.rest.turns != due.turns && rested < MARK_DELAY) {
            let delay = MARK_DELAY.saturating_sub(rested);
            let delay = if delay.is_zero() { MARK_DELAY } else { delay };
            return Some(MarkDue { delay, turns: state.rest.turns });
        }
        state.rest.mark_armed = false;
        _ = self.turn(state, Writer::mark, None);
        None
    }
}
