//! Group commit: many callers, one of them at a time leads and does the I/O for all.
//!
//! The state is behind one mutex that is never held during I/O; the writer belongs to whoever has the turn. Queue
//! order is LSN order, turns exclude each other, hence writes, syncs and publications happen in LSN order.

mod mark;
mod seat;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::AppendError;
use crate::log::{LogStats, Lsn, Ticket};
use crate::sync::{Mutex, MutexGuard, yield_now};
use crate::writer::{Queued, Writer};

pub(crate) use mark::MarkDue;
use mark::Rest;
use seat::{Call, Calls, Seats};

#[derive(Debug)]
pub(crate) struct Group {
    state: Mutex<State>,
    /// Locked only by who has the turn.
    writer: Mutex<Writer>,
    payload_bytes_max: u64,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Queued>,
    /// Last LSN handed out.
    last_lsn: Lsn,
    /// Last LSN whose write was begun.
    attempted: Lsn,
    /// Last LSN written.
    written: Lsn,
    /// Last LSN known durable.
    durable: Lsn,
    /// Last LSN published.
    published: Lsn,
    /// Last LSN that someone wants durable.
    sync_wanted: Lsn,
    /// Whether someone has the turn.
    busy: bool,
    /// The first failure; nothing is written after it.
    fault: Option<Arc<io::Error>>,
    closed: bool,
    /// When the pending background sync is due, on the clock of the environment.
    sync_due: Option<Duration>,
    rest: Rest,
    /// Who waits while someone has the turn.
    seats: Seats,
    /// How many frames make a group worth a sync: most of the callers who were about when the last turn ended.
    enough: usize,
    /// Whether somebody waits for that many, and takes the turn if they do not come.
    gathering: bool,
    stats: LogStats,
}

/// What a waiting caller still needs.
#[derive(Debug, Clone, Copy)]
struct Goal {
    lsn: Lsn,
    durable: bool,
}

impl Goal {
    fn reached(self, published: Lsn, durable: Lsn) -> bool {
        published >= self.lsn && (!self.durable || durable >= self.lsn)
    }
}

/// After so many yields that brought nobody, nobody else is waited for: some microseconds, a fraction of a sync.
const GATHER_YIELDS: u32 = 16;

type Publish<'a> = Option<&'a dyn Fn(Lsn)>;

impl State {
    fn fault_of(&self, lsn: Lsn) -> Option<AppendError> {
        let source = Arc::clone(self.fault.as_ref()?);
        let attempted = lsn <= self.attempted;
        Some(if attempted { AppendError::Uncertain { source } } else { AppendError::Poisoned { source } })
    }

    /// The next frames to write together: as many as fit, but at least one if there is any.
    fn take_group(&mut self, bytes_max: u64) -> Vec<Queued> {
        let mut bytes = 0;
        let fits = |frame: &&Queued| {
            bytes += frame.frame_len();
            bytes <= bytes_max
        };
        let count = self.queue.iter().take_while(fits).count().max(1).min(self.queue.len());
        let group: Vec<Queued> = self.queue.drain(..count).collect();
        if let Some(last) = group.last() {
            self.attempted = last.last_lsn();
        }
        group
    }
}

impl Group {
    pub(crate) fn new(writer: Writer, payload_bytes_max: u64) -> Self {
        let lsn = writer.tail.last_lsn;
        let mut state = State {
            queue: VecDeque::new(),
            last_lsn: lsn,
            attempted: lsn,
            written: lsn,
            durable: lsn,
            published: lsn,
            sync_wanted: 0,
            busy: false,
            fault: None,
            closed: false,
            sync_due: None,
            rest: Rest::default(),
            seats: Seats::default(),
            enough: 0,
            gathering: false,
            stats: LogStats::default(),
        };
        state.note(&writer);
        Self { state: Mutex::new(state), writer: Mutex::new(writer), payload_bytes_max }
    }

    pub(crate) fn enqueue(&self, kind: u8, op_count: u32, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        let len = payload.len() as u64;
        if op_count == 0 {
            return Err(AppendError::NoOperations);
        }
        if len > self.payload_bytes_max {
            return Err(AppendError::PayloadTooLarge { len, max: self.payload_bytes_max });
        }
        let mut state = self.state.lock();
        state.check_open()?;
        let last = state.last_lsn;
        // One LSN stays free, so that "the next one" can always be computed.
        if last >= Lsn::MAX - 1 - u64::from(op_count) {
            return Err(AppendError::LsnExhausted { last });
        }
        let ticket = Ticket::new(last + 1, op_count);
        state.last_lsn = ticket.last_lsn;
        state.queue.push_back(Queued { kind, first_lsn: ticket.first_lsn, op_count, payload });
        Ok(ticket)
    }

    /// Takes turns until `lsn` is written, published and, if asked for, durable. The caller must arrange the mark that is
    /// returned.
    pub(crate) fn drive(
        &self,
        lsn: Lsn,
        durable: bool,
        publish: &dyn Fn(Lsn),
    ) -> Result<Option<MarkDue>, AppendError> {
        let goal = Goal { lsn, durable };
        let mut state = self.state.lock();
        if lsn > state.last_lsn {
            return Err(AppendError::UnknownTicket { lsn });
        }
        if durable {
            state.sync_wanted = state.sync_wanted.max(lsn);
        }
        let mut waited_for_others = false;
        loop {
            if goal.reached(state.published, state.durable) {
                return Ok(state.arm_mark());
            }
            if let Some(fault) = state.fault_of(lsn) {
                return Err(fault);
            }
            let too_few = durable && state.queue.len() < state.enough && !waited_for_others;
            if state.busy || (too_few && state.gathering) {
                match Self::waited(state, Some(goal)) {
                    // Whoever led has arranged the mark.
                    Call::Done => return Ok(None),
                    Call::Look => state = self.state.lock(),
                }
            } else if too_few {
                state = self.gather(state);
                waited_for_others = true;
            } else {
                state = self.lead(state, Some(publish));
            }
        }
    }

    /// [`drive`](Self::drive) for everything queued so far.
    pub(crate) fn sync(&self, publish: &dyn Fn(Lsn)) -> Result<Option<MarkDue>, AppendError> {
        let last = {
            let state = self.state.lock();
            state.check_open()?;
            state.last_lsn
        };
        self.drive(last, true, publish)
    }

    /// Lets others come before a group that is to be synced is taken, if many were freed just now: a turn for the few
    /// who were quickest would make all others wait for a sync of their own.
    ///
    /// Whoever comes as the last of [`enough`](State::enough) takes the turn.
    /// Gives up when nobody comes; who is alone waits once after a crowd left, and then no more.
    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.gathering = true;
        let turns = state.rest.turns();
        let mut in_vain = 0;
        while in_vain < GATHER_YIELDS {
            let before = state.queue.len();
            drop(state);
            yield_now();
            state = self.state.lock();
            if state.busy || state.rest.turns() != turns {
                return state;
            }
            in_vain = if state.queue.len() > before { 0 } else { in_vain + 1 };
        }
        state.gathering = false;
        state
    }

    /// One turn: write a group, sync if anyone wants it, publish.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>, publish: Publish<'_>) -> MutexGuard<'a, State> {
        let bytes_max = self.writer.lock().group_bytes_max();
        let group = state.take_group(bytes_max);
        let sync = state.sync_wanted > state.durable;
        let work = |writer: &mut Writer| {
            if !group.is_empty() {
                writer.write_group(&group)?;
            }
            if sync { writer.settle() } else { Ok(()) }
        };
        self.turn(state, work, publish).0
    }

    /// Does `work` with the writer while everybody else waits. Poisons the log if it fails or panics.
    fn turn<'a, T>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        work: impl FnOnce(&mut Writer) -> io::Result<T>,
        publish: Publish<'_>,
    ) -> (MutexGuard<'a, State>, Option<T>) {
        assert!(!state.busy, "a turn begins only when nobody has it");
        state.busy = true;
        state.gathering = false;
        state.seats.turn_begins();
        let published = state.published;
        drop(state);
        let guard = TurnGuard { group: self };
        let mut writer = self.writer.lock();
        let outcome = work(&mut writer);
        let written = writer.tail.last_lsn;
        if let (Ok(_), Some(publish)) = (&outcome, publish)
            && written > published
        {
            publish(written);
        }
        let mut state = self.state.lock();
        std::mem::forget(guard);
        state.note(&writer);
        let done = match outcome {
            Ok(done) => {
                state.written = written;
                state.durable = writer.durable_lsn;
                if publish.is_some() {
                    state.published = written;
                }
                Some(done)
            }
            Err(e) => {
                state.poison(e);
                None
            }
        };
        let calls = state.end_turn();
        // Before the next one's turn, which takes the two locks in the other order.
        drop(writer);
        drop(state);
        calls.call();
        (self.state.lock(), done)
    }

    /// Waits until nobody has the turn.
    fn wait_for_turn(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        while state.busy {
            Self::waited(state, None);
            state = self.state.lock();
        }
        state
    }

    pub(crate) fn truncate(&self, floor: Lsn) -> Result<(), AppendError> {
        let state = self.wait_for_turn();
        state.check_open()?;
        let (state, done) = self.turn(state, |writer| writer.truncate(floor), None);
        done.unwrap_or_else(|| Err(state.fault_of(0).expect("a turn without result poisons")))
    }

    /// Writes and syncs what is queued, then rotates to an empty file: its header is the proof of how the last file
    /// with frames ends.
    pub(crate) fn close(&self) -> Result<(), AppendError> {
        let mut state = self.wait_for_turn();
        state.check_open()?;
        state.closed = true;
        state.sync_wanted = state.sync_wanted.max(state.last_lsn);
        while state.fault.is_none() && (!state.queue.is_empty() || state.durable < state.last_lsn) {
            if state.busy {
                Self::waited(state, None);
                state = self.state.lock();
            } else {
                state = self.lead(state, None);
            }
        }
        while state.busy {
            Self::waited(state, None);
            state = self.state.lock();
        }
        if state.fault.is_none() {
            state = self.turn(state, Writer::rotate, None).0;
        }
        state.fault_of(state.last_lsn).map_or(Ok(()), Err)
    }

    /// Sleeps while someone has the turn, until `goal` is reached or the turn is free.
    fn waited(mut state: MutexGuard<'_, State>, goal: Option<Goal>) -> Call {
        let seat = state.seats.take(goal);
        drop(state);
        seat.wait()
    }

    /// Notes that what is written must be durable at `due`; whether the caller must arrange a background sync then.
    pub(crate) fn owe_sync(&self, due: Duration) -> bool {
        let mut state = self.state.lock();
        let owed = state.durable < state.written && state.sync_due.is_none_or(|pending| due < pending);
        if owed {
            state.sync_due = Some(due);
        }
        owed
    }

    /// Syncs what is written, as a background job. Returns whether it must be called again since somebody else has
    /// the turn; that somebody's successor is asked to sync, too. Never waits, so that it can run on any thread.
    pub(crate) fn background_sync(&self) -> bool {
        let mut state = self.state.lock();
        state.sync_due = None;
        if state.fault.is_some() || state.durable >= state.written {
            return false;
        }
        if state.busy {
            state.sync_wanted = state.sync_wanted.max(state.written);
            return true;
        }
        _ = self.turn(state, |writer| writer.sync(), None);
        false
    }

    /// Whether a background sync was arranged and has not happened. Waits until nobody has the turn.
    pub(crate) fn owes_sync(&self) -> bool {
        let state = self.wait_for_turn();
        state.fault.is_none() && (state.sync_due.is_some() || state.sync_wanted > state.durable)
    }

    /// How many files hold frames of `lsn` and later ones, the current one included.
    pub(crate) fn files_from(&self, lsn: Lsn) -> u64 {
        let writer = self.writer.lock();
        writer.sealed.iter().filter(|sealed| sealed.last_lsn >= lsn).count() as u64 + 1
    }

    pub(crate) fn accepts(&self) -> Result<(), AppendError> {
        self.state.lock().check_open()
    }

    pub(crate) fn last_lsn(&self) -> Lsn {
        self.state.lock().last_lsn
    }

    pub(crate) fn durable_lsn(&self) -> Lsn {
        self.state.lock().durable
    }

    pub(crate) fn stats(&self) -> LogStats {
        let state = self.state.lock();
        LogStats { poisoned: state.fault.is_some(), ..state.stats }
    }
}

impl State {
    fn check_open(&self) -> Result<(), AppendError> {
        match &self.fault {
            Some(source) => Err(AppendError::Poisoned { source: Arc::clone(source) }),
            None if self.closed => Err(AppendError::Closed),
            None => Ok(()),
        }
    }

    fn poison(&mut self, error: io::Error) {
        self.fault.get_or_insert_with(|| Arc::new(error));
        self.queue.clear();
    }

    /// Gives the turn back; those returned are to be woken.
    fn end_turn(&mut self) -> Calls {
        self.busy = false;
        if self.fault.is_some() {
            return self.seats.rise_all();
        }
        let (published, durable) = (self.published, self.durable);
        let calls = self.seats.rise(|goal| goal.reached(published, durable));
        self.enough = (calls.done() + self.queue.len()) * 7 / 8;
        calls
    }

    fn note(&mut self, writer: &Writer) {
        self.rest.note(writer);
        self.stats = LogStats {
            files: writer.sealed.len() as u64 + 1,
            bytes: writer.bytes(),
            frames: writer.frames,
            frame_bytes: writer.frame_bytes,
            groups: writer.groups,
            syncs: writer.syncs,
            marks: writer.marks,
            poisoned: false,
        };
    }
}

/// Ends the turn of a leader that panicked (in `publish`, say): nobody knows how far it came.
struct TurnGuard<'a> {
    group: &'a Group,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.group.state.lock();
        state.poison(io::Error::other("the leader of a group panicked"));
        let calls = state.end_turn();
        drop(state);
        calls.call();
    }
}
