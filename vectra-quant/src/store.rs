//! Rows of codes as a [`VectorStore`]: borrowed, or a section of a file.

use std::borrow::Cow;
use std::fmt;

use vectra_core::Neighbor;
use vectra_core::codec::DecodeError;
use vectra_core::io::Blob;
use vectra_core::near::Near;
use vectra_core::pool::Pool;
use vectra_core::scorer::{Expansion, Scorer, VectorStore, expand_gathered};

use crate::codec::{CodeQuery, Codec};
use crate::format::{FormatError, HEADER_BYTES, Header, check_length};

/// Rows that are scanned before their distances are looked at: these stay in the first-level cache.
const SCANNED: usize = 1024;

/// Borrowed rows, such as a run of a growing chunk.
#[derive(Clone, Copy)]
pub struct Rows<'a, C> {
    codec: C,
    rows: &'a [u8],
}

impl<'a, C: Codec> Rows<'a, C> {
    /// Rows written by `codec`, one after the other.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn new(codec: C, rows: &'a [u8]) -> Self {
        assert_eq!(rows.len() % codec.row_bytes(), 0, "a whole number of rows");
        Self { codec, rows }
    }

    /// The codec that wrote the rows.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// All rows.
    pub fn bytes(&self) -> &'a [u8] {
        self.rows
    }

    /// The row at `slot`.
    ///
    /// # Panics
    /// If `slot` is out of range.
    pub fn row(&self, slot: u32) -> &'a [u8] {
        let stride = self.codec.row_bytes();
        &self.rows[slot as usize * stride..][..stride]
    }

    /// Scores with a query that was bound before, to these or to other rows of the same codec: a query that visits
    /// many segments is encoded once.
    ///
    /// # Panics
    /// If another codec bound the query.
    pub fn scorer(&self, query: &'a C::Query) -> RowScorer<'a, C> {
        assert_eq!(*query.codec(), self.codec, "query and rows have different codecs");
        RowScorer { rows: self.clone(), query: Cow::Borrowed(query) }
    }

    /// The `k` rows nearest to `query`, nearest first, ties in order of slot: all rows are read, at the speed of memory. A row
    /// whose distance is not a number, as damaged bytes may give, is never among them.
    ///
    /// # Panics
    /// If another codec bound the query.
    pub fn nearest(&self, query: &C::Query, k: usize) -> Vec<Neighbor> {
        assert_eq!(*query.codec(), self.codec, "query and rows have different codecs");
        if k == 0 {
            return Vec::new();
        }
        let stride = self.codec.row_bytes();
        let (mut near, mut distances) = (Near::new(k), [0.0; SCANNED]);
        for (first, rows) in (0..).step_by(SCANNED).zip(self.rows.chunks(SCANNED * stride)) {
            let distances = &mut distances[..rows.len() / stride];
            query.scan(rows, distances);
            near.offer(first, distances);
        }
        near.into_sorted()
    }

    /// Scores with a query that was bound before, which becomes the scorer's own.
    ///
    /// # Panics
    /// If another codec bound the query.
    pub fn into_scorer(self, query: C::Query) -> RowScorer<'a, C> {
        assert_eq!(*query.codec(), self.codec, "query and rows have different codecs");
        RowScorer { rows: self, query: Cow::Owned(query) }
    }
}

impl<C: Codec> VectorStore for Rows<'_, C> {
    type Scorer<'a>
        = RowScorer<'a, C>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len() / self.codec.row_bytes()
    }

    fn dim(&self) -> usize {
        self.codec.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> RowScorer<'a, C> {
        self.clone().into_scorer(self.codec.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> RowScorer<'_, C> {
        self.clone().into_scorer(self.codec.bind_row(self.row(slot)))
    }

    fn forms_groups(&self) -> bool {
        self.codec.forms_groups()
    }

    fn nearest_among(
        &self,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        C::nearest_among(self, rows, columns, k, give);
    }
}

impl<C: Codec> fmt::Debug for Rows<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({} of {:?})", self.len(), self.codec)
    }
}

/// The rows of a section, in memory of our own or mapped from a file. Cloning copies nothing.
///
/// Opening checks lengths and the header, not the codes: whatever bytes the rows hold, scoring is safe and total, and
/// at worst a distance is wrong or not a number.
#[derive(Clone)]
pub struct View<C> {
    codec: C,
    rows: Blob,
}

impl<C: Codec> View<C> {
    /// Takes `blob` for `rows` rows written by `codec`, without a header.
    pub fn open(blob: Blob, codec: C, rows: u32) -> Result<Self, FormatError> {
        check_length(rows, codec.row_bytes(), blob.len())?;
        Ok(Self { codec, rows: blob })
    }

    /// Opens a whole section of rows that `codec` wrote: a [`Header`] and as many rows as it says.
    ///
    /// # Errors
    /// Also if the header names another codec, or this one with other settings.
    pub fn open_section(section: &Blob, codec: C) -> Result<Self, FormatError> {
        let header = Header::decode(section)?;
        if header.quantizer != codec.quantizer() {
            return Err(DecodeError::new(6, C::NAME).into());
        }
        let rows = section.slice(HEADER_BYTES..section.len()).expect("a header was read from these bytes");
        Self::open(rows, codec, header.rows)
    }

    /// The rows, borrowed.
    pub fn rows(&self) -> Rows<'_, C> {
        Rows { codec: self.codec.clone(), rows: &self.rows }
    }

    /// The codec that wrote the rows.
    pub fn codec(&self) -> &C {
        &self.codec
    }

    /// Whether the rows are in memory of our own, not in a mapped file.
    pub fn is_owned(&self) -> bool {
        self.rows.is_owned()
    }

    /// The same rows in memory of our own.
    pub fn to_owned_memory(&self) -> Self {
        Self { codec: self.codec.clone(), rows: self.rows.to_owned_memory() }
    }
}

impl<C: Codec> VectorStore for View<C> {
    type Scorer<'a> = RowScorer<'a, C>;

    fn len(&self) -> usize {
        self.rows().len()
    }

    fn dim(&self) -> usize {
        self.codec.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> RowScorer<'a, C> {
        self.rows().into_scorer(self.codec.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> RowScorer<'_, C> {
        let rows = self.rows();
        rows.clone().into_scorer(self.codec.bind_row(rows.row(slot)))
    }

    fn forms_groups(&self) -> bool {
        self.codec.forms_groups()
    }

    fn nearest_among(
        &self,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        self.rows().nearest_among(rows, columns, k, give);
    }
}

impl<C: Codec> fmt::Debug for View<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({} rows of {:?}, {:?})", self.len(), self.codec, self.rows)
    }
}

/// A query bound to rows of codes. Its distances are estimates; re-rank what it finds by the vectors themselves.
#[derive(Debug, Clone)]
pub struct RowScorer<'a, C: Codec> {
    rows: Rows<'a, C>,
    query: Cow<'a, C::Query>,
}

impl<C: Codec> Scorer for RowScorer<'_, C> {
    fn score(&mut self, slot: u32) -> f32 {
        self.query.score_row(self.rows.row(slot))
    }

    fn score_all(&mut self, slots: &[u32], out: &mut [f32]) {
        self.query.fetch(self.rows.rows, slots);
        self.query.gather(self.rows.rows, slots, out);
    }

    fn fetch(&self, expansion: &Expansion<'_>) {
        self.query.fetch(self.rows.rows, expansion.slots);
    }

    fn expand(&mut self, expansion: &Expansion<'_>, bound: f32, out: &mut Pool) -> Option<f32> {
        expand_gathered(expansion, bound, out, |slots, distances| {
            self.query.gather(self.rows.rows, slots, distances);
        });
        None
    }
}

#[cfg(test)]
mod tests;
