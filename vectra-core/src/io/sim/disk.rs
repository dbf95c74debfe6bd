//! The state of a simulated disk, and how every call passes through counting, faults and power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::CrashModel;
use super::call::{Call, CallKind, SyncSite};
use super::fault::{Fault, Plan, SyncedContent, power_cut};
use super::inode::{DataChange, DirInode, FileInode, Inode, InodeId, SECTOR};
use crate::env::{Rng, SeededRng, SimClock};

pub(super) const ROOT: InodeId = 0;

/// How far a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// As it should.
    Whole,
    /// A write up to some byte chosen by this number; anything else as it should.
    Part(u64),
    /// A write that goes nowhere.
    Nothing,
    /// A write to some other place, chosen by this number.
    Astray(u64),
    /// A sync that fails.
    Failed(SyncedContent),
}

/// Who is shown the disk in the midst of each call.
pub(super) struct Observer(pub(super) Box<dyn FnMut(Amid<Disk>) + Send>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// A disk just before a call, and with as much of the call done as a power cut may leave.
pub(super) struct Amid<D> {
    pub(super) before: D,
    pub(super) within: D,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) seed: u64,
    pub(super) model: CrashModel,
    /// Shared with the images taken of this disk, until one of them changes.
    pub(super) inodes: Vec<Arc<Inode>>,
    /// Number of the last operation, over all files and directories.
    seq: u64,
    /// The holder of each locked file.
    pub(super) locks: BTreeMap<InodeId, String>,
    pub(super) power_off: bool,
    pub(super) quota: Option<u64>,
    pub(super) calls: u64,
    pub(super) reads: u64,
    pub(super) trace: Vec<Call>,
    pub(super) crash_at: Option<u64>,
    pub(super) call_faults: Plan,
    pub(super) read_faults: Plan,
    pub(super) ignored: Vec<(String, u32)>,
    pub(super) observer: Option<Observer>,
    /// How many handles each open file has.
    pub(super) open: BTreeMap<InodeId, usize>,
    /// What slow calls and clock jumps move.
    pub(super) clock: Option<Arc<SimClock>>,
}

impl Disk {
    pub(super) fn new(seed: u64, model: CrashModel) -> Self {
        Self {
            seed,
            model,
            inodes: vec![Arc::new(Inode::Dir(DirInode::default()))],
            seq: 0,
            locks: BTreeMap::new(),
            power_off: false,
            quota: None,
            calls: 0,
            reads: 0,
            trace: Vec::new(),
            crash_at: None,
            call_faults: Plan::default(),
            read_faults: Plan::default(),
            ignored: Vec::new(),
            observer: None,
            open: BTreeMap::new(),
            clock: None,
        }
    }

    /// This disk in this moment, switched off.
    pub(super) fn image(&self) -> Self {
        Self {
            inodes: self.inodes.clone(),
            seq: self.seq,
            power_off: true,
            quota: self.quota,
            calls: self.calls,
            ignored: self.ignored.clone(),
            ..Self::new(self.seed, self.model)
        }
    }

    /// Passes a changing call through counting, faults and power cuts; `act` does it, as far as it gets.
    pub(super) fn call<T>(
        &mut self,
        mut call: Call,
        act: impl Fn(&mut Self, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.power_off {
            return Err(power_cut());
        }
        self.calls += 1;
        call.n = self.calls;
        let kind = call.kind;
        self.trace.push(call);
        let rng = SeededRng::new(self.seed ^ self.calls.rotate_left(32));
        // Whether anything of the last call happens before a crash, and how much; a crash may then lose it again.
        let (happens, part) = (rng.below(2) == 0, Extent::Part(rng.next_u64()));
        if let Some(mut observer) = self.observer.take() {
            let (before, mut within) = (self.image(), self.image());
            // Its result is of no interest to a program that is gone.
            let _ = act(&mut within, part);
            observer.0(Amid { before, within });
            self.observer = Some(observer);
        }
        if self.crash_at.is_some_and(|n| n <= self.calls) {
            if happens {
                // Its result is of no interest any more.
                let _ = act(self, part);
            }
            self.power_off = true;
            return Err(power_cut());
        }
        let Some(fault) = self.call_faults.strike(self.calls, kind) else { return act(self, Extent::Whole) };
        self.pass_time(fault);
        let extent = match fault {
            Fault::Short => Some(Extent::Part(rng.next_u64())),
            Fault::Lost => Some(Extent::Nothing),
            Fault::Misdirected => Some(Extent::Astray(rng.next_u64())),
            Fault::SyncFailed { content } => Some(Extent::Failed(content)),
            Fault::Slow { .. } | Fault::ClockJump { .. } => Some(Extent::Whole),
            Fault::Eio | Fault::Enospc | Fault::Interrupted | Fault::Stale => None,
        };
        let result = extent.map(|extent| act(self, extent));
        match (fault.error(), result) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => result,
            (None, None) => unreachable!("a fault without an error has an extent, or is for reads"),
        }
    }

    fn pass_time(&self, fault: Fault) {
        match (fault, &self.clock) {
            (Fault::Slow { by }, Some(clock)) => clock.advance(by),
            (Fault::ClockJump { unix_ms }, Some(clock)) => clock.jump_unix_ms(unix_ms),
            _ => {}
        }
    }

    /// Passes a reading call through counting and faults; how many bytes it may read at most of `len`, and whether it
    /// sees an older state of the file.
    pub(super) fn read_call(&mut self, kind: CallKind, len: usize) -> io::Result<(usize, bool)> {
        if self.power_off {
            return Err(power_cut());
        }
        self.reads += 1;
        let Some(fault) = self.read_faults.strike(self.reads, kind) else { return Ok((len, false)) };
        self.pass_time(fault);
        match fault {
            Fault::Short if len > 1 => {
                let rng = SeededRng::new(self.seed ^ self.reads.rotate_left(16));
                Ok((1 + rng.below(len as u64 - 1) as usize, false))
            }
            Fault::Short => Ok((len, false)),
            _ => fault.error().map_or(Ok((len, fault == Fault::Stale)), Err),
        }
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn ignores(&self, site: SyncSite) -> bool {
        self.ignored.iter().any(|(file, line)| *line == site.line && site.file.ends_with(file.as_str()))
    }

    pub(super) fn lookup(&self, name: &[String]) -> io::Result<InodeId> {
        name.iter().try_fold(ROOT, |at, part| {
            self.dir(at)?.names.get(part).copied().ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    pub(super) fn add(&mut self, inode: Inode) -> InodeId {
        self.inodes.push(Arc::new(inode));
        self.inodes.len() - 1
    }

    pub(super) fn dir(&self, id: InodeId) -> io::Result<&DirInode> {
        match &*self.inodes[id] {
            Inode::Dir(dir) => Ok(dir),
            Inode::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn dir_mut(&mut self, id: InodeId) -> io::Result<&mut DirInode> {
        match Arc::make_mut(&mut self.inodes[id]) {
            Inode::Dir(dir) => Ok(dir),
            Inode::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self, id: InodeId) -> io::Result<&FileInode> {
        match &*self.inodes[id] {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: InodeId) -> io::Result<&mut FileInode> {
        match Arc::make_mut(&mut self.inodes[id]) {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn content_hash(&self) -> u64 {
        let mut hash = 0;
        let mut todo = vec![ROOT];
        while let Some(dir) = todo.pop() {
            let Inode::Dir(dir) = &*self.inodes[dir] else { continue };
            for (name, id) in &dir.names {
                hash = xxh3_64_with_seed(name.as_bytes(), hash);
                match &*self.inodes[*id] {
                    Inode::File(file) => {
                        hash = xxh3_64_with_seed(&file.content, hash ^ u64::from(file.readonly));
                    }
                    Inode::Dir(_) => todo.push(*id),
                }
            }
        }
        hash
    }

    /// Bytes left under the quota.
    pub(super) fn free(&self) -> u64 {
        let Some(quota) = self.quota else { return u64::MAX };
        let dirs = self.inodes.iter().filter_map(|inode| match &**inode {
            Inode::Dir(dir) => Some(dir),
            Inode::File(_) => None,
        });
        let named: BTreeSet<InodeId> = dirs.flat_map(|dir| dir.names.values().copied()).collect();
        let used: u64 = named.into_iter().filter_map(|id| self.file(id).ok()).map(FileInode::space).sum();
        quota.saturating_sub(used)
    }

    /// Writes `bytes`, or the part of it for which there is space.
    pub(super) fn write(&mut self, id: InodeId, bytes: &[u8], offset: u64, extent: Extent) -> io::Result<()> {
        let len = match extent {
            Extent::Part(r) => (r % (bytes.len() as u64 + 1)) as usize,
            Extent::Nothing => return Ok(()),
            Extent::Whole | Extent::Failed(_) | Extent::Astray(_) => bytes.len(),
        };
        let offset = match extent {
            Extent::Astray(r) => astray(offset, r),
            _ => offset,
        };
        let limit = self.file(id)?.space().saturating_add(self.free());
        let fits = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX).min(len);
        if fits > 0 {
            let seq = self.next_seq();
            let change = DataChange::Write { offset, bytes: bytes[..fits].to_vec() };
            self.file_mut(id)?.change(seq, change)?;
        }
        if fits < len { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    pub(super) fn set_len(&mut self, id: InodeId, len: u64) -> io::Result<()> {
        if len > self.file(id)?.space().saturating_add(self.free()) {
            return Err(ErrorKind::StorageFull.into());
        }
        let seq = self.next_seq();
        self.file_mut(id)?.change(seq, DataChange::SetLen(len))
    }

    pub(super) fn reserve(&mut self, id: InodeId, len: u64) -> io::Result<()> {
        if len > self.file(id)?.space().saturating_add(self.free()) {
            return Err(ErrorKind::StorageFull.into());
        }
        let file = self.file_mut(id)?;
        file.reserved = file.reserved.max(len);
        Ok(())
    }

    /// Makes content and length durable, and the attributes if they are `all` wanted.
    pub(super) fn sync_file(&mut self, id: InodeId, extent: Extent, all: bool) -> io::Result<()> {
        let file = self.file_mut(id)?;
        match extent {
            Extent::Failed(SyncedContent::Kept) => file.pending.clear(),
            Extent::Failed(SyncedContent::Reverted) => file.revert(),
            Extent::Whole | Extent::Part(_) | Extent::Nothing | Extent::Astray(_) => {
                file.sync_before(u64::MAX);
                if all {
                    file.readonly_durable = file.readonly;
                }
                if self.model == CrashModel::Windows {
                    drop(self.sync_all_names());
                }
            }
        }
        Ok(())
    }

    /// Makes names durable: those in the directory or, on ext4, all there are.
    pub(super) fn sync_names(&mut self, id: InodeId, extent: Extent) -> io::Result<()> {
        let model = self.model;
        let dir = self.dir_mut(id)?;
        match extent {
            Extent::Failed(SyncedContent::Kept) => dir.pending.clear(),
            Extent::Failed(SyncedContent::Reverted) => dir.revert(),
            Extent::Whole | Extent::Part(_) | Extent::Nothing | Extent::Astray(_) => match model {
                CrashModel::WeakPosix => {
                    dir.sync();
                }
                CrashModel::Ext4Ordered => self.sync_journal(),
                CrashModel::Windows => drop(self.sync_all_names()),
            },
        }
        Ok(())
    }

    /// Makes all names durable, and the content of files that were renamed over others.
    fn sync_journal(&mut self) {
        for (id, seq) in self.sync_all_names() {
            if let Inode::File(file) = Arc::make_mut(&mut self.inodes[id]) {
                file.sync_before(seq);
            }
        }
    }

    /// Makes all names durable; the files that were renamed over others, each with the moment of that.
    fn sync_all_names(&mut self) -> Vec<(InodeId, u64)> {
        let mut replaced = Vec::new();
        for inode in &mut self.inodes {
            if matches!(&**inode, Inode::Dir(dir) if !dir.pending.is_empty())
                && let Inode::Dir(dir) = Arc::make_mut(inode)
            {
                replaced.extend(dir.sync());
            }
        }
        replaced
    }

    /// Refuses what Windows refuses for open files: to take their last name away.
    pub(super) fn require_closed(&self, id: InodeId) -> io::Result<()> {
        let names =
            || self.dirs().flat_map(|(_, dir)| dir.names.values()).filter(|named| **named == id).count();
        if self.model == CrashModel::Windows && self.open.contains_key(&id) && names() < 2 {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

/// Up to four sectors before or behind `offset`.
fn astray(offset: u64, r: u64) -> u64 {
    let by = (1 + r % 4) * SECTOR;
    if r & 64 == 0 && offset >= by { offset - by } else { offset + by }
}
