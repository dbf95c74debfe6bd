//! A small world for an engine to live in: simulated disk, clock and background work, all decided by one seed.

mod check;
mod film;
mod ledger;
mod material;
mod meddler;
mod op;
mod script;

pub(crate) use check::{Broken, check, check_items, collect};
pub(crate) use film::Shot;
pub(crate) use ledger::Ledger;
pub(crate) use material::{Model, id, item};
use material::{metadata, version_of};
pub(crate) use meddler::Meddler;
pub(crate) use op::{Op, Run, ask, expect};
pub(crate) use script::{aftermath, lazy_script, random_script, script};

use std::sync::Arc;

use parking_lot::Mutex;
use vectra::{Builder, Durability, FieldKind, Metric, Mode, Settings};
use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::sim::{CrashModel, SimFs};

/// Components of every vector.
pub(crate) const DIM: usize = 4;
/// The ways in which a disk forgets.
pub(crate) const MODELS: [CrashModel; 3] =
    [CrashModel::WeakPosix, CrashModel::Ext4Ordered, CrashModel::Windows];

/// Everything outside the engine.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) fs: SimFs,
    pub(crate) spawner: Arc<SimSpawner>,
    pub(crate) clock: Arc<SimClock>,
    env: Env,
    /// What is promised in this moment.
    told: Arc<Mutex<Ledger>>,
}

impl World {
    /// An empty disk.
    pub(crate) fn new(seed: u64, model: CrashModel) -> Self {
        Self::on(SimFs::new(seed, model), seed)
    }

    /// A disk that was used before, with a clock and background work of its own: a fresh process.
    pub(crate) fn on(fs: SimFs, seed: u64) -> Self {
        let clock = Arc::new(SimClock::new(seed));
        let spawner = Arc::new(SimSpawner::new(seed, Arc::clone(&clock)));
        fs.set_clock(Arc::clone(&clock));
        let rng = Arc::new(SeededRng::new(seed ^ 0x5eed));
        let env = Env { clock: clock.clone(), rng, spawner: spawner.clone() };
        Self { fs, spawner, clock, env, told: Arc::default() }
    }

    /// An index in this world.
    pub(crate) fn builder(&self) -> Builder {
        Builder::new().fs(Arc::new(self.fs.clone())).env(self.env.clone()).mode(Mode::Read)
    }
}

/// Limits so small that a handful of operations reaches sealing, merging and new log files.
pub(crate) fn tiny(metric: Metric, shards: u16) -> Settings {
    let mut settings = Settings::new(DIM as u32)
        .with_metric(metric)
        .with_shards(shards)
        .with_seal_rows(6)
        .with_graph(4, 8)
        .with_indexed_field("tag", FieldKind::Keyword)
        .with_indexed_field("n", FieldKind::Number)
        .with_durability(Durability::Sync);
    settings.segment_rows_max = 40;
    settings.metadata_bytes_max = 4096;
    (settings.log_bytes_min, settings.log_bytes_max) = (6 << 10, 16 << 10);
    settings
}

/// How much longer than in the everyday run a sweep takes.
pub(crate) fn sweep_factor() -> u64 {
    std::env::var("VECTRA_SWEEP_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
