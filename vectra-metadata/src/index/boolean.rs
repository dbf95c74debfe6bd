//! Booleans: the slots that have `false` and the slots that have `true`.

use roaring::RoaringBitmap;
use vectra_core::codec::{DecodeError, Reader, Writer};

use super::posting::{read_bitmap, write_bitmap};

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
            let mut bytes = Writer::new();
            write_bitmap(bitmap, &mut bytes);
            out.prefixed(bytes.as_bytes());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, row_count: u32) -> Result<Self, DecodeError> {
        let mut bitmap = || {
            let at = reader.position();
            let bytes = reader.prefixed()?;
            read_bitmap(bytes, row_count).map_err(|error| DecodeError::new(at + error.offset, error.what))
        };
        Ok(Self { slots: [bitmap()?, bitmap()?] })
    }
}
