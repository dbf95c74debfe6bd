//! The indexes that are forged: small ones with every kind of file, and one large enough for its graph to be walked.

use std::sync::{Arc, OnceLock};

use vectra::{Builder, FieldKind, Index, Item, ItemUpdate, Metric, Mode, Settings, Value};
use vectra_core::env::{Env, SeededRng, SimClock, SimSpawner};
use vectra_core::io::{Fs, MemFs};
use vectra_core::testing::oracle::Dice;

use super::folder::{Folder, ROOT};

/// A query.
pub(crate) const VECTOR: [f32; 4] = [0.5, -0.25, 1.0, 0.75];

/// A process: a disk, a clock and background work that runs only where somebody waits for it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    fs: Arc<dyn Fs>,
    env: Env,
}

impl Sandbox {
    /// A fresh process on a disk.
    pub(crate) fn on(fs: Arc<dyn Fs>, seed: u64) -> Self {
        let clock = Arc::new(SimClock::new(seed));
        let spawner = Arc::new(SimSpawner::new(seed, Arc::clone(&clock)));
        let env = Env { clock, rng: Arc::new(SeededRng::new(seed ^ 0xf0e1)), spawner };
        Self { fs, env }
    }

    /// An index in it.
    pub(crate) fn builder(&self) -> Builder {
        // Without a ballast, which a forged length would make as large as it gets.
        Builder::new().fs(Arc::clone(&self.fs)).env(self.env.clone()).mode(Mode::Read).ballast(0)
    }
}

/// The item of a key; numbers and texts as ids.
pub(crate) fn item(key: u64) -> Item {
    let mut dice = Dice::new(key ^ 0x17e3);
    let vector: Vec<f32> = (0..4).map(|_| (dice.below(64) as f32 - 31.5) / 16.0).collect();
    let tag = ["red", "green", "blue"][dice.below(3)];
    let metadata =
        [("tag", Value::from(tag)), ("n", Value::from(key)), ("on", Value::from(key.is_multiple_of(2)))];
    let id = if key.is_multiple_of(2) { vectra::ItemId::from(key) } else { format!("key-{key}").into() };
    Item::new(id, vector).with_metadata(metadata)
}

fn settings(shards: u16) -> Settings {
    let mut settings = Settings::new(4)
        .with_metric(Metric::Cosine)
        .with_shards(shards)
        .with_seal_rows(4096)
        .with_graph(4, 8)
        .with_indexed_field("tag", FieldKind::Keyword)
        .with_indexed_field("n", FieldKind::Number)
        .with_indexed_field("on", FieldKind::Bool);
    settings.metadata_bytes_max = 4096;
    (settings.log_bytes_min, settings.log_bytes_max) = (4096, 16 << 10);
    settings
}

fn grow(settings: Settings, script: impl FnOnce(&Index) -> vectra::Result<()>) -> Folder {
    let fs = Arc::new(MemFs::new());
    let sandbox = Sandbox::on(fs.clone(), 5);
    let index = sandbox.builder().create(ROOT, settings).expect("an empty disk");
    script(&index).and_then(|()| index.close()).expect("a healthy disk");
    Folder::read(&*fs)
}

fn insert(index: &Index, keys: std::ops::Range<u64>) -> vectra::Result<()> {
    index.insert_items(keys.map(item).collect()).map(drop)
}

fn update(index: &Index, keys: &[u64]) -> vectra::Result<()> {
    let new =
        |key: &u64| ItemUpdate { id: item(*key).id, metadata: Value::from([("n", Value::from(1000 + key))]) };
    index.update_items(keys.iter().map(new).collect()).map(drop)
}

fn delete(index: &Index, keys: &[u64]) -> vectra::Result<()> {
    index.delete_items(keys.iter().map(|key| item(*key).id).collect()).map(drop)
}

/// Two shards; a segment with graph, tombstones and overlay; one without; rows, an update and a delete in the log only.
pub(crate) fn small() -> Folder {
    static MADE: OnceLock<Folder> = OnceLock::new();
    let script = |index: &Index| {
        insert(index, 0..24)?;
        index.wait_optimized()?;
        // Otherwise merging would fold in what is to stay beside the segments.
        let _later = index.defer_optimization();
        update(index, &[1, 2, 8])?;
        delete(index, &[3, 4])?;
        insert(index, 24..30)?;
        index.flush()?;
        update(index, &[5, 25])?;
        delete(index, &[6, 26])?;
        insert(index, 30..33)
    };
    MADE.get_or_init(|| grow(settings(2), script)).clone()
}

/// As few bytes as an index with every kind of file can have.
pub(crate) fn minimal() -> Folder {
    static MADE: OnceLock<Folder> = OnceLock::new();
    let script = |index: &Index| {
        insert(index, 0..4)?;
        index.wait_optimized()?;
        let _later = index.defer_optimization();
        update(index, &[1])?;
        delete(index, &[2])?;
        // Sealing rows that are gone already commits tombstones and overlay, and makes no segment.
        insert(index, 4..5)?;
        delete(index, &[4])?;
        index.flush()?;
        insert(index, 5..6)
    };
    MADE.get_or_init(|| grow(settings(1), script)).clone()
}

/// Enough rows for a query to walk the graph.
pub(crate) fn large() -> Folder {
    static MADE: OnceLock<Folder> = OnceLock::new();
    let script = |index: &Index| {
        insert(index, 0..1060)?;
        index.wait_optimized()?;
        delete(index, &[7])
    };
    MADE.get_or_init(|| grow(settings(1), script)).clone()
}
