//! Repository tasks: `cargo xtask ci`, `tidy`, `bench`, `faults`, `fuzz`.
//!
//! This program drives cargo and git; it links none of the workspace's crates, so that a broken crate
//! never stops the tool that would report it.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a repository tool reads real files and real clocks; nothing here runs inside the engine"
)]

mod bench;
mod ci;
mod faults;
mod fuzz;
mod neon;
mod process;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a task gives back: a value, or an error whose text is ready for the reader.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The command line.
#[derive(Parser)]
#[command(name = "cargo xtask", about = "Repository tasks", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// The tasks.
#[derive(Subcommand)]
enum Task {
    /// Run everything that continuous integration runs, stopping at the first failure.
    Ci,
    /// Check the architecture's rules: arrows, sizes, unsafe, names, format document, documents.
    Tidy {
        /// Rewrite the hashes in docs/format.md, after you have read and updated the document.
        #[arg(long)]
        bless_format: bool,
    },
    /// Run vectra-bench on a generated, seeded, clustered data set, or beside other engines.
    Bench(Box<bench::Options>),
    /// Run the fault tests of the database, every day's counts or those of the long gate.
    Faults(faults::Options),
    /// Run the fuzz targets one after the other.
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Ci => ci::run(),
        Task::Tidy { bless_format } => tidy::run(bless_format),
        Task::Bench(options) => bench::run(&options),
        Task::Faults(options) => faults::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
