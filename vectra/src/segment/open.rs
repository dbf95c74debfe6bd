//! Opening the parts of a sealed segment.

use std::sync::Arc;

use vectra_tier::{PartRef, PartStore};

use super::index::SealedIndex;
use super::overlay::Overlay;
use super::sealed::{Base, SealedSegment, SealedView};
use super::sections::{DEFAULT_FIELD, OVERLAY, TOMBSTONES};
use super::tombstones::Tombstones;
use super::truth::Truth;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::{SegmentEntry, Tier};
use crate::settings::Settings;
use crate::snapshot::State;

/// Opens one segment's parts, except those that `earlier` has open. Damage to the derived part is survived; damage to the truth is not.
pub(crate) fn open_segment(
    store: &dyn PartStore,
    settings: &Settings,
    entry: &SegmentEntry,
    number: u64,
    earlier: Option<&State>,
) -> Result<SealedView> {
    #[cfg(not(feature = "remote"))]
    if entry.tier == Tier::Cold {
        let text = "a segment rests in an object store, which this build cannot read";
        return Err(Error::new(ErrorKind::Unsupported, text));
    }
    let open = |part: &PartRef| store.open(part).map_err(|e| Error::open_part(part, e));
    let open_tiered = |part: &PartRef| match entry.tier {
        Tier::Hot => open(part),
        Tier::Cold => store.open_cold(part).map_err(|e| Error::open_part(part, e)),
    };
    let same = |parts: fn(&SegmentEntry) -> [Option<PartRef>; 2]| {
        let mut views = earlier.iter().flat_map(|state| &state.shards).flat_map(|shard| &shard.sealed);
        views.find(|view| parts(&view.segment.entry) == parts(entry)).map(|view| &view.segment)
    };
    let truth = match same(|entry| [Some(entry.rows_part), Some(entry.meta_part)]) {
        Some(segment) => Arc::clone(&segment.truth),
        None => {
            Arc::new(Truth::open(open_tiered(&entry.rows_part)?, open_tiered(&entry.meta_part)?, settings)?)
        }
    };
    if truth.rows() != entry.rows {
        return Err(Error::corrupt("a segment has another number of rows than its manifest says"));
    }
    let index = match (&entry.index_part, same(|entry| [entry.index_part, None])) {
        (Some(_), Some(segment)) if segment.index.is_some() => segment.index.clone(),
        (Some(part), _) => open_tiered(part)
            .and_then(|handle| {
                SealedIndex::open(handle, entry.rows, settings.dim as usize, settings.metric).map(Arc::new)
            })
            .map(Some)
            .or_else(rebuild_damaged)?,
        (None, _) => None,
    };
    let (tombstones, overlay) = open_amendments(store, entry)?;
    let base = Base { tombstones: tombstones.clone(), overlay: overlay.clone() };
    let segment = SealedSegment { number, truth, index, entry: entry.clone(), base };
    Ok(SealedView { segment: Arc::new(segment), tombstones, overlay })
}

/// What died or changed in a segment since it was sealed: exactly what its manifest counts.
pub(crate) fn open_amendments(store: &dyn PartStore, entry: &SegmentEntry) -> Result<(Tombstones, Overlay)> {
    let column = |part: &PartRef, kind| -> Result<Vec<u8>> {
        let part = store.open(part).map_err(|e| Error::open_part(part, e))?;
        let section = part.section(kind, DEFAULT_FIELD).map_err(Error::read_part)?;
        Ok(section.verified().map_err(Error::read_part)?.to_vec())
    };
    let unreadable =
        |e| Error::caused(ErrorKind::Corrupt, "the deletes or updates of a segment cannot be read", e);
    let tombstones = match &entry.deletes {
        Some(part) => Tombstones::decode(&column(part, TOMBSTONES)?, entry.rows).map_err(unreadable)?,
        None => Tombstones::new(entry.rows),
    };
    let overlay = match &entry.overlay {
        Some(part) => Overlay::decode(&column(part, OVERLAY)?, entry.rows).map_err(unreadable)?,
        None => Overlay::default(),
    };
    if (tombstones.count(), overlay.last_lsn()) != (entry.dead, entry.overlay_lsn) {
        return Err(Error::corrupt(
            "the deletes or updates of a segment are not those that its manifest names",
        ));
    }
    Ok((tombstones, overlay))
}

/// Damage to what is derived costs a rebuild; a disk that fails, or a part of a newer program, is no damage.
fn rebuild_damaged(error: Error) -> Result<Option<Arc<SealedIndex>>> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(error);
    }
    tracing::warn!(%error, "an index part is damaged and will be rebuilt");
    Ok(None)
}
