use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::codec::{DecodeError, crc32c};
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Oracle, clustered, uniform};

use super::*;
use crate::coder::Coder;
use crate::format::FormatError;
use crate::isa::runnable;
use crate::rabitq::kernel::Kernels;
use crate::rotated::Rotated;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

/// A coder, its rows and their blocks.
fn coded(vectors: &[f32], dim: usize, metric: Metric) -> (Coder<RaBitQ>, Vec<u8>, SignBlocks) {
    let rotated = Rotated::fit(vectors, dim, metric, 3);
    let codec = RaBitQ::new(rotated.padded(), 1, metric);
    let coder = Coder::rotated(rotated, codec);
    let mut rows = vec![0; vectors.len() / dim * codec.row_bytes()];
    let pairs = vectors.chunks_exact(dim).zip(rows.chunks_exact_mut(codec.row_bytes()));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    let blocks = SignBlocks::pack(RaBitQRows::new(codec, &rows));
    (coder, rows, blocks)
}

#[test]
fn blocks_say_what_rows_say_but_for_what_tables_round() {
    for (dim, count) in [(60, 3), (64, 63), (100, 64), (384, 65), (192, 1500)] {
        let vectors = clustered(count, dim, 5, 0.4, 1);
        for metric in METRICS {
            let (coder, rows, blocks) = coded(&vectors, dim, metric);
            assert_eq!((blocks.len(), blocks.codec()), (count, coder.codec()));
            for query in uniform(3, dim, 2).chunks_exact(dim) {
                let bound = coder.bind(query);
                let (mut expected, mut found) =
                    (vec![Estimate::default(); count], vec![Estimate::default(); count]);
                bound.estimate_all(&rows, &mut expected);
                blocks.estimate_all(&bound.signs(), &mut found);
                for (found, expected) in found.iter().zip(&expected) {
                    let off = (found.distance - expected.distance).abs();
                    assert!(off < 0.2 * expected.error, "{metric} {dim}: {found:?} {expected:?}");
                    let wider = found.error / expected.error;
                    assert!((1.0..1.01).contains(&wider), "{metric} {dim}: {found:?} {expected:?}");
                }
            }
        }
    }
}

#[test]
fn the_nearest_by_estimates_are_those_of_all() {
    let vectors = clustered(1000, 96, 5, 0.4, 1);
    for metric in METRICS {
        let (coder, _, blocks) = coded(&vectors, 96, metric);
        let query = coder.bind(&uniform(1, 96, 3)).signs();
        let mut all = vec![Estimate::default(); 1000];
        blocks.estimate_all(&query, &mut all);
        let admits = |slot: u32| slot % 2 == 1;
        let mut expected: Vec<_> =
            all.iter().zip(0..).map(|(of, slot)| Neighbor { distance: of.distance, slot }).collect();
        expected.retain(|neighbor| admits(neighbor.slot));
        expected.sort();
        assert_eq!(blocks.nearest(&query, 20, admits), expected[..20]);
    }
}

#[test]
fn ranges_are_missed_as_often_as_they_say() {
    let (dim, count) = (192, 1000);
    let vectors = clustered(count, dim, 12, 0.3, 1);
    for metric in METRICS {
        let (coder, _, blocks) = coded(&vectors, dim, metric);
        let (mut beyond, mut sum) = (0, 0.0);
        let mut estimates = vec![Estimate::default(); count];
        for query in clustered(40, dim, 12, 0.3, 2).chunks_exact(dim) {
            blocks.estimate_all(&coder.bind(query).signs(), &mut estimates);
            for (vector, estimate) in vectors.chunks_exact(dim).zip(&estimates) {
                let error = f64::from(estimate.distance) - reference::distance(metric, query, vector);
                beyond += usize::from(error.abs() > f64::from(estimate.error));
                sum += error / f64::from(estimate.error) / (40 * count) as f64;
            }
        }
        let share = beyond as f64 / (40 * count) as f64;
        assert!((0.04..0.075).contains(&share) && sum.abs() < 0.05, "{metric}: {share} {sum}");
    }
}

/// The share of the true neighbours that a pruned re-rank finds, and how many vectors it reads for a query.
fn recall(metric: Metric, eps: f32) -> (f64, f64) {
    let (dim, count) = (256, 5000);
    let vectors = clustered(count, dim, 40, 0.5, 4);
    let (coder, _, blocks) = coded(&vectors, dim, metric);
    let oracle = Oracle::new(&vectors, dim, metric);
    let (mut recall, mut reads) = (0.0, 0);
    for query in clustered(20, dim, 40, 0.5, 4).chunks_exact(dim) {
        let query: Vec<f32> = query.iter().zip(uniform(1, dim, 5)).map(|(x, d)| x + 0.3 * d).collect();
        let bound = coder.bind(&query).with_eps(eps).signs();
        let found = blocks
            .candidates(&bound, 10, |slot| slot % 3 != 0)
            .rerank(|slot| oracle.distance(&query, slot) as f32);
        let slots: Vec<u32> = found.nearest.iter().map(|found| found.slot).collect();
        assert!(slots.iter().all(|slot| slot % 3 != 0) && slots.len() == 10);
        recall += oracle.recall(&query, 10, &slots, |slot| slot % 3 != 0) / 20.0;
        reads += found.reads;
    }
    (recall, reads as f64 / 20.0)
}

#[test]
fn one_bit_and_few_reads_find_the_nearest() {
    for metric in METRICS {
        let (wide, wide_reads) = recall(metric, 3.0);
        let (usual, reads) = recall(metric, 1.9);
        assert!(wide >= 0.995 && usual >= 0.97, "{metric}: {wide} {usual}");
        assert!(reads < wide_reads && reads < 150.0, "{metric}: {reads} {wide_reads}");
    }
}

#[test]
fn every_kernel_finds_the_same_rows_within_a_bound() {
    let vectors = clustered(64, 70, 3, 0.5, 6);
    for metric in METRICS {
        let (coder, _, blocks) = coded(&vectors, 70, metric);
        let bound = coder.bind(&vectors[..70]);
        let side = {
            let signs = bound.signs();
            bound.sign_side(signs.tables().bias(), signs.tables().scale(), signs.tables().layout().columns())
        };
        let mut sums = [0; BLOCK_ROWS];
        bound.signs().tables().scan(&blocks.codes, &mut sums);
        let factors = blocks.factors.first_chunk().expect("one block");
        let mut answers = Vec::new();
        for kernel in runnable::<Kernels>() {
            let within = kernel.within(&side, &sums, factors, 0.5);
            for (at, sum) in sums.iter().enumerate() {
                let lower = side.estimate(*sum, read(factors, at)).lower();
                assert_eq!(within >> at & 1 == 1, lower <= 0.5, "{metric}: {lower}");
            }
            let all = kernel.within(&side, &sums, factors, f32::INFINITY);
            let none = kernel.within(&side, &sums, factors, f32::NEG_INFINITY);
            answers.push((within, all, none));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        assert_eq!((answers[0].1, answers[0].2), (u64::MAX, 0));
    }
}

#[test]
fn a_section_leads_back() {
    for count in [0, 1, 64, 100] {
        let vectors = uniform(count, 100, 7);
        let (coder, _, blocks) = coded(&vectors, 100, Metric::Cosine);
        let section = blocks.to_section();
        assert_eq!(section.len(), 64 + count.div_ceil(64) * (64 * 16 + 768));
        let opened = SignBlocks::open_section(&Blob::copy_of(&section), coder.codec()).expect("own section");
        assert_eq!((opened.len(), opened.is_empty()), (count, count == 0));
        assert_eq!(opened.to_section(), section);
        let mut estimates = [vec![Estimate::default(); count], vec![Estimate::default(); count]];
        let query = coder.bind(&[0.3; 100]).signs();
        blocks.estimate_all(&query, &mut estimates[0]);
        opened.estimate_all(&query, &mut estimates[1]);
        assert_eq!(estimates[0], estimates[1]);
    }
}

/// A section with some bytes replaced and the header's checksum made right again.
fn forged(offset: usize, bytes: &[u8]) -> Blob {
    let (_, _, blocks) = coded(&uniform(70, 64, 8), 64, Metric::L2);
    let mut section = blocks.to_section();
    section[offset..offset + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c(&section[..60]);
    section[60..64].copy_from_slice(&crc.to_le_bytes());
    Blob::copy_of(&section)
}

#[test]
fn each_field_is_checked() {
    let codec = RaBitQ::new(64, 1, Metric::L2);
    let open = |offset, bytes: &[u8]| SignBlocks::open_section(&forged(offset, bytes), &codec).map(|_| ());
    let field = |offset, what| Err(FormatError::Field(DecodeError::new(offset, what)));
    assert_eq!(open(0, b"VQSB"), Ok(()));
    assert_eq!(open(0, b"VQSC"), field(0, "magic of blocks of signs"));
    assert_eq!(open(4, &[2]), Err(FormatError::Version { found: 2 }));
    assert_eq!(open(6, &[1]), field(16, "reserved bytes"));
    assert_eq!(open(7, &[4]), field(7, "metric"));
    assert_eq!(open(7, &[1]), field(7, "metric and dimension of the codec"));
    assert_eq!(open(8, &[0]), field(8, "dimension"));
    assert_eq!(open(8, &[65]), field(7, "metric and dimension of the codec"));
    assert_eq!(open(12, &[65]), Ok(()), "as many blocks");
    assert!(matches!(open(12, &[129]), Err(FormatError::Length { rows: 3, .. })));
    assert!(matches!(open(12, &[255; 4]), Err(FormatError::Length { .. })));
    assert_eq!(open(59, &[1]), field(16, "reserved bytes"));
    let two_bits = RaBitQ::new(64, 2, Metric::L2);
    assert!(SignBlocks::open_section(&forged(0, b"V"), &two_bits).is_err());
}

#[test]
#[should_panic(expected = "codes of one bit")]
fn rows_of_more_bits_are_refused() {
    SignBlocks::pack(RaBitQRows::new(RaBitQ::new(64, 2, Metric::L2), &[]));
}

#[test]
#[should_panic(expected = "different codecs")]
fn a_query_of_other_rows_is_refused() {
    let (coder, ..) = coded(&[], 64, Metric::L2);
    let (_, _, blocks) = coded(&[], 128, Metric::L2);
    let _ = blocks.candidates(&coder.bind(&[0.0; 64]).signs(), 1, |_| true);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_an_error_or_are_scanned(
        body in prop::collection::vec(any::<u8>(), 512 + 768),
        rows in 1..65_u32,
        metric in 0..3_usize,
    ) {
        let codec = RaBitQ::new(64, 1, METRICS[metric]);
        let (_, _, blocks) = coded(&uniform(1, 64, 1), 64, METRICS[metric]);
        let mut section = blocks.to_section();
        section[64..].copy_from_slice(&body);
        section[12..16].copy_from_slice(&rows.to_le_bytes());
        let crc = crc32c(&section[..60]);
        section[60..64].copy_from_slice(&crc.to_le_bytes());
        let opened = SignBlocks::open_section(&Blob::copy_of(&section), &codec).expect("a sound header");
        let query = codec.bind(&[0.5; 64]).signs();
        let found = opened.candidates(&query, 3, |_| true).rerank(|slot| slot as f32);
        prop_assert!(found.nearest.len() <= 3.min(rows as usize) && found.reads <= rows as usize);
    }

    #[test]
    fn a_flipped_bit_of_the_header_is_found(bit in 0..512_usize) {
        let (coder, _, blocks) = coded(&uniform(2, 64, 1), 64, Metric::L2);
        let mut section = blocks.to_section();
        section[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(SignBlocks::open_section(&Blob::copy_of(&section), coder.codec()).is_err());
    }
}
