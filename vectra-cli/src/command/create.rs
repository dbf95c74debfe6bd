//! `vectra create`: an empty index.

use serde_json::json;
use vectra::{Quantization, Settings};

use crate::args::CreateArgs;
use crate::encoding;
use crate::exit::Exit;
use crate::failure::Result;
use crate::folder;
use crate::output::{Output, shell_word};

pub(super) fn run(args: &CreateArgs, output: &mut Output) -> Result<Exit> {
    let quantization = args.encoding.quantization.unwrap_or(Quantization::Auto);
    encoding::check(quantization, args.encoding.memory_budget)?;
    let mut settings = Settings::new(args.dim)
        .with_metric(args.metric)
        .with_element(args.element)
        .with_shards(args.shards)
        .with_durability(args.durability)
        .with_quantization(quantization);
    settings.memory_budget_bytes = args.encoding.memory_budget;
    settings.indexed_fields.clone_from(&args.index_fields);
    folder::create(&args.index, settings)?.close()?;
    let path = args.index.display().to_string();
    if output.is_json() {
        let (metric, budget) = (args.metric.name(), args.encoding.memory_budget);
        output.json(&json!({
            "index": path, "dim": args.dim, "metric": metric,
            "quantization": quantization.to_string(), "memory_budget_bytes": budget,
        }))?;
    } else {
        let (dim, metric, element) = (args.dim, args.metric, args.element);
        output.line(format!("created {path}: {dim} dimensions, {metric} distance, stored as {element}"))?;
        output.line(format!("next: vectra import FILE --into {}", shell_word(&path)))?;
    }
    Ok(Exit::Ok)
}
