//! The pass that writes, in file order: large loads that bypass the log or, if asked for, atomic batches through it.

use vectra::{BulkLoader, Durability, Index, Item, Snapshot};

use crate::args::ImportArgs;
use crate::failure::{Failure, Result};
use crate::input::{ItemFiles, Sized};
use crate::output::count;
use crate::progress;

/// The most bytes of one batch, well below what the log takes.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// The most rows of one load: what an interruption costs.
const LOAD_ROWS_MAX: u64 = 1 << 20;

/// Writes the rows that `before` does not hold; returns how many, all durable.
pub(super) fn all(
    files: &ItemFiles,
    index: &Index,
    before: Option<&Snapshot>,
    args: &ImportArgs,
    rows: u64,
    quiet: bool,
) -> Result<u64> {
    let bar = progress::bar("importing", rows, quiet);
    // Each graph is built once, when all its rows are there.
    let deferred = index.defer_optimization();
    let mut sink =
        Sink { index, rows_max: args.batch, items: Vec::new(), bytes: 0, loader: None, written: 0 };
    let written = write(files, &mut sink, before, &bar);
    bar.finish_and_clear();
    let synced = index.sync().map_err(Failure::from);
    drop(deferred);
    let durable = synced.is_ok();
    let count_written = sink.written;
    drop(sink);
    written.and(synced.map(|_| count_written)).map_err(|failure| {
        let state =
            if durable { "are in the index and durable" } else { "are in the index, maybe not durable" };
        let text = format!("the import stopped after {} new rows, which {state}", count(count_written));
        failure.context(text).hint("add --resume to the same command to go on")
    })
}

fn write(
    files: &ItemFiles,
    sink: &mut Sink<'_>,
    before: Option<&Snapshot>,
    bar: &indicatif::ProgressBar,
) -> Result<()> {
    for sized in files.items()? {
        let sized = sized?;
        bar.inc(1);
        let there = before.map(|snapshot| snapshot.contains(sized.item.id.clone()));
        if there.transpose()?.unwrap_or(false) {
            continue;
        }
        sink.put(sized)?;
    }
    sink.flush()
}

/// Where rows go.
struct Sink<'a> {
    index: &'a Index,
    /// Rows per batch through the log; without it, rows are loaded.
    rows_max: Option<u32>,
    items: Vec<Item>,
    bytes: usize,
    loader: Option<BulkLoader<'a>>,
    /// Rows that are in the index.
    written: u64,
}

impl Sink<'_> {
    fn put(&mut self, sized: Sized) -> Result<()> {
        let Some(rows_max) = self.rows_max else { return self.load(sized.item) };
        if self.items.len() >= rows_max as usize || self.bytes + sized.bytes > BATCH_BYTES_MAX {
            self.flush()?;
        }
        self.bytes += sized.bytes;
        self.items.push(sized.item);
        Ok(())
    }

    fn load(&mut self, item: Item) -> Result<()> {
        let loader = self.loader.get_or_insert_with(|| self.index.bulk_loader());
        loader.push(item)?;
        if loader.items() >= LOAD_ROWS_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(loader) = self.loader.take() {
            self.written += loader.finish()?.items;
        }
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        // One sync at the end makes all batches durable; each survives the death of this process at once.
        self.written += self.index.with_durability(Durability::None).insert_items(items)?.items;
        Ok(())
    }
}
