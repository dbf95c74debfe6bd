use proptest::prelude::*;

use super::*;

fn header() -> impl Strategy<Value = Header> {
    (any::<u128>(), 0..Role::ALL.len(), any::<u32>(), any::<u32>()).prop_map(
        |(id, role, rows, schema_epoch)| Header {
            id: Uuid::from_u128(id),
            role: Role::ALL[role],
            rows,
            schema_epoch,
        },
    )
}

fn block(bytes: Vec<u8>) -> [u8; BLOCK as usize] {
    bytes.try_into().expect("a header is one block")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn headers_round_trip_and_no_bit_is_free(header in header(), bit in 0..8 * BLOCK as usize) {
        let (bytes, crc) = encode_header(&header);
        let mut bytes = block(bytes);
        let decoded = decode_header(&bytes).ok().expect("own encoding");
        prop_assert_eq!(decoded, (header, Features::default(), crc));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode_header(&bytes).is_err());
    }

    #[test]
    fn decoding_any_bytes_never_panics(
        start in prop::collection::vec(any::<u8>(), 0..100),
        honest in any::<bool>(),
    ) {
        let mut bytes = start;
        bytes.resize(BLOCK as usize, 0);
        if honest {
            bytes[..8].copy_from_slice(&MAGIC);
            let crc = crc32c(&bytes[..HEADER_CRC_AT]);
            bytes[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        }
        let _either = decode_header(&block(bytes.clone()));
        let _either = Entry::decode(&mut Reader::new(&bytes));
        let tail: [u8; TRAILER_LEN] = bytes[..TRAILER_LEN].try_into().expect("64 bytes");
        let _either = Trailer::decode(&tail);
    }

    #[test]
    fn entries_and_trailers_round_trip(a in any::<[u64; 4]>(), names in any::<(u16, u16, u8)>(), ids in any::<(u128, u128)>()) {
        let (kind, field, codec) = (SectionKind(names.0), names.1, names.2);
        let entry =
            Entry { kind, field, codec, offset: a[0], length: a[1], page_crcs: a[2], digest: Digest(ids.0) };
        let mut out = Writer::new();
        entry.encode(&mut out);
        prop_assert_eq!(out.len(), ENTRY_LEN);
        prop_assert_eq!(Entry::decode(&mut Reader::new(out.as_bytes())), Ok(entry));

        let (sections, header_crc) = ((a[3] >> 32) as u32, a[3] as u32);
        let (footer, directory, total_len) = (a[0], a[1], a[2]);
        let trailer = Trailer { footer, directory, sections, header_crc, total_len, id: Uuid::from_u128(ids.1) };
        let bytes = trailer.encode(vec![9; 100]);
        prop_assert_eq!(footer_crcs(&bytes).map(|(stored, found)| stored == found), Ok(true));
        let tail: [u8; TRAILER_LEN] = bytes[100..].try_into().expect("the trailer has 64 bytes");
        prop_assert_eq!(Trailer::decode(&tail), Ok(trailer));
    }
}

#[test]
fn alignment_stops_at_the_end_of_numbers() {
    assert_eq!([0, 1, BLOCK, BLOCK + 1].map(align_up), [Some(0), Some(BLOCK), Some(BLOCK), Some(2 * BLOCK)]);
    assert_eq!(align_up(u64::MAX - BLOCK + 2), None);
    assert!(footer_crcs(&[0; 15]).is_err());
}
