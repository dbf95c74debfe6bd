//! Opening: replay, the verdict on the end of the log, and making durable again what was read.
//!
//! Let E be the LSN expected next and D the highest LSN that anything says was durable: frames, also those behind the
//! bad spot, file headers, and the caller. At a spot where no valid frame stands the log is cut if D < E (a torn tail:
//! nothing acknowledged as durable is lost), and refused if D >= E or a later file says more. Damage to the last
//! synced group, before anything later recorded its durability, is the one thing that looks like a tear.
//!
//! A failed sync may have left content in the cache of the operating system that is not on the disk. So the last file
//! is copied, as it is read, to a fresh one, which takes its place only once it is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::{Access, Fs};

use crate::chain::{Chain, Link};
use crate::control::Control;
use crate::error::{OpenError, VisitError};
use crate::file_log::Options;
use crate::frame::{Frame, FrameFault, FrameHeader};
use crate::header::{FILE_HEADER_LEN, FileHeader, Predecessor};
use crate::log::{Anchor, Lsn};
use crate::log_file::{Draft, LogFile};
use crate::reader::{FrameReader, Survey};
use crate::seal::{BadSeal, bad_seal, cut};
use crate::writer::{Sealed, Tail, Writer};

/// Takes in one replayed frame.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>;

/// Takes in one valid frame and its place in the file.
type Keep<'a> = &'a mut dyn FnMut(&FrameHeader, &[u8], u64) -> Result<(), OpenError>;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Frames visited.
    pub frames: u64,
    /// Last LSN of the log; the next operation gets the one behind it.
    pub last_lsn: Lsn,
    /// Bytes behind the last valid frame that were cut off, without trailing zeros.
    pub dropped_tail_bytes: u64,
    /// Frames among them whose header is intact. None of them was known durable.
    pub dropped_frames: u64,
    /// Whether a torn tail was cut off.
    pub torn: bool,
    /// The newest anchor that the log knows of: what the owner's newest must not be older than.
    pub anchor: Option<Anchor>,
    /// Ends of files where neither a seal nor nothing stands. An opening has cut them off, a check leaves them.
    pub bad_seals: Vec<BadSeal>,
    /// Names in the folder that do not belong to this log; they are left alone.
    pub ignored: Vec<String>,
}

/// Recovery at work.
struct Replay<'a, 'v> {
    options: &'a Options,
    visit: Visit<'v>,
    recovery: Recovery,
    tail: Tail,
}

pub(crate) fn recover(
    fs: Arc<dyn Fs>,
    dir: &Path,
    env: &Env,
    options: Options,
    visit: Visit<'_>,
) -> Result<(Writer, Recovery), OpenError> {
    let chain = Chain::load(&*fs, dir, &options)?;
    let oldest = &chain.links[0].header;
    let tail = Tail { last_lsn: oldest.first_lsn - 1, chain_crc: oldest.chain_crc(), hlc: 0 };
    let stale = chain.stale.iter().map(|seq| Sealed { seq: *seq, last_lsn: tail.last_lsn, bytes: 0 });
    let mut sealed: Vec<Sealed> = stale.collect();
    let mut replay = Replay { options: &options, visit, recovery: Recovery::default(), tail };
    for pair in chain.links.windows(2) {
        let before = pair[1].header.predecessor.expect("links are found along predecessors");
        replay.sealed_file(&*fs, &pair[0], before)?;
        replay.look_at_seal(&*fs, &pair[0], before, pair[1].header.seq)?;
        sealed.push(Sealed { seq: before.seq, last_lsn: before.last_lsn, bytes: before.len });
    }
    let last = chain.links.last().expect("a chain has a newest link");
    let current = replay.final_file(&fs, dir, env, last, chain.seq_max + 1)?;
    // As late as this, so that an opening that finds damage changes nothing.
    for seal in &replay.recovery.bad_seals {
        cut(&*fs, seal).map_err(OpenError::io(&seal.path))?;
    }
    remove_void(&*fs, chain.void, &last.path)?;
    let Replay { mut recovery, tail, .. } = replay;
    recovery.ignored = chain.ignored;
    recovery.last_lsn = tail.last_lsn;
    let writer = Writer::new(fs, dir.to_owned(), env.clone(), options, current, sealed, tail);
    Ok((writer, recovery))
}

/// Reads all there is, as [`recover`] does and beyond that what no replay needs any more, and changes nothing.
pub(crate) fn check(
    fs: &dyn Fs,
    dir: &Path,
    mut options: Options,
    visit: Visit<'_>,
) -> Result<Recovery, OpenError> {
    let chain = Chain::load(fs, dir, &options)?;
    options.replay_from = 0;
    let oldest = &chain.links[0].header;
    let tail = Tail { last_lsn: oldest.first_lsn - 1, chain_crc: oldest.chain_crc(), hlc: 0 };
    let mut replay = Replay { options: &options, visit, recovery: Recovery::default(), tail };
    for pair in chain.links.windows(2) {
        let before = pair[1].header.predecessor.expect("links are found along predecessors");
        replay.sealed_file(fs, &pair[0], before)?;
        replay.look_at_seal(fs, &pair[0], before, pair[1].header.seq)?;
    }
    replay.scan(fs, chain.links.last().expect("a chain has a newest link"), &mut |_, _, _| Ok(()))?;
    let Replay { mut recovery, tail, .. } = replay;
    recovery.ignored = chain.ignored;
    recovery.last_lsn = tail.last_lsn;
    Ok(recovery)
}

/// Only now, with the fresh file durable, the file it replaces goes, and what earlier crashes left.
///
/// Removals need not be durable: what comes back is void by the fresh file's header, and goes with the next open.
fn remove_void(fs: &dyn Fs, void: Vec<PathBuf>, replaced: &Path) -> Result<(), OpenError> {
    for path in void.into_iter().chain([replaced.to_owned()]) {
        fs.remove(&path).map_err(OpenError::io(&path))?;
    }
    Ok(())
}

impl Replay<'_, '_> {
    /// A file that has a successor: must hold exactly what the successor says.
    fn sealed_file(&mut self, fs: &dyn Fs, link: &Link, before: Predecessor) -> Result<(), OpenError> {
        // What an unread file notes, the header of the next one repeats.
        if before.last_lsn < self.options.replay_from {
            self.tail = Tail { last_lsn: before.last_lsn, chain_crc: before.chain_crc, hlc: self.tail.hlc };
            return Ok(());
        }
        let path = &link.path;
        let file = fs.open(path, Access::Read).map_err(OpenError::io(path))?;
        let mut reader = FrameReader::new(file, link.header.salt).map_err(OpenError::io(path))?;
        let mut at = FILE_HEADER_LEN;
        while at < before.len {
            let expected = || format!("the frame of LSN {}", self.tail.last_lsn + 1);
            match reader.frame(at).map_err(OpenError::io(path))? {
                Ok((header, payload)) if self.follows(&header) && header.last_lsn() <= before.last_lsn => {
                    match self.take(&header, payload)? {
                        Ok(()) => at += header.frame_len(),
                        Err(fault) => return Err(bad_note(path, at, fault)),
                    }
                }
                Ok(_) => return Err(OpenError::corrupt(path, at, expected(), "another frame")),
                Err(FrameFault::Unsupported(what)) => return Err(unsupported(path, what)),
                Err(fault) => return Err(OpenError::corrupt(path, at, expected(), fault.describe())),
            }
        }
        let ends = (at, self.tail.last_lsn, self.tail.chain_crc);
        if ends != (before.len, before.last_lsn, before.chain_crc) {
            let expected = format!("the end, after LSN {}, as the next file states it", before.last_lsn);
            return Err(OpenError::corrupt(path, at, expected, format!("the end after LSN {}", ends.1)));
        }
        Ok(())
    }

    /// What stands behind the frames of a file that has a successor, also of one that nobody needs to read any more.
    fn look_at_seal(
        &mut self,
        fs: &dyn Fs,
        link: &Link,
        before: Predecessor,
        next: u64,
    ) -> Result<(), OpenError> {
        self.recovery.bad_seals.extend(bad_seal(fs, link, before, next)?);
        Ok(())
    }

    /// The newest file: replays it, gives the verdict on its end and puts a fresh copy in its place.
    fn final_file(
        &mut self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
        env: &Env,
        link: &Link,
        seq: u64,
    ) -> Result<LogFile, OpenError> {
        let salt = env.rng.next_u64();
        let draft_path = dir.join(crate::header::FileName::Temporary(seq).text());
        let io = OpenError::io(&draft_path);
        let mut draft = Draft::create(&**fs, dir, seq).map_err(&io)?;
        match self.copy(&**fs, link, &mut draft, salt, &draft_path) {
            Ok(()) => {}
            Err(e) => {
                // The original is untouched; an unfinished copy that stays behind is removed by the next open.
                _ = draft.discard(&**fs);
                return Err(e);
            }
        }
        let old = &link.header;
        let header = FileHeader {
            index: old.index,
            epoch: old.epoch.saturating_add(1),
            seq,
            first_lsn: old.first_lsn,
            salt,
            predecessor: old.predecessor,
            supersedes: old.seq,
            durable_lsn: self.tail.last_lsn,
            anchor: self.recovery.anchor,
        };
        draft.finish(&**fs, dir, header).map_err(|e| {
            // It takes room that another try needs. Gone already if it got its name.
            _ = fs.remove(&draft_path);
            io(e)
        })
    }

    /// Replays the newest file into `draft`, up to its last valid frame, and gives the verdict on what follows.
    fn copy(
        &mut self,
        fs: &dyn Fs,
        link: &Link,
        draft: &mut Draft,
        salt: u64,
        draft_path: &Path,
    ) -> Result<(), OpenError> {
        let mut copied = Vec::new();
        self.scan(fs, link, &mut |header, payload, at| {
            // The copy has the same layout, so the place is the same.
            header.encode(payload, salt, at, &mut copied);
            if copied.len() >= COPY_BYTES {
                draft.append(&copied).map_err(OpenError::io(draft_path))?;
                copied.clear();
            }
            Ok(())
        })?;
        draft.append(&copied).map_err(OpenError::io(draft_path))
    }

    /// Replays the newest file, showing each frame and its place to `keep`, and gives the verdict on what follows the
    /// last valid one.
    fn scan(&mut self, fs: &dyn Fs, link: &Link, keep: Keep<'_>) -> Result<(), OpenError> {
        let path = &link.path;
        self.note(link.header.anchor);
        let file = fs.open(path, Access::Read).map_err(OpenError::io(path))?;
        let mut reader = FrameReader::new(file, link.header.salt).map_err(OpenError::io(path))?;
        let mut at = FILE_HEADER_LEN;
        let fault = loop {
            let (header, payload) = match reader.frame(at).map_err(OpenError::io(path))? {
                Ok(frame) if self.follows(&frame.0) => frame,
                Ok(_) => break "another frame",
                Err(FrameFault::Unsupported(what)) => return Err(unsupported(path, what)),
                Err(fault) => break fault.describe(),
            };
            if let Err(fault) = self.take(&header, payload)? {
                return Err(bad_note(path, at, fault));
            }
            keep(&header, payload, at)?;
            at += header.frame_len();
        };
        let survey = reader.survey(at).map_err(OpenError::io(path))?;
        self.verdict(link, at.min(reader.len()), fault, survey)
    }

    /// Torn or corrupt? See the module page.
    fn verdict(&mut self, link: &Link, at: u64, fault: &str, survey: Survey) -> Result<(), OpenError> {
        let durable = survey.durable_lsn.max(link.header.durable_lsn).max(self.options.durable_floor);
        let next = self.tail.last_lsn + 1;
        if survey.marked {
            let expected = "what a mark or seal behind it says was durable";
            return Err(OpenError::corrupt(&link.path, at, expected, fault));
        }
        // Also from behind the bad spot: what it names was published before it was noted.
        self.note(survey.anchor);
        if durable >= next {
            let expected = format!("the frame of LSN {next} (LSNs up to {durable} were durable)");
            return Err(OpenError::corrupt(&link.path, at, expected, fault));
        }
        self.recovery.torn = survey.bytes > 0;
        self.recovery.dropped_tail_bytes = survey.bytes;
        self.recovery.dropped_frames = survey.frames;
        Ok(())
    }

    /// Whether a valid frame is the one expected next, and not a leftover from a group that a crash took apart.
    fn follows(&self, header: &FrameHeader) -> bool {
        header.first_lsn == self.tail.last_lsn + 1 && header.prev_payload_crc == self.tail.chain_crc
    }

    fn note(&mut self, anchor: Option<Anchor>) {
        self.recovery.anchor = Anchor::newer(self.recovery.anchor, anchor);
    }

    /// Takes in the frame that follows. The inner error is a control frame that must not stand there.
    fn take(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<Result<(), FrameFault>, OpenError> {
        if header.control {
            self.tail.hlc = self.tail.hlc.max(header.hlc);
            return Ok(match Control::decode(header.kind, payload) {
                Ok(Control::Seal(_)) => Err(FrameFault::Field("a seal")),
                Ok(Control::Mark) => Ok(()),
                Ok(Control::Anchor(anchor)) => {
                    self.note(Some(anchor));
                    Ok(())
                }
                Err(fault) => Err(fault),
            });
        }
        self.tail = Tail {
            last_lsn: header.last_lsn(),
            chain_crc: header.payload_crc,
            hlc: self.tail.hlc.max(header.hlc),
        };
        if header.last_lsn() < self.options.replay_from {
            return Ok(Ok(()));
        }
        self.recovery.frames += 1;
        let (kind, first_lsn, op_count, hlc) = (header.kind, header.first_lsn, header.op_count, header.hlc);
        (self.visit)(Frame { kind, first_lsn, op_count, payload, hlc })
            .map_err(|source| OpenError::Visit { lsn: first_lsn, source })?;
        Ok(Ok(()))
    }
}

/// A control frame with right sums stands where it must not.
fn bad_note(path: &Path, at: u64, fault: FrameFault) -> OpenError {
    match fault {
        FrameFault::Unsupported(what) => unsupported(path, what),
        fault => {
            OpenError::corrupt(path, at, "a frame, or the successor that a seal names", fault.describe())
        }
    }
}

fn unsupported(path: &Path, what: &'static str) -> OpenError {
    OpenError::Unsupported { path: path.to_owned(), what }
}
