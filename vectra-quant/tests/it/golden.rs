//! Bytes that have been written must stay readable: a change of these numbers is a new version of the format.

use vectra_core::Metric;
use vectra_core::codec::digest;
use vectra_core::testing::oracle::uniform;
use vectra_quant::{Binary, Codec, Header, Quantizer, Sq4, Sq8};

use crate::encode_all;

/// A section of four vectors of 100 dimensions, their components sums of powers of two (exact on any machine).
fn section(metric: Metric) -> Vec<u8> {
    let sq8 = Sq8::new(100, metric);
    let header = Header { quantizer: Quantizer::Sq8(sq8), rows: 4 };
    [&header.encode()[..], &encode_all(sq8, &uniform(4, 100, 42))].concat()
}

#[test]
fn sections_have_the_bytes_of_version_1() {
    let expected = [
        (Metric::Cosine, "b5111d7b611c2e0d085b0227433bf5f3"),
        (Metric::Dot, "cba57e8642aa60e3cf32a2ec316de9ba"),
        (Metric::L2, "7b4b5073455e16f903c0c97bee5a7a44"),
        (Metric::L1, "f1d1b3bc07a3641bd23a7ac1aaad79f4"),
    ];
    for (metric, expected) in expected {
        assert_eq!(digest(&section(metric)).to_string(), expected, "{metric}");
    }
}

/// As [`section`], of codes of four bits.
fn section4(metric: Metric) -> Vec<u8> {
    let sq4 = Sq4::new(100, metric);
    let mut rows = vec![0; 4 * sq4.row_bytes()];
    let vectors = uniform(4, 100, 42);
    let pairs = vectors.chunks_exact(100).zip(rows.chunks_exact_mut(sq4.row_bytes()));
    pairs.for_each(|(vector, row)| sq4.encode(vector, row));
    [&Header { quantizer: Quantizer::Sq4(sq4), rows: 4 }.encode()[..], &rows].concat()
}

#[test]
fn sections_of_four_bits_have_the_bytes_of_version_1() {
    let expected = [
        (Metric::Cosine, "9b237321196500e0f9083a3dedb7269d"),
        (Metric::Dot, "6ea8a72af822253f5af96af8b62ec57e"),
        (Metric::L2, "4feba56ae8118c4f3ce3f81e5ecc2dbf"),
    ];
    let found = expected.map(|(metric, _)| digest(&section4(metric)).to_string());
    assert_eq!(found, expected.map(|(_, digest)| digest.to_owned()));
}

#[test]
fn sections_of_one_bit_have_the_bytes_of_version_1() {
    let expected = [
        (Metric::Cosine, "7bc3dd1ee221485634145dbe245bed7b"),
        (Metric::Dot, "106b0c59d71ac84a2031f866c4b4990f"),
        (Metric::L2, "3a7ef1e5c91fdc44b17ec0b1468b8965"),
    ];
    let found = expected.map(|(metric, _)| {
        let codec = Binary::new(100, metric);
        let mut section = Header { quantizer: Quantizer::Binary(codec), rows: 4 }.encode().to_vec();
        for vector in uniform(4, 100, 42).chunks_exact(100) {
            let mut row = vec![1; codec.row_bytes()];
            codec.encode(vector, &mut row);
            let negative = |i: usize| u8::from(vector[i] < 0.0);
            assert!((0..100).all(|i| row[i / 8] >> (i % 8) & 1 == negative(i)), "as the document says");
            section.extend(row);
        }
        digest(&section).to_string()
    });
    assert_eq!(found, expected.map(|(_, digest)| digest.to_owned()));
}

#[test]
fn only_cosine_changes_the_codes() {
    let codes = |metric| section(metric).split_off(64);
    assert_eq!(codes(Metric::Dot), codes(Metric::L2));
    assert_eq!(codes(Metric::Dot), codes(Metric::L1));
    assert_ne!(codes(Metric::Dot), codes(Metric::Cosine));
}

#[test]
fn a_section_says_what_it_is() {
    for metric in Metric::ALL {
        let bytes = section(metric);
        let header = Header::decode(&bytes).expect("written above");
        assert_eq!(header.quantizer, Quantizer::Sq8(Sq8::new(100, metric)));
        assert_eq!(header.rows_bytes() + 64, bytes.len() as u64);
    }
}

/// A row as the format document describes it, one field after the other.
fn by_the_book(vector: &[f32]) -> Vec<u8> {
    let wide = || vector.iter().map(|x| f64::from(*x));
    let (low, high) = (wide().fold(f64::INFINITY, f64::min), wide().fold(f64::NEG_INFINITY, f64::max));
    let step = ((high - low) / 255.0) as f32;
    let mid = (low + 128.0 * f64::from(step)) as f32;
    let level = |x: f64| ((x - f64::from(mid)) / f64::from(step)).round_ties_even() + 128.0;
    let mut row: Vec<u8> = wide().map(|x| level(x).clamp(0.0, 255.0) as u8).collect();
    let signed = || row.iter().map(|code| f64::from(*code) - 128.0);
    let sum = f64::from(step) * signed().sum::<f64>();
    let energy = f64::from(step).powi(2) * signed().map(|b| b * b).sum::<f64>();
    let factors = [mid, step, sum as f32, energy as f32].map(f32::to_le_bytes).concat();
    row.resize((vector.len() + 16).next_multiple_of(64) - 16, 0);
    row.extend(factors);
    row
}

#[test]
fn rows_follow_the_document() {
    for dim in [2, 47, 48, 49, 100, 384] {
        let sq8 = Sq8::new(dim, Metric::L2);
        for vector in uniform(20, dim, dim as u64).chunks_exact(dim) {
            assert_eq!(encode_all(sq8, vector), by_the_book(vector), "{vector:?}");
        }
    }
}

/// The squared length of a vector and the codes of four bits and the scale that the format document asks for.
fn by_the_book4(vector: &[f32]) -> (f64, Vec<u8>, f64) {
    let greatest = vector.iter().fold(0.0_f32, |g, x| g.max(x.abs()));
    let codes = |trial: i32| -> Vec<u8> {
        let levels = (8.0 + 0.96 * trial as f32) / greatest;
        vector.iter().map(|x| (x * levels + 7.5).clamp(0.0, 15.0).round_ties_even() as u8).collect()
    };
    let along = |codes: &[u8]| -> f64 {
        codes.iter().zip(vector).map(|(u, x)| (f64::from(*u) - 7.5) * f64::from(*x)).sum()
    };
    let likeness =
        |codes: &[u8]| along(codes) / codes.iter().map(|u| (f64::from(*u) - 7.5).powi(2)).sum::<f64>().sqrt();
    let best = (0..12).map(codes).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).expect("some are tried");
    let energy = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let scale = energy / along(&best);
    (energy, best, scale)
}

#[test]
fn rows_of_four_bits_follow_the_document() {
    for dim in [2, 111, 112, 113, 240, 384] {
        let sq4 = Sq4::new(dim, Metric::L2);
        for vector in uniform(20, dim, dim as u64).chunks_exact(dim) {
            let mut row = vec![1; sq4.row_bytes()];
            sq4.encode(vector, &mut row);
            let (energy, codes, scale) = by_the_book4(vector);
            for (i, code) in codes.iter().enumerate() {
                let (line, within) = (i / 128, i % 128);
                let width = if line + 1 == row.len() / 64 { 56 } else { 64 };
                let byte = row[64 * line + within % width];
                assert_eq!(
                    if within < width { byte & 15 } else { byte >> 4 },
                    *code,
                    "component {i} of {dim}"
                );
            }
            assert_eq!(row[row.len() - 8..row.len() - 4], (energy as f32).to_le_bytes());
            let found = f32::from_le_bytes(row[row.len() - 4..].try_into().expect("four bytes"));
            assert!((f64::from(found) - scale).abs() <= 1e-6 * scale, "{found} for {scale}");
        }
    }
}
