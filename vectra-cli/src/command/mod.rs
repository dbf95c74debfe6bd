//! One module per command.

mod backup;
mod checkpoint;
mod compact;
mod create;
mod delete;
mod demo;
mod get;
mod import;
mod info;
mod measure_recall;
mod quantize;
mod query;
mod salvage;
mod verify;
mod wal;

use crate::args::Command;
use crate::exit::Exit;
use crate::failure::Result;
use crate::output::Output;

/// Carries out a command.
pub(crate) fn run(command: &Command, output: &mut Output) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, output),
        Command::Create(args) => create::run(args, output),
        Command::Import(args) => import::run(args, output),
        Command::Query(args) => query::run(args, output),
        Command::MeasureRecall(args) => measure_recall::run(args, output),
        Command::Get(args) => get::run(args, output),
        Command::Info(args) => info::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Delete(args) => delete::run(args, output),
        Command::Compact(args) => compact::run(args, output),
        Command::Quantize(args) => quantize::run(args, output),
        Command::Backup(args) => backup::back_up(args, output),
        Command::Restore(args) => backup::restore(args, output),
        Command::Checkpoint(command) => checkpoint::run(command, output),
        Command::Salvage(args) => salvage::run(args, output),
        Command::Wal(command) => wal::run(command, output),
    }
}
