//! The derived part of a sealed segment: codes and, once it is built, the graph. Damage here costs speed, never data.

use std::sync::Arc;

use vectra_core::admit::{Admit, Bits};
use vectra_core::codec::Reader;
use vectra_core::index::{AnnIndex, SearchCounts, SearchParams};
use vectra_core::io::{Blob, Reads};
use vectra_core::pool::Pool;
use vectra_core::scorer::{Expansion, Scorer};
use vectra_core::{Metric, Neighbor};
use vectra_hnsw::HnswView;
use vectra_quant::{Projection, Rotated};
use vectra_tier::{PartHandle, ReadBuf, ReadError, Section};

use super::calibration::{Calibration, first_scale};
use super::codes::{Codes, Transform};
use super::sections::{CALIBRATION, CODES, DEFAULT_FIELD, GRAPH, PROJECTION, QUANTIZATION, ROTATION};
use crate::error::{Error, ErrorKind, Result};
use crate::quantization::Quantization;

/// Codes and graph over the slots of one segment.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    pub(crate) part: Arc<PartHandle>,
    codes: Codes,
    graph: Option<HnswView>,
    calibration: Option<Calibration>,
    quantization: Quantization,
    verified: bool,
}

/// Memory reused from query to query; one per thread.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    graph: <HnswView as AnnIndex>::Scratch,
    pool: Pool,
    pub(crate) found: Vec<Neighbor>,
    /// For vectors that are not in memory.
    pub(crate) vectors: ReadBuf,
}

impl SealedIndex {
    /// The codes and the graph as the disk gives them: every access is checked, the content is not.
    /// For a segment of `rows` rows.
    pub(crate) fn open(part: Arc<PartHandle>, rows: u32, dim: usize, metric: Metric) -> Result<Self> {
        let is_walked = part.has(GRAPH, DEFAULT_FIELD);
        Self::from_sections(part, rows, dim, metric, |section| {
            let blob = section.bytes().clone();
            if is_walked {
                blob.advise(Reads::Scattered);
            }
            Ok(blob)
        })
    }

    /// The same codes and graph in memory of our own, every page and every link of them verified there.
    pub(crate) fn verified(&self, dim: usize, metric: Metric) -> Result<Self> {
        let (part, rows) = (Arc::clone(&self.part), self.codes.len() as u32);
        let mut verified = Self::from_sections(part, rows, dim, metric, Section::owned_verified)?;
        if let Some(graph) = &verified.graph {
            graph.verify().map_err(|e| {
                Error::caused(ErrorKind::Corrupt, "the graph of a segment does not hold together", e)
            })?;
        }
        verified.verified = true;
        // What was read through the map until now would stay resident beside the copy.
        verified.part.unmap();
        Ok(verified)
    }

    fn from_sections(
        part: Arc<PartHandle>,
        rows: u32,
        dim: usize,
        metric: Metric,
        bytes: impl Fn(&Section) -> std::result::Result<Blob, ReadError>,
    ) -> Result<Self> {
        let bad = |what, e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Corrupt, format!("the {what} of a segment cannot be read: {e}"))
        };
        let section = |kind| {
            let section = part.section(kind, DEFAULT_FIELD).map_err(Error::read_part)?;
            bytes(&section).map_err(Error::read_part)
        };
        let transform = match (part.has(PROJECTION, DEFAULT_FIELD), part.has(ROTATION, DEFAULT_FIELD)) {
            (false, false) => Transform::Direct,
            (true, false) => {
                let projection = Projection::open_section(&section(PROJECTION)?);
                Transform::Projected(projection.map_err(|e| bad("projection", e.into()))?)
            }
            (false, true) => {
                let rotated = Rotated::open_section(&section(ROTATION)?);
                Transform::Rotated(rotated.map_err(|e| bad("rotation", e.into()))?)
            }
            (true, true) => {
                return Err(Error::corrupt("the vectors of a segment are both projected and rotated"));
            }
        };
        let codes = Codes::open(&section(CODES)?, transform, dim, metric)?;
        if codes.len() != rows as usize {
            return Err(Error::corrupt("the codes of a segment belong to other vectors"));
        }
        let graph = if part.has(GRAPH, DEFAULT_FIELD) {
            Some(HnswView::open(section(GRAPH)?, rows).map_err(|e| bad("graph", e.into()))?)
        } else {
            None
        };
        let calibration = if part.has(CALIBRATION, DEFAULT_FIELD) {
            let table = Calibration::decode(&section(CALIBRATION)?);
            Some(table.map_err(|e| bad("calibration", e.into()))?)
        } else {
            None
        };
        let quantization = if part.has(QUANTIZATION, DEFAULT_FIELD) {
            let asked_for = section(QUANTIZATION)?;
            let mut r = Reader::new(&asked_for);
            let read = Quantization::decode(&mut r).and_then(|found| r.finish().map(|()| found));
            read.map_err(|e| bad("quantization", e.into()))?
        } else {
            Quantization::Auto
        };
        Ok(Self { part, codes, graph, calibration, quantization, verified: false })
    }

    /// Whether what is searched was checked as a whole, where it is.
    pub(crate) fn is_verified(&self) -> bool {
        self.verified
    }

    /// Whether every page of the codes, and of what is behind them, matches its checksum.
    pub(crate) fn codes_are_sound(&self) -> bool {
        let is_sound =
            |kind| self.part.section(kind, DEFAULT_FIELD).is_ok_and(|section| section.verified().is_ok());
        let behind = [PROJECTION, ROTATION];
        let behind = behind.into_iter().filter(|kind| self.part.has(*kind, DEFAULT_FIELD));
        is_sound(CODES) && behind.into_iter().all(is_sound)
    }

    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// Bytes of the graph; 0 before it is built.
    pub(crate) fn graph_bytes(&self) -> u64 {
        let graph = self.part.section(GRAPH, DEFAULT_FIELD).ok();
        graph.map_or(0, |section| section.len() as u64)
    }

    /// The quantization that was asked for when the graph's codes were made.
    pub(crate) fn quantization(&self) -> Quantization {
        self.quantization
    }

    pub(crate) fn has_graph(&self) -> bool {
        self.graph.is_some()
    }

    pub(crate) fn graph(&self) -> Option<&HnswView> {
        self.graph.as_ref()
    }

    /// What is known of the walks of the graph.
    pub(crate) fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// As [`walk`](Self::walk), as the calibration says for `k` results and recall `target`.
    ///
    /// # Panics
    /// If there is no graph or no calibration.
    pub(crate) fn walk_for<A: Admit>(
        &self,
        query: &[f32],
        wanted: (usize, f32),
        admit: &A,
        scratch: &mut Scratch,
    ) -> SearchCounts {
        match &self.codes {
            Codes::Eight(codes) => {
                let bound = codes.coder.bind(query);
                self.walk_with_for(&mut codes.scorer(&bound), query, wanted, admit, scratch)
            }
            Codes::Four(codes) => {
                let bound = codes.coder.bind(query);
                self.walk_with_for(&mut codes.scorer(&bound), query, wanted, admit, scratch)
            }
            Codes::Other(codes) => self.walk_with_for(&mut codes.bind(query), query, wanted, admit, scratch),
        }
    }

    fn walk_with_for<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        query: &[f32],
        (k, target): (usize, f32),
        admit: &A,
        scratch: &mut Scratch,
    ) -> SearchCounts {
        let (graph, calibration) = (self.graph.as_ref(), self.calibration.as_ref());
        let (graph, calibration) = graph.zip(calibration).expect("the plan asks for what there is");
        let scale = first_scale(self.codes.any().quantizer().metric(), query);
        let choose = |first: f32| calibration.rule(k, target, first * scale).params(k);
        graph.search_chosen(scorer, choose, admit, &mut scratch.graph, &mut scratch.found)
    }

    /// The `params.k` nearest admitted slots by their codes, through the graph; into `scratch.found`.
    ///
    /// # Panics
    /// If there is no graph.
    pub(crate) fn walk<A: Admit>(
        &self,
        query: &[f32],
        params: &SearchParams,
        admit: &A,
        scratch: &mut Scratch,
    ) -> SearchCounts {
        match &self.codes {
            Codes::Eight(codes) => {
                let bound = codes.coder.bind(query);
                self.walk_with(&mut codes.scorer(&bound), params, admit, scratch)
            }
            Codes::Four(codes) => {
                let bound = codes.coder.bind(query);
                self.walk_with(&mut codes.scorer(&bound), params, admit, scratch)
            }
            Codes::Other(codes) => self.walk_with(&mut codes.bind(query), params, admit, scratch),
        }
    }

    fn walk_with<S: Scorer, A: Admit>(
        &self,
        scorer: &mut S,
        params: &SearchParams,
        admit: &A,
        scratch: &mut Scratch,
    ) -> SearchCounts {
        let graph = self.graph.as_ref().expect("the plan asks for a walk only where there is a graph");
        graph.search(scorer, params, admit, &mut scratch.graph, &mut scratch.found)
    }

    /// The `k` nearest slots of `admitted` by their codes, scanning them all; into `scratch.found`.
    pub(crate) fn scan(
        &self,
        query: &[f32],
        k: usize,
        admitted: &Bits,
        scratch: &mut Scratch,
    ) -> SearchCounts {
        match &self.codes {
            Codes::Eight(codes) => {
                let bound = codes.coder.bind(query);
                scan(&mut codes.scorer(&bound), k, admitted, scratch)
            }
            Codes::Four(codes) => {
                let bound = codes.coder.bind(query);
                scan(&mut codes.scorer(&bound), k, admitted, scratch)
            }
            Codes::Other(codes) => scan(&mut codes.bind(query), k, admitted, scratch),
        }
    }
}

fn scan<S: Scorer>(scorer: &mut S, k: usize, admitted: &Bits, scratch: &mut Scratch) -> SearchCounts {
    let (pool, mut block) = (&mut scratch.pool, [0_u32; 64]);
    pool.reset(k);
    let mut slots = admitted.iter();
    let mut counts = SearchCounts::default();
    loop {
        let mut len = 0;
        for slot in slots.by_ref().take(64) {
            block[len] = slot;
            len += 1;
        }
        if len == 0 || k == 0 {
            break;
        }
        let expansion = Expansion::whole(block[0], &block[..len]);
        scorer.fetch(&expansion);
        scorer.expand(&expansion, pool.bound(), pool);
        counts.distances += len as u64;
    }
    scratch.found.clear();
    scratch.found.extend(pool.iter());
    counts
}
