//! Rows that grow in chunks, and rows of a file: one bound query serves both.

use proptest::prelude::*;
use vectra_core::Metric;
use vectra_core::io::Blob;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::uniform;
use vectra_core::vector::chunk::chunked;
use vectra_quant::{CodeQuery, Codec, Header, Quantizer, Sq8, Sq8Rows, Sq8View};

use crate::encode_all;

const DIM: usize = 33;

#[test]
fn chunks_and_sections_give_the_same_distances() {
    let vectors = uniform(300, DIM, 1);
    for metric in Metric::ALL {
        let sq8 = Sq8::new(DIM, metric);
        let rows = encode_all(sq8, &vectors);
        let (mut writer, reader) = chunked::<u8>(sq8.row_bytes(), 128);
        for row in rows.chunks_exact(sq8.row_bytes()) {
            writer.push(row);
        }
        let view = Sq8View::open(Blob::copy_of(&rows), sq8, 300).expect("the length fits");

        let query = sq8.bind(&vectors[..DIM]);
        let mut scorer = view.rows().scorer(&query);
        let mut seen = 0;
        for (first, run) in reader.runs(0..reader.len()) {
            let chunk = Sq8Rows::new(sq8, run);
            let mut distances = vec![0.0; chunk.len()];
            query.scan(run, &mut distances);
            for (distance, slot) in distances.iter().zip(0..) {
                assert_eq!(distance.to_bits(), scorer.score(first + slot).to_bits());
                assert_eq!(distance.to_bits(), chunk.scorer(&query).score(slot).to_bits());
            }
            seen += chunk.len();
        }
        assert_eq!(seen, view.len());
    }
}

#[test]
fn a_stored_vector_is_the_nearest_to_itself() {
    let vectors = uniform(100, DIM, 2);
    for metric in [Metric::Cosine, Metric::L2, Metric::L1] {
        let sq8 = Sq8::new(DIM, metric);
        let rows = encode_all(sq8, &vectors);
        let store = Sq8Rows::new(sq8, &rows);
        for a in 0..100 {
            let nearest = (0..100).min_by(|x, y| store.between(a, *x).total_cmp(&store.between(a, *y)));
            assert_eq!(nearest, Some(a), "{metric}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_section_is_read_as_it_was_written(
        dim in 1..200_usize,
        count in 0..20_usize,
        metric in 0..4_usize,
        seed: u64,
    ) {
        let sq8 = Sq8::new(dim, Metric::ALL[metric]);
        let vectors = uniform(count, dim, seed);
        let header = Header { quantizer: Quantizer::Sq8(sq8), rows: count as u32 };
        let rows = encode_all(sq8, &vectors);
        let section = Blob::copy_of(&[&header.encode()[..], &rows].concat());
        let view = Sq8View::open_section(&section, sq8).expect("written above");
        prop_assert_eq!((view.len(), view.dim(), *view.codec()), (count, dim, sq8));
        prop_assert_eq!(view.rows().bytes(), &rows[..]);
    }
}
