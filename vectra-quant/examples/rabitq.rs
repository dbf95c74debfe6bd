//! Encodes an array of vectors in one bit for each component, scans that, and reads only the vectors that its ranges leave open.
//!
//! `cargo run --release --example rabitq [ROWS [EPS]]` (20,000 and 1.9 unless told).

use std::time::Duration;

use vectra_core::Metric;
use vectra_core::env::{Clock, OsClock};
use vectra_core::testing::oracle::{Oracle, clustered};
use vectra_quant::rabitq::SignBlocks;
use vectra_quant::{Codec, Coder, RaBitQ, RaBitQRows, Rotated};

const DIM: usize = 384;
const QUERIES: usize = 20;
const K: usize = 10;

fn main() {
    let argument = |at| std::env::args().nth(at);
    let count = argument(1).and_then(|text| text.parse().ok()).unwrap_or(20_000_usize);
    let eps = argument(2).and_then(|text| text.parse().ok()).unwrap_or(1.9);
    let all = clustered(count + QUERIES, DIM, 100, 0.5, 1);
    let (vectors, queries) = all.split_at(count * DIM);

    // The centre of a sample would do.
    let rotated = Rotated::fit(vectors, DIM, Metric::Cosine, 1);
    let codec = RaBitQ::new(rotated.padded(), 1, Metric::Cosine);
    let coder = Coder::rotated(rotated, codec);
    let mut rows = vec![0; count * codec.row_bytes()];
    let encoding = timed(|| {
        for (vector, row) in vectors.chunks_exact(DIM).zip(rows.chunks_exact_mut(codec.row_bytes())) {
            coder.encode(vector, row);
        }
    });
    println!("{count} vectors: {} MB as f32, {} MB as codes", size_of_val(vectors) >> 20, rows.len() >> 20);
    println!("encoding: {:.0} ns a vector", nanos(encoding, count));

    let blocks = SignBlocks::pack(RaBitQRows::new(codec, &rows));
    let oracle = Oracle::new(vectors, DIM, Metric::Cosine);
    let (mut scanning, mut reads, mut recall) = (Duration::ZERO, 0, 0.0);
    for query in queries.chunks_exact(DIM) {
        let bound = coder.bind(query).with_eps(eps).signs();
        let mut candidates = None;
        scanning += timed(|| candidates = Some(blocks.candidates(&bound, K, |_| true)));
        let candidates = candidates.expect("timed runs it");
        let found = candidates.rerank(|slot| oracle.distance(query, slot) as f32);
        let slots: Vec<u32> = found.nearest.iter().map(|neighbor| neighbor.slot).collect();
        recall += oracle.recall(query, K, &slots, |_| true) / QUERIES as f64;
        reads += found.reads;
    }
    println!("scanning: {:.2} ns a row", nanos(scanning, QUERIES * count));
    println!("{:.1} vectors read for a query, recall {recall:.4}", reads as f64 / QUERIES as f64);
}

fn timed(work: impl FnOnce()) -> Duration {
    let clock = OsClock::new();
    let start = clock.now();
    work();
    clock.now().saturating_sub(start)
}

fn nanos(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}
