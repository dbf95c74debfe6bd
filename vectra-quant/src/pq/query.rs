//! A query as tables.

use super::codec::Pq;
use crate::codec::{CodeQuery, Codec};

/// What each byte of a row adds to the distance.
type Table = [f32; 256];

/// Sums in flight.
const SUMS: usize = 8;

/// A query, with a table for each byte of codes, that can be compared with any row of the same [`Pq`].
///
/// A table holds what the metric makes of a piece of the query and each centroid: the squared distance under L2, minus the product
/// under dot, and under cosine also [so much](Pq::correction) of the squared length of the centroid; between rows, then, half of the
/// squared distance. Two codes of four bits share a byte and a table. Distances are sums of entries in `f32`, added up in one order.
#[derive(Clone)]
pub struct PqQuery {
    codec: Pq,
    /// A table for each code, before those of four bits are joined.
    tables: Vec<f32>,
    bytes: Vec<Table>,
    /// What the distance has beside the entries.
    rest: f32,
}

impl PqQuery {
    /// The query with a table for each code.
    pub(super) fn new(codec: Pq, tables: Vec<f32>, rest: f32) -> Self {
        let centroids = codec.shape().centroids();
        let bytes = if centroids == 256 {
            tables.as_chunks::<256>().0.to_vec()
        } else {
            let pairs = tables.as_chunks::<16>().0.chunks(2);
            pairs.map(|pair| joined(&pair[0], pair.get(1).unwrap_or(&[0.0; 16]))).collect()
        };
        Self { codec, tables, bytes, rest }
    }

    /// For each code what each of the 16 or 256 centroids adds to the distance, one table after the other.
    pub fn tables(&self) -> &[f32] {
        &self.tables
    }

    /// What is added to every distance.
    pub(super) fn rest(&self) -> f32 {
        self.rest
    }

    /// The distance to a row of the right length.
    #[inline]
    pub(super) fn score(&self, row: &[u8]) -> f32 {
        let mut sums = [0.0; SUMS];
        let (eights, rest) = self.bytes.as_chunks::<SUMS>();
        for (tables, codes) in eights.iter().zip(row.as_chunks::<SUMS>().0) {
            for i in 0..SUMS {
                sums[i] += tables[i][usize::from(codes[i])];
            }
        }
        for ((sum, table), code) in sums.iter_mut().zip(rest).zip(&row[SUMS * eights.len()..]) {
            *sum += table[usize::from(*code)];
        }
        let [a, b, c, d, e, f, g, h] = sums;
        (((a + b) + (c + d)) + ((e + f) + (g + h))) + self.rest
    }
}

/// The sums of the entries of two tables, the first for the low nibble; a second that is missing adds nothing.
fn joined(low: &[f32; 16], high: &[f32; 16]) -> Table {
    let mut table = [0.0; 256];
    for (sums, high) in table.as_chunks_mut::<16>().0.iter_mut().zip(high) {
        sums.iter_mut().zip(low).for_each(|(sum, low)| *sum = low + high);
    }
    table
}

impl CodeQuery for PqQuery {
    type Codec = Pq;

    fn codec(&self) -> &Pq {
        &self.codec
    }

    fn score_row(&self, row: &[u8]) -> f32 {
        assert_eq!(row.len(), self.codec.row_bytes(), "a row has row_bytes bytes");
        self.score(row)
    }

    fn scan(&self, rows: &[u8], out: &mut [f32]) {
        let stride = self.codec.row_bytes();
        assert_eq!(Some(rows.len()), out.len().checked_mul(stride), "one result for each row");
        rows.chunks_exact(stride).zip(out).for_each(|(row, out)| *out = self.score(row));
    }

    #[inline]
    fn gather(&self, rows: &[u8], slots: &[u32], out: &mut [f32]) {
        let stride = self.codec.row_bytes();
        assert_eq!(slots.len(), out.len(), "one result for each slot");
        for (slot, out) in slots.iter().zip(out) {
            *out = self.score(&rows[*slot as usize * stride..][..stride]);
        }
    }
}

impl std::fmt::Debug for PqQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PqQuery({:?})", self.codec)
    }
}
