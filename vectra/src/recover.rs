//! Opening: manifest, parts, log; creating: the same folder, empty.

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use vectra_core::codec::Digest;
use vectra_core::env::Env;
use vectra_core::io::{Fs, LockGuard};
use vectra_shard::{HashRouter, Router, ShardMap};
use vectra_tier::{LocalStore, Mode, PartStore};
use vectra_wal::{FileLog, Frame, Log, Options, Recovery};

use crate::engine::{Committed, Engine, publish_effects};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::{Maintenance, Upkeep};
use crate::manifest::{Features, Loaded, Manifest, ManifestStore, SegmentEntry, ShardEntry, Tier};
use crate::segment::index::SealedIndex;
use crate::segment::mutable;
use crate::segment::overlay::Overlay;
use crate::segment::sealed::{SealedSegment, SealedView};
use crate::segment::sections::{DEFAULT_FIELD, OVERLAY, TOMBSTONES};
use crate::segment::tombstones::Tombstones;
use crate::segment::truth::Truth;
use crate::settings::Settings;
use crate::snapshot::{ShardState, SnapshotCell, State};
use crate::write::batch::{BATCH_BYTES_MAX, update_op};
use crate::write::op::{self, FRAME_BATCH, Op};
use crate::write::shard::Shard;
use crate::write::stage::{Live, Stage, find_live};

/// What the folder says it is, for people and for older programs.
const FORMAT: &str = "vectra index, format 1\n";
/// The log makes its folder, `wal`, itself.
const FOLDERS: [&str; 3] = ["manifest", "seg", "tmp"];

/// The outside world of an index.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) env: Env,
    pub(crate) mode: Mode,
    pub(crate) upkeep: Upkeep,
}

/// Makes an empty index in `root`, which must not hold one yet.
pub(crate) fn create(root: &Path, settings: Settings, outside: &Outside) -> Result<Arc<Engine>> {
    settings.validate()?;
    let fs = &outside.fs;
    make_dir(&**fs, root)?;
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    // Before the lock, which is a file already.
    refuse_foreign(&**fs, root, &manifests)?;
    sync_parent(&**fs, root)?;
    let lock = take_lock(&**fs, root, &outside.env)?;
    if !manifests.generations()?.is_empty() {
        let text = format!("{} already holds an index; open it instead", root.display());
        return Err(Error::new(ErrorKind::Conflict, text));
    }
    for folder in FOLDERS {
        make_dir(&**fs, &root.join(folder))?;
    }
    // What an interrupted creation left behind.
    for folder in ["wal", "tmp"] {
        remove_files(&**fs, &root.join(folder))?;
    }
    write_format(&**fs, root)?;
    let shards = NonZero::new(settings.shards).expect("validated: at least one shard");
    let map = ShardMap::new(HashRouter::new(shards));
    let manifest = Manifest {
        generation: 1,
        previous: Digest::default(),
        features: Features::default(),
        epoch: 1,
        checkpoints: Vec::new(),
        index: *outside.env.rng.uuid().as_bytes(),
        shards: vec![ShardEntry::default(); usize::from(settings.shards)],
        shard_map: map,
        settings,
        log_floor: 1,
    };
    // The log syncs the folder that its own is in, and so makes every name above durable, too.
    let log = FileLog::create(Arc::clone(fs), &root.join("wal"), &outside.env, log_options(&manifest))
        .map_err(open_log_error)?;
    let digest = manifests.write(&manifest)?;
    manifests.publish(manifest.generation)?;
    let committed = Committed { newest: manifest, digest, previous: None, broken: None };
    let parts = Parts::open(root, outside, &committed.newest)?;
    Ok(parts.into_engine(root, outside, manifests, committed, Box::new(log), lock))
}

/// Opens the index in `root`, replaying its log.
pub(crate) fn open(root: &Path, outside: &Outside) -> Result<(Arc<Engine>, Recovery)> {
    let fs = &outside.fs;
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    let missing = || {
        let text = format!("{} holds no index; `vectra create` makes one", root.display());
        Error::new(ErrorKind::NotFound, text)
    };
    match fs.list(root) {
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(not_a_folder(ErrorKind::NotFound, root));
        }
        _ if manifests.generations()?.is_empty() => return Err(missing()),
        _ => {}
    }
    let lock = take_lock(&**fs, root, &outside.env)?;
    check_format(&**fs, root)?;
    let Loaded { mut newest, digest, previous } = manifests.load()?.ok_or_else(missing)?;
    if newest.features.ro_compat != 0 {
        let text =
            format!("{} was written by a newer program and can only be read by this one", root.display());
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    newest.epoch += 1;
    let parts = Parts::open(root, outside, &newest)?;
    parts
        .store
        .clear_tmp()
        .map_err(|e| Error::caused(ErrorKind::Io, "leftovers in tmp/ cannot be removed", e))?;
    let mut visit = |frame: Frame<'_>| parts.replay(&newest, &frame).map_err(Into::into);
    let (log, recovery) =
        FileLog::open(Arc::clone(fs), &root.join("wal"), &outside.env, log_options(&newest), &mut visit)
            .map_err(open_log_error)?;
    parts.show(log.last_lsn());
    let committed = Committed { newest, digest, previous, broken: None };
    let engine = parts.into_engine(root, outside, manifests, committed, Box::new(log), lock);
    // What cannot be collected now is tried again with the next commit; it takes nothing from what can be read.
    if let Err(error) = engine.collect(&engine.committed.lock()) {
        tracing::warn!(%error, "leftovers were not removed");
    }
    engine.kick();
    Ok((engine, recovery))
}

pub(crate) fn log_options(manifest: &Manifest) -> Options {
    Options {
        file_bytes_min: manifest.settings.log_bytes_min,
        file_bytes_max: manifest.settings.log_bytes_max,
        durable_floor: manifest.durable_lsn(),
        replay_from: manifest.replay_from(),
        payload_bytes_max: BATCH_BYTES_MAX as u32,
        ..Options::new(manifest.index)
    }
}

pub(crate) fn open_log_error(error: vectra_wal::OpenError) -> Error {
    let kind = match &error {
        vectra_wal::OpenError::Corruption(_) | vectra_wal::OpenError::Missing { .. } => ErrorKind::Corrupt,
        vectra_wal::OpenError::Unsupported { .. } => ErrorKind::Unsupported,
        vectra_wal::OpenError::Visit { source, .. } => {
            source.downcast_ref::<Error>().map_or(ErrorKind::Corrupt, Error::kind)
        }
        _ => ErrorKind::Io,
    };
    Error::caused(kind, "the log cannot be opened", error)
}

/// The state that the parts give, to be brought up to date by the log.
struct Parts {
    settings: Settings,
    router: Arc<dyn Router>,
    store: Arc<dyn PartStore>,
    numbers: Arc<AtomicU64>,
    shards: Vec<Shard>,
    cell: SnapshotCell,
}

impl Parts {
    fn open(root: &Path, outside: &Outside, manifest: &Manifest) -> Result<Self> {
        let settings = manifest.settings.clone();
        let store: Arc<dyn PartStore> = Arc::new(LocalStore::new(
            Arc::clone(&outside.fs),
            root,
            Arc::clone(&outside.env.rng),
            outside.mode,
        ));
        let numbers = Arc::new(AtomicU64::new(1));
        let next = || numbers.fetch_add(1, Ordering::Relaxed);
        let (mut shards, mut states) = (Vec::new(), Vec::new());
        for entry in &manifest.shards {
            let sealed = entry
                .segments
                .iter()
                .map(|segment| open_segment(&*store, &settings, segment, next()))
                .collect::<Result<Vec<_>>>()?;
            let writer = mutable::create(&settings, next());
            let mutable = Arc::clone(&writer.segment);
            states.push(Arc::new(ShardState { mutable, frozen: Vec::new(), sealed }));
            shards.push(Shard::new(writer));
        }
        let visible_lsn = manifest.durable_lsn();
        let cell = SnapshotCell::new(State { visible_lsn, generation: manifest.generation, shards: states });
        let router = Arc::new(manifest.shard_map.clone());
        Ok(Self { settings, router, store, numbers, shards, cell })
    }

    /// Applies one frame of the log: a pure function of the frame and what came before.
    fn replay(&self, manifest: &Manifest, frame: &Frame<'_>) -> Result<()> {
        if frame.kind != FRAME_BATCH {
            let text =
                format!("the log holds a frame of kind {}, which this program does not know", frame.kind);
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let dim = self.settings.dim as usize;
        let ops = op::decode(frame.payload, frame.op_count, dim, self.settings.element)
            .map_err(|e| Error::caused(ErrorKind::Corrupt, "a frame of the log cannot be read", e))?;
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
        let live = live.filter(|live| born_before(live, lsn));
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
    fn show(&self, upto: u64) {
        self.cell.publish(|state| publish_effects(state, &self.shards, upto));
        self.shards.iter().for_each(|shard| shard.pending.lock().published(upto));
    }

    fn into_engine(
        self,
        root: &Path,
        outside: &Outside,
        manifests: ManifestStore,
        committed: Committed,
        log: Box<dyn Log>,
        lock: Box<dyn LockGuard>,
    ) -> Arc<Engine> {
        Arc::new(Engine {
            env: outside.env.clone(),
            root: root.to_owned(),
            settings: self.settings,
            router: self.router,
            store: self.store,
            manifests,
            log,
            shards: self.shards,
            cell: self.cell,
            maintenance: Maintenance::new(outside.upkeep, &committed),
            committed: Mutex::new(committed),
            numbers: self.numbers,
            dating: RwLock::new(()),
            deferred: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            lock: Mutex::new(Some(lock)),
        })
    }
}

/// An operation touches only rows older than itself. Sealed rows always are: what is replayed lies behind the LSN up to
/// which the parts of the shard hold everything.
fn born_before(live: &Live, lsn: u64) -> bool {
    match live {
        Live::Unsealed(segment, slot) => segment.row(*slot).lsn() < lsn,
        Live::Sealed(..) => true,
    }
}

/// Opens one segment's parts. Damage to the derived part is survived; damage to the truth is not.
fn open_segment(
    store: &dyn PartStore,
    settings: &Settings,
    entry: &SegmentEntry,
    number: u64,
) -> Result<SealedView> {
    if entry.tier == Tier::Cold {
        let text = "a segment rests in an object store, which this build cannot read";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let open = |part: &vectra_tier::PartRef| store.open(part).map_err(|e| Error::open_part(part, e));
    let truth = Arc::new(Truth::open(open(&entry.rows_part)?, open(&entry.meta_part)?, settings)?);
    if truth.rows() != entry.rows {
        return Err(Error::corrupt("a segment has another number of rows than its manifest says"));
    }
    let index = entry.index_part.as_ref().and_then(|part| {
        let opened = open(part).and_then(|p| SealedIndex::open(p, settings.dim as usize, settings.metric));
        opened
            .inspect_err(|error| tracing::warn!(%error, "an index part is damaged and will be rebuilt"))
            .ok()
    });
    let column = |part: &vectra_tier::PartRef, kind| -> Result<Vec<u8>> {
        let section = open(part)?.section(kind, DEFAULT_FIELD).map_err(Error::read_part)?;
        Ok(section.verified().map_err(Error::read_part)?.to_vec())
    };
    let unreadable =
        |e| Error::caused(ErrorKind::Corrupt, "the deletes or updates of a segment cannot be read", e);
    let tombstones = match &entry.deletes {
        Some(part) => Tombstones::decode(&column(part, TOMBSTONES)?, entry.rows).map_err(unreadable)?,
        None => Tombstones::new(entry.rows),
    };
    let overlay = match &entry.overlay {
        Some(part) => Overlay::decode(&column(part, OVERLAY)?, entry.rows).map_err(unreadable)?,
        None => Overlay::default(),
    };
    let segment = SealedSegment { number, truth, index: index.map(Arc::new), entry: entry.clone() };
    Ok(SealedView { segment: Arc::new(segment), tombstones, overlay })
}

fn take_lock(fs: &dyn Fs, root: &Path, env: &Env) -> Result<Box<dyn LockGuard>> {
    let process = if cfg!(target_family = "wasm") { 0 } else { std::process::id() };
    let holder = format!("process {process}, since unix time {} ms\n", env.clock.unix_ms());
    fs.lock(&root.join("LOCK"), &holder).map_err(|e| {
        if e.kind() == io::ErrorKind::WouldBlock {
            let text = format!("{} is open for writing elsewhere ({})", root.display(), e.to_string().trim());
            return Error::new(ErrorKind::Conflict, text);
        }
        Error::io(format!("{} cannot be locked", root.display()), e)
    })
}

/// Creates a directory; fine if it is there.
fn make_dir(fs: &dyn Fs, dir: &Path) -> Result<()> {
    match fs.mkdir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io(format!("{} cannot be created", dir.display()), e))
        }
        _ => Ok(()),
    }
}

/// Makes the name of a directory durable: also when it was there already, since whoever made it may not have come as
/// far as this.
fn sync_parent(fs: &dyn Fs, dir: &Path) -> Result<()> {
    let Some(parent) = dir.parent() else { return Ok(()) };
    fs.sync_dir(parent).map_err(|e| Error::io(format!("{} cannot be synced", parent.display()), e))
}

fn remove_files(fs: &dyn Fs, dir: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("{} cannot be emptied", dir.display()), e);
    let entries = match fs.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        if !entry.is_dir {
            fs.remove(&dir.join(entry.name)).map_err(failed)?;
        }
    }
    Ok(())
}

fn not_a_folder(kind: ErrorKind, root: &Path) -> Error {
    Error::new(kind, format!("{} is not a folder; an index is one", root.display()))
}

/// A folder with other people's files in it does not become an index, nor are such files taken for leftovers.
fn refuse_foreign(fs: &dyn Fs, root: &Path, manifests: &ManifestStore) -> Result<()> {
    let list = |dir: &Path| {
        fs.list(dir).map_err(|e| match e.kind() {
            io::ErrorKind::NotADirectory => not_a_folder(ErrorKind::Conflict, dir),
            _ => Error::io(format!("{} cannot be listed", dir.display()), e),
        })
    };
    let foreign = |name: String| {
        let text = format!("{} is not empty (it holds `{name}`); name a new folder", root.display());
        Err(Error::new(ErrorKind::Conflict, text))
    };
    let entries = list(root)?;
    if !manifests.generations()?.is_empty() {
        // Whether somebody has it open is to be said first.
        return Ok(());
    }
    for entry in entries {
        let leftover: fn(&str) -> bool = match entry.name.as_str() {
            "wal" => |name| name.len() == 24 && has_extension(name, &["wal", "tmp"]),
            "tmp" => |name| name.starts_with("manifest-") || has_extension(name, &["part"]),
            // Parts without a manifest: what is left of an index, and somebody may want to salvage it.
            "seg" => |_| false,
            "manifest" | "LOCK" | "FORMAT" | "FORMAT.tmp" => continue,
            _ => return foreign(entry.name),
        };
        if let Some(inner) = list(&root.join(&entry.name))?.iter().find(|inner| !leftover(&inner.name)) {
            return foreign(format!("{}/{}", entry.name, inner.name));
        }
    }
    Ok(())
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    Path::new(name).extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
}

fn write_format(fs: &dyn Fs, root: &Path) -> Result<()> {
    let failed = |e| Error::io("the file FORMAT cannot be written", e);
    let (tmp, path) = (root.join("FORMAT.tmp"), root.join("FORMAT"));
    match fs.remove(&tmp) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let file = fs.create_new(&tmp).map_err(failed)?;
    file.write_all_at(FORMAT.as_bytes(), 0).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs.rename(&tmp, &path).map_err(failed)
}

pub(crate) fn check_format(fs: &dyn Fs, root: &Path) -> Result<()> {
    let bytes = fs.read(&root.join("FORMAT"), 4096).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::corrupt(format!("{} lacks its file FORMAT", root.display())),
        io::ErrorKind::InvalidData => {
            let text = format!("the file FORMAT is not one; this program reads `{}`", FORMAT.trim());
            Error::caused(ErrorKind::Unsupported, text, e)
        }
        _ => Error::io("the file FORMAT cannot be read", e),
    })?;
    if bytes == FORMAT.as_bytes() {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&bytes);
    let text = format!("the folder says `{}`; this program reads `{}`", found.trim(), FORMAT.trim());
    Err(Error::new(ErrorKind::Unsupported, text))
}
