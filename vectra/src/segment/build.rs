//! Writing the parts of a sealed segment: rows and metadata (truth), then codes and graph (derived).

use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_core::{Metric, Value};
use vectra_hnsw::{Hnsw, HnswView};
use vectra_quant::{Codec, Coded, Coder, FormatError, Header, Projection, Sq4View, Sq8, Sq8View};
use vectra_tier::container::WriteError;
use vectra_tier::{PartRef, PartStore, ReadBuf, Role, SectionKind};
use vectra_wal::Lsn;

use super::calibrate::calibrate;
use super::codes::{Codes, section_of, walked_coder};
use super::exact::Vectors;
use super::ids::IdColumn;
use super::index::SealedIndex;
use super::ledger::Ledger;
use super::schema;
use super::sections::{
    CALIBRATION, CODES, DEFAULT_FIELD, GRAPH, ID_BYTES, ID_FILTER, ID_OFFSETS, ID_ORDER, INVERSE_NORMS, LSNS,
    META_DICTIONARY, META_INDEXES, META_ROWS, OVERLAY, PROJECTION, SCHEMA, TOMBSTONES, VECTORS,
};
use super::truth::Truth;
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

/// Encodes every vector of `truth`; the codes alone already make a segment quick to scan.
pub(crate) fn write_codes(store: &dyn PartStore, truth: &Truth, settings: &Settings) -> Result<PartRef> {
    const BLOCK: u32 = 1024;
    let write_error = |e| Error::write_part(Role::Index, e);
    let coder = coder(truth, settings)?;
    let codec = coder.codec();
    let header = Header { quantizer: codec.quantizer(), rows: truth.rows() }.encode();
    let mut part = store.writer(Role::Index, truth.rows(), 0).map_err(write_error)?;
    if let Some(projection) = coder.projection() {
        part.section(PROJECTION, DEFAULT_FIELD, &projection.to_section()).map_err(write_error)?;
    }
    part.begin(CODES, DEFAULT_FIELD);
    part.write(&header).map_err(write_error)?;
    let (mut codes, mut buf) = (vec![0; BLOCK as usize * codec.row_bytes()], ReadBuf::default());
    for first in (0..truth.rows()).step_by(BLOCK as usize) {
        let count = BLOCK.min(truth.rows() - first);
        let vectors = truth.vectors(first, count, &mut buf)?.to_f32();
        let rows = vectors.chunks_exact(settings.dim as usize).zip(codes.chunks_exact_mut(codec.row_bytes()));
        rows.for_each(|(vector, target)| coder.encode(vector, target));
        part.write(&codes[..count as usize * codec.row_bytes()]).map_err(write_error)?;
    }
    part.end().and_then(|()| part.finish()).map_err(write_error)
}

/// How the vectors of a segment are to be encoded: projected where a sample of them says that it pays.
fn coder(truth: &Truth, settings: &Settings) -> Result<Coder<Sq8>> {
    let (rows, dim, metric) = (truth.rows(), settings.dim as usize, settings.metric);
    let direct = Coder::direct(Sq8::new(dim, metric));
    let sampled = Projection::sample_rows(dim) as u32;
    // Beside the fit, the build of a smaller graph is over soon.
    if rows / 3 < sampled || !Projection::is_tried(dim, metric) {
        return Ok(direct);
    }
    let (mut sample, mut buf) = (Vec::with_capacity(sampled as usize * dim), ReadBuf::default());
    for i in 0..sampled {
        let slot = (u64::from(i) * u64::from(rows) / u64::from(sampled)) as u32;
        sample.extend(truth.vectors(slot, 1, &mut buf)?.to_f32());
    }
    Ok(Projection::fit(&sample, dim, metric).map_or(direct, Coder::projected))
}

/// Builds the graph over the codes of `index`, measures what walks of it find of the rows of `truth`, and writes a part with
/// all three.
///
/// `progress` is told how many rows are done and stops the build by returning false.
pub(crate) fn write_graph(
    store: &dyn PartStore,
    index: &SealedIndex,
    truth: &Truth,
    settings: &Settings,
    threads: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<PartRef> {
    let coder = index.codes().coder8();
    let codes = codes_to_build_on(index, &coder, truth, threads)?;
    let view = Sq8View::open_section(&codes).map_err(unreadable_codes)?;
    let graph = Hnsw::build(&view, &settings.graph_params(), threads, progress)
        .map_err(|e| Error::caused(ErrorKind::Unavailable, "the graph was not built", e))?;
    // Two copies of the graph at a time, no more.
    let bytes = graph.encode();
    drop(graph);
    let graph = Blob::copy_of(&bytes);
    drop(bytes);
    let walks = HnswView::open(graph.clone(), index.part.rows())
        .map_err(|e| Error::caused(ErrorKind::Corrupt, "a graph just built does not hold together", e))?;
    let (codes, table) = match walked_coder(&coder) {
        Some(coder) => {
            drop((view, codes));
            let codes = section_of(&coder, truth, threads)?;
            let view = Sq4View::open_section(&codes).map_err(unreadable_codes)?;
            let table = calibration(truth, &Coded::new(&coder, view.rows()), &walks, settings, threads);
            (codes, table)
        }
        None => {
            let table = calibration(truth, &Coded::new(&coder, view.rows()), &walks, settings, threads);
            (codes, table)
        }
    };
    let projection = coder.projection().map(Projection::to_section);
    let mut sections = vec![(CODES, &codes[..]), (GRAPH, &graph[..])];
    sections.extend(projection.iter().map(|bytes| (PROJECTION, &bytes[..])));
    sections.extend(table.as_deref().map(|table| (CALIBRATION, table)));
    write_part(store, Role::Index, index.part.rows(), &sections)
}

/// The codes of eight bits that `coder` makes: those of `index`, or made again where it has others.
fn codes_to_build_on(index: &SealedIndex, coder: &Coder<Sq8>, truth: &Truth, threads: usize) -> Result<Blob> {
    match index.codes() {
        Codes::Eight(_) => {
            let section = index.part.section(CODES, DEFAULT_FIELD).map_err(Error::read_part)?;
            // Verified codes in owned memory: a build reads each one hundreds of times.
            Ok(section.verified().map_err(Error::read_part)?.to_owned_memory())
        }
        Codes::Four(_) => section_of(coder, truth, threads),
    }
}

/// The section of what walks of `graph` find.
fn calibration<V: VectorStore>(
    truth: &Truth,
    codes: &V,
    graph: &HnswView,
    settings: &Settings,
    threads: usize,
) -> Option<Vec<u8>> {
    match calibrate(truth, settings.metric, codes, graph, settings.seed, threads) {
        Ok(table) => table.map(|table| table.encode()),
        Err(error) => {
            // The graph is of use without it, and who verifies the rows will find what is wrong with them.
            tracing::warn!(%error, "a graph is not calibrated");
            None
        }
    }
}

fn unreadable_codes(error: FormatError) -> Error {
    Error::caused(ErrorKind::Corrupt, "the codes of a segment cannot be read", error)
}

#[cfg(test)]
mod tests;
