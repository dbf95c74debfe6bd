//! Why a command ended early, in one line, and what to type next.

use std::io::{self, IsTerminal};

use serde_json::json;

use crate::exit::Exit;
use crate::input::InputError;
use crate::output::{Paint, shell_word};

/// An error as the caller sees it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
    hint: Option<String>,
    closed_pipe: bool,
}

/// `Result` of a command or a step of it.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: one_line(&text.into()), hint: None, closed_pipe: false }
    }

    /// The same failure with what to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(&hint.into()));
        self
    }

    /// The same failure, with `text` in front.
    pub(crate) fn context(mut self, text: impl std::fmt::Display) -> Self {
        self.text = one_line(&format!("{text}: {}", self.text));
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether nobody reads standard output any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }

    /// Prints it on standard error: two lines, or one JSON object.
    pub(crate) fn report(&self, as_json: bool) {
        if as_json {
            let (kind, code) = (self.exit.name(), self.exit as u8);
            eprintln!("{}", json!({"error": self.text, "kind": kind, "code": code, "hint": self.hint}));
            return;
        }
        let paint = Paint::for_stream(io::stderr().is_terminal());
        eprintln!("{} {}", paint.red("error:"), self.text);
        if let Some(hint) = &self.hint {
            eprintln!("{} {hint}", paint.cyan("hint:"));
        }
    }

    /// An error of the library about the index at `path`, with a hint that fits its kind.
    pub(crate) fn of_index(error: &vectra::Error, path: &std::path::Path) -> Self {
        let failure = Self::from(error);
        let name = shell_word(&path.display().to_string());
        match failure.exit {
            Exit::NotFound => failure.hint(format!(
                "vectra import FILE --into {name} makes an index from a file, vectra create {name} --dim N an empty one"
            )),
            Exit::Conflict => failure.hint(format!(
                "wait until the process that holds {name} ends, or stop it; vectra query, get, info, verify, salvage and wal dump work meanwhile"
            )),
            Exit::Corrupt => failure.hint(format!("vectra verify {name} --deep lists what is damaged")),
            _ => failure,
        }
    }
}

/// Messages of other libraries may span lines; an error is one line.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

impl From<&vectra::Error> for Failure {
    fn from(error: &vectra::Error) -> Self {
        Self::new(error.kind().into(), error.to_string())
    }
}

impl From<vectra::Error> for Failure {
    fn from(error: vectra::Error) -> Self {
        Self::from(&error)
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let exit = match &error {
            InputError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            InputError::Io { .. } => Exit::Internal,
            InputError::Bad { .. } => Exit::Invalid,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            InputError::Bad { hint, .. } => failure.hint(hint),
            InputError::Io { .. } if exit == Exit::NotFound => failure.hint("check the path"),
            InputError::Io { .. } => failure,
        }
    }
}

/// What goes wrong while results are printed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { closed_pipe, ..Self::new(Exit::Internal, format!("the output cannot be written: {error}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let failure = Failure::new(Exit::Invalid, "first\n  second\n").hint("a\nb").context("file");
        assert_eq!(failure.text, "file: first second");
        assert_eq!(failure.hint.as_deref(), Some("a b"));
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_closed_pipe());
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(!full.is_closed_pipe());
        assert_eq!(full.exit(), Exit::Internal);
    }
}
