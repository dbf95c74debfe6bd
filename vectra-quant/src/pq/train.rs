//! From a sample to a model.

use vectra_core::Metric;
use vectra_core::env::SeededRng;
use vectra_core::vector::normalize::inverse_norm;

use super::anisotropic;
use super::codec::Pq;
use super::correction::correction;
use super::format;
use super::model::Model;
use super::pieces::PqShape;
use crate::columns::Columns;
use crate::fastscan::COLUMNS_MAX;
use crate::kmeans::{KMeans, TrainError, sample};
use crate::sq::{DIM_MAX, sane};

/// Rows that train a piece, at most.
const ROWS_MAX: usize = 1 << 16;
/// Rows for each centroid: there are all with 256 centroids, and a quarter of them with 16.
const ROWS_PER_CENTROID: usize = 1024;

/// What is done to vectors before they are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PqRotation {
    /// Nothing.
    None,
    /// They are turned by a matrix that is trained together with the centroids, for at most [`OPQ_DIM_MAX`] dimensions. Needs the
    /// feature `opq`; models that have one are read without it.
    Opq,
}

/// The longest vectors for which a rotation is trained: the work grows with the third power.
pub const OPQ_DIM_MAX: usize = 2048;

/// The longest pieces that are trained for products: the work grows with the third power.
const PRODUCTS_DIM_MAX: usize = 64;

/// How a [`Pq`] is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PqSettings {
    /// Pieces to a vector, at most as many as it has components and 16,384.
    pub subspaces: usize,
    /// Bits of a code: 4 or 8.
    pub bits: u8,
    /// What is done before vectors are cut.
    pub rotation: PqRotation,
    /// Which products matter, as a share of the greatest that a vector has with queries of a length, below 0.9; the higher, the more
    /// errors along a vector weigh. 0 weighs all errors alike. For dot and cosine only.
    pub threshold: f32,
    /// Rounds of k-means at most.
    pub rounds: usize,
    /// What is drawn follows from it.
    pub seed: u64,
}

impl PqSettings {
    /// So many codes of so many bits, of vectors as they are.
    pub const fn new(subspaces: usize, bits: u8) -> Self {
        Self { subspaces, bits, rotation: PqRotation::None, threshold: 0.0, rounds: 25, seed: 1 }
    }

    /// The same with another rotation.
    pub const fn rotation(mut self, rotation: PqRotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// The same with codes for products, as those of `ScaNN` are. For a few hundred dimensions 0.15 is a good threshold, or 0.12 with a
    /// rotation. Such codes find more of the greatest products, take several times as long to train and to encode, and stand for
    /// vectors that are farther from those encoded.
    pub const fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// The same with a limit on the rounds of k-means.
    pub const fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// The same with another seed.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl Pq {
    /// Trains a codec on `sample`, vectors of `dim` components that lie one after the other. At most 65,536 of them are used,
    /// 16,384 for codes of four bits; a hundred for each centroid are enough.
    ///
    /// Takes seconds on one core with codes of eight bits and a full sample, and a fraction of one with four; with a rotation
    /// ten seconds for a few hundred dimensions, and minutes for the longest vectors. The same sample, settings and seed give the same model; with a rotation, on the same kind of processor.
    /// Total over what the vectors hold, as [`encode`](crate::Codec::encode) is.
    ///
    /// # Errors
    /// If the sample is empty, or the settings do not fit: no pieces or more than `dim` or 16,384, other than 4 or 8 bits, the metric
    /// L1, a threshold under L2 or for pieces of more than 64 components, or a rotation for more than [`OPQ_DIM_MAX`] dimensions.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`] or `sample` is not a whole number of vectors.
    pub fn train(
        sample: &[f32],
        dim: usize,
        metric: Metric,
        settings: &PqSettings,
    ) -> Result<Self, TrainError> {
        assert!((1..=DIM_MAX).contains(&dim), "the dimension is in 1..=65536");
        assert!(sample.len().is_multiple_of(dim), "whole vectors");
        let shape = shape(dim, metric, settings)?;
        if sample.is_empty() {
            return Err(TrainError::Empty);
        }
        let mut rows = prepared(sample, &shape, settings.seed);
        let turn: Option<super::turn::Turn> = match settings.rotation {
            PqRotation::None => None,
            #[cfg(feature = "opq")]
            PqRotation::Opq => Some(super::opq::fit(&rows, &shape, settings)),
            #[cfg(not(feature = "opq"))]
            PqRotation::Opq => unreachable!("refused with the shape"),
        };
        if let Some(turn) = &turn {
            turn.turn(&mut rows);
        }
        let mut piece = Vec::new();
        let mut books = Vec::with_capacity(shape.subspaces());
        for (n, range) in shape.pieces().enumerate() {
            cut(&rows, dim, range.clone(), &mut piece);
            let means = KMeans::new(shape.centroids()).rows_max(ROWS_MAX).rounds(settings.rounds);
            let centroids = means.seed(settings.seed.wrapping_add(n as u64)).train(&piece, range.len())?;
            books.push(whole(centroids.to_rows(), range.len(), shape.centroids()));
        }
        let weight = anisotropic::weight(dim, settings);
        if weight > 0.0 {
            anisotropic::settle(&sane(&rows), &shape, weight, &mut books);
        }
        let correction = if metric == Metric::Cosine { correction(&sane(&rows), dim) } else { 0.0 };
        Ok(Self::of_model(format::identified(Model { shape, books, turn, weight, correction })))
    }
}

/// The shape that the settings ask for, of a model without a checksum.
fn shape(dim: usize, metric: Metric, settings: &PqSettings) -> Result<PqShape, TrainError> {
    let refused = |text: String| Err(TrainError::Settings(text));
    let &PqSettings { subspaces, bits, rotation, threshold, .. } = settings;
    if metric == Metric::L1 {
        return refused("product quantization knows no L1 distances; take SQ8 codes for them".into());
    }
    let most = dim.min(COLUMNS_MAX);
    if !(1..=most).contains(&subspaces) {
        return refused(format!(
            "vectors of {dim} components cannot be cut into {subspaces} pieces; take 1 to {most}"
        ));
    }
    if rotation == PqRotation::Opq && cfg!(not(feature = "opq")) {
        let text =
            "this build trains no rotations; enable the feature opq of vectra-quant, or train without one";
        return refused(text.into());
    }
    if rotation == PqRotation::Opq && dim > OPQ_DIM_MAX {
        return refused(format!(
            "a rotation is trained for at most {OPQ_DIM_MAX} dimensions, not {dim}; train without one"
        ));
    }
    let short = dim.div_ceil(subspaces) <= PRODUCTS_DIM_MAX && metric != Metric::L2;
    if threshold != 0.0 && !(short && (0.0..=0.9).contains(&threshold)) {
        return refused(format!(
            "a threshold is from 0 to 0.9, for dot and cosine, and for pieces of at most {PRODUCTS_DIM_MAX} components; it is \
             {threshold} for pieces of {} under {metric}",
            dim.div_ceil(subspaces)
        ));
    }
    match PqShape::new(dim, metric, subspaces, bits, 0) {
        Some(shape) => Ok(shape),
        None => refused(format!("a code of product quantization has 4 or 8 bits, not {bits}")),
    }
}

/// The rows to be used, finite and normalised under cosine.
fn prepared(all: &[f32], shape: &PqShape, seed: u64) -> Vec<f32> {
    let count = ROWS_MAX.min(ROWS_PER_CENTROID * shape.centroids());
    let drawn = sample(all, shape.dim(), count, &SeededRng::new(seed));
    let mut rows = sane(&drawn).into_owned();
    if shape.metric() == Metric::Cosine {
        rows.chunks_exact_mut(shape.dim()).for_each(|row| {
            let scale = inverse_norm(row);
            row.iter_mut().for_each(|x| *x *= scale);
        });
    }
    rows
}

/// One piece of every row.
pub(super) fn cut(rows: &[f32], dim: usize, range: std::ops::Range<usize>, piece: &mut Vec<f32>) {
    piece.clear();
    rows.chunks_exact(dim).for_each(|row| piece.extend_from_slice(&row[range.clone()]));
}

/// All the centroids that codes can name; the last is repeated, and never chosen, where there are fewer.
pub(super) fn whole(mut centroids: Vec<f32>, dim: usize, count: usize) -> Columns {
    let last = centroids[centroids.len() - dim..].to_vec();
    while centroids.len() < count * dim {
        centroids.extend_from_slice(&last);
    }
    Columns::new(&centroids, dim)
}
