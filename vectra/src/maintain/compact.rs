//! Merging sealed segments and building their graphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use vectra_wal::Lsn;

use super::fresh::Fresh;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::build::{RowSource, TruthBuilder, write_codes, write_graph};
use crate::segment::index::SealedIndex;
use crate::segment::sealed::{SealedSegment, SealedView};
use crate::snapshot::ShardState;
use crate::write::seal::SlotMap;

/// What became of the rows of one input: where they went, and up to which LSN its overlay was folded in.
struct Folded {
    map: SlotMap,
    overlay_lsn: Lsn,
}

impl Engine {
    /// Rewrites the sealed segments at `positions` of a shard as one, without what is dead.
    pub(crate) fn merge(&self, number: usize, positions: &[usize]) -> Result<()> {
        let mut fresh = Fresh::new(self);
        let output_number = self.next_number();
        let state = self.cell.load();
        let inputs: Vec<&SealedView> = positions.iter().map(|i| &state.shards[number].sealed[*i]).collect();
        let rows: u32 = inputs.iter().map(|view| view.live()).sum();
        let mut builder = TruthBuilder::new(&self.settings, rows as usize)?;
        let mut folded = BTreeMap::new();
        for view in &inputs {
            let map = (0..view.segment.rows())
                .map(|slot| copy_row(view, slot, &mut builder))
                .collect::<Result<_>>()?;
            folded.insert(view.segment.number, Folded { map, overlay_lsn: view.overlay.last_lsn() });
        }
        let lsns =
            inputs.iter().map(|view| view.segment.entry.lsns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let output = if builder.rows() == 0 {
            None
        } else {
            let segment =
                self.write_segment(output_number, builder, lsns.expect("a merge has inputs"), &mut fresh)?;
            // What had a graph keeps one: a query never falls back to a scan because of a merge.
            let graph = inputs.iter().any(|view| view.segment.has_graph());
            Some(Arc::new(if graph { self.with_graph(&segment, &mut fresh)? } else { segment }))
        };
        self.commit(number, &|shard, _| replace_sealed(shard, &folded, output.as_ref()))
    }

    /// Builds the graph of the sealed segment at `position` of a shard.
    pub(crate) fn build_graph(&self, number: usize, position: usize) -> Result<()> {
        let mut fresh = Fresh::new(self);
        let state = self.cell.load();
        let with_graph = self.with_graph(&state.shards[number].sealed[position].segment, &mut fresh)?;
        self.commit(number, &|shard, _| {
            let mut next = shard.clone();
            for view in next.sealed.iter_mut().filter(|view| view.segment.number == with_graph.number) {
                // Only the index is new: the other lane may have committed newer deletes and updates meanwhile.
                let mut segment = SealedSegment::clone(&view.segment);
                segment.index.clone_from(&with_graph.index);
                segment.entry.index_part.clone_from(&with_graph.entry.index_part);
                view.segment = Arc::new(segment);
            }
            next
        })
    }

    /// The same segment with a newly built graph (and codes, if those were damaged).
    fn with_graph(&self, segment: &SealedSegment, fresh: &mut Fresh<'_>) -> Result<SealedSegment> {
        let codes: Arc<SealedIndex> = match segment.index.as_ref().filter(|index| index.codes_are_sound()) {
            Some(index) => Arc::clone(index),
            None => {
                let part = write_codes(&*self.store, &segment.truth, &self.settings)?;
                fresh.publish([&part])?;
                Arc::new(self.open_index(&part, segment.rows())?)
            }
        };
        let threads = self.env.spawner.parallelism();
        let go_on = |_| !self.closed.load(std::sync::atomic::Ordering::Relaxed);
        let part = write_graph(&*self.store, &codes, &self.settings, threads, &go_on)?;
        fresh.publish([&part])?;
        let index = self.open_index(&part, segment.rows())?;
        index
            .graph()
            .ok_or_else(|| Error::corrupt("a graph just written is not there"))?
            .verify()
            .map_err(|e| Error::caused(ErrorKind::Corrupt, "a graph just built does not hold together", e))?;
        let mut next = segment.clone();
        next.entry.index_part = Some(part);
        next.index = Some(Arc::new(index));
        Ok(next)
    }
}

fn copy_row(view: &SealedView, slot: u32, builder: &mut TruthBuilder) -> Result<Option<u32>> {
    if view.tombstones.contains(slot) {
        return Ok(None);
    }
    let truth = &view.segment.truth;
    let metadata = match view.overlay.get(slot) {
        Some(value) => Arc::clone(value),
        None => Arc::new(truth.metadata(slot)?),
    };
    let row = RowSource {
        id: truth.id(slot)?,
        lsn: truth.lsn(slot)?,
        vector: truth.vectors(slot, 1)?,
        inverse_norm: truth.inverse_norm(slot)?,
        metadata,
    };
    Ok(Some(builder.push(row)))
}

/// The shard with the inputs gone and `output` in the place of the first, carrying what died or changed since.
fn replace_sealed(
    shard: &ShardState,
    folded: &BTreeMap<u64, Folded>,
    output: Option<&Arc<SealedSegment>>,
) -> ShardState {
    let mut next = shard.clone();
    let mut merged = output.map(|segment| SealedView::fresh(Arc::clone(segment)));
    for view in &shard.sealed {
        if let (Some(input), Some(target)) = (folded.get(&view.segment.number), &mut merged) {
            carry(view, input, target);
        }
    }
    let is_input = |view: &SealedView| folded.contains_key(&view.segment.number);
    let place = shard.sealed.iter().position(is_input).unwrap_or(shard.sealed.len());
    next.sealed.retain(|view| !is_input(view));
    if let Some(view) = merged {
        next.sealed.insert(place, view);
    }
    next
}

fn carry(from: &SealedView, input: &Folded, to: &mut SealedView) {
    for slot in from.tombstones.iter() {
        if let Some(new) = input.map[slot as usize] {
            to.kill(new);
        }
    }
    for (slot, lsn, metadata) in from.overlay.iter().filter(|(_, lsn, _)| *lsn > input.overlay_lsn) {
        if let Some(new) = input.map[slot as usize] {
            to.update(new, lsn, Arc::clone(metadata));
        }
    }
}
