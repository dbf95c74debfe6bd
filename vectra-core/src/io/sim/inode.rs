//! Files and directories with what is visible, what is durable, and the operations in between.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use super::super::mem::{paste_at, resize};

/// The unit of what a disk writes whole.
pub(super) const SECTOR: u64 = 512;

/// Index of a file or directory on its disk.
pub(super) type InodeId = usize;

#[derive(Debug, Clone)]
pub(super) enum Inode {
    File(FileInode),
    Dir(DirInode),
}

#[derive(Debug, Clone)]
pub(super) enum DataChange {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

/// A change to a file with its place in the order of the whole disk.
#[derive(Debug, Clone)]
pub(super) struct DataOp {
    pub(super) seq: u64,
    pub(super) change: DataChange,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileInode {
    /// What readers see.
    pub(super) content: Vec<u8>,
    /// What is sure to survive.
    pub(super) durable: Vec<u8>,
    /// The changes since the last sync, oldest first.
    pub(super) pending: Vec<DataOp>,
    pub(super) readonly: bool,
    pub(super) readonly_durable: bool,
    /// Space reserved by `allocate`.
    pub(super) reserved: u64,
    /// What the latest write replaced, and where.
    replaced: Option<(u64, Vec<u8>)>,
}

impl FileInode {
    /// A file that is durable as it is.
    pub(super) fn of(content: Vec<u8>, readonly: bool) -> Self {
        Self { durable: content.clone(), content, readonly, readonly_durable: readonly, ..Self::default() }
    }

    pub(super) fn change(&mut self, seq: u64, change: DataChange) -> io::Result<()> {
        if let DataChange::Write { offset, bytes } = &change {
            let tail = self.content.get(*offset as usize..).unwrap_or_default();
            let mut old = tail[..bytes.len().min(tail.len())].to_vec();
            old.resize(bytes.len(), 0);
            self.replaced = Some((*offset, old));
        }
        apply(&mut self.content, &change)?;
        self.pending.push(DataOp { seq, change });
        Ok(())
    }

    /// Whether a crash finds exactly this: nothing is in flight, and no failed sync dropped anything.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
            && self.readonly == self.readonly_durable
            && self.reserved <= self.content.len() as u64
            && self.content == self.durable
    }

    /// What was to be read before the latest write; zeros if it is not remembered.
    pub(super) fn stale(&self) -> Vec<u8> {
        let Some((offset, old)) = &self.replaced else { return vec![0; self.content.len()] };
        let mut stale = self.content.clone();
        if let Some(tail) = stale.get_mut(*offset as usize..) {
            let n = old.len().min(tail.len());
            tail[..n].copy_from_slice(&old[..n]);
        }
        stale
    }

    /// Makes the changes before `seq` durable. Not simply the content: a failed sync may have dropped changes.
    pub(super) fn sync_before(&mut self, seq: u64) {
        let n = self.pending.partition_point(|op| op.seq < seq);
        for op in self.pending.drain(..n) {
            apply(&mut self.durable, &op.change)
                .expect("the content took this change, and is at least as long");
        }
    }

    pub(super) fn revert(&mut self) {
        self.pending.clear();
        self.content.clone_from(&self.durable);
    }

    /// Bytes taken on the disk.
    pub(super) fn space(&self) -> u64 {
        self.reserved.max(self.content.len() as u64)
    }

    pub(super) fn flip_bit(&mut self, bit: u64) -> io::Result<()> {
        let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        let mask = 1 << (bit % 8);
        match self.content.get_mut(at) {
            Some(byte) => *byte ^= mask,
            None => return Err(io::Error::new(ErrorKind::InvalidInput, "a bit behind the end of the file")),
        }
        if let Some(byte) = self.durable.get_mut(at) {
            *byte ^= mask;
        }
        // What is still to be written carries the flip along, or a sync would undo it.
        for op in &mut self.pending {
            if let DataChange::Write { offset, bytes } = &mut op.change
                && let Some(i) = (at as u64).checked_sub(*offset)
                && let Some(byte) = bytes.get_mut(i as usize)
            {
                *byte ^= mask;
            }
        }
        Ok(())
    }
}

pub(super) fn apply(content: &mut Vec<u8>, change: &DataChange) -> io::Result<()> {
    match change {
        DataChange::Write { offset, bytes } => paste_at(content, bytes, *offset),
        DataChange::SetLen(len) => resize(content, *len),
    }
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    /// A name appears or, if it was there, means another file from now on; `replaces`: by a rename over a file.
    Set {
        name: String,
        inode: InodeId,
        replaces: bool,
    },
    Unset {
        name: String,
    },
    /// Both at once, within one directory.
    Move {
        from: String,
        to: String,
        inode: InodeId,
        replaces: bool,
    },
}

impl NameChange {
    /// The file that was renamed over another one, if this is that.
    pub(super) fn replaced_by(&self) -> Option<InodeId> {
        match self {
            Self::Set { inode, replaces: true, .. } | Self::Move { inode, replaces: true, .. } => {
                Some(*inode)
            }
            _ => None,
        }
    }
}

/// A change to a directory with its place in the order of the whole disk.
#[derive(Debug, Clone)]
pub(super) struct NameOp {
    pub(super) seq: u64,
    pub(super) change: NameChange,
}

pub(super) type Names = BTreeMap<String, InodeId>;

#[derive(Debug, Clone, Default)]
pub(super) struct DirInode {
    /// What readers see.
    pub(super) names: Names,
    /// What is sure to survive.
    pub(super) durable: Names,
    /// The changes since the last sync, oldest first.
    pub(super) pending: Vec<NameOp>,
}

impl DirInode {
    pub(super) fn change(&mut self, seq: u64, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending.push(NameOp { seq, change });
    }

    /// Makes all names durable; the files that were renamed over others, each with the moment of that.
    pub(super) fn sync(&mut self) -> Vec<(InodeId, u64)> {
        let mut replaced = Vec::new();
        for op in self.pending.drain(..) {
            apply_name(&mut self.durable, &op.change);
            replaced.extend(op.change.replaced_by().map(|inode| (inode, op.seq)));
        }
        replaced
    }

    pub(super) fn revert(&mut self) {
        self.pending.clear();
        self.names.clone_from(&self.durable);
    }
}

pub(super) fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Set { name, inode, .. } => {
            names.insert(name.clone(), *inode);
        }
        NameChange::Unset { name } => {
            names.remove(name);
        }
        NameChange::Move { from, to, inode, .. } => {
            // When the creation of `from` was lost, there may be nothing or an older file under that name.
            if names.get(from) == Some(inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
    }
}
