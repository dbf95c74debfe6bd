//! The seam: what a log promises, whatever keeps it.

use std::fmt::Debug;
use std::time::Duration;

use crate::error::AppendError;

/// Number of an operation in the log. The first operation is 1; 0 stands for nothing.
pub type Lsn = u64;

/// What an acknowledgement promises.
///
/// Whatever the durability: a frame survives as a whole or not at all, what survives is a prefix of what was enqueued,
/// and operations are acknowledged and published in the order of their LSNs. Weaker operations never make stronger ones
/// weaker: what an acknowledgement of [`Sync`](Durability::Sync) covers includes everything before it, however it was
/// committed. Where the promise of the weaker kinds is not enough for once, [`Log::wait_durable`] makes up for it.
///
/// | | the process dies | the machine loses power |
/// |---|---|---|
/// | `Sync` | kept | kept |
/// | `Interval(d)` | kept | at most the last `d` and one sync is lost |
/// | `None` | kept | kept up to the last sync on anybody's behalf |
///
/// "Kept" is meant for disks that keep what they report as synced. Where one does not, or damages it later, the next
/// open finds that out and says so instead of serving less (see `docs/format.md` for the one window).
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

    /// [`Log::wait_durable`] for this ticket's operations; `log` is the one that gave it out.
    ///
    /// # Errors
    /// As [`Log::commit`].
    pub fn wait_durable(&self, log: &dyn Log, publish: &dyn Fn(Lsn)) -> Result<(), AppendError> {
        log.wait_durable(self.last_lsn, publish)
    }
}

/// Something that the log's owner published beside the log, and wants to be missed if it gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its number, from 1; later ones have higher numbers.
    pub generation: u64,
    /// Digest of its bytes.
    pub digest: [u8; 16],
}

impl Anchor {
    /// The later of two.
    pub(crate) fn newer(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        if b.map(|b| b.generation) >= a.map(|a| a.generation) { b } else { a }
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
    /// Bytes of those frames.
    pub frame_bytes: u64,
    /// Groups written; each is one write.
    pub groups: u64,
    /// Syncs of file content on behalf of frames (rotation included).
    pub syncs: u64,
    /// Marks written: notes of what is durable, so that damage to it is provable.
    pub marks: u64,
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

    /// Returns once everything up to `lsn` is written, published and durable, whatever durability it was committed
    /// with. Waits for whoever has the turn, or leads like [`commit`](Log::commit) if nobody has.
    ///
    /// # Errors
    /// As [`commit`](Log::commit).
    fn wait_durable(&self, lsn: Lsn, publish: &dyn Fn(Lsn)) -> Result<(), AppendError>;

    /// Writes down that the owner has published `anchor` (durably, and before this call), so that its loss is
    /// provable: the next open reports it as [`Recovery::anchor`](crate::Recovery::anchor), even when the files
    /// from before are truncated.
    ///
    /// Waits for its turn and for the write, not for a sync: the next one, on whatever behalf, makes the note durable,
    /// and at the latest the mark that follows when the log falls idle.
    ///
    /// # Errors
    /// `Closed`, `Poisoned` or `Uncertain`.
    ///
    /// # Panics
    /// If the generation is 0.
    fn note_anchor(&self, anchor: Anchor) -> Result<(), AppendError>;

    /// Whether the log still takes operations: fails as [`enqueue`](Log::enqueue) would, so that a caller need not prepare
    /// in vain, or on top of what may never have been written.
    ///
    /// # Errors
    /// [`AppendError::Poisoned`] after a failure, [`AppendError::Closed`].
    fn accepts(&self) -> Result<(), AppendError>;

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

    /// How many files hold frames of `lsn` and later ones, the current file included: what stays for the sake of whoever
    /// still needs them. May wait for a write that is under way.
    fn files_from(&self, lsn: Lsn) -> u64;

    /// Figures.
    fn stats(&self) -> LogStats;

    /// Writes and syncs everything queued and seals the log. Later calls fail with `Closed`, except that
    /// [`commit`](Log::commit) still settles tickets taken before.
    ///
    /// # Errors
    /// `Closed`, `Poisoned` or `Uncertain`.
    fn close(&self) -> Result<(), AppendError>;
}
