//! Named checkpoints: states of the index that keep their name, and their parts, until they are dropped.

mod materialize;

pub(crate) use materialize::Materialized;

use std::sync::Arc;

use crate::engine::{Committed, Engine};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::manifest::{Checkpoint, Manifest, SegmentEntry};
use crate::read::Snapshot;
use crate::segment::mutable;
use crate::segment::open::open_segment;
use crate::snapshot::{ShardState, State};

/// The most checkpoints an index may have: all of them are in its manifest, which is written with every commit.
const CHECKPOINTS_MAX: usize = 1024;
/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// A named state of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointInfo {
    /// Its name.
    pub name: String,
    /// It holds every write up to this LSN and none beyond.
    pub lsn: u64,
    /// When it was made, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl CheckpointInfo {
    fn of(checkpoint: &Checkpoint) -> Self {
        Self { name: checkpoint.name.clone(), lsn: checkpoint.lsn, unix_ms: checkpoint.unix_ms }
    }
}

/// Checkpoints: the index as it was, under a name, for as long as it is wanted.
impl Index {
    /// Keeps the present state under `name`: everything acknowledged so far, made durable.
    ///
    /// Writers go on meanwhile. What a checkpoint shares with the index costs nothing; unsealed rows are written once
    /// more. When this returns, the checkpoint survives crashes, compaction and reopening.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is not 1 to 64 of `a-z`, `0-9`, `_`, `-`; [`ErrorKind::Conflict`] if
    /// there is a checkpoint of this name; [`ErrorKind::Full`]; [`ErrorKind::Io`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// use vectra::{Index, Item, Settings};
    ///
    /// let index = Index::create(folder.path().join("films"), Settings::new(2))?;
    /// index.insert_item(Item::new("alien", [1.0, 0.0]))?;
    /// index.create_checkpoint("before-cleaning")?;
    /// index.delete_item("alien")?;
    /// assert!(index.get_item("alien")?.is_none());
    /// assert!(index.at_checkpoint("before-cleaning")?.get_item("alien")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn create_checkpoint(&self, name: &str) -> Result<CheckpointInfo> {
        self.engine.check_open()?;
        check_name(name)?;
        self.engine.create_checkpoint(name)
    }

    /// The checkpoints, by name.
    pub fn checkpoints(&self) -> Vec<CheckpointInfo> {
        self.engine.committed.lock().newest.checkpoints.iter().map(CheckpointInfo::of).collect()
    }

    /// Forgets a checkpoint. Snapshots of it that are open stay readable; the space that only it needs comes back with
    /// the commits that follow, at the latest with [`Index::compact`] or [`Index::close`].
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of this name, [`ErrorKind::Io`].
    pub fn drop_checkpoint(&self, name: &str) -> Result<()> {
        self.engine.check_open()?;
        let mut committed = self.engine.committed.lock();
        let at = position(&committed.newest.checkpoints, name).map_err(|_| unknown(name))?;
        let mut manifest = committed.newest.clone();
        manifest.checkpoints.remove(at);
        self.engine.commit_twice(&mut committed, manifest)?;
        self.engine.tidy_up(&committed);
        Ok(())
    }

    /// The index as it was when the checkpoint `name` was made.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none of this name, [`ErrorKind::Corrupt`] if its parts are damaged,
    /// [`ErrorKind::Io`].
    pub fn at_checkpoint(&self, name: &str) -> Result<Snapshot> {
        let engine = &self.engine;
        engine.check_open()?;
        let state = Arc::new(engine.at_checkpoint(name)?);
        Ok(Snapshot { context: Arc::clone(&engine.context), state, pin: None })
    }
}

impl Engine {
    fn create_checkpoint(&self, name: &str) -> Result<CheckpointInfo> {
        self.committed.lock().newest.place_for(name)?;
        #[cfg_attr(not(feature = "remote"), expect(unused_mut, reason = "nothing is ever cold"))]
        let mut state = self.pin_durable()?;
        #[cfg(feature = "remote")]
        let _no_sweep = {
            // No manifest may name an object of a cold segment but the one that is about to be written.
            let guard = state.has_cold().then(|| self.spilling.lock());
            if guard.is_some() {
                state = self.pin_durable()?;
            }
            guard
        };
        let materialized = self.materialize(&state, &*self.store)?;
        let checkpoint = Checkpoint {
            name: name.to_owned(),
            lsn: materialized.lsn,
            unix_ms: self.env.clock.unix_ms(),
            shards: materialized.shards,
        };
        let info = CheckpointInfo::of(&checkpoint);
        let mut committed = self.committed.lock();
        let at = committed.newest.place_for(name)?;
        let mut manifest = committed.newest.clone();
        manifest.checkpoints.insert(at, checkpoint);
        self.commit_twice(&mut committed, manifest)?;
        // Until here its parts were kept by their handles, from here on by the manifest.
        drop(materialized.held);
        Ok(info)
    }

    /// Makes `manifest` the two newest generations. The log knows nothing of checkpoints, so that an index which falls back
    /// from a damaged manifest has to find them in the one before.
    fn commit_twice(&self, committed: &mut Committed, manifest: Manifest) -> Result<()> {
        self.commit_manifest(committed, manifest)?;
        let same = committed.newest.clone();
        self.commit_manifest(committed, same)
    }

    fn at_checkpoint(&self, name: &str) -> Result<State> {
        let (checkpoint, generation, held) = {
            let committed = self.committed.lock();
            let checkpoints = &committed.newest.checkpoints;
            let at = position(checkpoints, name).map_err(|_| unknown(name))?;
            let checkpoint = checkpoints[at].clone();
            let mut held = Vec::new();
            checkpoint.shards.iter().flatten().try_for_each(|entry| self.hold(entry, &mut held))?;
            (checkpoint, committed.newest.generation, held)
        };
        let open = |entry: &SegmentEntry| {
            open_segment(&*self.store, &self.settings, entry, self.next_number(), None)
        };
        let shards = checkpoint.shards.iter().map(|segments| {
            let sealed = segments.iter().map(open).collect::<Result<Vec<_>>>()?;
            let mutable = mutable::create(&self.settings, self.next_number()).segment;
            Ok(Arc::new(ShardState { mutable, frozen: Vec::new(), sealed }))
        });
        let shards = shards.collect::<Result<Vec<_>>>()?;
        drop(held);
        Ok(State { visible_lsn: checkpoint.lsn, generation, shards })
    }
}

impl Manifest {
    /// Where a new checkpoint of this name belongs.
    fn place_for(&self, name: &str) -> Result<usize> {
        if self.checkpoints.len() >= CHECKPOINTS_MAX {
            let text = format!("there are {CHECKPOINTS_MAX} checkpoints already; drop one first");
            return Err(Error::new(ErrorKind::Full, text));
        }
        match position(&self.checkpoints, name) {
            Err(at) => Ok(at),
            Ok(_) => {
                let text =
                    format!("there is a checkpoint `{name}` already; drop it first or choose another name");
                Err(Error::new(ErrorKind::Conflict, text))
            }
        }
    }
}

fn position(checkpoints: &[Checkpoint], name: &str) -> std::result::Result<usize, usize> {
    checkpoints.binary_search_by(|checkpoint| checkpoint.name.as_str().cmp(name))
}

fn unknown(name: &str) -> Error {
    let text = format!("there is no checkpoint `{name}`; list them to see which there are");
    Error::new(ErrorKind::NotFound, text)
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let text = "the name of a checkpoint is 1 to 64 of the characters a-z, 0-9, `_` and `-`";
    Err(Error::invalid(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["a", "before-import_2", &"x".repeat(64)] {
            check_name(name).expect(name);
        }
        for name in ["", "A", "a b", "../a", "a/b", ".", "caf\u{e9}", &"x".repeat(65)] {
            assert_eq!(check_name(name).expect_err(name).kind(), ErrorKind::Invalid);
        }
    }
}
