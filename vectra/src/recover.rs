//! Opening for writing: lock, manifest, parts, log.

use std::io;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::Fs;
use vectra_tier::Mode;
use vectra_wal::{Anchor, FileLog, Frame, Log, Options, Recovery};

use crate::engine::{Committed, Engine};
use crate::error::{Error, ErrorKind, Result, kind_of_write};
use crate::folder::{FOLDERS, check_format, make_dir, not_a_folder, sync_parent, take_lock};
use crate::maintain::{Upkeep, drop_ballast};
use crate::manifest::{Chain, Loaded, Manifest, ManifestStore};
use crate::opened::OpenReport;
use crate::replay::Parts;
use crate::tiers::Stores;
use crate::write::batch::BATCH_BYTES_MAX;

/// The outside world of an index.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) env: Env,
    pub(crate) mode: Mode,
    /// Where cold parts rest.
    #[cfg(feature = "remote")]
    pub(crate) remote: Option<vectra_tier::RemoteStore>,
    pub(crate) upkeep: Upkeep,
    /// See [`crate::Builder::ack_after_mark`].
    pub(crate) ack_after_mark: bool,
}

/// Opens the index in `root`, replaying its log.
pub(crate) fn open(root: &Path, outside: &Outside) -> Result<Arc<Engine>> {
    let fs = &outside.fs;
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    require_index(&**fs, root, &manifests)?;
    let lock = take_lock(&**fs, root, &outside.env)?;
    check_format(&**fs, root)?;
    let chain = manifests.load()?.ok_or_else(|| no_index(root))?;
    make_missing(&**fs, root)?;
    let Chain { generations, loaded, mut damaged, highest } = chain;
    let loaded = match (loaded, &damaged) {
        (Some(loaded), _) => loaded,
        (None, Some((_, error))) => return Err(error.clone()),
        (None, None) => return Err(no_index(root)),
    };
    let (generation, digest) = (loaded.manifest.generation, loaded.digest);
    let mut opened = replayed_with_room(root, outside, loaded);
    if let Some(error) = manifests.disowned(generation, digest, noted(root, outside, &manifests, &opened)) {
        let before = manifests.load_before(generation, &generations)?;
        let Some(before) = before.filter(|_| damaged.is_none()) else {
            return Err(cannot_fall_back(&damaged.map_or_else(|| error.clone(), |(_, first)| first), error));
        };
        // The log goes before it is opened again.
        drop(opened);
        damaged = Some((generation, error));
        opened = replayed_with_room(root, outside, before);
    }
    let (parts, log, recovery, Loaded { manifest, digest, previous, previous_damaged }) =
        match (opened, &damaged) {
            (Err(error), Some((_, damage))) if error.kind() == ErrorKind::Corrupt => {
                return Err(cannot_fall_back(damage, error));
            }
            (opened, _) => opened?,
        };
    let mut report = OpenReport {
        generation: manifest.generation,
        frames: recovery.frames,
        last_lsn: recovery.last_lsn,
        torn: recovery.torn,
        dropped_tail_bytes: recovery.dropped_tail_bytes,
        ..OpenReport::default()
    };
    if let Some(error) = &previous_damaged {
        report.found(format!("the generation before {}", manifest.generation), error);
    }
    if let Some((generation, error)) = &damaged {
        let place = manifests.quarantine(*generation)?;
        report.fell_back_from = Some(*generation);
        report.found(format!("manifest/{generation:020}, now {}", place.display()), error);
    }
    for seal in &recovery.bad_seals {
        tracing::warn!(%seal, "the end of a log file was cut off; no data was in it");
    }
    let noted = recovery.anchor.map_or(0, |anchor| anchor.generation);
    if noted > highest {
        // What was opened holds everything all the same: its parts are there, and so is the log behind them.
        report.lacks(noted);
    }
    let highest = highest.max(noted);
    // One that was set aside and not superseded since may need what the manifests here do not name.
    let unread = previous_damaged.is_some() || highest > manifest.generation;
    let committed = Committed { newest: manifest, digest, previous, highest, unread, broken: None };
    let engine = parts.into_engine(root, outside, manifests, committed, Box::new(log), lock, report);
    // What cannot be collected now is tried again with the next commit; it takes nothing from what can be read.
    if let Err(error) = engine.collect(&engine.committed.lock()) {
        tracing::warn!(%error, "leftovers were not removed");
    }
    engine.kick();
    Ok(engine)
}

/// The parts of a manifest, brought up to date.
type Opened = (Parts, FileLog, Recovery, Loaded);

/// Replays the log; on a full disk once more without the ballast. Opening copies the newest file of the log: that is
/// what the ballast is for.
fn replayed_with_room(root: &Path, outside: &Outside, loaded: Loaded) -> Result<Opened> {
    match replayed(root, outside, loaded.clone()) {
        Err(error) if error.kind() == ErrorKind::Full && drop_ballast(&*outside.fs, root) => {
            replayed(root, outside, loaded)
        }
        opened => opened,
    }
}

/// Makes the folders inside that are not there: what copied or unpacked the index may have left out the empty ones.
fn make_missing(fs: &dyn Fs, root: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("{} cannot be listed", root.display()), e);
    let there = fs.list(root).map_err(failed)?;
    let mut missing = FOLDERS.iter().filter(|folder| there.iter().all(|entry| entry.name != **folder));
    missing.try_for_each(|folder| {
        let dir = root.join(folder);
        make_dir(fs, &dir)?;
        sync_parent(fs, &dir)
    })
}

/// Brings the parts of a manifest up to date, for writing.
fn replayed(root: &Path, outside: &Outside, mut loaded: Loaded) -> Result<Opened> {
    let manifest = &mut loaded.manifest;
    if manifest.features.ro_compat != 0 {
        let text = format!(
            "{} was written by a newer program; this one can only read it, with a `Reader`",
            root.display()
        );
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    manifest.epoch += 1;
    let parts = Parts::open(&Stores::new(outside, root, Some(manifest.index)), manifest, None)?;
    parts
        .store
        .clear_tmp()
        .map_err(|e| Error::caused(ErrorKind::Io, "leftovers in tmp/ cannot be removed", e))?;
    let mut visit = |frame: Frame<'_>| parts.replay(manifest, &frame).map_err(Into::into);
    let (fs, wal) = (Arc::clone(&outside.fs), root.join("wal"));
    let (log, recovery) =
        FileLog::open(fs, &wal, &outside.env, written_log_options(manifest, outside), &mut visit)
            .map_err(open_log_error)?;
    parts.show(log.last_lsn());
    Ok((parts, log, recovery, loaded))
}

/// The newest generation that the log noted; also where the log does not fit the manifest it was opened with.
fn noted(
    root: &Path,
    outside: &Outside,
    manifests: &ManifestStore,
    opened: &Result<Opened>,
) -> Option<Anchor> {
    match opened {
        Ok((.., recovery, _)) => recovery.anchor,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let generations = manifests.generations().ok()?;
            let before = manifests.load_before(*generations.last()?, &generations).ok()??;
            let options = log_options(&before.manifest);
            FileLog::check(&*outside.fs, &root.join("wal"), options, &mut |_| Ok(())).ok()?.anchor
        }
        Err(_) => None,
    }
}

/// The newest manifest is damaged, and what the one before it needs is damaged, too.
fn cannot_fall_back(damage: &Error, error: Error) -> Error {
    let text = format!("{damage}; the generation before it does not do instead");
    Error::caused(ErrorKind::Corrupt, text, error)
}

/// Fails unless `root` is a folder with a manifest in it.
pub(crate) fn require_index(fs: &dyn Fs, root: &Path, manifests: &ManifestStore) -> Result<()> {
    match fs.list(root) {
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(not_a_folder(ErrorKind::NotFound, root)),
        _ if manifests.generations()?.is_empty() => Err(no_index(root)),
        _ => Ok(()),
    }
}

pub(crate) fn no_index(root: &Path) -> Error {
    let text = format!("{} holds no index; `vectra create` makes one", root.display());
    Error::new(ErrorKind::NotFound, text)
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

/// For a log that is going to be written.
pub(crate) fn written_log_options(manifest: &Manifest, outside: &Outside) -> Options {
    Options { ack_after_mark: outside.ack_after_mark, ..log_options(manifest) }
}

pub(crate) fn open_log_error(error: vectra_wal::OpenError) -> Error {
    let kind = match &error {
        vectra_wal::OpenError::Corruption(_) | vectra_wal::OpenError::Missing { .. } => ErrorKind::Corrupt,
        vectra_wal::OpenError::Unsupported { .. } => ErrorKind::Unsupported,
        vectra_wal::OpenError::Visit { source, .. } => {
            source.downcast_ref::<Error>().map_or(ErrorKind::Corrupt, Error::kind)
        }
        vectra_wal::OpenError::Io { source, .. } => kind_of_write(source),
        _ => ErrorKind::Io,
    };
    let text = match kind {
        ErrorKind::Full => {
            "the log cannot be opened: the disk is full, and its newest file has to be copied; make room there"
        }
        _ => "the log cannot be opened",
    };
    Error::caused(kind, text, error)
}
