//! From rows to the sections `rows` and `dictionary`.

use std::fmt;
use std::ops::Range;

use vectra_core::Value;
use vectra_core::codec::{Reader, Writer, decode_value, encode_value};

use crate::column::{SharedCounter, SharedStrings, shred};
use crate::compress::{Compressor, Packed, train};
use crate::error::BuildError;
use crate::format::{
    BLOCK_BYTES, BLOCK_ROWS, BlockEntry, DictionaryHeader, Layout, TRAINED_BYTES_MAX, write_directory,
};

/// How many encoded bytes are kept, and looked at to find the shared strings and the dictionary, before blocks are packed.
const SAMPLE_BYTES: usize = 16 << 20;
/// A trained dictionary may take this share of the bytes it is trained on.
const TRAINED_SHARE: usize = 64;
/// Below this the trainer has nothing to learn from.
const TRAINED_BYTES_MIN: usize = 1024;
/// The pieces that the trainer is given, and how many bytes of them at most.
const TRAINING_PIECE: usize = 2048;
const TRAINING_BYTES: usize = 8 << 20;

/// How many blocks a dictionary is tried on.
const TRIALS: usize = 32;

/// Rows as they come in. Up to [`SAMPLE_BYTES`] of them are kept as they are; what those show decides how all blocks
/// are written, and from then on each block is packed as soon as it is full.
#[derive(Default)]
pub(crate) struct RowBuffer {
    /// Encoded rows that are in no block yet.
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    plan: Option<Plan>,
    packed: Vec<u8>,
    entries: Vec<BlockEntry>,
    rows: usize,
}

/// What all blocks of a segment share.
struct Plan {
    shared: SharedStrings,
    trained: Vec<u8>,
    compressor: Compressor,
}

impl fmt::Debug for RowBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowBuffer").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A run of rows that becomes one block.
struct Piece {
    rows: u32,
    value_len: usize,
    layout: Layout,
    raw: Vec<u8>,
}

impl RowBuffer {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of rows that it holds, packed or not.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.bytes.len() + self.packed.len()
    }

    /// Appends a row that `check_row` has passed.
    pub(crate) fn push(&mut self, row: &Value) -> Result<(), BuildError> {
        let mut w = Writer::append_to(std::mem::take(&mut self.bytes));
        encode_value(row, &mut w);
        self.bytes = w.into_bytes();
        self.ends.push(self.bytes.len());
        self.rows += 1;
        let enough = if self.plan.is_none() { SAMPLE_BYTES } else { BLOCK_BYTES };
        if self.bytes.len() > enough || self.plan.is_some() && self.ends.len() > BLOCK_ROWS {
            let mut blocks = self.blocks();
            blocks.pop();
            self.pack(&blocks)?;
        }
        Ok(())
    }

    /// The sections `rows` and `dictionary`.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Vec<u8>), BuildError> {
        let blocks = self.blocks();
        self.pack(&blocks)?;
        drop((self.bytes, self.ends));
        let mut rows = write_directory(&self.entries, self.rows as u32);
        rows.reserve_exact(self.packed.len());
        rows.extend_from_slice(&self.packed);
        drop(self.packed);
        let Plan { shared, trained, .. } = self.plan.expect("packing has made a plan");
        let strings = shared.encode();
        let shared_raw_len = strings.len();
        let Packed { codec, bytes } =
            Compressor::new(&[]).and_then(|mut c| c.pack(strings)).map_err(BuildError::Compress)?;
        let header = DictionaryHeader { codec, shared_stored_len: bytes.len(), shared_raw_len };
        Ok((rows, [header.write(), bytes, trained].concat()))
    }

    /// Packs the first of the waiting rows, cut into these blocks.
    fn pack(&mut self, blocks: &[Range<usize>]) -> Result<(), BuildError> {
        let mut plan = match self.plan.take() {
            Some(plan) => plan,
            None => self.plan(blocks)?,
        };
        for rows in blocks {
            let Piece { rows, value_len, layout, raw } = self.piece(rows, &plan.shared);
            let raw_len = raw.len();
            let Packed { codec, bytes } = plan.compressor.pack(raw).map_err(BuildError::Compress)?;
            // First slot and offset follow from the entries before and are not stored.
            let (first_slot, offset, stored_len) = (0, 0, bytes.len());
            self.entries.push(BlockEntry {
                first_slot,
                rows,
                offset,
                stored_len,
                raw_len,
                value_len,
                codec,
                layout,
            });
            self.packed.extend_from_slice(&bytes);
        }
        self.plan = Some(plan);
        let Some(done) = blocks.last().map(|rows| rows.end) else { return Ok(()) };
        let cut = self.ends[done - 1];
        self.ends.drain(..done);
        self.ends.iter_mut().for_each(|end| *end -= cut);
        self.bytes.drain(..cut);
        if self.bytes.capacity() > 4 * BLOCK_BYTES {
            self.bytes.shrink_to(2 * BLOCK_BYTES);
        }
        Ok(())
    }

    /// Decides how blocks are written, by those that are there.
    fn plan(&self, blocks: &[Range<usize>]) -> Result<Plan, BuildError> {
        let shared = self.shared_strings(blocks);
        let trained = {
            let pieces: Vec<Piece> = blocks.iter().map(|rows| self.piece(rows, &shared)).collect();
            trained_dictionary(&pieces)?
        };
        let compressor = Compressor::new(&trained).map_err(BuildError::Compress)?;
        Ok(Plan { shared, trained, compressor })
    }

    /// Cuts the rows into blocks.
    fn blocks(&self) -> Vec<Range<usize>> {
        let mut blocks = Vec::new();
        let (mut first, mut start) = (0, 0);
        let mut before = 0;
        for (row, end) in self.ends.iter().copied().enumerate() {
            if row > first && (end - start > BLOCK_BYTES || row - first == BLOCK_ROWS) {
                blocks.push(first..row);
                (first, start) = (row, before);
            }
            before = end;
        }
        if first < self.ends.len() {
            blocks.push(first..self.ends.len());
        }
        blocks
    }

    fn bytes_of(&self, rows: &Range<usize>) -> &[u8] {
        let start = rows.start.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[rows.end - 1]]
    }

    fn decode(&self, rows: &Range<usize>) -> Vec<Value> {
        let mut reader = Reader::new(self.bytes_of(rows));
        rows.clone().map(|_| decode_value(&mut reader).expect("the buffer holds own encodings")).collect()
    }

    fn shared_strings(&self, blocks: &[Range<usize>]) -> SharedStrings {
        let mut counter = SharedCounter::default();
        for rows in blocks {
            self.decode(rows).iter().for_each(|row| counter.count(row));
        }
        counter.finish()
    }

    fn piece(&self, rows: &Range<usize>, shared: &SharedStrings) -> Piece {
        let encoded = self.bytes_of(rows);
        let (count, value_len) = (rows.len() as u32, encoded.len());
        let columns =
            if value_len <= BLOCK_BYTES { shred(&self.decode(rows), value_len, shared) } else { None };
        let (layout, raw) = match columns.filter(|columns| columns.len() <= value_len) {
            Some(columns) => (Layout::Columns, columns),
            None => (Layout::Rows, encoded.to_vec()),
        };
        Piece { rows: count, value_len, layout, raw }
    }
}

/// A dictionary for the blocks, empty where it would not pay for its own bytes.
fn trained_dictionary(pieces: &[Piece]) -> Result<Vec<u8>, BuildError> {
    let total: usize = pieces.iter().map(|piece| piece.raw.len()).sum();
    let bytes_max = (total / TRAINED_SHARE).min(TRAINED_BYTES_MAX);
    if bytes_max < TRAINED_BYTES_MIN {
        return Ok(Vec::new());
    }
    let step = total.div_ceil(TRAINING_BYTES).max(1);
    let samples: Vec<&[u8]> =
        pieces.iter().step_by(step).flat_map(|piece| piece.raw.chunks(TRAINING_PIECE)).collect();
    let Some(dictionary) = train(&samples, bytes_max) else { return Ok(Vec::new()) };
    let step = pieces.len().div_ceil(TRIALS);
    let trials: Vec<&Piece> = pieces.iter().step_by(step).collect();
    let size = |dictionary: &[u8]| -> std::io::Result<usize> {
        let mut compressor = Compressor::new(dictionary)?;
        trials.iter().try_fold(0, |sum, piece| Ok(sum + compressor.pack(piece.raw.clone())?.bytes.len()))
    };
    let (without, with) =
        size(&[]).and_then(|a| Ok((a, size(&dictionary)?))).map_err(BuildError::Compress)?;
    let saved = without.saturating_sub(with) * step;
    Ok(if saved > dictionary.len() { dictionary } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use vectra_core::admit::Bits;
    use vectra_core::io::Blob;

    use super::*;
    use crate::store::RowStore;

    #[test]
    fn blocks_are_bounded_and_cover_every_row_once() {
        let mut buffer = RowBuffer::default();
        let sizes = [10, 40_000, 30_000, 70_000, 5, 5, 65_000, 600, 10];
        for size in sizes {
            buffer.push(&Value::from("x".repeat(size))).expect("a row");
        }
        assert_eq!(buffer.blocks(), [0..2, 2..3, 3..4, 4..7, 7..9]);
        assert_eq!(buffer.decode(&(4..6)), vec![Value::from("xxxxx"); 2]);
        let mut small = RowBuffer::default();
        (0..2500).for_each(|_| small.push(&Value::Null).expect("a row"));
        assert_eq!(small.blocks(), [0..1024, 1024..2048, 2048..2500]);
        assert!(RowBuffer::default().blocks().is_empty());
    }

    #[test]
    fn many_rows_are_packed_on_the_way_and_are_all_there() {
        let row =
            |n: u64| Value::from([("n", Value::from(n)), ("text", Value::from("lorem ipsum ".repeat(80)))]);
        let (mut buffer, mut most) = (RowBuffer::default(), 0);
        let count = 30_000_u64;
        for n in 0..count {
            buffer.push(&row(n)).expect("a row");
            most = most.max(buffer.bytes.len());
        }
        assert!(most <= SAMPLE_BYTES + 2048, "{most} bytes of rows were held at once");
        assert!(buffer.bytes.capacity() <= 4 * BLOCK_BYTES, "what was packed is given back");
        assert!(buffer.buffered_bytes() < SAMPLE_BYTES / 4, "{} bytes", buffer.buffered_bytes());
        let (rows, dictionary) = buffer.finish().expect("sections");
        let store =
            RowStore::open(Blob::copy_of(&rows), &Blob::copy_of(&dictionary), count as u32).expect("own");
        let mut next = 0;
        let give = |slot: u32, value| {
            assert_eq!((slot, value), (next as u32, row(next)));
            next += 1;
        };
        store.scan(&Bits::all(count as u32), None, give).expect("own");
        assert_eq!(next, count);
    }
}
