//! Which codes the segments are to have, and encoding them anew when somebody asks for others.

use std::sync::Arc;

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
    pub(super) fn quantization_of(&self, _view: &SealedView) -> Quantization {
        self.wanted.lock().quantization
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
