//! Writing the parts of a sealed segment: rows and metadata (truth), then codes and graph (derived).

mod derived;

use vectra_core::{Metric, Value};
use vectra_tier::container::WriteError;
use vectra_tier::{PartRef, PartStore, Role, SectionKind};
use vectra_wal::Lsn;

pub(crate) use derived::{auto_row_bytes, write_codes, write_encoded, write_graph};

use super::exact::Vectors;
use super::ids::IdColumn;
use super::ledger::Ledger;
use super::schema;
use super::sections::{
    DEFAULT_FIELD, ID_BYTES, ID_FILTER, ID_OFFSETS, ID_ORDER, INVERSE_NORMS, LSNS, META_DICTIONARY,
    META_INDEXES, META_ROWS, OVERLAY, SCHEMA, TOMBSTONES, VECTORS,
};
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;

/// One live row on its way into a sealed segment.
pub(crate) struct RowSource<'a> {
    /// The encoded id.
    pub(crate) id: &'a [u8],
    pub(crate) lsn: Lsn,
    pub(crate) vector: Vectors<'a>,
    pub(crate) inverse_norm: f32,
    pub(crate) metadata: &'a Value,
    /// What the row adds to the ledger, by whoever gave it.
    pub(crate) sum: u128,
}

/// The truth of a segment while it is written: vectors go to the disk as they come; ids, LSNs and packed metadata wait
/// in memory.
#[derive(Debug)]
pub(crate) struct TruthWriter<'a> {
    store: &'a dyn PartStore,
    /// The part `rows`, its section of vectors open.
    part: vectra_tier::container::Writer,
    ids: IdColumn,
    lsns: Vec<u8>,
    inverse_norms: Vec<u8>,
    metadata: vectra_metadata::Builder,
    schema: Vec<u8>,
    cosine: bool,
    ledger: Ledger,
}

/// The parts of a segment's truth, durable but not yet published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenTruth {
    pub(crate) rows_part: PartRef,
    pub(crate) meta_part: PartRef,
    /// What the sources of its rows said.
    pub(crate) ledger: Ledger,
}

impl<'a> TruthWriter<'a> {
    pub(crate) fn begin(store: &'a dyn PartStore, settings: &Settings) -> Result<Self> {
        let metadata = vectra_metadata::Builder::new(&settings.schema()?);
        let mut part = store.writer(Role::Rows, 0, 0).map_err(|e| Error::write_part(Role::Rows, e))?;
        part.begin(VECTORS, DEFAULT_FIELD);
        Ok(Self {
            store,
            part,
            ids: IdColumn::new(),
            lsns: Vec::new(),
            inverse_norms: Vec::new(),
            metadata,
            schema: schema::encode(settings),
            cosine: settings.metric == Metric::Cosine,
            ledger: Ledger::default(),
        })
    }

    /// Appends a row and gives its slot.
    pub(crate) fn push(&mut self, row: &RowSource<'_>) -> Result<u32> {
        self.part.write(row.vector.as_bytes()).map_err(|e| Error::write_part(Role::Rows, e))?;
        self.ids.push(row.id);
        self.lsns.extend_from_slice(&row.lsn.to_le_bytes());
        if self.cosine {
            self.inverse_norms.extend_from_slice(&row.inverse_norm.to_le_bytes());
        }
        self.metadata.push(row.metadata);
        self.ledger = self.ledger + Ledger::of_row(row.sum);
        Ok(self.rows() - 1)
    }

    pub(crate) fn rows(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Bytes of rows that are held in memory; their vectors are not among them.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.ids.bytes() + self.lsns.len() + self.inverse_norms.len() + self.metadata.buffered_bytes()
    }

    /// Ends the parts `rows` and `meta`; durable but not yet published when this returns.
    pub(crate) fn finish(self) -> Result<WrittenTruth> {
        let rows = self.rows();
        let ids = self.ids.into_sections();
        let mut sections = vec![
            (SCHEMA, &self.schema[..]),
            (ID_BYTES, &ids.bytes),
            (ID_OFFSETS, &ids.offsets),
            (ID_ORDER, &ids.order),
            (ID_FILTER, &ids.filter),
            (LSNS, &self.lsns),
        ];
        if self.cosine {
            sections.push((INVERSE_NORMS, &self.inverse_norms));
        }
        let mut part = self.part;
        let finish = || -> std::result::Result<PartRef, WriteError> {
            part.end()?;
            for (kind, bytes) in sections {
                part.section(kind, DEFAULT_FIELD, bytes)?;
            }
            part.set_rows(rows)?;
            part.finish()
        };
        let meta = self
            .metadata
            .finish()
            .map_err(|e| Error::caused(ErrorKind::Io, "the metadata of a segment cannot be encoded", e))?;
        let rows_part = finish().map_err(|e| Error::write_part(Role::Rows, e))?;
        let sections =
            [(META_ROWS, &meta.rows[..]), (META_DICTIONARY, &meta.dictionary), (META_INDEXES, &meta.indexes)];
        let meta_part = write_part(self.store, Role::Meta, rows, &sections).inspect_err(|_| {
            // One without the other is of no use.
            let _cleared_at_the_next_open = self.store.discard(rows_part.id);
        })?;
        Ok(WrittenTruth { rows_part, meta_part, ledger: self.ledger })
    }
}

/// Writes one part with these sections; it is durable under its temporary name when this returns.
pub(crate) fn write_part(
    store: &dyn PartStore,
    role: Role,
    rows: u32,
    sections: &[(SectionKind, &[u8])],
) -> Result<PartRef> {
    let write = || -> std::result::Result<PartRef, WriteError> {
        let mut writer = store.writer(role, rows, 0)?;
        for (kind, bytes) in sections {
            writer.section(*kind, DEFAULT_FIELD, bytes)?;
        }
        writer.finish()
    };
    write().map_err(|e| Error::write_part(role, e))
}

/// Writes the part `deletes`.
pub(crate) fn write_tombstones(store: &dyn PartStore, rows: u32, bytes: &[u8]) -> Result<PartRef> {
    write_part(store, Role::Deletes, rows, &[(TOMBSTONES, bytes)])
}

/// Writes the part `overlay`.
pub(crate) fn write_overlay(store: &dyn PartStore, rows: u32, bytes: &[u8]) -> Result<PartRef> {
    write_part(store, Role::Overlay, rows, &[(OVERLAY, bytes)])
}

#[cfg(test)]
mod tests;
