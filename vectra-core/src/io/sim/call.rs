//! The record of what was asked of the disk.

use std::panic::Location;
use std::path::PathBuf;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the method of its name")]
pub enum CallKind {
    CreateNew,
    Link,
    Rename,
    Remove,
    Mkdir,
    SyncDir,
    Lock,
    Write,
    SetLen,
    Allocate,
    SyncData,
    SyncAll,
    SetReadonly,
    Open,
    List,
    Read,
    Len,
    Map,
    FreeSpace,
}

impl CallKind {
    /// Whether it is one of the three syncs.
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncDir | Self::SyncData | Self::SyncAll)
    }

    /// Whether it may need more space on the disk.
    pub(super) fn takes_space(self) -> bool {
        use CallKind::{Allocate, CreateNew, Link, Lock, Mkdir, Rename, SetLen, Write};
        matches!(self, CreateNew | Link | Rename | Mkdir | Lock | Write | SetLen | Allocate)
    }
}

/// A place in the source that asks for a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncSite {
    /// Source file as the compiler knows it.
    pub file: &'static str,
    /// Line in it, from 1.
    pub line: u32,
}

impl From<&'static Location<'static>> for SyncSite {
    fn from(location: &'static Location<'static>) -> Self {
        Self { file: location.file(), line: location.line() }
    }
}

/// One call that changes or syncs something.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Its number, from 1.
    pub n: u64,
    /// What it does.
    pub kind: CallKind,
    /// The file or directory; for open files the path they were opened by.
    pub path: PathBuf,
    /// The new name for `Link` and `Rename`.
    pub to: Option<PathBuf>,
    /// Where a write goes.
    pub offset: u64,
    /// How many bytes are written or reserved, or the length that is set.
    pub len: u64,
    /// A hash of the bytes written.
    pub digest: u64,
    /// Who asked, for syncs.
    pub site: Option<SyncSite>,
}

impl Call {
    /// A call that has no number yet.
    pub(super) fn new(kind: CallKind, path: impl Into<PathBuf>) -> Self {
        Self { n: 0, kind, path: path.into(), to: None, offset: 0, len: 0, digest: 0, site: None }
    }

    pub(super) fn to(self, to: impl Into<PathBuf>) -> Self {
        Self { to: Some(to.into()), ..self }
    }

    pub(super) fn site(self, site: &'static Location<'static>) -> Self {
        Self { site: Some(site.into()), ..self }
    }

    pub(super) fn len(self, len: u64) -> Self {
        Self { len, ..self }
    }

    pub(super) fn bytes(self, bytes: &[u8], offset: u64) -> Self {
        Self { offset, len: bytes.len() as u64, digest: xxh3_64(bytes), ..self }
    }
}

/// A hash over calls with their order. Call sites are left out: they move with every line of the source.
pub(super) fn hash(trace: &[Call]) -> u64 {
    trace.iter().fold(0, |hash, call| {
        let numbers = [call.n, call.kind as u64, call.offset, call.len, call.digest];
        let hash = numbers.iter().fold(hash, |hash, n| xxh3_64_with_seed(&n.to_le_bytes(), hash));
        let paths = std::iter::once(&call.path).chain(&call.to);
        paths.fold(hash, |hash, path| xxh3_64_with_seed(path.as_os_str().as_encoded_bytes(), hash))
    })
}
