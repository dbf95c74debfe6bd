use proptest::prelude::*;
use vectra_core::testing::oracle::{clustered, uniform};

use super::format::{CHECKED_BYTES, HEADER_BYTES};
use super::*;
use crate::codec::CodeQuery;
use crate::format::FormatError;
use crate::pq::{PqRotation, PqRows, PqSettings};
use vectra_core::Metric;
use vectra_core::codec::crc32c;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn trained(vectors: &[f32], dim: usize, metric: Metric, settings: PqSettings) -> (Pq, Vec<u8>) {
    let pq = Pq::train(vectors, dim, metric, &settings.rounds(4)).expect("settings that fit");
    let mut rows = vec![0; vectors.len() / dim * pq.row_bytes()];
    pq.encode_all(vectors, &mut rows);
    (pq, rows)
}

#[test]
fn blocks_find_what_rows_find() {
    let all = clustered(1510, 24, 40, 0.3, 1);
    let (vectors, queries) = all.split_at(1500 * 24);
    for metric in METRICS {
        for (subspaces, bits) in [(8, 4), (7, 4), (8, 8), (24, 8), (1, 8)] {
            let (pq, rows) = trained(vectors, 24, metric, PqSettings::new(subspaces, bits));
            let blocks = PqBlocks::of_rows(pq.clone(), &rows);
            assert_eq!((blocks.len(), blocks.is_empty(), blocks.codec()), (1500, false, &pq));
            let bound: Vec<PqQuery> = queries.chunks_exact(24).map(|query| pq.bind(query)).collect();
            let together = blocks.nearest(&bound.iter().collect::<Vec<_>>(), 10, |_| true);
            for (query, found) in bound.iter().zip(&together) {
                let mut expected = PqRows::new(pq.clone(), &rows).nearest(query, 10);
                // Of equal distances rows that were cut off may be others.
                let last = expected[9].distance;
                expected.retain(|near| near.distance < last);
                assert_eq!(found[..expected.len()], expected, "{pq:?}");
                assert_eq!((found.len(), found[9].distance.to_bits()), (10, last.to_bits()));
                assert_eq!(blocks.nearest(&[query], 10, |_| true), std::slice::from_ref(found));
            }
        }
    }
}

#[test]
fn rows_that_bytes_do_not_tell_apart_are_scored_again() {
    // The first piece says most by far, and the same of hundreds of rows; entries of the others round to next to nothing.
    let mut vectors = uniform(1500, 8, 7);
    for (n, vector) in vectors.chunks_exact_mut(8).enumerate() {
        vector.iter_mut().for_each(|x| *x *= 0.2);
        vector[..2].fill(10.0 * (n % 4) as f32);
    }
    let (pq, rows) = trained(&vectors, 8, Metric::L2, PqSettings::new(4, 8));
    let blocks = PqBlocks::of_rows(pq.clone(), &rows);
    let mut passed_over = 0;
    for query in vectors.chunks_exact(8).take(20).map(|query| pq.bind(query)) {
        let expected = PqRows::new(pq.clone(), &rows).nearest(&query, 5);
        assert_eq!(blocks.nearest(&[&query], 5, |_| true).remove(0), expected);
        let first = blocks.candidates(&[&query], 40, |_| true).remove(0);
        passed_over += expected.iter().filter(|near| first.iter().all(|x| x.slot != near.slot)).count();
    }
    assert!(passed_over > 5, "the first look is not enough: {passed_over}");
}

#[test]
fn candidates_are_near_by_bytes() {
    let vectors = clustered(1000, 24, 40, 0.3, 2);
    for metric in METRICS {
        let (pq, rows) = trained(&vectors, 24, metric, PqSettings::new(12, 4).rotation(PqRotation::Opq));
        let blocks = PqBlocks::of_rows(pq.clone(), &rows);
        let query = pq.bind(&vectors[..24]);
        let limit = Tables::new(layout(pq.shape()), query.tables()).error_max() * 1.001;
        let found = blocks.candidates(&[&query], 50, |slot| slot % 3 == 0).remove(0);
        assert_eq!(found.len(), 50);
        assert!(found.is_sorted());
        let mut row = vec![0xff; pq.row_bytes()];
        for near in found {
            assert_eq!(near.slot % 3, 0);
            blocks.row(near.slot, &mut row);
            assert_eq!(row, rows[near.slot as usize * pq.row_bytes()..][..pq.row_bytes()]);
            assert!((query.score_row(&row) - near.distance).abs() <= limit, "{metric:?}");
        }
    }
}

#[test]
fn few_rows_and_none_are_found() {
    let vectors = uniform(70, 6, 3);
    let (pq, rows) = trained(&vectors, 6, Metric::L2, PqSettings::new(3, 8));
    let query = pq.bind(&vectors[..6]);
    for count in [0, 1, 63, 64, 65, 70] {
        let blocks = PqBlocks::of_rows(pq.clone(), &rows[..count * 64]);
        assert_eq!(
            blocks.nearest(&[&query], 100, |_| true)[0].len(),
            count,
            "no row of those that fill a block"
        );
        assert!(blocks.nearest(&[&query], 0, |_| true)[0].is_empty());
        assert!(blocks.nearest(&[], 5, |_| true).is_empty());
        let section = Blob::copy_of(&blocks.to_section());
        let opened = PqBlocks::open_section(&section, pq.clone()).expect("own section");
        assert_eq!(opened.nearest(&[&query], 7, |_| true), blocks.nearest(&[&query], 7, |_| true));
        assert_eq!((opened.len(), opened.to_section()), (count as u32, section.to_vec()));
    }
}

#[test]
fn what_a_query_left_out_counts() {
    let parts = uniform(100, 6, 4);
    let (pq, rows) = trained(&parts, 6, Metric::L2, PqSettings::new(3, 4));
    let blocks = PqBlocks::of_rows(pq.clone(), &rows);
    let (whole, part) = (pq.bind_part(&parts[..6], 0.0), pq.bind_part(&parts[..6], 2.0));
    let found = blocks.candidates(&[&whole, &part], 5, |_| true);
    for (whole, part) in found[0].iter().zip(&found[1]) {
        assert!((part.distance - whole.distance - 2.0).abs() < 1e-5);
    }
    let found = blocks.nearest(&[&part], 5, |_| true).remove(0);
    let row = &rows[found[0].slot as usize * 64..][..64];
    assert_eq!(found[0].distance.to_bits(), part.score_row(row).to_bits());
}

#[test]
fn huge_vectors_are_scanned() {
    let vectors: Vec<f32> = uniform(100, 8, 5).iter().map(|x| x * f32::MAX).collect();
    for rotation in [PqRotation::None, PqRotation::Opq] {
        for metric in METRICS {
            let (pq, rows) = trained(&vectors, 8, metric, PqSettings::new(2, 4).rotation(rotation));
            let query = pq.bind(&vectors[..8]);
            let found = PqBlocks::of_rows(pq, &rows).nearest(&[&query], 3, |_| true);
            assert!(found[0].iter().all(|near| near.distance.is_finite()), "{found:?}");
        }
    }
}

/// The section of 100 rows with some bytes replaced and the checksum made right again.
fn forged(offset: usize, bytes: &[u8]) -> (Pq, Blob) {
    let (pq, rows) = trained(&uniform(100, 6, 6), 6, Metric::L2, PqSettings::new(3, 4));
    let mut section = PqBlocks::of_rows(pq.clone(), &rows).to_section();
    section[offset..offset + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&section[..CHECKED_BYTES]);
    section[CHECKED_BYTES..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    (pq, Blob::copy_of(&section))
}

#[test]
fn each_field_is_checked() {
    let error = |offset, bytes: &[u8]| {
        let (pq, section) = forged(offset, bytes);
        PqBlocks::open_section(&section, pq).expect_err("forged").to_string()
    };
    assert!(error(0, b"VQCS").contains("magic of blocks"));
    assert!(error(4, &[2]).contains("version 2"));
    assert!(error(6, &[6]).contains("shape"));
    assert!(error(6, &[8]).contains("codec PQ of this model"));
    assert!(error(7, &[9]).contains("metric"));
    assert!(error(8, &[0]).contains("dimension"));
    assert!(error(12, &[7]).contains("shape"), "more pieces than components");
    assert!(error(16, &[129]).contains("192 rows of 2 bytes need 384 bytes, found 256"));
    assert!(error(16, &[0xff; 4]).contains("number of rows"));
    assert!(error(20, &[1, 2]).contains("codec PQ of this model"));
    assert!(error(30, &[1]).contains("reserved"));
    let (pq, section) = forged(0, &[]);
    let cut = section.slice(0..70).expect("it is longer");
    assert!(matches!(PqBlocks::open_section(&cut, pq.clone()), Err(FormatError::Length { .. })));
    let mut damaged = section.to_vec();
    damaged[17] ^= 1;
    let damaged = PqBlocks::open_section(&Blob::copy_of(&damaged), pq);
    assert!(matches!(damaged, Err(FormatError::Checksum { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_blocks_are_scanned(bytes in prop::collection::vec(any::<u8>(), 256)) {
        let (pq, section) = forged(64, &bytes);
        let blocks = PqBlocks::open_section(&section, pq.clone()).expect("a sound header");
        let query = pq.bind(&[0.5; 6]);
        let found = blocks.nearest(&[&query], 10, |_| true).remove(0);
        prop_assert!(found.len() == 10 && found.iter().all(|near| near.slot < 100));
    }

    #[test]
    fn any_bytes_are_an_error_or_blocks(mut bytes in prop::collection::vec(any::<u8>(), 0..400), known in 0..64_usize) {
        let (pq, section) = forged(0, &[]);
        let len = bytes.len().min(known);
        bytes[..len].copy_from_slice(&section[..len]);
        if let Ok(blocks) = PqBlocks::open_section(&Blob::copy_of(&bytes), pq) {
            prop_assert_eq!(blocks.to_section(), bytes);
        }
    }
}
