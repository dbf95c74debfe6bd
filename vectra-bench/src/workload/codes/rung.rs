//! The rungs: codecs by name, and the scan of what they make of a set.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::time::Instant;

use vectra::Metric;
use vectra_core::Neighbor;
use vectra_core::memory::AlignedBuf;
use vectra_quant::{Codec, Coder, Projection, Rows, Sq4, Sq8};

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
}

impl Rung {
    const NAMED: [(&'static str, Self); 4] = [
        ("sq8", Self::Sq8),
        ("sq4", Self::Sq4),
        ("projected-sq8", Self::ProjectedSq8),
        ("projected-sq4", Self::ProjectedSq4),
    ];
}

impl FromStr for Rung {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, rung)| *rung).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMED.iter().map(|(known, _)| *known).collect();
            format!("there is no rung {name}; the rungs are {}", names.join(", "))
        })
    }
}

impl Display for Rung {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let named = Self::NAMED.iter().find(|(_, rung)| rung == self);
        f.write_str(named.map_or("?", |(known, _)| known))
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
}

/// Trains `rung` on `vectors`, of `dim` components each, and encodes them by one thread.
pub(super) fn build(rung: Rung, vectors: &[f32], dim: usize, metric: Metric, _seed: u64) -> Outcome<Built> {
    let start = Instant::now();
    match rung {
        Rung::Sq8 => Ok(encoded(Coder::direct(Sq8::new(dim, metric)), vectors, 0.0)),
        Rung::Sq4 => Ok(encoded(Coder::direct(Sq4::new(dim, metric)), vectors, 0.0)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_called_by_their_names() {
        for (name, rung) in Rung::NAMED {
            assert_eq!(name.parse(), Ok(rung));
            assert_eq!(rung.to_string(), name);
        }
        assert!("sq3".parse::<Rung>().expect_err("none").contains("the rungs are sq8, sq4"));
    }
}
