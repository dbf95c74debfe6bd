//! Reading one segment slot by slot: each column is asked on its own, and each page answers for itself.

use std::sync::Arc;

use vectra_core::{ItemId, Value};
use vectra_metadata::MetadataView;
use vectra_tier::{PartRef, PartStore, Section};
use vectra_wal::Lsn;

use super::plan::Piece;
use crate::error::{Error, ErrorKind, Result};
use crate::segment::exact::Vectors;
use crate::segment::ids::IdTable;
use crate::segment::sections::{
    DEFAULT_FIELD, LSNS, META_DICTIONARY, META_ROWS, OVERLAY, TOMBSTONES, VECTORS,
};
use crate::settings::Settings;

/// The `rows` part of a segment.
#[derive(Debug)]
pub(super) struct Rows {
    ids: IdTable,
    lsns: Section,
    vectors: Section,
    row_bytes: usize,
    settings: Settings,
}

impl Rows {
    pub(super) fn open(store: &dyn PartStore, piece: &Piece, settings: &Settings) -> Result<Self> {
        let part = &piece.rows_part;
        let handle = store.open(part).map_err(|e| Error::open_part(part, e))?;
        let section = |kind| handle.section(kind, DEFAULT_FIELD).map_err(Error::read_part);
        let row_bytes = settings.dim as usize * settings.element.size();
        let (lsns, vectors, ids) = (section(LSNS)?, section(VECTORS)?, IdTable::open(&handle)?);
        let rows = piece.rows as usize;
        if handle.rows() != piece.rows || vectors.len() != rows * row_bytes || lsns.len() != 8 * rows {
            return Err(Error::corrupt(
                "its vectors have another dimension, precision or number than expected",
            ));
        }
        Ok(Self { ids, lsns, vectors, row_bytes, settings: settings.clone() })
    }

    pub(super) fn id(&self, slot: u32) -> Result<ItemId> {
        self.ids.id(slot)
    }

    pub(super) fn lsn(&self, slot: u32) -> Result<Lsn> {
        let at = 8 * slot as usize;
        let bytes = self.lsns.verified_range(at..at + 8).map_err(Error::read_part)?;
        Ok(Lsn::from_le_bytes(bytes.try_into().expect("eight bytes were asked for")))
    }

    pub(super) fn vector(&self, slot: u32) -> Result<Vec<f32>> {
        let at = slot as usize * self.row_bytes;
        let bytes = self.vectors.verified_range(at..at + self.row_bytes).map_err(Error::read_part)?;
        let row = Vectors::from_bytes(self.settings.element, bytes);
        row.map(Vectors::to_f32).ok_or_else(|| Error::corrupt("stored vectors are not aligned"))
    }
}

/// The `meta` part of a segment.
pub(super) struct Metadata {
    rows: Section,
    view: MetadataView,
}

impl Metadata {
    pub(super) fn open(store: &dyn PartStore, part: &PartRef, rows: u32) -> Result<Self> {
        let handle = store.open(part).map_err(|e| Error::open_part(part, e))?;
        let section = |kind| handle.section(kind, DEFAULT_FIELD).map_err(Error::read_part);
        let (stored, dictionary) = (section(META_ROWS)?, section(META_DICTIONARY)?);
        let dictionary = dictionary.verified().map_err(Error::read_part)?;
        let view = MetadataView::open_rows(stored.bytes().clone(), dictionary, rows).map_err(unreadable)?;
        if rows > 0 {
            // What says where the blocks are stands before the first of them.
            let directory = 0..view.block_range(0).start;
            stored.verified_range(directory).map_err(Error::read_part)?;
        }
        Ok(Self { rows: stored, view })
    }

    /// Whether the block that holds the row's metadata has the right checksum.
    pub(super) fn is_sound(&self, slot: u32) -> bool {
        self.rows.verified_range(self.view.block_range(slot)).is_ok()
    }

    pub(super) fn get(&self, slot: u32) -> Result<Value> {
        self.rows.verified_range(self.view.block_range(slot)).map_err(Error::read_part)?;
        self.view
            .get(slot)
            .map_err(|e| Error::caused(ErrorKind::Corrupt, "a block of metadata cannot be read", e))
    }
}

fn unreadable(error: vectra_metadata::FormatError) -> Error {
    Error::caused(ErrorKind::Corrupt, "the metadata of a segment cannot be read", error)
}

/// The bytes of a part `deletes`.
pub(super) fn tombstones(store: &dyn PartStore, part: &PartRef) -> Result<Vec<u8>> {
    column(store, part, TOMBSTONES)
}

/// The bytes of a part `overlay`.
pub(super) fn overlay(store: &dyn PartStore, part: &PartRef) -> Result<Vec<u8>> {
    column(store, part, OVERLAY)
}

fn column(store: &dyn PartStore, part: &PartRef, kind: vectra_tier::SectionKind) -> Result<Vec<u8>> {
    let handle: Arc<_> = store.open(part).map_err(|e| Error::open_part(part, e))?;
    let section = handle.section(kind, DEFAULT_FIELD).map_err(Error::read_part)?;
    Ok(section.verified().map_err(Error::read_part)?.to_vec())
}
