use proptest::prelude::*;
use vectra_core::codec::digest;

use super::*;
use crate::format::RATIO_MAX;

fn text(len: usize) -> Vec<u8> {
    (0..len).flat_map(|i| format!("piece {} of many;", i * i % 97).into_bytes()).collect()
}

fn pack(raw: &[u8], dictionary: &[u8]) -> Packed {
    Compressor::new(dictionary).and_then(|mut c| c.pack(raw.to_vec())).expect("the compressor works")
}

#[test]
fn packed_bytes_come_back_with_and_without_dictionary() {
    let raw = text(500);
    let samples: Vec<&[u8]> = raw.chunks(100).collect();
    let dictionary = train(&samples, 4096).expect("enough samples");
    for (dictionary, codec) in [(&[][..], Codec::Zstd), (&dictionary, Codec::ZstdTrained)] {
        let packed = pack(&raw, dictionary);
        assert_eq!(packed.codec, codec);
        assert!(packed.bytes.len() < raw.len() / 4);
        let mut zstd = Decompressor::new(codec, dictionary).expect("a good dictionary");
        for _ in 0..2 {
            assert_eq!(zstd.unpack(&packed.bytes, raw.len()).as_ref(), Ok(&raw), "again and again");
        }
    }
}

#[test]
fn what_does_not_shrink_or_shrinks_absurdly_stays_raw() {
    assert_eq!(pack(b"short", &[]).codec, Codec::Raw);
    let noise: Vec<u8> = (0..60_u32).flat_map(|i| digest(&i.to_le_bytes()).to_le_bytes()).collect();
    let packed = pack(&noise, &[]);
    assert!(packed.codec == Codec::Raw && packed.bytes == noise);
    let zeros = vec![0; 40 * RATIO_MAX];
    assert_eq!(pack(&zeros, &[]).codec, Codec::Raw, "beyond the ratio that readers accept");
}

#[test]
fn lengths_that_disagree_are_refused() {
    let raw = text(100);
    let packed = pack(&raw, &[]);
    let mut zstd = Decompressor::new(Codec::Zstd, &[]).expect("no dictionary");
    for len in [0, raw.len() - 1, raw.len() + 1, usize::MAX] {
        assert!(zstd.unpack(&packed.bytes, len).is_err(), "{len}");
    }
    assert!(zstd.unpack(&packed.bytes[..packed.bytes.len() - 1], raw.len()).is_err());
    assert!(zstd.unpack(&[], 0).is_err());
    let twice = [&packed.bytes[..], &packed.bytes[..]].concat();
    assert!(zstd.unpack(&twice, raw.len()).is_err(), "more than one frame");
}

proptest! {
    #[test]
    fn total_over_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..100), len in 0usize..1000, at in any::<prop::sample::Index>()
    ) {
        // With any luck a dictionary and a frame that begin well and go wrong later.
        let dictionary = [&[0x37, 0xa4, 0x30, 0xec][..], &bytes].concat();
        if let Ok(mut zstd) = Decompressor::new(Codec::ZstdTrained, &dictionary) {
            let _ = zstd.unpack(&bytes, len);
        }
        let mut frame = pack(&text(50), &[]).bytes;
        let at = at.index(frame.len());
        frame.truncate(at);
        frame.extend(bytes);
        let mut zstd = Decompressor::new(Codec::Zstd, &[]).expect("no dictionary");
        let _ = zstd.unpack(&frame, text(50).len());
    }
}
