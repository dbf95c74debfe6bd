//! Which codes the segments are to have, and encoding them anew when somebody asks for others.

use std::sync::Arc;

use vectra_core::Metric;
use vectra_quant::{Codec, RaBitQ, Rotation};

use super::attempt::Attempt;
use super::fresh::Fresh;
use crate::engine::Engine;
use crate::error::Result;
use crate::manifest::Tier;
use crate::quantization::Quantization;
use crate::segment::build::write_encoded;
use crate::segment::sealed::SealedView;
use crate::settings::Settings;

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) quantization: Quantization,
    pub(crate) memory_budget_bytes: Option<u64>,
}

impl Wanted {
    pub(crate) fn of(settings: &Settings) -> Self {
        let Settings { quantization, memory_budget_bytes, .. } = *settings;
        Self { quantization, memory_budget_bytes }
    }
}

impl Engine {
    /// Has every segment encoded as `wanted` says, from now on; those that are there in the background.
    pub(crate) fn set_wanted(self: &Arc<Self>, wanted: Wanted) -> Result<()> {
        wanted.quantization.validate(self.settings.metric)?;
        {
            let mut committed = self.committed.lock();
            let mut manifest = committed.newest.clone();
            let settings = &mut manifest.settings;
            (settings.quantization, settings.memory_budget_bytes) =
                (wanted.quantization, wanted.memory_budget_bytes);
            if manifest.settings != committed.newest.settings {
                self.commit_manifest(&mut committed, manifest)?;
            }
            *self.wanted.lock() = wanted;
        }
        self.kick();
        Ok(())
    }

    /// The codes that a segment is to have.
    pub(super) fn quantization_of(&self, view: &SealedView) -> Quantization {
        let wanted = *self.wanted.lock();
        match wanted.memory_budget_bytes {
            Some(bytes) if wanted.quantization == Quantization::Auto => self.within(bytes, view),
            _ => wanted.quantization,
        }
    }

    /// The best codes of a segment that, with its graph, take no more of `bytes` than its share of all rows.
    fn within(&self, bytes: u64, view: &SealedView) -> Quantization {
        let state = self.cell.load();
        let rows: u64 = state.shards.iter().map(|shard| shard.live(state.visible_lsn)).sum();
        let (settings, segment) = (&self.settings, &view.segment);
        let graph = match segment.index.as_ref().map_or(0, |index| index.graph_bytes()) {
            0 => graph_row_bytes(settings.m),
            built => built / u64::from(segment.rows().max(1)),
        };
        let room = (bytes / rows.max(1)).saturating_sub(graph);
        let auto = segment.auto_row_bytes(settings);
        fitting(room, auto, settings.dim as usize, settings.metric)
    }

    /// Whether the graph of a segment is walked on the codes that it is to have. What rests in an object store stays as it is.
    pub(super) fn is_encoded(&self, view: &SealedView) -> bool {
        let index = view.segment.index.as_ref().filter(|index| index.has_graph());
        view.segment.entry.tier == Tier::Cold
            || index.is_none_or(|index| index.quantization() == self.quantization_of(view))
    }

    /// Encodes the vectors of the sealed segment at `position` of a shard as they are to be encoded now.
    pub(super) fn encode(&self, number: usize, position: usize, attempt: &Attempt<'_>) -> Result<()> {
        attempt.check()?;
        let mut fresh = Fresh::new(self);
        let state = self.cell.load();
        let view = &state.shards[number].sealed[position];
        let Some(index) = view.segment.index.as_ref().filter(|index| index.has_graph()) else {
            return Ok(());
        };
        let asked = (&self.settings, self.quantization_of(view));
        let threads = self.env.spawner.parallelism();
        let part = write_encoded(&*self.store, index, &view.segment.truth, asked, threads)?;
        let encoded = self.with_index(&view.segment, part, &mut fresh)?;
        self.commit_index(number, &encoded)
    }
}

/// About how many bytes of a graph a row takes, before it is built.
fn graph_row_bytes(m: usize) -> u64 {
    // Links of the lowest layer, and a little for those above it.
    (4 * (2 * m).next_multiple_of(16) + 16) as u64
}

/// The best codes that take at most `room` bytes a row: those that the engine chooses when it is left alone, of `auto` bytes, or as many
/// bits of each component as there is room for, at least one.
fn fitting(room: u64, auto: usize, dim: usize, metric: Metric) -> Quantization {
    if auto as u64 <= room || metric == Metric::L1 {
        return Quantization::Auto;
    }
    let padded = Rotation::new(dim, 0).padded();
    let row_bytes = |bits: u8| RaBitQ::new(padded, bits.into(), metric).row_bytes() as u64;
    let bits = (1..=8).rev().find(|bits| row_bytes(*bits) <= room).unwrap_or(1);
    Quantization::RaBitQ { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_as_long_as_there_is_room_for() {
        let fitting = |room| fitting(room, 448, 384, Metric::Cosine);
        assert_eq!(fitting(448), Quantization::Auto);
        let mut before = Quantization::Auto;
        for room in (0..448).rev() {
            let Quantization::RaBitQ { bits } = fitting(room) else { panic!("no room for {room}") };
            let bytes = |bits| RaBitQ::new(384, bits, Metric::Cosine).row_bytes() as u64;
            assert!(bytes(bits.into()) <= room || bits == 1, "{room}: {bits}");
            assert!(bits == 8 || bytes(u32::from(bits) + 1) > room, "{room}: {bits}");
            if let Quantization::RaBitQ { bits: before } = before {
                assert!(bits <= before, "{room}");
            }
            before = fitting(room);
        }
        assert_eq!(before, Quantization::RaBitQ { bits: 1 });
        assert_eq!(super::fitting(0, 448, 384, Metric::L1), Quantization::Auto, "the only codes there are");
    }
}
