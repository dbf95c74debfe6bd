//! Control frames: what the log notes for itself among its caller's frames.
//!
//! They hold no operations, take no LSN and no part in the chain of payload sums; their own `prev_payload_crc` and
//! `first_lsn` nevertheless say which frame they stand behind.

use vectra_core::codec::crc32c;

use crate::frame::{CONTROL_ANCHOR, CONTROL_MARK, CONTROL_SEAL, FrameFault, FrameHeader};
use crate::log::{Anchor, Lsn};
use crate::writer::Tail;

/// What a control frame says: one that the log wrote for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The file ends here; the log goes on in the one with this sequence number.
    Seal(u64),
    /// Everything before was durable when this was written.
    Mark,
    /// The owner has published this.
    Anchor(Anchor),
}

impl Control {
    /// What a control frame with a right checksum says. Total over arbitrary bytes.
    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Self, FrameFault> {
        let control = match kind {
            CONTROL_SEAL => payload.try_into().ok().map(|seq| Self::Seal(u64::from_le_bytes(seq))),
            CONTROL_MARK => payload.is_empty().then_some(Self::Mark),
            CONTROL_ANCHOR => payload.split_first_chunk().and_then(|(generation, digest)| {
                let generation = u64::from_le_bytes(*generation);
                let digest = digest.try_into().ok()?;
                (generation > 0).then_some(Self::Anchor(Anchor { generation, digest }))
            }),
            _ => return Err(FrameFault::Unsupported("a control frame of a newer version")),
        };
        control.ok_or(FrameFault::Field("a control frame whose content does not suit its kind"))
    }

    /// Whether a control frame of this kind is written only after everything before it was synced.
    pub(crate) fn follows_a_sync(kind: u8) -> bool {
        matches!(kind, CONTROL_SEAL | CONTROL_MARK)
    }

    /// The whole frame, as it stands behind `tail` at byte `offset` of the file with this `salt`.
    pub(crate) fn encode(self, tail: Tail, durable_lsn: Lsn, salt: u64, offset: u64) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Seal(seq) => (CONTROL_SEAL, seq.to_le_bytes().to_vec()),
            Self::Mark => (CONTROL_MARK, Vec::new()),
            Self::Anchor(c) => (CONTROL_ANCHOR, [&c.generation.to_le_bytes()[..], &c.digest].concat()),
        };
        let header = FrameHeader {
            payload_len: payload.len() as u32,
            kind,
            control: true,
            first_lsn: tail.last_lsn + 1,
            op_count: 0,
            payload_crc: crc32c(&payload),
            durable_lsn,
            prev_payload_crc: tail.chain_crc,
            hlc: tail.hlc,
        };
        let mut bytes = Vec::new();
        header.encode(&payload, salt, offset, &mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FRAME_HEADER_LEN;

    fn all() -> [Control; 3] {
        let anchor = Anchor { generation: 7, digest: [9; 16] };
        [Control::Seal(3), Control::Mark, Control::Anchor(anchor)]
    }

    #[test]
    fn round_trip() {
        for control in all() {
            let tail = Tail { last_lsn: 41, chain_crc: 5, hlc: 1000 };
            let bytes = control.encode(tail, 40, 77, 4096);
            let (header, body) = bytes.split_first_chunk::<FRAME_HEADER_LEN>().expect("a whole frame");
            let header = FrameHeader::decode(header, 77, 4096).expect("valid");
            assert_eq!((header.control, header.first_lsn, header.last_lsn()), (true, 42, 41));
            assert_eq!((header.durable_lsn, header.prev_payload_crc, header.hlc), (40, 5, 1000));
            let payload = header.check_body(body).expect("valid");
            assert_eq!(Control::decode(header.kind, payload), Ok(control));
        }
    }

    #[test]
    fn a_content_of_another_length_is_refused() {
        for kind in [CONTROL_SEAL, CONTROL_MARK, CONTROL_ANCHOR] {
            for len in 0..40 {
                let suits = len == [8, 0, 24][usize::from(kind) - 1];
                assert_eq!(Control::decode(kind, &vec![1; len]).is_ok(), suits, "kind {kind}, {len} bytes");
            }
        }
        assert!(
            matches!(Control::decode(CONTROL_ANCHOR, &[0; 24]), Err(FrameFault::Field(_))),
            "generation 0"
        );
        assert!(matches!(Control::decode(4, &[]), Err(FrameFault::Unsupported(_))));
    }
}
