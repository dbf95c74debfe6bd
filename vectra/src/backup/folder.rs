//! A folder on its way to become a copy of an index: prepared, filled part by part, then published at once.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::Digest;
use vectra_core::env::Env;
use vectra_core::io::{Fs, LockGuard};
use vectra_tier::{LocalStore, Mode, PartStore};
use vectra_wal::FileLog;

use super::note::Note;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{
    FOLDERS, make_dir, not_a_folder, remove_leftovers, sync_parent, take_lock, write_format,
};
use crate::maintain::Upkeep;
use crate::manifest::{Manifest, ManifestStore};
use crate::reader::pins_held;
use crate::recover::{Outside, log_options, open_log_error};
use crate::verify::{VerifyOptions, verify_newest};

/// The folder, locked.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) root: PathBuf,
    pub(crate) store: LocalStore,
    pub(crate) manifests: ManifestStore,
    env: Env,
    _lock: Box<dyn LockGuard>,
}

/// The manifest that a folder has already.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
}

impl Folder {
    /// Locks `root`, which is made if it is missing, and removes what an interrupted writer left in `tmp`; the note that
    /// it holds. A folder with anything in it is taken only if it holds the note `name` and `expect` has nothing
    /// against what the note says: until then nothing in it is touched.
    pub(crate) fn take(
        fs: &Arc<dyn Fs>,
        env: &Env,
        root: &Path,
        name: &str,
        expect: &dyn Fn(&Note) -> Result<()>,
    ) -> Result<(Self, Option<Note>)> {
        make_dir(&**fs, root)?;
        require_ours(&**fs, root, name, expect)?;
        sync_parent(&**fs, root)?;
        let lock = take_lock(&**fs, root, env)?;
        // Somebody else may have had it in between.
        let note = require_ours(&**fs, root, name, expect)?;
        remove_leftovers(&**fs, root, "tmp")?;
        let folder = Self {
            fs: Arc::clone(fs),
            root: root.to_owned(),
            store: LocalStore::new(Arc::clone(fs), root, Arc::clone(&env.rng), Mode::Read),
            manifests: ManifestStore::new(Arc::clone(fs), root),
            env: env.clone(),
            _lock: lock,
        };
        Ok((folder, note))
    }

    /// Makes the folders inside and the file FORMAT. The note is there by now.
    pub(crate) fn prepare(&self) -> Result<()> {
        for folder in FOLDERS {
            make_dir(&*self.fs, &self.root.join(folder))?;
        }
        // The log syncs the folder that its own is in before the manifest is published, and so makes these durable, too.
        write_format(&*self.fs, &self.root)
    }

    /// Refuses to begin what will not fit.
    pub(crate) fn require_space(&self, bytes: u64) -> Result<()> {
        match self.fs.free_space(&self.root) {
            Ok(free) if free < bytes => {
                let text = format!("{} has {free} bytes free; {bytes} are needed", self.root.display());
                Err(Error::new(ErrorKind::Full, text))
            }
            // Where it cannot be asked for, the write that runs out of space will say so.
            _ => Ok(()),
        }
    }

    /// Makes `manifest` the newest of the folder, with an empty log behind it. Everything it names is in place.
    ///
    /// Its log has an identity of its own, so that until the manifest is there the log of the one before counts, and
    /// from then on the new one, in a single step.
    pub(crate) fn publish(&self, manifest: &Manifest) -> Result<()> {
        let log =
            FileLog::create(Arc::clone(&self.fs), &self.root.join("wal"), &self.env, log_options(manifest));
        drop(log.map_err(open_log_error)?);
        // A part that was there already may have got its name just before a crash, and the name may not have been durable.
        let seg = self.root.join("seg");
        self.fs.sync_dir(&seg).map_err(|e| self.failed("synced", e))?;
        self.manifests.write(manifest)?;
        self.manifests.publish(manifest.generation)
    }

    /// Checks every byte of what was published, and of nothing else. If anything is damaged, `generation` is withdrawn
    /// again.
    pub(crate) fn prove(&self, generation: u64) -> Result<()> {
        let (fs, env) = (Arc::clone(&self.fs), self.env.clone());
        let outside = Outside {
            fs,
            env,
            mode: Mode::Read,
            #[cfg(feature = "remote")]
            remote: None,
            upkeep: Upkeep::default(),
            ack_after_mark: false,
        };
        let report = verify_newest(&outside, &self.root, &VerifyOptions::deep())?;
        let Some(finding) = report.findings.iter().find(|finding| finding.data) else { return Ok(()) };
        self.manifests.withdraw(generation)?;
        let text = format!(
            "the copy in {} is not what was written and was withdrawn: {}: {}",
            self.root.display(),
            finding.place,
            finding.problem
        );
        Err(Error::corrupt(text))
    }

    /// Removes every older manifest, then the parts and log files that only those needed. What somebody reads stays, for
    /// the next backup to remove.
    pub(crate) fn prune(&self, manifest: &Manifest) -> Result<()> {
        let generations = self.manifests.generations()?.into_iter();
        let older = generations.filter(|generation| *generation < manifest.generation);
        // One that is damaged names nothing that anybody could read.
        let older: Vec<Manifest> =
            older.filter_map(|generation| self.manifests.read(generation).ok()).map(|read| read.0).collect();
        let mut held = pins_held(&*self.fs, &self.root)?;
        self.manifests.remove_below(manifest.generation, &held)?;
        let dir = self.root.join("manifest");
        // What an older manifest names goes only once that manifest is gone for good.
        self.fs.sync_dir(&dir).map_err(|e| self.failed("synced", e))?;
        // Whoever pinned a manifest while it was still there saw it after pinning it, and reads on.
        held.append(&mut pins_held(&*self.fs, &self.root)?);
        let kept: Vec<&Manifest> =
            older.iter().filter(|older| held.contains(&older.generation)).chain([manifest]).collect();
        let keep: BTreeSet<_> =
            kept.iter().flat_map(|manifest| manifest.parts()).map(|part| part.id).collect();
        let failed = |e| Error::caused(ErrorKind::Io, "parts that are not needed cannot be removed", e);
        for (id, _) in self.store.list().map_err(failed)?.parts {
            if !keep.contains(&id) {
                self.store.remove(id).map_err(failed)?;
            }
        }
        self.remove_other_logs(&kept.iter().map(|manifest| manifest.index).collect())
    }

    /// Removes the log files of other identities: those of earlier backups.
    fn remove_other_logs(&self, indexes: &BTreeSet<[u8; 16]>) -> Result<()> {
        let wal = self.root.join("wal");
        let entries = match self.fs.list(&wal) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|e| self.failed("listed", e))?,
        };
        for entry in entries.iter().filter(|entry| !entry.is_dir && entry.name.len() == 24) {
            let path = wal.join(&entry.name);
            if vectra_wal::identity(&*self.fs, &path).is_some_and(|found| !indexes.contains(&found)) {
                self.fs.remove(&path).map_err(|e| self.failed("tidied", e))?;
            }
        }
        Ok(())
    }

    /// Removes every log file.
    pub(crate) fn remove_logs(&self) -> Result<()> {
        remove_leftovers(&*self.fs, &self.root, "wal")
    }

    /// The parts that are there.
    pub(crate) fn parts(&self) -> Result<Vec<uuid::Uuid>> {
        let failed = |e| Error::caused(ErrorKind::Io, "the parts in the folder cannot be listed", e);
        Ok(self.store.list().map_err(failed)?.parts.into_iter().map(|(id, _)| id).collect())
    }

    /// Removes the note `name`: the folder is complete without it.
    pub(crate) fn drop_note(&self, name: &str) -> Result<()> {
        let path = self.root.join(name);
        self.fs
            .remove(&path)
            .and_then(|()| self.fs.sync_dir(&self.root))
            .map_err(|e| self.failed("tidied", e))
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::io(format!("{} cannot be {what}", self.root.display()), error)
    }
}

/// The newest manifest of a folder that `note` speaks of, provided that nothing was written to it since.
pub(crate) fn untouched(fs: &Arc<dyn Fs>, root: &Path, note: &Note) -> Result<Option<Standing>> {
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    let Some(loaded) = manifests.load()? else { return Ok(None) };
    if let Some((_, error)) = loaded.damaged {
        return Err(error);
    }
    let Some(loaded) = loaded.loaded else { return Ok(None) };
    let manifest = loaded.manifest;
    let mut ignore = |_: vectra_wal::Frame<'_>| Ok(());
    let log = FileLog::check(&**fs, &root.join("wal"), log_options(&manifest), &mut ignore);
    let last = log.map_err(open_log_error)?.last_lsn;
    if last != manifest.durable_lsn() || ![note.lsn, note.previous].contains(&last) {
        let text = format!(
            "{} was opened and written to since it was made: it is an index of its own now; use another folder",
            root.display()
        );
        return Err(Error::new(ErrorKind::Conflict, text));
    }
    Ok(Some(Standing { manifest, digest: loaded.digest }))
}

/// Refuses two folders of which one lies in the other.
pub(crate) fn refuse_nested(from: &Path, to: &Path) -> Result<()> {
    if from.starts_with(to) || to.starts_with(from) {
        let text =
            format!("{} and {} lie in each other; choose another folder", from.display(), to.display());
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// The note that the folder holds, if it holds one; a folder with other things in it is left alone.
fn require_ours(
    fs: &dyn Fs,
    root: &Path,
    name: &str,
    expect: &dyn Fn(&Note) -> Result<()>,
) -> Result<Option<Note>> {
    let entries = fs.list(root).map_err(|e| match e.kind() {
        io::ErrorKind::NotADirectory => not_a_folder(ErrorKind::Conflict, root),
        _ => Error::io(format!("{} cannot be listed", root.display()), e),
    })?;
    let foreign = |name: &str| {
        let text = format!("{} is not empty (it holds `{name}`); name a new folder", root.display());
        Err(Error::new(ErrorKind::Conflict, text))
    };
    if entries.iter().any(|entry| entry.name == name && !entry.is_dir) {
        let note = Note::read(fs, root, name).map_err(|error| match error.kind() {
            ErrorKind::Corrupt => {
                let text = format!(
                    "{} holds a file `{name}` that is not the note it should be; name a new folder",
                    root.display()
                );
                Error::caused(ErrorKind::Conflict, text, error)
            }
            _ => error,
        })?;
        note.as_ref().map_or(Ok(()), expect)?;
        return Ok(note);
    }
    let unfinished = format!("{name}.tmp");
    let is_ours = |name: &str| name == unfinished || name == "LOCK";
    match entries.iter().find(|entry| entry.is_dir || !is_ours(&entry.name)) {
        None => Ok(None),
        Some(entry) => foreign(&entry.name),
    }
}
