use proptest::prelude::*;
use vectra_core::testing::oracle::uniform;

use super::*;
use crate::codec::Codec;
use crate::pq::{PqRotation, PqSettings};

fn trained(rotation: PqRotation) -> Pq {
    let settings = PqSettings::new(3, 4).rounds(2).rotation(rotation);
    Pq::train(&uniform(50, 7, 1), 7, Metric::Cosine, &settings).expect("settings that fit")
}

/// The section with some bytes replaced and both checksums made right again.
fn forged(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut section = trained(PqRotation::None).to_section();
    section[offset..offset + bytes.len()].copy_from_slice(bytes);
    let body = crc32c(&section[HEADER_BYTES..]);
    section[56..60].copy_from_slice(&body.to_le_bytes());
    let crc = crc32c(&section[..CHECKED_BYTES]);
    section[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    section
}

#[test]
fn a_section_leads_back() {
    for rotation in [PqRotation::None, PqRotation::Opq] {
        let (pq, vectors) = (trained(rotation), uniform(20, 7, 2));
        let section = pq.to_section();
        let opened = Pq::open_section(&section).expect("own section");
        assert_eq!((&opened, opened.is_turned()), (&pq, rotation == PqRotation::Opq));
        assert_eq!(opened.to_section(), section);
        let (mut one, mut other) = (vec![0; 64 * 20], vec![1; 64 * 20]);
        pq.encode_all(&vectors, &mut one);
        opened.encode_all(&vectors, &mut other);
        assert_eq!(one, other);
        assert_eq!(pq.bind(&vectors[..7]).tables(), opened.bind(&vectors[..7]).tables());
    }
}

#[test]
fn the_weight_of_errors_leads_back() {
    let settings = PqSettings::new(3, 4).rounds(2).threshold(0.5);
    let vectors = uniform(50, 7, 3);
    let pq = Pq::train(&vectors, 7, Metric::Dot, &settings).expect("settings that fit");
    let section = pq.to_section();
    assert_eq!(section[20..24], 1.0_f32.to_le_bytes(), "6 x 0.25 / 0.75 - 1");
    let opened = Pq::open_section(&section).expect("own section");
    let (mut one, mut other) = (vec![0; 64 * 50], vec![1; 64 * 50]);
    pq.encode_all(&vectors, &mut one);
    opened.encode_all(&vectors, &mut other);
    assert_eq!((one, opened.to_section()), (other, section));
}

#[test]
fn the_bytes_are_those_of_the_table() {
    let pq = trained(PqRotation::None);
    let section = pq.to_section();
    assert_eq!(section[..17], *b"VQPM\x01\0\x04\x01\x07\0\0\0\x03\0\0\0\0");
    assert_eq!(section[17..24], [0; 7]);
    assert!((0.0..=0.5).contains(&pq.correction()) && pq.correction() > 0.0, "{}", pq.correction());
    assert_eq!(section[24..28], pq.correction().to_le_bytes());
    assert_eq!(section[28..56], [0; 28]);
    assert_eq!(section.len(), 64 + 4 * 7 * 16);
    assert_eq!(section[60..64], pq.shape().model().to_le_bytes());
    // The first centroid of the second piece follows the sixteen of the first, of three components.
    let expected = pq.model().books[1].vector(0).next().expect("it has components");
    assert_eq!(section[64 + 4 * 48..][..4], expected.to_le_bytes());
    let turned = trained(PqRotation::Opq).to_section();
    assert_eq!((turned[16], turned.len()), (1, 64 + 4 * (7 * 16 + 49)));
}

#[test]
fn each_field_is_checked() {
    let error = |section: &[u8]| Pq::open_section(section).expect_err("forged").to_string();
    assert!(error(&forged(0, b"VQPX")).contains("magic of a model"));
    assert!(error(&forged(4, &[2])).contains("version 2"));
    assert!(error(&forged(6, &[5])).contains("bits of a code"));
    assert!(error(&forged(6, &[8])).contains("bytes expected"), "more centroids than there are");
    assert!(error(&forged(7, &[4])).contains("metric"), "L1 has no codes");
    assert!(error(&forged(8, &[0])).contains("dimension"));
    assert!(error(&forged(8, &[1, 0, 1])).contains("dimension"));
    assert!(error(&forged(12, &[0])).contains("pieces"));
    assert!(error(&forged(12, &[8])).contains("pieces"), "more pieces than components");
    assert!(error(&forged(16, &[2])).contains("rotation"));
    assert!(error(&forged(16, &[1])).contains("bytes expected"), "a rotation that is not there");
    for weight in [f32::NAN, -1.0, -0.0, f32::INFINITY, 2e6] {
        assert!(error(&forged(20, &weight.to_le_bytes())).contains("weight"), "{weight}");
    }
    for correction in [f32::NAN, -0.1, -0.0, 0.6] {
        assert!(error(&forged(24, &correction.to_le_bytes())).contains("correction"), "{correction}");
    }
    assert!(error(&forged(7, &[3])).contains("correction"), "only cosine has one");
    assert!(error(&forged(30, &[1])).contains("reserved"));
    assert!(error(&forged(17, &[1])).contains("reserved"));
    for no_component in [f32::NAN, f32::INFINITY, 1e30] {
        assert!(error(&forged(80, &no_component.to_le_bytes())).contains("component"), "{no_component}");
    }
    let mut damaged = trained(PqRotation::None).to_section();
    damaged[100] ^= 1;
    assert!(error(&damaged).contains("at byte 56"));
    damaged[9] ^= 1;
    assert!(error(&damaged).contains("at byte 60"));
}

#[test]
fn sizes_are_compared_before_anything_is_allocated() {
    // A model of 65,536 dimensions with a rotation would have 17 GB.
    let mut section = forged(8, &[0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let crc = crc32c(&section[..CHECKED_BYTES]);
    section[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    let error = Pq::open_section(&section).expect_err("too short");
    let expected = 64 + 4 * ((1 << 16) * 16 + (1_u64 << 32));
    assert_eq!(error, PqFormatError::Length { expected, found: section.len() as u64 });
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_or_a_model(mut bytes in prop::collection::vec(any::<u8>(), 0..700), known in 0..64_usize) {
        let section = trained(PqRotation::None).to_section();
        let len = bytes.len().min(known);
        bytes[..len].copy_from_slice(&section[..len]);
        if let Ok(pq) = Pq::open_section(&bytes) { prop_assert_eq!(pq.to_section(), bytes); }
    }

    #[test]
    fn a_flipped_bit_is_found(bit in 0..8 * 512_usize) {
        let mut section = trained(PqRotation::None).to_section();
        section[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Pq::open_section(&section).is_err());
    }
}
