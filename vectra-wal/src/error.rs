//! What can go wrong, by operation.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::log::Lsn;

/// Why a frame was not (or perhaps not) appended, or the log not synced or truncated.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log was closed.
    #[error("the log is closed")]
    Closed,

    /// An earlier write or sync failed. This frame was never written; only reopening the log helps.
    #[error("the log takes no more writes since an earlier write or sync failed")]
    Poisoned {
        /// The first failure.
        source: Arc<io::Error>,
    },

    /// The write or sync of this very frame failed: after the next open it may or may not be there.
    #[error("writing the log failed: whether the operation survives is known only after reopening")]
    Uncertain {
        /// The failure.
        source: Arc<io::Error>,
    },

    /// The payload is larger than the log allows.
    #[error("a payload of {len} bytes is larger than the {max} allowed")]
    PayloadTooLarge {
        /// Its length in bytes.
        len: u64,
        /// The cap in bytes.
        max: u64,
    },

    /// A frame must hold at least one operation.
    #[error("a frame must hold at least one operation")]
    NoOperations,

    /// The numbers of operations are used up.
    #[error("no LSN is left behind {last}")]
    LsnExhausted {
        /// The last LSN handed out.
        last: Lsn,
    },

    /// The ticket names operations that this log has not handed out.
    #[error("LSN {lsn} was not handed out by this log")]
    UnknownTicket {
        /// The last LSN of the ticket.
        lsn: Lsn,
    },

    /// A file that is no longer needed could not be removed; the log itself goes on.
    #[error("{} cannot be removed", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

/// What a visitor of replayed frames may fail with.
pub type VisitError = Box<dyn Error + Send + Sync>;

/// Why a log could not be created or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file system failed. A failed read is never taken for the end of the log.
    #[error("input or output failed at {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },

    /// Acknowledged data is damaged or missing.
    #[error(transparent)]
    Corruption(#[from] Box<Corruption>),

    /// The file was written by a newer version.
    #[error("{} uses {what}, which this version cannot read", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not known.
        what: &'static str,
    },

    /// The folder holds no log of this index.
    #[error("{} holds no log of this index", dir.display())]
    Missing {
        /// The folder.
        dir: PathBuf,
    },

    /// The folder already holds log files.
    #[error("{} already holds a log", dir.display())]
    AlreadyExists {
        /// The folder.
        dir: PathBuf,
    },

    /// The caller could not take in a frame.
    #[error("the frame that begins with LSN {lsn} could not be replayed")]
    Visit {
        /// The frame's first LSN.
        lsn: Lsn,
        /// The caller's error.
        source: VisitError,
    },
}

/// Damage, named: where it is, what must be there and what is there instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: expected {expected}, found {found}", file.display())]
pub struct Corruption {
    /// The damaged or missing file.
    pub file: PathBuf,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What must be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl OpenError {
    pub(crate) fn corrupt(
        file: &Path,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (expected, found) = (expected.into(), found.into());
        Self::Corruption(Box::new(Corruption { file: file.to_owned(), offset, expected, found }))
    }

    /// Turns an I/O error at `path` into an [`OpenError`].
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}
