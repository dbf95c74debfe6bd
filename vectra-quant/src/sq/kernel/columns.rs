//! Codes of many rows in the order in which [`Kernels::products`](super::Kernels::products) reads them.

use super::tile::{GROUP, QUAD};

/// Columns for products: the codes of `GROUP` rows of the store lie together, a quad of each in turn. What is missing to
/// whole groups and quads is zero.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    codes: Vec<u8>,
    quads: usize,
    len: usize,
}

impl Columns {
    /// Takes the first `codes` bytes of each of `rows` for a column; the memory of an earlier use is reused.
    ///
    /// # Panics
    /// If a row is shorter.
    pub fn fill<'a>(&mut self, codes: usize, rows: impl ExactSizeIterator<Item = &'a [u8]>) {
        (self.quads, self.len) = (codes.div_ceil(QUAD), rows.len());
        let group_bytes = GROUP * QUAD * self.quads;
        self.codes.clear();
        self.codes.resize(self.groups() * group_bytes, 0);
        for (column, row) in rows.enumerate() {
            let group = &mut self.codes[column / GROUP * group_bytes..][..group_bytes];
            let places =
                group.chunks_exact_mut(GROUP * QUAD).map(|quads| &mut quads[column % GROUP * QUAD..][..QUAD]);
            // By value and not as slices of some length: a call for each quad would be most of the work.
            let (quads, rest) = row[..codes].as_chunks::<QUAD>();
            let mut last = [0; QUAD];
            last[..rest.len()].copy_from_slice(rest);
            for (place, quad) in places.zip(quads.iter().chain([&last])) {
                place.copy_from_slice(quad);
            }
        }
    }

    /// How many columns there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Products of one row: the columns, rounded up to whole groups.
    pub fn padded(&self) -> usize {
        self.groups() * GROUP
    }

    /// Codes of a row that meets the columns: rounded up to whole quads.
    pub fn row_len(&self) -> usize {
        self.quads * QUAD
    }

    pub(super) fn quads(&self) -> usize {
        self.quads
    }

    pub(super) fn groups(&self) -> usize {
        self.len.div_ceil(GROUP)
    }

    pub(super) fn codes(&self) -> &[u8] {
        &self.codes
    }
}
