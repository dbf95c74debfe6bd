//! Going through one log file past any damage.

use std::io;

use vectra_core::io::File;

use crate::frame::{FRAME_ALIGN, FrameHeader};
use crate::header::FILE_HEADER_LEN;
use crate::log::Lsn;
use crate::reader::FrameReader;

/// A place in a file, frame by frame. Total over arbitrary bytes; each byte is looked at a bounded number of times.
#[derive(Debug)]
pub(crate) struct Walk {
    reader: FrameReader,
    at: u64,
}

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A valid frame.
    Frame {
        /// Where it begins.
        at: u64,
        header: FrameHeader,
        payload: &'a [u8],
    },
    /// Bytes that are no frame.
    Damage(Damage),
}

/// Bytes that are no frame although they are not just the zeros at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) at: u64,
    pub(crate) len: u64,
    pub(crate) reason: String,
    /// What a damaged frame's intact header says was durable.
    pub(crate) durable_lsn: Lsn,
}

impl Walk {
    /// A walk that begins at byte `at` of a file.
    pub(crate) fn new(file: Box<dyn File>, salt: u64, at: u64) -> io::Result<Self> {
        Ok(Self { reader: FrameReader::tolerant(file, salt)?, at: at.max(FILE_HEADER_LEN) })
    }

    /// Where the next step begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The payload of a frame that a step found earlier, if it is still there.
    pub(crate) fn payload(&mut self, at: u64, header: &FrameHeader) -> io::Result<Option<&[u8]>> {
        Ok(self.reader.frame(at)?.ok().filter(|(found, _)| found == header).map(|(_, payload)| payload))
    }

    /// The next frame or damaged place; nothing at the end of the log, be it that of the file or the zeros before it.
    ///
    /// The only errors are those of a file that got shorter under our hands.
    pub(crate) fn step(&mut self) -> io::Result<Option<Found<'_>>> {
        let at = self.at;
        if at >= self.reader.len() {
            return Ok(None);
        }
        let outcome = self.reader.frame(at)?.map(|(header, _)| header);
        let fault = match outcome {
            Ok(header) => {
                self.at = at + header.frame_len();
                let payload = self.reader.payload(at, &header)?;
                return Ok(Some(Found::Frame { at, header, payload }));
            }
            Err(fault) => fault,
        };
        // An intact header says where its frame ends, even if that is damaged.
        let header = self.reader.header(at)?.ok();
        let whole = header.map(|h| h.frame_len()).filter(|len| at + len <= self.reader.len());
        let (next, used) = self.reader.seek(at, whole.unwrap_or(FRAME_ALIGN))?;
        let failure = self.reader.take_failure();
        self.at = next.unwrap_or(self.reader.len());
        let len = next.unwrap_or(used) - at;
        if len == 0 {
            return Ok(None);
        }
        let reason = failure.map_or_else(|| fault.describe().to_owned(), unreadable);
        Ok(Some(Found::Damage(Damage { at, len, reason, durable_lsn: header.map_or(0, |h| h.durable_lsn) })))
    }
}

fn unreadable(failure: String) -> String {
    format!("a place that cannot be read ({failure})")
}
