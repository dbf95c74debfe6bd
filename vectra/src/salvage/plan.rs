//! What there should be: from the newest manifest that can be read, or from the parts themselves.

use std::path::Path;
use std::sync::Arc;

use vectra_core::io::Fs;
use vectra_shard::{HashRouter, ShardMap};
use vectra_tier::container::identify;
use vectra_tier::{LocalStore, Mode, PartHandle, PartRef, PartStore, Role};
use vectra_wal::Lsn;

use super::{SalvageOptions, SalvageReport, nothing};
use crate::error::{Error, Result};
use crate::manifest::{Manifest, ManifestStore, SegmentEntry};
use crate::settings::Settings;
use crate::write::bulk::frame::LoadFrame;

/// Where to look for a segment's rows.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) rows: u32,
    pub(super) rows_part: PartRef,
    pub(super) meta_part: Option<PartRef>,
    pub(super) deletes: Option<PartRef>,
    pub(super) overlay: Option<PartRef>,
    /// The largest LSN of its rows; what a row counts as that has none or whose own cannot be read. 0 if unknown: then it
    /// gives way to any other.
    pub(super) last_lsn: Lsn,
    /// An older manifest's idea of what died and changed, should the newer one be damaged.
    pub(super) older: Option<(Option<PartRef>, Option<PartRef>)>,
    pub(super) shard: usize,
}

impl Piece {
    fn of(entry: &SegmentEntry, shard: usize) -> Self {
        Self {
            rows: entry.rows,
            rows_part: entry.rows_part,
            meta_part: Some(entry.meta_part),
            deletes: entry.deletes,
            overlay: entry.overlay,
            last_lsn: entry.lsns.1,
            older: None,
            shard,
        }
    }
}

/// What there should be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) shard_map: ShardMap,
    /// Up to which LSN the parts of each shard hold everything.
    pub(super) covered: Vec<Lsn>,
    /// Up to which LSN the loads of each shard are in the parts.
    pub(super) attached: Vec<Lsn>,
    /// Where the log has to begin at the latest, if that is known: for sound parts, and for damaged ones whose
    /// predecessors have to do.
    pub(super) log_from: Option<(Lsn, Lsn)>,
    /// Up to which LSN the log was durable when the parts were named.
    pub(super) durable: Lsn,
    pub(super) pieces: Vec<Piece>,
    /// Whose log it is, if that is known.
    pub(super) index: Option<[u8; 16]>,
}

impl Plan {
    pub(super) fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.rows)).sum()
    }

    /// Whether what the log says with this LSN about a bulk load in this shard is in the parts.
    pub(super) fn has_loaded(&self, shard: usize, lsn: Lsn) -> bool {
        lsn <= self.covered[shard] || lsn <= self.attached[shard]
    }

    /// Learns from the log's bulk loads: which parts belong together and when, and segments that no manifest names yet.
    pub(super) fn learn(&mut self, loads: Vec<(Lsn, LoadFrame)>) {
        let segments =
            loads.into_iter().flat_map(|(lsn, load)| load.segments.into_iter().map(move |s| (lsn, s)));
        for (lsn, segment) in segments {
            let shard = usize::from(segment.shard);
            let known = self.pieces.iter().position(|piece| piece.rows_part.id == segment.rows_part.id);
            match known {
                // A manifest knows better.
                Some(_) if self.log_from.is_some() => {}
                Some(at) => {
                    let piece = &mut self.pieces[at];
                    (piece.meta_part, piece.last_lsn, piece.shard) = (Some(segment.meta_part), lsn, shard);
                }
                // Without a manifest every part that is there is known; this one was merged since, or is lost.
                None if self.log_from.is_none() || self.has_loaded(shard, lsn) => {}
                None => self.pieces.push(Piece {
                    rows: segment.rows,
                    rows_part: segment.rows_part,
                    meta_part: Some(segment.meta_part),
                    deletes: None,
                    overlay: None,
                    last_lsn: lsn,
                    older: None,
                    shard,
                }),
            }
        }
    }
}

pub(super) fn make(
    fs: &Arc<dyn Fs>,
    damaged: &Path,
    store: &LocalStore,
    options: &SalvageOptions<'_>,
    report: &mut SalvageReport,
) -> Result<Plan> {
    let manifests = ManifestStore::new(Arc::clone(fs), damaged);
    let mut generations = manifests.generations()?;
    while let Some(generation) = generations.pop() {
        match manifests.read(generation) {
            Ok((manifest, _)) => {
                let older = generations.pop().and_then(|before| manifests.read(before).ok());
                return Ok(follow(&manifest, older.map(|(manifest, _)| manifest).as_ref(), report));
            }
            // The log goes back as far as the generation before needs it, so that one loses nothing but checkpoints.
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    search(fs, damaged, store, options, report)
}

/// As the manifest says.
fn follow(manifest: &Manifest, older: Option<&Manifest>, report: &mut SalvageReport) -> Plan {
    report.generation = Some(manifest.generation);
    report.checkpoints = manifest.checkpoints.iter().map(|checkpoint| checkpoint.name.clone()).collect();
    let mut pieces = Vec::new();
    for (number, shard) in manifest.shards.iter().enumerate() {
        for entry in &shard.segments {
            let before = older.into_iter().flat_map(Manifest::segments);
            let same = before.into_iter().find(|old| old.rows_part == entry.rows_part);
            let older = same.map(|old| (old.deletes, old.overlay));
            pieces.push(Piece { older, ..Piece::of(entry, number) });
        }
    }
    let floors = older.into_iter().map(|before| before.log_floor);
    let floor = floors.fold(manifest.log_floor, Lsn::min);
    let sound = manifest.shards.iter().map(|shard| shard.covered_lsn).min().unwrap_or(0).saturating_add(1);
    Plan {
        settings: manifest.settings.clone(),
        shard_map: manifest.shard_map.clone(),
        attached: manifest.shards.iter().map(|shard| shard.attached_lsn).collect(),
        log_from: Some((sound, floor)),
        durable: manifest.durable_lsn(),
        covered: manifest.shards.iter().map(|shard| shard.covered_lsn).collect(),
        pieces,
        index: Some(manifest.index),
    }
}

/// Without any manifest: every part whose header and footer are sound.
fn search(
    fs: &Arc<dyn Fs>,
    damaged: &Path,
    store: &LocalStore,
    options: &SalvageOptions<'_>,
    report: &mut SalvageReport,
) -> Result<Plan> {
    let listed = store.list().map(|listing| listing.parts).unwrap_or_default();
    let index = newest_log(&**fs, damaged);
    if listed.is_empty() && index.is_none() {
        return Err(nothing(damaged));
    }
    let Some(settings) = options.settings.clone() else {
        let text = "no manifest can be read; give the settings of the index (at least dimension and metric)";
        return Err(Error::invalid(text));
    };
    settings.validate()?;
    let mut parts = Vec::new();
    for (id, _) in listed {
        let path = store.path(id);
        let opened = identify(&**fs, &path)
            .and_then(|part| Ok((part, PartHandle::open(&**fs, &path, &part, Mode::Read)?.rows())));
        match opened {
            Ok(found) => parts.push(found),
            Err(error) => report.problems.push(format!("{}: {error}", path.display())),
        }
    }
    let alone = "which parts belong together is not known without a manifest; all deletes of sealed rows";
    report.returned.push(alone.to_owned());
    let pieces = parts.iter().filter(|(part, _)| part.role == Role::Rows);
    let pieces = pieces.map(|(part, rows)| Piece {
        rows: *rows,
        rows_part: *part,
        meta_part: None,
        deletes: None,
        overlay: None,
        last_lsn: 0,
        older: None,
        shard: 0,
    });
    let shards = std::num::NonZero::new(settings.shards).expect("validated: at least one shard");
    let shard_map = ShardMap::new(HashRouter::new(shards));
    let covered = vec![0; usize::from(settings.shards)];
    let (pieces, attached) = (pieces.collect(), covered.clone());
    Ok(Plan { settings, shard_map, covered, attached, log_from: None, durable: 0, pieces, index })
}

/// Whose the newest log file is that says so.
fn newest_log(fs: &dyn Fs, damaged: &Path) -> Option<[u8; 16]> {
    let wal = damaged.join("wal");
    let entries = fs.list(&wal).unwrap_or_default();
    entries.iter().rev().find_map(|entry| vectra_wal::identity(fs, &wal.join(&entry.name)))
}
