//! A simulated disk: deterministic faults, and crashes after which only what was synced is sure to be there.
//!
//! The models are those of the crash-consistency literature: Pillai et al., "All file systems are not created equal"
//! (ALICE, OSDI 2014), Mohan et al., "Finding crash-consistency bugs with bounded black-box testing" (`CrashMonkey`,
//! OSDI 2018), and Rebello et al., "Can applications recover from fsync failures?" (ATC 2020).
//!
//! ```
//! use std::path::Path;
//! use vectra_core::io::Fs;
//! use vectra_core::io::sim::{CrashModel, SimFs};
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = SimFs::new(1, CrashModel::WeakPosix);
//! let fs: &dyn Fs = &disk;
//! let file = fs.create_new(Path::new("a"))?;
//! file.write_all_at(b"synced", 0)?;
//! file.sync_data()?;
//! fs.sync_dir(Path::new("/"))?;
//! file.write_all_at(b"unsure", 0)?;
//!
//! let after = disk.crash(7);
//! let fs: &dyn Fs = &after;
//! assert_eq!(fs.read(Path::new("a"), 100)?.len(), 6);
//! assert!(file.len().is_err(), "handles do not outlive a power cut");
//! # Ok(())
//! # }
//! ```

mod call;
mod crash;
mod disk;
mod fault;
mod file;
mod fs;
mod inode;
mod subset;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

pub use call::{Call, CallKind, SyncSite};
pub use fault::{Fault, SyncedContent};

use self::disk::{Amid, Disk};
use super::mem::components;
use crate::env::SimClock;

/// What a crash may do to writes and names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrashModel {
    /// As little as POSIX promises, and a little less.
    ///
    /// Each 512-byte sector of each write since the file's last sync is kept, dropped or torn on its own (a torn one
    /// mixes new bytes, old bytes and garbage); later writes may outlive earlier ones; the length is any that the
    /// file had since, whatever became of the bytes, and unwritten bytes below it are zeros or garbage. Each name
    /// operation since the directory's last sync is kept or dropped on its own. A rename within one directory is one
    /// operation; across directories it is two, of which either may be lost.
    ///
    /// Bytes that were synced and not written again are never harmed, not even next to torn ones in one sector.
    WeakPosix,
    /// About what ext4 does with `data=ordered`.
    ///
    /// Name operations survive as a prefix of their order over the whole file system, renames always whole, and
    /// syncing any directory makes all names durable. (Syncing a file does not, although ext4 often does that too.)
    /// Appends and length changes of one file survive as a prefix, cut at a sector, without garbage; sectors of
    /// overwrites are kept or dropped on their own. When a rename that replaced another file survives, so does what
    /// was written to the renamed file before it.
    Ext4Ordered,
    /// About what NTFS does.
    ///
    /// Name operations survive as a prefix of their order over the whole volume, renames always whole, and syncing any
    /// file or directory makes all names durable. Nothing ties the content of files to their names. Sectors
    /// written since the file's last sync are kept or dropped whole, each on its own, with zeros where new ones are
    /// missing; the length is any that the file had since. The last name of a file that is open can be neither removed
    /// nor replaced by a rename (`PermissionDenied`), though it can be renamed, as the standard library opens files; a
    /// read-only file can be removed.
    Windows,
}

/// A simulated disk with a file system on it. Clones are handles to the same disk.
///
/// Paths are taken from one root: `/a` and `a` are the same file; `..` is refused. The root exists. Directories
/// cannot be renamed.
///
/// Each call that changes or syncs something has a number, counted from 1, by which faults and crashes can be aimed
/// at it; calls that only read (open, list, read, len, map, `free_space`) have numbers of their own.
#[derive(Debug, Clone)]
pub struct SimFs {
    disk: Arc<Mutex<Disk>>,
}

/// A moment in the midst of a call; both images are switched off and can only be crashed.
#[derive(Debug)]
pub struct Moment {
    /// The disk without the call.
    pub before: SimFs,
    /// The disk with the call: of a write, some first part.
    pub within: SimFs,
}

impl SimFs {
    /// An empty disk. The same calls on disks of the same seed and model have the same outcome.
    pub fn new(seed: u64, model: CrashModel) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed, model))) }
    }

    /// Cuts the power and returns the disk as it is found afterwards: `seed` decides what survived.
    ///
    /// From now on every call on this disk and its handles fails. It may be crashed again, also after
    /// [`SimFs::crash_at`] struck, with other seeds to see other outcomes of the same moment. The new disk starts
    /// with no locks, no faults and no trace; quota and ignored syncs are taken over.
    pub fn crash(&self, seed: u64) -> Self {
        let mut disk = self.disk.lock();
        disk.power_off = true;
        Self { disk: Arc::new(Mutex::new(disk.survivors(seed))) }
    }

    /// How many changes are in flight: those that a crash in this moment may lose, other than whole sectors of writes.
    ///
    /// Each write, each change of a length and each change of a name counts as one (a rename across directories as
    /// two); files that no crash can give a name are left out.
    pub fn pending(&self) -> usize {
        self.disk.lock().pending()
    }

    /// Like [`SimFs::crash`], but of the changes in flight, oldest first, exactly those survive for which `kept` is
    /// true; `None` if the model does not let a crash choose so.
    ///
    /// # Panics
    /// If there are not as many choices as [`SimFs::pending`] says.
    pub fn crash_keeping(&self, kept: &[bool]) -> Option<Self> {
        let mut disk = self.disk.lock();
        disk.power_off = true;
        let survivors = disk.survivors_of(kept)?;
        Some(Self { disk: Arc::new(Mutex::new(survivors)) })
    }

    /// A copy of this disk as it is in this moment, switched off: it can only be crashed.
    pub fn image(&self) -> Self {
        Self { disk: Arc::new(Mutex::new(self.disk.lock().image())) }
    }

    /// Shows `observer`, in the midst of each changing call from now on, how a power cut would find the disk: one
    /// run then gives what [`SimFs::crash_at`] gives with a run for each call.
    ///
    /// `observer` must not use this disk; the two images are disks of their own.
    pub fn on_call(&self, mut observer: impl FnMut(Moment) + Send + 'static) {
        let disk = |disk| Self { disk: Arc::new(Mutex::new(disk)) };
        let show =
            move |Amid { before, within }| observer(Moment { before: disk(before), within: disk(within) });
        self.disk.lock().observer = Some(disk::Observer(Box::new(show)));
    }

    /// Shows nobody anything any more.
    pub fn unobserved(&self) {
        self.disk.lock().observer = None;
    }

    /// A hash over all names and what is read under them: equal for disks that nobody can tell apart.
    pub fn content_hash(&self) -> u64 {
        self.disk.lock().content_hash()
    }

    /// How many changing calls there have been, the number of the last one.
    pub fn calls(&self) -> u64 {
        self.disk.lock().calls
    }

    /// How many reading calls there have been, the number of the last one.
    pub fn reads(&self) -> u64 {
        self.disk.lock().reads
    }

    /// Cuts the power during changing call number `n` (from 1): it may still take effect, in whole or in part, but it
    /// and every call after it fail with `simulated power cut`.
    pub fn crash_at(&self, n: u64) {
        self.disk.lock().crash_at = Some(n);
    }

    /// Whether the power is off, by [`SimFs::crash`] or [`SimFs::crash_at`].
    pub fn is_off(&self) -> bool {
        self.disk.lock().power_off
    }

    /// The changing calls so far, in order.
    pub fn trace(&self) -> Vec<Call> {
        self.disk.lock().trace.clone()
    }

    /// A hash over the changing calls so far with their bytes: equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        call::hash(&self.disk.lock().trace)
    }

    /// Makes changing call number `n` fail with `fault`; `sticky`: and every later one to which the fault applies.
    ///
    /// A call to which the fault does not apply (see [`Fault`]) succeeds.
    pub fn fail_call(&self, n: u64, fault: Fault, sticky: bool) {
        self.disk.lock().call_faults.add(n, fault, sticky);
    }

    /// Makes reading call number `n` fail with `fault`; `sticky`: and every later one to which the fault applies.
    pub fn fail_read(&self, n: u64, fault: Fault, sticky: bool) {
        self.disk.lock().read_faults.add(n, fault, sticky);
    }

    /// The clock that [`Fault::Slow`] and [`Fault::ClockJump`] move.
    pub fn set_clock(&self, clock: Arc<SimClock>) {
        self.disk.lock().clock = Some(clock);
    }

    /// Takes all planned faults back, those that became sticky included.
    pub fn clear_faults(&self) {
        let mut disk = self.disk.lock();
        disk.call_faults = fault::Plan::default();
        disk.read_faults = fault::Plan::default();
        disk.crash_at = None;
    }

    /// Flips one bit (counted from the lowest bit of the first byte) of a file, on disk and in the cache.
    ///
    /// Fails with `InvalidInput` behind the end of the file.
    pub fn flip_bit(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let inode = disk.lookup(&components(path)?)?;
        disk.file_mut(inode)?.flip_bit(bit)
    }

    /// Limits the disk to `bytes` of file content (reserved space included): what does not fit fails with
    /// `StorageFull`, writes after the part that fits.
    pub fn quota(&self, bytes: u64) {
        self.disk.lock().quota = Some(bytes);
    }

    /// Lets the syncs called from this place in the source do nothing and report success.
    ///
    /// `file` may be the end of the path as the compiler knows it, such as `src/writer.rs`.
    pub fn ignore_sync(&self, file: &str, line: u32) {
        self.disk.lock().ignored.push((file.to_owned(), line));
    }

    /// The places in the source from which a sync was called so far, ignored ones included.
    pub fn sync_sites(&self) -> BTreeSet<SyncSite> {
        self.disk.lock().trace.iter().filter_map(|call| call.site).collect()
    }
}

#[cfg(test)]
mod tests;
