//! Flat rows of equal length as a [`VectorStore`]: the exact distances that everything else approximates.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::distance::{Element, Kernels, Metric, kernels};
use crate::pool::Pool;
use crate::scorer::{Expansion, Scorer, VectorStore, expand_gathered};
use crate::vector::normalize::{inverse_norm, normalize};

/// Query norms up to this factor away from 1 are divided out of the result; others are normalised beforehand, lest
/// the inner product leave the range of `f32`.
const SCALE_LIMIT: f32 = 1024.0;

/// Borrowed rows, one after the other, scored exactly under a [`Metric`].
///
/// Under [`Metric::Cosine`] the rows are taken as given and divided by their norms while scoring
/// ([`DenseView::with_inverse_norms`]), or are of norm 1 already ([`DenseView::new`]).
///
/// ```
/// use vectra_core::Metric;
/// use vectra_core::scorer::{Scorer, VectorStore};
/// use vectra_core::vector::dense::DenseView;
///
/// let rows = [0.0_f32, 0.0, 3.0, 4.0];
/// let view = DenseView::new(&rows, 2, Metric::L2);
/// assert_eq!(view.bind(&[0.0, 1.0]).score(1), 18.0);
/// ```
#[derive(Clone, Copy)]
pub struct DenseView<'a, E: Element> {
    rows: &'a [E],
    inverse_norms: Option<&'a [f32]>,
    dim: usize,
    metric: Metric,
}

impl<'a, E: Element> DenseView<'a, E> {
    /// Rows of `dim` elements. Under cosine every row must have norm 1.
    ///
    /// # Panics
    /// If `dim` is zero or `rows` is not a whole number of rows.
    pub fn new(rows: &'a [E], dim: usize, metric: Metric) -> Self {
        assert!(dim > 0, "a row has at least one dimension");
        assert_eq!(rows.len() % dim, 0, "a whole number of rows");
        Self { rows, inverse_norms: None, dim, metric }
    }

    /// Rows of any norm under cosine, with one over the norm of each (see [`inverse_norm`]).
    ///
    /// # Panics
    /// As [`DenseView::new`], and if there is not one inverse norm for each row.
    pub fn with_inverse_norms(rows: &'a [E], dim: usize, inverse_norms: &'a [f32]) -> Self {
        let view = Self::new(rows, dim, Metric::Cosine);
        assert_eq!(rows.len() / dim, inverse_norms.len(), "one inverse norm for each row");
        Self { inverse_norms: Some(inverse_norms), ..view }
    }

    /// How distances are measured.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The row at `slot`, as stored.
    ///
    /// # Panics
    /// If `slot` is out of range.
    pub fn row(&self, slot: u32) -> &'a [E] {
        let start = slot as usize * self.dim;
        &self.rows[start..start + self.dim]
    }

    /// [`VectorStore::bind`] with a scorer that lives as long as the rows and the query, not as this view.
    ///
    /// # Panics
    /// If the query is not of the rows' dimension.
    pub fn scorer(self, query: &'a [f32]) -> DenseScorer<'a, E> {
        assert_eq!(query.len(), self.dim, "query and rows have different dimensions");
        let scale = if self.metric == Metric::Cosine { inverse_norm(query) } else { 1.0 };
        DenseScorer::new(self, Cow::Borrowed(query), scale)
    }

    /// Distances from `query` to the rows `range`, into `out`, in one pass over contiguous memory.
    ///
    /// # Panics
    /// If the query's dimension differs, the range is not within the rows, or `out` is not as long as it.
    pub fn scan(&self, query: &[f32], range: Range<u32>, out: &mut [f32]) {
        // The query's lifetime need not be that of the rows.
        let view: DenseView<'_, E> = *self;
        view.scorer(query).scan(range, out);
    }

    fn scorer_of_slot(self, slot: u32) -> DenseScorer<'a, E> {
        let row = self.row(slot);
        let scale = self.inverse_norms.map_or(1.0, |norms| norms[slot as usize]);
        DenseScorer::new(self, widened(row), scale)
    }
}

impl<E: Element> fmt::Debug for DenseView<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dim, metric, .. } = self;
        write!(f, "DenseView({} rows of {dim} {}, {metric})", self.len(), E::KIND)
    }
}

/// The row as `f32`; borrowed where it is one.
fn widened<E: Element>(row: &[E]) -> Cow<'_, [f32]> {
    bytemuck::try_cast_slice(row)
        .ok()
        .filter(|row: &&[f32]| size_of::<E>() == size_of::<f32>() && !row.is_empty())
        .map_or_else(|| Cow::Owned(row.iter().map(|x| x.to_f32()).collect()), Cow::Borrowed)
}

impl<E: Element> VectorStore for DenseView<'_, E> {
    type Scorer<'a>
        = DenseScorer<'a, E>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> DenseScorer<'a, E> {
        self.scorer(query)
    }

    fn bind_slot(&self, slot: u32) -> DenseScorer<'_, E> {
        self.scorer_of_slot(slot)
    }

    fn between(&self, a: u32, b: u32) -> f32 {
        // One order, so that rounding cannot make the distance depend on the direction.
        self.bind_slot(a.min(b)).score(a.max(b))
    }
}

/// A query bound to a [`DenseView`].
pub struct DenseScorer<'a, E: Element> {
    view: DenseView<'a, E>,
    query: Cow<'a, [f32]>,
    /// One over the norm of `query` under cosine.
    scale: f32,
    kernels: &'static Kernels<E>,
}

impl<'a, E: Element> DenseScorer<'a, E> {
    fn new(view: DenseView<'a, E>, mut query: Cow<'a, [f32]>, mut scale: f32) -> Self {
        let extreme = !(SCALE_LIMIT.recip()..=SCALE_LIMIT).contains(&scale);
        // A query without a direction keeps its scale of zero: it is as far from everything as an orthogonal one.
        if extreme && normalize(query.to_mut()).is_ok() {
            scale = 1.0;
        }
        Self { view, query, scale, kernels: kernels(view.metric.op()) }
    }

    /// Distances to the rows `range`, into `out`, in one pass over contiguous memory.
    ///
    /// # Panics
    /// If the range is not within the rows or `out` is not as long as it.
    pub fn scan(&self, range: Range<u32>, out: &mut [f32]) {
        let (first, end) = (range.start as usize, range.end as usize);
        let dim = self.view.dim;
        self.kernels.scan(&self.query, &self.view.rows[first * dim..end * dim], out);
        match self.view.inverse_norms {
            Some(norms) => self.finish(norms[first..end].iter().copied(), out),
            None => self.finish(std::iter::repeat(1.0), out),
        }
    }

    /// Distances to `slots`, in their order, into `out`: what a re-rank of estimates needs.
    ///
    /// # Panics
    /// If a slot is out of range or `out` is not as long as `slots`.
    pub fn exact(&self, slots: &[u32], out: &mut [f32]) {
        self.kernels.gather(&self.query, self.view.rows, slots, out);
        match self.view.inverse_norms {
            Some(norms) => self.finish(slots.iter().map(|slot| norms[*slot as usize]), out),
            None => self.finish(std::iter::repeat(1.0), out),
        }
    }

    /// Turns the kernel's sums into distances.
    fn finish(&self, inverse_norms: impl Iterator<Item = f32>, sums: &mut [f32]) {
        match self.view.metric {
            Metric::L2 | Metric::L1 => {}
            Metric::Dot => sums.iter_mut().for_each(|sum| *sum = -*sum),
            Metric::Cosine => {
                for (sum, inverse_norm) in sums.iter_mut().zip(inverse_norms) {
                    // Rounding may leave the range by a few ulps.
                    *sum = (1.0 - *sum * self.scale * inverse_norm).clamp(0.0, 2.0);
                }
            }
        }
    }
}

impl<E: Element> Scorer for DenseScorer<'_, E> {
    fn score(&mut self, slot: u32) -> f32 {
        let mut sum = [self.kernels.one(&self.query, self.view.row(slot))];
        let inverse_norm = self.view.inverse_norms.map_or(1.0, |norms| norms[slot as usize]);
        self.finish(std::iter::once(inverse_norm), &mut sum);
        sum[0]
    }

    fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
        expand_gathered(expansion, bound, out, |slots, distances| self.exact(slots, distances));
        None
    }
}

impl<E: Element> fmt::Debug for DenseScorer<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenseScorer")
            .field("view", &self.view)
            .field("kernels", &self.kernels)
            .finish_non_exhaustive()
    }
}

/// Rows that it owns, with their norms where the metric needs them.
#[derive(Clone)]
pub struct DenseStore<E: Element> {
    rows: Vec<E>,
    inverse_norms: Vec<f32>,
    dim: usize,
    metric: Metric,
}

impl<E: Element> DenseStore<E> {
    /// No rows yet, of `dim` elements each.
    ///
    /// # Panics
    /// If `dim` is zero.
    pub fn new(dim: usize, metric: Metric) -> Self {
        assert!(dim > 0, "a row has at least one dimension");
        Self { rows: Vec::new(), inverse_norms: Vec::new(), dim, metric }
    }

    /// All of `vectors`, one after the other.
    ///
    /// # Panics
    /// If `dim` is zero or `vectors` is not a whole number of rows.
    pub fn from_vectors(vectors: &[f32], dim: usize, metric: Metric) -> Self {
        let mut store = Self::new(dim, metric);
        assert_eq!(vectors.len() % dim, 0, "a whole number of rows");
        store.rows.reserve_exact(vectors.len());
        vectors.chunks_exact(dim).for_each(|vector| _ = store.push(vector));
        store
    }

    /// Adds a row and returns its slot. Components should satisfy
    /// [`check_storable`](crate::vector::normalize::check_storable).
    ///
    /// # Panics
    /// If the vector is not of the rows' dimension.
    pub fn push(&mut self, vector: &[f32]) -> u32 {
        assert_eq!(vector.len(), self.dim, "vector and rows have different dimensions");
        let slot = self.len();
        self.rows.extend(vector.iter().map(|x| E::from_f32(*x)));
        if self.metric == Metric::Cosine {
            // Of the row as stored: rounding to a narrow element changes the norm.
            self.inverse_norms.push(inverse_norm(&self.rows[slot * self.dim..]));
        }
        slot as u32
    }

    /// The rows, borrowed.
    pub fn view(&self) -> DenseView<'_, E> {
        match self.metric {
            Metric::Cosine => DenseView::with_inverse_norms(&self.rows, self.dim, &self.inverse_norms),
            metric => DenseView::new(&self.rows, self.dim, metric),
        }
    }
}

impl<E: Element> fmt::Debug for DenseStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dim, metric, .. } = self;
        write!(f, "DenseStore({} rows of {dim} {}, {metric})", self.len(), E::KIND)
    }
}

impl<E: Element> VectorStore for DenseStore<E> {
    type Scorer<'a> = DenseScorer<'a, E>;

    fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> DenseScorer<'a, E> {
        self.view().scorer(query)
    }

    fn bind_slot(&self, slot: u32) -> DenseScorer<'_, E> {
        self.view().scorer_of_slot(slot)
    }

    fn between(&self, a: u32, b: u32) -> f32 {
        self.view().between(a, b)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bits are compared, or values that are exact in f32")]
mod tests;
