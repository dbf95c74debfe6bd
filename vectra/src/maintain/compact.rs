//! Merging sealed segments and building their graphs.

use std::collections::BTreeMap;
use std::sync::Arc;

use vectra_quant::{Codec, Sq8};
use vectra_tier::PartRef;
use vectra_wal::Lsn;

use super::attempt::Attempt;
use super::fresh::Fresh;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::quantization::Quantization;
use crate::segment::build::{RowSource, TruthWriter, write_codes, write_graph};
use crate::segment::index::SealedIndex;
use crate::segment::ledger::{Ledger, MetadataTerms};
use crate::segment::sealed::{SealedSegment, SealedView};
use crate::segment::truth::TruthRow;
use crate::settings::Settings;
use crate::snapshot::ShardState;
use crate::write::seal::SlotMap;

/// What became of the rows of one input: where they went, and up to which LSN its overlay was folded in.
struct Folded {
    map: SlotMap,
    overlay_lsn: Lsn,
}

impl Engine {
    /// Rewrites the sealed segments at `positions` of a shard as one, without what is dead.
    pub(crate) fn merge(&self, number: usize, positions: &[usize], attempt: &Attempt<'_>) -> Result<()> {
        let mut fresh = Fresh::new(self);
        let output_number = self.next_number();
        let state = self.cell.load();
        let inputs: Vec<&SealedView> = positions.iter().map(|i| &state.shards[number].sealed[*i]).collect();
        let rows: u64 = inputs.iter().map(|view| u64::from(view.live())).sum();
        // What had a graph keeps one: a query never falls back to a scan because of a merge.
        let graph = inputs.iter().any(|view| view.segment.has_graph());
        let mut writer = match rows {
            0 => None,
            _ => Some(TruthWriter::begin(&*self.store, &self.settings)?),
        };
        let mut folded = BTreeMap::new();
        for view in &inputs {
            attempt.check()?;
            let map = match &mut writer {
                Some(writer) => copy_rows(view, writer)?,
                None => vec![None; view.segment.rows() as usize],
            };
            folded.insert(view.segment.number, Folded { map, overlay_lsn: view.overlay.last_lsn() });
        }
        let lsns =
            inputs.iter().map(|view| view.segment.entry.lsns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let output = match writer {
            None => None,
            Some(writer) => {
                tracing::debug!(rows, held_bytes = writer.buffered_bytes(), "merging segments");
                let segment =
                    self.write_segment(output_number, writer, lsns.expect("a merge has inputs"), &mut fresh)?;
                let quantization = self.quantization_of(inputs[0]);
                Some(Arc::new(if graph {
                    self.with_graph(&segment, quantization, &mut fresh, attempt)?
                } else {
                    segment
                }))
            }
        };
        self.commit(number, &|shard, _| replace_sealed(shard, &folded, output.as_ref()))
    }

    /// Builds the graph of the sealed segment at `position` of a shard.
    pub(crate) fn build_graph(&self, number: usize, position: usize, attempt: &Attempt<'_>) -> Result<()> {
        let mut fresh = Fresh::new(self);
        let state = self.cell.load();
        #[cfg(feature = "remote")]
        {
            // A new index part is written at home, and a segment is in one place.
            let entry = &state.shards[number].sealed[position].segment.entry;
            if entry.tier == crate::manifest::Tier::Cold {
                return self.fetch(entry.rows_part.id);
            }
        }
        let segment = &state.shards[number].sealed[position].segment;
        let quantization = self.quantization_of(&state.shards[number].sealed[position]);
        let with_graph = self.with_graph(segment, quantization, &mut fresh, attempt)?;
        self.commit_index(number, &with_graph)
    }

    /// Gives a segment of a shard the index of `segment`, the same one with another index.
    pub(super) fn commit_index(&self, number: usize, segment: &SealedSegment) -> Result<()> {
        self.commit(number, &|shard, _| {
            let mut next = shard.clone();
            for view in next.sealed.iter_mut().filter(|view| view.segment.number == segment.number) {
                // Only the index is new: the other lane may have committed newer deletes and updates meanwhile.
                let mut newer = SealedSegment::clone(&view.segment);
                newer.index.clone_from(&segment.index);
                newer.entry.index_part.clone_from(&segment.entry.index_part);
                view.segment = Arc::new(newer);
            }
            next
        })
    }

    /// The same segment with a newly built graph (and codes, if those were damaged).
    fn with_graph(
        &self,
        segment: &SealedSegment,
        quantization: Quantization,
        fresh: &mut Fresh<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<SealedSegment> {
        let codes: Arc<SealedIndex> = match segment.index.as_ref().filter(|index| index.codes_are_sound()) {
            Some(index) => Arc::clone(index),
            None => {
                let part = write_codes(&*self.store, &segment.truth, &self.settings)?;
                fresh.publish([&part])?;
                Arc::new(self.open_index(&part, segment.rows())?)
            }
        };
        let threads = self.env.spawner.parallelism();
        let go_on = |done| attempt.goes_on(done);
        let asked = (&self.settings, quantization);
        let part = write_graph(&*self.store, &codes, &segment.truth, asked, threads, &go_on)?;
        self.with_index(segment, part, fresh)
    }

    /// The same segment with the codes and the graph of `part`, which was just written: every link of the graph is looked at.
    pub(super) fn with_index(
        &self,
        segment: &SealedSegment,
        part: PartRef,
        fresh: &mut Fresh<'_>,
    ) -> Result<SealedSegment> {
        fresh.publish([&part])?;
        let index = self.open_index(&part, segment.rows())?;
        index
            .graph()
            .ok_or_else(|| Error::corrupt("a graph just written is not there"))?
            .verify()
            .map_err(|e| Error::caused(ErrorKind::Corrupt, "a graph just built does not hold together", e))?;
        let index = if self.may_hold(part.length) {
            index.verified(self.settings.dim as usize, self.settings.metric)?
        } else {
            index
        };
        let mut next = segment.clone();
        next.entry.index_part = Some(part);
        next.index = Some(Arc::new(index));
        Ok(next)
    }
}

/// Copies the live rows of `view` with their newest metadata; where each slot went.
fn copy_rows(view: &SealedView, writer: &mut TruthWriter<'_>) -> Result<SlotMap> {
    let mut map: SlotMap = vec![None; view.segment.rows() as usize];
    let (mut copied, mut terms) = (Ledger::default(), MetadataTerms::default());
    view.segment.truth.for_each(&view.live_bits(), |row| {
        let metadata = view.overlay.get(row.slot).map_or(&row.metadata, |newer| newer);
        let sum = terms.row(row.id, row.vector.as_bytes(), metadata);
        let TruthRow { id, lsn, vector, inverse_norm, .. } = row;
        let lsn = view.segment.dated(lsn);
        let new = writer.push(&RowSource { id, lsn, vector, inverse_norm, metadata, sum })?;
        map[row.slot as usize] = Some(new);
        copied = copied + Ledger::of_row(sum);
        Ok(())
    })?;
    let name = view.segment.entry.rows_part.id;
    match view.ledger() {
        Ok(Some(expected)) => {
            expected.expect(copied, || {
                format!("the live rows of segment {name} are not those that it should have")
            })?;
        }
        Ok(None) => tracing::warn!(%name, "a segment has no sum to be compared with"),
        // Its damage lies in rows that are dead: what is live was just read.
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::warn!(%name, %error, "a segment cannot be compared with its sum");
        }
        Err(error) => return Err(error),
    }
    Ok(map)
}

/// The most bytes that a merge of `inputs` is expected to write: the live share of their parts, newer metadata, and the
/// codes (and the graph, if there is one) once more.
pub(crate) fn output_bytes(inputs: &[&SealedView], settings: &Settings) -> u64 {
    let graph = inputs.iter().any(|view| view.segment.has_graph());
    let of = |view: &&SealedView| {
        let entry = &view.segment.entry;
        let (rows, live) = (u64::from(entry.rows.max(1)), u64::from(view.live()));
        let share = u128::from(entry.rows_part.length + entry.meta_part.length) * u128::from(live);
        let truth = u64::try_from(share.div_ceil(u128::from(rows))).unwrap_or(u64::MAX);
        let newer = entry.overlay.as_ref().map_or(0, |part| part.length);
        let graph = if graph { graph_bytes(live, settings) } else { 0 };
        truth.saturating_add(newer).saturating_add(codes_bytes(live, settings)).saturating_add(graph)
    };
    inputs.iter().map(of).fold(0, u64::saturating_add)
}

/// The most bytes that a part with the codes of `rows` and their graph is expected to take.
pub(super) fn graph_bytes(rows: u64, settings: &Settings) -> u64 {
    codes_bytes(rows, settings) + rows * 8 * (2 * settings.m as u64).next_multiple_of(16)
}

fn codes_bytes(rows: u64, settings: &Settings) -> u64 {
    rows * Sq8::new(settings.dim as usize, settings.metric).row_bytes() as u64
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

#[cfg(test)]
mod tests;
