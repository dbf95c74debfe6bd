//! `vectra checkpoint`: states of the index that keep their name.

use serde_json::json;
use vectra::{CheckpointInfo, ErrorKind, Snapshot};

use crate::args::CheckpointCommand;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, shell_word};

pub(super) fn run(command: &CheckpointCommand, output: &mut Output) -> Result<Exit> {
    match command {
        CheckpointCommand::Create(args) => {
            let index = folder::open(&args.index)?;
            let made = index.create_checkpoint(&args.name).map_err(|e| {
                Failure::from(&e).hint(
                    "names are made of a-z, 0-9, `_` and `-`; vectra checkpoint list shows those there are",
                )
            })?;
            index.close()?;
            if output.is_json() {
                output.json(&as_json(&made))?;
            } else {
                output.line(format!("checkpoint {} holds everything up to LSN {}", made.name, made.lsn))?;
            }
        }
        CheckpointCommand::List(args) => {
            let index = folder::open(&args.index)?;
            let all = index.checkpoints();
            index.close()?;
            if output.is_json() {
                output.json(&json!({"checkpoints": all.iter().map(as_json).collect::<Vec<_>>()}))?;
            } else {
                let row = |c: &CheckpointInfo| vec![c.name.clone(), c.lsn.to_string(), c.unix_ms.to_string()];
                output.table(&["name", ">lsn", ">unix_ms"], &all.iter().map(row).collect::<Vec<_>>())?;
            }
        }
        CheckpointCommand::Drop(args) => {
            let index = folder::open(&args.index)?;
            index.drop_checkpoint(&args.name).map_err(|e| failure(&e, &args.index))?;
            index.close()?;
            if output.is_json() {
                output.json(&json!({"dropped": args.name}))?;
            } else {
                output.line(format!("dropped checkpoint {}", args.name))?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// What a query reads: the present, beside a program that may be writing, or a checkpoint.
pub(super) fn snapshot(path: &std::path::Path, name: Option<&str>) -> Result<Snapshot> {
    let Some(name) = name else { return Ok(folder::read(path)?.snapshot()) };
    let index = folder::open(path)?;
    let snapshot = index.at_checkpoint(name).map_err(|e| failure(&e, path))?;
    index.close()?;
    Ok(snapshot)
}

fn failure(error: &vectra::Error, path: &std::path::Path) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => {
            let index = shell_word(&path.display().to_string());
            Failure::from(error).hint(format!("vectra checkpoint list {index} shows which there are"))
        }
        _ => Failure::of_index(error, path),
    }
}

fn as_json(info: &CheckpointInfo) -> serde_json::Value {
    json!({"name": info.name, "lsn": info.lsn, "unix_ms": info.unix_ms})
}
