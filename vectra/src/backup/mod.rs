//! Backup and restore: an index copied, as of one moment, into a folder that is an index itself.
//!
//! The index stays in use meanwhile. A second backup into the same folder brings only the parts that are not there.

mod bring;
mod folder;
mod note;
mod restore;

pub(crate) use folder::refuse_nested;
pub(crate) use note::{BACKUP, Note, RESTORE};
pub(crate) use restore::restore_in;
pub use restore::{RestoreReport, restore};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::Digest;
use vectra_tier::{PartHandle, PartRef, Role};

use self::bring::Brought;
use self::folder::{Folder, untouched};
use crate::builder::absolute;
use crate::checkpoint::Materialized;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::manifest::{Checkpoint, Manifest, SegmentEntry, ShardEntry, Tier, total};
use crate::progress::{Meter, Watch};

/// How a backup is made.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct BackupOptions<'a> {
    /// Give part files a second name instead of copying them, where both folders are on one file system. Quick, and
    /// takes no space; but a medium that fails takes both.
    pub link: bool,
    /// Who is told how far it has come.
    pub watch: Watch<'a>,
}

impl<'a> BackupOptions<'a> {
    /// Copies everything, tells nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Links where it can.
    #[must_use]
    pub fn link(mut self, link: bool) -> Self {
        self.link = link;
        self
    }

    /// Tells `watch` how far it has come.
    #[must_use]
    pub fn watch(mut self, watch: Watch<'a>) -> Self {
        self.watch = watch;
        self
    }
}

/// What a backup did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The backup holds every write up to this LSN.
    pub lsn: u64,
    /// How many backups this folder has seen, this one included.
    pub generation: u64,
    /// Parts that the backup names.
    pub parts: u64,
    /// Parts that were copied or written.
    pub copied: u64,
    /// Parts that got a second name.
    pub linked: u64,
    /// Parts that an earlier backup had brought.
    pub reused: u64,
    /// Bytes that were copied or written.
    pub bytes_copied: u64,
    /// Damaged derived parts that were left out: the backup builds them anew when it is opened.
    pub left_out: u64,
}

/// Backups.
impl Index {
    /// Copies the index, as it is now, into the folder `dir`; see [`Index::backup_with`].
    ///
    /// # Errors
    /// As [`Index::backup_with`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// use vectra::{Index, Item, Settings};
    ///
    /// let path = |name: &str| folder.path().join(name);
    /// let index = Index::create(path("films"), Settings::new(2))?;
    /// index.insert_item(Item::new("alien", [1.0, 0.0]))?;
    /// index.backup(path("backup"))?;
    /// vectra::restore(path("backup"), path("restored"))?;
    /// assert!(Index::open(path("restored"))?.get_item("alien")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn backup(&self, dir: impl AsRef<Path>) -> Result<BackupReport> {
        self.backup_with(dir, &BackupOptions::default())
    }

    /// Copies the index, as it is now, into the folder `dir`: every write acknowledged so far and every checkpoint.
    /// Writers go on meanwhile.
    ///
    /// `dir` is new or empty, or holds an earlier backup of this index, of which every part that is still needed is
    /// kept (after each byte of it was checked). Afterwards the folder is an index that [`Index::open`] takes, but
    /// opening it for good belongs in another folder: [`restore`]. Every byte of the result is checked before this
    /// returns. Interrupted, the folder holds the earlier backup, or the new one, and the next backup tidies up.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if the folder holds something else, a backup of another index, or one that was
    /// written to; [`ErrorKind::Corrupt`] if a part of the index is damaged; [`ErrorKind::Full`]; [`ErrorKind::Io`];
    /// [`ErrorKind::Unsupported`] while segments rest in an object store.
    pub fn backup_with(&self, dir: impl AsRef<Path>, options: &BackupOptions<'_>) -> Result<BackupReport> {
        self.engine.check_open()?;
        let root = absolute(dir.as_ref())?;
        refuse_nested(&self.engine.root, &root)?;
        self.engine.backup(&root, options)
    }
}

/// What goes into a backup, held so that it is not collected.
struct Content {
    state: Materialized,
    checkpoints: Vec<Checkpoint>,
    held: Vec<Arc<PartHandle>>,
}

impl Engine {
    fn backup(&self, root: &Path, options: &BackupOptions<'_>) -> Result<BackupReport> {
        let index = self.committed.lock().newest.index;
        let (folder, note) = Folder::take(&self.fs, &self.env, root, BACKUP, &|note| {
            if note.index == index {
                return Ok(());
            }
            let text = format!("{} is a backup of another index; use another folder", root.display());
            Err(Error::new(ErrorKind::Conflict, text))
        })?;
        let before = note.map(|note| untouched(&self.fs, root, &note)).transpose()?.flatten();
        let (checkpoints, held) = self.hold_checkpoints()?;
        let state = self.pin_durable()?;
        let previous = before.as_ref().map_or(0, |standing| standing.manifest.durable_lsn());
        if state.visible_lsn < previous {
            let text = format!(
                "{} holds writes up to LSN {previous}, the index only up to {}: it was restored from an older state; \
                 use another folder",
                root.display(),
                state.visible_lsn
            );
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        Note { index, lsn: state.visible_lsn, previous }.write(&*self.fs, root, BACKUP)?;
        folder.prepare()?;
        let state = self.materialize(&state, &folder.store)?;
        let mut content = Content { state, checkpoints, held };
        let mut report = fill(&folder, &mut content, options)?;
        let manifest = self.manifest_of(content, before.as_ref().map(|s| (s.manifest.generation, s.digest)));
        folder.publish(&manifest)?;
        folder.prove(manifest.generation)?;
        folder.prune(&manifest)?;
        report.generation = manifest.generation;
        Ok(report)
    }

    /// The checkpoints of this moment; taken before the state, so that none of them is newer than it.
    fn hold_checkpoints(&self) -> Result<(Vec<Checkpoint>, Vec<Arc<PartHandle>>)> {
        let committed = self.committed.lock();
        let checkpoints = committed.newest.checkpoints.clone();
        let mut held = Vec::new();
        for entry in checkpoints.iter().flat_map(|checkpoint| &checkpoint.shards).flatten() {
            self.hold(entry, &mut held)?;
        }
        Ok((checkpoints, held))
    }

    fn manifest_of(&self, content: Content, before: Option<(u64, Digest)>) -> Manifest {
        let committed = self.committed.lock();
        let newest = &committed.newest;
        let (generation, previous) = before.unwrap_or_default();
        let lsn = content.state.lsn;
        let shards = content.state.shards.into_iter();
        Manifest {
            generation: generation + 1,
            previous,
            features: newest.features,
            // The folder's own: its log must not be taken for that of the index, nor for an earlier backup's.
            index: *self.env.rng.uuid().as_bytes(),
            epoch: newest.epoch,
            settings: newest.settings.clone(),
            shard_map: newest.shard_map.clone(),
            shards: shards
                .map(|segments| ShardEntry { covered_lsn: lsn, attached_lsn: lsn, segments })
                .collect(),
            log_floor: lsn + 1,
            checkpoints: content.checkpoints,
        }
    }
}

impl SegmentEntry {
    /// Forgets the derived part if it is one of these.
    fn leave_out(&mut self, parts: &BTreeSet<uuid::Uuid>) {
        if self.index_part.as_ref().is_some_and(|part| parts.contains(&part.id)) {
            self.index_part = None;
        }
    }
}

/// Brings every part into the folder.
fn fill(folder: &Folder, content: &mut Content, options: &BackupOptions<'_>) -> Result<BackupReport> {
    let entries =
        || content.checkpoints.iter().flat_map(|c| &c.shards).chain(&content.state.shards).flatten();
    if entries().any(|entry| entry.tier == Tier::Cold) {
        let text = "segments rest in an object store; bring them back before a backup";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let fresh: BTreeSet<_> = content.state.fresh.iter().map(|part| part.id).collect();
    let all: BTreeMap<_, PartRef> =
        entries().flat_map(SegmentEntry::parts).map(|part| (part.id, *part)).collect();
    let paths: BTreeMap<_, PathBuf> = content
        .held
        .iter()
        .chain(&content.state.held)
        .map(|handle| (handle.reference().id, handle.path().to_owned()))
        .collect();
    let wanted: Vec<(PartRef, Option<&PathBuf>)> = all
        .values()
        .filter(|part| !fresh.contains(&part.id))
        .map(|part| (*part, paths.get(&part.id)))
        .collect();
    let mut report = BackupReport {
        lsn: content.state.lsn,
        parts: all.len() as u64,
        copied: fresh.len() as u64,
        bytes_copied: content.state.fresh.iter().map(|part| part.length).sum(),
        ..BackupReport::default()
    };
    let left_out = transfer(folder, &wanted, options, &mut report)?;
    let checkpoints = content.checkpoints.iter_mut().flat_map(|c| &mut c.shards);
    for entry in checkpoints.chain(&mut content.state.shards).flatten() {
        entry.leave_out(&left_out);
    }
    Ok(report)
}

/// Brings parts from where they are; a derived part that is damaged or gone is left out and named.
fn transfer(
    folder: &Folder,
    parts: &[(PartRef, Option<&PathBuf>)],
    options: &BackupOptions<'_>,
    report: &mut BackupReport,
) -> Result<BTreeSet<uuid::Uuid>> {
    let bytes = total(parts.iter().map(|(part, _)| part));
    let there: BTreeSet<_> = folder.parts()?.into_iter().collect();
    if !options.link {
        let missing = parts.iter().filter(|(part, _)| !there.contains(&part.id));
        folder.require_space(total(missing.map(|(part, _)| part)))?;
    }
    let meter = Meter::new(options.watch, bytes);
    let mut left_out = BTreeSet::new();
    for (part, path) in parts {
        let brought = match path {
            Some(path) => folder.bring(part, path, options.link, &meter),
            None => Err(Error::corrupt(format!("the part {} ({}) is not there", part.id, part.role))),
        };
        match brought {
            Ok(Brought::Reused) => report.reused += 1,
            Ok(Brought::Linked) => report.linked += 1,
            Ok(Brought::Copied) => {
                report.copied += 1;
                report.bytes_copied += part.length;
            }
            Err(error) if error.kind() == ErrorKind::Corrupt && part.role == Role::Index => {
                tracing::warn!(%error, "a damaged derived part is left out");
                left_out.insert(part.id);
                report.left_out += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(left_out)
}
