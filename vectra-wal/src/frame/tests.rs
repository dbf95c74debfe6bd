use proptest::prelude::*;

use super::*;

fn encoded(header: &FrameHeader, payload: &[u8], salt: u64, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(payload, salt, offset, &mut bytes);
    bytes
}

fn decoded(bytes: &[u8], salt: u64, offset: u64) -> Result<(FrameHeader, Vec<u8>), FrameFault> {
    let (head, body) = bytes.split_first_chunk().ok_or(FrameFault::Short)?;
    let header = FrameHeader::decode(head, salt, offset)?;
    let body_len = header.frame_len() as usize - FRAME_HEADER_LEN;
    let payload = header.check_body(body.get(..body_len).ok_or(FrameFault::Short)?)?;
    Ok((header, payload.to_vec()))
}

prop_compose! {
    fn any_frame()(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        kind in any::<u8>(),
        control in any::<bool>(),
        first_lsn in prop_oneof![1..100_u64, 1..u64::MAX >> 1, Just((u64::MAX >> 1) + 1)],
        op_count in prop_oneof![1..10_u32, 1..=u32::MAX],
        back in 1..1000_u64,
        prev_payload_crc in any::<u32>(),
        hlc in any::<u64>(),
    ) -> (FrameHeader, Vec<u8>) {
        let header = FrameHeader {
            payload_len: payload.len() as u32,
            kind,
            control,
            first_lsn,
            op_count: if control { 0 } else { op_count },
            payload_crc: crc32c(&payload),
            durable_lsn: first_lsn.saturating_sub(back),
            prev_payload_crc,
            hlc,
        };
        (header, payload)
    }
}

proptest! {
    #[test]
    fn round_trip((header, payload) in any_frame(), salt in any::<u64>(), offset in any::<u64>()) {
        let bytes = encoded(&header, &payload, salt, offset);
        prop_assert_eq!(bytes.len() as u64, frame_len(payload.len() as u32));
        prop_assert_eq!(bytes.len() as u64 % FRAME_ALIGN, 0);
        prop_assert_eq!(decoded(&bytes, salt, offset), Ok((header, payload)));
    }

    #[test]
    fn another_salt_or_place_never_passes(
        (header, payload) in any_frame(), salt in any::<u64>(), offset in any::<u64>(), delta in 1..=u64::from(u32::MAX),
    ) {
        // A 32-bit sum finds every change confined to 32 bits in a row.
        let bytes = encoded(&header, &payload, salt, offset);
        prop_assert_eq!(decoded(&bytes, salt ^ delta, offset), Err(FrameFault::HeaderSum));
        prop_assert_eq!(decoded(&bytes, salt, offset ^ delta), Err(FrameFault::HeaderSum));
    }

    #[test]
    fn every_changed_byte_is_found((header, payload) in any_frame(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = encoded(&header, &payload, 7, 4096);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decoded(&bytes, 7, 4096).is_err(), "byte {} changed", at);
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), salt in any::<u64>(), magic in any::<bool>()) {
        let mut bytes = bytes;
        if magic && bytes.len() > 4 {
            bytes[..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        }
        prop_assert!(decoded(&bytes, salt, 0).is_err());
    }

    #[test]
    fn decoding_any_fields_with_a_right_sum_never_panics(fields in any::<[u8; FRAME_HEADER_LEN]>()) {
        let mut bytes = fields;
        bytes[..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        let sum = header_sum(&bytes, 1, 2);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        if let Ok(header) = FrameHeader::decode(&bytes, 1, 2) {
            prop_assert!(header.durable_lsn < header.first_lsn && header.payload_len <= PAYLOAD_BYTES_CEILING);
            prop_assert!(header.check_body(&[]).is_err() || header.payload_len == 0);
        }
    }
}

/// Builds a header from fields at the edge of what is allowed, with a right sum.
fn patched(patch: impl FnOnce(&mut [u8])) -> Result<FrameHeader, FrameFault> {
    let header = FrameHeader {
        payload_len: 0,
        kind: 1,
        control: false,
        first_lsn: 5,
        op_count: 1,
        payload_crc: 0,
        durable_lsn: 4,
        prev_payload_crc: 0,
        hlc: 0,
    };
    let mut bytes: [u8; FRAME_HEADER_LEN] =
        encoded(&header, &[], 0, 0).try_into().expect("no payload, no padding");
    patch(&mut bytes);
    let sum = header_sum(&bytes, 0, 0);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    FrameHeader::decode(&bytes, 0, 0)
}

#[test]
fn fields_at_their_boundaries() {
    assert!(patched(|_| ()).is_ok());
    let unsupported = |r| matches!(r, Err(FrameFault::Unsupported(_)));
    assert!(unsupported(patched(|b| b[13] = 1)), "codec");
    assert!(unsupported(patched(|b| b[14] = 2)), "flag");
    assert!(unsupported(patched(|b| b[47] = 1)), "reserved");
    let field = |r| matches!(r, Err(FrameFault::Field(_)));
    assert!(field(patched(|b| b[14] = 1)), "a control frame with operations");
    assert!(field(patched(|b| b[24] = 0)), "a frame without operations");
    assert!(field(patched(|b| b[16] = 0)), "LSN 0");
    assert!(field(patched(|b| b[32] = 5)), "durable before written");
    assert!(field(patched(|b| b[16..24].fill(0xff))), "LSN overflow");
    assert!(field(patched(|b| b[8..12].copy_from_slice(&(PAYLOAD_BYTES_CEILING + 1).to_le_bytes()))));
    assert!(patched(|b| b[8..12].copy_from_slice(&PAYLOAD_BYTES_CEILING.to_le_bytes())).is_ok());
}

#[test]
fn the_bytes_of_a_frame_are_these() {
    let header = FrameHeader {
        payload_len: 3,
        kind: 0x0a,
        control: false,
        first_lsn: 0x0102,
        op_count: 2,
        payload_crc: crc32c(b"abc"),
        durable_lsn: 0x0101,
        prev_payload_crc: 0xdead_beef,
        hlc: 0x1122_3344_5566_7788,
    };
    let bytes = encoded(&header, b"abc", 0, 4096);
    assert_eq!(bytes[..4], *b"vFrm");
    assert_eq!(bytes[8..16], [3, 0, 0, 0, 0x0a, 0, 0, 0], "payload_len, kind, codec, flags");
    assert_eq!(bytes[16..28], [2, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0], "first_lsn, op_count");
    assert_eq!(bytes[28..32], [0xb7, 0x3f, 0x4b, 0x36], "payload_crc");
    assert_eq!(bytes[32..40], [1, 1, 0, 0, 0, 0, 0, 0], "durable_lsn");
    assert_eq!(bytes[40..48], [0xef, 0xbe, 0xad, 0xde, 0, 0, 0, 0], "prev_payload_crc, reserved");
    assert_eq!(bytes[48..56], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11], "hlc");
    assert_eq!(bytes[56..], *b"abc\0\0\0\0\0", "payload, padding");
}
