//! One generation as a reader sees it, and the log behind it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::codec::Digest;
use vectra_wal::{Frame, LogStats, LogTail, Progress};

use super::pin::{Pin, pin_newest};
use crate::error::{Error, ErrorKind, Result};
use crate::folder::check_format;
use crate::manifest::{Chain, Loaded, Manifest, ManifestStore};
use crate::opened::OpenReport;
use crate::read::Snapshot;
use crate::recover::{Outside, log_options, no_index, open_log_error, require_index};
use crate::replay::Parts;
use crate::snapshot::State;
use crate::tiers::Stores;

/// How often a writer may get ahead of a reader that opens the index, or change the log under its eyes.
const TRIES: u32 = 32;

/// The folder of an index, to be read only.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    pub(super) outside: Outside,
    pub(super) manifests: ManifestStore,
    /// One for all generations, so that a part which several name is opened once.
    pub(super) store: Stores,
}

/// A pinned generation with the log replayed as far as it is durable.
#[derive(Debug)]
pub(super) struct View {
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
    /// The newest number in the folder when this was opened, and the highest that the folder told of.
    newest: u64,
    highest: u64,
    /// What opening found.
    pub(super) report: OpenReport,
    parts: Parts,
    tail: LogTail,
    /// Replaying the log failed half way.
    broken: bool,
    pin: Option<Arc<Pin>>,
}

impl Folder {
    /// Opens the newest generation. The parts that `earlier` has open are used again.
    ///
    /// A writer may commit, collect and cut its log meanwhile. The pin ends that for what this reader needs; until it
    /// is in place, and where there can be none, what fails is tried again with what is newest then.
    pub(super) fn open(&self, earlier: Option<&State>) -> Result<View> {
        require_index(&*self.outside.fs, &self.root, &self.manifests)?;
        check_format(&*self.outside.fs, &self.root)?;
        let mut outcome = Err(no_index(&self.root));
        for _ in 0..TRIES {
            let before = self.manifests.generations()?;
            outcome = self.try_open(earlier).and_then(|view| view.without_what_is_missing(&self.manifests));
            // Damage stays; what a writer was about to do passes. The log changes without a new generation, too.
            let again = outcome.as_ref().is_err_and(may_pass)
                && (self.manifests.generations()? != before || is_about_log(&outcome));
            if !again {
                break;
            }
        }
        outcome
    }

    fn try_open(&self, earlier: Option<&State>) -> Result<View> {
        let pinned = pin_newest(&self.manifests, &self.root, &self.outside)?;
        let (chain, pin) = pinned.ok_or_else(|| no_index(&self.root))?;
        let mut report = OpenReport::default();
        let loaded = match (chain.loaded.as_ref(), &chain.damaged) {
            (Some(loaded), None) => loaded,
            (Some(loaded), Some((generation, error))) => {
                report.fell_back(*generation, error);
                loaded
            }
            (None, Some((_, error))) => return Err(error.clone()),
            (None, None) => return Err(no_index(&self.root)),
        };
        let view = self.view(&chain, loaded, report, pin, earlier)?;
        let (generation, noted) = (loaded.manifest.generation, view.tail.anchor());
        let Some(error) = self.manifests.disowned(generation, loaded.digest, noted) else { return Ok(view) };
        let before = self.manifests.load_before(generation, &chain.generations)?;
        let Some(before) = before.filter(|_| chain.damaged.is_none()) else { return Err(error) };
        // Nothing is open twice.
        drop(view);
        // It is one of the two newest, which no writer removes before it has looked at the pins.
        let pin = Pin::take(&self.outside.fs, &self.root, &self.outside.env, before.manifest.generation)?;
        let mut report = OpenReport::default();
        report.fell_back(generation, &error);
        self.view(&chain, &before, report, pin, earlier)
    }

    /// `loaded` with the log behind it.
    fn view(
        &self,
        chain: &Chain,
        loaded: &Loaded,
        report: OpenReport,
        pin: Option<Pin>,
        earlier: Option<&State>,
    ) -> Result<View> {
        let (manifest, digest) = (loaded.manifest.clone(), loaded.digest);
        let parts = Parts::open(&self.store, &manifest, earlier)?;
        let tail = LogTail::new(&self.root.join("wal"), log_options(&manifest));
        let newest = chain.generations.last().copied().expect("a chain holds a number");
        let report = OpenReport { generation: manifest.generation, ..report };
        let (highest, pin) = (chain.highest, pin.map(Arc::new));
        let mut view = View { manifest, digest, newest, highest, report, parts, tail, broken: false, pin };
        if view.catch_up(&self.outside)? {
            view.report.last_lsn = view.parts.cell.load().visible_lsn;
            view.report.frames = view.tail.stats().frames;
            return Ok(view);
        }
        Err(Error::new(ErrorKind::Unavailable, "the log was exchanged while it was read; try again"))
    }
}

/// Whether the error may come from a writer's work: a file that is gone, bytes read while they were written.
fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io | ErrorKind::NotFound | ErrorKind::Unavailable)
}

/// Whether the log is to blame, which may have been caught between two states.
fn is_about_log(outcome: &Result<View>) -> bool {
    let source = outcome.as_ref().err().and_then(std::error::Error::source);
    source.is_some_and(<dyn std::error::Error>::is::<vectra_wal::OpenError>)
}

impl View {
    /// Whether the log knows a newer generation than the folder told of.
    pub(super) fn misses_one(&self) -> bool {
        self.tail.anchor().is_some_and(|noted| noted.generation > self.highest)
    }

    /// A generation that the log knows was published before it was noted: it is in the folder by now, or gone.
    ///
    /// What is read without it is complete all the same: the parts are there, and so is the log behind them.
    fn without_what_is_missing(mut self, manifests: &ManifestStore) -> Result<Self> {
        if let Some(noted) = self.tail.anchor()
            && self.misses_one()
        {
            if manifests.highest()? >= noted.generation {
                let text = "the writer commits faster than can be read; try again";
                return Err(Error::new(ErrorKind::Unavailable, text));
            }
            self.report.lacks(noted.generation);
            self.highest = noted.generation;
        }
        Ok(self)
    }

    /// Whether there is a newer generation.
    pub(super) fn is_outdated(&self, manifests: &ManifestStore) -> Result<bool> {
        Ok(manifests.generations()?.last() != Some(&self.newest))
    }

    /// Replays what is new in the log, as far as it is durable; false if this view cannot go on, and never will.
    pub(super) fn catch_up(&mut self, outside: &Outside) -> Result<bool> {
        if std::mem::replace(&mut self.broken, true) {
            return Ok(false);
        }
        let Self { parts, manifest, tail, .. } = self;
        let mut visit = |frame: Frame<'_>| parts.replay(manifest, &frame).map_err(Into::into);
        match tail.advance(&*outside.fs, &mut visit).map_err(open_log_error)? {
            Progress::UpTo(lsn) => {
                parts.show(lsn);
                self.broken = false;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn snapshot(&self, outside: &Outside) -> Snapshot {
        Snapshot {
            context: self.parts.context(outside),
            state: self.parts.cell.load(),
            pin: self.pin.clone(),
        }
    }

    pub(super) fn log(&self) -> LogStats {
        self.tail.stats()
    }
}

/// The folder `root`, nothing of it opened yet.
pub(super) fn folder(root: &Path, outside: Outside) -> Folder {
    let manifests = ManifestStore::new(Arc::clone(&outside.fs), root);
    // A reader fetches nothing: what is not here, the writer fetches.
    let store = Stores::new(&outside, root, None);
    Folder { root: root.to_owned(), outside, manifests, store }
}
