//! Committing and loading manifests: write, sync, link to the next number, sync the directory.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::{Digest, digest};
use vectra_core::io::Fs;
use vectra_wal::Anchor;

use super::Manifest;
use super::format::{Fault, MANIFEST_BYTES_MAX, decode, encode};
use crate::error::{Error, ErrorKind, Result};

/// Digits of a generation in a name.
pub(super) const NUMBER_LEN: usize = 20;

/// The folder of manifests, `manifest/<generation>`.
#[derive(Debug)]
pub(crate) struct ManifestStore {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) root: PathBuf,
    dir: PathBuf,
    tmp: PathBuf,
    pub(super) quarantine: PathBuf,
}

/// A manifest as it was read from its file.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
    /// The generation before it, if it is there and belongs to it.
    pub(crate) previous: Option<Manifest>,
    /// What is wrong with the generation before it: what only that one names is not known.
    pub(crate) previous_damaged: Option<Error>,
}

/// The folder of manifests as it was found.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Numbers of the manifests there, ascending, at least one.
    pub(crate) generations: Vec<u64>,
    /// The newest that can be read, unless [`Chain::damaged`] says that there is none.
    pub(crate) loaded: Option<Loaded>,
    /// The newest manifest, if it is damaged: [`Chain::loaded`] is the one before it.
    pub(crate) damaged: Option<(u64, Error)>,
    /// The highest number that any manifest ever had, as far as names tell.
    pub(crate) highest: u64,
}

impl ManifestStore {
    pub(crate) fn new(fs: Arc<dyn Fs>, root: &Path) -> Self {
        let (dir, tmp, quarantine) = (root.join("manifest"), root.join("tmp"), root.join("quarantine"));
        Self { fs, root: root.to_owned(), dir, tmp, quarantine }
    }

    pub(crate) fn path(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("{generation:020}"))
    }

    /// The generations in the folder, ascending; other names are ignored.
    pub(crate) fn generations(&self) -> Result<Vec<u64>> {
        let number = |name: &str| (name.len() == NUMBER_LEN).then(|| name.parse().ok()).flatten();
        self.numbers(&self.dir, &number)
    }

    /// The numbers that `number` finds in the names in `dir`, ascending.
    pub(super) fn numbers(&self, dir: &Path, number: &dyn Fn(&str) -> Option<u64>) -> Result<Vec<u64>> {
        let entries = match self.fs.list(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io(format!("{} cannot be listed", dir.display()), e)),
        };
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

    /// One manifest with the digest of its file.
    pub(crate) fn read(&self, generation: u64) -> Result<(Manifest, Digest)> {
        let path = self.path(generation);
        let bytes = self.fs.read(&path, MANIFEST_BYTES_MAX).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => {
                Error::caused(ErrorKind::Corrupt, format!("the manifest {} is damaged", path.display()), e)
            }
            _ => Error::io(format!("{} cannot be read", path.display()), e),
        })?;
        let manifest = decode(&bytes).map_err(|fault| match fault {
            Fault::Damaged(e) => {
                Error::caused(ErrorKind::Corrupt, format!("the manifest {} is damaged", path.display()), e)
            }
            Fault::Newer(e) => {
                let text = format!("the manifest {} was written by a newer program", path.display());
                Error::caused(ErrorKind::Unsupported, text, e)
            }
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

    /// The newest manifest that can be read, and what is wrong with the others; `None` when there is none at all.
    ///
    /// Only damage to the newest makes it look at the one before: a disk that fails and a newer program's manifest are
    /// errors, and nothing older than the one before is ever an answer.
    pub(crate) fn load(&self) -> Result<Option<Chain>> {
        let mut generations = self.generations()?;
        loop {
            let loaded = self.load_of(generations.clone());
            if !loaded.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return loaded;
            }
            // A writer may have removed between listing and reading what it needs no longer; then it has written a newer
            // one, and this ends, as it does not commit without end in between.
            let now = self.generations()?;
            if now == generations {
                return loaded;
            }
            generations = now;
        }
    }

    fn load_of(&self, generations: Vec<u64>) -> Result<Option<Chain>> {
        let Some(newest) = generations.last().copied() else { return Ok(None) };
        let highest = self.set_aside()?.last().copied().unwrap_or(0).max(newest);
        let mut chain = Chain { generations, loaded: None, damaged: None, highest };
        match self.load_one(newest, &chain.generations) {
            Ok(loaded) => chain.loaded = Some(loaded),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                chain.damaged = Some((newest, error));
                if let Some(before) = before(&chain.generations, newest) {
                    chain.loaded = damaged_is_none(self.load_one(before, &chain.generations))?;
                }
            }
            Err(error) => return Err(error),
        }
        Ok(Some(chain))
    }

    /// The newest of `generations` below `generation`, for whoever knows that the latter is damaged though its own sums
    /// are right; nothing if there is none, or it is damaged as well.
    pub(crate) fn load_before(&self, generation: u64, generations: &[u64]) -> Result<Option<Loaded>> {
        match before(generations, generation) {
            Some(before) => damaged_is_none(self.load_one(before, generations)),
            None => Ok(None),
        }
    }

    /// What is wrong with generation `generation`, read with `digest`, if the log noted another one under its number.
    pub(crate) fn disowned(&self, generation: u64, digest: Digest, noted: Option<Anchor>) -> Option<Error> {
        let other = |noted: &Anchor| noted.generation == generation && noted.digest != digest.to_le_bytes();
        noted.filter(other).map(|_| {
            let path = self.path(generation);
            Error::corrupt(format!(
                "the manifest {} is not the one that the log noted when it was published",
                path.display()
            ))
        })
    }

    /// The highest number that any manifest ever had, as far as names tell; 0 if there is none.
    pub(crate) fn highest(&self) -> Result<u64> {
        let newest = self.generations()?.last().copied().unwrap_or(0);
        Ok(self.set_aside()?.last().copied().unwrap_or(0).max(newest))
    }

    /// Takes the newest generation back, durably: the one before it is the newest again.
    pub(crate) fn withdraw(&self, generation: u64) -> Result<()> {
        let path = self.path(generation);
        let gone = self.fs.remove(&path).and_then(|()| self.fs.sync_dir(&self.dir));
        gone.map_err(|e| Error::io(cannot(generation, "withdrawn"), e))
    }

    fn load_one(&self, generation: u64, generations: &[u64]) -> Result<Loaded> {
        let (manifest, digest) = self.read(generation)?;
        let mut loaded = Loaded { manifest, digest, previous: None, previous_damaged: None };
        let Some(before) = before(generations, generation) else { return Ok(loaded) };
        match self.read(before) {
            Ok((previous, digest)) if digest == loaded.manifest.previous => loaded.previous = Some(previous),
            // Kept for somebody who reads it, long after its successors went.
            Ok(_) if before + 1 < generation => {}
            Ok(_) => {
                let text =
                    format!("the manifest {} is not the one that came before", self.path(before).display());
                loaded.previous_damaged = Some(Error::corrupt(text));
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => loaded.previous_damaged = Some(error),
            Err(error) => return Err(error),
        }
        Ok(loaded)
    }

    /// Removes every generation below `keep_from` but those in `kept`.
    pub(crate) fn remove_below(&self, keep_from: u64, kept: &BTreeSet<u64>) -> Result<()> {
        let old = |generation: &u64| *generation < keep_from && !kept.contains(generation);
        for generation in self.generations()?.into_iter().filter(old) {
            let path = self.path(generation);
            self.fs
                .remove(&path)
                .map_err(|e| Error::io(format!("{} cannot be removed", path.display()), e))?;
        }
        Ok(())
    }
}

/// The number in `generations` (ascending) that comes before `generation`.
fn before(generations: &[u64], generation: u64) -> Option<u64> {
    generations.iter().rev().find(|number| **number < generation).copied()
}

/// Two damaged manifests are one too many; that is for the caller to say.
fn damaged_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        other => other.map(Some),
    }
}

pub(super) fn cannot(generation: u64, what: &str) -> String {
    format!("generation {generation} of the manifest cannot be {what}")
}
