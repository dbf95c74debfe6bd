//! One bit per component: what it finds, and what vectors must be like for that.

use vectra_core::Metric;
use vectra_core::testing::oracle::{Oracle, clustered};
use vectra_quant::{Binary, Codec, Coder, Rotated, Rows};

const DIM: usize = 96;
const COUNT: usize = 3000;
const K: usize = 10;

/// The mean recall of the ten nearest among the `wanted` nearest by codes.
fn recall(coder: &Coder<Binary>, vectors: &[f32], queries: &[f32], wanted: usize) -> f64 {
    let stride = coder.codec().row_bytes();
    let mut bytes = vec![0; vectors.len() / DIM * stride];
    for (vector, row) in vectors.chunks_exact(DIM).zip(bytes.chunks_exact_mut(stride)) {
        coder.encode(vector, row);
    }
    let (rows, oracle) = (Rows::new(*coder.codec(), &bytes), Oracle::new(vectors, DIM, coder.metric()));
    let mut sum = 0.0;
    for query in queries.chunks_exact(DIM) {
        let mut found: Vec<u32> =
            rows.nearest(&coder.bind(query), wanted).iter().map(|near| near.slot).collect();
        found.sort_by(|a, b| oracle.distance(query, *a).total_cmp(&oracle.distance(query, *b)));
        found.truncate(K);
        sum += oracle.recall(query, K, &found, |_| true);
    }
    sum / (queries.len() / DIM) as f64
}

#[test]
fn signs_of_turned_vectors_find_neighbours_and_signs_of_shifted_ones_do_not() {
    // All components far above zero: every sign is the same until the centre is taken away.
    let shifted: Vec<f32> = clustered(COUNT + 30, DIM, 30, 0.6, 1).iter().map(|x| x + 20.0).collect();
    let (vectors, queries) = shifted.split_at(COUNT * DIM);
    let plain = Coder::direct(Binary::new(DIM, Metric::L2));
    let rotated = Rotated::fit(vectors, DIM, Metric::L2, 3);
    let codec = Binary::new(rotated.padded(), Metric::L2);
    let turned = Coder::rotated(rotated, codec);
    let (plain, turned) = (recall(&plain, vectors, queries, 200), recall(&turned, vectors, queries, 200));
    assert!(turned > 0.85, "{turned}");
    assert!(plain < 0.5 * turned, "{plain}");
}

#[test]
fn more_rows_to_re_rank_find_more() {
    let all = clustered(COUNT + 30, DIM, 30, 0.6, 2);
    let (vectors, queries) = all.split_at(COUNT * DIM);
    let coder = Coder::direct(Binary::new(DIM, Metric::Cosine));
    let recalls = [10, 50, 300, COUNT].map(|wanted| recall(&coder, vectors, queries, wanted));
    assert!(recalls.is_sorted_by(|a, b| a <= b), "{recalls:?}");
    assert!(recalls[0] > 0.1 && recalls[2] > 0.85 && recalls[3] > 0.999, "{recalls:?}");
}
