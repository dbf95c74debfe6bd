//! Product quantization from outside: the bytes it writes, and its models as the format document describes them.

use vectra_core::Metric;
use vectra_core::codec::digest;
use vectra_core::testing::oracle::{Oracle, clustered, uniform};
use vectra_quant::{CodeQuery, Codec, KMeans, Pq, PqBlocks, PqRotation, PqSettings};

fn encoded(pq: &Pq, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![0; vectors.len() / pq.dim() * pq.row_bytes()];
    pq.encode_all(vectors, &mut rows);
    rows
}

fn float(bytes: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[4 * at + i]))
}

/// The vector that a row stands for, from the bytes of the model and those of the row.
fn by_the_book(model: &[u8], row: &[u8], dim: usize, pieces: usize, bits: usize) -> Vec<f32> {
    let (mut turned, mut at) = (Vec::new(), 64 / 4);
    for piece in 0..pieces {
        let components = dim / pieces + usize::from(piece < dim % pieces);
        let code = if bits == 8 { row[piece] } else { row[piece / 2] >> (4 * (piece % 2)) & 15 };
        turned.extend((0..components).map(|c| float(model, at + usize::from(code) * components + c)));
        at += components << bits;
    }
    if model[16] == 0 {
        return turned;
    }
    let direction = |j: usize, i: usize| float(model, at + j * dim + i);
    (0..dim).map(|i| (0..dim).map(|j| turned[j] * direction(j, i)).sum()).collect()
}

#[test]
fn rows_and_models_are_what_the_document_says() {
    let vectors = clustered(400, 22, 12, 0.4, 1);
    for bits in [4, 8] {
        for rotation in [PqRotation::None, PqRotation::Opq] {
            let settings = PqSettings::new(5, bits).rounds(3).rotation(rotation);
            let pq = Pq::train(&vectors, 22, Metric::L2, &settings).expect("settings that fit");
            let (model, mut decoded) = (pq.to_section(), vec![0.0; 22]);
            for row in encoded(&pq, &vectors).chunks_exact(64) {
                pq.decode(row, &mut decoded);
                let expected = by_the_book(&model, row, 22, 5, bits.into());
                assert!(decoded.iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-5), "{pq:?}");
            }
        }
    }
}

/// What is trained without a rotation has the same bytes on every machine, whatever its instruction sets; a change of these
/// numbers is another training, or another version of a format.
#[test]
fn models_and_codes_have_the_same_bytes_everywhere() {
    let sample = uniform(900, 21, 42);
    let expected = [
        (Metric::Cosine, 4, "cd215994e0adf87e38103c98796e9617", "f880eeba89d7b531fc4ac797934d80e5"),
        (Metric::Dot, 8, "d837622b2cc450d6f10053ebef6f3c75", "ac13c0598ddb048f1260f4f7e1949294"),
        (Metric::L2, 4, "4a064f76bc2e557d9847bacdb85e69f5", "72026cef158b83e7101a076d661911df"),
        (Metric::L2, 8, "a16c653e4ad0269f4b1d25cec2a88394", "d4983dffcefeed12bc4f5625d4861ae2"),
    ];
    let found = expected.map(|(metric, bits, ..)| {
        let settings = PqSettings::new(6, bits).rounds(5);
        let pq = Pq::train(&sample, 21, metric, &settings).expect("settings that fit");
        let blocks = PqBlocks::of_rows(pq.clone(), &encoded(&pq, &sample));
        (metric, bits, digest(&pq.to_section()).to_string(), digest(&blocks.to_section()).to_string())
    });
    let found =
        found.each_ref().map(|(metric, bits, model, blocks)| (*metric, *bits, &model[..], &blocks[..]));
    assert_eq!(found, expected);
}

#[test]
fn centroids_have_the_same_bits_everywhere() {
    let centroids = KMeans::new(40).train(&uniform(3000, 7, 43), 7).expect("rows are there");
    let bytes: Vec<u8> = centroids.to_rows().iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(
        (centroids.len(), digest(&bytes).to_string()),
        (40, "406f29ac4976c073fca83a085777b019".to_owned())
    );
}

#[test]
fn a_scan_of_blocks_and_a_re_rank_find_the_nearest() {
    let all = clustered(4020, 48, 60, 0.4, 2);
    let (vectors, queries) = all.split_at(4000 * 48);
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        // Half a byte for four dimensions.
        let settings = PqSettings::new(12, 4).rounds(10).rotation(PqRotation::Opq);
        let pq = Pq::train(vectors, 48, metric, &settings).expect("settings that fit");
        let blocks = PqBlocks::of_rows(pq.clone(), &encoded(&pq, vectors));
        let bound: Vec<_> = queries.chunks_exact(48).map(|query| pq.bind(query)).collect();
        let candidates = blocks.candidates(&bound.iter().collect::<Vec<_>>(), 200, |_| true);
        let oracle = Oracle::new(vectors, 48, metric);
        let mut recall = 0.0;
        for ((query, bound), found) in queries.chunks_exact(48).zip(&bound).zip(candidates) {
            assert_eq!(bound.codec(), &pq);
            let slots: Vec<u32> = found.iter().map(|near| near.slot).collect();
            recall += oracle.recall(query, 10, &slots, |_| true) / 20.0;
        }
        assert!(recall > 0.95, "{metric}: {recall}");
    }
}
