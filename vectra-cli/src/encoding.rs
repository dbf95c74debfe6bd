//! How vectors are encoded for search, in words and as JSON.

use serde_json::{Value as Json, json};
use vectra::{Codes, Quantization, QuantizationStats, SegmentStats, Stats};

use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::bytes;

/// Refuses a memory budget that nothing would go by.
pub(crate) fn check(quantization: Quantization, memory_budget: Option<u64>) -> Result<()> {
    if memory_budget.is_some() && quantization != Quantization::Auto {
        let text =
            format!("a memory budget decides what auto chooses; {quantization} leaves nothing to choose");
        return Err(Failure::new(Exit::Invalid, text).hint("leave --memory-budget out, or choose auto"));
    }
    Ok(())
}

/// What was asked for and what that takes.
pub(crate) fn as_json(stats: &QuantizationStats) -> Json {
    json!({
        "asked": stats.asked.to_string(),
        "memory_budget_bytes": stats.memory_budget_bytes,
        "codes_bytes": stats.codes_bytes,
        "graph_bytes": stats.graph_bytes,
        "bytes": stats.bytes(),
        "f32_bytes": stats.f32_bytes,
        "f32_share": share(stats),
        "fits": stats.fits,
    })
}

/// The codes of a segment; null if it has none.
pub(crate) fn codes_json(segment: &SegmentStats) -> Json {
    segment.codes.map_or(Json::Null, |codes| {
        json!({
            "codec": codes.codec,
            "components": codes.components,
            "projected": codes.projected,
            "rotated": codes.rotated,
            "row_bytes": codes.row_bytes,
            "bytes": codes.bytes(segment.rows),
        })
    })
}

/// The codes of a segment whose vectors have `dim` components, in a few words.
pub(crate) fn codes_text(segment: &SegmentStats, dim: u32) -> String {
    segment.codes.map_or("-".to_owned(), |codes| {
        let Codes { codec, components, row_bytes, .. } = codes;
        let made = match (codes.projected, codes.rotated) {
            (true, _) => format!(" of {components}/{dim} projected"),
            (_, true) => format!(" of {components} rotated"),
            _ => String::new(),
        };
        format!("{codec}{made}, {row_bytes} B a vector")
    })
}

/// What was asked for, what became of it and why.
pub(crate) fn explained(stats: &Stats) -> String {
    let wanted = &stats.quantization;
    let budget = wanted.memory_budget_bytes.map(bytes);
    let (within, why) = match (wanted.asked, budget) {
        (_, None) => (String::new(), String::new()),
        (Quantization::Auto, Some(budget)) => (format!(" within {budget}"), because_of_budget(stats)),
        (_, Some(budget)) => (String::new(), format!("; the memory budget of {budget} is for auto alone")),
    };
    let asked = wanted.asked.to_string();
    let became = match codecs(stats).as_slice() {
        [] => "; nothing is encoded yet".to_owned(),
        [one] if *one == asked => String::new(),
        names if wanted.asked == Quantization::Auto => format!(": {}", names.join(" and ")),
        names => format!("; now {}", names.join(" and ")),
    };
    [asked, within, became, why].concat()
}

/// Bytes in memory, their share of what the vectors would take, and whether that is within the budget.
pub(crate) fn memory(stats: &QuantizationStats) -> String {
    let (codes, graphs) = (bytes(stats.codes_bytes), bytes(stats.graph_bytes));
    let all = format!("{} (codes {codes}, graphs {graphs})", bytes(stats.bytes()));
    let share = share(stats).map_or(String::new(), |share| {
        format!(", {:.1} % of {} as f32 vectors", 100.0 * share, bytes(stats.f32_bytes))
    });
    let budget = match stats.memory_budget_bytes.filter(|_| stats.asked == Quantization::Auto) {
        Some(_) if stats.fits => ", within the budget".to_owned(),
        Some(budget) => format!(", {} above the budget", bytes(stats.bytes() - budget)),
        None => String::new(),
    };
    [all, share, budget].concat()
}

/// The names of all codecs that are used, each once.
fn codecs(stats: &Stats) -> Vec<&'static str> {
    let mut names: Vec<&str> = coded(stats).map(|(_, codes)| codes.codec).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn coded(stats: &Stats) -> impl Iterator<Item = (&SegmentStats, Codes)> {
    let segments = stats.shards.iter().flat_map(|shard| &shard.segments);
    segments.filter_map(|segment| segment.codes.map(|codes| (segment, codes)))
}

/// What a budget did to the choice, if anything.
fn because_of_budget(stats: &Stats) -> String {
    let wanted = &stats.quantization;
    let smallest = Quantization::RaBitQ { bits: 1 };
    if !wanted.fits {
        let least = coded(stats).all(|(_, codes)| codes.chosen == smallest);
        let text = if least { ", the smallest there is" } else { ", which is not within it, or not yet" };
        return text.to_owned();
    }
    let finer = coded(stats).map(|(segment, codes)| {
        let row_bytes = codes.finer_row_bytes.unwrap_or(codes.row_bytes);
        u64::from(segment.rows) * row_bytes as u64 + segment.graph_bytes
    });
    let finer: u64 = finer.sum();
    if wanted.memory_budget_bytes.is_some_and(|budget| finer > budget) {
        format!(", as one bit more for each component would take {}", bytes(finer))
    } else {
        String::new()
    }
}

/// What share of `f32` vectors codes and graphs take; nothing of nothing.
fn share(stats: &QuantizationStats) -> Option<f64> {
    (stats.f32_bytes > 0).then(|| stats.bytes() as f64 / stats.f32_bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_needs_something_to_choose() {
        assert!(check(Quantization::Auto, Some(5)).is_ok() && check(Quantization::Sq4, None).is_ok());
        let failure = check(Quantization::Sq4, Some(5)).expect_err("nothing to choose");
        assert_eq!(failure.exit(), Exit::Invalid);
    }
}
