//! The program `vectra`: create, import, query, inspect and verify indexes from a shell.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a program reads the caller's files and the wall clock itself; the index goes through the library's seams"
)]

// What was asked, and how it ends.
mod args;
mod exit;
mod failure;
mod size;

// What is read and what is shown.
mod encoding;
mod input;
mod output;
mod progress;

// What is done.
mod command;
mod folder;

use std::process::ExitCode;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be said if even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let mut output = Output::stdout(cli.wants_json());
    let done = command::run(&cli.command, &mut output).and_then(|exit| output.flush().map(|()| exit));
    match done {
        Ok(exit) => exit.into(),
        // The reader has what it wanted, as in `vectra query ... | head -1`.
        Err(failure) if failure.is_closed_pipe() => Exit::Ok.into(),
        Err(failure) => {
            failure.report(cli.wants_json());
            failure.exit().into()
        }
    }
}
