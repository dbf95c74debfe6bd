//! Reading frames from a file that may be damaged anywhere.

use std::io;

use vectra_core::io::File;

use crate::control::Control;
use crate::frame::{FRAME_ALIGN, FRAME_HEADER_LEN, FRAME_MAGIC, FrameFault, FrameHeader, frame_len};
use crate::log::{Checkpoint, Lsn};

/// Bytes read at once.
const WINDOW: u64 = 256 << 10;

/// No control frame is longer.
const NOTE_LEN_MAX: u64 = 80;

/// Reads a log file through a window. I/O errors and bad content are never mixed up: the former are `Err`.
#[derive(Debug)]
pub(crate) struct FrameReader<'a> {
    file: &'a dyn File,
    /// Length of the file when it was opened.
    len: u64,
    salt: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// What lies behind a place where reading stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Survey {
    /// Headers that are valid for their place.
    pub(crate) frames: u64,
    /// Highest durable LSN among them.
    pub(crate) durable_lsn: Lsn,
    /// Whether a frame is among them that is written only once everything before it is durable.
    pub(crate) marked: bool,
    /// The newest checkpoint among them.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Bytes up to the last one that is not zero.
    pub(crate) bytes: u64,
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(file: &'a dyn File, salt: u64) -> io::Result<Self> {
        Ok(Self { file, len: file.len()?, salt, window: Vec::new(), window_at: 0 })
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// `len` bytes at `at`, or nothing if the file ends before.
    fn bytes(&mut self, at: u64, len: u64) -> io::Result<Option<&[u8]>> {
        let Some(end) = at.checked_add(len).filter(|end| *end <= self.len) else {
            return Ok(None);
        };
        if at < self.window_at || end > self.window_at + self.window.len() as u64 {
            // `end` is within the file, so no length that was merely read from it sizes this buffer.
            let end = end.max(at + WINDOW).min(self.len);
            self.window.clear();
            self.window.resize((end - at) as usize, 0);
            self.window_at = at;
            if let Err(e) = self.file.read_exact_at(&mut self.window, at) {
                self.window.clear();
                return Err(e);
            }
        }
        let from = (at - self.window_at) as usize;
        Ok(Some(&self.window[from..from + len as usize]))
    }

    /// The header at `at`, checked against the salt and the place.
    fn header(&mut self, at: u64) -> io::Result<Result<FrameHeader, FrameFault>> {
        let salt = self.salt;
        let Some(bytes) = self.bytes(at, FRAME_HEADER_LEN as u64)? else {
            return Ok(Err(FrameFault::Short));
        };
        let bytes = bytes.try_into().expect("bytes() gives as many as asked for");
        Ok(FrameHeader::decode(bytes, salt, at))
    }

    /// The frame at `at` with its payload, all sums checked.
    pub(crate) fn frame(&mut self, at: u64) -> io::Result<Result<(FrameHeader, &[u8]), FrameFault>> {
        let header = match self.header(at)? {
            Ok(header) => header,
            Err(fault) => return Ok(Err(fault)),
        };
        let body_len = header.frame_len() - FRAME_HEADER_LEN as u64;
        let Some(body) = self.bytes(at + FRAME_HEADER_LEN as u64, body_len)? else {
            return Ok(Err(FrameFault::Short));
        };
        Ok(header.check_body(body).map(|payload| (header, payload)))
    }

    /// Looks at everything from `from` on: valid headers there testify to what was once durable.
    pub(crate) fn survey(&mut self, from: u64) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let mut at = from;
        while at < self.len {
            let len = WINDOW.min(self.len - at);
            let bytes = self.bytes(at, len)?.expect("the range lies within the file");
            if let Some(last) = bytes.iter().rposition(|b| *b != 0) {
                survey.bytes = at + last as u64 + 1 - from;
            }
            let magic = FRAME_MAGIC.to_le_bytes();
            let starts: Vec<u64> = (0..len)
                .step_by(FRAME_ALIGN as usize)
                .filter(|start| bytes[*start as usize..].starts_with(&magic))
                .collect();
            for start in starts {
                let Ok(header) = self.header(at + start)? else { continue };
                survey.durable_lsn = survey.durable_lsn.max(header.durable_lsn);
                if !header.control {
                    survey.frames += 1;
                } else if Control::follows_a_sync(header.kind) {
                    survey.marked = true;
                } else if frame_len(header.payload_len) <= NOTE_LEN_MAX
                    && let Ok((header, payload)) = self.frame(at + start)?
                    && let Ok(Control::Checkpoint(checkpoint)) = Control::decode(header.kind, payload)
                {
                    survey.checkpoint = Checkpoint::newer(survey.checkpoint, Some(checkpoint));
                }
            }
            at += len;
        }
        Ok(survey)
    }
}

#[cfg(test)]
mod tests;
