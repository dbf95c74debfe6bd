//! Crashes of which the caller decides what they keep, to go through all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::CrashModel;
use super::disk::{Disk, ROOT};
use super::inode::{DataChange, FileInode, Inode, InodeId, NameChange, apply, apply_name};

/// One change in flight: when it was made, to which file or directory, the how-manieth there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct InFlight {
    seq: u64,
    inode: InodeId,
    position: usize,
    is_name: bool,
}

impl Disk {
    /// The changes in flight that a crash can show, oldest first: those of directories, and those of files that have a
    /// name or may still get one back.
    fn in_flight(&self) -> Vec<InFlight> {
        let mut found = Vec::new();
        let mut shown: BTreeSet<InodeId> = BTreeSet::from([ROOT]);
        for (inode, dir) in self.dirs() {
            shown.extend(dir.durable.values());
            for (position, op) in dir.pending.iter().enumerate() {
                if let NameChange::Set { inode, .. } | NameChange::Move { inode, .. } = &op.change {
                    shown.insert(*inode);
                }
                found.push(InFlight { seq: op.seq, inode, position, is_name: true });
            }
        }
        for inode in shown {
            if let Inode::File(file) = &*self.inodes[inode] {
                let ops = file.pending.iter().enumerate();
                found.extend(ops.map(|(position, op)| InFlight {
                    seq: op.seq,
                    inode,
                    position,
                    is_name: false,
                }));
            }
        }
        found.sort_unstable();
        found
    }

    /// How many changes are in flight.
    pub(super) fn pending(&self) -> usize {
        self.in_flight().len()
    }

    /// The disk after a crash that kept, of the changes in flight, those for which `kept` is true; `None` if the model
    /// does not let a crash choose so.
    ///
    /// # Panics
    /// If `kept` has another length than there are changes.
    pub(super) fn survivors_of(&self, kept: &[bool]) -> Option<Self> {
        let all = self.in_flight();
        assert_eq!(all.len(), kept.len(), "one choice for each change in flight");
        let chosen: BTreeSet<(InodeId, usize)> = all
            .iter()
            .zip(kept)
            .filter(|(_, kept)| **kept)
            .map(|(change, _)| (change.inode, change.position))
            .collect();
        let journalled = self.model != CrashModel::WeakPosix;
        let names: Vec<(u64, bool)> =
            all.iter().zip(kept).filter(|(op, _)| op.is_name).map(|(op, kept)| (op.seq, *kept)).collect();
        if journalled && !is_prefix(&names) {
            return None;
        }
        let mut survived = BTreeMap::new();
        for (id, dir) in self.dirs() {
            let mut names = dir.durable.clone();
            let ops = dir.pending.iter().enumerate().filter(|(i, _)| chosen.contains(&(id, *i)));
            ops.for_each(|(_, op)| apply_name(&mut names, &op.change));
            survived.insert(id, names);
        }
        if self.model == CrashModel::Ext4Ordered {
            let end = names.iter().filter(|(_, kept)| *kept).map(|(seq, _)| *seq).max().unwrap_or(0);
            let flushed = self.names_up_to(end).flushed;
            let ordered = self.inodes.iter().enumerate().all(|(id, inode)| match &**inode {
                Inode::File(file) => {
                    let shown = all.iter().any(|op| op.inode == id);
                    let flushed = flushed.get(&id).copied().unwrap_or(0);
                    !shown || is_ordered(file, flushed, |position| chosen.contains(&(id, position)))
                }
                Inode::Dir(_) => true,
            });
            if !ordered {
                return None;
            }
        }
        Some(self.survived(0, &survived, &|id, file| {
            let mut content = file.durable.clone();
            for (_, op) in file.pending.iter().enumerate().filter(|(i, _)| chosen.contains(&(id, *i))) {
                apply(&mut content, &op.change).expect("the visible content took this change");
            }
            FileInode::of(content, file.readonly)
        }))
    }
}

/// Whether the operations that are kept come before all that are not, and halves of one moment stay together.
fn is_prefix(ops: &[(u64, bool)]) -> bool {
    let first_lost = ops.iter().filter(|(_, kept)| !kept).map(|(seq, _)| *seq).min();
    let last_kept = ops.iter().filter(|(_, kept)| *kept).map(|(seq, _)| *seq).max();
    first_lost.is_none_or(|lost| last_kept.is_none_or(|kept| kept < lost))
}

/// Whether appends and lengths survive as a prefix, with all that a rename flushed.
fn is_ordered(file: &FileInode, flushed: u64, kept: impl Fn(usize) -> bool) -> bool {
    let mut settled = file.durable.len() as u64;
    let mut whole = true;
    for (i, op) in file.pending.iter().enumerate() {
        if op.seq < flushed && !kept(i) {
            return false;
        }
        let free = match &op.change {
            DataChange::Write { offset, bytes } => offset + bytes.len() as u64 <= settled,
            DataChange::SetLen(len) => {
                settled = settled.min(*len);
                false
            }
        };
        if free {
            continue;
        }
        if kept(i) && !whole {
            return false;
        }
        whole = kept(i);
    }
    true
}
