//! What can still be had from a damaged log: every intact frame, in order, and an account of what is missing.
//!
//! Frames are found in all files of the index at once, also in those whose header is damaged and in those that recovery
//! replaced but did not get to remove: what is damaged in one may be intact in the other. A file that recovery replaced,
//! or that has a successor, counts only up to where the later file says that the log went on without it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, Fs};

use crate::chain::Listing;
use crate::control::Control;
use crate::dump::Exhibit;
use crate::error::{Corruption, OpenError, VisitError};
use crate::frame::{Frame, FrameHeader};
use crate::header::{FILE_HEADER_LEN, FileHeader, FileName};
use crate::log::{Anchor, Lsn};
use crate::walk::{Damage, Found, Walk};

/// How many gaps and damaged places a report lists; the rest is only counted.
const LISTED_MAX: usize = 1000;

/// How many files are held open at once, each with a window.
const OPEN_MAX: usize = 4;

/// What a salvage found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// Log files of the index.
    pub files: u64,
    /// Frames visited.
    pub frames: u64,
    /// From this LSN on, every operation was visited or is in `gaps`; what came before, the log does not say.
    pub first_lsn: Lsn,
    /// Last LSN visited.
    pub last_lsn: Lsn,
    /// Whether there may have been frames behind the last one and the last gap: bytes there are damaged, or the file is
    /// missing in which the log went on.
    pub tail_damaged: bool,
    /// Highest LSN that anything in the log says was durable.
    pub durable_lsn: Lsn,
    /// The newest anchor that the log knows of.
    pub anchor: Option<Anchor>,
    /// LSNs that are missing, in order: the first thousand ranges.
    pub gaps: Vec<Gap>,
    /// How many ranges are missing.
    pub gap_count: u64,
    /// How many operations are missing.
    pub missing_operations: u64,
    /// Damaged places of files that count: the first thousand. A torn tail is one, too.
    pub damage: Vec<Corruption>,
    /// How many there are.
    pub damage_count: u64,
    /// Intact frames that were passed over since they do not go on from the frame before, which a later file has.
    pub stale_frames: u64,
    /// Names in the folder that do not provably belong to this log.
    pub ignored: Vec<String>,
}

/// A range of missing LSNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The first one missing.
    pub first_lsn: Lsn,
    /// The last one missing.
    pub last_lsn: Lsn,
}

/// A file to take frames from.
#[derive(Debug)]
struct Source {
    seq: u64,
    path: PathBuf,
    salt: u64,
    /// Frames behind this LSN are not part of the log's history.
    limit: Lsn,
    /// Whether a later file holds what this one does.
    replaced: bool,
    /// Where to go on.
    at: u64,
    /// Whether something is damaged behind the last frame that says what was there.
    trailing: bool,
    /// Where a seal stands, and the file that it names.
    seal: Option<(u64, u64)>,
    walk: Option<Walk>,
    /// The next frame that may be visited, and where it stands.
    next: Option<(FrameHeader, u64)>,
}

/// The frame visited last.
#[derive(Debug, Clone, Copy)]
struct Last {
    lsn: Lsn,
    chain_crc: u32,
    seq: u64,
}

struct Salvage<'a> {
    fs: &'a dyn Fs,
    report: SalvageReport,
    sources: Vec<Source>,
    /// Those that are open, the one used last at the end.
    open: VecDeque<usize>,
    last: Option<Last>,
    /// The LSN that must come next, if that is known.
    expected: Option<Lsn>,
    /// The newest file of which nobody can tell whose it is.
    unknown_seq: u64,
    /// The newest file with an intact header, and how far that says the files before it went.
    newest: Option<(u64, Lsn)>,
}

pub(crate) fn salvage(
    fs: &dyn Fs,
    dir: &Path,
    index: [u8; 16],
    visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
) -> Result<SalvageReport, OpenError> {
    let report = SalvageReport::default();
    let (sources, open) = (Vec::new(), VecDeque::new());
    let mut salvage =
        Salvage { fs, report, sources, open, last: None, expected: None, unknown_seq: 0, newest: None };
    salvage.find_sources(dir, index)?;
    salvage.run(visit)?;
    Ok(salvage.report)
}

impl Salvage<'_> {
    fn find_sources(&mut self, dir: &Path, index: [u8; 16]) -> Result<(), OpenError> {
        let listing = Listing::read(self.fs, dir)?;
        self.report.ignored = listing.ignored;
        let mut limits = Limits::default();
        for seq in listing.logs.into_iter().rev() {
            let name = FileName::Log(seq).text();
            let path = dir.join(&name);
            let exhibit = Exhibit::look(self.fs, &path);
            let Some(salt) = exhibit.salt().filter(|_| exhibit.index() == Some(index)) else {
                if let Err(reason) = exhibit.header {
                    self.unknown_seq = self.unknown_seq.max(seq);
                    self.note_damage(&path, 0, "a file header", reason);
                }
                self.report.ignored.push(name);
                continue;
            };
            self.report.files += 1;
            let (limit, replaced) = limits.of(seq);
            let trailing = exhibit.header.is_err();
            match exhibit.header {
                Ok(header) => {
                    self.report.durable_lsn = self.report.durable_lsn.max(header.durable_lsn);
                    self.report.anchor = Anchor::newer(header.anchor, self.report.anchor);
                    self.newest = self.newest.or(Some((seq, header.first_lsn - 1)));
                    if header.first_lsn <= limit {
                        let first = self.expected.map_or(header.first_lsn, |lsn| lsn.min(header.first_lsn));
                        self.expected = Some(first);
                    }
                    limits.learn(&header);
                }
                Err(reason) if !replaced => self.note_damage(&path, 0, "a file header", reason),
                Err(_) => {}
            }
            let (at, seal, walk, next) = (FILE_HEADER_LEN, None, None, None);
            self.sources.push(Source { seq, path, salt, limit, replaced, at, trailing, seal, walk, next });
        }
        if self.sources.is_empty() { Err(OpenError::Missing { dir: dir.to_owned() }) } else { Ok(()) }
    }

    /// Merges the sources: always the lowest LSN next, and where two have it, the later file.
    fn run(&mut self, visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>) -> Result<(), OpenError> {
        self.report.first_lsn = self.expected.unwrap_or(Lsn::MAX);
        let mut heap: BinaryHeap<_> =
            self.sources.iter().enumerate().map(|(i, s)| Reverse((0, Reverse(s.seq), i))).collect();
        while let Some(Reverse((_, seq, i))) = heap.pop() {
            if let Some((header, at)) = self.sources[i].next.take()
                && self.is_next(&header, self.sources[i].seq)
            {
                self.visit(i, &header, at, visit)?;
            }
            if let Err(e) = self.advance(i) {
                let (path, at) = (self.sources[i].path.clone(), self.sources[i].at);
                self.sources[i].trailing = true;
                self.note_damage(&path, at, "a frame", e.to_string());
            } else if let Some((header, _)) = &self.sources[i].next {
                heap.push(Reverse((header.first_lsn, seq, i)));
            }
        }
        let first = self.expected.unwrap_or(1);
        self.report.first_lsn = self.report.first_lsn.min(first);
        let last = self.newest.map_or(0, |(_, lsn)| lsn).max(self.report.durable_lsn);
        if last >= first {
            self.note_gap(first, last);
        }
        self.look_at_the_end();
        self.report.damage.sort_by(|a, b| (&a.file, a.offset).cmp(&(&b.file, b.offset)));
        Ok(())
    }

    /// Whether anything says that there was more. Damage before the last frame is no such thing: its LSN tells. Nor is any
    /// before the last file: its header tells. A crash may leave a torn seal there.
    fn look_at_the_end(&mut self) {
        let testified = self.newest.map_or(0, |(seq, _)| seq);
        let last_seq = self.last.map_or(0, |last| last.seq).max(testified);
        let trails = |s: &Source| s.trailing && !s.replaced && s.seq >= last_seq;
        self.report.tail_damaged = self.unknown_seq > last_seq || self.sources.iter().any(trails);
        // A file is sealed only when its successor is there, and from then on a later file always is.
        let Some(newest) = self.sources.iter().max_by_key(|s| s.seq) else { return };
        if let Some((at, next)) = newest.seal.filter(|_| newest.seq > self.unknown_seq) {
            let path = newest.path.clone();
            self.report.tail_damaged = true;
            self.note_damage(&path, at, &format!("a later file: the seal names {next}"), "none".to_owned());
        }
    }

    /// Whether a frame goes on from the last one, as far as that can be told.
    fn is_next(&mut self, header: &FrameHeader, seq: u64) -> bool {
        let Some(last) = self.last else { return true };
        if header.first_lsn <= last.lsn {
            return false;
        }
        let breaks = header.first_lsn == last.lsn + 1 && header.prev_payload_crc != last.chain_crc;
        self.report.stale_frames += u64::from(breaks && seq < last.seq);
        !breaks || seq >= last.seq
    }

    fn visit(
        &mut self,
        i: usize,
        header: &FrameHeader,
        at: u64,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
    ) -> Result<(), OpenError> {
        let (kind, first_lsn, op_count, hlc) = (header.kind, header.first_lsn, header.op_count, header.hlc);
        // The file may have been closed and opened again since the frame was found.
        let payload = self.walk(i).and_then(|walk| Ok(walk.payload(at, header)?.map(<[u8]>::to_vec)));
        let payload = match payload {
            Ok(Some(payload)) => payload,
            gone => {
                let reason = gone.err().map_or("a frame that was there before".to_owned(), |e| e.to_string());
                let damage = Damage { at, len: header.frame_len(), reason, durable_lsn: header.durable_lsn };
                self.note_damaged_place(i, damage);
                return Ok(());
            }
        };
        if let Some(expected) = self.expected.filter(|lsn| *lsn < first_lsn) {
            self.note_gap(expected, first_lsn - 1);
        }
        let (lsn, chain_crc, seq) = (header.last_lsn(), header.payload_crc, self.sources[i].seq);
        self.last = Some(Last { lsn, chain_crc, seq });
        self.expected = Some(lsn.saturating_add(1));
        self.report.first_lsn = self.report.first_lsn.min(first_lsn);
        self.report.frames += 1;
        self.report.last_lsn = lsn;
        visit(Frame { kind, first_lsn, op_count, payload: &payload, hlc })
            .map_err(|source| OpenError::Visit { lsn: first_lsn, source })
    }

    /// Goes to the next frame of a source that may be visited, if there is one, noting what lies before it.
    fn advance(&mut self, i: usize) -> io::Result<()> {
        loop {
            let visited = self.report.last_lsn;
            let walk = self.walk(i)?;
            let (mut anchor, mut seal) = (None, None);
            let found = walk.step()?.map(|found| match found {
                Found::Frame { at, header, payload } => {
                    let control = header.control.then(|| Control::decode(header.kind, payload));
                    match control {
                        Some(Ok(Control::Anchor(noted))) => anchor = Some(noted),
                        Some(Ok(Control::Seal(next))) => seal = Some((at, next)),
                        _ => {}
                    }
                    Ok((header, at))
                }
                Found::Damage(damage) => Err(damage),
            });
            let at = walk.at();
            self.report.anchor = Anchor::newer(self.report.anchor, anchor);
            let source = &mut self.sources[i];
            source.at = at;
            source.seal = seal.or(source.seal);
            match found {
                None => {
                    source.walk = None;
                    self.open.retain(|open| *open != i);
                    return Ok(());
                }
                Some(Err(damage)) => self.note_damaged_place(i, damage),
                Some(Ok((header, at))) => {
                    self.report.durable_lsn = self.report.durable_lsn.max(header.durable_lsn);
                    // What a frame states to be durable is missed if it is not there.
                    if !header.control || header.durable_lsn >= header.last_lsn() {
                        source.trailing = false;
                    }
                    let counts = header.first_lsn > visited && header.last_lsn() <= source.limit;
                    if counts && !header.control {
                        source.next = Some((header, at));
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The open walk of a source; another one is closed for it if need be.
    fn walk(&mut self, i: usize) -> io::Result<&mut Walk> {
        self.open.retain(|open| *open != i);
        if self.open.len() >= OPEN_MAX
            && let Some(oldest) = self.open.pop_front()
        {
            self.sources[oldest].walk = None;
        }
        self.open.push_back(i);
        let source = &mut self.sources[i];
        match &mut source.walk {
            Some(walk) => Ok(walk),
            slot => {
                let file = self.fs.open(&source.path, Access::Read)?;
                Ok(slot.insert(Walk::new(file, source.salt, source.at)?))
            }
        }
    }

    fn note_gap(&mut self, first_lsn: Lsn, last_lsn: Lsn) {
        self.report.gap_count += 1;
        self.report.missing_operations =
            self.report.missing_operations.saturating_add(last_lsn - first_lsn).saturating_add(1);
        if self.report.gaps.len() < LISTED_MAX {
            self.report.gaps.push(Gap { first_lsn, last_lsn });
        }
    }

    fn note_damaged_place(&mut self, i: usize, damage: Damage) {
        self.report.durable_lsn = self.report.durable_lsn.max(damage.durable_lsn);
        self.sources[i].trailing = true;
        if !self.sources[i].replaced {
            let path = self.sources[i].path.clone();
            self.note_damage(&path, damage.at, "a frame", damage.reason);
        }
    }

    fn note_damage(&mut self, file: &Path, offset: u64, expected: &str, found: String) {
        self.report.damage_count += 1;
        if self.report.damage.len() < LISTED_MAX {
            let (file, expected) = (file.to_owned(), expected.to_owned());
            self.report.damage.push(Corruption { file, offset, expected, found });
        }
    }
}

/// How far older files count, by what the intact headers of later ones say.
#[derive(Debug)]
struct Limits {
    /// What the files seen so far were opened with at the latest.
    durable: Lsn,
    /// By the number of a predecessor: where its successor says that it ends.
    ends: BTreeMap<u64, Lsn>,
    /// Numbers of files that a later one stands in for: from the end of each range down to its start, both excluded.
    replaced: Vec<(u64, u64)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { durable: Lsn::MAX, ends: BTreeMap::new(), replaced: Vec::new() }
    }
}

impl Limits {
    /// A file has a header; every file asked about from now on is older.
    fn learn(&mut self, header: &FileHeader) {
        let before = header.predecessor.map_or(0, |p| p.seq);
        self.durable = self.durable.min(header.durable_lsn);
        if let Some(end) = header.predecessor {
            let known = self.ends.entry(end.seq).or_insert(end.last_lsn);
            *known = end.last_lsn.min(*known);
        }
        self.replaced.push((before, header.seq));
    }

    /// Up to which LSN the file counts, and whether a later one stands in for it.
    fn of(&self, seq: u64) -> (Lsn, bool) {
        let end = self.ends.range(seq..).map(|(_, lsn)| *lsn).min().unwrap_or(Lsn::MAX);
        let replaced = self.replaced.iter().any(|(before, after)| *before < seq && seq < *after);
        (self.durable.min(end), replaced)
    }
}
