//! Building a durable index from an array.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use vectra::{Builder, Durability, ElementKind, Index, Item, Metric, Settings};

use super::progress::Progress;
use crate::Outcome;
use crate::data::{Array, Dtype};
use crate::measure;

/// Rows written at a time.
const BATCH_ROWS: usize = 1000;

/// What building took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Built {
    pub(super) seconds: f64,
    pub(super) write_seconds: f64,
    pub(super) peak_rss_bytes: Option<u64>,
}

/// Makes an index of the rows of `base` in `folder`, waits until it is durable and optimized, and closes it.
///
/// Row numbers become ids; vectors are stored in the type they have in the file.
pub(super) fn build(base: &mut Array<File>, folder: &Path, metric: Metric, threads: usize) -> Outcome<Built> {
    let element = match base.dtype() {
        Dtype::F16 => ElementKind::F16,
        Dtype::F32 => ElementKind::F32,
        other => return Err(format!("the base holds {other:?}; needed are f16 or f32 vectors").into()),
    };
    let dim = u32::try_from(base.columns())?;
    let settings = Settings::new(dim).with_metric(metric).with_element(element);
    let start = Instant::now();
    let index = Builder::new().threads(threads).create(folder, settings)?;
    write(&index, base)?;
    let write_seconds = start.elapsed().as_secs_f64();
    let progress = Progress::new("optimizing");
    index.wait_optimized()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(progress);
    let peak_rss_bytes = measure::resident_bytes_peak();
    index.close()?;
    Ok(Built { seconds, write_seconds, peak_rss_bytes })
}

/// Writes all rows and makes them durable; graphs wait until all are there.
fn write(index: &Index, base: &mut Array<File>) -> Outcome<()> {
    let deferred = index.defer_optimization();
    let writer = index.with_durability(Durability::None);
    let (rows, dim) = (base.rows(), base.columns());
    let progress = Progress::new("writing rows");
    for first in (0..rows).step_by(BATCH_ROWS) {
        let count = BATCH_ROWS.min(rows - first);
        let vectors = base.vectors(first, count)?;
        let ids = first as u64..;
        writer.insert_items(ids.zip(vectors.chunks_exact(dim)).map(|(id, v)| Item::new(id, v)).collect())?;
        progress.at(first + count, rows);
    }
    index.sync()?;
    drop(deferred);
    Ok(())
}
