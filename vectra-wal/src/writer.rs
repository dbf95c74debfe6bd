//! The one writer of a log: numbers and chains frames, puts them into the current file, moves on to the next file.
//!
//! After any error the writer must not be used again; the group commit above it sees to that.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use vectra_core::codec::crc32c;
use vectra_core::env::Env;
use vectra_core::io::Fs;

use crate::file_log::Options;
use crate::frame::{FrameHeader, frame_len};
use crate::header::{FILE_HEADER_LEN, FileHeader, Predecessor};
use crate::log::{Anchor, Lsn};
use crate::log_file::{Draft, LogFile};

/// A frame waiting to be written.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) kind: u8,
    pub(crate) first_lsn: Lsn,
    pub(crate) op_count: u32,
    pub(crate) payload: Vec<u8>,
}

impl Queued {
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.first_lsn + u64::from(self.op_count) - 1
    }

    /// Bytes the frame takes in a file.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.payload.len() as u32)
    }
}

/// A file that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) seq: u64,
    pub(crate) last_lsn: Lsn,
    pub(crate) bytes: u64,
}

/// Where the last frame stands, for the next one to go on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Last LSN written.
    pub(crate) last_lsn: Lsn,
    /// Payload checksum of the last frame.
    pub(crate) chain_crc: u32,
    /// Hybrid time of the last frame.
    pub(crate) hlc: u64,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) env: Env,
    options: Options,
    pub(crate) current: LogFile,
    /// Older files, oldest first.
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) tail: Tail,
    pub(crate) durable_lsn: Lsn,
    /// The newest anchor noted.
    pub(crate) anchor: Option<Anchor>,
    /// Whether something was written to the current file since it was last synced.
    unsynced: bool,
    /// Whether something was synced or noted since a mark or a file's header last testified to all there was.
    pub(crate) mark_owed: bool,
    /// Length at which the current file is full.
    cap: u64,
    /// No file with this or a higher number exists.
    next_seq: u64,
    pub(crate) frames: u64,
    pub(crate) frame_bytes: u64,
    pub(crate) groups: u64,
    pub(crate) syncs: u64,
    pub(crate) marks: u64,
}

impl Writer {
    /// A writer whose whole content, up to `tail`, is durable.
    pub(crate) fn new(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        env: Env,
        options: Options,
        current: LogFile,
        sealed: Vec<Sealed>,
        tail: Tail,
    ) -> Self {
        let largest = sealed.iter().map(|s| s.bytes).chain([current.end]).max().unwrap_or(0);
        let cap = largest.clamp(options.file_bytes_min, options.file_bytes_max);
        Self {
            fs,
            dir,
            env,
            cap,
            next_seq: current.header.seq + 1,
            durable_lsn: tail.last_lsn,
            anchor: current.header.anchor,
            unsynced: false,
            mark_owed: false,
            options,
            current,
            sealed,
            tail,
            frames: 0,
            frame_bytes: 0,
            groups: 0,
            syncs: 0,
            marks: 0,
        }
    }

    /// How many bytes of frames to write at once at most.
    pub(crate) fn group_bytes_max(&self) -> u64 {
        self.cap.min(8 << 20)
    }

    /// Writes the frames, in order, with one write.
    pub(crate) fn write_group(&mut self, group: &[Queued]) -> io::Result<()> {
        let len: u64 = group.iter().map(Queued::frame_len).sum();
        if !self.current.is_empty() && self.current.end + len > self.cap {
            self.rotate()?;
        }
        self.reserve(len)?;
        let mut bytes = Vec::with_capacity(len as usize);
        let mut tail = self.tail;
        for frame in group {
            assert_eq!(frame.first_lsn, tail.last_lsn + 1, "the queue hands out frames in the order of LSNs");
            let header = FrameHeader {
                payload_len: frame.payload.len() as u32,
                kind: frame.kind,
                control: false,
                first_lsn: frame.first_lsn,
                op_count: frame.op_count,
                payload_crc: crc32c(&frame.payload),
                durable_lsn: self.durable_lsn,
                prev_payload_crc: tail.chain_crc,
                hlc: next_hlc(tail.hlc, &self.env),
            };
            let offset = self.current.end + bytes.len() as u64;
            header.encode(&frame.payload, self.current.header.salt, offset, &mut bytes);
            tail = Tail { last_lsn: frame.last_lsn(), chain_crc: header.payload_crc, hlc: header.hlc };
        }
        self.append(&bytes)?;
        self.tail = tail;
        self.frames += group.len() as u64;
        self.frame_bytes += len;
        self.groups += 1;
        Ok(())
    }

    /// Sees to it that the next `len` bytes of frames go where the file is long enough already.
    pub(crate) fn reserve(&mut self, len: u64) -> io::Result<()> {
        self.current.reserve(len, self.options.reserve_bytes, self.cap)
    }

    /// Writes encoded frames behind the last one.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.unsynced = true;
        self.current.append(frames)
    }

    /// Makes everything written durable.
    #[track_caller]
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.syncs += 1;
            self.current.sync()?;
            self.unsynced = false;
            self.mark_owed = true;
            self.durable_lsn = self.tail.last_lsn;
        }
        Ok(())
    }

    /// Does what an acknowledgement of durable operations needs.
    #[track_caller]
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.sync()?;
        if self.options.ack_after_mark { self.mark() } else { Ok(()) }
    }

    /// Goes on in a new file; the old one is sealed. Does nothing when the current file holds no frame.
    pub(crate) fn rotate(&mut self) -> io::Result<()> {
        if self.current.is_empty() {
            return Ok(());
        }
        // The successor's header states how this file ends, so that must be durable before the successor exists.
        self.sync()?;
        let before = Predecessor {
            seq: self.current.header.seq,
            last_lsn: self.tail.last_lsn,
            len: self.current.end,
            chain_crc: self.tail.chain_crc,
        };
        let header = FileHeader {
            index: self.options.index,
            epoch: self.current.header.epoch,
            seq: self.next_seq,
            first_lsn: self.tail.last_lsn + 1,
            salt: self.env.rng.next_u64(),
            predecessor: Some(before),
            supersedes: 0,
            durable_lsn: self.durable_lsn,
            anchor: self.anchor,
        };
        self.next_seq += 1;
        self.cap = (self.cap * 2).min(self.options.file_bytes_max);
        let successor =
            Draft::create(&*self.fs, &self.dir, header.seq)?.finish(&*self.fs, &self.dir, header)?;
        let old = std::mem::replace(&mut self.current, successor);
        self.sealed.push(Sealed { seq: before.seq, last_lsn: before.last_lsn, bytes: before.len });
        self.tail.hlc = next_hlc(self.tail.hlc, &self.env);
        self.mark_owed = false;
        self.syncs += 1;
        old.seal(&self.current.header, self.tail.hlc)
    }

    /// Bytes in all files, without what is reserved ahead.
    pub(crate) fn bytes(&self) -> u64 {
        self.sealed.iter().map(|s| s.bytes).sum::<u64>() + self.current.end.max(FILE_HEADER_LEN)
    }
}

/// Milliseconds since 1970 in the upper 48 bits, but always more than `last`.
pub(crate) fn next_hlc(last: u64, env: &Env) -> u64 {
    (env.clock.unix_ms() << 16).max(last.saturating_add(1))
}
