//! What every index knows of its field, whatever its kind.

use roaring::RoaringBitmap;
use vectra_core::codec::{DecodeError, Reader, Writer};

use super::posting::{read_bitmap, write_bitmap};

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
        Ok(Self { present: bitmap()?, nullish: bitmap()?, uncovered: bitmap()? })
    }
}
