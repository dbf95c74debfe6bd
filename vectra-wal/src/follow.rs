//! Following a log that another process writes: every durable frame once, and not a byte is changed.
//!
//! What the log itself says is durable lags behind: a frame tells about those before it. So whoever follows makes
//! durable what it read before it shows it: a sync through a handle that only reads does that as well as the writer's
//! own. Where that is not possible, frames are held back until the log says that they are durable.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use vectra_core::io::{Access, File, Fs};

use crate::chain::{Chain, Link};
use crate::control::Control;
use crate::error::{OpenError, VisitError};
use crate::file_log::Options;
use crate::frame::{CONTROL_SEAL, Frame, FrameFault, FrameHeader};
use crate::header::{FILE_HEADER_LEN, Predecessor};
use crate::log::{Anchor, LogStats, Lsn};
use crate::reader::FrameReader;

/// How often a file that is sealed while it is read is followed by its successor in one go.
const ROUNDS_MAX: u32 = 64;
/// How often a place that looks damaged is looked at again.
const GLANCES_MAX: u32 = 3;

/// Takes in one durable frame.
type Visit<'a, 'v> = &'a mut (dyn FnMut(Frame<'_>) -> Result<(), VisitError> + 'v);

/// How far [`LogTail::advance`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Every frame up to this LSN was shown; behind it nothing is known to be durable.
    UpTo(Lsn),
    /// The place where reading stopped is gone: the log was recovered, or cut off behind it. Only a new [`LogTail`] helps.
    Elsewhere,
}

/// A place in the log, and what led there.
#[derive(Debug, Clone, Copy)]
struct Place {
    seq: u64,
    salt: u64,
    offset: u64,
    last_lsn: Lsn,
    chain_crc: u32,
}

/// A frame that was read but may not be durable yet.
#[derive(Debug)]
struct Held {
    header: FrameHeader,
    payload: Vec<u8>,
}

/// What stopped the reading of a file.
#[derive(Debug)]
enum End {
    /// There is nothing more yet.
    Open,
    /// The file has a successor by now.
    Sealed,
}

/// Reads a log from outside, as far as it is durable, while its owner may go on writing, rotating and truncating.
#[derive(Debug)]
pub struct LogTail {
    dir: PathBuf,
    options: Options,
    place: Option<Place>,
    held: VecDeque<Held>,
    durable_lsn: Lsn,
    /// The file whose name is known to be durable.
    named: Option<u64>,
    /// A sync failed: what the next one says is not to be believed.
    distrusted: bool,
    anchor: Option<Anchor>,
    stats: LogStats,
}

impl LogTail {
    /// Follows the log in `dir`; reads nothing yet. Of the options, `index`, `replay_from` and `durable_floor` matter.
    pub fn new(dir: &Path, options: Options) -> Self {
        Self {
            dir: dir.to_owned(),
            durable_lsn: options.durable_floor,
            options,
            place: None,
            held: VecDeque::new(),
            named: None,
            distrusted: false,
            anchor: None,
            stats: LogStats::default(),
        }
    }

    /// Shows `visit` every durable frame that was not shown yet, in LSN order.
    ///
    /// After an error only a new `LogTail` helps. What looks like damage, or like a missing file, may be a glance at a
    /// moment of change: it is damage if it stays.
    ///
    /// # Errors
    /// `Missing`, `Corruption`, `Unsupported`, `Visit` or `Io`.
    pub fn advance(
        &mut self,
        fs: &dyn Fs,
        visit: &mut dyn FnMut(Frame<'_>) -> Result<(), VisitError>,
    ) -> Result<Progress, OpenError> {
        for _ in 0..ROUNDS_MAX {
            let mut options = self.options.clone();
            if let Some(place) = &self.place {
                options.replay_from = options.replay_from.max(place.last_lsn + 1);
            }
            let chain = Chain::load(fs, &self.dir, &options)?;
            let Some(first) = self.enter(&chain) else { return Ok(Progress::Elsewhere) };
            self.stats.files = chain.links.len() as u64;
            self.stats.bytes = chain.links.iter().filter_map(|link| Some(link.header.predecessor?.len)).sum();
            match self.read(fs, &chain.links[first..], visit)? {
                End::Sealed => {}
                End::Open => break,
            }
        }
        let shown = self.held.front().map(|held| held.header.first_lsn - 1);
        let place = self.place.as_ref().expect("the first file of the chain was entered");
        self.stats.bytes += place.offset;
        Ok(Progress::UpTo(shown.unwrap_or(place.last_lsn)))
    }

    /// The newest anchor that the log has noted in what was read so far: what the owner's newest must not be older
    /// than. The owner publishes before it notes.
    pub fn anchor(&self) -> Option<Anchor> {
        self.anchor
    }

    /// Files and bytes as they were last seen, and the frames shown.
    pub fn stats(&self) -> LogStats {
        self.stats
    }

    /// Where in the chain reading goes on; nothing if the place is gone.
    fn enter(&mut self, chain: &Chain) -> Option<usize> {
        let Some(place) = self.place else {
            let oldest = &chain.links[0].header;
            self.place = Some(Place {
                seq: oldest.seq,
                salt: oldest.salt,
                offset: FILE_HEADER_LEN,
                last_lsn: oldest.first_lsn - 1,
                chain_crc: oldest.chain_crc(),
            });
            return Some(0);
        };
        let same = |link: &Link| link.header.seq == place.seq && link.header.salt == place.salt;
        // The file was read to its end and is gone.
        let behind = |link: &Link| {
            let before = link.header.predecessor;
            before.is_some_and(|before| {
                (before.seq, before.last_lsn, before.len, before.chain_crc)
                    == (place.seq, place.last_lsn, place.offset, place.chain_crc)
            })
        };
        let at = chain.links.iter().position(same);
        at.or_else(|| {
            let at = chain.links.iter().position(behind)?;
            self.begin(&chain.links[at]);
            Some(at)
        })
    }

    /// Goes on at the beginning of the next file.
    fn begin(&mut self, link: &Link) {
        let place = self.place.as_mut().expect("a file came before");
        (place.seq, place.salt, place.offset) = (link.header.seq, link.header.salt, FILE_HEADER_LEN);
    }

    fn read(&mut self, fs: &dyn Fs, links: &[Link], visit: Visit<'_, '_>) -> Result<End, OpenError> {
        for (at, link) in links.iter().enumerate() {
            if at > 0 {
                self.begin(link);
            }
            self.anchor = Anchor::newer(self.anchor, link.header.anchor);
            self.raise(link.header.durable_lsn, visit)?;
            match links.get(at + 1).and_then(|next| next.header.predecessor) {
                Some(before) => {
                    // A file gets a successor only once it is durable.
                    self.raise(before.last_lsn, visit)?;
                    self.sealed_file(fs, link, before, visit)?;
                }
                None => return self.open_file(fs, link, visit),
            }
        }
        unreachable!("a chain has a newest link")
    }

    /// A file with a successor: holds exactly what the successor says.
    fn sealed_file(
        &mut self,
        fs: &dyn Fs,
        link: &Link,
        before: Predecessor,
        visit: Visit<'_, '_>,
    ) -> Result<(), OpenError> {
        let path = &link.path;
        if before.last_lsn < self.options.replay_from {
            let place = self.place.as_mut().expect("entered");
            (place.offset, place.last_lsn, place.chain_crc) = (before.len, before.last_lsn, before.chain_crc);
            return Ok(());
        }
        let file = fs.open(path, Access::Read).map_err(OpenError::io(path))?;
        let mut reader = FrameReader::new(file, link.header.salt).map_err(OpenError::io(path))?;
        loop {
            let place = self.place.expect("entered");
            if place.offset >= before.len {
                let found = (place.offset, place.last_lsn, place.chain_crc);
                if found == (before.len, before.last_lsn, before.chain_crc) {
                    return Ok(());
                }
                let expected = format!("the end, after LSN {}, as the next file states it", before.last_lsn);
                let found = format!("the end after LSN {}", place.last_lsn);
                return Err(OpenError::corrupt(path, place.offset, expected, found));
            }
            if let Some(fault) = self.frame(path, &mut reader, visit)? {
                let expected = format!("the frame of LSN {}", place.last_lsn + 1);
                return Err(OpenError::corrupt(path, place.offset, expected, fault.text()));
            }
        }
    }

    /// The newest file, which may grow at this moment.
    fn open_file(&mut self, fs: &dyn Fs, link: &Link, visit: Visit<'_, '_>) -> Result<End, OpenError> {
        let path = &link.path;
        let mut glances = 0;
        loop {
            let file = fs.open(path, Access::Read).map_err(OpenError::io(path))?;
            let mut reader = FrameReader::new(file, link.header.salt).map_err(OpenError::io(path))?;
            let from = self.place.expect("entered").last_lsn;
            let stop = loop {
                match self.frame(path, &mut reader, visit)? {
                    None => {}
                    Some(Stop::Sealed) => return Ok(End::Sealed),
                    Some(stop) => break stop,
                }
            };
            let place = self.place.expect("entered");
            let (at, next) = (place.offset.min(reader.len()), place.last_lsn + 1);
            let survey = reader.survey(at).map_err(OpenError::io(path))?;
            let durable = survey.durable_lsn.max(self.durable_lsn);
            if durable < next && !survey.marked {
                if !self.held.is_empty() && self.make_durable(fs, reader.file(), link.header.seq) {
                    self.raise(place.last_lsn, visit)?;
                }
                return Ok(End::Open);
            }
            // What was written between two glances is whole at the next one; damage is not.
            glances = if place.last_lsn > from { 0 } else { glances + 1 };
            if glances > GLANCES_MAX {
                let expected = format!("the frame of LSN {next} (LSNs up to {durable} were durable)");
                return Err(OpenError::corrupt(path, at, expected, stop.text()));
            }
        }
    }

    /// Makes durable what was read from the newest file; false if that cannot be known.
    fn make_durable(&mut self, fs: &dyn Fs, file: &dyn File, seq: u64) -> bool {
        if self.distrusted {
            return false;
        }
        let synced = file
            .sync_data()
            .and_then(|()| if self.named == Some(seq) { Ok(()) } else { fs.sync_dir(&self.dir) });
        match synced {
            Ok(()) => self.named = Some(seq),
            Err(_) => self.distrusted = true,
        }
        !self.distrusted
    }

    /// Takes in the next frame; says why there is none.
    fn frame(
        &mut self,
        path: &Path,
        reader: &mut FrameReader,
        visit: Visit<'_, '_>,
    ) -> Result<Option<Stop>, OpenError> {
        let place = self.place.expect("entered");
        let (header, payload) = match reader.frame(place.offset).map_err(OpenError::io(path))? {
            Ok(frame) => frame,
            Err(FrameFault::Unsupported(what)) => {
                return Err(OpenError::Unsupported { path: path.to_owned(), what });
            }
            Err(fault) => return Ok(Some(Stop::Fault(fault))),
        };
        if header.control && header.kind == CONTROL_SEAL {
            return Ok(Some(Stop::Sealed));
        }
        if header.first_lsn != place.last_lsn + 1 || header.prev_payload_crc != place.chain_crc {
            return Ok(Some(Stop::Another));
        }
        self.raise(header.durable_lsn, visit)?;
        let place = self.place.as_mut().expect("entered");
        place.offset += header.frame_len();
        if header.control {
            // A note of the log to itself: it holds no operations.
            if let Ok(Control::Anchor(noted)) = Control::decode(header.kind, payload) {
                self.anchor = Anchor::newer(self.anchor, Some(noted));
            }
            return Ok(None);
        }
        (place.last_lsn, place.chain_crc) = (header.last_lsn(), header.payload_crc);
        if header.last_lsn() <= self.durable_lsn && self.held.is_empty() {
            self.show(&header, payload, visit)?;
        } else {
            self.held.push_back(Held { header, payload: payload.to_vec() });
        }
        Ok(None)
    }

    /// Everything up to `lsn` is durable: what was held back up to there is shown.
    fn raise(&mut self, lsn: Lsn, visit: Visit<'_, '_>) -> Result<(), OpenError> {
        self.durable_lsn = self.durable_lsn.max(lsn);
        while let Some(held) = self.held.pop_front_if(|held| held.header.last_lsn() <= self.durable_lsn) {
            self.show(&held.header, &held.payload, visit)?;
        }
        Ok(())
    }

    fn show(&mut self, header: &FrameHeader, payload: &[u8], visit: Visit<'_, '_>) -> Result<(), OpenError> {
        if header.last_lsn() < self.options.replay_from {
            return Ok(());
        }
        self.stats.frames += 1;
        let (kind, first_lsn, op_count, hlc) = (header.kind, header.first_lsn, header.op_count, header.hlc);
        visit(Frame { kind, first_lsn, op_count, payload, hlc })
            .map_err(|source| OpenError::Visit { lsn: first_lsn, source })
    }
}

/// Why there is no next frame at a place.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Sealed,
    Another,
    Fault(FrameFault),
}

impl Stop {
    fn text(self) -> &'static str {
        match self {
            Self::Sealed => "the seal",
            Self::Another => "another frame",
            Self::Fault(fault) => fault.describe(),
        }
    }
}
