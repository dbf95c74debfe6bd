//! How the program ends: numbers that scripts may rely on.

use std::process::ExitCode;

use vectra::ErrorKind;

/// An exit code. The numbers are part of the interface (README.md) and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Ok = 0,
    /// The operating system refused, or a bug.
    Internal = 1,
    /// The command line is not understood.
    Usage = 2,
    /// The index, item or file is not there.
    NotFound = 3,
    /// It is there already, or another process holds it.
    Conflict = 4,
    /// A file, vector, filter or setting is refused.
    Invalid = 5,
    /// Stored bytes are damaged.
    Corrupt = 6,
    /// Not now; try again later.
    Unavailable = 7,
}

impl Exit {
    /// The name of the code in JSON errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid | ErrorKind::Unsupported => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Unavailable | ErrorKind::Timeout => Self::Unavailable,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_readme() {
        let readme = include_str!("../README.md");
        let all = [
            Exit::Ok,
            Exit::Internal,
            Exit::Usage,
            Exit::NotFound,
            Exit::Conflict,
            Exit::Invalid,
            Exit::Corrupt,
            Exit::Unavailable,
        ];
        for (number, exit) in all.into_iter().enumerate() {
            assert_eq!(exit as usize, number);
            let row = format!("| {number} | `{}` |", exit.name());
            assert!(readme.contains(&row), "README.md lacks {row}");
        }
    }
}
