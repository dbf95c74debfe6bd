//! Dead rows of a sealed segment: copy-on-write blocks, so that a delete never changes what a reader holds.

use std::sync::Arc;

use vectra_core::admit::{Admit, Bits};
use vectra_core::codec::{DecodeError, Reader, Writer};

const BLOCK_WORDS: usize = 512;
const BLOCK_SLOTS: u32 = (BLOCK_WORDS * 64) as u32;

type Block = [u64; BLOCK_WORDS];

/// The set of dead slots of one segment: 4 KiB blocks for 32,768 slots each, shared until changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tombstones {
    blocks: Vec<Option<Arc<Block>>>,
    count: u32,
}

impl Tombstones {
    /// Nothing dead among `rows` rows.
    pub(crate) fn new(rows: u32) -> Self {
        Self { blocks: vec![None; rows.div_ceil(BLOCK_SLOTS) as usize], count: 0 }
    }

    /// How many rows are dead.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        let block = self.blocks.get((slot / BLOCK_SLOTS) as usize).and_then(Option::as_ref);
        block.is_some_and(|b| b[word(slot)] >> (slot % 64) & 1 == 1)
    }

    /// Marks `slot` dead; whether it was alive.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let block = &mut self.blocks[(slot / BLOCK_SLOTS) as usize];
        let block = Arc::make_mut(block.get_or_insert_with(|| Arc::new([0; BLOCK_WORDS])));
        let bit = 1 << (slot % 64);
        let fresh = block[word(slot)] & bit == 0;
        block[word(slot)] |= bit;
        self.count += u32::from(fresh);
        fresh
    }

    /// The dead slots, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let blocks = self.blocks.iter().enumerate();
        blocks.filter_map(|(i, b)| b.as_ref().map(|b| (i, b))).flat_map(|(i, block)| {
            (0..BLOCK_SLOTS)
                .filter(|s| block[word(*s)] >> (s % 64) & 1 == 1)
                .map(move |s| i as u32 * BLOCK_SLOTS + s)
        })
    }

    /// The slots that are dead here and were not in `base`, an earlier state of the same segment, ascending.
    pub(crate) fn since<'a>(&'a self, base: &'a Self) -> impl Iterator<Item = u32> + 'a {
        let blocks = self.blocks.iter().zip(&base.blocks).enumerate();
        blocks.filter(|(_, (now, then))| !same(now.as_ref(), then.as_ref())).flat_map(|(i, _)| {
            let first = i as u32 * BLOCK_SLOTS;
            (first..first + BLOCK_SLOTS).filter(|slot| self.contains(*slot) && !base.contains(*slot))
        })
    }

    /// Takes the dead rows out of `bits`.
    pub(crate) fn subtract_from(&self, bits: &mut Bits) {
        self.iter().for_each(|slot| bits.remove(slot));
    }

    /// The section's bytes: the count, then one u32 per dead slot, ascending.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(self.count);
        self.iter().for_each(|slot| _ = out.u32(slot));
        out.into_bytes()
    }

    /// Reads what [`Tombstones::encode`] wrote for a segment of `rows` rows; total over arbitrary bytes.
    pub(crate) fn decode(bytes: &[u8], rows: u32) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.u32()?;
        let mut tombstones = Self::new(rows);
        let mut last = None;
        for _ in 0..count {
            let slot = reader.u32()?;
            if slot >= rows || last.is_some_and(|l| l >= slot) {
                return Err(reader.error("dead slots in ascending order"));
            }
            last = Some(slot);
            tombstones.insert(slot);
        }
        reader.finish()?;
        Ok(tombstones)
    }
}

fn same(a: Option<&Arc<Block>>, b: Option<&Arc<Block>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn word(slot: u32) -> usize {
    (slot % BLOCK_SLOTS / 64) as usize
}

/// Admits the rows that are not dead.
impl Admit for Tombstones {
    fn admits(&self, slot: u32) -> bool {
        !self.contains(slot)
    }

    fn admits_all(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set_and_round_trips(slots in proptest::collection::btree_set(0u32..100_000, 0..200)) {
            let mut dead = Tombstones::new(100_000);
            for slot in &slots { prop_assert!(dead.insert(*slot)); prop_assert!(!dead.insert(*slot)); }
            prop_assert_eq!(dead.count() as usize, slots.len());
            prop_assert!(dead.iter().eq(slots.iter().copied()));
            let back = Tombstones::decode(&dead.encode(), 100_000).expect("own encoding");
            prop_assert!(back.iter().eq(slots.iter().copied()));
            let mut bits = Bits::all(100_000);
            dead.subtract_from(&mut bits);
            prop_assert_eq!(bits.count() as usize, 100_000 - slots.len());
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = Tombstones::decode(&bytes, 50_000);
        }
    }

    #[test]
    fn what_died_since_is_told_across_blocks() {
        let mut base = Tombstones::new(100_000);
        [3, 40_000].into_iter().for_each(|slot| assert!(base.insert(slot)));
        let mut now = base.clone();
        assert_eq!(now.since(&base).count(), 0);
        [4, 39_999, 99_999].into_iter().for_each(|slot| assert!(now.insert(slot)));
        assert!(now.since(&base).eq([4, 39_999, 99_999]));
        assert!(now.since(&Tombstones::new(100_000)).eq([3, 4, 39_999, 40_000, 99_999]));
        assert_eq!(base.since(&now).count(), 0, "nothing comes back to life");
    }

    #[test]
    fn a_copy_does_not_see_later_deletes() {
        let mut dead = Tombstones::new(10);
        dead.insert(3);
        let copy = dead.clone();
        dead.insert(4);
        assert!(dead.contains(4) && !copy.contains(4) && copy.contains(3));
    }
}
