//! `vectra demo`: a durable index of real embeddings, questions to it, and how well and fast it answers.

mod measure;
mod sample;

use std::path::{Path, PathBuf};
use std::time::Instant;

use vectra::{FieldKind, Hit, Index, Settings, Value};

use self::sample::Sample;
use crate::args::DemoArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::output::{Output, bytes, count, shell_word};
use crate::progress;

/// Rows per durable write.
const BATCH: usize = 1000;

/// A question worth showing: a query of the sample, with a filter or without.
struct Question {
    query: usize,
    filter: Option<&'static str>,
}

/// Only vectors ship with the sample, so the hits have to show what was asked.
const QUESTIONS: [Question; 5] = [
    Question { query: 7, filter: None },
    Question { query: 17, filter: None },
    Question { query: 25, filter: None },
    Question { query: 39, filter: None },
    Question { query: 39, filter: Some(r#"{"section": "games", "installed_size": {"$lt": 2000}}"#) },
];

pub(super) fn run(args: &DemoArgs, output: &mut Output) -> Result<Exit> {
    let sample =
        Sample::read().map_err(|e| Failure::new(Exit::Internal, format!("the built-in sample: {e}")))?;
    let dir = args.dir.clone().map_or_else(fresh_dir, Ok)?;
    let started = Instant::now();
    let index = create(&dir, &sample)?;
    output.line(format!(
        "{} Debian packages as vectors of their descriptions ({} dimensions, all-MiniLM-L6-v2), with metadata",
        count(sample.items.len() as u64),
        sample.dim
    ))?;
    output.flush()?;
    load(&index, &sample)?;
    let seconds = started.elapsed().as_secs_f64();
    output.line(format!("built a durable index in {seconds:.1} s: {}", dir.display()))?;
    for question in &QUESTIONS {
        ask(&index, &sample, question, output)?;
    }
    measure::agreement(&index, &sample.queries, output)?;
    index.close()?;
    measure::reopening(&dir, &sample.queries[0], output)?;
    output.line("")?;
    output.line(format!("The index stays in {} ({}).", dir.display(), bytes(folder::bytes_on_disk(&dir))))?;
    next_steps(&dir, output)?;
    Ok(Exit::Ok)
}

/// A folder for temporary files that is not there yet.
fn fresh_dir() -> Result<PathBuf> {
    let process = std::process::id();
    let name = |n: u32| std::env::temp_dir().join(format!("vectra-demo-{process}-{n}"));
    (1..1000).map(name).find(|path| !path.exists()).ok_or_else(|| {
        Failure::new(Exit::Conflict, "the folder for temporary files is full of demos")
            .hint("vectra demo --dir DIR")
    })
}

fn create(dir: &Path, sample: &Sample) -> Result<Index> {
    let settings = Settings::new(sample.dim)
        .with_element(sample.element)
        .with_indexed_field("section", FieldKind::Keyword)
        .with_indexed_field("arch", FieldKind::Keyword)
        .with_indexed_field("installed_size", FieldKind::Number);
    folder::create(dir, settings)
}

/// Inserts everything, durable batch by batch, and waits for the graph.
fn load(index: &Index, sample: &Sample) -> Result<()> {
    let bar = progress::bar("importing", sample.items.len() as u64, false);
    let deferred = index.defer_optimization();
    for batch in sample.items.chunks(BATCH) {
        index.insert_items(batch.to_vec())?;
        bar.inc(batch.len() as u64);
    }
    drop(deferred);
    bar.finish_and_clear();
    let spinner = progress::spinner("optimizing", false);
    let optimized = index.wait_optimized();
    spinner.finish_and_clear();
    Ok(optimized?)
}

fn ask(index: &Index, sample: &Sample, question: &Question, output: &mut Output) -> Result<()> {
    let mut query = index.query(&sample.queries[question.query]).top_k(5);
    let mut title = format!("query {} (a one-line package description)", question.query);
    if let Some(filter) = question.filter {
        query = query.filter(vectra::mongo(filter)?);
        title = format!("{title}, only {filter}");
    }
    let hits = query.run()?;
    output.line("")?;
    output.heading(&title)?;
    let rows: Vec<Vec<String>> = hits.iter().map(row).collect();
    output.table(&["package", "section", ">KiB", ">distance"], &rows)
}

fn row(hit: &Hit) -> Vec<String> {
    let field = |name| hit.metadata.as_ref().and_then(|metadata| metadata.get(name));
    let section = field("section").and_then(Value::as_str).unwrap_or("-").to_owned();
    let size = match field("installed_size") {
        Some(Value::Int(n)) => count(n.unsigned_abs()),
        _ => "-".to_owned(),
    };
    vec![hit.id.to_string(), section, size, format!("{:.4}", hit.distance)]
}

fn next_steps(dir: &Path, output: &mut Output) -> Result<()> {
    let dir = shell_word(&dir.display().to_string());
    output.heading("Try next:")?;
    let run = "  cargo run --release -p vectra-cli --";
    output.line(format!("{run} query {dir} --like gimp -k 5"))?;
    output.line(format!(
        r#"{run} query {dir} --like nethack-console --filter '{{"section": "games", "arch": "all"}}'"#
    ))?;
    output.line(format!("{run} info {dir}"))
}
