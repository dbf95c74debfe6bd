//! Creating: the folder of an index that holds nothing yet.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use vectra_core::codec::Digest;
use vectra_shard::{HashRouter, ShardMap};
use vectra_wal::FileLog;

use crate::engine::{Committed, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{FOLDERS, make_dir, refuse_foreign, remove_files, sync_parent, take_lock, write_format};
use crate::manifest::{Features, Manifest, ManifestStore, ShardEntry};
use crate::opened::OpenReport;
use crate::recover::{Outside, open_log_error, written_log_options};
use crate::replay::Parts;
use crate::settings::Settings;
use crate::tiers::Stores;

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
    let options = written_log_options(&manifest, outside);
    let log =
        FileLog::create(Arc::clone(fs), &root.join("wal"), &outside.env, options).map_err(open_log_error)?;
    let digest = manifests.write(&manifest)?;
    manifests.publish(manifest.generation)?;
    let committed =
        Committed { newest: manifest, digest, previous: None, highest: 1, unread: false, broken: None };
    let stores = Stores::new(outside, root, Some(committed.newest.index));
    let parts = Parts::open(&stores, &committed.newest, None)?;
    let opened = OpenReport { generation: 1, ..OpenReport::default() };
    let engine = parts.into_engine(root, outside, manifests, committed, Box::new(log), lock, opened);
    // For an index so small only if somebody chose its size.
    engine.tend_ballast();
    Ok(engine)
}
