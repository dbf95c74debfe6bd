//! What was trained: centroids for each piece, and perhaps a rotation.

use std::borrow::Cow;

use vectra_core::Metric;
use vectra_core::vector::normalize::inverse_norm;

use super::anisotropic::Choice;
use super::pieces::PqShape;
use super::turn::Turn;
use crate::columns::{Columns, Nearest};
use crate::sq::sane;

/// Vectors encoded at a time: their pieces fit the nearest cache, and the centroids of a piece are read once for all.
const GROUP: usize = 64;

/// A trained model. All tables are whole: there is no code without a centroid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    pub(super) shape: PqShape,
    /// For each piece its centroids.
    pub(super) books: Vec<Columns>,
    pub(super) turn: Option<Turn>,
    /// How much more errors along a vector weigh; 0 under L2.
    pub(super) weight: f32,
    /// How much of what a code is short of in squared length is added to products; 0 but under cosine.
    pub(super) correction: f32,
}

impl Model {
    /// The vectors as they are cut: finite, normalised under cosine, turned.
    pub(super) fn directed<'a>(&self, vectors: &'a [f32]) -> Cow<'a, [f32]> {
        let mut vectors = sane(vectors);
        if self.shape.metric == Metric::Cosine {
            vectors.to_mut().chunks_exact_mut(self.shape.dim()).for_each(|vector| {
                let scale = inverse_norm(vector);
                vector.iter_mut().for_each(|x| *x *= scale);
            });
        }
        self.turned(vectors)
    }

    /// Finite vectors, turned; what a forged rotation makes too large is cut off.
    pub(super) fn turned<'a>(&self, vectors: Cow<'a, [f32]>) -> Cow<'a, [f32]> {
        let Some(turn) = &self.turn else { return vectors };
        let mut turned = vectors.into_owned();
        turn.turn(&mut turned);
        match sane(&turned) {
            Cow::Borrowed(_) => turned.into(),
            Cow::Owned(bounded) => bounded.into(),
        }
    }

    /// The codes of vectors that are cut, into whole rows.
    pub(super) fn encode(&self, vectors: &[f32], rows: &mut [u8]) {
        let (dim, subspaces) = (self.shape.dim(), self.shape.subspaces());
        let most = GROUP.min(vectors.len() / dim);
        let (mut codes, mut piece) = (vec![0; most * subspaces], Vec::new());
        let mut found = vec![Nearest::NONE; most];
        let groups = vectors.chunks(GROUP * dim).zip(rows.chunks_mut(GROUP * self.shape.row_bytes()));
        for (vectors, rows) in groups {
            let found = &mut found[..vectors.len() / dim];
            if self.weight > 0.0 {
                self.choose(vectors, &mut codes);
            } else {
                self.nearest(vectors, &mut codes, &mut piece, found);
            }
            let rows = rows.chunks_exact_mut(self.shape.row_bytes());
            codes.chunks_exact(subspaces).zip(rows).for_each(|(codes, row)| self.shape.pack(codes, row));
        }
    }

    /// For each piece of some vectors the nearest centroid.
    fn nearest(&self, vectors: &[f32], codes: &mut [u8], piece: &mut Vec<f32>, found: &mut [Nearest]) {
        let (dim, subspaces) = (self.shape.dim(), self.shape.subspaces());
        for ((n, range), book) in self.shape.pieces().enumerate().zip(&self.books) {
            piece.clear();
            vectors.chunks_exact(dim).for_each(|vector| piece.extend_from_slice(&vector[range.clone()]));
            book.nearest(piece, found);
            let codes = codes[n..].iter_mut().step_by(subspaces);
            codes.zip(&*found).for_each(|(code, nearest)| *code = nearest.index as u8);
        }
    }

    /// For each vector the codes that keep its products best.
    fn choose(&self, vectors: &[f32], codes: &mut [u8]) {
        let mut choice = Choice::new(&self.shape);
        let pairs =
            vectors.chunks_exact(self.shape.dim()).zip(codes.chunks_exact_mut(self.shape.subspaces()));
        for (vector, codes) in pairs {
            choice.look(vector, &self.shape, &self.books);
            choice.nearest(codes);
            choice.improve(self.weight, codes);
        }
    }

    /// The vector that a row stands for, still cut and turned.
    pub(super) fn decode(&self, row: &[u8], out: &mut [f32]) {
        let mut codes = vec![0; self.shape.subspaces()];
        self.shape.unpack(row, &mut codes);
        for ((range, book), code) in self.shape.pieces().zip(&self.books).zip(codes) {
            out[range].iter_mut().zip(book.vector(code.into())).for_each(|(x, centroid)| *x = centroid);
        }
    }

    /// For each piece of a query that is cut what each centroid adds to the distance.
    pub(super) fn tables(&self, query: &[f32]) -> Vec<f32> {
        match self.shape.metric {
            Metric::Dot => self.products(query, 0.0),
            Metric::Cosine => self.products(query, self.correction),
            _ => self.squares(query),
        }
    }

    /// What a distance has beside the entries of tables, if `rest` is the squared length of what is left out of the query.
    pub(super) fn beside(&self, rest: f32) -> f32 {
        match self.shape.metric {
            Metric::Dot => 0.0,
            Metric::Cosine => 1.0 - self.correction,
            _ => rest,
        }
    }

    /// The tables of a vector that is itself that of a row, and what distances have beside them: under cosine it is half of the
    /// squared distance.
    pub(super) fn tables_of_row(&self, decoded: &[f32]) -> (Vec<f32>, f32) {
        if self.shape.metric == Metric::Cosine {
            let square: f32 = decoded.iter().map(|x| x * x).sum();
            return (self.products(decoded, 0.5), 0.5 * square);
        }
        (self.tables(decoded), self.beside(0.0))
    }

    /// The squared distances.
    fn squares(&self, vector: &[f32]) -> Vec<f32> {
        let mut tables = self.zeros();
        let pieces =
            self.shape.pieces().zip(&self.books).zip(tables.chunks_exact_mut(self.shape.centroids()));
        pieces.for_each(|((range, book), table)| book.squares(&vector[range], table));
        tables
    }

    /// The products, negative, and so much of the squared lengths of the centroids.
    fn products(&self, vector: &[f32], correction: f32) -> Vec<f32> {
        let (mut tables, mut origin) = (self.zeros(), Vec::new());
        let mut lengths = vec![0.0; self.shape.centroids()];
        let pieces = self.shape.pieces().zip(&self.books).zip(tables.chunks_exact_mut(lengths.len()));
        for ((range, book), table) in pieces {
            origin.resize(range.len(), 0.0);
            book.products(&vector[range], table);
            book.squares(&origin, &mut lengths);
            table.iter_mut().zip(&lengths).for_each(|(x, length)| *x = correction * length - *x);
        }
        tables
    }

    fn zeros(&self) -> Vec<f32> {
        vec![0.0; self.shape.subspaces() * self.shape.centroids()]
    }
}
