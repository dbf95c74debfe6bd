//! Checking a folder without changing it: quickly, or every byte of it.

mod cold;
mod folder;
mod rows;
mod segment;
mod state;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use vectra_core::io::Fs;
use vectra_tier::{LocalStore, Mode, OpenError, PartRef, PartStore};
use vectra_wal::{Anchor, FileLog, Frame, Lsn};

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::check_format;
use crate::manifest::{Chain, Loaded, Manifest, ManifestStore, SegmentEntry, total};
use crate::progress::{Meter, Watch};
use crate::reader::{BothPinned, pin_both};
use crate::recover::{Outside, log_options, no_index, open_log_error};
use crate::write::bulk::frame::LoadedSegment;
use crate::write::frame::{Logged, Shape};

/// How often the log is looked at again before it is called damaged.
const LOG_CHECKS: u32 = 3;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file or structure.
    pub place: String,
    /// What is wrong with it; names the file, and where one can be told, the bytes.
    pub problem: String,
    /// Whether data is affected; otherwise it is derived and rebuilt at the next open.
    pub data: bool,
}

/// What [`verify`] looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The newest generation of the manifest.
    pub generation: u64,
    /// Parts checked.
    pub parts: u64,
    /// Bytes read and compared with their checksums; a quick check counts none.
    pub bytes: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
    /// Rows, dead ones included, of the graphs that the newest generation names, to which no links lead from where every
    /// search starts: only exact queries are sure to find them. No damage, and every build of a graph, so every
    /// compaction, ends by leaving none. A quick check counts none.
    pub unreachable: u64,
    /// Names in the folder that nothing refers to: leftovers and files of others. No damage.
    pub unknown: Vec<String>,
}

/// How thoroughly a folder is checked.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct VerifyOptions<'a> {
    /// Read every byte, and look at every row, code and link; otherwise only what says what is where.
    pub deep: bool,
    /// Who is told how far it has come.
    pub watch: Watch<'a>,
}

impl<'a> VerifyOptions<'a> {
    /// A quick check.
    pub fn new() -> Self {
        Self::default()
    }

    /// A check of every byte.
    pub fn deep() -> Self {
        Self { deep: true, ..Self::default() }
    }

    /// Tells `watch` how far it has come.
    #[must_use]
    pub fn watch(mut self, watch: Watch<'a>) -> Self {
        self.watch = watch;
        self
    }
}

/// Checks that the index in the folder `path` holds together: both manifests that are kept, the whole log, and of each
/// part, those of checkpoints included, header, footer and directory. Rows are not read; [`verify_deep`] does that.
///
/// Changes nothing but a pin of its own while it runs; a writer may be at work there.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no index, [`ErrorKind::Io`]. Damage is not an error but a finding.
pub fn verify(path: impl AsRef<Path>) -> Result<VerifyReport> {
    Builder::new().verify(path)
}

/// Checks every byte that the index in the folder `path` refers to, padding included, and what the bytes say: rows,
/// ids and their shards, tombstones, LSNs, graphs, and that codes are those of the vectors.
///
/// Changes nothing but a pin of its own while it runs; a writer may be at work there.
///
/// # Errors
/// As [`verify`].
pub fn verify_deep(path: impl AsRef<Path>) -> Result<VerifyReport> {
    Builder::new().verify_deep(path)
}

pub(crate) fn verify_in(outside: &Outside, root: &Path, options: &VerifyOptions<'_>) -> Result<VerifyReport> {
    let manifests = ManifestStore::new(Arc::clone(&outside.fs), root);
    // A writer at work meanwhile removes nothing that is looked at here.
    let Some(BothPinned { chain, previous, pins: _pins }) = pin_both(&manifests, root, outside)? else {
        return Err(no_index(root));
    };
    check_chain(outside, root, options, chain, previous)
}

/// Checks the newest generation alone, in a folder where nobody else writes.
pub(crate) fn verify_newest(
    outside: &Outside,
    root: &Path,
    options: &VerifyOptions<'_>,
) -> Result<VerifyReport> {
    let manifests = ManifestStore::new(Arc::clone(&outside.fs), root);
    let Some(mut chain) = manifests.load()? else { return Err(no_index(root)) };
    if let Some(loaded) = &mut chain.loaded {
        (loaded.previous, loaded.previous_damaged) = (None, None);
    }
    check_chain(outside, root, options, chain, false)
}

/// Checks what the newest manifest of `chain` names, and with `both` what only the one before it does.
fn check_chain(
    outside: &Outside,
    root: &Path,
    options: &VerifyOptions<'_>,
    chain: Chain,
    both: bool,
) -> Result<VerifyReport> {
    let fs = &outside.fs;
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    let mut report = VerifyReport::default();
    let Chain { generations, loaded, damaged, highest } = chain;
    if let Some((generation, error)) = damaged {
        report.find(format!("manifest/{generation:020}"), &error, true);
    }
    let Some(Loaded { manifest: newest, digest, previous, previous_damaged }) = loaded else {
        return Ok(report);
    };
    if let Some(error) = previous_damaged {
        report.find(format!("the generation before {}", newest.generation), &error, false);
    }
    report.generation = newest.generation;
    match check_format(&**fs, root) {
        Err(error) if error.kind() == ErrorKind::Io => return Err(error),
        Err(error) => report.find("FORMAT", &error, true),
        Ok(()) => {}
    }
    let store = LocalStore::new(Arc::clone(fs), root, Arc::clone(&outside.env.rng), Mode::Read);
    let Checked { durable, noted, loads } = report.check_log(&**fs, root, &newest)?;
    if let Some(error) = manifests.disowned(newest.generation, digest, noted) {
        report.find(format!("manifest/{:020}", newest.generation), &error, true);
    }
    // Looked at after the log: what a writer publishes, it notes there afterwards.
    if let Some(noted) = noted.filter(|noted| noted.generation > highest)
        && noted.generation > manifests.highest()?
    {
        let problem = "the log knows this manifest, and the folder lacks it";
        report.find(format!("manifest/{:020}", noted.generation), &problem, true);
    }
    let loads: Vec<SegmentEntry> = loads.iter().map(|(lsn, segment)| segment.entry(*lsn)).collect();
    let older = previous.as_ref().filter(|_| both);
    let went_on = || -> Result<bool> { Ok(manifests.generations()?.last() != generations.last()) };
    let mut check = Check { store: &store, options, skipped: BTreeSet::new(), went_on: &went_on, report };
    check.parts(&newest, older, &loads)?;
    check.cold(outside, root, &newest)?;
    if options.deep {
        check.segments(&newest, older, &loads)?;
        check.states(&newest, durable)?;
    }
    let mut report = check.report;
    report.check_note(&**fs, root)?;
    let named = newest.parts().chain(previous.iter().flat_map(Manifest::parts));
    let named = named.chain(loads.iter().flat_map(SegmentEntry::parts));
    report.name_unknown(
        &**fs,
        root,
        &named.map(|part| part.id).collect(),
        [Some(&newest), previous.as_ref()],
    )?;
    Ok(report)
}

/// What the log of an index says.
struct Checked {
    /// The last LSN that there is.
    durable: Lsn,
    /// The newest manifest that the log knows.
    noted: Option<Anchor>,
    /// The segments of loads that no manifest names yet, each with its LSN.
    loads: Vec<(Lsn, LoadedSegment)>,
}

/// A check at work.
struct Check<'a> {
    store: &'a LocalStore,
    options: &'a VerifyOptions<'a>,
    /// Parts that were found damaged, or that a writer has taken away: nothing more is asked of them.
    skipped: BTreeSet<uuid::Uuid>,
    /// Whether a writer has committed since the check began.
    went_on: &'a dyn Fn() -> Result<bool>,
    report: VerifyReport,
}

impl Check<'_> {
    /// Every part that the manifests name, and of the log's loads, once.
    fn parts(
        &mut self,
        newest: &Manifest,
        previous: Option<&Manifest>,
        loads: &[SegmentEntry],
    ) -> Result<()> {
        let mut seen: BTreeSet<(uuid::Uuid, bool)> = BTreeSet::new();
        let mut parts: Vec<(PartRef, bool, bool)> = Vec::new();
        let named = newest.segments().chain(previous.into_iter().flat_map(Manifest::segments));
        for (entry, pinned) in named.map(|entry| (entry, true)).chain(loads.iter().map(|e| (e, false))) {
            let derived = entry.index_part.as_ref().map(|part| part.id);
            let named = entry.home_parts().map(|part| (*part, derived != Some(part.id), pinned));
            parts.extend(named.filter(|(part, data, _)| seen.insert((part.id, *data))));
        }
        let meter = Meter::new(self.options.watch, total(parts.iter().map(|(part, ..)| part)));
        for (part, data, pinned) in parts {
            self.part(&part, data, pinned)?;
            meter.add(part.length);
        }
        Ok(())
    }

    fn part(&mut self, part: &PartRef, data: bool, pinned: bool) -> Result<()> {
        let place = format!("part {} ({})", part.id, part.role);
        let failed = |error| Err(Error::open_part(part, error));
        let problem = match self.store.open(part) {
            Err(OpenError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !pinned && (self.went_on)()? =>
            {
                // By now a manifest names what was made of it.
                self.skipped.insert(part.id);
                return Ok(());
            }
            Err(OpenError::Io { file, source }) if is_failure(&source) => {
                return failed(OpenError::Io { file, source });
            }
            Err(error) => Some(Error::caused(ErrorKind::Corrupt, "cannot be opened", error).to_string()),
            Ok(handle) if self.options.deep => match handle.verify() {
                Err(report) if report.unreadable().is_some() => {
                    return Err(Error::caused(ErrorKind::Io, format!("{place} cannot be read"), report));
                }
                verified => verified.err().map(|damage| damage.to_string()),
            },
            Ok(_) => None,
        };
        self.report.parts += 1;
        if self.options.deep {
            self.report.bytes = self.report.bytes.saturating_add(part.length);
        }
        if let Some(problem) = problem {
            self.skipped.insert(part.id);
            self.report.find(place, &problem, data);
        }
        Ok(())
    }
}

/// Whether the file system failed, rather than showing that something is not as it should be: missing, cut off, or no
/// file at all.
fn is_failure(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, IsADirectory, NotFound, UnexpectedEof};
    !matches!(error.kind(), NotFound | UnexpectedEof | InvalidInput | IsADirectory)
}

impl VerifyReport {
    fn find(&mut self, place: impl ToString, problem: &dyn std::fmt::Display, data: bool) {
        self.findings.push(Finding { place: place.to_string(), problem: problem.to_string(), data });
    }

    /// As [`VerifyReport::find`]; a disk that fails says nothing about what is on it, and ends the check.
    fn judge(&mut self, place: impl ToString, error: Error, data: bool) -> Result<()> {
        if error.kind() == ErrorKind::Io {
            return Err(error);
        }
        self.find(place, &error, data);
        Ok(())
    }

    /// Every frame, and every operation in it.
    fn check_log(&mut self, fs: &dyn Fs, root: &Path, manifest: &Manifest) -> Result<Checked> {
        let shape = Shape::of(&manifest.settings, manifest.shards.len());
        let mut loads = Vec::new();
        let mut visit = |frame: Frame<'_>| {
            let lsn = frame.first_lsn;
            let unnamed = |segment: &LoadedSegment| {
                let shard = &manifest.shards[usize::from(segment.shard)];
                lsn > shard.covered_lsn && lsn > shard.attached_lsn
            };
            if let Logged::Load(load) = Logged::decode(shape, frame.kind, frame.op_count, frame.payload)? {
                // Seen once more when the log is looked at again.
                loads.retain(|(seen, _)| *seen != lsn);
                loads.extend(load.segments.into_iter().filter(unnamed).map(|segment| (lsn, segment)));
            }
            Ok(())
        };
        let mut check = || FileLog::check(fs, &root.join("wal"), log_options(manifest), &mut visit);
        let mut checked = check();
        for _ in 0..LOG_CHECKS {
            // A writer at work may be caught between two states; damage stays.
            if checked.as_ref().map_or(true, |found| !found.bad_seals.is_empty()) {
                checked = check();
            }
        }
        match checked {
            Ok(found) => {
                found.bad_seals.iter().for_each(|seal| self.find("log", seal, false));
                self.unknown.extend(found.ignored.iter().map(|name| format!("wal/{name}")));
                let durable = found.last_lsn.max(manifest.durable_lsn());
                return Ok(Checked { durable, noted: found.anchor, loads });
            }
            Err(error @ vectra_wal::OpenError::Io { .. }) => return Err(open_log_error(error)),
            Err(error) => self.find("log", &open_log_error(error), true),
        }
        Ok(Checked { durable: Lsn::MAX, noted: None, loads })
    }
}
