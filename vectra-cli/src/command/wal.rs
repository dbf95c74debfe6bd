//! `vectra wal dump`: everything that stands in the log, damaged or not.

use serde_json::{Value as Json, json};
use vectra::{Control, DumpEntry, DumpFrame, Effect, LoggedContent, LoggedOp};

use crate::args::WalCommand;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::output::{Output, id_json, shorten};

/// Characters of operations on one line of text.
const LINE: usize = 160;

pub(super) fn run(command: &WalCommand, output: &mut Output) -> Result<Exit> {
    let WalCommand::Dump(args) = command;
    let (mut outcome, mut exit) = (Ok(()), Exit::Ok);
    let dumped = vectra::dump_log(&args.index, &mut |entry, content| {
        if matches!(entry, DumpEntry::Damage { .. } | DumpEntry::File { header: Err(_), .. }) {
            exit = Exit::Corrupt;
        }
        if outcome.is_ok() {
            let json = output.is_json();
            outcome =
                if json { output.json(&as_json(&entry, content)) } else { show(&entry, content, output) };
        }
    });
    dumped.map_err(|e| Failure::of_index(&e, &args.index))?;
    outcome.map(|()| exit)
}

fn name(effect: Effect) -> &'static str {
    match effect {
        Effect::Put => "put",
        Effect::Delete => "delete",
        Effect::Update => "update",
        _ => "other",
    }
}

fn control(control: Option<Control>) -> String {
    match control {
        Some(Control::Seal(next)) => format!("seal, next file {next}"),
        Some(Control::Mark) => "mark".to_owned(),
        Some(Control::Anchor(anchor)) => {
            format!("anchor: generation {}", anchor.generation)
        }
        _ => "unknown control frame".to_owned(),
    }
}

fn content_json(content: Option<LoggedContent>) -> Option<(&'static str, Json)> {
    let op = |op: LoggedOp| json!({"lsn": op.lsn, "op": name(op.effect), "id": id_json(&op.id)});
    match content? {
        LoggedContent::Batch(ops) => Some(("ops", ops.into_iter().map(op).collect())),
        LoggedContent::Load(load) => {
            let replaced: Vec<Json> = load.replaced.iter().map(id_json).collect();
            Some(("load", json!({"rows": load.rows, "segments": load.segments, "replaced": replaced})))
        }
        _ => None,
    }
}

fn as_json(entry: &DumpEntry<'_>, content: Option<LoggedContent>) -> Json {
    match entry {
        DumpEntry::File { name, seq, len, header } => json!({
            "entry": "file", "name": name, "seq": seq, "bytes": len,
            "first_lsn": header.as_ref().ok().map(|header| header.first_lsn),
            "problem": header.as_ref().err(),
        }),
        DumpEntry::Frame(frame) if frame.is_control => json!({
            "entry": "control", "seq": frame.seq, "offset": frame.offset, "what": control(frame.control),
            "durable_lsn": frame.durable_lsn,
        }),
        DumpEntry::Frame(frame) => {
            let mut shown = json!({
                "entry": "frame", "seq": frame.seq, "offset": frame.offset, "kind": frame.kind,
                "first_lsn": frame.first_lsn, "operations": frame.op_count, "bytes": frame.payload.len(),
                "durable_lsn": frame.durable_lsn, "unix_ms": frame.hlc >> 16,
            });
            let (key, content) = content_json(content).unwrap_or(("ops", Json::Null));
            shown[key] = content;
            shown
        }
        DumpEntry::Damage { seq, offset, len, reason } => {
            json!({"entry": "damage", "seq": seq, "offset": offset, "bytes": len, "problem": reason})
        }
        DumpEntry::Ignored { name } => json!({"entry": "ignored", "name": name}),
        _ => json!({"entry": "unknown"}),
    }
}

fn show(entry: &DumpEntry<'_>, content: Option<LoggedContent>, output: &mut Output) -> Result<()> {
    match entry {
        DumpEntry::File { name, len, header: Ok(header), .. } => {
            output.heading(&format!("{name}: {len} bytes, from LSN {}", header.first_lsn))
        }
        DumpEntry::File { name, len, header: Err(problem), .. } => {
            output.heading(&format!("{name}: {len} bytes, header damaged: {problem}"))
        }
        DumpEntry::Frame(frame) => output.line(format!("  @{} {}", frame.offset, frame_text(frame, content))),
        DumpEntry::Damage { offset, len, reason, .. } => {
            output.line(format!("  @{offset} damaged, {len} bytes: {reason}"))
        }
        DumpEntry::Ignored { name } => output.line(format!("{name}: no log file")),
        _ => Ok(()),
    }
}

fn frame_text(frame: &DumpFrame<'_>, content: Option<LoggedContent>) -> String {
    if frame.is_control {
        return control(frame.control);
    }
    let last = frame.first_lsn + u64::from(frame.op_count).max(1) - 1;
    let what = match content {
        Some(LoggedContent::Batch(ops)) => {
            let all: Vec<String> = ops.iter().map(|op| format!("{} {}", name(op.effect), op.id)).collect();
            shorten(&all.join(", "), LINE)
        }
        Some(LoggedContent::Load(load)) => {
            let (rows, segments, replaced) = (load.rows, load.segments, load.replaced.len());
            format!("load of {rows} rows in {segments} segments, {replaced} of them new versions")
        }
        _ => format!("{} operations that cannot be read", frame.op_count),
    };
    format!("LSN {}..={last}: {what}", frame.first_lsn)
}
