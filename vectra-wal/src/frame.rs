//! The bytes of a frame: a 56-byte header, the payload, zeros up to the next multiple of 8.
//!
//! ```text
//!  0 magic u32        4 header_crc u32     8 payload_len u32   12 kind u8   13 codec u8 (0)   14 flags u16
//! 16 first_lsn u64   24 op_count u32      28 payload_crc u32   32 durable_lsn u64
//! 40 prev_payload_crc u32                 44 reserved u32 (0)  48 hlc u64  56 payload, then padding
//! ```
//!
//! Both sums are CRC32C. `payload_crc` is plain; `header_crc` is seeded with the file's salt and the frame's offset and
//! covers the header except itself, so that zeros, bytes of an earlier file and misdirected writes never pass. It is
//! checked before `payload_len` is believed.

use vectra_core::codec::{Reader, Writer, crc32c, crc32c_append};

use crate::log::Lsn;

/// Length of a frame's header in bytes.
pub(crate) const FRAME_HEADER_LEN: usize = 56;

/// The largest payload a frame can have: up to here CRC32C finds any three wrong bits with room to spare.
pub const PAYLOAD_BYTES_CEILING: u32 = 256 << 20;

/// "vFrm".
pub(crate) const FRAME_MAGIC: u32 = 0x6d72_4676;

/// Flag: the frame belongs to the log itself and holds no operations.
const FLAG_CONTROL: u16 = 1;

/// Kind of the control frame that seals a file; its payload is the successor's sequence number (u64).
pub(crate) const CONTROL_SEAL: u8 = 1;

/// Kind of the control frame behind which nothing can be a torn tail; no payload.
pub(crate) const CONTROL_MARK: u8 = 2;

/// Kind of the control frame that names what the owner published: generation (u64), digest (16 bytes).
pub(crate) const CONTROL_ANCHOR: u8 = 3;

/// Frames begin at multiples of this.
pub(crate) const FRAME_ALIGN: u64 = 8;

/// One atomic batch of operations, as replay hands it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The caller's kind.
    pub kind: u8,
    /// LSN of the first operation.
    pub first_lsn: Lsn,
    /// How many operations the frame holds, at least 1.
    pub op_count: u32,
    /// The caller's bytes.
    pub payload: &'a [u8],
    /// Time of writing: milliseconds since 1970 in the upper 48 bits, a tie-breaker below; grows with the LSN.
    pub hlc: u64,
}

impl Frame<'_> {
    /// LSN of the last operation.
    pub fn last_lsn(&self) -> Lsn {
        self.first_lsn + u64::from(self.op_count) - 1
    }
}

/// The fields of a frame's header that carry information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) payload_len: u32,
    pub(crate) kind: u8,
    pub(crate) control: bool,
    pub(crate) first_lsn: Lsn,
    pub(crate) op_count: u32,
    pub(crate) payload_crc: u32,
    pub(crate) durable_lsn: Lsn,
    pub(crate) prev_payload_crc: u32,
    pub(crate) hlc: u64,
}

/// Why the bytes at a place are no valid frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// The file ends before the frame does.
    Short,
    /// No magic number: zeros, for instance.
    Magic,
    /// The header's checksum is wrong for this file and place.
    HeaderSum,
    /// A field contradicts the others although the checksum is right.
    Field(&'static str),
    /// The payload's checksum is wrong.
    PayloadSum,
    /// The bytes that fill up the frame are not zero.
    Padding,
    /// A newer version wrote this.
    Unsupported(&'static str),
}

impl FrameFault {
    /// In words, for error texts.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Short => "the end of the file",
            Self::Magic => "no frame",
            Self::HeaderSum => "a frame header with a wrong checksum",
            Self::PayloadSum => "a payload with a wrong checksum",
            Self::Padding => "padding that is not zero",
            Self::Field(what) | Self::Unsupported(what) => what,
        }
    }
}

/// Bytes a frame with a payload of `payload_len` bytes takes in the file.
pub(crate) fn frame_len(payload_len: u32) -> u64 {
    (FRAME_HEADER_LEN as u64 + u64::from(payload_len)).next_multiple_of(FRAME_ALIGN)
}

impl FrameHeader {
    /// LSN of the last operation; for a control frame the one before `first_lsn`.
    pub(crate) fn last_lsn(&self) -> Lsn {
        self.first_lsn + u64::from(self.op_count) - 1
    }

    /// Bytes the whole frame takes in the file.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.payload_len)
    }

    /// Appends the whole frame as it stands at byte `offset` of the file with this `salt`.
    pub(crate) fn encode(&self, payload: &[u8], salt: u64, offset: u64, out: &mut Vec<u8>) {
        assert_eq!(payload.len(), self.payload_len as usize, "the header describes this payload");
        let mut w = Writer::new();
        w.u32(FRAME_MAGIC).u32(0).u32(self.payload_len).u8(self.kind).u8(0);
        w.u16(if self.control { FLAG_CONTROL } else { 0 });
        w.u64(self.first_lsn).u32(self.op_count).u32(self.payload_crc).u64(self.durable_lsn);
        w.u32(self.prev_payload_crc).u32(0).u64(self.hlc);
        let mut header = w.into_bytes();
        let sum = header_sum(&header, salt, offset);
        header[4..8].copy_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(payload);
        let padding = self.frame_len() as usize - FRAME_HEADER_LEN - payload.len();
        out.resize(out.len() + padding, 0);
    }

    /// Reads a header that stands at byte `offset` of the file with this `salt`. Total over arbitrary bytes.
    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER_LEN], salt: u64, offset: u64) -> Result<Self, FrameFault> {
        let mut r = Reader::new(bytes);
        let mut number = || r.u32().unwrap_or_default();
        if number() != FRAME_MAGIC {
            return Err(FrameFault::Magic);
        }
        if number() != header_sum(bytes, salt, offset) {
            return Err(FrameFault::HeaderSum);
        }
        let payload_len = number();
        Self::decode_fields(payload_len, r).map_err(|_| FrameFault::Short)?
    }

    fn decode_fields(
        payload_len: u32,
        mut r: Reader<'_>,
    ) -> Result<Result<Self, FrameFault>, vectra_core::codec::DecodeError> {
        let (kind, codec, flags) = (r.u8()?, r.u8()?, r.u16()?);
        let (first_lsn, op_count, payload_crc, durable_lsn) = (r.u64()?, r.u32()?, r.u32()?, r.u64()?);
        let (prev_payload_crc, reserved, hlc) = (r.u32()?, r.u32()?, r.u64()?);
        let control = flags == FLAG_CONTROL;
        let fault = if codec != 0 {
            FrameFault::Unsupported("a payload encoding of a newer version")
        } else if flags > FLAG_CONTROL || reserved != 0 {
            FrameFault::Unsupported("a frame flag of a newer version")
        } else if payload_len > PAYLOAD_BYTES_CEILING {
            FrameFault::Field("a payload length over the ceiling")
        } else if control != (op_count == 0) {
            FrameFault::Field("an operation count that does not suit the frame")
        } else if first_lsn == 0 || first_lsn.checked_add(u64::from(op_count)).is_none() {
            FrameFault::Field("an impossible LSN")
        } else if durable_lsn >= first_lsn {
            FrameFault::Field("a durable LSN that is not below the frame's own")
        } else {
            return Ok(Ok(Self {
                payload_len,
                kind,
                control,
                first_lsn,
                op_count,
                payload_crc,
                durable_lsn,
                prev_payload_crc,
                hlc,
            }));
        };
        Ok(Err(fault))
    }

    /// Checks what follows the header in the file: payload and padding, `frame_len() - 56` bytes.
    pub(crate) fn check_body<'a>(&self, body: &'a [u8]) -> Result<&'a [u8], FrameFault> {
        let (payload, padding) = body.split_at_checked(self.payload_len as usize).ok_or(FrameFault::Short)?;
        if crc32c(payload) != self.payload_crc {
            Err(FrameFault::PayloadSum)
        } else if padding.iter().any(|b| *b != 0) {
            Err(FrameFault::Padding)
        } else {
            Ok(payload)
        }
    }
}

fn header_sum(header: &[u8], salt: u64, offset: u64) -> u32 {
    let seed = crc32c_append(crc32c(&salt.to_le_bytes()), &offset.to_le_bytes());
    crc32c_append(crc32c_append(seed, &header[..4]), &header[8..FRAME_HEADER_LEN])
}

#[cfg(test)]
mod tests;
