//! A store for tests: rows of `f32` under squared Euclidean distance, exact search over them, and seeded data.

use vectra_core::Neighbor;
use vectra_core::admit::Admit;
use vectra_core::scorer::{Scorer, VectorStore};

/// Owned rows of one length.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    dim: usize,
    values: Vec<f32>,
}

impl Rows {
    #[allow(clippy::needless_pass_by_value, reason = "callers have no further use for the rows")]
    pub(crate) fn new(rows: Vec<Vec<f32>>) -> Self {
        Self { dim: rows.first().map_or(1, Vec::len), values: rows.concat() }
    }

    pub(crate) fn row(&self, slot: u32) -> &[f32] {
        &self.values[slot as usize * self.dim..][..self.dim]
    }

    /// The first rows alone.
    #[allow(dead_code, reason = "only some of the binaries that share this file grow a store")]
    pub(crate) fn first(&self, count: usize) -> Self {
        Self { dim: self.dim, values: self.values[..count * self.dim].to_vec() }
    }

    /// The `k` nearest admitted slots by looking at all.
    #[allow(dead_code, reason = "unit tests do not measure recall")]
    pub(crate) fn exact<A: Admit>(&self, query: &[f32], k: usize, admit: &A) -> Vec<Neighbor> {
        let mut scorer = self.bind(query);
        let admitted = (0..self.len() as u32).filter(|slot| admit.admits(*slot));
        let mut all: Vec<Neighbor> =
            admitted.map(|slot| Neighbor { distance: scorer.score(slot), slot }).collect();
        all.sort();
        all.truncate(k);
        all
    }
}

/// A query bound to [`Rows`].
pub(crate) struct RowScorer<'a> {
    rows: &'a Rows,
    query: &'a [f32],
}

impl Scorer for RowScorer<'_> {
    fn score(&mut self, slot: u32) -> f32 {
        self.query.iter().zip(self.rows.row(slot)).map(|(q, x)| (q - x) * (q - x)).sum()
    }
}

impl VectorStore for Rows {
    type Scorer<'a> = RowScorer<'a>;

    fn len(&self) -> usize {
        self.values.len() / self.dim
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> RowScorer<'a> {
        assert_eq!(query.len(), self.dim, "one length");
        RowScorer { rows: self, query }
    }

    fn bind_slot(&self, slot: u32) -> RowScorer<'_> {
        RowScorer { rows: self, query: self.row(slot) }
    }
}

/// Numbers in -1..1 from a seed (a linear congruential generator, upper bits).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn vector(&mut self, dim: usize, scale: f32) -> Vec<f32> {
        (0..dim).map(|_| self.next() * scale).collect()
    }
}

/// `rows` vectors around `clusters` centres; row i belongs to cluster `i % clusters`.
pub(crate) fn clustered(rows: usize, dim: usize, clusters: usize, seed: u64) -> Rows {
    let mut numbers = Numbers(seed);
    let centres: Vec<Vec<f32>> = (0..clusters).map(|_| numbers.vector(dim, 4.0)).collect();
    let around =
        |centre: &Vec<f32>, numbers: &mut Numbers| centre.iter().map(|x| x + numbers.next()).collect();
    Rows::new((0..rows).map(|i| around(&centres[i % clusters], &mut numbers)).collect())
}

/// `rows` vectors spread evenly.
#[allow(dead_code, reason = "unit tests use clusters only")]
pub(crate) fn uniform(rows: usize, dim: usize, seed: u64) -> Rows {
    let mut numbers = Numbers(seed);
    Rows::new((0..rows).map(|_| numbers.vector(dim, 1.0)).collect())
}

/// The same rows as a store whose graphs are built from groups.
pub(crate) struct Grouped(pub(crate) Rows);

impl VectorStore for Grouped {
    type Scorer<'a> = RowScorer<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn dim(&self) -> usize {
        self.0.dim
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> RowScorer<'a> {
        self.0.bind(query)
    }

    fn bind_slot(&self, slot: u32) -> RowScorer<'_> {
        self.0.bind_slot(slot)
    }

    fn forms_groups(&self) -> bool {
        true
    }
}
