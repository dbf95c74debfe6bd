//! `vectra backup` and `vectra restore`: an index into another folder, and back.

use serde_json::json;
use vectra::{BackupOptions, Builder, Progress, Watch};

use crate::args::{BackupArgs, RestoreArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, bytes, shell_word};
use crate::progress;

pub(super) fn back_up(args: &BackupArgs, output: &mut Output) -> Result<Exit> {
    let index = folder::open(&args.index)?;
    let bar = progress::bytes("copying", output.is_json());
    let tell = |progress: Progress| progress::show(&bar, progress);
    let options = BackupOptions::new().link(args.link).watch(Watch::new(&tell));
    let report = index.backup_with(&args.dir, &options);
    bar.finish_and_clear();
    let dir = shell_word(&args.dir.display().to_string());
    let report = report.map_err(|e| match Failure::from(&e) {
        failure if failure.exit() == Exit::Corrupt => damaged(&e, args),
        failure => failure.hint("vectra backup --help says which folders are taken"),
    })?;
    index.close()?;
    if output.is_json() {
        output.json(&json!({
            "lsn": report.lsn,
            "generation": report.generation,
            "parts": report.parts,
            "copied": report.copied,
            "linked": report.linked,
            "reused": report.reused,
            "bytes_copied": report.bytes_copied,
            "left_out": report.left_out,
        }))?;
        return Ok(Exit::Ok);
    }
    let (parts, reused, linked) = (report.parts, report.reused, report.linked);
    let copied = bytes(report.bytes_copied);
    output.line(format!(
        "backed up to LSN {}: {parts} parts, {copied} copied, {linked} linked, {reused} there already",
        report.lsn
    ))?;
    if report.left_out > 0 {
        output
            .line(format!("{} damaged derived parts were left out; they can be rebuilt", report.left_out))?;
    }
    output.line(format!("next: vectra restore {dir} NEW makes an index from it"))?;
    Ok(Exit::Ok)
}

/// The hint names the folder in which the damage is: errors name files by their whole path.
fn damaged(error: &vectra::Error, args: &BackupArgs) -> Failure {
    let text = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    let text = text.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let dir = std::path::absolute(&args.dir).unwrap_or_else(|_| args.dir.clone()).display().to_string();
    let is_there = [std::path::MAIN_SEPARATOR, ' '].iter().any(|end| text.contains(&format!("{dir}{end}")));
    Failure::of_index(error, if is_there { &args.dir } else { &args.index })
}

pub(super) fn restore(args: &RestoreArgs, output: &mut Output) -> Result<Exit> {
    let bar = progress::bytes("restoring", output.is_json());
    let tell = |progress: Progress| progress::show(&bar, progress);
    let report = Builder::new().restore(&args.backup, &args.to, Watch::new(&tell));
    bar.finish_and_clear();
    let report = report.map_err(|e| {
        Failure::from(&e)
            .hint("name a backup that vectra backup made and nobody has open, and a folder that is new")
    })?;
    if output.is_json() {
        let (lsn, parts, checkpoints) = (report.lsn, report.parts, report.checkpoints);
        let (bytes, left_out) = (report.bytes, report.left_out);
        output.json(&json!({
            "lsn": lsn, "parts": parts, "bytes": bytes, "checkpoints": checkpoints, "left_out": left_out
        }))?;
    } else {
        let (lsn, parts, size) = (report.lsn, report.parts, bytes(report.bytes));
        output.line(format!("restored to LSN {lsn}: {parts} parts, {size}; every byte was checked"))?;
        output.line(format!("next: vectra info {}", shell_word(&args.to.display().to_string())))?;
    }
    Ok(Exit::Ok)
}
