//! `vectra salvage`: what can still be read of a damaged index, in a new one.

use serde_json::{Value as Json, json};
use vectra::{Builder, Progress, SalvageOptions, SalvageReport, Settings, Watch};

use crate::args::SalvageArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, count, id_json, shell_word};
use crate::progress;

/// Ids and slots shown as text; JSON has all of them.
const SHOWN: usize = 8;

pub(super) fn run(args: &SalvageArgs, output: &mut Output) -> Result<Exit> {
    let bar = progress::bar("salvaging", 0, output.is_json());
    let tell = |progress: Progress| progress::show(&bar, progress);
    let mut options = SalvageOptions::new().watch(Watch::new(&tell));
    if let Some(dim) = args.dim {
        let mut settings = Settings::new(dim).with_element(args.element).with_shards(args.shards);
        settings.metric = args.metric;
        settings.indexed_fields.clone_from(&args.index_fields);
        options = options.settings(settings);
    }
    let report = Builder::new().salvage(&args.index, &args.out, &options);
    bar.finish_and_clear();
    let report = report.map_err(|e| {
        let failure = Failure::from(&e);
        match failure.exit() {
            Exit::Invalid => {
                failure.hint("for example --dim 384 --metric cosine, and --out a folder beside the index")
            }
            Exit::Conflict => failure.hint("--out names a folder that is new or empty"),
            _ => failure.hint("vectra verify INDEX --deep lists what is damaged"),
        }
    })?;
    if output.is_json() {
        output.json(&as_json(&report))?;
    } else {
        show(&report, output)?;
        output.line(format!("next: vectra info {}", shell_word(&args.out.display().to_string())))?;
    }
    Ok(if report.is_complete() { Exit::Ok } else { Exit::Corrupt })
}

fn as_json(report: &SalvageReport) -> Json {
    let ids = |ids: &[vectra::ItemId]| ids.iter().map(id_json).collect::<Vec<_>>();
    let rows = |rows: &vectra::LostRows| json!({"part": rows.part, "slots": rows.slots, "ids": ids(&rows.ids), "problem": rows.problem});
    json!({
        "complete": report.is_complete(),
        "generation": report.generation,
        "items": report.items,
        "from_log": report.from_log,
        "lost_rows": report.rows.iter().map(rows).collect::<Vec<_>>(),
        "lost_metadata": ids(&report.metadata),
        "refused": ids(&report.refused),
        "lost_writes": report.writes,
        "lost_checkpoints": report.checkpoints,
        "may_have_returned": report.returned,
        "problems": report.problems,
    })
}

fn show(report: &SalvageReport, output: &mut Output) -> Result<()> {
    let from = match report.generation {
        Some(generation) => format!("by generation {generation} of the manifest"),
        None => "without a manifest".to_owned(),
    };
    let verdict = if report.is_complete() { "complete" } else { "incomplete" };
    output.line(format!("{verdict}: {} items saved, {from}", count(report.items)))?;
    for lost in &report.rows {
        let runs: Vec<String> = lost.slots.iter().take(SHOWN).map(|(a, b)| format!("{a}..={b}")).collect();
        output.line(format!(
            "  lost rows of part {}, slots {}: {}",
            lost.part,
            runs.join(" "),
            lost.problem
        ))?;
        if !lost.ids.is_empty() {
            output.line(format!("    ids: {}", ids(&lost.ids)))?;
        }
    }
    if !report.metadata.is_empty() {
        let (n, some) = (report.metadata.len(), ids(&report.metadata));
        output.line(format!("  lost metadata of {n} items, vectors kept: {some}"))?;
    }
    if !report.refused.is_empty() {
        output.line(format!("  not taken by the new index: {}", ids(&report.refused)))?;
    }
    for (first, last) in &report.writes {
        let upto = if *last == u64::MAX { "on".to_owned() } else { format!("to {last}") };
        output.line(format!("  lost writes from LSN {first} {upto}"))?;
    }
    for name in &report.checkpoints {
        output.line(format!("  checkpoint {name} does not come along"))?;
    }
    for what in &report.returned {
        output.line(format!("  may have come back: {what}"))?;
    }
    report.problems.iter().try_for_each(|problem| output.line(format!("  damaged: {problem}")))
}

fn ids(ids: &[vectra::ItemId]) -> String {
    let shown: Vec<String> = ids.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if ids.len() > SHOWN { format!(" and {} more", ids.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(" "))
}
