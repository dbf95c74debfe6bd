//! `vectra verify`: whether an index holds together; with `--deep`, every stored byte.

use serde_json::{Value as Json, json};
use vectra::{Builder, Progress, VerifyOptions, VerifyReport, Watch};

use crate::args::VerifyArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, bytes};
use crate::progress;

/// What a quick check did not do.
const SHALLOW: &str = "contents not read (--deep reads them)";

pub(super) fn run(args: &VerifyArgs, output: &mut Output) -> Result<Exit> {
    let bar = progress::bytes("checking", output.is_json());
    let tell = |progress: Progress| progress::show(&bar, progress);
    let options = if args.deep { VerifyOptions::deep() } else { VerifyOptions::new() };
    let report = Builder::new().verify_with(&args.index, &options.watch(Watch::new(&tell)));
    bar.finish_and_clear();
    let report = report.map_err(|e| Failure::of_index(&e, &args.index))?;
    if output.is_json() {
        output.json(&as_json(&report))?;
    } else {
        show(&report, output)?;
    }
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::Corrupt })
}

fn as_json(report: &VerifyReport) -> Json {
    let finding = |f: &vectra::Finding| json!({"place": f.place, "problem": f.problem, "data": f.data});
    json!({
        "ok": report.findings.is_empty(),
        "generation": report.generation,
        "parts": report.parts,
        "bytes": report.bytes,
        "unreachable": report.unreachable,
        "unknown": report.unknown,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn show(report: &VerifyReport, output: &mut Output) -> Result<()> {
    let depth =
        if report.bytes > 0 { format!("{} checked", bytes(report.bytes)) } else { SHALLOW.to_owned() };
    let checked = format!("generation {}, {} parts, {depth}", report.generation, report.parts);
    if !report.unknown.is_empty() {
        output.line(format!("not part of the index: {}", report.unknown.join(", ")))?;
    }
    if report.unreachable > 0 {
        let rows = report.unreachable;
        output.line(format!(
            "no link of a graph leads to {rows} rows; vectra compact builds the graphs anew"
        ))?;
    }
    if report.findings.is_empty() {
        return output.line(format!("ok: {checked}"));
    }
    output.line(format!("damaged: {} findings; {checked}", report.findings.len()))?;
    for finding in &report.findings {
        let weight = if finding.data { "data" } else { "derived, can be rebuilt" };
        output.line(format!("  {} ({weight}): {}", finding.place, finding.problem))?;
    }
    if report.findings.iter().any(|finding| finding.data) {
        output.line("next: copy the folder aside before anything else, then restore it from a backup, or vectra salvage what can be read")?;
    }
    Ok(())
}
