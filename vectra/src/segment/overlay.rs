//! Metadata changed after the seal: slot -> (LSN, metadata), copy-on-write.

use std::collections::BTreeMap;
use std::sync::Arc;

use vectra_core::Value;
use vectra_core::codec::{DecodeError, Reader, Writer, decode_value, encode_value};
use vectra_wal::Lsn;

/// The newest metadata of the rows of one sealed segment that were updated since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    entries: Arc<BTreeMap<u32, (Lsn, Arc<Value>)>>,
    last_lsn: Lsn,
}

impl Overlay {
    /// How many rows have newer metadata.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The LSN of the newest change; 0 when there is none.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Value>> {
        self.entries.get(&slot).map(|(_, value)| value)
    }

    /// When the metadata of `slot` was last changed.
    pub(crate) fn lsn(&self, slot: u32) -> Option<Lsn> {
        self.entries.get(&slot).map(|(lsn, _)| *lsn)
    }

    /// Sets the metadata of `slot` as of `lsn`, unless a newer one is there.
    pub(crate) fn insert(&mut self, slot: u32, lsn: Lsn, value: Arc<Value>) {
        if self.entries.get(&slot).is_none_or(|(old, _)| *old <= lsn) {
            Arc::make_mut(&mut self.entries).insert(slot, (lsn, value));
            self.last_lsn = self.last_lsn.max(lsn);
        }
    }

    /// The changed rows in order of slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Lsn, &Arc<Value>)> {
        self.entries.iter().map(|(slot, (lsn, value))| (*slot, *lsn, value))
    }

    /// The section's bytes: the count, then (slot u32, lsn u64, value) by ascending slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(self.entries.len() as u32);
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
        let mut entries = BTreeMap::new();
        for _ in 0..reader.u32()? {
            let (slot, lsn) = (reader.u32()?, reader.u64()?);
            if slot >= rows || entries.last_key_value().is_some_and(|(last, _)| *last >= slot) {
                return Err(reader.error("overlay slots in ascending order"));
            }
            overlay.last_lsn = overlay.last_lsn.max(lsn);
            entries.insert(slot, (lsn, Arc::new(decode_value(&mut reader)?)));
        }
        reader.finish()?;
        overlay.entries = Arc::new(entries);
        Ok(overlay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(entries in proptest::collection::btree_map(0u32..1000, (1u64..99, any::<i64>()), 0..20)) {
            let mut overlay = Overlay::default();
            for (slot, (lsn, n)) in &entries { overlay.insert(*slot, *lsn, Arc::new(Value::Int(*n))); }
            let back = Overlay::decode(&overlay.encode(), 1000).expect("own encoding");
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
}
