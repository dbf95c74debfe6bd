//! What a crash leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::CrashModel;
use super::disk::{Disk, ROOT};
use super::inode::{
    DataChange, DirInode, FileInode, Inode, InodeId, NameOp, Names, SECTOR, apply, apply_name,
};
use crate::env::{Rng, SeededRng};

/// How likely, in percent, an unsynced operation is kept: drawn anew for each file and each crash, so that losing or
/// keeping many operations at once happens as well as every mixture.
const KEEP: [u64; 5] = [0, 25, 50, 75, 100];

impl Disk {
    /// The disk as it is found after a crash in this moment.
    pub(super) fn survivors(&self, seed: u64) -> Self {
        let crash = Crash { rng: SeededRng::new(self.seed.rotate_left(17) ^ seed), disk: self };
        let names = match self.model {
            CrashModel::WeakPosix => crash.names_by_chance(),
            CrashModel::Ext4Ordered | CrashModel::Windows => self.names_up_to(crash.journal_end()),
        };
        self.survived(seed, &names.names, &|id, file| {
            crash.file(file, names.flushed.get(&id).copied().unwrap_or(0))
        })
    }

    /// A disk with these names for each directory, and with what `file` makes of each file that has changes in flight.
    pub(super) fn survived(
        &self,
        seed: u64,
        names: &BTreeMap<InodeId, Names>,
        file: &dyn Fn(InodeId, &FileInode) -> FileInode,
    ) -> Self {
        let mut after = Self::new(seed, self.model);
        after.quota = self.quota;
        after.ignored.clone_from(&self.ignored);
        // A file with two names is copied once.
        let mut copies = BTreeMap::from([(ROOT, ROOT)]);
        let mut todo = vec![ROOT];
        while let Some(dir) = todo.pop() {
            let mut found = Names::new();
            for (name, &id) in &names[&dir] {
                let copy = *copies.entry(id).or_insert_with(|| {
                    after.inodes.push(match &*self.inodes[id] {
                        Inode::File(settled) if settled.is_settled() => Arc::clone(&self.inodes[id]),
                        Inode::File(unsettled) => Arc::new(Inode::File(file(id, unsettled))),
                        Inode::Dir(_) => {
                            todo.push(id);
                            Arc::new(Inode::Dir(DirInode::default()))
                        }
                    });
                    after.inodes.len() - 1
                });
                found.insert(name.clone(), copy);
            }
            let dir_after = DirInode { durable: found.clone(), names: found, pending: Vec::new() };
            after.inodes[copies[&dir]] = Arc::new(Inode::Dir(dir_after));
        }
        after
    }

    pub(super) fn dirs(&self) -> impl Iterator<Item = (InodeId, &DirInode)> {
        self.inodes.iter().enumerate().filter_map(|(id, inode)| match &**inode {
            Inode::Dir(dir) => Some((id, dir)),
            Inode::File(_) => None,
        })
    }

    /// The names of each directory if the journal reached as far as operation `end`.
    pub(super) fn names_up_to(&self, end: u64) -> Survived {
        let mut survived = Survived::default();
        for (id, dir) in self.dirs() {
            let mut names = dir.durable.clone();
            for NameOp { seq, change } in dir.pending.iter().take_while(|op| op.seq <= end) {
                apply_name(&mut names, change);
                if let Some(file) = change.replaced_by() {
                    let flushed = survived.flushed.entry(file).or_default();
                    *flushed = (*flushed).max(*seq);
                }
            }
            survived.names.insert(id, names);
        }
        survived
    }
}

/// The names of each directory after the crash, and before which operation each file was flushed by a rename.
#[derive(Default)]
pub(super) struct Survived {
    pub(super) names: BTreeMap<InodeId, Names>,
    pub(super) flushed: BTreeMap<InodeId, u64>,
}

struct Crash<'d> {
    rng: SeededRng,
    disk: &'d Disk,
}

impl Crash<'_> {
    fn percent(&self, chance: u64) -> bool {
        self.rng.below(100) < chance
    }

    fn keep_chance(&self) -> u64 {
        KEEP[self.rng.below(KEEP.len() as u64) as usize]
    }

    fn names_by_chance(&self) -> Survived {
        let mut survived = Survived::default();
        for (id, dir) in self.disk.dirs() {
            let keep = self.keep_chance();
            let mut names = dir.durable.clone();
            for op in &dir.pending {
                if self.percent(keep) {
                    apply_name(&mut names, &op.change);
                }
            }
            survived.names.insert(id, names);
        }
        survived
    }

    /// The last operation that reached the journal.
    fn journal_end(&self) -> u64 {
        let ops = self.disk.dirs().flat_map(|(_, dir)| &dir.pending);
        let mut moments: Vec<u64> = ops.map(|op| op.seq).collect();
        moments.sort_unstable();
        moments.dedup();
        // From none to all of them, each as likely.
        let n = self.rng.below(moments.len() as u64 + 1) as usize;
        if n == 0 { 0 } else { moments[n - 1] }
    }

    fn file(&self, file: &FileInode, flushed: u64) -> FileInode {
        let content = match self.disk.model {
            _ if file.pending.is_empty() => file.durable.clone(),
            CrashModel::WeakPosix => self.weak_content(file),
            CrashModel::Ext4Ordered => self.ordered_content(file, flushed),
            CrashModel::Windows => self.sector_content(file),
        };
        let readonly = if self.percent(50) { file.readonly } else { file.readonly_durable };
        FileInode::of(content, readonly)
    }

    /// Whole sectors at random, zeros where they are missing, and a length that the file had.
    fn sector_content(&self, file: &FileInode) -> Vec<u8> {
        let keep = self.keep_chance();
        let mut content = file.durable.clone();
        let mut lens = vec![content.len() as u64];
        for op in &file.pending {
            let len = lens[lens.len() - 1];
            lens.push(match &op.change {
                DataChange::Write { offset, bytes } => {
                    for (at, piece) in sectors(*offset, bytes) {
                        if self.percent(keep) {
                            paste(&mut content, at, piece);
                        }
                    }
                    len.max(offset + bytes.len() as u64)
                }
                DataChange::SetLen(n) => *n,
            });
        }
        let n = self.rng.below(lens.len() as u64) as usize;
        // What was cut off does not come back with a later length.
        let cut = lens[..=n].iter().copied().min().unwrap_or(0) as usize;
        if let Some(rest) = content.get_mut(cut..)
            && file.pending[..n].iter().any(|op| matches!(op.change, DataChange::SetLen(_)))
        {
            rest.fill(0);
        }
        content.resize(lens[n] as usize, 0);
        content
    }

    fn weak_content(&self, file: &FileInode) -> Vec<u8> {
        let keep = self.keep_chance();
        let torn = [0, 0, 20][self.rng.below(3) as usize];
        let stale = self.percent(25);
        let durable_len = file.durable.len() as u64;
        let mut content = file.durable.clone();
        let mut lens = vec![durable_len];
        let mut len = durable_len;
        for op in &file.pending {
            match &op.change {
                DataChange::Write { offset, bytes } => {
                    for (at, piece) in sectors(*offset, bytes) {
                        if self.percent(torn) {
                            self.tear(&mut content, at, piece);
                        } else if self.percent(keep) {
                            paste(&mut content, at, piece);
                        } else if stale && at >= durable_len {
                            // The length may survive without the bytes, over blocks of some deleted file.
                            paste(&mut content, at, &self.garbage(piece.len()));
                        }
                    }
                    len = len.max(offset + bytes.len() as u64);
                }
                DataChange::SetLen(n) => {
                    if self.percent(keep)
                        && let Some(cut) = content.get_mut(*n as usize..)
                    {
                        cut.fill(0);
                    }
                    len = *n;
                }
            }
            lens.push(len);
        }
        let len = match self.rng.below(4) {
            0 => durable_len,
            1 => lens[self.rng.below(lens.len() as u64) as usize],
            _ => len,
        };
        content.resize(len as usize, 0);
        content
    }

    /// Writes some first or last part of a piece; the rest stays as it was or turns to garbage.
    fn tear(&self, content: &mut Vec<u8>, at: u64, piece: &[u8]) {
        if self.percent(50) {
            paste(content, at, &self.garbage(piece.len()));
        }
        let cut = self.rng.below(piece.len() as u64 + 1) as usize;
        if self.percent(50) {
            paste(content, at, &piece[..cut]);
        } else {
            paste(content, at + cut as u64, &piece[cut..]);
        }
    }

    fn garbage(&self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.rng.next_u64() as u8).collect()
    }

    fn ordered_content(&self, file: &FileInode, flushed: u64) -> Vec<u8> {
        let keep = self.keep_chance();
        let sure = file.pending.partition_point(|op| op.seq < flushed);
        let kept = sure + self.rng.below((file.pending.len() - sure) as u64 + 1) as usize;
        let mut content = file.durable.clone();
        // Below this length, blocks were there before: writes to them are not ordered by the journal.
        let mut settled = content.len() as u64;
        for (i, op) in file.pending.iter().enumerate() {
            match &op.change {
                DataChange::Write { offset, bytes } => {
                    let pieces = sectors(*offset, bytes).count() as u64;
                    // Of the first append that did not make it whole, some sectors may have.
                    let partial = if i == kept { self.rng.below(pieces + 1) } else { 0 };
                    for (p, (at, piece)) in (0..).zip(sectors(*offset, bytes)) {
                        let overwrites = at + piece.len() as u64 <= settled;
                        let keep =
                            if overwrites { i < sure || self.percent(keep) } else { i < kept || p < partial };
                        if keep {
                            paste(&mut content, at, piece);
                        }
                    }
                }
                DataChange::SetLen(len) => {
                    settled = settled.min(*len);
                    if i < kept {
                        apply(&mut content, &op.change).expect("the visible content took this length");
                    }
                }
            }
        }
        content
    }
}

fn paste(content: &mut Vec<u8>, at: u64, piece: &[u8]) {
    let change = DataChange::Write { offset: at, bytes: piece.to_vec() };
    apply(content, &change).expect("the visible content took these bytes");
}

/// The parts of a write by the sectors of the file, each with its offset.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first = ((SECTOR - offset % SECTOR) as usize).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let heads = std::iter::once((offset, head)).filter(|(_, head)| !head.is_empty());
    heads.chain((0..).map(move |i| offset + first as u64 + i * SECTOR).zip(rest.chunks(SECTOR as usize)))
}
