//! Collecting what nobody needs any more: parts, old manifests, old log files.

use std::collections::BTreeSet;

use crate::engine::{Committed, Engine, append_error};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;

impl Engine {
    /// Removes what is referenced neither by the two newest manifests nor by anyone reading.
    ///
    /// The log goes back as far as the *previous* generation needs it, so that a destroyed newest manifest loses
    /// nothing.
    pub(crate) fn collect(&self, committed: &Committed) -> Result<()> {
        // A newer manifest may be on disk: what it names is not known to be garbage.
        if let Some(error) = &committed.broken {
            return Err(error.clone());
        }
        let previous = committed.previous.as_ref();
        let keep: BTreeSet<_> = committed
            .newest
            .parts()
            .chain(previous.into_iter().flat_map(Manifest::parts))
            .map(|part| part.id)
            .collect();
        let failed = |e| Error::caused(ErrorKind::Io, "garbage cannot be collected", e);
        for (id, _) in self.store.list().map_err(failed)?.parts {
            if !keep.contains(&id) && !self.maintenance.fresh.lock().contains(&id) && !self.store.in_use(id) {
                self.store.remove(id).map_err(failed)?;
            }
        }
        let Some(previous) = previous else { return Ok(()) };
        self.manifests.remove_below(previous.generation)?;
        self.log.truncate(previous.log_floor.min(committed.newest.log_floor)).map_err(append_error)
    }

    /// Commits the same content once more when the last commit left something behind for its predecessor, and
    /// collects it.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut committed = self.committed.lock();
        if !committed.is_settled() {
            let same = committed.newest.clone();
            self.commit_manifest(&mut committed, same)?;
        }
        self.collect(&committed)
    }
}
