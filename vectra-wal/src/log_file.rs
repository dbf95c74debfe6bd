//! One log file being written: born under a temporary name, appended to, sealed.

use std::io;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, File, Fs};

use crate::control::Control;
use crate::header::{FILE_HEADER_LEN, FileHeader, FileName};
use crate::writer::Tail;

/// An unfinished file under its temporary name: frames first, the header last.
#[derive(Debug)]
pub(crate) struct Draft {
    file: Box<dyn File>,
    temporary: PathBuf,
    end: u64,
}

impl Draft {
    /// Creates the temporary file of `seq`, replacing what a crash may have left there.
    pub(crate) fn create(fs: &dyn Fs, dir: &Path, seq: u64) -> io::Result<Self> {
        let temporary = dir.join(FileName::Temporary(seq).text());
        let file = match fs.create_new(&temporary) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                fs.remove(&temporary)?;
                fs.create_new(&temporary)?
            }
            other => other?,
        };
        Ok(Self { file, temporary, end: FILE_HEADER_LEN })
    }

    /// Appends encoded frames.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frames, self.end)?;
        self.end += frames.len() as u64;
        Ok(())
    }

    /// Writes the header, makes everything durable and gives the file its name, durably.
    ///
    /// The name comes only after the content is durable, so that a log file with a bad header is always damage.
    pub(crate) fn finish(self, fs: &dyn Fs, dir: &Path, header: FileHeader) -> io::Result<LogFile> {
        self.file.write_all_at(&header.encode(), 0)?;
        self.file.sync_all()?;
        let path = dir.join(FileName::Log(header.seq).text());
        drop(self.file);
        fs.rename(&self.temporary, &path)?;
        fs.sync_dir(dir)?;
        let file = fs.open(&path, Access::ReadWrite)?;
        Ok(LogFile { file, header, end: self.end, reserved: self.end })
    }

    /// Removes the unfinished file.
    pub(crate) fn discard(self, fs: &dyn Fs) -> io::Result<()> {
        drop(self.file);
        fs.remove(&self.temporary)
    }
}

/// The current file of a log.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Box<dyn File>,
    pub(crate) header: FileHeader,
    /// Where the next frame goes.
    pub(crate) end: u64,
    /// Up to here the file is written, frames or zeros.
    reserved: u64,
}

impl LogFile {
    /// Whether the file holds no frame.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == FILE_HEADER_LEN
    }

    /// Appends encoded frames with one write.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frames, self.end)?;
        self.end += frames.len() as u64;
        self.reserved = self.reserved.max(self.end);
        Ok(())
    }

    /// Fills up to `step` bytes behind the next `len` bytes with zeros, within `cap`, when those would not fit in what
    /// is reserved. Later syncs then have no new length to record.
    ///
    /// A full disk is no failure here: the write of the frames themselves decides.
    pub(crate) fn reserve(&mut self, len: u64, step: u64, cap: u64) -> io::Result<()> {
        let needed = self.end + len;
        let target = (needed + step).min(cap);
        if step == 0 || needed <= self.reserved || target <= needed {
            return Ok(());
        }
        let zeros = vec![0; (target - needed) as usize];
        match self.file.write_all_at(&zeros, needed) {
            Ok(()) => self.reserved = target,
            // The zeros that did fit would take the place of the frames.
            Err(e) if e.kind() == io::ErrorKind::StorageFull => self.file.set_len(self.reserved)?,
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Makes the frames so far durable.
    #[track_caller]
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Appends the frame that names the successor, cuts the zeros behind it and makes both durable. From here on the
    /// loss of the successor is provable.
    pub(crate) fn seal(self, successor: &FileHeader, hlc: u64) -> io::Result<()> {
        let last_lsn = successor.first_lsn - 1;
        let tail = Tail { last_lsn, chain_crc: successor.chain_crc(), hlc };
        let bytes = Control::Seal(successor.seq).encode(tail, last_lsn, self.header.salt, self.end);
        self.file.write_all_at(&bytes, self.end)?;
        self.file.set_len(self.end + bytes.len() as u64)?;
        self.file.sync_data()
    }
}
