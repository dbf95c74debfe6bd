//! How the vectors of a section become rows, and queries the like: as they are, projected, or rotated first.

use vectra_core::Metric;
use vectra_core::scorer::VectorStore;

use crate::codec::Codec;
use crate::projection::Projection;
use crate::rotated::Rotated;
use crate::store::{RowScorer, Rows};

/// Vectors to rows of codes.
#[derive(Debug, Clone)]
pub struct Coder<C> {
    codec: C,
    transform: Transform,
}

/// What vectors go through before they are encoded.
#[derive(Debug, Clone)]
enum Transform {
    /// Nothing.
    Direct,
    /// Fewer components.
    Projected(Projection),
    /// Components that are all alike.
    Rotated(Rotated),
}

impl<C: Codec> Coder<C> {
    /// Every component has its code.
    pub fn direct(codec: C) -> Self {
        Self { codec, transform: Transform::Direct }
    }

    /// Only the directions in which vectors differ most have one, by a `codec` for as many components as are kept.
    ///
    /// # Panics
    /// If the codec has other dimensions or another metric.
    pub fn projected(projection: Projection, codec: C) -> Self {
        assert_eq!(codec.dim(), projection.kept(), "projection and codec have different dimensions");
        assert_eq!(codec.metric(), projection.metric(), "projection and codec have different metrics");
        Self { codec, transform: Transform::Projected(projection) }
    }

    /// Differences to a centre, whose components are made alike, have one each.
    ///
    /// # Panics
    /// If the codec has another dimension or metric than the rotated vectors, or, under dot and with a centre that is not
    /// zero, if it does not [take centres](Codec::TAKES_CENTRES).
    pub fn rotated(rotated: Rotated, codec: C) -> Self {
        assert_eq!(codec.dim(), rotated.padded(), "rotation and codec have different dimensions");
        assert_eq!(codec.metric(), rotated.metric(), "rotation and codec have different metrics");
        check_centre::<C>(&rotated);
        Self { codec, transform: Transform::Rotated(rotated) }
    }

    /// The same with another codec.
    ///
    /// # Panics
    /// If that has other dimensions or another metric, or, under dot, does not take the centre of rotated vectors.
    pub fn with_codec<D: Codec>(&self, codec: D) -> Coder<D> {
        assert_eq!(codec.dim(), self.codec.dim(), "the codecs have different dimensions");
        assert_eq!(codec.metric(), self.codec.metric(), "the codecs have different metrics");
        if let Transform::Rotated(rotated) = &self.transform {
            check_centre::<D>(rotated);
        }
        Coder { codec, transform: self.transform.clone() }
    }

    /// The codec of the rows.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// What vectors are projected by before they are encoded.
    pub fn projection(&self) -> Option<&Projection> {
        if let Transform::Projected(projection) = &self.transform { Some(projection) } else { None }
    }

    /// What vectors are rotated by before they are encoded.
    pub fn rotation(&self) -> Option<&Rotated> {
        if let Transform::Rotated(rotated) = &self.transform { Some(rotated) } else { None }
    }

    /// Components of the vectors themselves.
    pub fn dim(&self) -> usize {
        match &self.transform {
            Transform::Direct => self.codec.dim(),
            Transform::Projected(projection) => projection.dim(),
            Transform::Rotated(rotated) => rotated.dim(),
        }
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.codec.metric()
    }

    /// Writes the code of `vector` to `row`; total as [`Codec::encode`] is.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long or `row` not [`Codec::row_bytes`] of the [`codec`](Self::codec).
    pub fn encode(&self, vector: &[f32], row: &mut [u8]) {
        match &self.transform {
            Transform::Direct => self.codec.encode(vector, row),
            Transform::Projected(projection) => projection.encode(&self.codec, vector, row),
            Transform::Rotated(rotated) => rotated.encode(&self.codec, vector, row),
        }
    }

    /// Encodes `query`, to be compared with rows of this coder.
    ///
    /// # Panics
    /// If `query` is not [`dim`](Self::dim) long.
    pub fn bind(&self, query: &[f32]) -> C::Query {
        match &self.transform {
            Transform::Direct => self.codec.bind(query),
            Transform::Projected(projection) => projection.bind(&self.codec, query),
            Transform::Rotated(rotated) => rotated.bind(&self.codec, query),
        }
    }
}

/// Under dot only some codecs make up for a centre.
fn check_centre<C: Codec>(rotated: &Rotated) {
    let is_centred = rotated.metric() == Metric::Dot && rotated.centre().iter().any(|c| *c != 0.0);
    assert!(!is_centred || C::TAKES_CENTRES, "under dot {} takes no centre: rotate around zero", C::NAME);
}

/// Rows and the coder that made them: what binds queries that are still whole vectors.
#[derive(Debug, Clone, Copy)]
pub struct Coded<'a, C: Codec> {
    coder: &'a Coder<C>,
    rows: Rows<'a, C>,
}

impl<'a, C: Codec> Coded<'a, C> {
    /// The `rows` that `coder` made.
    ///
    /// # Panics
    /// If another codec made them.
    pub fn new(coder: &'a Coder<C>, rows: Rows<'a, C>) -> Self {
        assert_eq!(coder.codec(), rows.codec(), "coder and rows have different codecs");
        Self { coder, rows }
    }
}

impl<C: Codec> VectorStore for Coded<'_, C> {
    type Scorer<'a>
        = RowScorer<'a, C>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.coder.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> RowScorer<'a, C> {
        self.rows.clone().into_scorer(self.coder.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> RowScorer<'_, C> {
        self.rows.bind_slot(slot)
    }
}

#[cfg(test)]
mod tests {
    use vectra_core::scorer::Scorer;

    use super::*;
    use crate::sq::Sq8;
    use crate::sq4::Sq4;

    fn binds_as_the_rows_were_made<C: Codec>(coder: &Coder<C>, tolerance: f32) {
        let mut rows = vec![0; 2 * coder.codec().row_bytes()];
        let vectors = [[1.0, 0.6, 0.8], [0.0, -0.6, -0.8]];
        let pairs = vectors.iter().zip(rows.chunks_exact_mut(coder.codec().row_bytes()));
        pairs.for_each(|(vector, row)| coder.encode(vector, row));
        let coded = Coded::new(coder, Rows::new(coder.codec().clone(), &rows));
        assert_eq!((coded.len(), coded.dim(), coder.metric()), (2, 3, Metric::L2));
        let distance = coded.bind(&vectors[0]).score(1);
        assert!((distance - 5.0).abs() < tolerance, "{coder:?}: {distance}");
        assert!((coded.between(0, 1) - distance).abs() < tolerance);
    }

    #[test]
    fn whole_queries_are_bound_as_the_rows_were_made() {
        let directions = [1.0, 0.0, 0.0, 0.0, 0.6, 0.8];
        let projected =
            Coder::projected(Projection::new(&directions, &[0.0; 3], Metric::L2), Sq8::new(2, Metric::L2));
        for coder in [Coder::direct(Sq8::new(3, Metric::L2)), projected] {
            binds_as_the_rows_were_made(&coder, 0.1);
            let four = Sq4::new(coder.codec().dim(), Metric::L2);
            binds_as_the_rows_were_made(&coder.with_codec(four), 0.3);
        }
    }
}
