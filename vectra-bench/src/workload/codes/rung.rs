//! The rungs: codecs by name, and the scan of what they make of a set.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::time::Instant;

use vectra::Metric;
use vectra_core::Neighbor;
use vectra_core::memory::AlignedBuf;
use vectra_quant::binary::Binary;
use vectra_quant::pq::{Pq, PqBlocks, PqQuery, PqRotation, PqSettings};
use vectra_quant::pruned::Pruned;
use vectra_quant::rabitq::SignBlocks;
use vectra_quant::{Codec, Coder, Projection, RaBitQ, Rotated, Rows, Sq4, Sq8};

use crate::Outcome;

/// A codec with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung {
    /// `sq8`
    Sq8,
    /// `sq4`
    Sq4,
    /// `projected-sq8`
    ProjectedSq8,
    /// `projected-sq4`
    ProjectedSq4,
    /// `rotated-sq4`
    RotatedSq4,
    /// `rabitq-1` to `rabitq-8`, in rows.
    RaBitQ(u32),
    /// `signs`: one bit, in blocks.
    Signs,
    /// `binary`: one bit, compared with one bit.
    Binary,
    /// `pq-48x4`: so many pieces of so many bits, in blocks; `opq-48x4` turned before.
    Pq { subspaces: usize, bits: u8, turned: bool },
}

/// What errors say of names.
const NAMES: &str = "sq8, sq4, projected-sq8, projected-sq4, rotated-sq4, rabitq-1 to rabitq-8, signs, binary, and pq-48x4 or opq-96x8 for so \
many pieces of 4 or 8 bits";

impl FromStr for Rung {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let pieces = |shape: &str, turned| {
            let (subspaces, bits) = shape.split_once('x')?;
            let (subspaces, bits) = (subspaces.parse().ok()?, bits.parse().ok()?);
            Some(Self::Pq { subspaces, bits, turned })
        };
        let rung = match name {
            "sq8" => Some(Self::Sq8),
            "sq4" => Some(Self::Sq4),
            "projected-sq8" => Some(Self::ProjectedSq8),
            "projected-sq4" => Some(Self::ProjectedSq4),
            "rotated-sq4" => Some(Self::RotatedSq4),
            "signs" => Some(Self::Signs),
            "binary" => Some(Self::Binary),
            _ => match name.split_once('-') {
                Some(("rabitq", bits)) => {
                    bits.parse().ok().filter(|bits| (1..=8).contains(bits)).map(Self::RaBitQ)
                }
                Some(("pq", shape)) => pieces(shape, false),
                Some(("opq", shape)) => pieces(shape, true),
                _ => None,
            },
        };
        rung.ok_or_else(|| format!("there is no rung {name}; the rungs are {NAMES}"))
    }
}

impl Display for Rung {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sq8 => f.write_str("sq8"),
            Self::Sq4 => f.write_str("sq4"),
            Self::ProjectedSq8 => f.write_str("projected-sq8"),
            Self::ProjectedSq4 => f.write_str("projected-sq4"),
            Self::RotatedSq4 => f.write_str("rotated-sq4"),
            Self::RaBitQ(bits) => write!(f, "rabitq-{bits}"),
            Self::Signs => f.write_str("signs"),
            Self::Binary => f.write_str("binary"),
            Self::Pq { subspaces, bits, turned } => {
                write!(f, "{}-{subspaces}x{bits}", if *turned { "opq" } else { "pq" })
            }
        }
    }
}

/// Codes of a set, and what they cost.
pub(super) struct Built {
    pub(super) scan: Box<dyn Scan>,
    pub(super) bytes_per_row: f64,
    pub(super) train_s: f64,
    pub(super) encode_s: f64,
    pub(super) input_bytes: usize,
}

/// Codes that are scanned.
pub(super) trait Scan {
    /// The nearest `count` by their codes, nearest first.
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor>;

    /// The same as candidates for a re-rank, which may be less exact.
    fn candidates(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        self.nearest(query, count)
    }

    /// The nearest of many queries that are asked at once; `None` where that is one after the other.
    fn nearest_of_many(&self, _queries: &[&[f32]], _count: usize) -> Option<Vec<Vec<Neighbor>>> {
        None
    }

    /// The `k` nearest by exact distances, of which only those are read that the codes' ranges leave open; `None` if these codes
    /// say no ranges.
    fn pruned(
        &self,
        _query: &[f32],
        _k: usize,
        _eps: f32,
        _exact: &mut dyn FnMut(u32) -> f32,
    ) -> Option<Pruned> {
        None
    }
}

/// Trains `rung` on `vectors`, of `dim` components each, and encodes them by one thread.
pub(super) fn build(rung: Rung, vectors: &[f32], dim: usize, metric: Metric, seed: u64) -> Outcome<Built> {
    let start = Instant::now();
    match rung {
        Rung::Sq8 => Ok(encoded(Coder::direct(Sq8::new(dim, metric)), vectors, 0.0)),
        Rung::Sq4 => Ok(encoded(Coder::direct(Sq4::new(dim, metric)), vectors, 0.0)),
        Rung::RotatedSq4 => {
            let rotated = Rotated::fit(vectors, dim, metric, seed);
            let (codec, train_s) = (Sq4::new(rotated.padded(), metric), start.elapsed().as_secs_f64());
            Ok(encoded(Coder::rotated(rotated, codec), vectors, train_s))
        }
        Rung::RaBitQ(bits) => {
            let rotated = Rotated::fit(vectors, dim, metric, seed);
            let codec = RaBitQ::new(rotated.padded(), bits, metric);
            let train_s = start.elapsed().as_secs_f64();
            Ok(encoded(Coder::rotated(rotated, codec), vectors, train_s))
        }
        Rung::Signs => Ok(signs(vectors, dim, metric, seed)),
        Rung::Binary => {
            let rotated = Rotated::fit(vectors, dim, metric, seed);
            let (codec, train_s) = (Binary::new(rotated.padded(), metric), start.elapsed().as_secs_f64());
            Ok(encoded(Coder::rotated(rotated, codec), vectors, train_s))
        }
        Rung::Pq { subspaces, bits, turned } => {
            let rotation = if turned { PqRotation::Opq } else { PqRotation::None };
            pieces(vectors, dim, metric, &PqSettings::new(subspaces, bits).rotation(rotation).seed(seed))
        }
        Rung::ProjectedSq8 | Rung::ProjectedSq4 => {
            let projection = projection(vectors, dim, metric)?;
            let (kept, train_s) = (projection.kept(), start.elapsed().as_secs_f64());
            Ok(if rung == Rung::ProjectedSq8 {
                encoded(Coder::projected(projection, Sq8::new(kept, metric)), vectors, train_s)
            } else {
                encoded(Coder::projected(projection, Sq4::new(kept, metric)), vectors, train_s)
            })
        }
    }
}

/// A projection fitted as that of a segment is.
fn projection(vectors: &[f32], dim: usize, metric: Metric) -> Outcome<Projection> {
    let (rows, sampled) = (vectors.len() / dim, Projection::sample_rows(dim));
    if !Projection::is_tried(dim, metric) || rows < sampled {
        return Err("these vectors are too few or too short to be projected".into());
    }
    let row = |i: usize| &vectors[i * rows / sampled * dim..][..dim];
    let sample: Vec<f32> = (0..sampled).flat_map(row).copied().collect();
    Projection::fit(&sample, dim, metric).ok_or_else(|| "a projection does not pay for these vectors".into())
}

/// Rows of codes and what made them.
struct CodedRows<C> {
    coder: Coder<C>,
    rows: AlignedBuf,
}

impl<C: Codec> Scan for CodedRows<C> {
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        let rows = Rows::new(self.coder.codec().clone(), &self.rows);
        rows.nearest(&self.coder.bind(query), count)
    }
}

fn encoded<C: Codec>(coder: Coder<C>, vectors: &[f32], train_s: f64) -> Built {
    let (dim, stride) = (coder.dim(), coder.codec().row_bytes());
    let mut rows = AlignedBuf::zeroed(vectors.len() / dim * stride);
    let start = Instant::now();
    let pairs = vectors.chunks_exact(dim).zip(rows.chunks_exact_mut(stride));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    let encode_s = start.elapsed().as_secs_f64();
    let bytes_per_row = stride as f64;
    Built {
        scan: Box::new(CodedRows { coder, rows }),
        bytes_per_row,
        train_s,
        encode_s,
        input_bytes: size_of_val(vectors),
    }
}

/// Signs in blocks and what made them.
struct CodedSigns {
    coder: Coder<RaBitQ>,
    blocks: SignBlocks,
}

impl Scan for CodedSigns {
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        let bound = self.coder.bind(query).signs();
        self.blocks.nearest(&bound, count, |_| true)
    }

    fn pruned(&self, query: &[f32], k: usize, eps: f32, exact: &mut dyn FnMut(u32) -> f32) -> Option<Pruned> {
        let bound = self.coder.bind(query).with_eps(eps).signs();
        Some(self.blocks.candidates(&bound, k, |_| true).rerank(exact))
    }
}

fn signs(vectors: &[f32], dim: usize, metric: Metric, seed: u64) -> Built {
    let start = Instant::now();
    let rotated = Rotated::fit(vectors, dim, metric, seed);
    let codec = RaBitQ::new(rotated.padded(), 1, metric);
    let coder = Coder::rotated(rotated, codec);
    let train_s = start.elapsed().as_secs_f64();
    let stride = codec.row_bytes();
    let mut rows = AlignedBuf::zeroed(vectors.len() / dim * stride);
    let start = Instant::now();
    let pairs = vectors.chunks_exact(dim).zip(rows.chunks_exact_mut(stride));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    let blocks = SignBlocks::pack(Rows::new(codec, &rows));
    let encode_s = start.elapsed().as_secs_f64();
    let bytes_per_row = blocks.to_section().len() as f64 / (vectors.len() / dim) as f64;
    let input_bytes = size_of_val(vectors);
    Built { scan: Box::new(CodedSigns { coder, blocks }), bytes_per_row, train_s, encode_s, input_bytes }
}

/// Pieces in blocks.
struct Pieces(PqBlocks);

impl Scan for Pieces {
    fn nearest(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        let bound = self.0.codec().bind(query);
        self.0.nearest(&[&bound], count, |_| true).swap_remove(0)
    }

    fn candidates(&self, query: &[f32], count: usize) -> Vec<Neighbor> {
        let bound = self.0.codec().bind(query);
        self.0.candidates(&[&bound], count, |_| true).swap_remove(0)
    }

    fn nearest_of_many(&self, queries: &[&[f32]], count: usize) -> Option<Vec<Vec<Neighbor>>> {
        let bound: Vec<PqQuery> = queries.iter().map(|query| self.0.codec().bind(query)).collect();
        Some(self.0.nearest(&bound.iter().collect::<Vec<_>>(), count, |_| true))
    }
}

fn pieces(vectors: &[f32], dim: usize, metric: Metric, settings: &PqSettings) -> Outcome<Built> {
    let start = Instant::now();
    let rows = vectors.len() / dim;
    // As many as a training takes, from everywhere.
    let sampled = rows.min(1 << 16);
    let row = |i: usize| &vectors[i * rows / sampled * dim..][..dim];
    let sample: Vec<f32> = (0..sampled).flat_map(row).copied().collect();
    let pq = Pq::train(&sample, dim, metric, settings)?;
    let train_s = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut codes = AlignedBuf::zeroed(rows * pq.row_bytes());
    pq.encode_all(vectors, &mut codes);
    let blocks = PqBlocks::of_rows(pq, &codes);
    let encode_s = start.elapsed().as_secs_f64();
    let bytes_per_row = blocks.codec().shape().code_bytes() as f64;
    let input_bytes = size_of_val(vectors);
    Ok(Built { scan: Box::new(Pieces(blocks)), bytes_per_row, train_s, encode_s, input_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_called_by_their_names() {
        for name in ["sq8", "sq4", "projected-sq8", "projected-sq4", "rotated-sq4", "rabitq-1", "rabitq-8"] {
            assert_eq!(name.parse::<Rung>().expect(name).to_string(), name);
        }
        for name in ["signs", "binary", "pq-48x4", "opq-96x8"] {
            assert_eq!(name.parse::<Rung>().expect(name).to_string(), name);
        }
        assert_eq!("opq-9x8".parse(), Ok(Rung::Pq { subspaces: 9, bits: 8, turned: true }));
        for name in ["rabitq-0", "rabitq-9", "pq-48", "pq-x4", "opq"] {
            name.parse::<Rung>().expect_err(name);
        }
        assert!("sq3".parse::<Rung>().expect_err("none").contains("the rungs are sq8, sq4"));
    }
}
