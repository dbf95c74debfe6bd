//! The payload of a log frame that names the parts of a bulk load.
//!
//! The frame is one operation: every row of the parts, and every death it names, has the frame's LSN.

use vectra_core::ItemId;
use vectra_core::codec::{DecodeError, Reader, Writer};
use vectra_tier::{PartRef, Role};
use vectra_wal::Lsn;

use crate::manifest::{SegmentEntry, Tier};

/// A segment that a load made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LoadedSegment {
    pub(crate) shard: u16,
    pub(crate) rows: u32,
    /// The ledger's sum over its rows.
    pub(crate) sum: u128,
    pub(crate) rows_part: PartRef,
    pub(crate) meta_part: PartRef,
    pub(crate) index_part: PartRef,
}

impl LoadedSegment {
    /// What a manifest will say of it; `lsn` is that of the frame.
    pub(crate) fn entry(&self, lsn: Lsn) -> SegmentEntry {
        SegmentEntry {
            rows: self.rows,
            tier: Tier::Hot,
            lsns: (lsn, lsn),
            rows_part: self.rows_part,
            meta_part: self.meta_part,
            index_part: Some(self.index_part),
            deletes: None,
            dead: 0,
            overlay: None,
            overlay_lsn: 0,
            sum: Some(self.sum),
        }
    }
}

/// A whole load: it is there or it is not.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LoadFrame {
    pub(crate) segments: Vec<LoadedSegment>,
    /// The ids of older rows that the load replaces.
    pub(crate) dead: Vec<ItemId>,
}

impl LoadFrame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.varint(self.segments.len() as u64);
        for segment in &self.segments {
            out.u16(segment.shard).u32(segment.rows).u128(segment.sum);
            [segment.rows_part, segment.meta_part, segment.index_part]
                .iter()
                .for_each(|p| p.encode(&mut out));
        }
        out.varint(self.dead.len() as u64);
        self.dead.iter().for_each(|id| _ = out.prefixed(&id.encode()));
        out.into_bytes()
    }

    /// Reads what [`LoadFrame::encode`] wrote; total over arbitrary bytes. `shards` is how many the index has.
    pub(crate) fn decode(payload: &[u8], shards: usize) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        let mut segments = Vec::new();
        for _ in 0..r.count(145)? {
            let (shard, rows, sum) = (r.u16()?, r.u32()?, r.u128()?);
            let parts = [PartRef::decode(&mut r)?, PartRef::decode(&mut r)?, PartRef::decode(&mut r)?];
            if usize::from(shard) >= shards {
                return Err(r.error("a shard of the index"));
            }
            if parts.map(|part| part.role) != [Role::Rows, Role::Meta, Role::Index] {
                return Err(r.error("the parts rows, meta and index of a load"));
            }
            let [rows_part, meta_part, index_part] = parts;
            segments.push(LoadedSegment { shard, rows, sum, rows_part, meta_part, index_part });
        }
        let mut dead = Vec::new();
        for _ in 0..r.count(2)? {
            dead.push(ItemId::decode(r.prefixed()?)?);
        }
        r.finish()?;
        Ok(Self { segments, dead })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;
    use vectra_core::codec::Digest;

    use super::*;

    fn part(role: Role, seed: u8) -> PartRef {
        let digest = Digest::from_le_bytes([seed; 16]);
        PartRef { id: Uuid::from_bytes([seed; 16]), role, length: u64::from(seed) << 20, digest }
    }

    fn frame(segments: u8, dead: u64) -> LoadFrame {
        let segment = |n| LoadedSegment {
            shard: u16::from(n % 3),
            rows: 1000 + u32::from(n),
            sum: u128::MAX - u128::from(n),
            rows_part: part(Role::Rows, n),
            meta_part: part(Role::Meta, n + 1),
            index_part: part(Role::Index, n + 2),
        };
        LoadFrame {
            segments: (0..segments).map(segment).collect(),
            dead: (0..dead).map(ItemId::from).collect(),
        }
    }

    #[test]
    fn what_is_not_a_load_is_refused() {
        let bytes = frame(3, 2).encode();
        assert!(LoadFrame::decode(&bytes, 2).is_err(), "a shard too many");
        assert!(LoadFrame::decode(&bytes[..bytes.len() - 1], 3).is_err());
        let mut swapped = frame(1, 0);
        let LoadedSegment { rows_part, meta_part, .. } = &mut swapped.segments[0];
        std::mem::swap(rows_part, meta_part);
        assert!(LoadFrame::decode(&swapped.encode(), 3).is_err(), "parts in other roles");
    }

    proptest! {
        #[test]
        fn round_trips(segments in 0..9_u8, dead in 0..9_u64) {
            let frame = frame(segments, dead);
            let bytes = frame.encode();
            prop_assert_eq!(LoadFrame::decode(&bytes, 3).expect("own encoding"), frame);
        }

        #[test]
        fn decode_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            _ = LoadFrame::decode(&bytes, 3);
        }

        #[test]
        fn a_changed_byte_is_refused_or_gives_another_load(at in 0..300_usize, bit in 0..8_u8) {
            let frame = frame(2, 2);
            let mut bytes = frame.encode();
            let at = at % bytes.len();
            bytes[at] ^= 1_u8 << bit;
            if let Ok(other) = LoadFrame::decode(&bytes, 3) { prop_assert_ne!(other, frame); }
        }
    }
}
