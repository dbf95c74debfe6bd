//! Room on the disk: when it gets short new data is refused first, and a ballast is dropped so that deleting, committing
//! and compacting still fit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use vectra_core::env::Rng;
use vectra_core::io::{Access, Fs};

use super::upkeep::Upkeep;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::total;
use crate::snapshot::ShardState;

/// The reserve on a large volume.
const RESERVE_MAX: u64 = 1 << 30;
/// Bytes of log between two looks at the volume, at most.
const LOOK_EVERY: u64 = 8 << 20;
/// What a commit, and the start of a log file, take besides the data itself.
const SLACK: u64 = 64 << 10;
/// Data from which a ballast is kept, and how small and large it is.
const BALLAST_FROM: u64 = 256 << 20;
const BALLAST_MIN: u64 = 1 << 20;
const BALLAST_MAX: u64 = 64 << 20;
const BALLAST: &str = "ballast";
/// The ballast is written in pieces of this size.
const PIECE: usize = 64 << 10;

/// Gives up the ballast of an index that is not open yet; whether there was one.
pub(crate) fn drop_ballast(fs: &dyn Fs, root: &Path) -> bool {
    let dropped = fs.remove(&root.join(BALLAST)).is_ok();
    if dropped {
        tracing::warn!("the disk is full: the ballast was dropped");
    }
    dropped
}

/// What is known of the volume.
#[derive(Debug)]
pub(crate) struct Space {
    fs: Arc<dyn Fs>,
    root: PathBuf,
    /// New data is refused while less than this is free; 0 asks nothing.
    reserve: u64,
    /// The size of the ballast; by the size of the index unless somebody chose it.
    ballast_wanted: Option<u64>,
    /// Free bytes when last asked.
    free: AtomicU64,
    /// Bytes written to the log since.
    since: AtomicU64,
    /// The size of the ballast on disk.
    ballast: Mutex<u64>,
}

impl Space {
    /// Looks at the volume that holds `root`, and for a ballast that an earlier run left.
    pub(crate) fn new(fs: Arc<dyn Fs>, root: &Path, upkeep: &Upkeep) -> Self {
        let reserve = upkeep.disk_reserve.unwrap_or_else(|| {
            let tenth = fs.total_space(root).map_or(RESERVE_MAX, |total| total / 10);
            tenth.min(RESERVE_MAX)
        });
        let ballast = fs.open(&root.join(BALLAST), Access::Read).and_then(|file| file.len()).unwrap_or(0);
        let space = Self {
            fs,
            root: root.to_owned(),
            reserve,
            ballast_wanted: upkeep.ballast_bytes,
            free: AtomicU64::new(u64::MAX),
            since: AtomicU64::new(0),
            ballast: Mutex::new(ballast),
        };
        space.look();
        space
    }

    /// Asks how much is free. A volume that does not say counts as empty: then a failing write has to tell.
    fn look(&self) -> u64 {
        if self.reserve == 0 {
            return u64::MAX;
        }
        let free = self.fs.free_space(&self.root).unwrap_or(u64::MAX);
        self.free.store(free, Ordering::Relaxed);
        self.since.store(0, Ordering::Relaxed);
        free
    }

    /// Takes down that a part was written, so that what was free before is not counted on.
    pub(crate) fn wrote(&self, bytes: u64) {
        let taken = |free: u64| Some(free.saturating_sub(bytes));
        let _always_some = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
    }

    /// After how many bytes it is time for another look.
    fn look_every(&self) -> u64 {
        (self.reserve / 8).clamp(4 << 10, LOOK_EVERY)
    }

    fn ballast_path(&self) -> PathBuf {
        self.root.join(BALLAST)
    }

    /// Gives the ballast up; whether there was one.
    pub(super) fn drop_ballast(&self) -> bool {
        let mut ballast = self.ballast.lock();
        if *ballast == 0 || self.fs.remove(&self.ballast_path()).is_err() {
            return false;
        }
        tracing::warn!(bytes = *ballast, "the disk is nearly full: the ballast was dropped");
        *ballast = 0;
        true
    }

    /// Makes a ballast where there is room for it, or a larger one for an index that has grown.
    fn tend_ballast(&self, data: u64, unsealed: u64, rng: &dyn Rng) {
        let by_size = if data < BALLAST_FROM { 0 } else { (data / 100).clamp(BALLAST_MIN, BALLAST_MAX) };
        let wanted = self.ballast_wanted.unwrap_or(by_size);
        let mut ballast = self.ballast.lock();
        if self.reserve == 0 || *ballast >= wanted.div_ceil(2) {
            return;
        }
        // Twice, so that it is not dropped again at once.
        let needed = self.reserve.saturating_add(unsealed).saturating_add(wanted.saturating_mul(2));
        if self.look() < needed {
            return;
        }
        match self.write_ballast(wanted, rng) {
            Ok(()) => *ballast = wanted,
            Err(error) => {
                tracing::warn!(%error, "no ballast could be written");
                *ballast = 0;
                let _gone_or_tried_again = self.fs.remove(&self.ballast_path());
            }
        }
    }

    /// Writes noise: zeros might take no place on a volume that compresses. Nothing is synced, since nobody ever reads it.
    fn write_ballast(&self, bytes: u64, rng: &dyn Rng) -> io::Result<()> {
        match self.fs.remove(&self.ballast_path()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = self.fs.create_new(&self.ballast_path())?;
        for at in (0..bytes).step_by(PIECE) {
            let len = (bytes - at).min(PIECE as u64) as usize;
            let noise = (0..len.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes());
            file.write_all_at(&noise.take(len).collect::<Vec<u8>>(), at)?;
        }
        Ok(())
    }
}

impl Engine {
    /// Refuses a batch of `bytes` for which there is no room, before anything of it exists. One that `grows` the index
    /// is refused while there is still room to delete and to compact.
    pub(crate) fn admit(&self, bytes: u64, grows: bool) -> Result<()> {
        let space = &self.maintenance.space;
        if space.reserve == 0 {
            return Ok(());
        }
        let since = space.since.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        // What waits in memory becomes parts, and so does what was logged since.
        let needed =
            space.reserve.saturating_add(self.unsealed_bytes()).saturating_add(since.saturating_mul(2));
        // Near the end somebody else may have taken the last of it a moment ago: then each batch looks.
        let is_roomy = space.free.load(Ordering::Relaxed) > needed.saturating_add(space.reserve);
        if since < space.look_every() && is_roomy {
            return Ok(());
        }
        let free = space.look();
        if grows && free < space.reserve.saturating_add(self.unsealed_bytes()).saturating_add(bytes) {
            return Err(no_room(
                format!("only {free} bytes are free where the index is; it takes no new data"),
                "delete items, call `compact`, or make room on the disk; deletes go on",
            ));
        }
        if free < bytes.saturating_mul(2).saturating_add(SLACK) {
            space.drop_ballast();
            let free = space.look();
            if free < bytes.saturating_add(SLACK) {
                return Err(no_room(
                    format!("only {free} bytes are free where the index is, too few to log this"),
                    "make room on the disk; nothing was written",
                ));
            }
        }
        Ok(())
    }

    /// Refuses to go on with a load that still has to write `bytes` if that would take of the reserve; after how many
    /// bytes to ask again.
    pub(crate) fn admit_load(&self, bytes: u64) -> Result<u64> {
        let space = &self.maintenance.space;
        let (free, every) = (space.look(), space.look_every());
        let soon = bytes.saturating_add(every);
        let needed = space.reserve.saturating_add(self.unsealed_bytes()).saturating_add(soon);
        if space.reserve > 0 && free < needed {
            return Err(no_room(
                format!("only {free} bytes are free where the index is, too few for the load"),
                "nothing was loaded: make room on the disk or load less; deletes go on",
            ));
        }
        Ok(every)
    }

    /// Makes sure that `bytes` fit on the disk; gives up what the last generation keeps for it. What somebody `asked` for
    /// may use the reserve and the ballast, too.
    pub(super) fn require_room(&self, bytes: u64, asked: bool) -> Result<()> {
        let space = &self.maintenance.space;
        let needed = bytes.saturating_add(SLACK).saturating_add(if asked { 0 } else { space.reserve });
        let fits = || space.look() >= needed;
        if fits() {
            return Ok(());
        }
        if !self.summary().settled {
            self.settle()?;
            if fits() {
                return Ok(());
            }
        }
        if asked && space.drop_ballast() && fits() {
            return Ok(());
        }
        Err(no_room(
            format!("rewriting segments takes {bytes} bytes, and {} are free", space.look()),
            "delete more items or make room on the disk",
        ))
    }

    /// Refuses to seal `bytes` that nobody asked for where too little would be left for the log: otherwise seals that wait for
    /// room take the ballast from the deletes that it was dropped for.
    pub(crate) fn leave_room_to_delete(&self, bytes: u64) -> Result<()> {
        let space = &self.maintenance.space;
        let free = space.look();
        if free < bytes.saturating_add((space.reserve / 2).min(LOOK_EVERY)) {
            return Err(no_room(
                format!("sealing takes {bytes} bytes, and {free} are free"),
                "delete items, call `compact`, or make room on the disk",
            ));
        }
        Ok(())
    }

    /// Whether there is room for the small files that tidying up takes.
    pub(super) fn has_slack(&self) -> bool {
        self.maintenance.space.look() >= SLACK
    }

    /// Keeps a ballast as large as the index asks for.
    pub(crate) fn tend_ballast(&self) {
        let state = self.cell.load();
        let views = state.shards.iter().flat_map(|shard| &shard.sealed);
        let data = total(views.flat_map(|view| view.segment.entry.parts()));
        self.maintenance.space.tend_ballast(data, self.unsealed_bytes(), &*self.env.rng);
    }

    /// What the rows in memory will take on disk, about: their vectors, and codes of a quarter of that.
    fn unsealed_bytes(&self) -> u64 {
        let bytes = |shard: &ShardState| shard.unsealed().map(|s| s.bytes() as u64).sum::<u64>();
        self.cell.load().shards.iter().map(|shard| bytes(shard)).sum::<u64>() / 4 * 5
    }
}

fn no_room(what: String, advice: &str) -> Error {
    Error::new(ErrorKind::Full, format!("{what}; {advice}"))
}

#[cfg(test)]
mod tests {
    use vectra_core::env::SeededRng;
    use vectra_core::io::sim::{CrashModel, SimFs};

    use super::*;

    fn space(quota: u64, ballast: u64) -> (SimFs, Space) {
        let fs = SimFs::new(1, CrashModel::WeakPosix);
        fs.quota(quota);
        fs.mkdir(Path::new("/index")).expect("an empty disk");
        let upkeep = Upkeep { ballast_bytes: Some(ballast), ..Upkeep::default() };
        let space = Space::new(Arc::new(fs.clone()), Path::new("/index"), &upkeep);
        (fs, space)
    }

    #[test]
    fn a_tenth_of_a_small_volume_is_kept_free() {
        assert_eq!(space(1 << 20, 0).1.reserve, (1 << 20) / 10);
        assert_eq!(space(u64::MAX, 0).1.reserve, RESERVE_MAX);
    }

    #[test]
    fn the_ballast_takes_its_place_and_gives_it_back() {
        let (fs, space) = space(1 << 20, 100_000);
        space.tend_ballast(0, 0, &SeededRng::new(1));
        assert_eq!(space.look(), (1 << 20) - 100_000, "really written");
        let again = Space::new(Arc::new(fs.clone()), Path::new("/index"), &Upkeep::default());
        assert_eq!(*again.ballast.lock(), 100_000, "found by the next run");
        assert!(space.drop_ballast() && !space.drop_ballast());
        assert_eq!(space.look(), 1 << 20);
        let mut foreign = fs.create_new(Path::new("/other")).expect("room");
        foreign.write_all_at(&vec![7; 800_000], 0).expect("room");
        space.tend_ballast(0, 0, &SeededRng::new(1));
        assert_eq!(*space.ballast.lock(), 0, "not while it would be dropped again");
        foreign.set_len(0).expect("smaller");
        foreign = fs.create_new(Path::new("/third")).expect("room");
        drop(foreign);
        space.tend_ballast(0, 0, &SeededRng::new(1));
        assert_eq!(*space.ballast.lock(), 100_000);
    }

    #[test]
    fn a_large_index_has_a_ballast_of_a_hundredth() {
        let (_fs, mut space) = space(u64::MAX, 0);
        space.ballast_wanted = None;
        space.tend_ballast(BALLAST_FROM - 1, 0, &SeededRng::new(1));
        assert_eq!(*space.ballast.lock(), 0);
        space.tend_ballast(BALLAST_FROM, 0, &SeededRng::new(1));
        assert_eq!(*space.ballast.lock(), BALLAST_FROM / 100);
    }
}
