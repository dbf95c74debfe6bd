//! Writing the parts of a sealed segment: rows and metadata (truth), then codes and graph (derived).

use std::sync::Arc;

use vectra_core::{ItemId, Metric, Value};
use vectra_hnsw::Hnsw;
use vectra_quant::{Header, Quantizer, Sq8, Sq8View};
use vectra_tier::container::WriteError;
use vectra_tier::{PartRef, PartStore, Role, SectionKind};
use vectra_wal::Lsn;

use super::exact::Vectors;
use super::ids::IdSections;
use super::index::SealedIndex;
use super::sections::{
    CODES, DEFAULT_FIELD, GRAPH, ID_BYTES, ID_FILTER, ID_OFFSETS, ID_ORDER, INVERSE_NORMS, LSNS,
    META_DICTIONARY, META_INDEXES, META_ROWS, OVERLAY, TOMBSTONES, VECTORS,
};
use super::truth::Truth;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;

/// One live row on its way into a sealed segment.
pub(crate) struct RowSource<'a> {
    pub(crate) id: ItemId,
    pub(crate) lsn: Lsn,
    pub(crate) vector: Vectors<'a>,
    pub(crate) inverse_norm: f32,
    pub(crate) metadata: Arc<Value>,
}

/// The truth of a segment while it is collected, column by column.
pub(crate) struct TruthBuilder {
    ids: Vec<ItemId>,
    lsns: Vec<u8>,
    vectors: Vec<u8>,
    inverse_norms: Vec<u8>,
    metadata: vectra_metadata::Builder,
    cosine: bool,
}

impl TruthBuilder {
    pub(crate) fn new(settings: &Settings, rows: usize) -> Result<Self> {
        Ok(Self {
            ids: Vec::with_capacity(rows),
            lsns: Vec::with_capacity(8 * rows),
            vectors: Vec::with_capacity(rows * settings.dim as usize * settings.element.size()),
            inverse_norms: Vec::new(),
            metadata: vectra_metadata::Builder::new(&settings.schema()?),
            cosine: settings.metric == Metric::Cosine,
        })
    }

    /// Appends a row and gives its slot.
    pub(crate) fn push(&mut self, row: RowSource<'_>) -> u32 {
        self.ids.push(row.id);
        self.lsns.extend_from_slice(&row.lsn.to_le_bytes());
        self.vectors.extend_from_slice(row.vector.as_bytes());
        if self.cosine {
            self.inverse_norms.extend_from_slice(&row.inverse_norm.to_le_bytes());
        }
        self.metadata.push(&row.metadata);
        self.ids.len() as u32 - 1
    }

    pub(crate) fn rows(&self) -> u32 {
        self.ids.len() as u32
    }

    /// Writes the parts `rows` and `meta`, durable but not yet published.
    pub(crate) fn write(self, store: &dyn PartStore) -> Result<(PartRef, PartRef)> {
        let rows = self.rows();
        let ids = IdSections::build(&self.ids);
        let mut sections = vec![
            (ID_BYTES, &ids.bytes[..]),
            (ID_OFFSETS, &ids.offsets),
            (ID_ORDER, &ids.order),
            (ID_FILTER, &ids.filter),
            (LSNS, &self.lsns),
            (VECTORS, &self.vectors),
        ];
        if self.cosine {
            sections.push((INVERSE_NORMS, &self.inverse_norms));
        }
        let rows_part = write_part(store, Role::Rows, rows, &sections)?;
        let meta = self
            .metadata
            .finish()
            .map_err(|e| Error::caused(ErrorKind::Io, "the metadata of a segment cannot be encoded", e))?;
        let sections =
            [(META_ROWS, &meta.rows[..]), (META_DICTIONARY, &meta.dictionary), (META_INDEXES, &meta.indexes)];
        let meta_part = write_part(store, Role::Meta, rows, &sections)?;
        Ok((rows_part, meta_part))
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
    write().map_err(|error| {
        let full = matches!(&error, WriteError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
        let kind = if full { ErrorKind::Full } else { ErrorKind::Io };
        Error::caused(kind, format!("the part `{role}` of a segment cannot be written"), error)
    })
}

/// Writes the part `deletes`.
pub(crate) fn write_tombstones(store: &dyn PartStore, rows: u32, bytes: &[u8]) -> Result<PartRef> {
    write_part(store, Role::Deletes, rows, &[(TOMBSTONES, bytes)])
}

/// Writes the part `overlay`.
pub(crate) fn write_overlay(store: &dyn PartStore, rows: u32, bytes: &[u8]) -> Result<PartRef> {
    write_part(store, Role::Overlay, rows, &[(OVERLAY, bytes)])
}

/// Encodes every vector of `truth`; the codes alone already make a segment quick to scan.
pub(crate) fn write_codes(store: &dyn PartStore, truth: &Truth, settings: &Settings) -> Result<PartRef> {
    const BLOCK: u32 = 1024;
    let codec = Sq8::new(settings.dim as usize, settings.metric);
    let header = Header { quantizer: Quantizer::Sq8(codec), rows: truth.rows() }.encode();
    let mut section = header.to_vec();
    section.resize(header.len() + truth.rows() as usize * codec.row_bytes(), 0);
    let mut targets = section[header.len()..].chunks_exact_mut(codec.row_bytes());
    for first in (0..truth.rows()).step_by(BLOCK as usize) {
        let count = BLOCK.min(truth.rows() - first);
        let vectors = truth.vectors(first, count)?.to_f32();
        for (vector, target) in vectors.chunks_exact(settings.dim as usize).zip(&mut targets) {
            codec.encode(vector, target);
        }
    }
    write_part(store, Role::Index, truth.rows(), &[(CODES, &section)])
}

/// Builds the graph over the codes of `index` and writes a part with both.
///
/// `progress` is told how many rows are done and stops the build by returning false.
pub(crate) fn write_graph(
    store: &dyn PartStore,
    index: &SealedIndex,
    settings: &Settings,
    threads: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<PartRef> {
    let section = index.part.section(CODES, DEFAULT_FIELD).map_err(Error::read_part)?;
    // Verified codes in owned memory: a build reads each one hundreds of times.
    let codes = section.verified().map_err(Error::read_part)?.to_owned_memory();
    let view = Sq8View::open_section(&codes)
        .map_err(|e| Error::caused(ErrorKind::Corrupt, "the codes of a segment cannot be read", e))?;
    let graph = Hnsw::build(&view, &settings.graph_params(), threads, progress)
        .map_err(|e| Error::caused(ErrorKind::Unavailable, "the graph was not built", e))?;
    write_part(store, Role::Index, index.part.rows(), &[(CODES, &codes), (GRAPH, &graph.encode())])
}
