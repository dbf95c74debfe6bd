//! The seam: what a log promises, whatever keeps it.

use std::fmt::Debug;
use std::time::Duration;

use crate::error::AppendError;

/// Number of an operation in the log. The first operation is 1; 0 stands for nothing.
pub type Lsn = u64;

/// What an acknowledgement promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On acknowledgement the operation survives a power loss.
    #[default]
    Sync,
    /// On acknowledgement the operation survives the death of the process; a power loss takes at most the last
    /// duration plus one sync. The sync itself is a background job.
    Interval(Duration),
    /// On acknowledgement the operation survives the death of the process; nobody syncs on its behalf.
    None,
}

/// A place in the log, taken by [`Log::enqueue`] and settled by [`Log::commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ticket {
    /// LSN of the frame's first operation.
    pub first_lsn: Lsn,
    /// LSN of the frame's last operation.
    pub last_lsn: Lsn,
}

impl Ticket {
    pub(crate) fn new(first_lsn: Lsn, op_count: u32) -> Self {
        Self { first_lsn, last_lsn: first_lsn + u64::from(op_count) - 1 }
    }
}

/// Figures about a log since it was opened, except `files` and `bytes`, which describe what is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LogStats {
    /// Files on disk.
    pub files: u64,
    /// Bytes in those files, headers included, space reserved ahead not.
    pub bytes: u64,
    /// Frames written.
    pub frames: u64,
    /// Groups written; each is one write.
    pub groups: u64,
    /// Syncs of file content on behalf of frames (rotation included).
    pub syncs: u64,
    /// Whether a write or sync failed, so that only reopening helps.
    pub poisoned: bool,
}

/// An append-only log of opaque frames. Object-safe; every implementation runs the same conformance suite.
///
/// Appending has two steps, so that a caller takes its place in the order under its own locks and does the I/O
/// outside them: [`enqueue`](Log::enqueue), then [`commit`](Log::commit).
pub trait Log: Send + Sync + Debug {
    /// Takes the next `op_count` LSNs and queues one frame that holds them.
    ///
    /// No I/O: this is called under the caller's locks, so that the order of the queue is the order of LSNs. A
    /// ticket that is dropped does not take its frame back: the next group writes it.
    ///
    /// # Errors
    /// `Closed`, `Poisoned`, `PayloadTooLarge`, `NoOperations` or `LsnExhausted`; no LSN is taken then.
    fn enqueue(&self, kind: u8, op_count: u32, payload: Vec<u8>) -> Result<Ticket, AppendError>;

    /// Returns once the ticket's frame is written, durable as `durability` asks, and published.
    ///
    /// The first caller leads: it writes everything queued with one write, syncs once if any waiting member asks for
    /// [`Durability::Sync`], then calls `publish` with the last LSN of the group. `publish` is called once per group,
    /// in LSN order, before any member returns `Ok`, and never after a failure. It runs on the leader's thread and must
    /// not commit, sync, truncate or close this log: that would wait for itself.
    ///
    /// Frames of one group share its fate: a `Sync` frame that a leader with a weaker durability wrote is published
    /// before it is durable (its own `commit` still returns only when it is).
    ///
    /// # Errors
    /// `Uncertain` when the frame's own write or sync failed, `Poisoned` when an earlier one did, `UnknownTicket`.
    fn commit(
        &self,
        ticket: &Ticket,
        durability: Durability,
        publish: &dyn Fn(Lsn),
    ) -> Result<(), AppendError>;

    /// Writes, syncs and publishes everything queued so far; returns the durable LSN.
    ///
    /// # Errors
    /// As [`commit`](Log::commit); `Closed` after a close.
    fn sync(&self, publish: &dyn Fn(Lsn)) -> Result<Lsn, AppendError>;

    /// The last LSN handed out.
    fn last_lsn(&self) -> Lsn;

    /// The last LSN known to survive a power loss.
    fn durable_lsn(&self) -> Lsn;

    /// Removes whole files that hold only frames whose last LSN is below `floor`, oldest first.
    ///
    /// A current file that holds only such frames, and at least one, is rotated first. Nothing else is ever removed.
    ///
    /// # Errors
    /// `Remove` leaves the log usable; `Closed`, `Poisoned` or `Uncertain` (the rotation failed) do not.
    fn truncate(&self, floor: Lsn) -> Result<(), AppendError>;

    /// Figures.
    fn stats(&self) -> LogStats;

    /// Writes and syncs everything queued and seals the log. Later calls fail with `Closed`, except that
    /// [`commit`](Log::commit) still settles tickets taken before.
    ///
    /// # Errors
    /// `Closed`, `Poisoned` or `Uncertain`.
    fn close(&self) -> Result<(), AppendError>;
}
