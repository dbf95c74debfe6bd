//! The truth of a sealed segment as it is read: ids, LSNs, vectors, norms and metadata.

use std::sync::{Arc, OnceLock};

use vectra_core::admit::Bits;
use vectra_core::distance::ElementKind;
use vectra_core::memory::prefetch;
use vectra_core::{ItemId, Metric, Value};
use vectra_metadata::MetadataView;
use vectra_tier::{FileSection, Mode, PartHandle, ReadBuf, Section};

use super::exact::Vectors;
use super::ids::IdTable;
use super::ledger::{Ledger, MetadataTerms};
use super::overlay::Overlay;
use super::schema;
use super::sections::{
    DEFAULT_FIELD, INVERSE_NORMS, LSNS, META_DICTIONARY, META_INDEXES, META_ROWS, SCHEMA, VECTORS,
};
use super::tombstones::Tombstones;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;

/// The opened `rows` and `meta` parts of one segment. Every page is verified before its bytes are believed.
#[derive(Debug)]
pub(crate) struct Truth {
    /// Held so that the store knows the parts to be in use.
    held: [Arc<PartHandle>; 2],
    rows: u32,
    row_bytes: usize,
    element: ElementKind,
    ids: IdTable,
    lsns: Section,
    vectors: Column,
    inverse_norms: Option<Section>,
    metadata: MetadataView,
    /// See [`auto_row_bytes`](Self::auto_row_bytes).
    auto_row_bytes: OnceLock<usize>,
}

/// Where the vectors are.
#[derive(Debug)]
enum Column {
    /// In memory: mapped, or read as a whole.
    Memory(Section),
    /// In the file, from which each is read where it is wanted.
    File(FileSection),
}

/// One row as it was sealed.
#[derive(Debug)]
pub(crate) struct TruthRow<'a> {
    pub(crate) slot: u32,
    /// The encoded id.
    pub(crate) id: &'a [u8],
    pub(crate) lsn: u64,
    pub(crate) vector: Vectors<'a>,
    pub(crate) inverse_norm: f32,
    /// An overlay may hold something newer.
    pub(crate) metadata: Value,
}

impl Truth {
    /// Whether this program may write its rows anew. Not if a later one marked a part as holding something that would be
    /// lost.
    pub(crate) fn is_rewritable(&self) -> bool {
        self.held.iter().all(|part| part.is_rewritable())
    }

    pub(crate) fn open(
        rows_part: Arc<PartHandle>,
        meta_part: Arc<PartHandle>,
        settings: &Settings,
    ) -> Result<Self> {
        let rows = rows_part.rows();
        let schema = rows_part.section(SCHEMA, DEFAULT_FIELD).map_err(Error::read_part)?;
        schema::check(schema.verified().map_err(Error::read_part)?, settings)?;
        let row_bytes = settings.dim as usize * settings.element.size();
        let section = |kind| rows_part.section(kind, DEFAULT_FIELD).map_err(Error::read_part);
        let vectors = match rows_part.mode() {
            Mode::Lean => {
                Column::File(rows_part.file_section(VECTORS, DEFAULT_FIELD).map_err(Error::read_part)?)
            }
            _ => Column::Memory(section(VECTORS)?),
        };
        let vectors_len = match &vectors {
            Column::Memory(section) => section.len(),
            Column::File(section) => section.len(),
        };
        let lsns = section(LSNS)?;
        let inverse_norms =
            (settings.metric == Metric::Cosine).then(|| section(INVERSE_NORMS)).transpose()?;
        let norms_fit = inverse_norms.as_ref().is_none_or(|s| s.len() == 4 * rows as usize);
        if vectors_len != rows as usize * row_bytes || lsns.len() != 8 * rows as usize || !norms_fit {
            return Err(Error::corrupt("a column of a segment's rows has the wrong length"));
        }
        if meta_part.rows() != rows {
            return Err(Error::corrupt("the rows and metadata of a segment have different lengths"));
        }
        let blob = |kind| {
            let section = meta_part.section(kind, DEFAULT_FIELD).map_err(Error::read_part)?;
            section.verified().map_err(Error::read_part).cloned()
        };
        let metadata =
            MetadataView::open(blob(META_ROWS)?, blob(META_DICTIONARY)?, blob(META_INDEXES)?, rows).map_err(
                |e| Error::caused(ErrorKind::Corrupt, "the metadata of a segment cannot be read", e),
            )?;
        let ids = IdTable::open(&rows_part)?;
        let element = settings.element;
        let held = [rows_part, meta_part];
        let auto_row_bytes = OnceLock::new();
        Ok(Self {
            held,
            rows,
            row_bytes,
            element,
            ids,
            lsns,
            vectors,
            inverse_norms,
            metadata,
            auto_row_bytes,
        })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes of a stored vector.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Bytes of the code that a vector has when the engine is left to choose, found out by `find` at the first call.
    pub(crate) fn auto_row_bytes(&self, find: impl FnOnce() -> usize) -> usize {
        *self.auto_row_bytes.get_or_init(find)
    }

    pub(crate) fn ids(&self) -> &IdTable {
        &self.ids
    }

    pub(crate) fn id(&self, slot: u32) -> Result<ItemId> {
        self.ids.id(slot)
    }

    /// The LSN as it was written; 0 for a row of a bulk load.
    pub(crate) fn lsn(&self, slot: u32) -> Result<u64> {
        let at = 8 * slot as usize;
        let bytes = self.lsns.verified_range(at..at + 8).map_err(Error::read_part)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were asked for")))
    }

    /// The vectors of the slots `first..first + count`; in `buf` if they are not in memory already.
    pub(crate) fn vectors<'a>(&'a self, first: u32, count: u32, buf: &'a mut ReadBuf) -> Result<Vectors<'a>> {
        let start = first as usize * self.row_bytes;
        let range = start..start + count as usize * self.row_bytes;
        let bytes = match &self.vectors {
            Column::Memory(section) => section.verified_range(range),
            Column::File(section) => section.read(range, buf),
        };
        let bytes = bytes.map_err(Error::read_part)?;
        Vectors::from_bytes(self.element, bytes)
            .ok_or_else(|| Error::corrupt("stored vectors are not aligned"))
    }

    /// Asks for the memory of the vector at `slot` ahead of [`vectors`](Self::vectors).
    pub(crate) fn fetch(&self, slot: u32) {
        let start = slot as usize * self.row_bytes;
        if let Column::Memory(vectors) = &self.vectors {
            prefetch(vectors.bytes().get(start..start + self.row_bytes).unwrap_or_default());
        }
    }

    /// Asks for the first line of the vector at `slot`, its norm and the place of its id, ahead of [`fetch`](Self::fetch). Each
    /// lies in a page of its own, and finding out where many pages are takes little more than for one.
    pub(crate) fn touch(&self, slot: u32) {
        let first = |bytes: &[u8], at: usize| prefetch(bytes.get(at..at + 1).unwrap_or_default());
        if let Column::Memory(vectors) = &self.vectors {
            first(vectors.bytes(), slot as usize * self.row_bytes);
        }
        if let Some(norms) = &self.inverse_norms {
            first(norms.bytes(), 4 * slot as usize);
        }
        self.ids.fetch_place(slot);
    }

    /// 1 / length of the vector at `slot`; 1 unless the metric is cosine.
    pub(crate) fn inverse_norm(&self, slot: u32) -> Result<f32> {
        let Some(norms) = &self.inverse_norms else { return Ok(1.0) };
        let at = 4 * slot as usize;
        let bytes = norms.verified_range(at..at + 4).map_err(Error::read_part)?;
        Ok(f32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }

    /// The inverse norms of all rows, if the metric is cosine.
    pub(crate) fn inverse_norms(&self) -> Result<Option<&[f32]>> {
        let Some(norms) = &self.inverse_norms else { return Ok(None) };
        let blob = norms.verified().map_err(Error::read_part)?;
        blob.as_pod().map(Some).ok_or_else(|| Error::corrupt("stored norms are not aligned"))
    }

    pub(crate) fn metadata_view(&self) -> &MetadataView {
        &self.metadata
    }

    /// Gives the rows of `slots` to `give`, in order, with one pass over the metadata; stops at the first error.
    pub(crate) fn for_each(
        &self,
        slots: &Bits,
        mut give: impl FnMut(TruthRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let (mut done, mut buf) = (Ok(()), ReadBuf::default());
        let read = self.metadata.for_each(slots, |slot, metadata| {
            if done.is_ok() {
                done = self.row(slot, metadata, &mut buf).and_then(&mut give);
            }
        });
        read.map_err(|e| Error::caused(ErrorKind::Corrupt, "the metadata of a segment cannot be read", e))?;
        done
    }

    fn row<'a>(&'a self, slot: u32, metadata: Value, buf: &'a mut ReadBuf) -> Result<TruthRow<'a>> {
        Ok(TruthRow {
            slot,
            id: self.ids.encoded(slot)?,
            lsn: self.lsn(slot)?,
            vector: self.vectors(slot, 1, buf)?,
            inverse_norm: self.inverse_norm(slot)?,
            metadata,
        })
    }

    /// The ledger of the live rows with their newest metadata, from their bytes.
    pub(crate) fn ledger(&self, tombstones: &Tombstones, overlay: &Overlay) -> Result<Ledger> {
        let mut live = Bits::all(self.rows);
        tombstones.subtract_from(&mut live);
        let (mut ledger, mut terms) = (Ledger::default(), MetadataTerms::default());
        self.for_each(&live, |row| {
            let metadata = overlay.get(row.slot).map_or(&row.metadata, |newer| newer);
            ledger = ledger + Ledger::of_row(terms.row(row.id, row.vector.as_bytes(), metadata));
            Ok(())
        })?;
        Ok(ledger)
    }

    /// The metadata as it was sealed; an overlay may hold something newer.
    pub(crate) fn metadata(&self, slot: u32) -> Result<Value> {
        self.metadata
            .get(slot)
            .map_err(|e| Error::caused(ErrorKind::Corrupt, "the metadata of a row cannot be read", e))
    }
}
