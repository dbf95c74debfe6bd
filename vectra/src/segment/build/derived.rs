//! Writing the derived part of a segment: the codes of its vectors, and the graph over them once there is time for it.

use vectra_core::codec::Writer;
use vectra_core::io::Blob;
use vectra_core::scorer::VectorStore;
use vectra_hnsw::{Hnsw, HnswView};
use vectra_quant::{Codec, Coded, Coder, Header, Projection, RaBitQ, Rotated, Sq4, Sq8, Sq8View, View};
use vectra_tier::{PartRef, PartStore, ReadBuf, Role, SectionKind};

use super::write_part;
use crate::error::{Error, ErrorKind, Result};
use crate::quantization::Quantization;
use crate::segment::calibrate::calibrate;
use crate::segment::codes::{BLOCK, CodeRows, Codes, Walkable, encode, section_of, unreadable, walked_coder};
use crate::segment::index::SealedIndex;
use crate::segment::sections::{
    CALIBRATION, CODES, DEFAULT_FIELD, GRAPH, PROJECTION, QUANTIZATION, ROTATION,
};
use crate::segment::truth::Truth;
use crate::settings::Settings;

/// Rows whose mean is the centre of a rotation.
const CENTRE_ROWS: u32 = 4096;

/// Encodes every vector of `truth`; the codes alone already make a segment quick to scan.
pub(crate) fn write_codes(store: &dyn PartStore, truth: &Truth, settings: &Settings) -> Result<PartRef> {
    let write_error = |e| Error::write_part(Role::Index, e);
    let coder = fitted(truth, settings)?;
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
        let rows = &mut codes[..count as usize * codec.row_bytes()];
        encode(&coder, truth, first, rows, &mut buf)?;
        part.write(rows).map_err(write_error)?;
    }
    part.end().and_then(|()| part.finish()).map_err(write_error)
}

/// How the vectors of a segment are to be encoded: projected where a sample of them says that it pays.
fn fitted(truth: &Truth, settings: &Settings) -> Result<Coder<Sq8>> {
    let (rows, dim, metric) = (truth.rows(), settings.dim as usize, settings.metric);
    let direct = Coder::direct(Sq8::new(dim, metric));
    let sampled = Projection::sample_rows(dim) as u32;
    // Beside the fit, the build of a smaller graph is over soon.
    if rows / 3 < sampled || !Projection::is_tried(dim, metric) {
        return Ok(direct);
    }
    let sample = sample(truth, dim, sampled)?;
    Ok(Projection::fit(&sample, dim, metric).map_or(direct, |projection| {
        let codec = Sq8::new(projection.kept(), metric);
        Coder::projected(projection, codec)
    }))
}

/// Bytes of the code that a vector of `truth` has when the engine is left to choose. If the vectors cannot be read, of one with a code for
/// each component.
pub(crate) fn auto_row_bytes(truth: &Truth, settings: &Settings) -> usize {
    match fitted(truth, settings) {
        Ok(coder) => {
            let walked = walked_coder(&coder).map(|four| four.codec().row_bytes());
            walked.unwrap_or(coder.codec().row_bytes())
        }
        Err(error) => {
            tracing::warn!(%error, "vectors are not fitted");
            Sq8::new(settings.dim as usize, settings.metric).row_bytes()
        }
    }
}

/// So many vectors, evenly spread over all rows.
fn sample(truth: &Truth, dim: usize, count: u32) -> Result<Vec<f32>> {
    let (mut sample, mut buf) = (Vec::with_capacity(count as usize * dim), ReadBuf::default());
    for i in 0..count {
        let slot = (u64::from(i) * u64::from(truth.rows()) / u64::from(count)) as u32;
        sample.extend(truth.vectors(slot, 1, &mut buf)?.to_f32());
    }
    Ok(sample)
}

/// Builds the graph over the codes of `index`, encodes the vectors of `truth` as `quantization` asks, measures what walks find of
/// them, and writes a part with all of it.
///
/// `progress` is told how many rows are done and stops the build by returning false.
pub(crate) fn write_graph(
    store: &dyn PartStore,
    index: &SealedIndex,
    truth: &Truth,
    (settings, quantization): (&Settings, Quantization),
    threads: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<PartRef> {
    let coder = match index.codes().coder8() {
        Some(coder) => coder,
        None => fitted(truth, settings)?,
    };
    let codes = codes_to_build_on(index, &coder, truth, threads)?;
    let view = Sq8View::open_section(&codes, *coder.codec()).map_err(unreadable)?;
    let graph = Hnsw::build(&view, &settings.graph_params(), threads, progress)
        .map_err(|e| Error::caused(ErrorKind::Unavailable, "the graph was not built", e))?;
    // Two copies of the graph at a time, no more.
    let bytes = graph.encode();
    drop((graph, view));
    let graph = Blob::copy_of(&bytes);
    drop(bytes);
    let walked = Walked { graph, settings, quantization, threads };
    walked.write(store, truth, &coder, Some(codes))
}

/// Encodes the vectors of `truth` anew, as `quantization` asks, for the graph that `index` has, and writes a part with both.
pub(crate) fn write_encoded(
    store: &dyn PartStore,
    index: &SealedIndex,
    truth: &Truth,
    (settings, quantization): (&Settings, Quantization),
    threads: usize,
) -> Result<PartRef> {
    let section = index.part.section(GRAPH, DEFAULT_FIELD).map_err(Error::read_part)?;
    let graph = section.verified().map_err(Error::read_part)?.clone();
    let coder = fitted(truth, settings)?;
    Walked { graph, settings, quantization, threads }.write(store, truth, &coder, None)
}

/// A graph that is going to be walked on codes.
struct Walked<'a> {
    graph: Blob,
    settings: &'a Settings,
    quantization: Quantization,
    threads: usize,
}

impl Walked<'_> {
    /// Writes the part. Left to itself it takes the codes of `coder`, which are `made` where they were needed before, or
    /// shorter ones of the same components.
    fn write(
        &self,
        store: &dyn PartStore,
        truth: &Truth,
        coder: &Coder<Sq8>,
        made: Option<Blob>,
    ) -> Result<PartRef> {
        let (dim, metric) = (self.settings.dim as usize, self.settings.metric);
        match self.quantization {
            Quantization::Auto => match walked_coder(coder) {
                Some(coder) => {
                    drop(made);
                    self.write_on(store, truth, &coder, None)
                }
                None => self.write_on(store, truth, coder, made),
            },
            Quantization::Sq8 => {
                let made = made.filter(|_| coder.projection().is_none());
                self.write_on(store, truth, &Coder::direct(Sq8::new(dim, metric)), made)
            }
            Quantization::Sq4 => {
                drop(made);
                let rotated = self.rotated(truth)?;
                let codec = Sq4::new(rotated.padded(), metric);
                self.write_on(store, truth, &Coder::rotated(rotated, codec), None)
            }
            Quantization::RaBitQ { bits } => {
                drop(made);
                let rotated = self.rotated(truth)?;
                let codec = RaBitQ::new(rotated.padded(), bits.into(), metric);
                let coder = Coder::rotated(rotated, codec);
                let codes = section_of(&coder, truth, self.threads)?;
                let rows = CodeRows::new(&codes, coder)?;
                let rotation = rows.coder.rotation().map(Rotated::to_section);
                let table = self.calibration(truth, &Walkable(&rows))?;
                self.write_part(store, truth.rows(), &codes, rotation.map(|bytes| (ROTATION, bytes)), table)
            }
        }
    }

    /// A rotation around the mean of a sample.
    fn rotated(&self, truth: &Truth) -> Result<Rotated> {
        let dim = self.settings.dim as usize;
        let sampled = truth.rows().min(CENTRE_ROWS);
        let sample = sample(truth, dim, sampled)?;
        Ok(Rotated::fit(&sample, dim, self.settings.metric, self.settings.seed))
    }

    /// Writes the part with the codes of `coder`, which may be there already.
    fn write_on<C: Codec>(
        &self,
        store: &dyn PartStore,
        truth: &Truth,
        coder: &Coder<C>,
        made: Option<Blob>,
    ) -> Result<PartRef> {
        let codes = match made {
            Some(codes) => codes,
            None => section_of(coder, truth, self.threads)?,
        };
        let view = View::open_section(&codes, coder.codec().clone()).map_err(unreadable)?;
        let table = self.calibration(truth, &Coded::new(coder, view.rows()))?;
        let projection = coder.projection().map(|projection| (PROJECTION, projection.to_section()));
        let rotation = coder.rotation().map(|rotated| (ROTATION, rotated.to_section()));
        self.write_part(store, truth.rows(), &codes, projection.or(rotation), table)
    }

    fn write_part(
        &self,
        store: &dyn PartStore,
        rows: u32,
        codes: &[u8],
        behind: Option<(SectionKind, Vec<u8>)>,
        table: Option<Vec<u8>>,
    ) -> Result<PartRef> {
        let mut asked_for = Writer::new();
        self.quantization.encode(&mut asked_for);
        let mut sections = vec![(CODES, codes), (GRAPH, &self.graph[..])];
        sections.extend(behind.iter().map(|(kind, bytes)| (*kind, &bytes[..])));
        sections.extend(table.as_deref().map(|table| (CALIBRATION, table)));
        if self.quantization != Quantization::Auto {
            sections.push((QUANTIZATION, asked_for.as_bytes()));
        }
        write_part(store, Role::Index, rows, &sections)
    }

    /// The section of what walks find.
    fn calibration<V: VectorStore>(&self, truth: &Truth, codes: &V) -> Result<Option<Vec<u8>>> {
        let walks = HnswView::open(self.graph.clone(), truth.rows()).map_err(|e| {
            Error::caused(ErrorKind::Corrupt, "the graph of a segment does not hold together", e)
        })?;
        let Settings { metric, seed, .. } = self.settings;
        match calibrate(truth, *metric, codes, &walks, *seed, self.threads) {
            Ok(table) => Ok(table.map(|table| table.encode())),
            Err(error) => {
                // The graph is of use without it, and who verifies the rows will find what is wrong with them.
                tracing::warn!(%error, "a graph is not calibrated");
                Ok(None)
            }
        }
    }
}

/// The codes of eight bits that `coder` makes: those of `index`, or made again where it has others.
fn codes_to_build_on(index: &SealedIndex, coder: &Coder<Sq8>, truth: &Truth, threads: usize) -> Result<Blob> {
    match index.codes() {
        Codes::Eight(_) => {
            let section = index.part.section(CODES, DEFAULT_FIELD).map_err(Error::read_part)?;
            // Verified codes in owned memory: a build reads each one hundreds of times.
            Ok(section.verified().map_err(Error::read_part)?.to_owned_memory())
        }
        Codes::Four(_) | Codes::Other(_) => section_of(coder, truth, threads),
    }
}

#[cfg(test)]
mod tests;
