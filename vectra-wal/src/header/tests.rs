use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_header()(
        index in any::<[u8; 16]>(),
        epoch in any::<u64>(),
        salt in any::<u64>(),
        durable_lsn in any::<u64>(),
        seq in 3..u64::MAX,
        back in prop::option::of(2..u64::MAX),
        last_lsn in 0..u64::MAX,
        len in FILE_HEADER_LEN + 1..u64::MAX,
        chain_crc in any::<u32>(),
        superseding in any::<bool>(),
        noted in prop::option::of((1..u64::MAX, any::<[u8; 16]>())),
    ) -> FileHeader {
        let predecessor = back.map(|back| Predecessor { seq: seq.saturating_sub(back).max(1), last_lsn, len, chain_crc });
        let supersedes = if superseding { seq - 1 } else { 0 };
        let anchor = noted.map(|(generation, digest)| Anchor { generation, digest });
        let first_lsn = last_lsn + 1;
        FileHeader { index, epoch, seq, first_lsn, salt, predecessor, supersedes, durable_lsn, anchor }
    }
}

proptest! {
    #[test]
    fn round_trip(header in any_header()) {
        let bytes = header.encode();
        prop_assert_eq!(bytes.len() as u64, FILE_HEADER_LEN);
        prop_assert_eq!(FileHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn every_flipped_bit_is_found(header in any_header(), at in 0..FILE_HEADER_LEN as usize, bit in 0..8_u32) {
        let mut bytes = header.encode();
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(matches!(FileHeader::decode(&bytes), Err(HeaderFault::Bad(_))));
    }

    #[test]
    fn decoding_any_fields_with_a_right_sum_never_panics(
        fields in proptest::collection::vec(any::<u8>(), 0..130), plausible in any::<bool>(),
    ) {
        let mut bytes = MAGIC.to_vec();
        if plausible {
            bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        }
        bytes.extend_from_slice(&fields);
        bytes.resize(CRC_AT, 0);
        let sum = crc32c(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        if let Ok(header) = FileHeader::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn names_round_trip(seq in 1..=SEQ_MAX) {
        for name in [FileName::Log(seq), FileName::Temporary(seq)] {
            prop_assert_eq!(FileName::parse(&name.text()), Some(name));
        }
    }
}

#[test]
fn a_newer_format_is_unsupported_not_damaged() {
    let header = FileHeader {
        index: [1; 16],
        epoch: 1,
        seq: 1,
        first_lsn: 1,
        salt: 1,
        predecessor: None,
        supersedes: 0,
        durable_lsn: 0,
        anchor: None,
    };
    for at in [8, 12, 92, 120, 200, CRC_AT - 1] {
        let mut bytes = header.encode();
        bytes[at] += 1;
        let sum = crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&sum.to_le_bytes());
        assert!(matches!(FileHeader::decode(&bytes), Err(HeaderFault::Unsupported(_))), "byte {at}");
    }
}

#[test]
fn a_header_that_contradicts_itself_is_bad() {
    let before = Predecessor { seq: 4, last_lsn: 9, len: 5000, chain_crc: 1 };
    let good = FileHeader {
        index: [1; 16],
        epoch: 1,
        seq: 7,
        first_lsn: 10,
        salt: 1,
        predecessor: Some(before),
        supersedes: 6,
        durable_lsn: 9,
        anchor: None,
    };
    assert_eq!(FileHeader::decode(&good.encode()), Ok(good.clone()));
    let bad = [
        FileHeader { supersedes: 4, ..good.clone() },
        FileHeader { supersedes: 7, ..good.clone() },
        FileHeader { seq: 4, supersedes: 0, ..good.clone() },
        FileHeader { first_lsn: 11, ..good.clone() },
        FileHeader { predecessor: None, first_lsn: 0, ..good.clone() },
        FileHeader { predecessor: Some(Predecessor { len: FILE_HEADER_LEN, ..before }), ..good.clone() },
        FileHeader { predecessor: Some(Predecessor { seq: 0, ..before }), ..good },
    ];
    for header in bad {
        assert!(matches!(FileHeader::decode(&header.encode()), Err(HeaderFault::Bad(_))), "{header:?}");
    }
}

#[test]
fn only_exact_names_are_those_of_log_files() {
    let foreign = [
        "00000000000000000001.wal.tmp",
        "1.wal",
        "00000000000000000000.wal",
        "99999999999999999999.wal",
        "18446744073709551615.wal",
        "+0000000000000000001.wal",
        "00000000000000000001",
        "00000000000000000001.WAL",
        "",
        ".wal",
    ];
    for name in foreign {
        assert_eq!(FileName::parse(name), None, "{name}");
    }
}
