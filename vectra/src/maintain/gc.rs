//! Collecting what nobody needs any more: parts, old manifests, old log files.

use std::collections::BTreeSet;

use vectra_tier::StoreError;

use crate::engine::{Committed, Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;
use crate::reader::pins_held;

impl Engine {
    /// Removes what is referenced neither by the two newest manifests nor by anyone reading, here or in other processes.
    ///
    /// The log goes back as far as the *previous* generation needs it, so that a destroyed newest manifest loses
    /// nothing.
    pub(crate) fn collect(&self, committed: &Committed) -> Result<()> {
        // A newer manifest may be on disk: what it names is not known to be garbage.
        if let Some(error) = &committed.broken {
            return Err(error.clone());
        }
        let Some(pinned) = self.pinned(committed)? else { return Ok(()) };
        if committed.unread {
            return Ok(());
        }
        let previous = committed.previous.as_ref();
        let keep: BTreeSet<_> = committed
            .newest
            .home_parts()
            .chain(previous.into_iter().chain(&pinned).flat_map(Manifest::home_parts))
            .map(|part| part.id)
            .collect();
        let failed = |e| Error::caused(ErrorKind::Io, "garbage cannot be collected", e);
        for (id, _) in self.store.list().map_err(failed)?.parts {
            if keep.contains(&id) || self.maintenance.fresh.lock().contains(&id) || self.store.in_use(id) {
                continue;
            }
            match self.store.remove(id) {
                // Somebody opened it since: a later collection takes it. Or whoever wrote it has taken it back.
                Err(StoreError::InUse { .. } | StoreError::Absent { .. }) => {}
                removed => removed.map_err(failed)?,
            }
        }
        #[cfg(feature = "remote")]
        self.trim_cache(previous.into_iter().chain([&committed.newest]).chain(&pinned))?;
        let Some(previous) = previous else { return Ok(()) };
        let kept = pinned.iter().map(|manifest| manifest.generation).collect();
        self.manifests.remove_below(previous.generation, &kept)?;
        // Cutting the log may begin a new file, and a log that cannot write is lost until it is reopened.
        if !self.has_slack() {
            return Ok(());
        }
        let floors = pinned.iter().chain([previous, &committed.newest]).map(|manifest| manifest.log_floor);
        let floor = floors.min().expect("the newest is among them");
        self.log.truncate(floor).map_err(append_error)
    }

    /// Collects after a commit. The commit stands whatever becomes of that: what is left over is health's to say, and the
    /// next commit's to try again.
    pub(crate) fn tidy_up(&self, committed: &Committed) {
        let failure = self.collect(committed).err();
        if let Some(error) = &failure {
            tracing::warn!(%error, "what nobody needs any more was not removed");
        }
        *self.maintenance.uncollected.lock() = failure;
    }

    /// The manifests that readers in other processes hold, but for the two newest. Nothing if one of them cannot be
    /// read: nobody knows what it needs.
    fn pinned(&self, committed: &Committed) -> Result<Option<Vec<Manifest>>> {
        let mut held = pins_held(&*self.fs, &self.root)?;
        held.remove(&committed.newest.generation);
        committed.previous.iter().for_each(|previous| _ = held.remove(&previous.generation));
        let mut pinned = Vec::new();
        for generation in held {
            match self.manifests.read(generation) {
                Ok((manifest, _)) => pinned.push(manifest),
                // Collected before the pin was there; its reader sees that, and takes a newer one.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::Io => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "a reader holds a manifest that cannot be read; nothing is collected");
                    return Ok(None);
                }
            }
        }
        Ok(Some(pinned))
    }

    /// Commits the same content once more when the last commit left something behind for its predecessor, and
    /// collects it.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut committed = self.committed.lock();
        if !committed.is_settled() {
            let same = committed.newest.clone();
            self.commit_manifest(&mut committed, same)?;
        }
        let collected = self.collect(&committed);
        *self.maintenance.uncollected.lock() = collected.as_ref().err().cloned();
        collected
    }
}
