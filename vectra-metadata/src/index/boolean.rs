//! Booleans: the slots that have `false` and the slots that have `true`.

use roaring::RoaringBitmap;
use vectra_core::codec::{DecodeError, Reader, Writer};

use super::posting::{read_prefixed_bitmap, write_prefixed_bitmap};

/// Slots by boolean.
#[derive(Debug, Default)]
pub(crate) struct Booleans {
    slots: [RoaringBitmap; 2],
}

impl Booleans {
    pub(super) fn insert(&mut self, value: bool, slot: u32) {
        self.slots[usize::from(value)].insert(slot);
    }

    /// The slots that have `value`.
    pub(super) fn slots(&self, value: bool) -> &RoaringBitmap {
        &self.slots[usize::from(value)]
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for bitmap in &self.slots {
            write_prefixed_bitmap(bitmap, out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, row_count: u32) -> Result<Self, DecodeError> {
        let mut bitmap = || read_prefixed_bitmap(reader, row_count);
        Ok(Self { slots: [bitmap()?, bitmap()?] })
    }
}
