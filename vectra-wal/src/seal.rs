//! The seal at the end of a file that has a successor: looked at, and cut off where it says nothing.
//!
//! The successor's header states where the file ends, so no frame is at stake: what stands behind that place can only
//! be the seal. A crash in the midst of a rotation may leave it torn. It stays readable damage for whoever only looks,
//! and goes with the next opening for writing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, Fs};

use crate::chain::Link;
use crate::control::Control;
use crate::error::OpenError;
use crate::frame::FrameFault;
use crate::header::Predecessor;
use crate::reader::FrameReader;

/// Something that is no seal where only a seal may stand: torn by a crash, or damaged. No operation is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadSeal {
    /// The file.
    pub path: PathBuf,
    /// Where the frames end, in bytes from the file's beginning: what stands behind goes.
    pub at: u64,
}

impl fmt::Display for BadSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, at) = (self.path.display(), self.at);
        write!(f, "{path}, byte {at}: torn or damaged seal; the next open for writing cuts it off")
    }
}

/// Looks behind the frames of `link`, whose end is what `before` in the header of its successor `next` states.
///
/// A seal that names the successor is fine, and so is none: nothing, or the zeros that were reserved. A file that ends
/// before that place is not judged here. A whole frame that is no such seal was not left by a crash: it is corruption.
pub(crate) fn bad_seal(
    fs: &dyn Fs,
    link: &Link,
    before: Predecessor,
    next: u64,
) -> Result<Option<BadSeal>, OpenError> {
    let path = &link.path;
    let io = OpenError::io(path);
    let file = fs.open(path, Access::Read).map_err(&io)?;
    let mut reader = FrameReader::new(file, link.header.salt).map_err(&io)?;
    if reader.len() <= before.len {
        return Ok(None);
    }
    let sealed = match reader.frame(before.len).map_err(&io)? {
        Ok((header, payload)) => {
            let frame_len = header.frame_len();
            let fits = header.first_lsn == before.last_lsn + 1 && header.prev_payload_crc == before.chain_crc;
            let control =
                if header.control { Control::decode(header.kind, payload) } else { Ok(Control::Mark) };
            match control {
                // Whatever the seal named, recoveries may have put later files in its place.
                Ok(Control::Seal(seq)) if fits && (before.seq + 1..=next).contains(&seq) => frame_len,
                Err(FrameFault::Unsupported(what)) => return Err(newer(path, what)),
                // Its sums are right, so it is no seal that a crash tore: somebody wrote it.
                _ => {
                    let expected = format!("the end, or a seal that names a file up to {next}");
                    return Err(OpenError::corrupt(path, before.len, expected, "another frame"));
                }
            }
        }
        Err(FrameFault::Unsupported(what)) => return Err(newer(path, what)),
        Err(_) => 0,
    };
    let rest = reader.survey(before.len + sealed).map_err(&io)?;
    Ok((rest.bytes > 0).then(|| BadSeal { path: path.clone(), at: before.len }))
}

fn newer(path: &Path, what: &'static str) -> OpenError {
    OpenError::Unsupported { path: path.to_owned(), what }
}

/// Cuts the seal off, durably. The frames before it are not touched, so that a crash at any moment of this leaves the
/// bad seal or none.
pub(crate) fn cut(fs: &dyn Fs, seal: &BadSeal) -> io::Result<()> {
    let file = fs.open(&seal.path, Access::ReadWrite)?;
    file.set_len(seal.at)?;
    file.sync_data()
}
