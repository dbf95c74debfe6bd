//! The log in files.

use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use vectra_core::env::Env;
use vectra_core::io::Fs;

use crate::chain::Listing;
use crate::dump::{DumpEntry, dump};
use crate::error::{AppendError, OpenError, VisitError};
use crate::frame::{Frame, PAYLOAD_BYTES_CEILING};
use crate::group::{Group, MarkDue};
use crate::header::FileHeader;
use crate::log::{Anchor, Durability, Log, LogStats, Lsn, Ticket};
use crate::log_file::Draft;
use crate::recover::{Recovery, check, recover};
use crate::salvage::{SalvageReport, salvage};
use crate::writer::{Tail, Writer};

/// The longest time that [`Durability::Interval`] leaves between a write and its sync.
const INTERVAL_MAX: Duration = Duration::from_hours(1);

/// How a log is laid out, and what its owner knows about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identity of the owner; files with another one are ignored.
    pub index: [u8; 16],
    /// Length at which the first file is full, in bytes; each next file may be twice as long.
    pub file_bytes_min: u64,
    /// Length beyond which files do not grow, in bytes (a single larger frame still gets a file).
    pub file_bytes_max: u64,
    /// Largest payload of a frame, in bytes; at most [`PAYLOAD_BYTES_CEILING`].
    pub payload_bytes_max: u32,
    /// How far ahead the current file is filled with zeros, in bytes; 0 turns it off.
    pub reserve_bytes: u64,
    /// Highest LSN that something outside the log (the owner's manifest) knows was durable. A log that ends before it
    /// is damaged. A created log begins behind it.
    pub durable_floor: Lsn,
    /// Frames whose last LSN is below this need not be replayed, nor need they exist any more.
    pub replay_from: Lsn,
    /// Whether an acknowledgement of [`Durability::Sync`] waits for a mark, at the cost of one more write and sync:
    /// damage to what was acknowledged is then provable at once, not only after the next group or a moment of rest.
    pub ack_after_mark: bool,
}

impl Options {
    /// The defaults: files of 1 to 64 MiB, payloads up to 64 MiB, 256 KiB reserved ahead, everything replayed.
    pub fn new(index: [u8; 16]) -> Self {
        Self {
            index,
            file_bytes_min: 1 << 20,
            file_bytes_max: 64 << 20,
            payload_bytes_max: 64 << 20,
            reserve_bytes: 256 << 10,
            durable_floor: 0,
            replay_from: 0,
            ack_after_mark: false,
        }
    }

    /// Limits that contradict each other give way to the ceiling or the minimum.
    fn sane(mut self) -> Self {
        self.file_bytes_max = self.file_bytes_max.max(self.file_bytes_min);
        self.payload_bytes_max = self.payload_bytes_max.min(PAYLOAD_BYTES_CEILING);
        self
    }
}

/// A [`Log`] in a folder of its own. Share it behind an `Arc`.
///
/// Dropping it seals nothing, and syncs only what [`Durability::Interval`] still owes; what was acknowledged is kept as
/// its [`Durability`] says. The folder is not locked: the owner makes sure that only one process writes.
#[derive(Debug)]
pub struct FileLog {
    group: Arc<Group>,
    env: Env,
}

impl FileLog {
    /// Creates an empty log in `dir`, which is created if its parent exists.
    ///
    /// Files of logs with another identity may be there: they are left alone and their numbers avoided.
    ///
    /// # Errors
    /// `AlreadyExists` if the folder holds a file of this log, or one that cannot be read; `Io`.
    pub fn create(fs: Arc<dyn Fs>, dir: &Path, env: &Env, options: Options) -> Result<Self, OpenError> {
        let options = options.sane();
        make_dir(&*fs, dir).map_err(OpenError::io(dir))?;
        let seq = Listing::read(&*fs, dir)?.free_seq(&*fs, dir, options.index)?;
        let header = FileHeader {
            index: options.index,
            epoch: 1,
            seq,
            first_lsn: options.durable_floor.saturating_add(1),
            salt: env.rng.next_u64(),
            predecessor: None,
            supersedes: 0,
            durable_lsn: options.durable_floor,
            anchor: None,
        };
        let tail = Tail { last_lsn: options.durable_floor, chain_crc: 0, hlc: 0 };
        let draft = Draft::create(&*fs, dir, header.seq).map_err(OpenError::io(dir))?;
        let current = draft.finish(&*fs, dir, header).map_err(OpenError::io(dir))?;
        let max = u64::from(options.payload_bytes_max);
        let writer = Writer::new(fs, dir.to_owned(), env.clone(), options, current, Vec::new(), tail);
        Ok(Self { group: Arc::new(Group::new(writer, max)), env: env.clone() })
    }

    /// Opens the log in `dir` and shows every frame to `visit`, in LSN order.
    ///
    /// A torn tail is cut off and reported. When this returns, everything visited is durable. An error changes nothing
    /// that matters: opening again starts over.
    ///
    /// # Errors
    /// `Missing`, `Corruption`, `Unsupported`, `Visit` or `Io`; a read that fails is never taken for the log's end.
    pub fn open(
        fs: Arc<dyn Fs>,
        dir: &Path,
        env: &Env,
        options: Options,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
    ) -> Result<(Self, Recovery), OpenError> {
        let options = options.sane();
        let max = u64::from(options.payload_bytes_max);
        let (writer, recovery) = recover(fs, dir, env, options, visit)?;
        Ok((Self { group: Arc::new(Group::new(writer, max)), env: env.clone() }, recovery))
    }

    /// Reads the whole log in `dir` without changing anything, and shows every frame to `visit`, also those that a
    /// replay would pass over.
    ///
    /// # Errors
    /// As [`FileLog::open`].
    pub fn check(
        fs: &dyn Fs,
        dir: &Path,
        options: Options,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
    ) -> Result<Recovery, OpenError> {
        check(fs, dir, options.sane(), visit)
    }

    /// Shows everything in the folder `dir` to `visit`, in the order of the files, past any damage and whichever index
    /// it belongs to. Changes nothing.
    ///
    /// # Errors
    /// `Missing` or `Io` if the folder cannot be listed. What cannot be read is shown as damage.
    pub fn dump(fs: &dyn Fs, dir: &Path, visit: &mut dyn FnMut(DumpEntry<'_>)) -> Result<(), OpenError> {
        dump(fs, dir, visit)
    }

    /// Shows every intact frame of the log of `index` in `dir` to `visit`, in the order of LSNs, past any damage, and
    /// tells what is missing. Changes nothing.
    ///
    /// It is the caller's to decide what an operation is worth when some before it are missing.
    ///
    /// # Errors
    /// `Missing` if nothing there belongs to the index, `Io` if the folder cannot be listed, `Visit`. What cannot be
    /// read counts as damaged.
    pub fn salvage(
        fs: &dyn Fs,
        dir: &Path,
        index: [u8; 16],
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
    ) -> Result<SalvageReport, OpenError> {
        salvage(fs, dir, index, visit)
    }

    fn sync_within(&self, delay: Duration) {
        let delay = delay.min(INTERVAL_MAX);
        if self.group.owe_sync(self.env.clock.now() + delay) {
            spawn_sync(Arc::downgrade(&self.group), &self.env, delay);
        }
    }

    fn arrange(&self, due: Option<MarkDue>) {
        if let Some(due) = due {
            spawn_mark(Arc::downgrade(&self.group), &self.env, due);
        }
    }
}

/// The background sync that is arranged will not find the log any more.
impl Drop for FileLog {
    fn drop(&mut self) {
        // Once more if a background job has the turn again before this one.
        while self.group.owes_sync() && self.group.background_sync() {}
    }
}

/// The job keeps neither the log nor its files alive.
fn spawn_sync(group: Weak<Group>, env: &Env, delay: Duration) {
    let again = env.clone();
    let job = move || {
        let Some(alive) = group.upgrade() else { return };
        if alive.background_sync() {
            spawn_sync(group, &again, delay);
        } else if let Some(due) = alive.arm_mark() {
            spawn_mark(group, &again, due);
        }
    };
    env.spawner.spawn_after(delay, "wal sync", Box::new(job));
}

/// As [`spawn_sync`].
fn spawn_mark(group: Weak<Group>, env: &Env, due: MarkDue) {
    let again = env.clone();
    let job = move || {
        if let Some(alive) = group.upgrade()
            && let Some(due) = alive.background_mark(due, again.clock.now())
        {
            spawn_mark(group, &again, due);
        }
    };
    env.spawner.spawn_after(due.delay, "wal mark", Box::new(job));
}

fn make_dir(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    match fs.mkdir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        // Also when it was there: whoever made it may have died before the name was durable.
        _ => {}
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs.sync_dir(parent.unwrap_or(Path::new(".")))
}

impl Log for FileLog {
    fn enqueue(&self, kind: u8, op_count: u32, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        self.group.enqueue(kind, op_count, payload)
    }

    fn commit(
        &self,
        ticket: &Ticket,
        durability: Durability,
        publish: &dyn Fn(Lsn),
    ) -> Result<(), AppendError> {
        self.arrange(self.group.drive(ticket.last_lsn, durability == Durability::Sync, publish)?);
        if let Durability::Interval(delay) = durability {
            self.sync_within(delay);
        }
        Ok(())
    }

    fn sync(&self, publish: &dyn Fn(Lsn)) -> Result<Lsn, AppendError> {
        self.arrange(self.group.sync(publish)?);
        Ok(self.group.durable_lsn())
    }

    fn wait_durable(&self, lsn: Lsn, publish: &dyn Fn(Lsn)) -> Result<(), AppendError> {
        self.arrange(self.group.drive(lsn, true, publish)?);
        Ok(())
    }

    fn note_anchor(&self, anchor: Anchor) -> Result<(), AppendError> {
        self.arrange(self.group.note_anchor(anchor)?);
        Ok(())
    }

    fn accepts(&self) -> Result<(), AppendError> {
        self.group.accepts()
    }

    fn last_lsn(&self) -> Lsn {
        self.group.last_lsn()
    }

    fn durable_lsn(&self) -> Lsn {
        self.group.durable_lsn()
    }

    fn truncate(&self, floor: Lsn) -> Result<(), AppendError> {
        self.group.truncate(floor)
    }

    fn files_from(&self, lsn: Lsn) -> u64 {
        self.group.files_from(lsn)
    }

    fn stats(&self) -> LogStats {
        self.group.stats()
    }

    fn close(&self) -> Result<(), AppendError> {
        self.group.close()
    }
}
