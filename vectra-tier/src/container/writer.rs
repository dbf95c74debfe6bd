//! Writing a container in one pass.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;
use vectra_core::codec::{self, Digester, crc32c, digest};
use vectra_core::io::{File, Fs};

use crate::container::toc::{
    BLOCK, CODEC_PLAIN, Entry, Header, PAGE, TRAILER_LEN, Trailer, align_up, encode_header,
};
use crate::part::{PartRef, SectionKind};

/// Why a part could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file system refused; the part is lost and its file is removed.
    #[error("cannot write {}", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// An earlier write to this part failed.
    #[error("{} is incomplete: an earlier write failed", .file.display())]
    Failed {
        /// The file.
        file: PathBuf,
    },
}

/// Writes a container file section by section, each byte once and in order (but for a header that learns its rows late).
///
/// Dropped before [`Writer::finish`] succeeded, it removes its file again.
#[derive(Debug)]
pub struct Writer {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    file: Box<dyn File>,
    header: Header,
    header_crc: u32,
    /// Bytes in the file so far, the buffered page not included.
    at: u64,
    /// The page being filled; shorter than [`PAGE`] between calls.
    page: Vec<u8>,
    open: Option<Open>,
    names: BTreeSet<(SectionKind, u16)>,
    /// `page_crcs` counts from the start of the table until `finish` knows where that is.
    entries: Vec<Entry>,
    page_crcs: Vec<u32>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Failed,
    Finished,
}

/// The section being written.
#[derive(Debug)]
struct Open {
    kind: SectionKind,
    field: u16,
    offset: u64,
    length: u64,
    page_crcs: u64,
    digester: Digester,
}

impl Writer {
    /// Creates the file `path`, which must not exist.
    pub fn create(fs: &Arc<dyn Fs>, path: &Path, header: Header) -> Result<Self, WriteError> {
        let file = fs.create_new(path).map_err(|source| WriteError::Io { file: path.to_owned(), source })?;
        let (block, header_crc) = encode_header(&header);
        let mut writer = Self {
            fs: Arc::clone(fs),
            path: path.to_owned(),
            file,
            header,
            header_crc,
            at: 0,
            page: Vec::with_capacity(PAGE),
            open: None,
            names: BTreeSet::new(),
            entries: Vec::new(),
            page_crcs: Vec::new(),
            state: State::Good,
        };
        writer.append(&block)?;
        Ok(writer)
    }

    /// The part's name.
    pub fn id(&self) -> Uuid {
        self.header.id
    }

    /// Bytes written so far, the footer not included.
    pub fn len(&self) -> u64 {
        self.at + self.page.len() as u64
    }

    /// Whether no section holds a byte yet.
    pub fn is_empty(&self) -> bool {
        self.len() <= BLOCK
    }

    /// Starts a section, aligned to a block.
    ///
    /// # Panics
    /// While another section is open, or if the part has this section already.
    pub fn begin(&mut self, kind: SectionKind, field: u16) {
        if self.state == State::Failed {
            return;
        }
        assert!(self.open.is_none(), "one section is written at a time");
        assert!(self.names.insert((kind, field)), "section {kind} (field {field}) is written twice");
        self.open = Some(Open {
            kind,
            field,
            offset: self.at,
            length: 0,
            page_crcs: self.page_crcs.len() as u64 * 4,
            digester: Digester::new(),
        });
    }

    /// Goes on with the open section.
    ///
    /// # Panics
    /// While no section is open.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        self.still_good()?;
        let open = self.open.as_mut().expect("write is called between begin and end");
        open.length += bytes.len() as u64;
        open.digester.update(bytes);
        while self.page.len() + bytes.len() >= PAGE {
            if self.page.is_empty() {
                let (page, rest) = bytes.split_at(PAGE);
                self.page_crcs.push(crc32c(page));
                self.append(page)?;
                bytes = rest;
            } else {
                let (head, rest) = bytes.split_at(PAGE - self.page.len());
                self.page.extend_from_slice(head);
                self.flush_page(0)?;
                bytes = rest;
            }
        }
        self.page.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends the open section.
    ///
    /// # Panics
    /// While no section is open.
    pub fn end(&mut self) -> Result<(), WriteError> {
        self.still_good()?;
        let open = self.open.take().expect("end is called after begin");
        let end = self.at + self.page.len() as u64;
        let aligned = align_up(end).ok_or_else(|| self.failure(io::ErrorKind::FileTooLarge.into()))?;
        if !self.page.is_empty() {
            self.flush_page((aligned - end) as usize)?;
        } else if aligned > end {
            self.append(&vec![0; (aligned - end) as usize])?;
        }
        self.entries.push(Entry {
            kind: open.kind,
            field: open.field,
            codec: CODEC_PLAIN,
            offset: open.offset,
            length: open.length,
            page_crcs: open.page_crcs,
            digest: open.digester.finish(),
        });
        Ok(())
    }

    /// Writes a whole section.
    ///
    /// # Panics
    /// As [`Writer::begin`].
    pub fn section(&mut self, kind: SectionKind, field: u16, bytes: &[u8]) -> Result<(), WriteError> {
        self.begin(kind, field);
        self.write(bytes)?;
        self.end()
    }

    /// Says anew how many rows the part speaks of, for whoever did not know at the beginning.
    pub fn set_rows(&mut self, rows: u32) -> Result<(), WriteError> {
        self.still_good()?;
        self.header.rows = rows;
        let (block, header_crc) = encode_header(&self.header);
        self.file.write_all_at(&block, 0).map_err(|e| self.failure(e))?;
        self.header_crc = header_crc;
        Ok(())
    }

    /// Writes the footer and makes the file durable and read-only. Its name is durable only once it is published.
    ///
    /// # Panics
    /// While a section is open.
    pub fn finish(mut self) -> Result<PartRef, WriteError> {
        self.still_good()?;
        assert!(self.open.is_none(), "finish is called after the last end");
        let footer = self.footer();
        self.append(&footer)?;
        // Before the sync, so that the mode is durable with the content.
        let made = self.file.set_readonly().and_then(|()| self.file.sync_all());
        made.map_err(|e| self.failure(e))?;
        self.state = State::Finished;
        Ok(PartRef { id: self.header.id, role: self.header.role, length: self.at, digest: digest(&footer) })
    }

    fn footer(&self) -> Vec<u8> {
        let mut out = codec::Writer::new();
        for crc in &self.page_crcs {
            out.u32(*crc);
        }
        let directory = self.at + out.len() as u64;
        for entry in &self.entries {
            Entry { page_crcs: self.at + entry.page_crcs, ..*entry }.encode(&mut out);
        }
        let trailer = Trailer {
            footer: self.at,
            directory,
            sections: u32::try_from(self.entries.len()).expect("kind and field leave fewer than 2^32 names"),
            header_crc: self.header_crc,
            total_len: self.at + out.len() as u64 + TRAILER_LEN as u64,
            id: self.header.id,
        };
        trailer.encode(out.into_bytes())
    }

    /// Writes the buffered page with its checksum, and zeros behind it.
    fn flush_page(&mut self, padding: usize) -> Result<(), WriteError> {
        let mut page = mem::take(&mut self.page);
        self.page_crcs.push(crc32c(&page));
        page.resize(page.len() + padding, 0);
        let appended = self.append(&page);
        page.clear();
        self.page = page;
        appended
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.file.write_all_at(bytes, self.at).map_err(|e| self.failure(e))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn still_good(&self) -> Result<(), WriteError> {
        match self.state {
            State::Failed => Err(WriteError::Failed { file: self.path.clone() }),
            State::Good | State::Finished => Ok(()),
        }
    }

    fn failure(&mut self, source: io::Error) -> WriteError {
        self.state = State::Failed;
        WriteError::Io { file: self.path.clone(), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.state != State::Finished {
            // Nothing refers to the file; should it stay, the next writer of the index clears it.
            let _best_effort = self.fs.remove(&self.path);
        }
    }
}
