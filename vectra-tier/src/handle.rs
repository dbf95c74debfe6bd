//! An open part.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;
use vectra_core::io::{Access, Blob, File, Fs};
use vectra_core::memory::AlignedBuf;

use crate::container::{Entry, Header, Toc, verify};
use crate::damage::{Damage, DamageReport};
use crate::file_section::FileSection;
use crate::pages::Pages;
use crate::part::{PartRef, SectionKind};
use crate::section::Section;

/// How sections get into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The file is mapped when the first section is asked for (where the file system and the build of `vectra-core`
    /// can; otherwise it is read whole). For regular local files.
    #[default]
    Map,
    /// Each section is read into memory when it is asked for. A medium error is an error, never a signal: for
    /// untrusted paths and network mounts.
    Read,
    /// As [`Mode::Map`], but what [`PartHandle::file_section`] gives is never in memory: the engine reads vectors that way,
    /// one by one where they are compared exactly. For local files where memory is scarcer than time: a system call
    /// for each vector instead of a page that becomes resident.
    Lean,
}

/// Why a part could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file system refused, or the file is not there.
    #[error("cannot open {}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file is not the part it should be.
    #[error("damaged part")]
    Corrupt(#[source] Damage),
    /// A later version wrote it.
    #[error("{} needs a newer program: {what}", .file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// What it uses.
        what: String,
    },
    /// It rests in an object store, and there is no way to it now.
    #[error("the part {id} rests in an object store: {what}")]
    Away {
        /// The part.
        id: Uuid,
        /// What is in the way.
        what: String,
        /// What the store, or the way to it, said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl OpenError {
    pub(crate) fn io(file: &Path, source: io::Error) -> Self {
        Self::Io { file: file.to_owned(), source }
    }

    /// The damage, if that is the reason.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Corrupt(damage) => Some(damage),
            _ => None,
        }
    }
}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        Self::Corrupt(damage)
    }
}

/// Why bytes of an open part could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file system failed.
    #[error("cannot read {}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The bytes do not match their checksum.
    #[error("damaged part")]
    Corrupt(#[source] Damage),
    /// The part has no such section.
    #[error("{} has no section {kind} (field {field})", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// The kind asked for.
        kind: SectionKind,
        /// The field asked for.
        field: u16,
    },
    /// The section is stored in a way that this program does not know, or does not fit its address space.
    #[error("section {kind} (field {field}) of {} needs another program: {what}", .file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The section's kind.
        kind: SectionKind,
        /// The section's field.
        field: u16,
        /// What it would take.
        what: String,
    },
    /// The section is shorter than what was asked for.
    #[error("section {kind} (field {field}) of {} has {length} bytes, not {range:?}", .file.display())]
    OutOfRange {
        /// The file.
        file: PathBuf,
        /// The section's kind.
        kind: SectionKind,
        /// The section's field.
        field: u16,
        /// The bytes asked for.
        range: Range<usize>,
        /// The bytes it has.
        length: usize,
    },
}

impl ReadError {
    /// The damage, if that is the reason.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Corrupt(damage) => Some(damage),
            _ => None,
        }
    }
}

/// An open part: its file, held open, and its checked directory.
///
/// Shared behind an `Arc`: whoever reads from a part holds its handle, so that whoever wants to remove the file
/// knows. Sections outlive the handle, but then nobody knows that they are in use.
#[derive(Debug)]
pub struct PartHandle {
    file: Arc<dyn File>,
    path: PathBuf,
    reference: PartRef,
    mode: Mode,
    toc: Toc,
    map: Mutex<Option<Blob>>,
    sections: Box<[Mutex<Option<Section>>]>,
}

impl PartHandle {
    /// Opens the file `path` and checks that it is what `expected` refers to: length, header, footer, directory.
    /// Reads nothing else.
    pub fn open(fs: &dyn Fs, path: &Path, expected: &PartRef, mode: Mode) -> Result<Arc<Self>, OpenError> {
        let file: Arc<dyn File> = fs.open(path, Access::Read).map_err(|e| OpenError::io(path, e))?.into();
        let length = file.len().map_err(|e| OpenError::io(path, e))?;
        if length != expected.length {
            return Err(Damage::new(path, (0, length), "file length", expected.length, length).into());
        }
        let toc = Toc::read(&*file, path)?;
        toc.expect(path, expected)?;
        let sections = toc.entries.iter().map(|_| Mutex::new(None)).collect();
        let (path, reference) = (path.to_owned(), *expected);
        Ok(Arc::new(Self { file, path, reference, mode, toc, map: Mutex::new(None), sections }))
    }

    /// The reference it was opened by.
    pub fn reference(&self) -> &PartRef {
        &self.reference
    }

    /// How its sections get into memory.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What its header says.
    pub fn header(&self) -> &Header {
        &self.toc.header
    }

    /// How many rows it speaks of.
    pub fn rows(&self) -> u32 {
        self.toc.header.rows
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its content may be written anew by this program. Not if a later version marked it as holding
    /// something that this program would drop.
    pub fn is_rewritable(&self) -> bool {
        self.toc.features.ro_compat == 0
    }

    /// Kind, field and length of each section, in file order.
    pub fn sections(&self) -> impl Iterator<Item = (SectionKind, u16, u64)> {
        self.toc.entries.iter().map(|entry| (entry.kind, entry.field, entry.length))
    }

    /// Whether it has such a section.
    pub fn has(&self, kind: SectionKind, field: u16) -> bool {
        self.toc.by_name.contains_key(&(kind, field))
    }

    /// One of its sections; the same one (and the same memory of what is verified) at every call, until [`Self::unmap`].
    pub fn section(&self, kind: SectionKind, field: u16) -> Result<Section, ReadError> {
        let Some(at) = self.toc.by_name.get(&(kind, field)) else {
            return Err(ReadError::Missing { file: self.path.clone(), kind, field });
        };
        let mut slot = self.sections[*at].lock();
        if let Some(section) = &*slot {
            return Ok(section.clone());
        }
        let entry = self.toc.entries[*at];
        let blob = self.blob(&entry)?;
        let section = Section::new(self.pages(*at), blob);
        Ok(slot.insert(section).clone())
    }

    /// One of its sections, to be read from the file where it is wanted; each has a memory of its own of what is verified.
    pub fn file_section(&self, kind: SectionKind, field: u16) -> Result<FileSection, ReadError> {
        let Some(at) = self.toc.by_name.get(&(kind, field)) else {
            return Err(ReadError::Missing { file: self.path.clone(), kind, field });
        };
        let (_, length) = self.place(&self.toc.entries[*at])?;
        Ok(FileSection::new(self.pages(*at), length))
    }

    /// Gives up the map of the file and the sections that lie in it. Their memory goes with the last of those that somebody
    /// holds; asked for again, they are mapped and verified anew. Sections that were read into memory stay.
    pub fn unmap(&self) {
        for slot in &self.sections {
            slot.lock().take_if(|section| !section.bytes().is_owned());
        }
        self.map.lock().take_if(|blob| !blob.is_owned());
    }

    /// Reads the whole file again, past every cache of ours, and checks each byte of it: header, footer, pages,
    /// digests and padding.
    pub fn verify(&self) -> Result<(), DamageReport> {
        verify(&*self.file, &self.path, &self.toc, &self.reference)
    }

    /// All bytes of the file: mapped, or read into memory.
    #[cfg(feature = "remote")]
    pub(crate) fn file(&self) -> Result<Blob, ReadError> {
        if self.mode != Mode::Read {
            return self.whole();
        }
        let length = usize::try_from(self.reference.length).map_err(|_| self.shrunk(0))?;
        let mut buf = AlignedBuf::zeroed(length);
        self.file.read_exact_at(&mut buf, 0).map_err(|e| self.io(e))?;
        Ok(Blob::from_buf(buf))
    }

    fn pages(&self, at: usize) -> Pages {
        let entry = self.toc.entries[at];
        Pages::new(self.path.clone(), Arc::clone(&self.file), entry, self.toc.page_crcs(at))
    }

    /// Offset and length of a section that is stored in a way that this program knows.
    fn place(&self, entry: &Entry) -> Result<(usize, usize), ReadError> {
        if entry.codec != crate::container::CODEC_PLAIN {
            return Err(self.unsupported(entry, format!("codec {}", entry.codec)));
        }
        let range = usize::try_from(entry.offset).ok().zip(usize::try_from(entry.length).ok());
        range.ok_or_else(|| self.unsupported(entry, "a larger address space".to_owned()))
    }

    fn blob(&self, entry: &Entry) -> Result<Blob, ReadError> {
        let (offset, length) = self.place(entry)?;
        match self.mode {
            Mode::Map | Mode::Lean => {
                let whole = self.whole()?;
                let part = offset.checked_add(length).and_then(|end| whole.slice(offset..end));
                part.ok_or_else(|| self.shrunk(whole.len() as u64))
            }
            Mode::Read => {
                let mut buf = AlignedBuf::zeroed(length);
                self.file.read_exact_at(&mut buf, entry.offset).map_err(|e| self.io(e))?;
                Ok(Blob::from_buf(buf))
            }
        }
    }

    fn whole(&self) -> Result<Blob, ReadError> {
        let mut map = self.map.lock();
        if let Some(blob) = &*map {
            return Ok(blob.clone());
        }
        let blob = self.file.map().map_err(|e| self.io(e))?;
        if blob.len() as u64 != self.reference.length {
            return Err(self.shrunk(blob.len() as u64));
        }
        Ok(map.insert(blob).clone())
    }

    fn io(&self, source: io::Error) -> ReadError {
        ReadError::Io { file: self.path.clone(), source }
    }

    fn shrunk(&self, found: u64) -> ReadError {
        let expected = self.reference.length;
        ReadError::Corrupt(Damage::new(&self.path, (0, found), "file length", expected, found))
    }

    fn unsupported(&self, entry: &Entry, what: String) -> ReadError {
        ReadError::Unsupported { file: self.path.clone(), kind: entry.kind, field: entry.field, what }
    }
}
