//! Damaged manifests, set aside: kept as they are, out of everybody's way.

use std::io;
use std::path::PathBuf;

use super::store::{ManifestStore, NUMBER_LEN, cannot};
use crate::error::{Error, Result};

/// How the names of manifests in `quarantine/` begin.
const SET_ASIDE: &str = "manifest-";

impl ManifestStore {
    /// The generations that were set aside, ascending.
    pub(super) fn set_aside(&self) -> Result<Vec<u64>> {
        let number = |name: &str| name.strip_prefix(SET_ASIDE)?.get(..NUMBER_LEN)?.parse().ok();
        self.numbers(&self.quarantine, &number)
    }

    /// Moves a damaged manifest out of the way, into `quarantine/`, and returns where it is now. At no moment, and after
    /// no power cut, is it in neither place: somebody may want to look at it, and its number stays taken.
    pub(crate) fn quarantine(&self, generation: u64) -> Result<PathBuf> {
        let failed = |e| Error::io(cannot(generation, "set aside"), e);
        match self.fs.mkdir(&self.quarantine) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => {}
        }
        let from = self.path(generation);
        let mut to = self.quarantine.join(format!("{SET_ASIDE}{generation:020}"));
        let mut copies = 0;
        // What was set aside earlier stays as it is.
        while let Err(e) = self.fs.link(&from, &to) {
            if e.kind() != io::ErrorKind::AlreadyExists {
                return Err(failed(e));
            }
            copies += 1;
            to = self.quarantine.join(format!("{SET_ASIDE}{generation:020}.{copies}"));
        }
        self.fs.sync_dir(&self.quarantine).map_err(failed)?;
        self.fs.sync_dir(&self.root).map_err(failed)?;
        // Durable with the next commit; until then it may come back, and is set aside again.
        self.fs.remove(&from).map_err(failed)?;
        Ok(to)
    }
}
