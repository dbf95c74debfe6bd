//! The log that remembers nothing.

use parking_lot::{Mutex, MutexGuard};

use crate::error::AppendError;
use crate::frame::PAYLOAD_BYTES_CEILING;
use crate::log::{Anchor, Durability, Log, LogStats, Lsn, Ticket};

/// Hands out LSNs and publishes at once: for data that may be lost, and for tests.
///
/// `durable_lsn` is the last published LSN, so that nobody waits for a durability that never comes.
#[derive(Debug, Default)]
pub struct NullLog {
    state: Mutex<State>,
    /// Held while publishing, so that publications happen in order.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    last_lsn: Lsn,
    published: Lsn,
    closed: bool,
    stats: LogStats,
}

impl NullLog {
    /// A log whose first LSN is 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// A log whose first LSN follows `last_lsn`.
    pub fn starting_after(last_lsn: Lsn) -> Self {
        let state = State { last_lsn, published: last_lsn, ..State::default() };
        Self { state: Mutex::new(state), turn: Mutex::new(()) }
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, AppendError> {
        let state = self.state.lock();
        if state.closed { Err(AppendError::Closed) } else { Ok(state) }
    }

    fn publish_up_to(&self, lsn: Lsn, publish: &dyn Fn(Lsn)) -> Result<(), AppendError> {
        let _turn = self.turn.lock();
        let group = {
            let state = self.state.lock();
            if lsn > state.last_lsn {
                return Err(AppendError::UnknownTicket { lsn });
            }
            (state.published < lsn).then_some(state.last_lsn)
        };
        if let Some(last) = group {
            publish(last);
            let mut state = self.state.lock();
            state.published = last;
            state.stats.groups += 1;
        }
        Ok(())
    }
}

impl Log for NullLog {
    fn enqueue(&self, _kind: u8, op_count: u32, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        let mut state = self.open_state()?;
        let (len, max) = (payload.len() as u64, u64::from(PAYLOAD_BYTES_CEILING));
        let last = state.last_lsn;
        if op_count == 0 {
            return Err(AppendError::NoOperations);
        } else if len > max {
            return Err(AppendError::PayloadTooLarge { len, max });
        } else if last >= Lsn::MAX - 1 - u64::from(op_count) {
            return Err(AppendError::LsnExhausted { last });
        }
        let ticket = Ticket::new(last + 1, op_count);
        state.last_lsn = ticket.last_lsn;
        state.stats.frames += 1;
        Ok(ticket)
    }

    fn commit(
        &self,
        ticket: &Ticket,
        _durability: Durability,
        publish: &dyn Fn(Lsn),
    ) -> Result<(), AppendError> {
        self.publish_up_to(ticket.last_lsn, publish)
    }

    fn sync(&self, publish: &dyn Fn(Lsn)) -> Result<Lsn, AppendError> {
        let last = self.open_state()?.last_lsn;
        self.publish_up_to(last, publish)?;
        Ok(self.durable_lsn())
    }

    fn wait_durable(&self, lsn: Lsn, publish: &dyn Fn(Lsn)) -> Result<(), AppendError> {
        self.publish_up_to(lsn, publish)
    }

    fn note_anchor(&self, _anchor: Anchor) -> Result<(), AppendError> {
        self.open_state().map(drop)
    }

    fn accepts(&self) -> Result<(), AppendError> {
        self.open_state().map(drop)
    }

    fn last_lsn(&self) -> Lsn {
        self.state.lock().last_lsn
    }

    fn durable_lsn(&self) -> Lsn {
        self.state.lock().published
    }

    fn truncate(&self, _floor: Lsn) -> Result<(), AppendError> {
        self.open_state().map(drop)
    }

    fn files_from(&self, _lsn: Lsn) -> u64 {
        0
    }

    fn stats(&self) -> LogStats {
        self.state.lock().stats
    }

    fn close(&self) -> Result<(), AppendError> {
        self.open_state()?.closed = true;
        Ok(())
    }
}
