//! Why a file is refused.

use std::io;
use std::path::{Path, PathBuf};

/// A file that cannot be read, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// The operating system refused.
    #[error("{} cannot be read: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The file does not hold what it should.
    #[error("{place}: {problem}")]
    Bad {
        /// The file, and the line or row within it.
        place: String,
        problem: String,
        /// What to do about it.
        hint: String,
    },
}

impl InputError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn bad(path: &Path, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Bad { place: path.display().to_string(), problem: problem.into(), hint: hint.into() }
    }

    /// Something wrong with a row, counted from 0 as ids are.
    pub(crate) fn bad_row(
        path: &Path,
        row: u64,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let place = format!("{}, row {row}", path.display());
        Self::Bad { place, problem: problem.into(), hint: hint.into() }
    }

    /// Something wrong with a line, counted from 1 as editors do.
    pub(crate) fn bad_line(
        path: &Path,
        line: u64,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let place = format!("{}, line {line}", path.display());
        Self::Bad { place, problem: problem.into(), hint: hint.into() }
    }
}

/// `Result` of reading a file.
pub(crate) type Result<T> = std::result::Result<T, InputError>;
