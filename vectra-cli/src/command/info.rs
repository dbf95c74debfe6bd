//! `vectra info`: settings, sizes and counts.

use std::time::Duration;

use serde_json::{Value as Json, json};
use vectra::{Durability, FieldKind, IndexedField, Reader, SegmentStats, Settings, Stats};

use crate::args::IndexArgs;
use crate::encoding;
use crate::exit::Exit;
use crate::failure::Result;
use crate::folder;
use crate::output::{Output, bytes, count};

pub(super) fn run(args: &IndexArgs, output: &mut Output) -> Result<Exit> {
    let index = folder::read(&args.index)?;
    let disk = folder::bytes_on_disk(&args.index);
    if output.is_json() {
        output.json(&as_json(&index, disk))?;
    } else {
        show(&index, disk, output)?;
    }
    Ok(Exit::Ok)
}

fn as_json(index: &Reader, disk: u64) -> Json {
    let (settings, stats) = (index.settings(), index.stats());
    let fields = settings.indexed_fields.iter().map(|f| json!({"path": f.path, "kind": kind(f)}));
    let segment = |s: &SegmentStats| {
        let (rows, live, updated) = (s.rows, s.live, s.updated);
        json!({
            "rows": rows, "live": live, "updated": updated, "has_graph": s.has_graph, "bytes": s.bytes,
            "codes": encoding::codes_json(s), "graph_bytes": s.graph_bytes,
        })
    };
    let shards = stats.shards.iter().map(|shard| {
        let segments: Vec<Json> = shard.segments.iter().map(segment).collect();
        json!({"unsealed_rows": shard.unsealed_rows, "segments": segments})
    });
    json!({
        "items": stats.items,
        "dim": settings.dim,
        "metric": settings.metric.name(),
        "element": settings.element.name(),
        "durability": durability(settings.durability),
        "quantization": encoding::as_json(&stats.quantization),
        "indexed_fields": fields.collect::<Vec<_>>(),
        "m": settings.m,
        "ef_construction": settings.ef_construction,
        "ef_search": settings.ef_search,
        "generation": stats.generation,
        "visible_lsn": stats.visible_lsn,
        "durable_lsn": stats.durable_lsn,
        "shards": shards.collect::<Vec<_>>(),
        "bytes": disk,
        "part_bytes": stats.part_bytes(),
        "log_bytes": stats.log_bytes,
    })
}

fn show(index: &Reader, disk: u64, output: &mut Output) -> Result<()> {
    let (settings, stats) = (index.settings(), index.stats());
    let (parts, log) = (bytes(stats.part_bytes()), bytes(stats.log_bytes));
    output.facts(&[
        ("items", count(stats.items)),
        (
            "vectors",
            format!("{} dimensions, {} distance, {}", settings.dim, settings.metric, settings.element),
        ),
        ("indexed", indexed(&settings)),
        ("durability", durability(settings.durability)),
        ("graph", format!("m {}, ef_construction {}", settings.m, settings.ef_construction)),
        ("encoding", encoding::explained(&stats)),
        ("memory", encoding::memory(&stats.quantization)),
        ("search", format!("ef {} unless a query says otherwise", settings.ef_search)),
        ("size", format!("{} (parts {parts}, log {log})", bytes(disk))),
        ("manifest", format!("generation {}", stats.generation)),
        ("log", format!("LSN {} visible, {} durable", stats.visible_lsn, stats.durable_lsn)),
    ])?;
    let rows = segment_rows(&stats, settings.dim);
    if !rows.is_empty() {
        output.line("")?;
        let headings =
            [">shard", "segment", ">rows", ">live", ">updated", ">bytes", ">graph", ">codes", "encoded as"];
        output.table(&headings, &rows)?;
    }
    Ok(())
}

fn segment_rows(stats: &Stats, dim: u32) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (number, shard) in stats.shards.iter().enumerate() {
        for (at, s) in shard.segments.iter().enumerate() {
            let graph = if s.has_graph { bytes(s.graph_bytes) } else { "not yet".to_owned() };
            let codes = s.codes.map_or("-".to_owned(), |codes| bytes(codes.bytes(s.rows)));
            let counts = [s.rows, s.live, s.updated].map(|n| count(n.into()));
            let mut row = vec![number.to_string(), at.to_string()];
            row.extend(counts);
            row.extend([bytes(s.bytes), graph, codes, encoding::codes_text(s, dim)]);
            rows.push(row);
        }
        if shard.unsealed_rows > 0 {
            let (unsealed, memory) = (count(shard.unsealed_rows), bytes(shard.unsealed_bytes));
            let dash = || "-".to_owned();
            rows.push(vec![
                number.to_string(),
                "in memory".into(),
                unsealed,
                dash(),
                dash(),
                memory,
                "no".into(),
                dash(),
                dash(),
            ]);
        }
    }
    rows
}

fn indexed(settings: &Settings) -> String {
    let fields: Vec<String> =
        settings.indexed_fields.iter().map(|f| format!("{} ({})", f.path, kind(f))).collect();
    if fields.is_empty() { "no fields".to_owned() } else { fields.join(", ") }
}

fn kind(field: &IndexedField) -> &'static str {
    match field.kind {
        FieldKind::Keyword => "keyword",
        FieldKind::Number => "number",
        FieldKind::Bool => "bool",
        _ => "other",
    }
}

fn durability(durability: Durability) -> String {
    match durability {
        Durability::Sync => "sync".to_owned(),
        Durability::None => "none".to_owned(),
        Durability::Interval(every) => format!("interval:{}", Duration::as_millis(&every)),
    }
}
