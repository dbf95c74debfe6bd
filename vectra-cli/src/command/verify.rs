//! `vectra verify`: every stored byte.

use serde_json::{Value as Json, json};
use vectra::Report;

use crate::args::IndexArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, bytes};
use crate::progress;

pub(super) fn run(args: &IndexArgs, output: &mut Output) -> Result<Exit> {
    let spinner = progress::spinner("checking", output.is_json());
    let report = vectra::verify(&args.index);
    spinner.finish_and_clear();
    let report = report.map_err(|e| Failure::of_index(&e, &args.index))?;
    if output.is_json() {
        output.json(&as_json(&report))?;
    } else {
        show(&report, output)?;
    }
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::Corrupt })
}

fn as_json(report: &Report) -> Json {
    let finding = |f: &vectra::Finding| json!({"place": f.place, "problem": f.problem, "data": f.data});
    json!({
        "ok": report.findings.is_empty(),
        "generation": report.generation,
        "parts": report.parts,
        "bytes": report.bytes,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn show(report: &Report, output: &mut Output) -> Result<()> {
    let checked =
        format!("generation {}, {} parts, {} checked", report.generation, report.parts, bytes(report.bytes));
    if report.findings.is_empty() {
        return output.line(format!("ok: {checked}"));
    }
    output.line(format!("damaged: {} findings; {checked}", report.findings.len()))?;
    for finding in &report.findings {
        let weight = if finding.data { "data" } else { "derived, can be rebuilt" };
        output.line(format!("  {} ({weight}): {}", finding.place, finding.problem))?;
    }
    if report.findings.iter().any(|finding| finding.data) {
        output.line("next: copy the folder aside before anything else, then restore it from a backup")?;
    }
    Ok(())
}
