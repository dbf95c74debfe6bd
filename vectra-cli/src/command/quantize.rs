//! `vectra quantize`: how vectors are encoded for search, shown or changed.

use std::path::Path;
use std::time::Instant;

use serde_json::json;
use vectra::{Index, Quantization, Stats};

use crate::args::{Budget, QuantizeArgs};
use crate::encoding;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, bytes, shell_word};
use crate::progress;

pub(super) fn run(args: &QuantizeArgs, output: &mut Output) -> Result<Exit> {
    let Budget { memory_budget, no_memory_budget } = args.budget;
    if args.quantization.is_none() && memory_budget.is_none() && !no_memory_budget {
        return explain(&args.index, output);
    }
    let started = Instant::now();
    let index = folder::open(&args.index)?;
    let (asked, budget) = index.quantization();
    let quantization = args.quantization.unwrap_or(asked);
    encoding::check(quantization, memory_budget)?;
    let budget = if no_memory_budget { None } else { memory_budget.or(budget) };
    let before = index.stats();
    let after = change(&index, quantization, budget, output.is_json())
        .map_err(|e| Failure::of_index(&e, &args.index))?;
    index.close()?;
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        let [before, after] = [&before, &after].map(|stats| encoding::as_json(&stats.quantization));
        output.json(&json!({"before": before, "after": after, "seconds": seconds}))?;
    } else {
        let size = |of: fn(&Stats) -> u64| format!("{} -> {}", bytes(of(&before)), bytes(of(&after)));
        output.line(format!("encoded in {seconds:.1} s"))?;
        let mut facts = vec![
            ("before", encoding::explained(&before)),
            ("codes", size(|stats| stats.quantization.codes_bytes)),
            ("graphs", size(|stats| stats.quantization.graph_bytes)),
        ];
        facts.extend(now(&after));
        output.facts(&facts)?;
    }
    Ok(Exit::Ok)
}

/// Asks for it and waits until every segment is encoded.
fn change(
    index: &Index,
    quantization: Quantization,
    budget: Option<u64>,
    quiet: bool,
) -> vectra::Result<Stats> {
    index.set_quantization(quantization, budget)?;
    let spinner = progress::spinner("encoding", quiet);
    let done = index.wait_optimized();
    spinner.finish_and_clear();
    done.map(|()| index.stats())
}

/// What there is, and what could be asked for.
fn explain(path: &Path, output: &mut Output) -> Result<Exit> {
    let stats = folder::read(path)?.stats();
    let names = Quantization::ALL.map(|known| known.to_string());
    if output.is_json() {
        output.json(&json!({"now": encoding::as_json(&stats.quantization), "names": names}))?;
    } else {
        output.facts(&now(&stats))?;
        output.line(format!("there are {}", names.join(", ")))?;
        output.line(format!(
            "to change it: vectra quantize {} NAME",
            shell_word(&path.display().to_string())
        ))?;
    }
    Ok(Exit::Ok)
}

/// How vectors are encoded, and what that takes.
fn now(stats: &Stats) -> [(&'static str, String); 2] {
    [("encoding", encoding::explained(stats)), ("memory", encoding::memory(&stats.quantization))]
}
