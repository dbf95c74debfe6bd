//! How the vectors of a section become rows, and queries the like: as they are, or projected first.

use vectra_core::Metric;
use vectra_core::scorer::VectorStore;

use crate::projection::Projection;
use crate::sq::{Sq8, Sq8Query, Sq8Rows, Sq8Scorer};

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

/// Rows and the coder that made them: what binds queries that are still whole vectors.
#[derive(Debug, Clone, Copy)]
pub struct Coded<'a> {
    coder: &'a Coder,
    rows: Sq8Rows<'a>,
}

impl<'a> Coded<'a> {
    /// The `rows` that `coder` made.
    ///
    /// # Panics
    /// If another codec made them.
    pub fn new(coder: &'a Coder, rows: Sq8Rows<'a>) -> Self {
        assert_eq!(coder.codec(), rows.codec(), "coder and rows have different codecs");
        Self { coder, rows }
    }
}

impl VectorStore for Coded<'_> {
    type Scorer<'a>
        = Sq8Scorer<'a>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.coder.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> Sq8Scorer<'a> {
        self.rows.owning_scorer(self.coder.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> Sq8Scorer<'_> {
        self.rows.bind_slot(slot)
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::scorer::Scorer;

    use super::*;

    #[test]
    fn whole_queries_are_bound_as_the_rows_were_made() {
        let directions = [1.0, 0.0, 0.0, 0.0, 0.6, 0.8];
        let projection = Projection::new(&directions, &[0.0; 3], Metric::L2);
        for coder in [Coder::Direct(Sq8::new(3, Metric::L2)), Coder::Projected(projection)] {
            let mut rows = vec![0; 2 * coder.codec().row_bytes()];
            let vectors = [[1.0, 0.6, 0.8], [0.0, -0.6, -0.8]];
            let pairs = vectors.iter().zip(rows.chunks_exact_mut(coder.codec().row_bytes()));
            pairs.for_each(|(vector, row)| coder.encode(vector, row));
            let coded = Coded::new(&coder, Sq8Rows::new(coder.codec(), &rows));
            assert_eq!((coded.len(), coded.dim(), coder.metric()), (2, 3, Metric::L2));
            let distance = coded.bind(&vectors[0]).score(1);
            assert!((distance - 5.0).abs() < 0.1, "{coder:?}: {distance}");
            assert!((coded.between(0, 1) - distance).abs() < 1e-5);
        }
    }
}
