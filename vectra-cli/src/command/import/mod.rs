//! `vectra import`: files into an index. Everything is checked before anything is written.

mod check;
mod load;

use std::time::{Duration, Instant};

use serde_json::json;
use vectra::{Index, Metric, Quantization, Settings};

use crate::args::ImportArgs;
use crate::encoding;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::folder;
use crate::input::{InputError, ItemFiles, MetadataFile, VectorFile};
use crate::output::{Output, bytes, count, shell_word};
use crate::progress;

pub(super) fn run(args: &ImportArgs, output: &mut Output) -> Result<Exit> {
    let started = Instant::now();
    let files = open_files(args)?;
    let there = folder::open_if_there(&args.into)?;
    let settings = match &there {
        Some(index) => agree(index, &files, args)?,
        None => new_settings(&files, args)?,
    };
    let rows = files.count()?;
    if rows == 0 {
        let error = InputError::bad(&args.file, "the file has no rows", "nothing was written");
        return Err(error.into());
    }
    let quiet = output.is_json();
    let snapshot = there.as_ref().map(Index::snapshot).filter(|snapshot| !snapshot.is_empty());
    let bar = progress::bar("checking", rows, quiet);
    let skipped = check::all(&files, &settings, snapshot.as_ref(), args, &bar)?;
    bar.finish_and_clear();

    let (index, fresh) = match there {
        Some(index) => (index, false),
        None => (folder::create(&args.into, settings)?, true),
    };
    let loading = Instant::now();
    let loaded = load::all(&files, &index, snapshot.as_ref(), args, rows, quiet)?;
    drop(snapshot);
    let loading = loading.elapsed();
    let spinner = progress::spinner("optimizing", quiet);
    let optimized = index.wait_optimized();
    spinner.finish_and_clear();
    optimized.map_err(|e| {
        let text = "every row is in the index and durable, but the graphs are not all built";
        let name = shell_word(&args.into.display().to_string());
        Failure::from(&e).context(text).hint(format!("vectra compact {name} tries again"))
    })?;
    let settings = index.settings().clone();
    index.close()?;
    let done = Imported { rows, loaded, skipped, loading, total: started.elapsed(), fresh };
    done.show(&settings, args, output)?;
    Ok(Exit::Ok)
}

/// Opens the files and checks what can be checked without reading them through.
fn open_files(args: &ImportArgs) -> Result<ItemFiles> {
    let vectors = VectorFile::open(&args.file)?;
    if args.metadata.is_some() && vectors.carries_metadata() {
        let text = "JSON lines carry their metadata themselves";
        return Err(Failure::new(Exit::Usage, text)
            .hint("leave --metadata out, or give the vectors as .npy or .fvecs"));
    }
    if args.ids_from.is_some() && args.metadata.is_none() && !vectors.carries_metadata() {
        let text = "--ids-from names a metadata field, but there is no metadata";
        return Err(Failure::new(Exit::Usage, text).hint("add --metadata FILE"));
    }
    let metadata = args.metadata.as_deref().map(MetadataFile::new);
    Ok(ItemFiles { path: args.file.clone(), vectors, metadata, ids_from: args.ids_from.clone() })
}

/// What a new index is made with.
fn new_settings(files: &ItemFiles, args: &ImportArgs) -> Result<Settings> {
    let quantization = args.encoding.quantization.unwrap_or(Quantization::Auto);
    encoding::check(quantization, args.encoding.memory_budget)?;
    let mut settings = Settings::new(files.vectors.dim() as u32)
        .with_metric(args.metric.unwrap_or(Metric::Cosine))
        .with_element(files.vectors.element())
        .with_quantization(quantization);
    settings.memory_budget_bytes = args.encoding.memory_budget;
    settings.indexed_fields.clone_from(&args.index_fields);
    settings.validate()?;
    Ok(settings)
}

/// The settings of the index that is there, if what was asked for agrees with them.
fn agree(index: &Index, files: &ItemFiles, args: &ImportArgs) -> Result<Settings> {
    let settings = index.settings().clone();
    let refuse = |text: String, hint: &str| Err(Failure::new(Exit::Invalid, text).hint(hint));
    let (file, name) = (args.file.display(), args.into.display());
    if files.vectors.dim() != settings.dim as usize {
        let text =
            format!("{file} has {} dimensions, the index {name} has {}", files.vectors.dim(), settings.dim);
        return refuse(text, "import into a new folder");
    }
    if let Some(metric) = args.metric.filter(|metric| *metric != settings.metric) {
        let text = format!("the index {name} measures {} distance, not {metric}", settings.metric);
        return refuse(text, "leave --metric out, or import into a new folder");
    }
    let (quantization, budget) = index.quantization();
    let asked = &args.encoding;
    if asked.quantization.is_some_and(|asked| asked != quantization)
        || asked.memory_budget.is_some_and(|asked| Some(asked) != budget)
    {
        let budget = budget.map(|b| format!(" and a memory budget of {}", bytes(b))).unwrap_or_default();
        let text = format!("the index {name} has the quantization {quantization}{budget}");
        let path = shell_word(&args.into.display().to_string());
        return refuse(text, &format!("vectra quantize {path} changes it; leave it out here"));
    }
    if let Some(field) = args.index_fields.iter().find(|field| !settings.indexed_fields.contains(field)) {
        let text = format!("the index {name} was made without --index-field {}", field.path);
        return refuse(
            text,
            "leave --index-field out (filters work without it), or import into a new folder",
        );
    }
    Ok(settings)
}

/// What an import did.
struct Imported {
    rows: u64,
    loaded: u64,
    skipped: u64,
    loading: Duration,
    total: Duration,
    /// The index was made for it.
    fresh: bool,
}

impl Imported {
    fn show(&self, settings: &Settings, args: &ImportArgs, output: &mut Output) -> Result<()> {
        let rate = self.loaded as f64 / self.loading.as_secs_f64().max(1e-9);
        let total = self.total.as_secs_f64();
        let disk = folder::bytes_on_disk(&args.into);
        if output.is_json() {
            return output.json(&json!({
                "rows": self.rows,
                "imported": self.loaded,
                "skipped": self.skipped,
                "created": self.fresh,
                "rows_per_second": rate,
                "seconds": total,
                "bytes": disk,
            }));
        }
        let name = shell_word(&args.into.display().to_string());
        let made = if self.fresh { "new index" } else { "index" };
        output.line(format!(
            "imported {} rows into the {made} {name} ({} dimensions, {} distance, {})",
            count(self.loaded),
            settings.dim,
            settings.metric,
            settings.element
        ))?;
        if self.skipped > 0 {
            output.line(format!("skipped {} rows that were there already", count(self.skipped)))?;
        }
        let speed =
            if self.loaded > 0 { format!("{} rows/s written, ", count(rate as u64)) } else { String::new() };
        output.line(format!("{speed}{total:.1} s until durable and optimized, {} on disk", bytes(disk)))?;
        output.line(format!(
            "queries look at ef {} candidates; --ef N trades time for recall, --exact compares with everything",
            settings.ef_search
        ))?;
        output.line(format!("next: vectra query {name} --like ID"))
    }
}
