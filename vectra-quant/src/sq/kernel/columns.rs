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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lie_in_quads_column_by_column() {
        let rows: Vec<Vec<u8>> = (0..18).map(|row| (0..7).map(|at| row * 7 + at).collect()).collect();
        let mut columns = Columns::default();
        columns.fill(6, rows.iter().map(Vec::as_slice));
        assert_eq!((columns.len(), columns.groups(), columns.quads()), (18, 2, 2));
        assert_eq!((columns.padded(), columns.row_len()), (32, 8));
        for (column, at) in (0..32).flat_map(|column| (0..8).map(move |at| (column, at))) {
            let place = column / GROUP * 2 * GROUP * QUAD
                + at / QUAD * GROUP * QUAD
                + column % GROUP * QUAD
                + at % QUAD;
            let expected = if column < 18 && at < 6 { rows[column][at] } else { 0 };
            assert_eq!(columns.codes()[place], expected, "code {at} of column {column}");
        }
    }

    #[test]
    fn no_columns_are_empty() {
        let mut columns = Columns::default();
        columns.fill(4, [[1_u8; 4]; 3].iter().map(<[u8; 4]>::as_slice));
        assert!(!columns.is_empty());
        columns.fill(4, std::iter::empty());
        assert!(columns.is_empty() && columns.codes().is_empty() && columns.padded() == 0);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_row_that_is_too_short_panics() {
        Columns::default().fill(4, [[1_u8; 3]].iter().map(<[u8; 3]>::as_slice));
    }
}
