//! Time, chance and background work: everything else that is not deterministic enters here.

mod clock;
mod rng;
mod spawn;

pub use clock::{Clock, OsClock};
pub use rng::{OsRng, Rng, SeededRng};
pub use spawn::{Job, Spawner, ThreadSpawner, in_parallel};

#[cfg(any(test, feature = "testing"))]
pub use clock::SimClock;
#[cfg(any(test, feature = "testing"))]
pub use spawn::SimSpawner;

use std::sync::Arc;

/// The environment an engine runs in.
#[derive(Debug, Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// Background work.
    pub spawner: Arc<dyn Spawner>,
}

impl Env {
    /// The operating system's clock and randomness, and `threads` background threads (started when first needed).
    pub fn os(threads: usize) -> Self {
        Self {
            clock: Arc::new(OsClock::new()),
            rng: Arc::new(OsRng::new()),
            spawner: Arc::new(ThreadSpawner::new(threads)),
        }
    }
}
