//! A set of slots: a short list, or a Roaring bitmap in its portable format.

use roaring::RoaringBitmap;
use vectra_core::admit::Bits;
use vectra_core::codec::{DecodeError, Reader, Writer};

/// Up to this many slots are a list of differences.
const LIST_MAX: u32 = 16;

/// The first word of a Roaring bitmap without run containers, and the low half of one with them (Roaring format
/// specification, "cookie header").
const COOKIE_PLAIN: u32 = 12346;
const COOKIE_RUNS: u32 = 12347;

/// Appends ascending `slots`.
pub(super) fn write_posting(slots: &[u32], out: &mut Writer) {
    if slots.len() as u64 <= u64::from(LIST_MAX) {
        let mut next = 0;
        for slot in slots {
            out.varint(u64::from(*slot - next));
            next = slot.saturating_add(1);
        }
    } else {
        write_bitmap(&slots.iter().copied().collect(), out);
    }
}

/// Appends a bitmap in the portable format.
pub(super) fn write_bitmap(bitmap: &RoaringBitmap, out: &mut Writer) {
    let mut bitmap = bitmap.clone();
    bitmap.optimize();
    let mut bytes = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut bytes).expect("a vector takes every byte");
    out.bytes(&bytes);
}

/// Appends a bitmap behind its length.
pub(super) fn write_prefixed_bitmap(bitmap: &RoaringBitmap, out: &mut Writer) {
    let mut bytes = Writer::new();
    write_bitmap(bitmap, &mut bytes);
    out.prefixed(bytes.as_bytes());
}

/// Reads what [`write_prefixed_bitmap`] wrote; an error counts from where `reader` does.
pub(super) fn read_prefixed_bitmap(
    reader: &mut Reader<'_>,
    row_count: u32,
) -> Result<RoaringBitmap, DecodeError> {
    let at = reader.position();
    let bytes = reader.prefixed()?;
    read_bitmap(bytes, row_count).map_err(|error| DecodeError::new(at + error.offset, error.what))
}

/// Adds the `count` slots of a posting to `bits`.
pub(super) fn add_posting(bytes: &[u8], count: u32, bits: &mut Bits) -> Result<(), DecodeError> {
    if count > LIST_MAX {
        let bitmap = read_bitmap(bytes, bits.len())?;
        if bitmap.len() != u64::from(count) {
            return Err(DecodeError::new(0, "bitmap of the stated size"));
        }
        bitmap.iter().for_each(|slot| bits.insert(slot));
        return Ok(());
    }
    let mut reader = Reader::new(bytes);
    let mut next = 0_u64;
    for _ in 0..count {
        let at = reader.position();
        let slot = next.checked_add(reader.varint()?).and_then(|slot| u32::try_from(slot).ok());
        let slot =
            slot.filter(|slot| *slot < bits.len()).ok_or(DecodeError::new(at, "slot of the segment"))?;
        bits.insert(slot);
        next = u64::from(slot) + 1;
    }
    reader.finish()
}

/// Reads a bitmap that is all of `bytes` and holds only slots below `row_count`.
pub(super) fn read_bitmap(bytes: &[u8], row_count: u32) -> Result<RoaringBitmap, DecodeError> {
    let bad = DecodeError::new(0, "Roaring bitmap");
    let mut reader = Reader::new(bytes);
    // The checked reader of the bitmaps allocates by the container count before it reads on.
    let cookie = reader.u32()?;
    let containers = match cookie {
        COOKIE_PLAIN => reader.u32()? as usize,
        runs if runs & 0xffff == COOKIE_RUNS => (runs >> 16) as usize + 1,
        _ => return Err(bad),
    };
    if containers > bytes.len() / 4 {
        return Err(bad);
    }
    let mut rest = bytes;
    let bitmap = RoaringBitmap::deserialize_from(&mut rest).map_err(|_| bad.clone())?;
    if !rest.is_empty() || bitmap.max().is_some_and(|slot| slot >= row_count) {
        return Err(bad);
    }
    Ok(bitmap)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ROWS: u32 = 200_000;

    fn written(slots: &BTreeSet<u32>) -> Vec<u8> {
        let mut w = Writer::new();
        write_posting(&slots.iter().copied().collect::<Vec<_>>(), &mut w);
        w.into_bytes()
    }

    proptest! {
        #[test]
        fn slots_come_back(
            slots in prop_oneof![
                prop::collection::btree_set(0..ROWS, 0..40),
                (0..ROWS - 5000, 1u32..5000).prop_map(|(a, n)| (a..a + n).collect()),
            ]
        ) {
            let mut bits = Bits::none(ROWS);
            add_posting(&written(&slots), slots.len() as u32, &mut bits).expect("own encoding");
            prop_assert_eq!(bits.iter().collect::<BTreeSet<_>>(), slots);
        }

        #[test]
        fn total_over_any_bytes(
            bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0u32..100, cookie in any::<bool>(), size in 0u16..8
        ) {
            let mut bytes = bytes;
            if cookie && bytes.len() >= 4 {
                let word = if size % 2 == 0 { COOKIE_PLAIN } else { COOKIE_RUNS | u32::from(size) << 16 };
                bytes[..4].copy_from_slice(&word.to_le_bytes());
            }
            let _ = add_posting(&bytes, count, &mut Bits::none(1000));
        }

        #[test]
        fn total_over_mutated_bitmaps(
            slots in prop::collection::btree_set(0..ROWS, 17..300), run in 0u32..3000,
            at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let slots: BTreeSet<u32> = slots.into_iter().chain(70_000..70_000 + run).collect();
            let mut bytes = written(&slots);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = add_posting(&bytes, slots.len() as u32, &mut Bits::none(ROWS));
        }
    }

    #[test]
    fn slots_outside_and_absurd_counts_are_refused() {
        let list = written(&BTreeSet::from([1, 9]));
        assert!(add_posting(&list, 2, &mut Bits::none(9)).is_err());
        assert!(add_posting(&list, 1, &mut Bits::none(10)).is_err(), "something is left");
        let bitmap = written(&(0..100).collect());
        assert!(add_posting(&bitmap, 100, &mut Bits::none(99)).is_err());
        assert!(add_posting(&bitmap, 99, &mut Bits::none(100)).is_err());
        let claim = [COOKIE_PLAIN.to_le_bytes(), 65_536_u32.to_le_bytes()].concat();
        assert!(read_bitmap(&claim, 100).is_err());
    }
}
