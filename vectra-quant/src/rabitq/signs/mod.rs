//! Codes of one bit in blocks, for scans of all rows: four signs to a column of [`fastscan`](crate::fastscan).
//!
//! A scan of [`RaBitQRows`](super::RaBitQRows) multiplies every code with the query; here a table has the sums of all sixteen signs of
//! four components, and an instruction looks up 64 rows at a time. The codes are the same, and so are the factors, which lie
//! apart from them.

mod format;
mod query;

use vectra_core::Neighbor;
use vectra_core::io::Blob;
use vectra_core::memory::AlignedBuf;

pub use format::HEADER_BYTES;
pub use query::SignQuery;

use super::codec::RaBitQ;
use super::kernel::FACTORS_OF_BLOCK;
use super::row::{self, Factors};
use super::{Estimate, RaBitQRows};
use crate::codec::Codec;
use crate::fastscan::{BLOCK_ROWS, Layout};
use crate::pruned::Candidates;

/// Components to a column.
const SIGNS: usize = 4;

/// Blocks that are looked up before distances are made of what was found.
const STEP: usize = 16;

/// Rows of one-bit codes in blocks of 64, in memory of our own or mapped from a file. Cloning copies nothing.
///
/// ```
/// use vectra_core::Metric;
/// use vectra_quant::rabitq::SignBlocks;
/// use vectra_quant::{Codec, Coder, RaBitQ, RaBitQRows, Rotated};
///
/// let vectors: Vec<f32> = (0..1000 * 32).map(|i| (i as f32 * 0.37).sin()).collect();
/// let rotated = Rotated::fit(&vectors, 32, Metric::L2, 1);
/// let coder = Coder::rotated(rotated, RaBitQ::new(64, 1, Metric::L2));
/// let stride = coder.codec().row_bytes();
/// let mut rows = vec![0; 1000 * stride];
/// let pairs = vectors.chunks_exact(32).zip(rows.chunks_exact_mut(stride));
/// pairs.for_each(|(vector, row)| coder.encode(vector, row));
///
/// let blocks = SignBlocks::pack(RaBitQRows::new(*coder.codec(), &rows));
/// let query = &vectors[..32];
/// let candidates = blocks.candidates(&coder.bind(query).signs(), 3, |_| true);
/// let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
/// let found = candidates.rerank(|slot| distance(query, &vectors[slot as usize * 32..][..32]));
/// assert_eq!(found.nearest[0].slot, 0);
/// assert!(found.reads < 1000);
/// ```
#[derive(Clone)]
pub struct SignBlocks {
    codec: RaBitQ,
    rows: u32,
    codes: Blob,
    /// For each block the energies, scales and errors of its rows.
    factors: Blob,
}

impl SignBlocks {
    /// Copies rows to blocks.
    ///
    /// # Panics
    /// If the rows do not have one bit, or are more than a `u32` counts.
    pub fn pack(rows: RaBitQRows<'_>) -> Self {
        let codec = *rows.codec();
        assert_eq!(codec.bits(), 1, "blocks of signs are made of codes of one bit");
        let stride = codec.row_bytes();
        let count = u32::try_from(rows.bytes().len() / stride).expect("slots are 32-bit numbers");
        let layout = layout(&codec);
        let mut columns = vec![0; count as usize * layout.columns()];
        let mut factors = AlignedBuf::zeroed(layout.blocks_for(count as usize) * FACTORS_OF_BLOCK);
        let mut signs = vec![0; codec.dim()];
        for (slot, row) in rows.bytes().chunks_exact(stride).enumerate() {
            row::unpack(row, 1, &mut signs);
            let columns = &mut columns[slot * layout.columns()..][..layout.columns()];
            for (column, signs) in columns.iter_mut().zip(signs.chunks(SIGNS)) {
                *column = signs.iter().enumerate().fold(0, |column, (at, sign)| column | sign << at);
            }
            write(&mut factors, slot, Factors::read(row));
        }
        let mut codes = AlignedBuf::zeroed(layout.bytes_for(count as usize));
        layout.pack(&columns, &mut codes);
        Self { codec, rows: count, codes: Blob::from_buf(codes), factors: Blob::from_buf(factors) }
    }

    /// What made the codes.
    pub fn codec(&self) -> &RaBitQ {
        &self.codec
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The estimates of all rows, those that [`RaBitQQuery::estimate_all`](super::RaBitQQuery::estimate_all) gives but for what the
    /// tables round, which the ranges allow for.
    ///
    /// # Panics
    /// If another codec bound the query or `out` does not have room for each row.
    pub fn estimate_all(&self, query: &SignQuery, out: &mut [Estimate]) {
        assert_eq!(out.len(), self.len(), "one result for each row");
        self.each_block(query, |first, sums, factors| {
            for (at, out) in out[first..].iter_mut().take(BLOCK_ROWS).enumerate() {
                *out = query.estimate(sums[at], read(factors, at));
            }
        });
    }

    /// The rows among the admitted ones that may be the `k` nearest, as far as their codes tell.
    ///
    /// # Panics
    /// If another codec bound the query.
    pub fn candidates(&self, query: &SignQuery, k: usize, admits: impl Fn(u32) -> bool) -> Candidates {
        let mut candidates = Candidates::new(k);
        self.each_block(query, |first, sums, factors| {
            let mut within = query.within(sums, factors, candidates.bound());
            while within != 0 {
                let at = within.trailing_zeros() as usize;
                within &= within - 1;
                let slot = (first + at) as u32;
                if slot < self.rows && admits(slot) {
                    candidates.push(slot, query.estimate(sums[at], read(factors, at)));
                }
            }
        });
        candidates
    }

    /// The `k` rows among the admitted ones that are nearest by their estimates, the nearest first.
    ///
    /// # Panics
    /// If another codec bound the query.
    pub fn nearest(&self, query: &SignQuery, k: usize, admits: impl Fn(u32) -> bool) -> Vec<Neighbor> {
        self.candidates(&query.certain(), k, admits).into_nearest()
    }

    /// Calls `visit` with the first row of each block, the sums of its rows and their factors.
    fn each_block(
        &self,
        query: &SignQuery,
        mut visit: impl FnMut(usize, &[u16; BLOCK_ROWS], &[u8; FACTORS_OF_BLOCK]),
    ) {
        assert_eq!(query.codec(), &self.codec, "query and rows have different codecs");
        let mut sums = [[0; BLOCK_ROWS]; STEP];
        let bytes = layout(&self.codec).block_bytes();
        let factors = self.factors.as_chunks::<FACTORS_OF_BLOCK>().0;
        for (step, (codes, factors)) in self.codes.chunks(STEP * bytes).zip(factors.chunks(STEP)).enumerate()
        {
            let sums = &mut sums[..factors.len()];
            query.tables().scan(codes, sums.as_flattened_mut());
            for (at, (sums, factors)) in sums.iter().zip(factors).enumerate() {
                visit((step * STEP + at) * BLOCK_ROWS, sums, factors);
            }
        }
    }
}

/// The columns of rows of a codec.
fn layout(codec: &RaBitQ) -> Layout {
    Layout::nibbles(codec.dim().div_ceil(SIGNS))
}

/// Where a factor of the row at `at` of a block lies: its `which`-th of energy, scale and error.
fn place(at: usize, which: usize) -> std::ops::Range<usize> {
    let start = 4 * (which * BLOCK_ROWS + at);
    start..start + 4
}

/// Writes the factors of the row at `slot` to those of all blocks.
fn write(all: &mut [u8], slot: usize, factors: Factors) {
    let block = &mut all[slot / BLOCK_ROWS * FACTORS_OF_BLOCK..][..FACTORS_OF_BLOCK];
    for (which, factor) in [factors.energy, factors.scale, factors.error].into_iter().enumerate() {
        block[place(slot % BLOCK_ROWS, which)].copy_from_slice(&factor.to_le_bytes());
    }
}

/// The factors of the row at `at` of a block.
fn read(block: &[u8; FACTORS_OF_BLOCK], at: usize) -> Factors {
    let factor = |which| {
        let bytes = block[place(at, which)].first_chunk().expect("a place has four bytes");
        f32::from_le_bytes(*bytes)
    };
    Factors { energy: factor(0), scale: factor(1), error: factor(2) }
}

impl std::fmt::Debug for SignBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignBlocks({} rows of {:?})", self.rows, self.codec)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "bits are compared, or values that are exact in f32")]
mod tests;
