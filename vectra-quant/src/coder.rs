//! How the vectors of a section become rows, and queries the like: as they are, or projected first.

use vectra_core::Metric;

use crate::projection::Projection;
use crate::sq::{Sq8, Sq8Query};

/// Vectors to rows of [`Sq8`].
#[derive(Debug, Clone)]
pub enum Coder {
    /// Every component has its code.
    Direct(Sq8),
    /// Only the directions in which vectors differ most have one.
    Projected(Projection),
}

impl Coder {
    /// The codec of the rows.
    pub fn codec(&self) -> Sq8 {
        match self {
            Self::Direct(codec) => *codec,
            Self::Projected(projection) => projection.codec(),
        }
    }

    /// Components of the vectors themselves.
    pub fn dim(&self) -> usize {
        match self {
            Self::Direct(codec) => codec.dim(),
            Self::Projected(projection) => projection.dim(),
        }
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.codec().metric()
    }

    /// Writes the code of `vector` to `row`; total as [`Sq8::encode`] is.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long or `row` not [`Sq8::row_bytes`] of the [`codec`](Self::codec).
    pub fn encode(&self, vector: &[f32], row: &mut [u8]) {
        match self {
            Self::Direct(codec) => codec.encode(vector, row),
            Self::Projected(projection) => projection.encode(vector, row),
        }
    }

    /// Encodes `query`, to be compared with rows of this coder.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long.
    pub fn bind(&self, query: &[f32]) -> Sq8Query {
        match self {
            Self::Direct(codec) => codec.bind(query),
            Self::Projected(projection) => projection.bind(query),
        }
    }
}
