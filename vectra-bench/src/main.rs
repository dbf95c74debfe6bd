#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the real clock, files and threads")]

// What is asked for.
mod args;

// What it runs on: arrays, and the true neighbours among them.
mod data;
mod truth;

// What is done, with what it is measured, and what is said about it.
mod measure;
mod report;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{AnnArgs, Cli, Command};

/// A result whose error is only ever shown; errors cross threads.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let Command::Ann(args) = Cli::parse().command;
    match ann(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vectra-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the workload, prints the table and writes the JSON file if one is asked for.
fn ann(args: &AnnArgs) -> Outcome<()> {
    let report = workload::ann(args)?;
    print!("{}", report.table());
    if let Some(path) = &args.json {
        std::fs::write(path, report.json()?).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
