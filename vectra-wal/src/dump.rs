//! Everything that stands in a log's folder, damaged or not.

use std::path::Path;

use vectra_core::io::{Access, Fs};

use crate::chain::Listing;
use crate::control::Control;
use crate::error::OpenError;
use crate::header::{FILE_HEADER_LEN, FileHeader, FileName, HeaderFault};
use crate::log::Lsn;
use crate::walk::{Found, Walk};

/// One thing found in a log's folder.
#[derive(Debug)]
#[non_exhaustive]
pub enum DumpEntry<'a> {
    /// A log file begins. What follows up to the next one stands in it.
    File {
        /// Its name.
        name: String,
        /// The number in its name.
        seq: u64,
        /// Its length in bytes; 0 if it cannot be opened.
        len: u64,
        /// Its header, or what is there instead.
        header: Result<FileHeader, String>,
    },
    /// A valid frame.
    Frame(DumpFrame<'a>),
    /// Bytes that are no frame, or the place where frames are missing (`len` is 0 then).
    Damage {
        /// The number in the file's name.
        seq: u64,
        /// Where in the file, in bytes.
        offset: u64,
        /// How many bytes, up to the next valid frame or the last byte that is not zero.
        len: u64,
        /// What is wrong.
        reason: String,
    },
    /// A name that is none of a finished log file.
    Ignored {
        /// The name.
        name: String,
    },
}

/// A valid frame and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpFrame<'a> {
    /// The number in the file's name.
    pub seq: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The caller's kind, or the log's own for a control frame.
    pub kind: u8,
    /// Whether the log wrote it for itself.
    pub is_control: bool,
    /// What it says if it is a control frame known to this version.
    pub control: Option<Control>,
    /// LSN of the first operation; for a control frame, of the next one.
    pub first_lsn: Lsn,
    /// How many operations it holds; none in a control frame.
    pub op_count: u32,
    /// The payload.
    pub payload: &'a [u8],
    /// The highest LSN known durable when it was written.
    pub durable_lsn: Lsn,
    /// Hybrid time of writing: milliseconds since 1970 in the upper 48 bits.
    pub hlc: u64,
}

/// A log file as it is found: whatever can be told about it.
#[derive(Debug)]
pub(crate) struct Exhibit {
    pub(crate) len: u64,
    /// The first block, as far as it can be read.
    block: Vec<u8>,
    pub(crate) header: Result<FileHeader, String>,
}

impl Exhibit {
    pub(crate) fn look(fs: &dyn Fs, path: &Path) -> Self {
        let read = || {
            let file = fs.open(path, Access::Read)?;
            let len = file.len()?;
            let mut block = vec![0; len.min(FILE_HEADER_LEN) as usize];
            let outcome = file.read_exact_at(&mut block, 0).map(|()| block);
            Ok::<_, std::io::Error>((len, outcome))
        };
        let (len, block) = match read() {
            Ok((len, Ok(block))) => (len, block),
            Ok((len, Err(e))) => return Self { len, block: Vec::new(), header: Err(e.to_string()) },
            Err(e) => return Self { len: 0, block: Vec::new(), header: Err(e.to_string()) },
        };
        let header = FileHeader::decode(&block).map_err(|fault| match fault {
            HeaderFault::Bad(what) | HeaderFault::Unsupported(what) => what.to_owned(),
        });
        Self { len, block, header }
    }

    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.block.get(at..at + N)?.try_into().ok()
    }

    /// What the place of the salt holds: the sums of the frames tell whether it is right, even in a damaged header.
    pub(crate) fn salt(&self) -> Option<u64> {
        self.field(56).map(u64::from_le_bytes)
    }

    /// What the place of the index holds.
    pub(crate) fn index(&self) -> Option<[u8; 16]> {
        self.field(16)
    }
}

pub(crate) fn dump(fs: &dyn Fs, dir: &Path, visit: &mut dyn FnMut(DumpEntry<'_>)) -> Result<(), OpenError> {
    let listing = Listing::read(fs, dir)?;
    let unfinished = listing.temporaries.iter().map(|seq| FileName::Temporary(*seq).text());
    for name in listing.ignored.into_iter().chain(unfinished) {
        visit(DumpEntry::Ignored { name });
    }
    let mut before: Option<End> = None;
    for seq in listing.logs {
        let name = FileName::Log(seq).text();
        let path = dir.join(&name);
        let exhibit = Exhibit::look(fs, &path);
        if let (Some(end), Ok(header)) = (&before, &exhibit.header)
            && let Some(damage) = end.is_early(header)
        {
            visit(damage);
        }
        let (len, header, salt) = (exhibit.len, exhibit.header.clone(), exhibit.salt());
        visit(DumpEntry::File { name, seq, len, header });
        before = salt.and_then(|salt| dump_file(fs, &path, seq, salt, visit));
    }
    Ok(())
}

/// Where the last valid frame of a file ends.
struct End {
    seq: u64,
    offset: u64,
    last_lsn: Option<Lsn>,
}

impl End {
    /// Whether the next file says that more must be there.
    fn is_early(&self, next: &FileHeader) -> Option<DumpEntry<'static>> {
        let stated = next.predecessor.filter(|before| before.seq == self.seq)?;
        (self.offset < stated.len).then(|| {
            let last = self.last_lsn.map_or("no frame".to_owned(), |lsn| format!("LSN {lsn}"));
            let reason = format!("the frames end with {last}; the next file says LSN {}", stated.last_lsn);
            DumpEntry::Damage { seq: self.seq, offset: self.offset, len: 0, reason }
        })
    }
}

fn dump_file(
    fs: &dyn Fs,
    path: &Path,
    seq: u64,
    salt: u64,
    visit: &mut dyn FnMut(DumpEntry<'_>),
) -> Option<End> {
    let mut end = End { seq, offset: FILE_HEADER_LEN, last_lsn: None };
    let outcome = fs.open(path, Access::Read).and_then(|file| {
        let mut walk = Walk::new(file, salt, FILE_HEADER_LEN)?;
        while let Some(found) = walk.step()? {
            match found {
                Found::Frame { at, header, payload } => {
                    end.offset = at + header.frame_len();
                    if !header.control {
                        end.last_lsn = Some(header.last_lsn());
                    }
                    let known = header.control.then(|| Control::decode(header.kind, payload).ok()).flatten();
                    visit(DumpEntry::Frame(DumpFrame {
                        seq,
                        offset: at,
                        kind: header.kind,
                        is_control: header.control,
                        control: known,
                        first_lsn: header.first_lsn,
                        op_count: header.op_count,
                        payload,
                        durable_lsn: header.durable_lsn,
                        hlc: header.hlc,
                    }));
                }
                Found::Damage(damage) => visit(DumpEntry::Damage {
                    seq,
                    offset: damage.at,
                    len: damage.len,
                    reason: damage.reason,
                }),
            }
        }
        Ok(())
    });
    match outcome {
        Ok(()) => Some(end),
        Err(e) => {
            visit(DumpEntry::Damage { seq, offset: end.offset, len: 0, reason: e.to_string() });
            None
        }
    }
}
