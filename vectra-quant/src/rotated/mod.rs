//! Vectors as differences to a centre, rotated at random: what codes of few bits are made of.

mod format;

use std::sync::Arc;

use vectra_core::Metric;
use vectra_core::vector::normalize::inverse_norm;

pub use format::HEADER_BYTES;

use crate::codec::Codec;
use crate::rotation::Rotation;
use crate::sq::sane;

/// A centre and a [`Rotation`].
///
/// With the centre `c` and the rotation `R`, what is encoded of a vector `x` (under cosine: normalised) is `y = R (x - c)`.
/// Differences between vectors keep their lengths, and are the smaller parts of longer vectors where these have
/// much in common. Under dot `<q, x> = <y_q, y_x> + <q - c, c> + <x - c, c> + |c|^2`, and half of `|y|^2 - |x|^2`, for each of the
/// two, goes with what is encoded, for codecs that [take it](Codec::TAKES_CENTRES).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotated {
    rotation: Rotation,
    centre: Arc<[f32]>,
    metric: Metric,
}

/// What is encoded of a vector.
pub(crate) struct Part {
    pub(crate) components: Vec<f32>,
    /// Under dot `|y|^2 - |x|^2`, otherwise zero.
    pub(crate) rest: f32,
}

impl Rotated {
    /// Differences to `centre`, rotated as `seed` says. Components of the centre that are no numbers, or too large, are made such
    /// as those of vectors are.
    ///
    /// # Panics
    /// If the centre has no components or more than [`DIM_MAX`](crate::sq::DIM_MAX), or under [`Metric::L1`], which no
    /// rotation keeps.
    pub fn new(centre: &[f32], metric: Metric, seed: u64) -> Self {
        assert!(metric != Metric::L1, "L1 distances cannot be rotated");
        Self { rotation: Rotation::new(centre.len(), seed), centre: sane(centre).into(), metric }
    }

    /// Differences to the mean of `sample`, which is row-major and, under cosine, does not need to be normalised; to zero if
    /// it is empty.
    ///
    /// # Panics
    /// As [`new`](Self::new), or if `sample` is not a whole number of vectors of `dim` components.
    pub fn fit(sample: &[f32], dim: usize, metric: Metric, seed: u64) -> Self {
        assert!(dim > 0 && sample.len().is_multiple_of(dim), "a whole number of vectors");
        let mut sums = vec![0.0_f64; dim];
        for vector in sample.chunks_exact(dim) {
            let vector = sane(vector);
            let scale = scale(&vector, metric);
            sums.iter_mut().zip(&*vector).for_each(|(sum, x)| *sum += f64::from(x * scale));
        }
        let count = (sample.len() / dim).max(1) as f64;
        let centre: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        Self::new(&centre, metric, seed)
    }

    /// Components of the vectors themselves.
    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    /// Components that are encoded: the next multiple of 64.
    pub fn padded(&self) -> usize {
        self.rotation.padded()
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// What all vectors have in common.
    pub fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// How differences to the centre are rotated.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Writes the code of the rotated `vector` to `row`. Total as [`Codec::encode`] is.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long, or if the codec or `row` do not have [`padded`](Self::padded) components.
    pub(crate) fn encode<C: Codec>(&self, codec: &C, vector: &[f32], row: &mut [u8]) {
        let part = self.rotate(vector);
        codec.encode_part(&part.components, part.rest, row);
    }

    /// Encodes the rotated `query`, to be compared with rows of the same rotation.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long or the codec does not have [`padded`](Self::padded) components.
    pub(crate) fn bind<C: Codec>(&self, codec: &C, query: &[f32]) -> C::Query {
        let part = self.rotate(query);
        codec.bind_part(&part.components, part.rest)
    }

    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long.
    pub(crate) fn rotate(&self, vector: &[f32]) -> Part {
        assert_eq!(vector.len(), self.dim(), "vector and rotation have different dimensions");
        let vector = sane(vector);
        let scale = scale(&vector, self.metric);
        let difference: Vec<f32> = vector.iter().zip(&*self.centre).map(|(x, c)| x * scale - c).collect();
        let mut components = vec![0.0; self.padded()];
        self.rotation.apply(&difference, &mut components);
        let rest = if self.metric == Metric::Dot { beside(&difference, &self.centre) } else { 0.0 };
        Part { components, rest }
    }
}

/// What a vector is multiplied with before anything else.
fn scale(vector: &[f32], metric: Metric) -> f32 {
    if metric == Metric::Cosine { inverse_norm(vector) } else { 1.0 }
}

/// `|y|^2 - |y + c|^2` of a difference `y` to `c`.
fn beside(difference: &[f32], centre: &[f32]) -> f32 {
    let pairs = difference.iter().zip(centre).map(|(y, c)| (f64::from(*y), f64::from(*c)));
    -pairs.map(|(y, c)| (2.0 * y + c) * c).sum::<f64>() as f32
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests;
