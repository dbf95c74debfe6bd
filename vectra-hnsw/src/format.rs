//! The bytes of a frozen graph: a header of 128 bytes, layer 0, the slots of the upper nodes, the upper layers.
//!
//! | part | bytes |
//! |---|---|
//! | header | 128, see below |
//! | layer 0 | `rows` lists of `base_stride` words: slots, unused words at the end hold `u32::MAX` |
//! | upper slots | one word per upper node: its slot; ordered by highest layer descending, then slot ascending |
//! | layer 1, 2 ... | per layer one list of `m` words per node: ordinals (positions in the upper slots), unused `u32::MAX` |
//!
//! By that order the nodes of a layer are the first ones of the upper slots, so each layer is one dense array and the
//! entry is ordinal 0. All words are little-endian `u32`. A row of layer 0 starts at a multiple of 64 bytes.
//!
//! | header offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `vtr-hnsw` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | `rows` |
//! | 16 | 4 | `m` |
//! | 20 | 4 | `base_stride`: `2 * m` rounded up to a multiple of 16 |
//! | 24 | 4 | `ef_construction` |
//! | 28 | 4 | number of upper layers, at most 15 |
//! | 32 | 8 | seed |
//! | 40 | 4 | slot of the entry, `u32::MAX` if there are no rows |
//! | 44 | 20 | zero |
//! | 64 | 60 | nodes on layers 1 to 15, zero beyond the last layer |
//! | 124 | 4 | CRC32C of the 124 bytes before |

use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};

use crate::graph::{Buffer, Graph, Links, NONE};
use crate::params::{M_RANGE, Params};

/// The most layers above layer 0.
pub(crate) const LAYERS_MAX: usize = 15;

pub(crate) const HEADER_LEN: usize = 128;
const MAGIC: &[u8; 8] = b"vtr-hnsw";
const VERSION: u32 = 1;
const CRC_AT: usize = 124;

/// What is wrong with the bytes of a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are shorter than a header, or longer or shorter than the header says.
    #[error("the graph has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that should be there.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The header is not what was written.
    #[error("the checksum of the header is {found:#010x} instead of {expected:#010x}")]
    Checksum {
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the header.
        found: u32,
    },
    /// The bytes are of a format this version cannot read.
    #[error("version {0} of the graph's format is not supported")]
    Version(u32),
    /// A value that no graph has.
    #[error("byte {offset} should hold {expected} and holds {found}")]
    Damaged {
        /// Offset from the start of the graph's bytes.
        offset: u64,
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: u64,
    },
}

impl From<DecodeError> for FormatError {
    fn from(error: DecodeError) -> Self {
        Self::Length { expected: HEADER_LEN as u64, found: error.offset as u64 }
    }
}

/// What the header says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) params: Params,
    pub(crate) rows: u32,
    /// The slot of the entry.
    pub(crate) entry: Option<u32>,
    /// Nodes on layers 1, 2 ...; descending.
    pub(crate) upper_counts: Vec<u32>,
}

impl Header {
    /// How many nodes have upper layers.
    pub(crate) fn uppers(&self) -> usize {
        self.upper_counts.first().map_or(0, |count| *count as usize)
    }

    /// The word at which the upper slots begin, counted from the end of the header.
    pub(crate) fn upper_slots_at(&self) -> usize {
        self.rows as usize * self.params.stride(0)
    }

    /// The word at which `layer` >= 1 begins, counted from the end of the header; one past the last gives the end.
    pub(crate) fn layer_at(&self, layer: usize) -> usize {
        let before: usize = self.upper_counts[..layer - 1].iter().map(|count| *count as usize).sum();
        self.upper_slots_at() + self.uppers() + before * self.params.stride(1)
    }

    /// Bytes of the whole graph.
    pub(crate) fn len(&self) -> u64 {
        let lists: u64 = self.upper_counts.iter().map(|count| u64::from(*count)).sum();
        let base = u64::from(self.rows) * self.params.stride(0) as u64;
        HEADER_LEN as u64 + 4 * (base + self.uppers() as u64 + lists * self.params.stride(1) as u64)
    }

    fn encode(&self, out: &mut Writer) {
        out.bytes(MAGIC)
            .u32(VERSION)
            .u32(self.rows)
            .u32(self.params.m as u32)
            .u32(self.params.stride(0) as u32);
        out.u32(self.params.ef_construction as u32).u32(self.upper_counts.len() as u32).u64(self.params.seed);
        out.u32(self.entry.unwrap_or(NONE)).bytes(&[0; 20]);
        for layer in 0..LAYERS_MAX {
            out.u32(self.upper_counts.get(layer).copied().unwrap_or(0));
        }
        out.u32(crc32c(out.as_bytes()));
    }

    /// Reads and checks the header at the start of `bytes`; total over any bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() < HEADER_LEN {
            return Err(FormatError::Length { expected: HEADER_LEN as u64, found: bytes.len() as u64 });
        }
        let mut reader = Reader::new(&bytes[..HEADER_LEN]);
        check(reader.array()? == *MAGIC, 0, "the magic of a graph", u64::from(bytes[0]))?;
        let version = reader.u32()?;
        if version != VERSION {
            return Err(FormatError::Version(version));
        }
        let expected = Reader::new(&bytes[CRC_AT..]).u32()?;
        let found = crc32c(&bytes[..CRC_AT]);
        if expected != found {
            return Err(FormatError::Checksum { expected, found });
        }
        Self::decode_fields(&mut reader)
    }

    fn decode_fields(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let rows = reader.u32()?;
        check(rows <= vectra_core::pool::SLOTS_MAX, 12, "at most 2^31 rows", rows.into())?;
        let m = reader.u32()?;
        check(M_RANGE.contains(&(m as usize)), 16, "m within 4 to 32", m.into())?;
        let stride = reader.u32()?;
        let ef_construction = reader.u32()? as usize;
        let layers = reader.u32()?;
        let params = Params { m: m as usize, ef_construction, seed: reader.u64()? };
        check(stride as usize == params.stride(0), 20, "2 * m, rounded up to 16", stride.into())?;
        params.validate().map_err(|_| damaged(24, "an ef_construction", ef_construction as u64))?;
        check(layers as usize <= LAYERS_MAX, 28, "at most 15 layers", layers.into())?;
        let entry = reader.u32()?;
        check(
            if rows == 0 { entry == NONE } else { entry < rows },
            40,
            "the slot of the entry",
            entry.into(),
        )?;
        check(reader.bytes(20)? == [0; 20], 44, "zeros", 1)?;
        let mut upper_counts = Vec::with_capacity(LAYERS_MAX);
        let mut above = rows;
        for layer in 0..LAYERS_MAX {
            let at = reader.position() as u64;
            let count = reader.u32()?;
            if layer < layers as usize {
                check((1..=above).contains(&count), at, "no more nodes than the layer below", count.into())?;
                upper_counts.push(count);
                above = count;
            } else {
                check(count == 0, at, "no nodes beyond the last layer", count.into())?;
            }
        }
        Ok(Self { params, rows, entry: (rows > 0).then_some(entry), upper_counts })
    }
}

/// The error about the byte at `offset`.
pub(crate) fn damaged(offset: u64, expected: &'static str, found: u64) -> FormatError {
    FormatError::Damaged { offset, expected, found }
}

/// `Ok` if `holds`.
pub(crate) fn check(holds: bool, offset: u64, expected: &'static str, found: u64) -> Result<(), FormatError> {
    if holds { Ok(()) } else { Err(damaged(offset, expected, found)) }
}

/// The bytes of a graph nobody changes meanwhile.
pub(crate) fn encode(graph: &Graph) -> Vec<u8> {
    // new ordinals: the higher nodes first
    let mut order: Vec<u32> = (0..graph.uppers().len() as u32).collect();
    order.sort_by_key(|old| (std::cmp::Reverse(graph.uppers()[*old as usize].level), *old));
    let mut renumbered = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        renumbered[*old as usize] = new as u32;
    }
    let layers = order.first().map_or(0, |old| graph.uppers()[*old as usize].level);
    let nodes_on = |layer: u32| graph.uppers().iter().filter(|upper| upper.level >= layer).count() as u32;
    let header = Header {
        params: graph.params,
        rows: graph.rows(),
        entry: graph.entry().map(|entry| entry.slot),
        upper_counts: (1..=layers).map(nodes_on).collect(),
    };
    let mut out = Writer::append_to(Vec::with_capacity(header.len() as usize));
    header.encode(&mut out);
    let mut buffer: Buffer = [NONE; 64];
    for slot in 0..graph.rows() {
        let links = graph.base(slot, &mut buffer);
        write_list(links.iter().copied(), graph.params.stride(0), &mut out);
    }
    for old in &order {
        out.u32(graph.uppers()[*old as usize].slot);
    }
    for (layer, count) in (1..).zip(&header.upper_counts) {
        for old in &order[..*count as usize] {
            let links = graph.upper(layer, *old, &mut buffer).iter().map(|old| renumbered[*old as usize]);
            write_list(links, graph.params.stride(1), &mut out);
        }
    }
    debug_assert_eq!(out.len() as u64, header.len(), "the header tells the length");
    out.into_bytes()
}

fn write_list(links: impl Iterator<Item = u32>, stride: usize, out: &mut Writer) {
    for word in links.chain(std::iter::repeat(NONE)).take(stride) {
        out.u32(word);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        let params = Params { m: 5, ef_construction: 77, seed: 9 };
        Header { params, rows: 1000, entry: Some(17), upper_counts: vec![200, 40, 1] }
    }

    fn bytes(header: &Header) -> Vec<u8> {
        let mut out = Writer::new();
        header.encode(&mut out);
        out.into_bytes()
    }

    #[test]
    fn headers_round_trip_and_know_the_length() {
        let header = header();
        assert_eq!(bytes(&header).len(), HEADER_LEN);
        assert_eq!(Header::decode(&bytes(&header)), Ok(header.clone()));
        assert_eq!(header.layer_at(1), 1000 * 16 + 200);
        assert_eq!(header.layer_at(3), 1000 * 16 + 200 + 240 * 5);
        assert_eq!(header.len(), 128 + 4 * (1000 * 16 + 200 + 241 * 5));
        let empty = Header { rows: 0, entry: None, upper_counts: vec![], ..header };
        assert_eq!(Header::decode(&bytes(&empty)), Ok(empty));
    }

    #[test]
    fn impossible_headers_are_refused_at_their_field() {
        let damage = |header: Header| match Header::decode(&bytes(&header)) {
            Err(FormatError::Damaged { offset, .. }) => offset,
            other => panic!("not refused: {other:?}"),
        };
        let bad = |m, ef_construction| Params { m, ef_construction, seed: 0 };
        assert_eq!(damage(Header { params: bad(3, 10), ..header() }), 16);
        assert_eq!(damage(Header { params: bad(4, 0), ..header() }), 24);
        assert_eq!(damage(Header { entry: Some(1000), ..header() }), 40);
        assert_eq!(damage(Header { entry: None, ..header() }), 40);
        assert_eq!(damage(Header { rows: u32::MAX, ..header() }), 12);
        assert_eq!(damage(Header { upper_counts: vec![1001], ..header() }), 64);
        assert_eq!(damage(Header { upper_counts: vec![4, 5], ..header() }), 68);
        assert_eq!(damage(Header { upper_counts: vec![4, 0], ..header() }), 68);
    }

    proptest! {
        #[test]
        fn a_flipped_bit_in_the_header_is_found(bit in 0usize..1024) {
            let mut bytes = bytes(&header());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::decode(&bytes).is_err());
        }

        #[test]
        fn decoding_any_bytes_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..140), seal: bool) {
            if seal && bytes.len() >= HEADER_LEN {
                bytes[..8].copy_from_slice(MAGIC);
                bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
                let crc = crc32c(&bytes[..CRC_AT]);
                bytes[CRC_AT..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
            }
            let _ = Header::decode(&bytes);
        }
    }
}
