//! Writing what was saved into a new index.

use std::path::Path;
use std::sync::Arc;

use vectra_core::{ItemId, Value};
use vectra_tier::LocalStore;
use vectra_wal::{Durability, Lsn};

use super::SalvageReport;
use super::harvest::{self, Field, Harvest};
use super::log::{Outcome, Writes};
use super::plan::Plan;
use crate::create;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::item::Item;
use crate::progress::Meter;
use crate::recover::Outside;
use crate::verify::{VerifyOptions, verify_in};

/// Items written at once, and the bytes of vectors beyond which they are written sooner.
const BATCH_ITEMS: usize = 512;
const BATCH_BYTES: usize = 4 << 20;

pub(super) fn sow(
    outside: &Outside,
    out: &Path,
    (plan, store): (&Plan, &LocalStore),
    harvest: &mut Harvest,
    mut writes: Writes,
    meter: &Meter<'_>,
    report: &mut SalvageReport,
) -> Result<()> {
    let index = Index { engine: create::create(out, plan.settings.clone(), outside)? };
    let deferred = index.defer_optimization();
    // A row of which the log knows what became is not lost.
    harvest.forget_lost(&|id| writes.get(id).is_some_and(Outcome::is_known));
    report.rows = harvest.lost();
    let mut drill = Drill { index: &index, batch: Vec::new(), bytes: 0, report };
    // In the order of the parts, so that each page is read once.
    let mut places: Vec<(usize, u32, Lsn)> = std::mem::take(&mut harvest.living)
        .into_values()
        .map(|(lsn, number, slot)| (number, slot, lsn))
        .collect();
    places.sort_unstable();
    for rows in places.chunk_by(|a, b| a.0 == b.0) {
        // What is wrong with it was told when it was opened first.
        let piece = &plan.pieces[rows[0].0];
        let field = harvest::open(plan, piece, store, &mut SalvageReport::default())?;
        for (_, slot, lsn) in rows {
            drill.row(&field, *slot, *lsn, &mut writes)?;
            meter.add(1);
        }
    }
    for (id, outcome) in writes {
        drill.write(id, outcome)?;
    }
    drill.flush()?;
    drop(deferred);
    index.flush()?;
    index.close()?;
    let found = verify_in(outside, out, &VerifyOptions::deep())?.findings;
    match found.first() {
        Some(finding) => {
            Err(Error::corrupt(format!("the new index: {}: {}", finding.place, finding.problem)))
        }
        None => Ok(()),
    }
}

/// Puts one item after the other.
struct Drill<'a> {
    index: &'a Index,
    batch: Vec<Item>,
    bytes: usize,
    report: &'a mut SalvageReport,
}

impl Drill<'_> {
    /// A row of the parts, as the log left it.
    fn row(&mut self, field: &Field, slot: u32, lsn: Lsn, writes: &mut Writes) -> Result<()> {
        let id = field.rows.id(slot)?;
        let mut changed = None;
        if let Some(outcome) = writes.get(&id) {
            if outcome.is_newer(lsn) {
                // Whatever is in the log is the whole truth of it.
                return Ok(());
            }
            changed = writes.remove(&id).and_then(|outcome| outcome.metadata);
        }
        let (sealed_at, metadata) = match field.overlay.lsn(slot).zip(field.overlay.get(slot)) {
            Some((at, value)) => (at, Some(Value::clone(value))),
            None => (lsn, field.metadata.as_ref().and_then(|metadata| metadata.get(slot).ok())),
        };
        // The log's at the same LSN is the same.
        let is_better = |at: Lsn| at > sealed_at || (at == sealed_at && metadata.is_none());
        let metadata = match changed.filter(|(at, _)| is_better(*at)) {
            Some((_, value)) => Some(Arc::unwrap_or_clone(value)),
            None => metadata,
        };
        if metadata.is_none() {
            self.report.metadata.push(id.clone());
        }
        self.put(Item { vector: field.rows.vector(slot)?, id, metadata: metadata.unwrap_or(Value::Null) })
    }

    /// What only the log has.
    fn write(&mut self, id: ItemId, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome { vector: Some((_, vector)), metadata, .. } => {
                let metadata = metadata.map_or(Value::Null, |(_, value)| Arc::unwrap_or_clone(value));
                self.report.from_log += 1;
                self.put(Item { id, vector, metadata })
            }
            // Gone; or new metadata for a vector that is lost, and its row is listed.
            Outcome { .. } => Ok(()),
        }
    }

    fn put(&mut self, item: Item) -> Result<()> {
        self.bytes += 4 * item.vector.len();
        self.batch.push(item);
        if self.batch.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let writer = self.index.with_durability(Durability::None);
        match writer.upsert_items(batch.clone()) {
            Ok(receipt) => self.report.items += receipt.items,
            Err(error) if error.kind() == ErrorKind::Invalid => {
                // One by one, so that one that is not accepted any more costs only itself.
                for item in batch {
                    let id = item.id.clone();
                    match writer.upsert_items(vec![item]) {
                        Ok(receipt) => self.report.items += receipt.items,
                        Err(error) => {
                            self.report.problems.push(format!("the item {id}: {error}"));
                            self.report.refused.push(id);
                        }
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
