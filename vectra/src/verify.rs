//! Checking a folder from end to end without changing it.

use std::path::Path;
use std::sync::Arc;

use vectra_core::Metric;
use vectra_core::io::Fs;
use vectra_tier::{LocalStore, Mode, PartRef, PartStore};
use vectra_wal::{FileLog, Frame};

use crate::builder::Builder;
use crate::error::{Error, ErrorKind, Result};
use crate::folder::check_format;
use crate::manifest::{Chain, Loaded, Manifest, ManifestStore, SegmentEntry, Tier};
use crate::reader::pin_newest;
use crate::recover::{Outside, log_options, no_index, open_log_error};
use crate::segment::index::SealedIndex;
use crate::segment::open::open_amendments;
use crate::segment::truth::Truth;
use crate::settings::Settings;
#[cfg(feature = "remote")]
use crate::tiers::Stores;
use crate::write::bulk::frame::{FRAME_LOAD, LoadFrame};
use crate::write::op::{self, FRAME_BATCH};

/// How often the log is looked at again before it is called damaged.
const LOG_CHECKS: u32 = 3;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file or structure.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
    /// Whether data is affected; otherwise it is derived and rebuilt at the next open.
    pub data: bool,
}

/// What [`verify`] looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The newest generation of the manifest.
    pub generation: u64,
    /// Parts checked.
    pub parts: u64,
    /// Bytes checked.
    pub bytes: u64,
    /// What is wrong; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Checks the newest manifest in the folder `path`, the log, and every part the manifest names: every page of every
/// section, every structure, every row. Changes nothing but a pin of its own while it runs; a writer may be at work there.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is no index, [`ErrorKind::Io`]. Damage is not an error but a finding.
pub fn verify(path: impl AsRef<Path>) -> Result<Report> {
    Builder::new().verify(path)
}

pub(crate) fn verify_in(outside: &Outside, root: &Path) -> Result<Report> {
    let fs = &outside.fs;
    let manifests = ManifestStore::new(Arc::clone(fs), root);
    let mut report = Report::default();
    // A writer at work meanwhile removes nothing that is looked at here.
    let Some((chain, _pin)) = pin_newest(&manifests, root, outside)? else { return Err(no_index(root)) };
    let Chain { loaded, damaged, highest, .. } = chain;
    if let Some((generation, error)) = damaged {
        report.find(format!("manifest/{generation:020}"), &error, true);
    }
    let Some(Loaded { manifest, previous_damaged, .. }) = loaded else { return Ok(report) };
    if let Some(error) = previous_damaged {
        report.find(format!("the generation before {}", manifest.generation), &error, false);
    }
    report.generation = manifest.generation;
    match check_format(&**fs, root) {
        Err(error) if error.kind() == ErrorKind::Io => return Err(error),
        Err(error) => report.find("FORMAT", &error, true),
        Ok(()) => {}
    }
    let store = LocalStore::new(Arc::clone(fs), root, Arc::clone(&outside.env.rng), Mode::Read);
    for entry in manifest.shards.iter().flat_map(|shard| &shard.segments) {
        if entry.tier == Tier::Cold {
            report.check_cold(outside, root, &manifest, entry)?;
        } else {
            report.check_segment(&store, &manifest, entry);
        }
    }
    report.check_log(&**fs, root, &manifest, &|| {
        // Looked at after the log: what a writer publishes, it notes there afterwards.
        Ok(manifests.generations()?.last().copied().unwrap_or(0).max(highest))
    })?;
    Ok(report)
}

impl Report {
    fn find(&mut self, place: impl ToString, problem: &dyn std::fmt::Display, data: bool) {
        self.findings.push(Finding { place: place.to_string(), problem: problem.to_string(), data });
    }

    fn check_segment(&mut self, store: &LocalStore, manifest: &Manifest, entry: &SegmentEntry) {
        let before = self.findings.len();
        for part in entry.parts() {
            let data = entry.index_part.as_ref().is_none_or(|index| index.id != part.id);
            self.check_part(store, part, data);
        }
        if self.findings.len() > before {
            return;
        }
        if let Err(error) = check_structure(store, manifest, entry) {
            self.find(format!("segment {}", entry.rows_part.id), &error, true);
        }
    }

    /// The parts of a segment that rests in an object store: every byte of the copies and of the objects. A store that
    /// cannot be reached is an error, not a finding.
    #[cfg(feature = "remote")]
    fn check_cold(
        &mut self,
        outside: &Outside,
        root: &Path,
        manifest: &Manifest,
        entry: &SegmentEntry,
    ) -> Result<()> {
        let outside = Outside { mode: Mode::Read, ..outside.clone() };
        let stores = Stores::new(&outside, root, Some(manifest.index));
        let data = |part: &PartRef| entry.index_part.as_ref().is_none_or(|index| index.id != part.id);
        for part in entry.tiered_parts() {
            (self.parts, self.bytes) = (self.parts + 1, self.bytes + part.length);
            match stores.tiers.verify_cold(part) {
                Ok(()) => {}
                Err(error @ vectra_tier::OpenError::Away { .. }) => {
                    return Err(Error::open_part(part, error));
                }
                Err(error) => self.find(format!("part {} ({})", part.id, part.role), &error, data(part)),
            }
        }
        let store = LocalStore::new(outside.fs, root, outside.env.rng, Mode::Read);
        entry.home_parts().for_each(|part| self.check_part(&store, part, true));
        Ok(())
    }

    #[cfg(not(feature = "remote"))]
    #[expect(clippy::unused_self, reason = "with `remote` it finds things")]
    fn check_cold(&mut self, _: &Outside, _: &Path, _: &Manifest, _: &SegmentEntry) -> Result<()> {
        let text = "a segment rests in an object store, which this build cannot read";
        Err(Error::new(ErrorKind::Unsupported, text))
    }

    /// Every frame, and every operation in it; and whether the log knows a manifest beyond the
    /// `highest`.
    fn check_log(
        &mut self,
        fs: &dyn Fs,
        root: &Path,
        manifest: &Manifest,
        highest: &dyn Fn() -> Result<u64>,
    ) -> Result<()> {
        let settings = &manifest.settings;
        let mut visit = |frame: Frame<'_>| match frame.kind {
            FRAME_BATCH => op::decode(frame.payload, frame.op_count, settings.dim as usize, settings.element)
                .map(drop)
                .map_err(Into::into),
            FRAME_LOAD => {
                LoadFrame::decode(frame.payload, manifest.shards.len()).map(drop).map_err(Into::into)
            }
            kind => Err(format!("a frame of kind {kind}").into()),
        };
        let mut check = || FileLog::check(fs, &root.join("wal"), log_options(manifest), &mut visit);
        let mut checked = check();
        for _ in 0..LOG_CHECKS {
            // A writer at work may be caught between two states; damage stays.
            if checked.is_err() {
                checked = check();
            }
        }
        match checked.map(|recovery| recovery.checkpoint) {
            Ok(Some(noted)) if noted.generation > highest()? => {
                let problem = "the log knows this manifest, and the folder lacks it";
                self.find(format!("manifest/{:020}", noted.generation), &problem, true);
            }
            Ok(_) => {}
            Err(error @ vectra_wal::OpenError::Io { .. }) => return Err(open_log_error(error)),
            Err(error) => self.find("log", &open_log_error(error), true),
        }
        Ok(())
    }

    fn check_part(&mut self, store: &LocalStore, part: &PartRef, data: bool) {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(part.length);
        let place = format!("part {} ({})", part.id, part.role);
        match store.open(part) {
            Err(error) => {
                self.find(place, &Error::caused(ErrorKind::Corrupt, "cannot be opened", error), data);
            }
            Ok(handle) => {
                if let Err(damage) = handle.verify() {
                    self.find(place, &damage, data);
                }
            }
        }
    }
}

/// The stored norm of a row must be its vector's, up to the order in which a sum was taken.
fn check_norm(truth: &Truth, settings: &Settings, slot: u32) -> Result<()> {
    if settings.metric != Metric::Cosine {
        return Ok(());
    }
    let (stored, computed) = (truth.inverse_norm(slot)?, truth.vectors(slot, 1)?.inverse_norm());
    let near = (stored - computed).abs() <= 1e-3 * computed.abs();
    if near { Ok(()) } else { Err(Error::corrupt(format!("the norm of row {slot} is not its vector's"))) }
}

/// Reads every row through the ordinary road and checks that the structures agree with each other.
fn check_structure(store: &LocalStore, manifest: &Manifest, entry: &SegmentEntry) -> Result<()> {
    let open = |part: &PartRef| {
        store
            .open(part)
            .map_err(|e| Error::caused(ErrorKind::Corrupt, format!("part {} cannot be opened", part.id), e))
    };
    let settings = &manifest.settings;
    let truth = Truth::open(open(&entry.rows_part)?, open(&entry.meta_part)?, settings)?;
    if truth.rows() != entry.rows {
        return Err(Error::corrupt("a segment has another number of rows than its manifest says"));
    }
    open_amendments(store, entry)?;
    for slot in 0..truth.rows() {
        let encoded = truth.ids().encoded(slot)?;
        if truth.ids().find(encoded)? != Some(slot) {
            return Err(Error::corrupt(format!("the id of row {slot} does not lead back to it")));
        }
        truth.id(slot)?;
        truth.metadata(slot)?;
        let vector = truth.vectors(slot, 1)?.to_f32();
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Error::corrupt(format!("the vector of row {slot} is not finite")));
        }
        check_norm(&truth, settings, slot)?;
        let lsn = truth.lsn(slot)?;
        // Rows of a bulk load carry none of their own.
        if lsn != 0 && (lsn < entry.lsns.0 || lsn > entry.lsns.1) {
            return Err(Error::corrupt(format!(
                "the LSN {lsn} of row {slot} is outside its segment's range"
            )));
        }
    }
    if let Some(part) = &entry.index_part {
        let index = SealedIndex::open(open(part)?, truth.rows(), settings.dim as usize, settings.metric)?;
        if let Some(graph) = index.graph() {
            graph
                .verify()
                .map_err(|e| Error::caused(ErrorKind::Corrupt, "the graph does not hold together", e))?;
        }
    }
    Ok(())
}
