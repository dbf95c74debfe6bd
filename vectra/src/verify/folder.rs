//! What else is in the folder: the note of a backup, and names that nothing refers to.

use std::collections::BTreeSet;
use std::path::Path;

use vectra_core::io::Fs;

use super::VerifyReport;
use crate::backup::{BACKUP, Note, RESTORE};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::Manifest;

/// What an index has in its folder.
const KNOWN: [&str; 11] =
    ["LOCK", "FORMAT", "manifest", "wal", "seg", "tmp", "pins", "quarantine", "ballast", "cache", BACKUP];

impl VerifyReport {
    /// The note says of a backup whose it is: without it the backup goes on as an index, but not as a backup.
    pub(super) fn check_note(&mut self, fs: &dyn Fs, root: &Path) -> Result<()> {
        for name in [BACKUP, RESTORE] {
            match Note::read(fs, root, name) {
                Err(error) if error.kind() == ErrorKind::Corrupt => self.find(name, &error, true),
                other => drop(other?),
            }
        }
        Ok(())
    }

    /// Lists names that nothing needs: neither `manifests` nor those of `parts`. Whether log files are known is for the log to say.
    pub(super) fn name_unknown(
        &mut self,
        fs: &dyn Fs,
        root: &Path,
        parts: &BTreeSet<uuid::Uuid>,
        manifests: [Option<&Manifest>; 2],
    ) -> Result<()> {
        let parts: BTreeSet<String> = parts.iter().map(|id| format!("{id}.part")).collect();
        let generations: BTreeSet<String> =
            manifests.into_iter().flatten().map(|m| format!("{:020}", m.generation)).collect();
        for (dir, known) in [
            (None, &KNOWN.map(str::to_owned).into()),
            (Some("seg"), &parts),
            (Some("manifest"), &generations),
            (Some("tmp"), &BTreeSet::new()),
        ] {
            let path = dir.map_or_else(|| root.to_owned(), |dir| root.join(dir));
            let entries = match fs.list(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(|e| Error::io(format!("{} cannot be listed", path.display()), e))?,
            };
            let unknown = entries.into_iter().filter(|entry| !known.contains(&entry.name));
            self.unknown.extend(unknown.map(|entry| match dir {
                Some(dir) => format!("{dir}/{}", entry.name),
                None => entry.name,
            }));
        }
        Ok(())
    }
}
