//! Little-endian arrays inside a section, every access checked.

use vectra_core::codec::{DecodeError, Reader};
use vectra_core::io::Blob;

/// Fixed-size items, decoded one by one.
#[derive(Debug, Clone)]
pub(super) struct Array<const SIZE: usize>(Blob);

impl<const SIZE: usize> Array<SIZE> {
    /// The next `len` items of `blob`, over which `reader` reads.
    pub(super) fn take(blob: &Blob, reader: &mut Reader<'_>, len: usize) -> Result<Self, DecodeError> {
        let bytes = len.checked_mul(SIZE).ok_or(reader.error("array"))?;
        take_bytes(blob, reader, bytes).map(Self)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / SIZE
    }

    /// Item `at`.
    ///
    /// # Panics
    /// If there is no such item.
    pub(super) fn item(&self, at: usize) -> [u8; SIZE] {
        self.0[at * SIZE..(at + 1) * SIZE].try_into().expect("the slice has the size of an item")
    }
}

impl Array<4> {
    /// Number `at`.
    ///
    /// # Panics
    /// If there is no such number.
    pub(super) fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.item(at))
    }
}

/// The next `len` bytes of `blob`, over which `reader` reads.
pub(super) fn take_bytes(blob: &Blob, reader: &mut Reader<'_>, len: usize) -> Result<Blob, DecodeError> {
    let start = reader.position();
    reader.bytes(len)?;
    Ok(blob.slice(start..start + len).expect("the reader reads over this blob"))
}
