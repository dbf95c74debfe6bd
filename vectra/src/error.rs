//! The facade's one error: opaque, with a coarse and prescriptive kind.

use std::fmt;
use std::sync::Arc;

use vectra_tier::container::WriteError;
use vectra_tier::{OpenError, PartRef, ReadError, Role, StoreError};

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong; change it.
    Invalid,
    /// The item or index is not there.
    NotFound,
    /// It is there already, or somebody else holds it.
    Conflict,
    /// Stored bytes are damaged; run [`crate::verify_deep`].
    Corrupt,
    /// The operating system refused.
    Io,
    /// Not now; try again later.
    Unavailable,
    /// The disk, or a limit, is full.
    Full,
    /// The deadline passed.
    Timeout,
    /// The outcome of a write is unknown; reopen the index to find out.
    Uncertain,
    /// This version cannot do that.
    Unsupported,
    /// The index was closed.
    Closed,
}

/// An error of the database. [`Error::kind`] says what to do, its text says what happened, `source` why.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    text: String,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a deeper cause.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    /// An error caused by `source`.
    pub(crate) fn caused(
        kind: ErrorKind,
        text: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind, text: text.into(), source: Some(Arc::new(source)) }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, text)
    }

    pub(crate) fn corrupt(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, text)
    }

    pub(crate) fn io(doing: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => kind_of_write(&source),
        };
        Self::caused(kind, doing, source)
    }

    /// An error of writing a part.
    pub(crate) fn write_part(role: Role, source: WriteError) -> Self {
        let kind = match &source {
            WriteError::Io { source, .. } => kind_of_write(source),
            _ => ErrorKind::Io,
        };
        Self::caused(kind, format!("the part `{role}` of a segment cannot be written"), source)
    }

    /// An error of publishing a part that was written.
    pub(crate) fn publish_part(part: &PartRef, source: StoreError) -> Self {
        let kind = match &source {
            StoreError::Io { source, .. } => kind_of_write(source),
            _ => ErrorKind::Io,
        };
        Self::caused(kind, format!("the part {} cannot be published", part.id), source)
    }

    /// An error of opening a part that a manifest names. A file system that fails is not taken for damage: trying again
    /// may help.
    pub(crate) fn open_part(part: &PartRef, source: OpenError) -> Self {
        let kind = match &source {
            OpenError::Io { source, .. } if source.kind() != std::io::ErrorKind::NotFound => ErrorKind::Io,
            OpenError::Unsupported { .. } => ErrorKind::Unsupported,
            OpenError::Away { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Corrupt,
        };
        let advice = if kind == ErrorKind::Corrupt { "; run `vectra verify --deep`" } else { "" };
        Self::caused(kind, format!("the part {} ({}) cannot be opened{advice}", part.id, part.role), source)
    }

    /// An error of reading a part that is open; told apart as by [`Error::open_part`].
    pub(crate) fn read_part(source: ReadError) -> Self {
        match &source {
            ReadError::Io { .. } => Self::caused(ErrorKind::Io, "a segment part cannot be read", source),
            _ => Self::caused(
                ErrorKind::Corrupt,
                "a segment part is damaged; run `vectra verify --deep`",
                source,
            ),
        }
    }

    /// The same, of the query with number `at` among many.
    pub(crate) fn of_query(mut self, at: usize) -> Self {
        self.text = format!("query {at}: {}", self.text);
        self
    }

    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A disk that is full is told apart from one that fails: room can be made.
pub(crate) fn kind_of_write(source: &std::io::Error) -> ErrorKind {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as &(dyn std::error::Error + 'static))
    }
}
