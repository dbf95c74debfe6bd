#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the real clock, files and threads")]

// What is asked for.
mod args;

// What it runs on: arrays, the true neighbours among them, and sets out of a seed.
mod data;
mod generate;
mod noise;
mod truth;

// What is done, with what it is measured, and what is said about it.
mod measure;
mod report;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use serde::Serialize;

use crate::args::{Cli, Command};

/// A result whose error is only ever shown; errors cross threads.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let done =
        match Cli::parse().command {
            Command::Ann(args) => {
                workload::ann(&args).and_then(|report| tell(&report.table(), &report, args.json.as_deref()))
            }
            Command::Churn(args) => {
                workload::churn(&args).and_then(|report| tell(&report.table(), &report, args.json.as_deref()))
            }
            Command::Codes(args) => workload::codes(&args).and_then(|report| {
                // Whoever takes turns with this process reads lines.
                let table = if args.serve { String::new() } else { report.table() };
                tell(&table, &report, args.json.as_deref())
            }),
            Command::Interfere(args) => workload::interfere(&args)
                .and_then(|report| tell(&report.table(), &report, args.json.as_deref())),
            Command::Throughput(args) => workload::throughput(&args)
                .and_then(|report| tell(&report.table(), &report, args.json.as_deref())),
            Command::Unsealed(args) => workload::unsealed(&args)
                .and_then(|report| tell(&report.table(), &report, args.json.as_deref())),
            Command::Gate(args) => workload::gate(&args).and_then(|report| {
                tell(&report.table(), &report.found, args.json.as_deref())?;
                report.outcome(args.bless)
            }),
            Command::Generate(args) => generate::generate(&args).map(|generated| print!("{generated}")),
        };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vectra-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table and writes the JSON file if one is asked for.
fn tell(table: &str, report: &impl Serialize, json: Option<&Path>) -> Outcome<()> {
    print!("{table}");
    if let Some(path) = json {
        std::fs::write(path, report::json(report)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
