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

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

pub use call::{Call, CallKind, SyncSite};
pub use fault::{Fault, SyncedContent};

use self::disk::Disk;
use super::mem::components;

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
