//! One line on stderr that says what is being done, if somebody watches.

use std::io::{IsTerminal as _, Write as _};

/// Shows a line while it lives; does nothing unless stderr is a terminal.
pub(crate) struct Progress {
    doing: String,
    watched: bool,
}

impl Progress {
    pub(crate) fn new(doing: impl Into<String>) -> Self {
        let progress = Self { doing: doing.into(), watched: std::io::stderr().is_terminal() };
        progress.show("...");
        progress
    }

    pub(crate) fn at(&self, done: usize, all: usize) {
        self.show(&format!(": {done} of {all}"));
    }

    fn show(&self, what: &str) {
        if self.watched {
            // Nobody is hurt if it cannot be shown; CSI K clears what is left of the line before.
            let _ = write!(std::io::stderr(), "\r{}{what}\x1b[K", self.doing);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.watched {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
