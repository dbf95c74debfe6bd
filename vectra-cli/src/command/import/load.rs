//! The pass that writes: atomic batches in file order, made durable together.

use vectra::{Durability, Index, Item, Snapshot};

use crate::args::ImportArgs;
use crate::failure::{Failure, Result};
use crate::input::ItemFiles;
use crate::output::count;
use crate::progress;

/// The most bytes of one batch, well below what the log takes.
const BATCH_BYTES_MAX: usize = 16 << 20;

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
    let mut batch = Batch { index, items: Vec::new(), bytes: 0, written: 0 };
    let written = write(files, &mut batch, before, args, &bar);
    bar.finish_and_clear();
    let synced = index.sync().map_err(Failure::from);
    drop(deferred);
    let durable = synced.is_ok();
    written.and(synced.map(|_| batch.written)).map_err(|failure| {
        let state =
            if durable { "are in the index and durable" } else { "are in the index, maybe not durable" };
        let text = format!("the import stopped after {} new rows, which {state}", count(batch.written));
        failure.context(text).hint("add --resume to the same command to go on")
    })
}

fn write(
    files: &ItemFiles,
    batch: &mut Batch<'_>,
    before: Option<&Snapshot>,
    args: &ImportArgs,
    bar: &indicatif::ProgressBar,
) -> Result<()> {
    for sized in files.items()? {
        let sized = sized?;
        bar.inc(1);
        let there = before.map(|snapshot| snapshot.contains(sized.item.id.clone()));
        if there.transpose()?.unwrap_or(false) {
            continue;
        }
        if batch.items.len() >= args.batch as usize || batch.bytes + sized.bytes > BATCH_BYTES_MAX {
            batch.write()?;
        }
        batch.bytes += sized.bytes;
        batch.items.push(sized.item);
    }
    batch.write()
}

struct Batch<'a> {
    index: &'a Index,
    items: Vec<Item>,
    bytes: usize,
    written: u64,
}

impl Batch<'_> {
    fn write(&mut self) -> Result<()> {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        // One sync at the end makes all batches durable; each survives the death of this process at once.
        self.written += self.index.with_durability(Durability::None).insert_items(items)?.items;
        Ok(())
    }
}
