//! From rows to the sections `rows` and `dictionary`.

use std::ops::Range;

use vectra_core::Value;
use vectra_core::codec::{Reader, Writer, decode_value, encode_value};

use crate::column::{SharedCounter, SharedStrings, shred};
use crate::compress::{Compressor, Packed, train};
use crate::error::BuildError;
use crate::format::{
    BLOCK_BYTES, BLOCK_ROWS, BlockEntry, DictionaryHeader, Layout, TRAINED_BYTES_MAX, write_directory,
};

/// How many encoded bytes at most are looked at to find the shared strings.
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

/// Rows as they come in, encoded one after the other.
#[derive(Debug, Default)]
pub(crate) struct RowBuffer {
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
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
        self.ends.len()
    }

    /// Appends a row that `check_row` has passed.
    pub(crate) fn push(&mut self, row: &Value) {
        let mut w = Writer::append_to(std::mem::take(&mut self.bytes));
        encode_value(row, &mut w);
        self.bytes = w.into_bytes();
        self.ends.push(self.bytes.len());
    }

    /// The sections `rows` and `dictionary`.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Vec<u8>), BuildError> {
        let blocks = self.blocks();
        let shared = self.shared_strings(&blocks);
        let pieces: Vec<Piece> = blocks.into_iter().map(|rows| self.piece(rows, &shared)).collect();
        let row_count = self.ends.len() as u32;
        drop(self.bytes);
        let trained = trained_dictionary(&pieces)?;
        let rows = pack(pieces, row_count, &trained)?;
        let strings = shared.encode();
        let shared_raw_len = strings.len();
        let Packed { codec, bytes } =
            Compressor::new(&[]).and_then(|mut c| c.pack(strings)).map_err(BuildError::Compress)?;
        let header = DictionaryHeader { codec, shared_stored_len: bytes.len(), shared_raw_len };
        Ok((rows, [header.write(), bytes, trained].concat()))
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

    /// Counts over all blocks, or over evenly spread ones where the rows are many.
    fn shared_strings(&self, blocks: &[Range<usize>]) -> SharedStrings {
        let mut counter = SharedCounter::default();
        let step = self.bytes.len().div_ceil(SAMPLE_BYTES).max(1);
        for rows in blocks.iter().step_by(step) {
            self.decode(rows).iter().for_each(|row| counter.count(row));
        }
        counter.finish()
    }

    fn piece(&self, rows: Range<usize>, shared: &SharedStrings) -> Piece {
        let encoded = self.bytes_of(&rows);
        let (count, value_len) = (rows.len() as u32, encoded.len());
        let columns =
            if value_len <= BLOCK_BYTES { shred(&self.decode(&rows), value_len, shared) } else { None };
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

fn pack(pieces: Vec<Piece>, row_count: u32, trained: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut compressor = Compressor::new(trained).map_err(BuildError::Compress)?;
    let mut entries = Vec::with_capacity(pieces.len());
    let mut stored: Vec<Vec<u8>> = Vec::with_capacity(pieces.len());
    for Piece { rows, value_len, layout, raw } in pieces {
        let raw_len = raw.len();
        let Packed { codec, bytes } = compressor.pack(raw).map_err(BuildError::Compress)?;
        // First slot and offset follow from the entries before and are not stored.
        let (first_slot, offset, stored_len) = (0, 0, bytes.len());
        entries.push(BlockEntry { first_slot, rows, offset, stored_len, raw_len, value_len, codec, layout });
        stored.push(bytes);
    }
    let mut section = write_directory(&entries, row_count);
    section.reserve_exact(stored.iter().map(Vec::len).sum());
    stored.iter().for_each(|bytes| section.extend_from_slice(bytes));
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_bounded_and_cover_every_row_once() {
        let mut buffer = RowBuffer::default();
        let sizes = [10, 40_000, 30_000, 70_000, 5, 5, 65_000, 600, 10];
        sizes.iter().for_each(|size| buffer.push(&Value::from("x".repeat(*size))));
        assert_eq!(buffer.blocks(), [0..2, 2..3, 3..4, 4..7, 7..9]);
        assert_eq!(buffer.decode(&(4..6)), vec![Value::from("xxxxx"); 2]);
        let mut small = RowBuffer::default();
        (0..2500).for_each(|_| small.push(&Value::Null));
        assert_eq!(small.blocks(), [0..1024, 1024..2048, 2048..2500]);
        assert!(RowBuffer::default().blocks().is_empty());
    }
}
