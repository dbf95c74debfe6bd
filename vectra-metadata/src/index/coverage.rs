//! What every index knows of its field, whatever its kind.

use roaring::RoaringBitmap;
use vectra_core::codec::{DecodeError, Reader, Writer};

use super::posting::{read_prefixed_bitmap, write_prefixed_bitmap};

/// Slots by what their path leads to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Coverage {
    /// Something is there, a null included.
    pub(crate) present: RoaringBitmap,
    /// A null is there, or nothing where something could be: what `null` equals.
    pub(crate) nullish: RoaringBitmap,
    /// A value is there that the index does not hold: of another type, an array, an object.
    pub(crate) uncovered: RoaringBitmap,
}

impl Coverage {
    pub(super) fn write(&self, out: &mut Writer) {
        for bitmap in [&self.present, &self.nullish, &self.uncovered] {
            write_prefixed_bitmap(bitmap, out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, row_count: u32) -> Result<Self, DecodeError> {
        let mut bitmap = || read_prefixed_bitmap(reader, row_count);
        Ok(Self { present: bitmap()?, nullish: bitmap()?, uncovered: bitmap()? })
    }
}
