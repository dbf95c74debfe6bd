//! From a backup to a new index.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use vectra_core::codec::Digest;
use vectra_core::io::LockGuard;
use vectra_tier::PartRef;

use super::folder::{Folder, Standing, refuse_nested, untouched};
use super::note::{BACKUP, Note, RESTORE};
use super::{BackupOptions, BackupReport, transfer};
use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::{check_format, take_lock};
use crate::manifest::{Manifest, Tier};
use crate::progress::Watch;
use crate::recover::Outside;

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The index holds every write up to this LSN.
    pub lsn: u64,
    /// Parts copied; none if an interrupted restore had brought everything and only the check was left.
    pub parts: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Checkpoints that came along.
    pub checkpoints: u64,
    /// Damaged derived parts that were left out: they are built anew when the index is opened.
    pub left_out: u64,
}

/// Makes the folder `to`, new or empty, the index that `backup` is a backup of, as of the moment of the backup.
///
/// Only files that the backup's manifest names are read, and of each only as many bytes as it says; links are not
/// followed. Each part is compared with its digest before it gets its name, and every byte of the result is checked
/// before this returns. Interrupted, the same call may be made again.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no backup, [`ErrorKind::Invalid`] if the folder is not a backup,
/// [`ErrorKind::Conflict`] if somebody has the backup open, if it was written to since it was made, or if `to` is not
/// empty; [`ErrorKind::Corrupt`] if the backup is damaged; [`ErrorKind::Full`]; [`ErrorKind::Io`].
pub fn restore(backup: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<RestoreReport> {
    Builder::new().restore(backup, to, Watch::default())
}

pub(crate) fn restore_in(
    outside: &Outside,
    from: &Path,
    to: &Path,
    watch: Watch<'_>,
) -> Result<RestoreReport> {
    refuse_nested(from, to)?;
    let fs = &outside.fs;
    let Opened { note, standing, _lock } = open_backup(outside, from)?;
    let mut manifest =
        Manifest { generation: 1, previous: Digest::default(), index: note.index, ..standing.manifest };
    if manifest.segments().any(|entry| entry.tier == Tier::Cold) {
        let text = "segments of the backup rest in an object store, which a restore does not read";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let lsn = manifest.durable_lsn();
    let (folder, begun) = Folder::take(fs, &outside.env, to, RESTORE, &|begun| {
        if (begun.index, begun.lsn) == (note.index, lsn) {
            return Ok(());
        }
        let text = format!(
            "{} holds an unfinished restore of another backup; finish that one, or name a new folder",
            to.display()
        );
        Err(Error::new(ErrorKind::Conflict, text))
    })?;
    if let Some(restored) = finish(&folder, begun)? {
        let checkpoints = restored.checkpoints.len() as u64;
        return Ok(RestoreReport { lsn, checkpoints, ..RestoreReport::default() });
    }
    Note { index: note.index, lsn, previous: 0 }.write(&**fs, to, RESTORE)?;
    folder.prepare()?;
    // What an interrupted restore left, perhaps of another backup.
    folder.prune(&Manifest { shards: Vec::new(), checkpoints: Vec::new(), ..manifest.clone() })?;
    folder.remove_logs()?;
    let brought = bring_all(&folder, from, &mut manifest, watch)?;
    folder.publish(&manifest)?;
    folder.prove(manifest.generation)?;
    folder.drop_note(RESTORE)?;
    Ok(RestoreReport {
        lsn,
        parts: brought.copied,
        bytes: brought.bytes_copied,
        checkpoints: manifest.checkpoints.len() as u64,
        left_out: brought.left_out,
    })
}

/// What an earlier call published, if it came so far: checked now, and complete. Nothing if there is everything to do, also
/// because what was there is damaged and was withdrawn.
fn finish(folder: &Folder, begun: Option<Note>) -> Result<Option<Manifest>> {
    let generations = folder.manifests.generations()?;
    if generations.is_empty() {
        return Ok(None);
    }
    // An index that somebody has used since is no unfinished restore, whatever note lies there.
    let standing = match begun {
        Some(note) if generations == [1] => untouched(&folder.fs, &folder.root, &note)?
            .filter(|standing| standing.manifest.index == note.index),
        _ => None,
    };
    let Some(Standing { manifest, .. }) = standing else {
        let text = format!("{} already holds an index; name a new folder", folder.root.display());
        return Err(Error::new(ErrorKind::Conflict, text));
    };
    match folder.prove(manifest.generation) {
        Ok(()) => {
            folder.drop_note(RESTORE)?;
            Ok(Some(manifest))
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::warn!(%error, "the restore starts over");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A backup that nobody else has open.
struct Opened {
    note: Note,
    standing: Standing,
    /// None on a medium that cannot be written to.
    _lock: Option<Box<dyn LockGuard>>,
}

fn open_backup(outside: &Outside, from: &Path) -> Result<Opened> {
    let fs = &outside.fs;
    let absent = || Error::new(ErrorKind::NotFound, format!("{} holds no backup", from.display()));
    match fs.list(from) {
        Err(e) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&e.kind()) => {
            return Err(absent());
        }
        Err(e) => return Err(Error::io(format!("{} cannot be listed", from.display()), e)),
        Ok(entries) if entries.is_empty() => return Err(absent()),
        Ok(_) => {}
    }
    let lock = match take_lock(&**fs, from, &outside.env) {
        Err(e) if e.kind() == ErrorKind::Conflict => return Err(e),
        // On a medium that cannot be written to, nobody else writes.
        other => other.ok(),
    };
    let note = Note::read(&**fs, from, BACKUP)?.ok_or_else(|| {
        let text = format!(
            "{} is not a backup: it has no note `{BACKUP}`; make one of an index with `vectra backup`",
            from.display()
        );
        Error::invalid(text)
    })?;
    check_format(&**fs, from)?;
    let standing = untouched(fs, from, &note)?.ok_or_else(|| {
        let text =
            format!("the backup in {} was never finished; there is nothing to restore", from.display());
        Error::new(ErrorKind::NotFound, text)
    })?;
    Ok(Opened { note, standing, _lock: lock })
}

fn bring_all(
    folder: &Folder,
    from: &Path,
    manifest: &mut Manifest,
    watch: Watch<'_>,
) -> Result<BackupReport> {
    let all: BTreeMap<_, (PartRef, PathBuf)> = manifest
        .parts()
        .map(|part| (part.id, (*part, from.join("seg").join(format!("{}.part", part.id)))))
        .collect();
    let wanted: Vec<_> = all.values().map(|(part, path)| (*part, Some(path))).collect();
    let mut report = BackupReport::default();
    let left_out = transfer(folder, &wanted, &BackupOptions::new().watch(watch), &mut report)?;
    let kept = manifest.checkpoints.iter_mut().flat_map(|checkpoint| &mut checkpoint.shards).flatten();
    let live = manifest.shards.iter_mut().flat_map(|shard| &mut shard.segments);
    live.chain(kept).for_each(|entry| entry.leave_out(&left_out));
    Ok(report)
}
