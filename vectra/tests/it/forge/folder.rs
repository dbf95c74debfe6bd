//! A whole index as a map from names to bytes, whose references can be made right again after a change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::digest;
use vectra_core::io::{Access, Fs, MemFs, OsFs};

use super::log;
use super::part::ForgedPart;

/// Where the index is.
pub(crate) const ROOT: &str = "/index";

/// Every file of a closed index but the lock, by its path below the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Folder {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Folder {
    /// Reads the index at [`ROOT`].
    pub(crate) fn read(fs: &dyn Fs) -> Self {
        let mut folder = Self::default();
        folder.collect(fs, Path::new(ROOT), "");
        folder
    }

    fn collect(&mut self, fs: &dyn Fs, dir: &Path, prefix: &str) {
        for entry in fs.list(dir).expect("a directory") {
            let (path, name) = (dir.join(&entry.name), format!("{prefix}{}", entry.name));
            if entry.is_dir {
                self.collect(fs, &path, &format!("{name}/"));
            } else if name != "LOCK" {
                self.files.insert(name, fs.read(&path, 1 << 30).expect("a file"));
            }
        }
    }

    /// Reads an index on the real disk.
    pub(crate) fn read_real(root: &Path) -> Self {
        let mut folder = Self::default();
        folder.collect(&OsFs::new(), root, "");
        folder
    }

    /// Writes the files below `root`, with the folders that they need and no others.
    pub(crate) fn write_real(&self, root: &Path) {
        for (name, bytes) in &self.files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("space");
            std::fs::write(path, bytes).expect("space");
        }
    }

    /// A file system with these files and nothing else.
    pub(crate) fn to_fs(&self) -> MemFs {
        let fs = MemFs::new();
        for dir in ["", "manifest", "wal", "seg", "tmp"] {
            fs.mkdir(&PathBuf::from(ROOT).join(dir)).expect("an empty file system");
        }
        for (name, bytes) in &self.files {
            let file = fs.create_new(&PathBuf::from(ROOT).join(name)).expect("names are distinct");
            file.write_all_at(bytes, 0).expect("memory");
        }
        fs
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }

    /// The names that begin so, in order.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        self.files.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// The name of the part with this role and the most rows, of those that the newest manifest names.
    pub(crate) fn part(&self, role: u8) -> String {
        let newest = self.files.range(..="manifest/9".to_owned()).next_back().expect("a manifest").1;
        let named = |part: &[u8]| !places(newest, &part[32..48]).is_empty();
        let parts = self
            .files
            .iter()
            .filter(|(name, bytes)| name.starts_with("seg/") && bytes[28] == role && named(bytes));
        let rows = |bytes: &[u8]| u32::from_le_bytes(bytes[48..52].try_into().expect("four bytes"));
        parts.max_by_key(|(_, bytes)| rows(bytes)).expect("the index has such a part").0.clone()
    }

    /// Replaces a part by what `forge` makes of it; manifests refer to the new file.
    pub(crate) fn forge_part(&mut self, name: &str, forge: impl FnOnce(&mut ForgedPart)) {
        let mut part = ForgedPart::parse(&self.files[name]);
        let id = part.header[32..48].to_vec();
        forge(&mut part);
        let (file, footer) = part.assemble();
        let old = self.manifest_digests();
        let mut reference = (file.len() as u64).to_le_bytes().to_vec();
        reference.extend_from_slice(&digest(&file[footer..]).to_le_bytes());
        self.files.insert(name.to_owned(), file);
        for manifest in self.names("manifest/") {
            let bytes = self.files.get_mut(&manifest).expect("listed");
            for at in places(bytes, &id) {
                // Behind the id: one byte of role, then length and digest.
                if let Some(old) = bytes.get_mut(at + 17..at + 41) {
                    old.copy_from_slice(&reference);
                }
            }
        }
        self.repair_manifests(&old);
    }

    /// Replaces a manifest's body by what `forge` makes of it; all digests follow.
    pub(crate) fn forge_manifest(&mut self, name: &str, forge: impl FnOnce(&mut Vec<u8>)) {
        let old = self.manifest_digests();
        let bytes = self.files.get_mut(name).expect("a manifest");
        let sum = bytes.split_off(bytes.len() - 16);
        forge(bytes);
        bytes.extend_from_slice(&sum);
        self.repair_manifests(&old);
    }

    /// The digest of each manifest's file, oldest first.
    fn manifest_digests(&self) -> Vec<[u8; 16]> {
        self.names("manifest/").iter().map(|name| digest(&self.files[name]).to_le_bytes()).collect()
    }

    /// Recomputes the digest in each manifest, and replaces in the next one and in the log what they said of the file,
    /// `old`.
    fn repair_manifests(&mut self, old: &[[u8; 16]]) {
        let mut changed = Vec::new();
        let mut before: Option<([u8; 16], [u8; 16])> = None;
        for (name, old) in self.names("manifest/").iter().zip(old) {
            let bytes = self.files.get_mut(name).expect("listed");
            if let Some((said, now)) = before {
                places(bytes, &said).into_iter().for_each(|at| bytes[at..at + 16].copy_from_slice(&now));
            }
            if let Some(body) = bytes.len().checked_sub(16) {
                let sum = digest(&bytes[..body]);
                bytes[body..].copy_from_slice(&sum.to_le_bytes());
            }
            let now = digest(bytes).to_le_bytes();
            changed.extend((now != *old).then_some((*old, now)));
            before = Some((*old, now));
        }
        for name in self.names("wal/") {
            let bytes = self.files.get_mut(&name).expect("listed");
            for (said, now) in &changed {
                places(bytes, said).into_iter().for_each(|at| bytes[at..at + 16].copy_from_slice(now));
            }
        }
        if !changed.is_empty() {
            self.repair_log();
        }
    }

    /// Replaces a log file by what `forge` makes of it; all sums follow, through every later file.
    pub(crate) fn forge_log(&mut self, name: &str, forge: impl FnOnce(&mut Vec<u8>)) {
        forge(self.files.get_mut(name).expect("a log file"));
        self.repair_log();
    }

    fn repair_log(&mut self) {
        let mut sums = log::Sums::new();
        for name in self.names("wal/") {
            log::repair(self.files.get_mut(&name).expect("listed"), &mut sums);
        }
    }
}

/// Where `needle` stands in `bytes`.
fn places(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle)
        .map(|(at, _)| at)
        .collect()
}

/// A handle that changes a published file in place, as a failing disk does.
pub(crate) fn writable(fs: &Arc<MemFs>, name: &str) -> Box<dyn vectra_core::io::File> {
    fs.open(&PathBuf::from(ROOT).join(name), Access::ReadWrite).expect("written by the test, never protected")
}
