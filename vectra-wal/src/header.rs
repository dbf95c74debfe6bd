//! The first 4 KiB of a log file, and the names of log files.
//!
//! ```text
//!   0 magic [8]        8 format u32 (1)    12 features u32 (0)   16 index [16]      32 epoch u64
//!  40 seq u64         48 first_lsn u64     56 salt u64
//!  64 predecessor: seq u64 (0 = none)      72 last_lsn u64       80 len u64         88 chain_crc u32
//!  92 reserved u32    96 supersedes u64   104 durable_lsn u64
//! 112 anchor: generation u64 (0 = none)                    120 digest [16]
//! 136 zeros        4092 crc32c u32 of all before
//! ```
//!
//! A file gets its name only after its header is durable, so a bad header is always damage, never a torn write. The
//! predecessor's last LSN, length and checksum make a missing or shortened middle file provable.

use vectra_core::codec::{DecodeError, Reader, Writer, crc32c};

use crate::log::{Anchor, Lsn};

/// Length of a file header in bytes; the first frame begins here.
pub(crate) const FILE_HEADER_LEN: u64 = 4096;

/// Highest sequence number, so that the next one can always be computed.
const SEQ_MAX: u64 = u64::MAX >> 1;

const MAGIC: &[u8; 8] = b"VECTRWAL";
const FORMAT: u32 = 1;
const CRC_AT: usize = FILE_HEADER_LEN as usize - 4;

/// What a log file's first block says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileHeader {
    /// The index the log belongs to.
    pub index: [u8; 16],
    /// Counts the lives of the log: each open is one.
    pub epoch: u64,
    /// Sequence number, also in the name; from 1.
    pub seq: u64,
    /// LSN of the first frame, if there is one.
    pub first_lsn: Lsn,
    /// Random; seeds the sums of all frame headers in the file.
    pub salt: u64,
    /// The file before this one.
    pub predecessor: Option<Predecessor>,
    /// The file whose frames recovery copied into this one, or 0. All files between predecessor and this one are void.
    pub supersedes: u64,
    /// Highest LSN known durable when the file got its name.
    pub durable_lsn: Lsn,
    /// The newest anchor noted before the file got its name.
    pub anchor: Option<Anchor>,
}

/// How the file before a log file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Predecessor {
    /// Its sequence number.
    pub seq: u64,
    /// Its last LSN.
    pub last_lsn: Lsn,
    /// Its length in bytes without the seal.
    pub len: u64,
    /// The payload checksum of its last frame.
    pub chain_crc: u32,
}

/// Why the bytes are no header that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Not a header, or damaged.
    Bad(&'static str),
    /// A newer version wrote this.
    Unsupported(&'static str),
}

impl FileHeader {
    /// The 4096 bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let none = Predecessor { seq: 0, last_lsn: 0, len: 0, chain_crc: 0 };
        let before = self.predecessor.unwrap_or(none);
        let mut w = Writer::new();
        w.bytes(MAGIC).u32(FORMAT).u32(0).bytes(&self.index);
        w.u64(self.epoch).u64(self.seq).u64(self.first_lsn).u64(self.salt);
        w.u64(before.seq).u64(before.last_lsn).u64(before.len).u32(before.chain_crc).u32(0);
        w.u64(self.supersedes).u64(self.durable_lsn);
        let anchor = self.anchor.unwrap_or(Anchor { generation: 0, digest: [0; 16] });
        w.u64(anchor.generation).bytes(&anchor.digest);
        let mut bytes = w.into_bytes();
        bytes.resize(CRC_AT, 0);
        let sum = crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header. Total over arbitrary bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if bytes.len() as u64 != FILE_HEADER_LEN {
            return Err(HeaderFault::Bad("a file shorter than its header"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(HeaderFault::Bad("no log file"));
        }
        if bytes[CRC_AT..] != crc32c(&bytes[..CRC_AT]).to_le_bytes() {
            return Err(HeaderFault::Bad("a header with a wrong checksum"));
        }
        let fields = Self::decode_fields(&bytes[MAGIC.len()..CRC_AT]);
        fields.unwrap_or(Err(HeaderFault::Bad("a file shorter than its header")))
    }

    fn decode_fields(bytes: &[u8]) -> Result<Result<Self, HeaderFault>, DecodeError> {
        let mut r = Reader::new(bytes);
        if r.u32()? != FORMAT {
            return Ok(Err(HeaderFault::Unsupported("another format version")));
        }
        if r.u32()? != 0 {
            return Ok(Err(HeaderFault::Unsupported("unknown format features")));
        }
        let (index, epoch, seq, first_lsn, salt) = (r.array()?, r.u64()?, r.u64()?, r.u64()?, r.u64()?);
        let before = Predecessor { seq: r.u64()?, last_lsn: r.u64()?, len: r.u64()?, chain_crc: r.u32()? };
        let reserved = r.u32()?;
        let (supersedes, durable_lsn) = (r.u64()?, r.u64()?);
        let anchor = Anchor { generation: r.u64()?, digest: r.array()? };
        let noted = anchor.generation > 0;
        let none = before.seq == 0;
        let predecessor = (!none).then_some(before);
        let odd = !noted && anchor.digest != [0; 16];
        if reserved != 0 || odd || r.rest().iter().any(|b| *b != 0) {
            return Ok(Err(HeaderFault::Unsupported("header fields of a newer version")));
        }
        let links = if none {
            before.last_lsn == 0 && before.len == 0 && before.chain_crc == 0 && first_lsn > 0
        } else {
            before.last_lsn.checked_add(1) == Some(first_lsn) && before.len > FILE_HEADER_LEN
        };
        let order = before.seq < seq && (supersedes == 0 || (before.seq < supersedes && supersedes < seq));
        if !links || !order {
            return Ok(Err(HeaderFault::Bad("a header that contradicts itself")));
        }
        let anchor = noted.then_some(anchor);
        Ok(Ok(Self { index, epoch, seq, first_lsn, salt, predecessor, supersedes, durable_lsn, anchor }))
    }

    /// The payload checksum that the first frame's `prev_payload_crc` must repeat.
    pub(crate) fn chain_crc(&self) -> u32 {
        self.predecessor.map_or(0, |p| p.chain_crc)
    }
}

/// What a name in the log's folder means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A log file.
    Log(u64),
    /// A log file that did not get its name before a crash.
    Temporary(u64),
}

impl FileName {
    /// `<seq:020>.wal` or `<seq:020>.tmp`, nothing else.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (digits, extension) = name.split_once('.')?;
        if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let seq = digits.parse().ok().filter(|seq| (1..=SEQ_MAX).contains(seq))?;
        match extension {
            "wal" => Some(Self::Log(seq)),
            "tmp" => Some(Self::Temporary(seq)),
            _ => None,
        }
    }

    /// The name.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Log(seq) => format!("{seq:020}.wal"),
            Self::Temporary(seq) => format!("{seq:020}.tmp"),
        }
    }
}

#[cfg(test)]
mod tests;
