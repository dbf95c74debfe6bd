//! What opening an index found.

use crate::error::Error;
use crate::verify::Finding;

/// What opening an index found; from [`crate::Index::opened`] and [`crate::Reader::opened`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenReport {
    /// The generation of the manifest that was opened.
    pub generation: u64,
    /// The damaged newer generation that it stands in for, if there was one. Nothing is missing: the log made up for
    /// what that one held more.
    pub fell_back_from: Option<u64>,
    /// Damage that was got over. [`crate::verify_deep`] looks at everything; opening sees only what it needs.
    pub damage: Vec<Finding>,
    /// Frames of the log that were replayed.
    pub frames: u64,
    /// The last LSN of the log.
    pub last_lsn: u64,
    /// Whether the log ended in a write that was cut off. It was never acknowledged as durable, and is dropped.
    pub torn: bool,
    /// Bytes that were dropped with it.
    pub dropped_tail_bytes: u64,
}

impl OpenReport {
    /// Notes that the damaged `generation` is passed over.
    pub(crate) fn fell_back(&mut self, generation: u64, error: &Error) {
        self.fell_back_from = Some(generation);
        self.found(format!("manifest/{generation:020}"), error);
    }

    /// Notes that the log knows `generation`, and the folder lacks it.
    pub(crate) fn lacks(&mut self, generation: u64) {
        let text = format!("the log knows the manifest {generation}, and the folder lacks it");
        self.fell_back(generation, &Error::corrupt(text));
    }

    /// Notes damage that cost nothing, and tells whoever listens.
    pub(crate) fn found(&mut self, place: String, error: &Error) {
        tracing::warn!(%error, place, "damage was got over");
        self.damage.push(Finding { place, problem: error.to_string(), data: false });
    }
}
