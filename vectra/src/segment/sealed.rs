//! A sealed segment as a snapshot sees it: immutable parts, and what died or changed since.

use std::sync::Arc;

use vectra_core::admit::Bits;
use vectra_core::{Filter, ItemId, Value};
use vectra_wal::Lsn;

use super::build::auto_row_bytes;
use super::index::SealedIndex;
use super::ledger::{Ledger, MetadataTerms};
use super::overlay::Overlay;
use super::tombstones::Tombstones;
use super::truth::Truth;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::SegmentEntry;
use crate::quantization::Quantization;
use crate::settings::Settings;

/// The parts of one segment, opened. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SealedSegment {
    /// Unique within the process; a replaced index keeps the number, a merge makes a new one.
    pub(crate) number: u64,
    pub(crate) truth: Arc<Truth>,
    /// Absent when the derived part is damaged: the truth is scanned until it is rebuilt.
    pub(crate) index: Option<Arc<SealedIndex>>,
    /// What the manifest says of it.
    pub(crate) entry: SegmentEntry,
    /// What was dead or changed as of that entry.
    pub(crate) base: Base,
}

/// Tombstones and overlay as the manifest's entry counts them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Base {
    pub(crate) tombstones: Tombstones,
    pub(crate) overlay: Overlay,
}

impl SealedSegment {
    pub(crate) fn rows(&self) -> u32 {
        self.truth.rows()
    }

    /// The LSN of the row in `slot`.
    pub(crate) fn lsn(&self, slot: u32) -> Result<Lsn> {
        Ok(self.dated(self.truth.lsn(slot)?))
    }

    /// The rows of a bulk load are written before their LSN is known; the manifest has it.
    pub(crate) fn dated(&self, stored: Lsn) -> Lsn {
        if stored == 0 { self.entry.lsns.0 } else { stored }
    }

    /// Whether its rows came with one operation: those of a bulk load, not merged with others yet.
    pub(crate) fn is_loaded(&self) -> bool {
        self.rows() > 1 && self.entry.lsns.0 == self.entry.lsns.1
    }

    /// Bytes of the code that a vector has when the engine is left to choose.
    pub(crate) fn auto_row_bytes(&self, settings: &Settings) -> usize {
        match &self.index {
            Some(index) if index.has_graph() && index.quantization() == Quantization::Auto => {
                index.codes().row_bytes()
            }
            _ => self.truth.auto_row_bytes(|| auto_row_bytes(&self.truth, settings)),
        }
    }

    pub(crate) fn has_graph(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.has_graph())
    }
}

/// One sealed segment in one snapshot.
#[derive(Debug, Clone)]
pub(crate) struct SealedView {
    pub(crate) segment: Arc<SealedSegment>,
    pub(crate) tombstones: Tombstones,
    pub(crate) overlay: Overlay,
}

impl SealedView {
    /// A segment of which nothing died or changed yet.
    pub(crate) fn fresh(segment: Arc<SealedSegment>) -> Self {
        let tombstones = Tombstones::new(segment.rows());
        Self { segment, tombstones, overlay: Overlay::default() }
    }

    pub(crate) fn live(&self) -> u32 {
        self.segment.rows() - self.tombstones.count()
    }

    /// What is dead and changed now.
    pub(crate) fn as_base(&self) -> Base {
        Base { tombstones: self.tombstones.clone(), overlay: self.overlay.clone() }
    }

    /// The ledger of the live rows: the entry's, with what died or changed since. `None` where the entry has none.
    ///
    /// Reads only the rows concerned.
    pub(crate) fn ledger(&self) -> Result<Option<Ledger>> {
        let Some(mut ledger) = self.segment.entry.ledger() else { return Ok(None) };
        let base = &self.segment.base;
        let mut touched = Bits::none(self.segment.rows());
        self.tombstones.since(&base.tombstones).for_each(|slot| touched.insert(slot));
        for (slot, lsn, _) in self.overlay.iter() {
            if base.overlay.lsn(slot) != Some(lsn) && !self.tombstones.contains(slot) {
                touched.insert(slot);
            }
        }
        let mut terms = MetadataTerms::default();
        self.segment.truth.for_each(&touched, |row| {
            let old = base.overlay.get(row.slot).map_or(&row.metadata, |value| value);
            if self.tombstones.contains(row.slot) {
                ledger = ledger - Ledger::of_row(terms.row(row.id, row.vector.as_bytes(), old));
            } else if let Some(new) = self.overlay.get(row.slot) {
                let (old, new) = (terms.term(row.id, old), terms.term(row.id, new));
                ledger.sum = ledger.sum.wrapping_sub(old).wrapping_add(new);
            }
            Ok(())
        })?;
        Ok(Some(ledger))
    }

    /// The sum to put into a manifest. None if a row that died or changed is damaged: it can still be deleted or
    /// replaced, but what the others add up to is no longer known then.
    pub(crate) fn sum(&self) -> Result<Option<u128>> {
        match self.ledger() {
            Ok(ledger) => Ok(ledger.map(|ledger| ledger.sum)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "a segment loses its sum: a row that died or changed cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The live row of the encoded id.
    pub(crate) fn find(&self, encoded: &[u8]) -> Result<Option<u32>> {
        let slot = self.segment.truth.ids().find(encoded)?;
        Ok(slot.filter(|slot| !self.tombstones.contains(*slot)))
    }

    /// The newest metadata of `slot`.
    pub(crate) fn metadata(&self, slot: u32) -> Result<Value> {
        match self.overlay.get(slot) {
            Some(value) => Ok(Value::clone(value)),
            None => self.segment.truth.metadata(slot),
        }
    }

    /// The live rows that satisfy `filter`, exactly, and how many rows had to be evaluated one by one.
    pub(crate) fn matching(&self, filter: &Filter) -> Result<(Bits, u64)> {
        let filtered =
            self.segment.truth.metadata_view().filter(filter).map_err(|e| {
                Error::caused(ErrorKind::Corrupt, "the metadata of a segment cannot be read", e)
            })?;
        let (mut bits, mut evaluated) = (filtered.bits, filtered.evaluated);
        for (slot, _, value) in self.overlay.iter() {
            evaluated += 1;
            if vectra_metadata::matches(filter, value) {
                bits.insert(slot);
            } else {
                bits.remove(slot);
            }
        }
        self.tombstones.subtract_from(&mut bits);
        Ok((bits, evaluated))
    }

    /// All live rows.
    pub(crate) fn live_bits(&self) -> Bits {
        let mut bits = Bits::all(self.segment.rows());
        self.tombstones.subtract_from(&mut bits);
        bits
    }

    /// The live rows with an id beyond `after`, in id order, at most `limit`.
    pub(crate) fn page(&self, after: Option<&ItemId>, limit: usize) -> Result<Vec<(ItemId, u32)>> {
        let ids = self.segment.truth.ids();
        let mut rank = match after {
            Some(id) => {
                let (rank, found) = ids.rank(&id.encode())?;
                rank + u32::from(found)
            }
            None => 0,
        };
        let mut page: Vec<(ItemId, u32)> = Vec::new();
        while rank < self.segment.rows() && page.len() < limit {
            let slot = ids.slot_at(rank)?;
            if !self.tombstones.contains(slot) {
                let id = ids.id(slot)?;
                // Otherwise a caller who asks for page after page would never come to an end.
                if after.max(page.last().map(|(before, _)| before)).is_some_and(|before| *before >= id) {
                    return Err(Error::corrupt(
                        "the ids of a segment are not in the order that they should be in",
                    ));
                }
                page.push((id, slot));
            }
            rank += 1;
        }
        Ok(page)
    }

    /// Marks a row dead.
    pub(crate) fn kill(&mut self, slot: u32) {
        self.tombstones.insert(slot);
    }

    /// Replaces the metadata of a row as of `lsn`.
    pub(crate) fn update(&mut self, slot: u32, lsn: Lsn, metadata: Arc<Value>) {
        self.overlay.insert(slot, lsn, metadata);
    }
}
