//! The id table of a sealed segment: encoded ids in slot order, the slots in id order, and a bloom filter in front.

use std::cmp::Ordering;

use vectra_core::ItemId;
use vectra_core::memory::prefetch;
use vectra_tier::{PartHandle, Section};

use super::sections::{DEFAULT_FIELD, ID_BYTES, ID_FILTER, ID_OFFSETS, ID_ORDER};
use crate::error::{Error, Result};

const HASHES: u64 = 6;
const BITS_PER_ID: usize = 10;

/// The bytes of the four id sections.
pub(crate) struct IdSections {
    pub(crate) bytes: Vec<u8>,
    pub(crate) offsets: Vec<u8>,
    pub(crate) order: Vec<u8>,
    pub(crate) filter: Vec<u8>,
}

/// Encoded ids in slot order, as they are collected.
#[derive(Debug)]
pub(crate) struct IdColumn {
    bytes: Vec<u8>,
    /// Where each id begins, and the end.
    offsets: Vec<u32>,
}

impl IdColumn {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }

    pub(crate) fn push(&mut self, encoded: &[u8]) {
        self.bytes.extend_from_slice(encoded);
        let end = u32::try_from(self.bytes.len());
        self.offsets.push(end.expect("a segment's ids stay below 4 GiB: at most 2^22 of 513 bytes"));
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes of memory in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + 4 * self.offsets.len()
    }

    pub(crate) fn get(&self, slot: u32) -> &[u8] {
        let at = slot as usize;
        &self.bytes[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// The slots in order of their ids; of equal ids the lower slot first.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by(|a, b| self.get(*a).cmp(self.get(*b)));
        order
    }

    pub(crate) fn into_sections(self) -> IdSections {
        let order = self.order().into_iter().flat_map(u32::to_le_bytes).collect();
        let mut filter = vec![0; (self.len() * BITS_PER_ID).div_ceil(8).max(8)];
        (0..self.len() as u32).for_each(|slot| bloom_insert(&mut filter, self.get(slot)));
        let offsets = self.offsets.into_iter().flat_map(u32::to_le_bytes).collect();
        IdSections { bytes: self.bytes, offsets, order, filter }
    }
}

/// The probe positions of an encoded id in a filter of `bits` bits (double hashing; Kirsch & Mitzenmacher 2006).
fn probes(id: &[u8], bits: u64) -> impl Iterator<Item = u64> {
    let hash = xxhash_rust::xxh3::xxh3_128(id);
    let (a, b) = (hash as u64, (hash >> 64) as u64 | 1);
    (0..HASHES).map(move |i| a.wrapping_add(i.wrapping_mul(b)) % bits)
}

fn bloom_insert(filter: &mut [u8], id: &[u8]) {
    let bits = filter.len() as u64 * 8;
    probes(id, bits).for_each(|bit| filter[(bit / 8) as usize] |= 1 << (bit % 8));
}

fn bloom_contains(filter: &[u8], id: &[u8]) -> bool {
    let bits = filter.len() as u64 * 8;
    bits > 0 && probes(id, bits).all(|bit| filter[(bit / 8) as usize] >> (bit % 8) & 1 == 1)
}

/// Reads the id table of a `rows` part; each page is verified on its first read.
#[derive(Debug)]
pub(crate) struct IdTable {
    rows: u32,
    bytes: Section,
    offsets: Section,
    order: Section,
    filter: Section,
}

impl IdTable {
    pub(crate) fn open(part: &PartHandle) -> Result<Self> {
        let section = |kind| part.section(kind, DEFAULT_FIELD).map_err(Error::read_part);
        let table = Self {
            rows: part.rows(),
            bytes: section(ID_BYTES)?,
            offsets: section(ID_OFFSETS)?,
            order: section(ID_ORDER)?,
            filter: section(ID_FILTER)?,
        };
        let rows = table.rows as usize;
        if table.offsets.len() != 4 * (rows + 1) || table.order.len() != 4 * rows || table.filter.is_empty() {
            return Err(Error::corrupt("the id table of a segment has the wrong length"));
        }
        Ok(table)
    }

    fn number(section: &Section, index: usize) -> Result<u32> {
        let bytes = section.verified_range(4 * index..4 * index + 4).map_err(Error::read_part)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }

    /// Asks for the memory that tells where the id of `slot` lies.
    pub(crate) fn fetch_place(&self, slot: u32) {
        prefetch(self.place(slot));
    }

    /// Asks for the memory of the id of `slot`, ahead of [`encoded`](Self::encoded). Looks at where it lies: ask for that
    /// first, for many slots, and for the ids when all were asked for.
    pub(crate) fn fetch(&self, slot: u32) {
        if let Some(start) = self.place(slot).first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) {
            prefetch(self.bytes.bytes().get(start..).and_then(|from| from.get(..1)).unwrap_or_default());
        }
    }

    /// The bytes that tell where an id begins, unverified; none if there is no such slot.
    fn place(&self, slot: u32) -> &[u8] {
        let start = 4 * slot as usize;
        self.offsets.bytes().get(start..start + 4).unwrap_or_default()
    }

    /// The encoded id of `slot`.
    pub(crate) fn encoded(&self, slot: u32) -> Result<&[u8]> {
        let start = Self::number(&self.offsets, slot as usize)? as usize;
        let end = Self::number(&self.offsets, slot as usize + 1)? as usize;
        if start > end || end > self.bytes.len() {
            return Err(Error::corrupt("the id offsets of a segment are not ascending"));
        }
        self.bytes.verified_range(start..end).map_err(Error::read_part)
    }

    /// The id of `slot`.
    pub(crate) fn id(&self, slot: u32) -> Result<ItemId> {
        ItemId::decode(self.encoded(slot)?)
            .map_err(|e| Error::caused(crate::ErrorKind::Corrupt, "a stored id cannot be read", e))
    }

    /// The slot at `rank` in id order.
    pub(crate) fn slot_at(&self, rank: u32) -> Result<u32> {
        let slot = Self::number(&self.order, rank as usize)?;
        if slot >= self.rows {
            return Err(Error::corrupt("the id order of a segment names a row beyond its end"));
        }
        Ok(slot)
    }

    /// How many ids sort before `encoded`, and whether the one at that rank is equal to it.
    pub(crate) fn rank(&self, encoded: &[u8]) -> Result<(u32, bool)> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.encoded(self.slot_at(middle)?)?.cmp(encoded) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok((middle, true)),
                Ordering::Greater => high = middle,
            }
        }
        Ok((low, false))
    }

    /// The slot that holds `encoded`, dead or alive.
    pub(crate) fn find(&self, encoded: &[u8]) -> Result<Option<u32>> {
        if !bloom_contains(self.filter.verified().map_err(Error::read_part)?, encoded) {
            return Ok(None);
        }
        let (rank, found) = self.rank(encoded)?;
        found.then(|| self.slot_at(rank)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(ids: &[ItemId]) -> IdSections {
        let mut column = IdColumn::new();
        ids.iter().for_each(|id| column.push(&id.encode()));
        column.into_sections()
    }

    #[test]
    fn the_filter_knows_every_id_and_few_others() {
        let ids: Vec<ItemId> = (0..5000_u64).map(ItemId::from).collect();
        let sections = build(&ids);
        assert!(ids.iter().all(|id| bloom_contains(&sections.filter, &id.encode())));
        let strangers =
            (5000..15_000_u64).filter(|n| bloom_contains(&sections.filter, &ItemId::from(*n).encode()));
        let rate = strangers.count() as f64 / 10_000.0;
        assert!(rate < 0.02, "10 bits per id give about 1 % false positives, not {rate}");
    }

    #[test]
    fn order_is_the_order_of_ids() {
        let ids = [ItemId::from("b"), ItemId::from(7_u64), ItemId::from("a")];
        let sections = build(&ids);
        assert_eq!(sections.order, [1_u32, 2, 0].map(u32::to_le_bytes).concat());
    }
}
