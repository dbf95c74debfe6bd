//! Reading frames from a file that may be damaged anywhere.

use std::io;

use vectra_core::io::File;

use crate::control::Control;
use crate::frame::{FRAME_ALIGN, FRAME_HEADER_LEN, FRAME_MAGIC, FrameFault, FrameHeader, frame_len};
use crate::log::{Anchor, Lsn};

/// Bytes read at once.
const WINDOW: u64 = 256 << 10;

/// What is tried at once where a longer read failed.
const PIECE: usize = 4096;

/// No control frame is longer.
const NOTE_LEN_MAX: u64 = 80;

/// Reads a log file through a window. I/O errors and bad content are never mixed up: the former are `Err`.
#[derive(Debug)]
pub(crate) struct FrameReader {
    file: Box<dyn File>,
    /// Length of the file when it was opened.
    len: u64,
    salt: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Whether a read that fails is no error, but damage like any other.
    tolerant: bool,
    /// What the last failed read said.
    failure: Option<String>,
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
    /// The newest anchor among them.
    pub(crate) anchor: Option<Anchor>,
    /// Bytes up to the last one that is not zero.
    pub(crate) bytes: u64,
}

impl FrameReader {
    pub(crate) fn new(file: Box<dyn File>, salt: u64) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, salt, window: Vec::new(), window_at: 0, tolerant: false, failure: None })
    }

    /// A reader for which a block that cannot be read is one of garbage.
    pub(crate) fn tolerant(file: Box<dyn File>, salt: u64) -> io::Result<Self> {
        Ok(Self { tolerant: true, ..Self::new(file, salt)? })
    }

    /// What the last read that failed said, if any did since the last question.
    pub(crate) fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// The file.
    pub(crate) fn file(&self) -> &dyn File {
        &*self.file
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
            match self.file.read_exact_at(&mut self.window, at) {
                Ok(()) => {}
                Err(_) if self.tolerant => self.read_in_pieces(),
                Err(e) => {
                    self.window.clear();
                    return Err(e);
                }
            }
        }
        let from = (at - self.window_at) as usize;
        Ok(Some(&self.window[from..from + len as usize]))
    }

    /// Reads what can be read of the window. The rest becomes bytes that are no frame and no end of the log either.
    fn read_in_pieces(&mut self) {
        let mut at = self.window_at;
        for piece in self.window.chunks_mut(PIECE) {
            if let Err(e) = self.file.read_exact_at(piece, at) {
                piece.fill(0xff);
                self.failure = Some(e.to_string());
            }
            at += piece.len() as u64;
        }
    }

    /// The header at `at`, checked against the salt and the place.
    pub(crate) fn header(&mut self, at: u64) -> io::Result<Result<FrameHeader, FrameFault>> {
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

    /// The payload of the frame at `at` with this header.
    pub(crate) fn payload(&mut self, at: u64, header: &FrameHeader) -> io::Result<&[u8]> {
        let payload = self.bytes(at + FRAME_HEADER_LEN as u64, u64::from(header.payload_len))?;
        Ok(payload.expect("the frame was found within the file"))
    }

    /// The first place at least `skip` bytes behind `from` where a valid header stands, or nothing if none does; and where
    /// the last byte between `from` and there ends that is not zero (`from` if there is none).
    pub(crate) fn seek(&mut self, from: u64, skip: u64) -> io::Result<(Option<u64>, u64)> {
        let (mut at, mut used) = (from, from);
        while at < self.len {
            let len = WINDOW.min(self.len - at);
            for start in self.starts(at, len)? {
                if start >= from + skip && self.header(start)?.is_ok() {
                    used = used.max(self.last_used(at, start - at)?);
                    return Ok((Some(start), used));
                }
            }
            used = used.max(self.last_used(at, len)?);
            at += len;
        }
        Ok((None, used))
    }

    /// Where magic numbers stand in a range within the file.
    fn starts(&mut self, at: u64, len: u64) -> io::Result<Vec<u64>> {
        let bytes = self.bytes(at, len)?.expect("the range lies within the file");
        let magic = FRAME_MAGIC.to_le_bytes();
        let steps = (0..len).step_by(FRAME_ALIGN as usize);
        Ok(steps
            .filter(|start| bytes[*start as usize..].starts_with(&magic))
            .map(|start| at + start)
            .collect())
    }

    /// Where the last byte of a range within the file ends that is not zero, or 0.
    fn last_used(&mut self, at: u64, len: u64) -> io::Result<u64> {
        let bytes = self.bytes(at, len)?.expect("the range lies within the file");
        Ok(bytes.iter().rposition(|b| *b != 0).map_or(0, |last| at + last as u64 + 1))
    }

    /// Looks at everything from `from` on: valid headers there testify to what was once durable.
    pub(crate) fn survey(&mut self, from: u64) -> io::Result<Survey> {
        let mut survey = Survey::default();
        let mut at = from;
        while at < self.len {
            let len = WINDOW.min(self.len - at);
            survey.bytes = survey.bytes.max(self.last_used(at, len)?.saturating_sub(from));
            for start in self.starts(at, len)? {
                let Ok(header) = self.header(start)? else { continue };
                survey.durable_lsn = survey.durable_lsn.max(header.durable_lsn);
                if !header.control {
                    survey.frames += 1;
                } else if Control::follows_a_sync(header.kind) {
                    survey.marked = true;
                } else if frame_len(header.payload_len) <= NOTE_LEN_MAX
                    && let Ok((header, payload)) = self.frame(start)?
                    && let Ok(Control::Anchor(anchor)) = Control::decode(header.kind, payload)
                {
                    survey.anchor = Anchor::newer(survey.anchor, Some(anchor));
                }
            }
            at += len;
        }
        Ok(survey)
    }
}

#[cfg(test)]
mod tests;
