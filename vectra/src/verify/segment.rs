//! One segment: its parts agree with each other and with what the manifest says of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use vectra_tier::{PartHandle, PartRef, PartStore};

use super::Check;
use super::rows;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{Manifest, SegmentEntry, Tier};
use crate::segment::index::SealedIndex;
use crate::segment::truth::Truth;

impl Check<'_> {
    /// The structure of every segment that any manifest, or the log, names; of those that share their rows, the rows once.
    pub(super) fn segments(
        &mut self,
        newest: &Manifest,
        previous: Option<&Manifest>,
        loads: &[SegmentEntry],
    ) -> Result<()> {
        let mut read: BTreeSet<uuid::Uuid> = BTreeSet::new();
        let mut derived: BTreeSet<uuid::Uuid> = BTreeSet::new();
        let older =
            previous.into_iter().flat_map(|manifest| manifest.segments().map(move |e| (manifest, e, false)));
        let named = newest.segments().chain(loads).map(|entry| (newest, entry, true));
        for (manifest, entry, is_newest) in named.chain(older) {
            if entry.tier == Tier::Cold || self.is_skipped([&entry.rows_part, &entry.meta_part]) {
                continue;
            }
            if read.insert(entry.rows_part.id)
                && let Err(error) = self.rows(manifest, entry)
            {
                self.skipped.insert(entry.rows_part.id);
                self.report.judge(format!("segment {}", entry.rows_part.id), error, true)?;
            }
            let Some(index) = entry.index_part.filter(|part| !self.is_skipped([part])) else { continue };
            if !derived.insert(index.id) {
                continue;
            }
            match self.index(manifest, entry, &index) {
                Ok(unreachable) if is_newest => self.report.unreachable += unreachable,
                Ok(_) => {}
                Err(error) => {
                    self.skipped.insert(index.id);
                    self.report.judge(format!("part {} ({})", index.id, index.role), error, false)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_skipped<const N: usize>(&self, parts: [&PartRef; N]) -> bool {
        parts.iter().any(|part| self.skipped.contains(&part.id))
    }

    pub(super) fn open(&self, part: &PartRef) -> Result<Arc<PartHandle>> {
        self.store.open(part).map_err(|e| Error::open_part(part, e))
    }

    pub(super) fn truth(&self, manifest: &Manifest, entry: &SegmentEntry) -> Result<Truth> {
        let settings = &manifest.settings;
        let truth = Truth::open(self.open(&entry.rows_part)?, self.open(&entry.meta_part)?, settings)?;
        if truth.rows() != entry.rows {
            let (rows, said) = (truth.rows(), entry.rows);
            return Err(Error::corrupt(format!("it has {rows} rows; its manifest says {said}")));
        }
        Ok(truth)
    }

    fn rows(&self, manifest: &Manifest, entry: &SegmentEntry) -> Result<()> {
        rows::check(&self.truth(manifest, entry)?, entry)
    }

    /// The graph holds together, and each code is the one of its vector. How many rows the graph does not lead to.
    fn index(&self, manifest: &Manifest, entry: &SegmentEntry, part: &PartRef) -> Result<u64> {
        let settings = &manifest.settings;
        let index = SealedIndex::open(self.open(part)?, entry.rows, settings.dim as usize, settings.metric)?;
        let mut unreachable = 0;
        if let Some(graph) = index.graph() {
            graph
                .verify()
                .map_err(|e| Error::caused(ErrorKind::Corrupt, "the graph does not hold together", e))?;
            unreachable = graph.unreachable().len() as u64;
        }
        if !self.is_skipped([&entry.rows_part, &entry.meta_part]) {
            index.codes().check(&self.truth(manifest, entry)?)?;
        }
        Ok(unreachable)
    }
}
