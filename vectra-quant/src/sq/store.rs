//! Rows of codes as a [`VectorStore`]: borrowed, or a section of a file.

use std::borrow::Cow;
use std::fmt;

use vectra_core::codec::DecodeError;
use vectra_core::io::Blob;
use vectra_core::pool::Pool;
use vectra_core::scorer::{Expansion, Scorer, VectorStore, by_scoring, expand_gathered};
use vectra_core::{Metric, Neighbor};

use super::codec::Sq8;
use super::cross;
use super::query::Sq8Query;
use crate::format::{FormatError, HEADER_BYTES, Header, check_length};
use crate::quantizer::Quantizer;

/// Borrowed rows, such as a run of a growing chunk.
#[derive(Clone, Copy)]
pub struct Sq8Rows<'a> {
    codec: Sq8,
    rows: &'a [u8],
}

impl<'a> Sq8Rows<'a> {
    /// Rows written by `codec`, one after the other.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows.
    pub fn new(codec: Sq8, rows: &'a [u8]) -> Self {
        assert_eq!(rows.len() % codec.row_bytes(), 0, "a whole number of rows");
        Self { codec, rows }
    }

    /// The codec that wrote the rows.
    pub fn codec(&self) -> Sq8 {
        self.codec
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
    pub fn scorer(self, query: &'a Sq8Query) -> Sq8Scorer<'a> {
        assert_eq!(query.codec(), self.codec, "query and rows have different codecs");
        Sq8Scorer { rows: self, query: Cow::Borrowed(query) }
    }

    /// Scores with a query of the same codec that is the scorer's own.
    pub(crate) fn owning_scorer(self, query: Sq8Query) -> Sq8Scorer<'a> {
        Sq8Scorer { rows: self, query: Cow::Owned(query) }
    }
}

impl VectorStore for Sq8Rows<'_> {
    type Scorer<'a>
        = Sq8Scorer<'a>
    where
        Self: 'a;

    fn len(&self) -> usize {
        self.rows.len() / self.codec.row_bytes()
    }

    fn dim(&self) -> usize {
        self.codec.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> Sq8Scorer<'a> {
        self.owning_scorer(self.codec.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> Sq8Scorer<'_> {
        self.owning_scorer(Sq8Query::of_row(self.codec, self.row(slot)))
    }

    fn forms_groups(&self) -> bool {
        matches!(self.codec.metric(), Metric::Cosine | Metric::L2)
    }

    fn nearest_among(
        &self,
        rows: &[u32],
        columns: &[u32],
        k: usize,
        give: &mut dyn FnMut(usize, &[Neighbor]),
    ) {
        if self.codec.metric() == Metric::L1 {
            by_scoring(self, rows, columns, k, give);
        } else {
            cross::nearest_among(self, rows, columns, k, give);
        }
    }
}

impl fmt::Debug for Sq8Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sq8Rows({} rows of {:?})", self.len(), self.codec)
    }
}

/// The rows of a section, in memory of our own or mapped from a file. Cloning copies nothing.
///
/// Opening checks lengths and the header, not the codes: whatever bytes the rows hold, scoring is safe and total, and
/// at worst a distance is wrong or not a number.
#[derive(Clone)]
pub struct Sq8View {
    codec: Sq8,
    rows: Blob,
}

impl Sq8View {
    /// Takes `blob` for `rows` rows written by `codec`, without a header.
    pub fn open(blob: Blob, codec: Sq8, rows: u32) -> Result<Self, FormatError> {
        check_length(rows, codec.row_bytes(), blob.len())?;
        Ok(Self { codec, rows: blob })
    }

    /// Opens a whole section: a [`Header`] and as many rows as it says.
    pub fn open_section(section: &Blob) -> Result<Self, FormatError> {
        let header = Header::decode(section)?;
        let Quantizer::Sq8(codec) = header.quantizer else {
            return Err(DecodeError::new(6, "codec SQ8").into());
        };
        let rows = section.slice(HEADER_BYTES..section.len()).expect("a header was read from these bytes");
        Self::open(rows, codec, header.rows)
    }

    /// The rows, borrowed.
    pub fn rows(&self) -> Sq8Rows<'_> {
        Sq8Rows { codec: self.codec, rows: &self.rows }
    }

    /// The codec that wrote the rows.
    pub fn codec(&self) -> Sq8 {
        self.codec
    }

    /// Whether the rows are in memory of our own, not in a mapped file.
    pub fn is_owned(&self) -> bool {
        self.rows.is_owned()
    }

    /// The same rows in memory of our own.
    pub fn to_owned_memory(&self) -> Self {
        Self { codec: self.codec, rows: self.rows.to_owned_memory() }
    }
}

impl VectorStore for Sq8View {
    type Scorer<'a> = Sq8Scorer<'a>;

    fn len(&self) -> usize {
        self.rows().len()
    }

    fn dim(&self) -> usize {
        self.codec.dim()
    }

    fn bind<'a>(&'a self, query: &'a [f32]) -> Sq8Scorer<'a> {
        self.rows().owning_scorer(self.codec.bind(query))
    }

    fn bind_slot(&self, slot: u32) -> Sq8Scorer<'_> {
        let rows = self.rows();
        rows.owning_scorer(Sq8Query::of_row(self.codec, rows.row(slot)))
    }

    fn forms_groups(&self) -> bool {
        self.rows().forms_groups()
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

impl fmt::Debug for Sq8View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sq8View({} rows of {:?}, {:?})", self.len(), self.codec, self.rows)
    }
}

/// A query bound to rows of codes. Its distances are estimates; re-rank what it finds by the vectors themselves.
#[derive(Debug, Clone)]
pub struct Sq8Scorer<'a> {
    rows: Sq8Rows<'a>,
    query: Cow<'a, Sq8Query>,
}

impl Scorer for Sq8Scorer<'_> {
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
