//! Reading rows: one at a time through a small cache, or many in slot order.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use vectra_core::Value;
use vectra_core::admit::Bits;
use vectra_core::codec::{DecodeError, Reader, decode_value};
use vectra_core::io::Blob;

use super::cache::BlockCache;
use crate::column::{SharedStrings, assemble};
use crate::compress::{Decompressor, supported};
use crate::error::FormatError;
use crate::format::{
    BlockEntry, Codec, DICTIONARY, DictionaryHeader, Layout, ROWS, TRAINED_BYTES_MAX, damaged, read_directory,
};

/// The rows of a segment.
pub(crate) struct RowStore {
    rows: Blob,
    blocks: Vec<BlockEntry>,
    shared: SharedStrings,
    trained: Blob,
    cache: BlockCache,
    /// Contexts that nobody uses just now; making one costs more than decompressing a block.
    idle: Mutex<Vec<Contexts>>,
}

/// How many idle contexts are kept.
const IDLE_MAX: usize = 4;

/// Decompression contexts, made on first use.
#[derive(Default)]
struct Contexts {
    plain: Option<Decompressor>,
    trained: Option<Decompressor>,
}

impl RowStore {
    pub(crate) fn open(rows: Blob, dictionary: &Blob, row_count: u32) -> Result<Self, FormatError> {
        let blocks = read_directory(&rows, row_count)?;
        if let Some(block) = blocks.iter().find(|block| !supported(block.codec)) {
            return Err(unsupported(ROWS, block.codec));
        }
        let mut reader = Reader::new(dictionary);
        let header = DictionaryHeader::read(&mut reader)?;
        if !supported(header.codec) {
            return Err(unsupported(DICTIONARY, header.codec));
        }
        let stored = reader.bytes(header.shared_stored_len).map_err(damaged(DICTIONARY))?;
        let trained = dictionary.slice(reader.position()..dictionary.len()).expect("the reader is inside");
        if trained.len() > TRAINED_BYTES_MAX {
            return Err(damaged(DICTIONARY)(reader.error("trained dictionary")));
        }
        let shared = match header.codec {
            Codec::Raw => SharedStrings::decode(stored),
            codec => Decompressor::new(codec, &[])
                .and_then(|mut zstd| zstd.unpack(stored, header.shared_raw_len))
                .and_then(|raw| SharedStrings::decode(&raw)),
        };
        let shared = shared.map_err(damaged(DICTIONARY))?;
        Ok(Self { rows, blocks, shared, trained, cache: BlockCache::default(), idle: Mutex::default() })
    }

    /// Where the block with `slot`, which is below the row count, lies in the section.
    pub(crate) fn block_range(&self, slot: u32) -> std::ops::Range<usize> {
        let block = &self.blocks[self.blocks.partition_point(|block| block.first_slot <= slot) - 1];
        block.offset..block.offset + block.stored_len
    }

    /// The row of `slot`, which is below the row count.
    pub(crate) fn get(&self, slot: u32) -> Result<Value, FormatError> {
        let number = self.blocks.partition_point(|block| block.first_slot <= slot) - 1;
        let block = &self.blocks[number];
        let raw = self.with_contexts(|contexts| self.raw(number, contexts))?;
        self.cache.put(number, &raw);
        let row = (slot - block.first_slot) as usize;
        let mut found = Value::Null;
        let decoded = self.decode(block, &raw, row, None, |at| at == row, |_, value| found = value);
        decoded.map_err(|source| self.damaged_block(number, source))?;
        Ok(found)
    }

    /// Gives the rows of `slots` to `give`, in order. Blocks without any of them are not touched.
    ///
    /// With `only`, rows that are objects may come without the members that it does not name.
    pub(crate) fn scan(
        &self,
        slots: &Bits,
        only: Option<&BTreeSet<&str>>,
        mut give: impl FnMut(u32, Value),
    ) -> Result<(), FormatError> {
        self.with_contexts(|contexts| {
            for (number, block) in self.blocks.iter().enumerate() {
                let wanted = |row: usize| slots.contains(block.first_slot + row as u32);
                let Some(last) = (0..block.rows as usize).rev().find(|row| wanted(*row)) else { continue };
                let raw = self.raw(number, contexts)?;
                let give = |row, value| give(block.first_slot + row as u32, value);
                let decoded = self.decode(block, &raw, last, only, wanted, give);
                decoded.map_err(|source| self.damaged_block(number, source))?;
            }
            Ok(())
        })
    }

    /// Lends contexts to `work`.
    fn with_contexts<T>(&self, work: impl FnOnce(&mut Contexts) -> T) -> T {
        // Whole contexts go in and out, so a panic elsewhere leaves none half changed.
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut contexts = taken.unwrap_or_default();
        let done = work(&mut contexts);
        let mut idle = idle();
        if idle.len() < IDLE_MAX {
            idle.push(contexts);
        }
        done
    }

    fn decode(
        &self,
        block: &BlockEntry,
        raw: &[u8],
        last: usize,
        only: Option<&BTreeSet<&str>>,
        wanted: impl Fn(usize) -> bool,
        mut give: impl FnMut(usize, Value),
    ) -> Result<(), DecodeError> {
        if block.layout == Layout::Columns {
            return assemble(raw, block.value_len, last, &self.shared, only, wanted, give);
        }
        let mut reader = Reader::new(raw);
        for row in 0..=last {
            let value = decode_value(&mut reader)?;
            if wanted(row) {
                give(row, value);
            }
        }
        Ok(())
    }

    /// The decompressed bytes of a block, from the cache if they are there.
    fn raw(&self, number: usize, contexts: &mut Contexts) -> Result<Arc<Vec<u8>>, FormatError> {
        if let Some(raw) = self.cache.get(number) {
            return Ok(raw);
        }
        let block = &self.blocks[number];
        let stored = &self.rows[block.offset..block.offset + block.stored_len];
        let slot = match block.codec {
            Codec::Raw => return Ok(Arc::new(stored.to_vec())),
            Codec::Zstd => &mut contexts.plain,
            Codec::ZstdTrained => &mut contexts.trained,
        };
        let unpacked = match slot {
            Some(zstd) => zstd.unpack(stored, block.raw_len),
            None => Decompressor::new(block.codec, &self.trained)
                .and_then(|zstd| slot.insert(zstd).unpack(stored, block.raw_len)),
        };
        unpacked.map(Arc::new).map_err(|source| self.damaged_block(number, source))
    }

    fn damaged_block(&self, block: usize, source: DecodeError) -> FormatError {
        FormatError::Block { block, offset: self.blocks[block].offset, source }
    }
}

fn unsupported(section: &'static str, codec: Codec) -> FormatError {
    FormatError::Unsupported { section, what: "codec", found: codec as u64 }
}

impl fmt::Debug for RowStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStore").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}
