//! Codes in blocks, for scans.

mod format;

use vectra_core::Neighbor;
use vectra_core::io::Blob;
use vectra_core::memory::AlignedBuf;

use super::codec::Pq;
use super::pieces::PqShape;
use super::query::PqQuery;
use crate::codec::Codec;
use crate::fastscan::{self, BLOCK_ROWS, Found, Layout, Tables};

/// How many standard errors beyond the last of the best a sum must be to be passed over.
const ERRORS: f32 = 3.0;

/// The most rows: with them the last block is full.
const ROWS_MAX: u32 = u32::MAX - 63;

/// Rows of [`Pq`] codes without padding, in [blocks](Layout) of 64 that are scanned many at a time.
///
/// A scan looks up entries that are bytes; what it finds is close to the nearest by the codes
/// ([`candidates`](Self::candidates)), and made exact by adding up the entries in `f32` for a few more than are wanted
/// ([`nearest`](Self::nearest)). Cloning copies nothing.
#[derive(Debug, Clone)]
pub struct PqBlocks {
    codec: Pq,
    rows: u32,
    blocks: Blob,
}

impl PqBlocks {
    /// The rows that `codec` wrote, one after the other, as [`Codec::encode`] leaves them.
    ///
    /// # Panics
    /// If `rows` is not a whole number of rows, or more than 2^32 - 64.
    pub fn of_rows(codec: Pq, rows: &[u8]) -> Self {
        let (shape, stride) = (codec.shape(), codec.row_bytes());
        assert!(rows.len().is_multiple_of(stride), "a whole number of rows");
        let count = u32::try_from(rows.len() / stride).unwrap_or(u32::MAX);
        assert!(count <= ROWS_MAX, "at most 2^32 - 64 rows");
        let layout = layout(shape);
        let mut blocks = AlignedBuf::zeroed(layout.bytes_for(count as usize));
        let mut codes = vec![0; BLOCK_ROWS * shape.subspaces()];
        let chunks = rows.chunks(BLOCK_ROWS * stride).zip(blocks.chunks_mut(layout.block_bytes()));
        for (rows, block) in chunks {
            let codes = &mut codes[..rows.len() / stride * shape.subspaces()];
            let pairs = rows.chunks_exact(stride).zip(codes.chunks_exact_mut(shape.subspaces()));
            pairs.for_each(|(row, codes)| shape.unpack(row, codes));
            layout.pack(codes, block);
        }
        Self { codec, rows: count, blocks: Blob::from_buf(blocks) }
    }

    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The codec that wrote the rows.
    pub fn codec(&self) -> &Pq {
        &self.codec
    }

    /// Writes the row at `slot` as [`Codec::encode`] left it.
    ///
    /// # Panics
    /// If there is no such row or `row` is not [`Codec::row_bytes`] long.
    pub fn row(&self, slot: u32, row: &mut [u8]) {
        assert!(slot < self.rows, "row {slot} of {}", self.rows);
        assert_eq!(row.len(), self.codec.row_bytes(), "a row has row_bytes bytes");
        row.fill(0);
        self.gather(slot, row);
    }

    /// The bytes of the row at `slot` that hold codes: a line has one of each row of its block.
    fn gather(&self, slot: u32, row: &mut [u8]) {
        let (block, at) = (slot as usize / BLOCK_ROWS, slot as usize % BLOCK_ROWS);
        let bytes = layout(self.codec.shape()).block_bytes();
        let lines = self.blocks[block * bytes..][..bytes].as_chunks::<BLOCK_ROWS>().0;
        row.iter_mut().zip(lines).for_each(|(byte, line)| *byte = line[at]);
    }

    /// For each query the `k` rows, of those that `admits` admits, whose distances are smallest as far as entries of bytes can
    /// tell, the nearest first: candidates for a re-rank. Each block is read once for several queries.
    ///
    /// # Panics
    /// If another codec bound a query.
    pub fn candidates(
        &self,
        queries: &[&PqQuery],
        k: usize,
        admits: impl Fn(u32) -> bool,
    ) -> Vec<Vec<Neighbor>> {
        let tables = self.tables(queries);
        let found = self.scan(&tables.iter().collect::<Vec<_>>(), k, admits);
        let with = tables.iter().zip(queries).zip(found);
        with.map(|((tables, query), found)| {
            let near =
                |found: Found| Neighbor { slot: found.row, distance: tables.value(found.sum) + query.rest() };
            found.into_iter().map(near).collect()
        })
        .collect()
    }

    /// For each query the `k` nearest rows by their codes, of those that `admits` admits: the distances are those of
    /// [`CodeQuery::score_row`](crate::CodeQuery::score_row), and equal ones are in the order of the rows.
    ///
    /// Twice as many rows as wanted and thirty more are scored again. Where what rounding to bytes may do to a sum says that
    /// a nearer one may have been missed, four times as many are, and once more; so all are found but for one chance in hundreds.
    ///
    /// # Panics
    /// If another codec bound a query.
    pub fn nearest(
        &self,
        queries: &[&PqQuery],
        k: usize,
        admits: impl Fn(u32) -> bool,
    ) -> Vec<Vec<Neighbor>> {
        let tables = self.tables(queries);
        let mut nearest = vec![Vec::new(); queries.len()];
        let mut open: Vec<usize> = (0..queries.len()).collect();
        let mut count = k.saturating_mul(2).saturating_add(30);
        for last in [false, false, true] {
            let some: Vec<&Tables> = open.iter().map(|q| &tables[*q]).collect();
            let found = self.scan(&some, count, &admits);
            for (q, found) in std::mem::take(&mut open).into_iter().zip(found) {
                let highest = found.last().map(|found| tables[q].value(found.sum) + queries[q].rest());
                let whole = found.len() < count;
                nearest[q] = self.scored(queries[q], found, k);
                let farthest = nearest[q].last().map(|near| near.distance + ERRORS * error(&tables[q]));
                if !(last || whole || highest >= farthest) {
                    open.push(q);
                }
            }
            if open.is_empty() {
                break;
            }
            count = count.saturating_mul(4);
        }
        nearest
    }

    /// The `k` of the rows `found` that are nearest to the query, by entries in `f32`.
    fn scored(&self, query: &PqQuery, found: Vec<Found>, k: usize) -> Vec<Neighbor> {
        let mut row = vec![0; self.codec.row_bytes()];
        let exact = |found: Found| {
            self.gather(found.row, &mut row);
            Neighbor { slot: found.row, distance: query.score(&row) }
        };
        let mut near: Vec<Neighbor> = found.into_iter().map(exact).collect();
        near.sort_unstable();
        near.truncate(k);
        near
    }

    fn tables(&self, queries: &[&PqQuery]) -> Vec<Tables> {
        let layout = layout(self.codec.shape());
        let tables = queries.iter().map(|query| {
            assert!(crate::CodeQuery::codec(*query) == &self.codec, "query and rows have different codecs");
            Tables::new(layout, query.tables())
        });
        tables.collect()
    }

    fn scan(&self, tables: &[&Tables], k: usize, admits: impl Fn(u32) -> bool) -> Vec<Vec<Found>> {
        let k = k.min(self.rows as usize);
        fastscan::nearest(tables, &self.blocks, self.rows, k, admits)
    }
}

/// The layout of the blocks.
fn layout(shape: PqShape) -> Layout {
    if shape.bits() == 8 { Layout::bytes(shape.subspaces()) } else { Layout::nibbles(shape.subspaces()) }
}

/// The standard error of a sum: every entry is rounded by up to half a step, one way or the other.
fn error(tables: &Tables) -> f32 {
    tables.scale() * (tables.layout().columns() as f32 / 12.0).sqrt()
}

#[cfg(test)]
mod tests;
