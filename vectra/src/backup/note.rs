//! The note in a folder that a backup or a restore writes: whose it is, and how far it holds the index.
//!
//! It is written before anything else, so a folder with a note and without a manifest is an unfinished one.

use std::io;
use std::path::Path;

use vectra_core::codec::digest;
use vectra_core::io::Fs;
use vectra_wal::Lsn;

use crate::error::{Error, Result};

/// The note of a backup.
pub(crate) const BACKUP: &str = "BACKUP";
/// The note of a restore under way; gone once it is done.
pub(crate) const RESTORE: &str = "RESTORE";
/// The longest note that is read.
const BYTES_MAX: u64 = 4096;

/// What the note says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// The index that was backed up.
    pub(crate) index: [u8; 16],
    /// The backup that was begun last holds everything up to this LSN.
    pub(crate) lsn: Lsn,
    /// The one before it: if the last one was not finished, this is what the folder holds.
    pub(crate) previous: Lsn,
}

impl Note {
    /// The text of the file: four lines, the last of them a digest of those before.
    fn encode(&self) -> String {
        let index = u128::from_be_bytes(self.index);
        let Self { lsn, previous, .. } = self;
        let text = format!("vectra backup, format 1\nindex {index:032x}\nlsn {lsn}\nprevious {previous}\n");
        let sum = digest(text.as_bytes());
        format!("{text}digest {sum}\n")
    }

    /// Reads what [`Note::encode`] wrote, to the byte; total over arbitrary bytes.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines().skip(1);
        let index = u128::from_str_radix(lines.next()?.strip_prefix("index ")?, 16).ok()?;
        let lsn = lines.next()?.strip_prefix("lsn ")?.parse().ok()?;
        let previous = lines.next()?.strip_prefix("previous ")?.parse().ok()?;
        let note = Self { index: index.to_be_bytes(), lsn, previous };
        (note.encode().as_bytes() == bytes).then_some(note)
    }

    /// The note `name` in the folder `root`; none if there is no such file.
    pub(crate) fn read(fs: &dyn Fs, root: &Path, name: &str) -> Result<Option<Self>> {
        let path = root.join(name);
        match fs.read(&path, BYTES_MAX) {
            Ok(bytes) => {
                let damaged = || Error::corrupt(format!("the note {} is damaged", path.display()));
                Self::decode(&bytes).map(Some).ok_or_else(damaged)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("{} cannot be read", path.display()), e)),
        }
    }

    /// Writes the note `name`, durably, in place of the one that is there.
    pub(crate) fn write(&self, fs: &dyn Fs, root: &Path, name: &str) -> Result<()> {
        let (path, tmp) = (root.join(name), root.join(format!("{name}.tmp")));
        let failed = |e| Error::io(format!("{} cannot be written", path.display()), e);
        match fs.remove(&tmp) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        let file = fs.create_new(&tmp).map_err(failed)?;
        file.write_all_at(self.encode().as_bytes(), 0).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs.rename(&tmp, &path).map_err(failed)?;
        fs.sync_dir(root).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_note_reads_back_and_no_changed_byte_does(index: [u8; 16], lsn: u64, previous: u64, at: prop::sample::Index) {
            let note = Note { index, lsn, previous };
            let mut bytes = note.encode().into_bytes();
            prop_assert_eq!(Note::decode(&bytes), Some(note));
            let at = at.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert_eq!(Note::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            prop_assert_eq!(Note::decode(&bytes), None);
        }
    }
}
