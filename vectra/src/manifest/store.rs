//! Committing and loading manifests: write, sync, link to the next number, sync the directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::{Digest, digest};
use vectra_core::io::Fs;

use super::Manifest;
use super::format::{MANIFEST_BYTES_MAX, decode, encode};
use crate::error::{Error, Result};

/// The folder of manifests, `manifest/<generation>`.
#[derive(Debug)]
pub(crate) struct ManifestStore {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    tmp: PathBuf,
}

/// The newest manifest and the one before it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) newest: Manifest,
    pub(crate) digest: Digest,
    pub(crate) previous: Option<Manifest>,
}

impl ManifestStore {
    pub(crate) fn new(fs: Arc<dyn Fs>, root: &Path) -> Self {
        Self { fs, dir: root.join("manifest"), tmp: root.join("tmp") }
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("{generation:020}"))
    }

    /// The generations in the folder, ascending; other names are ignored.
    pub(crate) fn generations(&self) -> Result<Vec<u64>> {
        let entries = match self.fs.list(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io(format!("{} cannot be listed", self.dir.display()), e)),
        };
        let number = |name: &str| (name.len() == 20).then(|| name.parse().ok()).flatten();
        let mut found: Vec<u64> =
            entries.iter().filter(|e| !e.is_dir).filter_map(|e| number(&e.name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    fn tmp_path(&self, generation: u64) -> PathBuf {
        self.tmp.join(format!("manifest-{generation}"))
    }

    /// Writes `manifest` under a temporary name, durably, and returns its digest. A failure changes nothing.
    ///
    /// Its bytes are durable before [`ManifestStore::publish`], so a manifest that carries a final name and fails its
    /// check is damage.
    pub(crate) fn write(&self, manifest: &Manifest) -> Result<Digest> {
        let bytes = encode(manifest);
        let tmp = self.tmp_path(manifest.generation);
        let failed = |what, e| Error::io(cannot(manifest.generation, what), e);
        match self.fs.remove(&tmp) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("prepared", e)),
            _ => {}
        }
        let file = self.fs.create_new(&tmp).map_err(|e| failed("created", e))?;
        file.write_all_at(&bytes, 0).map_err(|e| failed("written", e))?;
        file.set_readonly().map_err(|e| failed("protected", e))?;
        file.sync_all().map_err(|e| failed("synced", e))?;
        Ok(digest(&bytes))
    }

    /// Makes the manifest written as `generation` the newest. After a failure it may or may not be.
    pub(crate) fn publish(&self, generation: u64) -> Result<()> {
        let (tmp, path) = (self.tmp_path(generation), self.path(generation));
        self.fs.link(&tmp, &path).map_err(|e| Error::io(cannot(generation, "published"), e))?;
        self.fs.sync_dir(&self.dir).map_err(|e| Error::io(cannot(generation, "published durably"), e))?;
        // It is published from here on; a name left in tmp goes when the index is next opened.
        let _left_for_the_next_open = self.fs.remove(&tmp);
        Ok(())
    }

    fn read(&self, generation: u64) -> Result<(Manifest, Digest)> {
        let path = self.path(generation);
        let bytes = self
            .fs
            .read(&path, MANIFEST_BYTES_MAX)
            .map_err(|e| Error::io(format!("{} cannot be read", path.display()), e))?;
        let manifest = decode(&bytes).map_err(|e| {
            Error::caused(crate::ErrorKind::Corrupt, format!("the manifest {} is damaged", path.display()), e)
        })?;
        if manifest.generation != generation {
            return Err(Error::corrupt(format!(
                "the manifest {} says that it is generation {}",
                path.display(),
                manifest.generation
            )));
        }
        Ok((manifest, digest(&bytes)))
    }

    /// The newest manifest; `None` when there is none at all.
    pub(crate) fn load(&self) -> Result<Option<Loaded>> {
        let generations = self.generations()?;
        let Some(newest) = generations.last() else { return Ok(None) };
        let (manifest, digest) = self.read(*newest)?;
        let previous = match newest.checked_sub(1) {
            Some(before) if generations.contains(&before) => {
                let (previous, previous_digest) = self.read(before)?;
                if previous_digest != manifest.previous {
                    return Err(Error::corrupt("the two newest manifests do not belong together"));
                }
                Some(previous)
            }
            _ => None,
        };
        Ok(Some(Loaded { newest: manifest, digest, previous }))
    }

    /// Removes every generation below `keep_from`.
    pub(crate) fn remove_below(&self, keep_from: u64) -> Result<()> {
        for generation in self.generations()?.into_iter().filter(|g| *g < keep_from) {
            let path = self.path(generation);
            self.fs
                .remove(&path)
                .map_err(|e| Error::io(format!("{} cannot be removed", path.display()), e))?;
        }
        Ok(())
    }
}

fn cannot(generation: u64, what: &str) -> String {
    format!("generation {generation} of the manifest cannot be {what}")
}
