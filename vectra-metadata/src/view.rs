//! A sealed segment's metadata, open for reading.

use vectra_core::admit::Bits;
use vectra_core::io::Blob;
use vectra_core::{Filter, Value};

use crate::error::{FormatError, ReadError};
use crate::estimate::{Cardinality, estimate};
use crate::index::{FieldIndex, read_indexes};
use crate::resolve::{Filtered, resolve_all};
use crate::stats::FieldStats;
use crate::store::RowStore;

/// The metadata of a segment: rows by slot, filters by index. Cheap to open, safe over damaged bytes, shared freely
/// between threads.
#[derive(Debug)]
pub struct MetadataView {
    pub(crate) rows: RowStore,
    pub(crate) indexes: Vec<FieldIndex>,
    pub(crate) row_count: u32,
}

impl MetadataView {
    /// Opens the three sections of a segment of `row_count` rows. Directories are checked here, contents when read.
    pub fn open(rows: Blob, dictionary: Blob, indexes: Blob, row_count: u32) -> Result<Self, FormatError> {
        let indexes = read_indexes(&indexes, row_count)?;
        Ok(Self { rows: RowStore::open(rows, &dictionary, row_count)?, indexes, row_count })
    }

    /// Opens the rows alone, without any index: for saving what is left of damaged sections.
    ///
    /// # Errors
    /// As [`MetadataView::open`].
    pub fn open_rows(rows: Blob, dictionary: &Blob, row_count: u32) -> Result<Self, FormatError> {
        Ok(Self { rows: RowStore::open(rows, dictionary, row_count)?, indexes: Vec::new(), row_count })
    }

    /// Where in the section `rows` the block lies that the row of `slot` is in.
    ///
    /// # Panics
    /// If `slot` is not below the row count.
    pub fn block_range(&self, slot: u32) -> std::ops::Range<usize> {
        assert!(slot < self.row_count, "there is no slot {slot} among {} rows", self.row_count);
        self.rows.block_range(slot)
    }

    /// How many rows there are.
    pub fn row_count(&self) -> u32 {
        self.row_count
    }

    /// The metadata of `slot`.
    pub fn get(&self, slot: u32) -> Result<Value, ReadError> {
        if slot >= self.row_count {
            return Err(ReadError::NoSuchSlot { slot, row_count: self.row_count });
        }
        Ok(self.rows.get(slot)?)
    }

    /// Gives the metadata of `slots` to `give`, in order; each block is read once, blocks without any of them never.
    ///
    /// # Panics
    /// If `slots` has another universe than the rows.
    pub fn for_each(&self, slots: &Bits, give: impl FnMut(u32, Value)) -> Result<(), ReadError> {
        assert_eq!(slots.len(), self.row_count, "the slots are those of the segment");
        Ok(self.rows.scan(slots, None, give)?)
    }

    /// The slots that satisfy `filter`, exactly.
    ///
    /// Indexes answer what they cover; rows are decoded only for the rest, and only those that no other part of an `And`
    /// has already excluded.
    pub fn filter(&self, filter: &Filter) -> Result<Filtered, ReadError> {
        Ok(resolve_all(self, filter)?)
    }

    /// How many slots satisfy `filter`: exact where indexes answer it alone, bounds and a guess elsewhere. Decodes no row.
    pub fn estimate(&self, filter: &Filter) -> Cardinality {
        estimate(self, filter)
    }

    /// What is known about the declared fields, in the order of the schema.
    pub fn stats(&self) -> Result<Vec<FieldStats>, ReadError> {
        Ok(self.indexes.iter().map(FieldIndex::stats).collect::<Result<_, _>>()?)
    }

    /// The index of the field at `path`, if it is declared.
    pub(crate) fn index(&self, path: &str) -> Option<&FieldIndex> {
        self.indexes.iter().find(|index| index.field.path == path)
    }
}
