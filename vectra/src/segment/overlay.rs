//! Metadata changed after the seal: slot -> (LSN, metadata), in copy-on-write chunks.

use std::sync::Arc;

use vectra_core::Value;
use vectra_core::codec::{DecodeError, Reader, Writer, decode_value, encode_value};
use vectra_wal::Lsn;

/// Slots of one chunk: an update copies at most this many entries, and a pointer per chunk of the segment.
const CHUNK_SLOTS: u32 = 512;

/// A changed row.
#[derive(Debug, Clone)]
struct Entry {
    slot: u32,
    lsn: Lsn,
    value: Arc<Value>,
}

/// The changed rows of a range of slots, ascending by slot.
type Chunk = Vec<Entry>;

/// The newest metadata of the rows of one sealed segment that were updated since. A clone shares everything until one
/// of the two changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    chunks: Arc<Vec<Option<Arc<Chunk>>>>,
    len: usize,
    last_lsn: Lsn,
}

impl Overlay {
    /// How many rows have newer metadata.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The LSN of the newest change; 0 when there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Value>> {
        self.entry(slot).map(|entry| &entry.value)
    }

    /// When the metadata of `slot` was last changed.
    pub(crate) fn lsn(&self, slot: u32) -> Option<Lsn> {
        self.entry(slot).map(|entry| entry.lsn)
    }

    fn entry(&self, slot: u32) -> Option<&Entry> {
        let chunk = self.chunks.get((slot / CHUNK_SLOTS) as usize)?.as_ref()?;
        let at = chunk.binary_search_by_key(&slot, |entry| entry.slot).ok()?;
        Some(&chunk[at])
    }

    /// Sets the metadata of `slot` as of `lsn`, unless a newer one is there.
    pub(crate) fn insert(&mut self, slot: u32, lsn: Lsn, value: Arc<Value>) {
        let number = (slot / CHUNK_SLOTS) as usize;
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.len() <= number {
            chunks.resize(number + 1, None);
        }
        let chunk = Arc::make_mut(chunks[number].get_or_insert_default());
        let entry = Entry { slot, lsn, value };
        match chunk.binary_search_by_key(&slot, |entry| entry.slot) {
            Ok(at) if chunk[at].lsn > lsn => return,
            Ok(at) => chunk[at] = entry,
            Err(at) => {
                chunk.insert(at, entry);
                self.len += 1;
            }
        }
        self.last_lsn = self.last_lsn.max(lsn);
    }

    /// The changed rows in order of slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Lsn, &Arc<Value>)> {
        let entries = self.chunks.iter().flatten().flat_map(|chunk| chunk.iter());
        entries.map(|entry| (entry.slot, entry.lsn, &entry.value))
    }

    /// The section's bytes: the count, then (slot u32, lsn u64, value) by ascending slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(self.len as u32);
        for (slot, lsn, value) in self.iter() {
            out.u32(slot).u64(lsn);
            encode_value(value, &mut out);
        }
        out.into_bytes()
    }

    /// Reads what [`Overlay::encode`] wrote for a segment of `rows` rows; total over arbitrary bytes.
    pub(crate) fn decode(bytes: &[u8], rows: u32) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut overlay = Self::default();
        let mut last = None;
        for _ in 0..reader.u32()? {
            let (slot, lsn) = (reader.u32()?, reader.u64()?);
            if slot >= rows || last.is_some_and(|last| last >= slot) {
                return Err(reader.error("overlay slots in ascending order"));
            }
            last = Some(slot);
            overlay.insert(slot, lsn, Arc::new(decode_value(&mut reader)?));
        }
        reader.finish()?;
        Ok(overlay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(entries in proptest::collection::btree_map(0u32..4000, (1u64..99, any::<i64>()), 0..20)) {
            let mut overlay = Overlay::default();
            for (slot, (lsn, n)) in &entries { overlay.insert(*slot, *lsn, Arc::new(Value::Int(*n))); }
            let back = Overlay::decode(&overlay.encode(), 4000).expect("own encoding");
            prop_assert_eq!(back.len(), entries.len());
            prop_assert_eq!(back.last_lsn(), entries.values().map(|(lsn, _)| *lsn).max().unwrap_or(0));
            for (slot, (_, n)) in &entries { prop_assert_eq!(&**back.get(*slot).expect("there"), &Value::Int(*n)); }
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            _ = Overlay::decode(&bytes, 50_000);
        }
    }

    #[test]
    fn an_older_change_does_not_replace_a_newer_one() {
        let mut overlay = Overlay::default();
        overlay.insert(1, 9, Arc::new(Value::Int(9)));
        overlay.insert(1, 5, Arc::new(Value::Int(5)));
        assert_eq!(**overlay.get(1).expect("there"), Value::Int(9));
    }

    #[test]
    fn an_update_copies_one_chunk_and_no_reader_sees_it() {
        let mut overlay = Overlay::default();
        for slot in 0..10 * CHUNK_SLOTS {
            overlay.insert(slot, 1, Arc::new(Value::Int(1)));
        }
        let before = overlay.clone();
        overlay.insert(3 * CHUNK_SLOTS + 7, 2, Arc::new(Value::Int(2)));
        overlay.insert(20 * CHUNK_SLOTS, 3, Arc::new(Value::Int(3)));
        let shared = |i: usize| {
            let chunk = |of: &Overlay| of.chunks[i].clone().expect("filled");
            Arc::ptr_eq(&chunk(&overlay), &chunk(&before))
        };
        let copied: Vec<usize> = (0..10).filter(|i| !shared(*i)).collect();
        assert_eq!(copied, [3]);
        assert_eq!(before.len() + 1, overlay.len());
        assert_eq!(before.last_lsn(), 1);
        assert_eq!(**before.get(3 * CHUNK_SLOTS + 7).expect("there"), Value::Int(1));
        assert!(before.get(20 * CHUNK_SLOTS).is_none());
        assert!(overlay.iter().map(|(slot, ..)| slot).is_sorted());
    }
}
