//! The rungs: codecs by name, and the scan of what they make of a set.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::time::Instant;

use vectra::Metric;
use vectra_core::Neighbor;
use vectra_core::memory::AlignedBuf;
use vectra_core::near::Near;
use vectra_quant::pruned::Pruned;
use vectra_quant::rabitq::{Estimate, SignBlocks};
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
}

impl Rung {
    const ALL: [Self; 14] = [
        Self::Sq8,
        Self::Sq4,
        Self::ProjectedSq8,
        Self::ProjectedSq4,
        Self::RotatedSq4,
        Self::RaBitQ(1),
        Self::RaBitQ(2),
        Self::RaBitQ(3),
        Self::RaBitQ(4),
        Self::RaBitQ(5),
        Self::RaBitQ(6),
        Self::RaBitQ(7),
        Self::RaBitQ(8),
        Self::Signs,
    ];
}

impl FromStr for Rung {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|rung| rung.to_string() == name).ok_or_else(|| {
            let names = Self::ALL.map(|rung| rung.to_string());
            format!("there is no rung {name}; the rungs are {}", names.join(", "))
        })
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
        let mut estimates = vec![Estimate { distance: 0.0, error: 0.0 }; self.blocks.len()];
        self.blocks.estimate_all(&self.coder.bind(query).signs(), &mut estimates);
        let distances: Vec<f32> = estimates.iter().map(|estimate| estimate.distance).collect();
        let mut near = Near::new(count);
        near.offer(0, &distances);
        near.into_sorted()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_called_by_their_names() {
        for rung in Rung::ALL {
            assert_eq!(rung.to_string().parse(), Ok(rung));
        }
        assert_eq!("rabitq-3".parse(), Ok(Rung::RaBitQ(3)));
        assert!("sq3".parse::<Rung>().expect_err("none").contains("the rungs are sq8, sq4"));
    }
}
