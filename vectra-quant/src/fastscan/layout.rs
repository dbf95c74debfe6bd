//! Where the codes of rows lie: blocks of 64 rows, column by column.

/// Rows of a block.
pub const BLOCK_ROWS: usize = 64;

/// The most columns there can be: four sign bits to a column in the longest vectors.
pub const COLUMNS_MAX: usize = 16_384;

/// How many columns of how many bits a row has, and with that where its codes lie.
///
/// A block holds 64 rows in lines of 64 bytes, byte i of a line of the block's row i:
///
/// | bits | line j of a block |
/// |---|---|
/// | 4 | low nibbles: column 2 j; high nibbles: column 2 j + 1, or zeros behind the last column |
/// | 8 | column j |
///
/// The last block is filled up with rows of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    columns: u32,
    wide: bool,
}

impl Layout {
    /// Columns of four bits.
    ///
    /// # Panics
    /// If there are no columns, or more than [`COLUMNS_MAX`].
    pub const fn nibbles(columns: usize) -> Self {
        Self::new(columns, false)
    }

    /// Columns of eight bits.
    ///
    /// # Panics
    /// If there are no columns, or more than [`COLUMNS_MAX`].
    pub const fn bytes(columns: usize) -> Self {
        Self::new(columns, true)
    }

    const fn new(columns: usize, wide: bool) -> Self {
        assert!(1 <= columns && columns <= COLUMNS_MAX, "there are 1 to 16384 columns");
        Self { columns: columns as u32, wide }
    }

    /// Codes of a row.
    pub const fn columns(&self) -> usize {
        self.columns as usize
    }

    /// Bits of a code: four or eight.
    pub const fn bits(&self) -> u32 {
        if self.wide { 8 } else { 4 }
    }

    /// How many values a code has: entries of a column's table.
    pub const fn codes(&self) -> usize {
        1 << self.bits()
    }

    /// Lines of 64 bytes in a block.
    pub const fn lines(&self) -> usize {
        if self.wide { self.columns() } else { self.columns().div_ceil(2) }
    }

    /// Bytes of a block.
    pub const fn block_bytes(&self) -> usize {
        self.lines() * BLOCK_ROWS
    }

    /// Blocks that hold `rows` rows.
    pub const fn blocks_for(&self, rows: usize) -> usize {
        rows.div_ceil(BLOCK_ROWS)
    }

    /// Bytes of the blocks that hold `rows` rows.
    ///
    /// # Panics
    /// If memory has no room for them.
    pub const fn bytes_for(&self, rows: usize) -> usize {
        self.blocks_for(rows).checked_mul(self.block_bytes()).expect("the blocks fit into memory")
    }

    /// Writes rows to blocks of their own; `codes` holds a byte for each column of each row, row after row.
    ///
    /// # Panics
    /// If `codes` is not a whole number of rows, `blocks` is not [`bytes_for`](Self::bytes_for) them long, or a code of
    /// four bits is beyond 15.
    pub fn pack(&self, codes: &[u8], blocks: &mut [u8]) {
        let rows = self.rows_of(codes);
        assert_eq!(blocks.len(), self.bytes_for(rows), "as many blocks as the rows need");
        blocks.fill(0);
        for (row, codes) in codes.chunks_exact(self.columns()).enumerate() {
            self.put(blocks, row, codes);
        }
    }

    /// Adds rows behind the `rows` rows that `blocks` holds, in the last block as long as it has room; `codes` as for
    /// [`pack`](Self::pack).
    ///
    /// # Panics
    /// If `blocks` is not [`bytes_for`](Self::bytes_for) `rows` rows long, or as [`pack`](Self::pack).
    pub fn append(&self, blocks: &mut Vec<u8>, rows: usize, codes: &[u8]) {
        assert_eq!(blocks.len(), self.bytes_for(rows), "as many blocks as the rows need");
        let more = self.rows_of(codes);
        blocks.resize(self.bytes_for(rows + more), 0);
        for (row, codes) in codes.chunks_exact(self.columns()).enumerate() {
            self.put(blocks, rows + row, codes);
        }
    }

    /// Reads the codes of one row, a byte for each column.
    ///
    /// # Panics
    /// If `row` is beyond the blocks or `codes` does not have a byte for each column.
    pub fn unpack(&self, blocks: &[u8], row: usize, codes: &mut [u8]) {
        assert_eq!(codes.len(), self.columns(), "a byte for each column");
        let (block, row) = (row / BLOCK_ROWS, row % BLOCK_ROWS);
        let lines = blocks[block * self.block_bytes()..][..self.block_bytes()].as_chunks::<BLOCK_ROWS>().0;
        if self.wide {
            codes.iter_mut().zip(lines).for_each(|(code, line)| *code = line[row]);
            return;
        }
        for (codes, line) in codes.chunks_mut(2).zip(lines) {
            codes[0] = line[row] & 15;
            codes[1..].iter_mut().for_each(|code| *code = line[row] >> 4);
        }
    }

    /// How many rows `codes` has.
    fn rows_of(self, codes: &[u8]) -> usize {
        assert_eq!(codes.len() % self.columns(), 0, "a byte for each column of each row");
        if !self.wide {
            let greatest = codes.iter().fold(0, |greatest, code| greatest | code);
            assert!(greatest < 16, "a code of four bits is at most 15");
        }
        codes.len() / self.columns()
    }

    /// Writes the codes of a row that is zero so far.
    fn put(self, blocks: &mut [u8], row: usize, codes: &[u8]) {
        let (block, row) = (row / BLOCK_ROWS, row % BLOCK_ROWS);
        let lines =
            blocks[block * self.block_bytes()..][..self.block_bytes()].as_chunks_mut::<BLOCK_ROWS>().0;
        if self.wide {
            lines.iter_mut().zip(codes).for_each(|(line, code)| line[row] = *code);
            return;
        }
        for (line, codes) in lines.iter_mut().zip(codes.chunks(2)) {
            line[row] = codes[0] | codes.get(1).map_or(0, |high| high << 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_lie_where_the_document_says() {
        let codes: Vec<u8> = (0..70 * 3).map(|i| (i * 7 % 16) as u8).collect();
        let layout = Layout::nibbles(3);
        let mut blocks = vec![9; layout.bytes_for(70)];
        layout.pack(&codes, &mut blocks);
        assert_eq!((layout.block_bytes(), blocks.len()), (128, 256));
        for row in 0..70 {
            let block = &blocks[row / 64 * 128..];
            assert_eq!(block[row % 64], codes[3 * row] | codes[3 * row + 1] << 4, "row {row}");
            assert_eq!(block[64 + row % 64], codes[3 * row + 2], "row {row}");
        }
        assert!(blocks[128 + 6..192].iter().all(|byte| *byte == 0), "rows that are none are zeros");

        let layout = Layout::bytes(3);
        let mut blocks = vec![9; layout.bytes_for(70)];
        layout.pack(&codes, &mut blocks);
        assert_eq!((layout.block_bytes(), blocks.len()), (192, 384));
        assert_eq!((blocks[63], blocks[64], blocks[192 + 128 + 5]), (codes[189], codes[1], codes[209]));
    }

    #[test]
    fn no_rows_need_no_blocks() {
        assert_eq!((Layout::bytes(7).blocks_for(0), Layout::bytes(7).bytes_for(64)), (0, 448));
        assert_eq!(
            (Layout::nibbles(7).lines(), Layout::nibbles(7).codes(), Layout::bytes(7).codes()),
            (4, 16, 256)
        );
    }

    #[test]
    #[should_panic(expected = "at most 15")]
    fn a_nibble_of_five_bits_panics() {
        Layout::nibbles(2).append(&mut Vec::new(), 0, &[1, 16]);
    }

    #[test]
    #[should_panic(expected = "as many blocks")]
    fn blocks_of_other_rows_panic() {
        Layout::nibbles(2).append(&mut vec![0; 64], 65, &[1, 1]);
    }

    #[test]
    #[should_panic(expected = "1 to 16384 columns")]
    fn no_columns_panic() {
        Layout::bytes(0);
    }

    proptest! {
        #[test]
        fn rows_are_read_as_written_however_they_were_added(
            columns in 1..40_usize,
            wide: bool,
            parts in prop::collection::vec(0..70_usize, 1..5),
            seed: u8,
        ) {
            let layout = if wide { Layout::bytes(columns) } else { Layout::nibbles(columns) };
            let rows: usize = parts.iter().sum();
            let mask = (layout.codes() - 1) as u8;
            let code = |i: usize| (i.wrapping_mul(167) as u8).wrapping_add(seed) & mask;
            let codes: Vec<u8> = (0..rows * columns).map(code).collect();
            let mut whole = vec![7; layout.bytes_for(rows)];
            layout.pack(&codes, &mut whole);
            let (mut grown, mut held) = (Vec::new(), 0);
            for part in parts {
                layout.append(&mut grown, held, &codes[held * columns..(held + part) * columns]);
                held += part;
            }
            prop_assert_eq!(&grown, &whole);
            let mut found = vec![99; columns];
            for row in 0..rows {
                layout.unpack(&whole, row, &mut found);
                prop_assert_eq!(&found, &codes[row * columns..(row + 1) * columns]);
            }
        }
    }
}
