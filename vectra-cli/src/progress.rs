//! What is going on, on standard error, where it is a terminal.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use vectra::Progress;

use crate::output::count;

const BAR: &str = "{msg:10} [{bar:32}] {human_pos}/{human_len} rows, {rate} rows/s, {eta} left";
const BYTES: &str = "{msg:10} [{bar:32}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";

/// A bar with the rate and the time left for `rows` rows; hidden where nobody watches.
pub(crate) fn bar(what: &'static str, rows: u64, quiet: bool) -> ProgressBar {
    if !shown(quiet) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(BAR).expect("the template is a constant that parses");
    let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
        // A bar has no place for an error, and the next tick draws it again.
        let _ = to.write_str(&count(state.per_sec() as u64));
    });
    ProgressBar::new(rows).with_style(style.progress_chars("=> ")).with_message(what)
}

/// A bar for bytes, as many as [`show`] says; hidden where nobody watches.
pub(crate) fn bytes(what: &'static str, quiet: bool) -> ProgressBar {
    if !shown(quiet) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(BYTES).expect("the template is a constant that parses");
    ProgressBar::new(0).with_style(style.progress_chars("=> ")).with_message(what)
}

/// Moves a bar to where the work is.
pub(crate) fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
}

/// A sign of life for work of unknown length; hidden where nobody watches.
pub(crate) fn spinner(what: &'static str, quiet: bool) -> ProgressBar {
    if !shown(quiet) {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:10} {spinner} {elapsed}").expect("a constant that parses");
    let spinner = ProgressBar::new_spinner().with_style(style.tick_chars("|/-\\ ")).with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn shown(quiet: bool) -> bool {
    !quiet && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_parse() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
        assert!(ProgressStyle::with_template(BYTES).is_ok());
        assert!(bar("x", 10, true).is_hidden() && bytes("x", true).is_hidden());
        assert!(spinner("x", true).is_hidden());
    }
}
