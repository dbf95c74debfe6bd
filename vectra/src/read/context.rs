//! What reading needs besides a state.

use std::sync::Arc;

use vectra_core::env::Clock;
use vectra_shard::Router;

use crate::settings::Settings;

/// The same for all snapshots of an index, whoever writes it.
#[derive(Debug)]
pub(crate) struct ReadContext {
    pub(crate) settings: Settings,
    pub(crate) router: Arc<dyn Router>,
    /// Tells when a query's time is up.
    pub(crate) clock: Arc<dyn Clock>,
    /// How many threads ask many queries at once.
    pub(crate) threads: usize,
}
