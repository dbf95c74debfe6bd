//! Which files make up the log: from the newest back along the predecessors.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, Fs};

use crate::error::OpenError;
use crate::file_log::Options;
use crate::header::{FILE_HEADER_LEN, FileHeader, FileName, HeaderFault, Predecessor};
use crate::log::Lsn;

/// A file of the log.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    pub(crate) header: FileHeader,
}

/// The files of a log, sorted out.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Oldest first, at least one; each names the one before as its predecessor.
    pub(crate) links: Vec<Link>,
    /// Files whose frames were copied into a later file, and unfinished files: to be removed.
    pub(crate) void: Vec<PathBuf>,
    /// Files older than the oldest link that a truncation meant to remove (sequence numbers, ascending).
    pub(crate) stale: Vec<u64>,
    /// Names that are not ours.
    pub(crate) ignored: Vec<String>,
    /// Highest sequence number in any name.
    pub(crate) seq_max: u64,
}

/// The names in the log's folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) logs: BTreeSet<u64>,
    pub(crate) temporaries: BTreeSet<u64>,
    pub(crate) ignored: Vec<String>,
}

impl Listing {
    pub(crate) fn read(fs: &dyn Fs, dir: &Path) -> Result<Self, OpenError> {
        let mut listing = Self::default();
        let entries = match fs.list(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(OpenError::Missing { dir: dir.to_owned() });
            }
            other => other.map_err(OpenError::io(dir))?,
        };
        for entry in entries {
            match FileName::parse(&entry.name) {
                Some(FileName::Log(seq)) if !entry.is_dir => _ = listing.logs.insert(seq),
                Some(FileName::Temporary(seq)) if !entry.is_dir => _ = listing.temporaries.insert(seq),
                _ => listing.ignored.push(entry.name),
            }
        }
        Ok(listing)
    }

    /// A number for the first file of a new log: 1, or behind those of logs with another identity.
    pub(crate) fn free_seq(&self, fs: &dyn Fs, dir: &Path, index: [u8; 16]) -> Result<u64, OpenError> {
        for seq in &self.logs {
            let path = dir.join(FileName::Log(*seq).text());
            match read_header(fs, &path, *seq) {
                Ok(header) if header.index != index => {}
                Err(e @ OpenError::Io { .. }) => return Err(e),
                // Ours, or not provably somebody else's.
                _ => return Err(OpenError::AlreadyExists { dir: dir.to_owned() }),
            }
        }
        Ok(self.logs.iter().chain(&self.temporaries).max().map_or(1, |seq| seq + 1))
    }
}

impl Chain {
    /// Reads the headers of all files that the log consists of. Changes nothing.
    pub(crate) fn load(fs: &dyn Fs, dir: &Path, options: &Options) -> Result<Self, OpenError> {
        let listing = Listing::read(fs, dir)?;
        let highest = listing.logs.iter().chain(&listing.temporaries).max();
        let mut chain = Self {
            links: Vec::new(),
            void: listing.temporaries.iter().map(|seq| dir.join(FileName::Temporary(*seq).text())).collect(),
            stale: Vec::new(),
            ignored: listing.ignored,
            seq_max: highest.copied().unwrap_or(0),
        };
        let mut older = listing.logs;
        chain.load_newest(fs, dir, options, &mut older)?;
        while let Some(before) = chain.oldest().header.predecessor {
            let between = older.split_off(&(before.seq + 1));
            chain.discard(fs, dir, options, &between)?;
            if !chain.load_predecessor(fs, dir, options, before, &mut older)? {
                chain.sort_out_stale(fs, dir, options, older);
                chain.links.reverse();
                return Ok(chain);
            }
        }
        chain.discard(fs, dir, options, &older)?;
        let oldest = chain.oldest();
        if oldest.header.first_lsn > options.replay_from.max(1) {
            return Err(missing(&oldest.path, options.replay_from, oldest.header.first_lsn));
        }
        chain.links.reverse();
        Ok(chain)
    }

    /// While the chain is being built its oldest link is the last.
    fn oldest(&self) -> &Link {
        self.links.last().expect("the newest file is loaded first")
    }

    fn load_newest(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        options: &Options,
        logs: &mut BTreeSet<u64>,
    ) -> Result<(), OpenError> {
        while let Some(seq) = logs.pop_last() {
            let path = dir.join(FileName::Log(seq).text());
            let header = read_header(fs, &path, seq)?;
            if header.index == options.index {
                self.links.push(Link { path, header });
                return Ok(());
            }
            self.ignored.push(FileName::Log(seq).text());
        }
        Err(OpenError::Missing { dir: dir.to_owned() })
    }

    /// Adds the predecessor of the oldest link. False if it is gone and nothing in it is needed.
    fn load_predecessor(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        options: &Options,
        before: Predecessor,
        older: &mut BTreeSet<u64>,
    ) -> Result<bool, OpenError> {
        let needed = before.last_lsn >= options.replay_from.max(1);
        let path = dir.join(FileName::Log(before.seq).text());
        let link = if older.remove(&before.seq) {
            match read_header(fs, &path, before.seq) {
                Ok(header) if header.index == options.index => Some(Link { path: path.clone(), header }),
                Err(e) if needed => return Err(e),
                _ => {
                    self.ignored.push(FileName::Log(before.seq).text());
                    None
                }
            }
        } else {
            None
        };
        match link {
            Some(link) => {
                let (first, last) = (link.header.first_lsn, before.last_lsn);
                // Equal if it holds nothing but notes of the log's own.
                if first > last.saturating_add(1) {
                    return Err(OpenError::corrupt(
                        &link.path,
                        48,
                        format!("LSNs up to {last}"),
                        first.to_string(),
                    ));
                }
                self.links.push(link);
                Ok(true)
            }
            None if needed => Err(missing(&path, before.last_lsn, before.last_lsn + 1)),
            None => Ok(false),
        }
    }

    /// Files older than anything that is needed: those provably ours a truncation may remove once more. One that cannot
    /// be read is in nobody's way, so it is reported like one that is not ours.
    fn sort_out_stale(&mut self, fs: &dyn Fs, dir: &Path, options: &Options, seqs: BTreeSet<u64>) {
        for seq in seqs {
            let name = FileName::Log(seq).text();
            match read_header(fs, &dir.join(&name), seq) {
                Ok(header) if header.index == options.index => self.stale.push(seq),
                _ => self.ignored.push(name),
            }
        }
    }

    /// Files between a predecessor and its successor: recovery replaced them.
    fn discard(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        options: &Options,
        seqs: &BTreeSet<u64>,
    ) -> Result<(), OpenError> {
        for seq in seqs {
            let name = FileName::Log(*seq).text();
            let path = dir.join(&name);
            match read_header(fs, &path, *seq) {
                Ok(header) if header.index == options.index => self.void.push(path),
                Err(e @ OpenError::Io { .. }) => return Err(e),
                // Not provably ours: only reported.
                _ => self.ignored.push(name),
            }
        }
        Ok(())
    }
}

/// Whose log file this is; `None` if it cannot be told.
pub fn identity(fs: &dyn Fs, path: &Path) -> Option<[u8; 16]> {
    let FileName::Log(seq) = FileName::parse(path.file_name()?.to_str()?)? else { return None };
    read_header(fs, path, seq).ok().map(|header| header.index)
}

fn missing(path: &Path, lsn: Lsn, found: Lsn) -> OpenError {
    OpenError::corrupt(
        path,
        0,
        format!("a file with LSN {lsn}"),
        format!("a log that begins with LSN {found}"),
    )
}

fn read_header(fs: &dyn Fs, path: &Path, seq: u64) -> Result<FileHeader, OpenError> {
    let file = fs.open(path, Access::Read).map_err(OpenError::io(path))?;
    let len = file.len().map_err(OpenError::io(path))?.min(FILE_HEADER_LEN);
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).map_err(OpenError::io(path))?;
    match FileHeader::decode(&bytes) {
        Ok(header) if header.seq == seq => Ok(header),
        Ok(header) => {
            let (expected, found) = (format!("sequence number {seq}"), header.seq.to_string());
            Err(OpenError::corrupt(path, 40, expected, found))
        }
        Err(HeaderFault::Bad(found)) => Err(OpenError::corrupt(path, 0, "a file header", found)),
        Err(HeaderFault::Unsupported(what)) => Err(OpenError::Unsupported { path: path.to_owned(), what }),
    }
}
