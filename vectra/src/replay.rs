//! The state of an index: what its parts give, brought up to date by its log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use vectra_core::io::LockGuard;
use vectra_shard::Router;
use vectra_tier::PartStore;
use vectra_wal::{Frame, Log};

use crate::engine::{Committed, Engine, publish_effects};
use crate::error::Result;
use crate::folder::process;
use crate::maintain::{Derived, Maintenance, Space, Wanted};
use crate::manifest::{Manifest, ManifestStore};
use crate::opened::OpenReport;
use crate::read::ReadContext;
use crate::recover::Outside;
use crate::segment::mutable;
use crate::segment::open::open_segment;
use crate::settings::Settings;
use crate::snapshot::{ShardState, SnapshotCell, State};
use crate::sync::RwLock;
use crate::tiers::Stores;
use crate::write::batch::update_op;
use crate::write::frame::{Logged, Shape};
use crate::write::op::Op;
use crate::write::shard::Shard;
use crate::write::stage::{Stage, find_live};

/// The state that the parts give, to be brought up to date by the log.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) router: Arc<dyn Router>,
    pub(crate) store: Arc<dyn PartStore>,
    #[cfg(feature = "remote")]
    stores: Stores,
    pub(crate) numbers: Arc<AtomicU64>,
    pub(crate) shards: Vec<Shard>,
    pub(crate) cell: SnapshotCell,
}

impl Parts {
    /// Opens every part that `manifest` names. What `earlier` has open of the same parts is used again.
    pub(crate) fn open(stores: &Stores, manifest: &Manifest, earlier: Option<&State>) -> Result<Self> {
        let settings = manifest.settings.clone();
        let numbers = Arc::new(AtomicU64::new(1));
        let next = || numbers.fetch_add(1, Ordering::Relaxed);
        let (mut shards, mut states) = (Vec::new(), Vec::new());
        for entry in &manifest.shards {
            let sealed = entry
                .segments
                .iter()
                .map(|segment| open_segment(&*stores.parts, &settings, segment, next(), earlier))
                .collect::<Result<Vec<_>>>()?;
            let writer = mutable::create(&settings, next());
            let mutable = Arc::clone(&writer.segment);
            states.push(Arc::new(ShardState { mutable, frozen: Vec::new(), sealed }));
            shards.push(Shard::new(writer));
        }
        let visible_lsn = manifest.durable_lsn();
        let cell = SnapshotCell::new(State { visible_lsn, generation: manifest.generation, shards: states });
        let router = Arc::new(manifest.shard_map.clone());
        Ok(Self {
            settings,
            router,
            store: Arc::clone(&stores.parts),
            #[cfg(feature = "remote")]
            stores: stores.clone(),
            numbers,
            shards,
            cell,
        })
    }

    /// Applies one frame of the log: a pure function of the frame and what came before.
    pub(crate) fn replay(&self, manifest: &Manifest, frame: &Frame<'_>) -> Result<()> {
        let shape = Shape::of(&self.settings, self.shards.len());
        let ops = match Logged::decode(shape, frame.kind, frame.op_count, frame.payload)? {
            Logged::Batch(ops) => ops,
            Logged::Load(load) => {
                self.replay_load(manifest, load, frame.first_lsn)?;
                self.show(frame.first_lsn);
                return Ok(());
            }
        };
        for (position, op) in ops.into_iter().enumerate() {
            let number = usize::from(self.router.route(&op.id().encode()));
            let lsn = frame.first_lsn + position as u64;
            if lsn > manifest.shards[number].covered_lsn {
                self.replay_one(number, op, lsn)?;
            }
        }
        Ok(())
    }

    fn replay_one(&self, number: usize, op: Op, lsn: u64) -> Result<()> {
        let shard = &self.shards[number];
        let mut writer = shard.writer.lock();
        let mut pending = shard.pending.lock();
        let live = find_live(op.id(), number, &writer, &pending, &self.cell)?;
        let live = match live {
            Some(live) if live.born_before(lsn, number, &self.cell)? => Some(live),
            _ => None,
        };
        let op = match (op, &live) {
            (Op::Update { id, metadata }, Some(row)) => update_op(id, metadata, row),
            (op, _) => op,
        };
        let mut stage = Stage::default();
        stage.apply(0, &op, live, &mut writer);
        stage.stamp(lsn, &mut pending);
        Ok(())
    }

    /// Makes everything that was replayed visible.
    pub(crate) fn show(&self, upto: u64) {
        self.cell.publish(|state| publish_effects(state, &self.shards, upto));
        self.shards.iter().for_each(|shard| shard.pending.lock().published(upto));
    }

    /// What snapshots of this index need besides their state.
    pub(crate) fn context(&self, outside: &Outside) -> Arc<ReadContext> {
        Arc::new(ReadContext {
            settings: self.settings.clone(),
            router: Arc::clone(&self.router),
            clock: Arc::clone(&outside.env.clock),
            threads: outside.env.spawner.parallelism(),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "an engine is made of what opening it brought together")]
    pub(crate) fn into_engine(
        self,
        root: &Path,
        outside: &Outside,
        manifests: ManifestStore,
        committed: Committed,
        log: Box<dyn Log>,
        lock: Box<dyn LockGuard>,
        opened: OpenReport,
    ) -> Arc<Engine> {
        let space = Space::new(Arc::clone(&outside.fs), root, &outside.upkeep);
        Arc::new(Engine {
            env: outside.env.clone(),
            fs: Arc::clone(&outside.fs),
            root: root.to_owned(),
            opened,
            context: self.context(outside),
            process: process(),
            wanted: Mutex::new(Wanted::of(&self.settings)),
            settings: self.settings,
            router: self.router,
            store: self.store,
            #[cfg(feature = "remote")]
            stores: self.stores,
            #[cfg(feature = "remote")]
            spilling: Mutex::default(),
            manifests,
            log,
            shards: self.shards,
            cell: self.cell,
            derived: Derived::new(outside.upkeep.verified_bytes_max),
            maintenance: Maintenance::new(outside.upkeep, space, &committed),
            committed: Mutex::new(committed),
            numbers: self.numbers,
            dating: RwLock::new(()),
            deferred: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        })
    }
}
