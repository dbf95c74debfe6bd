//! The sums of all rows.

use super::kernel::{QUERIES_MAX, Sums, kernels};
use super::layout::{BLOCK_ROWS, Layout};
use super::tables::Tables;

/// Blocks that many queries are compared with before the next: as many as a cache of the second level holds with ease.
pub(super) const fn tile(layout: Layout) -> usize {
    const BYTES: usize = 256 << 10;
    let blocks = BYTES / layout.block_bytes();
    if blocks < 1 { 1 } else { blocks }
}

/// Blocks that are summed up between two looks at the sums.
pub(super) const STEP: usize = 16;

impl Tables {
    /// The sum of each row, of which there are as many as `sums`.
    ///
    /// # Panics
    /// If `blocks` is not as long as the layout says for so many rows.
    pub fn scan(&self, blocks: &[u8], sums: &mut [u16]) {
        let layout = self.layout();
        assert_eq!(blocks.len(), layout.bytes_for(sums.len()), "as many blocks as the rows need");
        let (whole, rest) = sums.as_chunks_mut::<BLOCK_ROWS>();
        let (blocks, last) = blocks.split_at(whole.len() * layout.block_bytes());
        let mut masks = [0; STEP];
        for (sums, blocks) in whole.chunks_mut(STEP).zip(blocks.chunks(STEP * layout.block_bytes())) {
            kernels().sift(layout, &[self], blocks, &[u16::MAX], &mut masks[..sums.len()], sums);
        }
        if !rest.is_empty() {
            let mut all: [Sums; 1] = [[0; BLOCK_ROWS]];
            kernels().sift(layout, &[self], last, &[u16::MAX], &mut masks[..1], &mut all);
            rest.copy_from_slice(&all[0][..rest.len()]);
        }
    }
}

/// The sum of each of `rows` rows for each of some queries: those of the first query, then those of the next. Each block is
/// read once for several queries.
///
/// # Panics
/// If the queries have different layouts, `blocks` is not as long as theirs says for so many rows, or `sums` does not
/// have room for all rows of all queries.
pub fn scan_many(queries: &[&Tables], blocks: &[u8], rows: usize, sums: &mut [u16]) {
    assert_eq!(Some(sums.len()), queries.len().checked_mul(rows), "a sum for each row and query");
    let Some(layout) = queries.first().map(|query| query.layout()) else { return };
    assert_eq!(blocks.len(), layout.bytes_for(rows), "as many blocks as the rows need");
    let mut found = vec![[0; BLOCK_ROWS]; STEP * QUERIES_MAX];
    let mut masks = [0; STEP * QUERIES_MAX];
    for (tile_at, tile_blocks) in blocks.chunks(tile(layout) * layout.block_bytes()).enumerate() {
        for (group_at, group) in queries.chunks(QUERIES_MAX).enumerate() {
            for (step_at, step) in tile_blocks.chunks(STEP * layout.block_bytes()).enumerate() {
                let count = step.len() / layout.block_bytes();
                let (found, masks) = (&mut found[..count * group.len()], &mut masks[..count * group.len()]);
                kernels().sift(layout, group, step, &[u16::MAX; QUERIES_MAX][..group.len()], masks, found);
                let start = (tile_at * tile(layout) + step_at * STEP) * BLOCK_ROWS;
                let here = (rows - start).min(count * BLOCK_ROWS);
                for (q, found) in found.chunks(count).enumerate() {
                    let out = &mut sums[(group_at * QUERIES_MAX + q) * rows + start..][..here];
                    out.copy_from_slice(&found.as_flattened()[..here]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
