//! Opening for writing: lock, manifest, parts, log.

use std::io;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::Fs;
use vectra_tier::Mode;
use vectra_wal::{FileLog, Frame, Log, Options, Recovery};

use crate::engine::{Committed, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{check_format, not_a_folder, take_lock};
use crate::maintain::Upkeep;
use crate::manifest::{Loaded, Manifest, ManifestStore};
use crate::replay::Parts;
use crate::write::batch::BATCH_BYTES_MAX;

/// The outside world of an index.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) env: Env,
    pub(crate) mode: Mode,
    pub(crate) upkeep: Upkeep,
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
