//! Fewer dimensions for the walk: vectors are projected onto the directions in which they differ most, and only these
//! get codes (`LeanVec`, Tepper et al. 2023, there with learned matrices; here the principal directions of a sample).
//!
//! A walk is limited by the memory it reads. Embeddings of a few hundred dimensions keep 95 % of their differences in
//! half as many directions, so that a row takes four cache lines where it took seven; what is left out is nearly
//! the same for all rows that are close to a query, and re-ranking by the vectors themselves makes up for the rest.

mod fit;
mod format;

use std::sync::Arc;

use vectra_core::io::Blob;
use vectra_core::{Metric, vector::normalize::norm_squared};

pub use format::HEADER_BYTES;

use crate::codec::{CodeQuery, Codec};
use crate::sq::{Packed, Sq8, Sq8View};

/// A linear map from vectors to fewer components that keeps their distances as well as so few can.
///
/// With the centre `c` and orthonormal directions `d_j`, component j of the result is `d_j . (x - c)`. The squared
/// length of what is left out, `|x - c|^2 - sum_j y_j^2`, is kept beside the codes of a row, and two vectors are taken
/// to differ by theirs as if those were at right angles: `|q - x|^2 = |y_q - y_x|^2 + r_q + r_x`. Under dot there is no
/// centre and what is left out counts nothing.
///
/// The directions are codes themselves ([`Sq8`] under dot): projecting is a scan of them, so rows and queries come out
/// the same to the bit on every machine.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The kept directions and then the centre, each as a row.
    directions: Sq8View,
    /// The same, for queries.
    packed: Arc<Packed>,
    /// `d_j . c`
    offsets: Vec<f32>,
    /// `|c|^2`
    centre_energy: f32,
    metric: Metric,
}

/// A projected vector.
struct Part {
    components: Vec<f32>,
    /// Squared length of what is left out.
    rest: f32,
}

impl Projection {
    /// The projection onto `directions`, orthonormal and row-major, around `centre` (under dot: zeros), for vectors of as
    /// many components as `centre` has.
    ///
    /// # Panics
    /// If `directions` is not a whole number of vectors, at least one and fewer than they have components, or under
    /// [`Metric::L1`], which no projection keeps.
    pub fn new(directions: &[f32], centre: &[f32], metric: Metric) -> Self {
        assert!(metric != Metric::L1, "L1 distances cannot be projected");
        assert_eq!(directions.len() % centre.len(), 0, "a whole number of directions");
        assert!(
            (1..centre.len()).contains(&(directions.len() / centre.len())),
            "fewer directions than components"
        );
        let whole = Sq8::new(centre.len(), Metric::Dot);
        let kept = directions.len() / centre.len();
        let mut rows = vec![0; (kept + 1) * whole.row_bytes()];
        let vectors = directions.chunks_exact(centre.len()).chain([centre]);
        vectors.zip(rows.chunks_exact_mut(whole.row_bytes())).for_each(|(v, row)| whole.encode(v, row));
        let directions = Sq8View::open(Blob::copy_of(&rows), whole, kept as u32 + 1)
            .expect("as many rows as were encoded");
        let mut offsets = vec![0.0; kept + 1];
        whole.bind(centre).scan(directions.rows().bytes(), &mut offsets);
        offsets.truncate(kept);
        offsets.iter_mut().for_each(|offset| *offset = -*offset);
        let centre_energy = norm_squared(centre) as f32;
        Self::of_parts(directions, offsets, centre_energy, metric)
    }

    /// The directions, one for each offset, and the centre.
    fn of_parts(directions: Sq8View, offsets: Vec<f32>, centre_energy: f32, metric: Metric) -> Self {
        let packed = Arc::new(Packed::new(directions.rows()));
        Self { directions, packed, offsets, centre_energy, metric }
    }

    /// Components of the vectors it projects.
    pub fn dim(&self) -> usize {
        self.directions.codec().dim()
    }

    /// How many directions are kept.
    pub fn kept(&self) -> usize {
        self.offsets.len()
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// Writes the code that `codec`, for as many components as are [`kept`](Self::kept), makes of the projected `vector` to
    /// `row`. Total as [`Codec::encode`] is.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long, the codec has other dimensions, or `row` is not
    /// [`Codec::row_bytes`] long.
    pub fn encode<C: Codec>(&self, codec: &C, vector: &[f32], row: &mut [u8]) {
        let part = self.project(vector);
        codec.encode_part(&part.components, part.rest, row);
    }

    /// Encodes the projected `query`, to be compared with rows that `codec` made of this projection.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long or the codec has other dimensions.
    pub fn bind<C: Codec>(&self, codec: &C, query: &[f32]) -> C::Query {
        let part = self.project(query);
        codec.bind_part(&part.components, part.rest)
    }

    fn project(&self, vector: &[f32]) -> Part {
        let (query, energy) = self.directions.codec().bind_scaled(vector, self.metric == Metric::Cosine);
        let mut components = vec![0.0; self.offsets.len() + 1];
        // Under dot they come out as negative products.
        query.meet(&self.packed, &mut components);
        let along_centre = -components.pop().expect("the centre is the last row");
        for (y, offset) in components.iter_mut().zip(&self.offsets) {
            *y = -*y - offset;
        }
        let whole = energy - 2.0 * along_centre + self.centre_energy;
        let rest = whole - components.iter().map(|y| y * y).sum::<f32>();
        // Rounding may take it below zero; damaged directions may make it no number.
        Part { components, rest: if rest > 0.0 { rest } else { 0.0 } }
    }
}

#[cfg(test)]
mod tests;
