//! Encodes an array of vectors, searches the codes, re-ranks by the vectors, and says what that saved and cost.
//!
//! `cargo run --release --example compress [ROWS [METRIC]]` (20,000 and cosine unless told).

use std::time::Duration;

use vectra_core::Metric;
use vectra_core::env::{Clock, OsClock};
use vectra_core::memory::AlignedBuf;
use vectra_core::testing::oracle::{Dice, clustered};
use vectra_core::vector::dense::DenseStore;
use vectra_core::{Neighbor, TopK};
use vectra_quant::{CodeQuery, Codec, Sq8, Sq8Query};

const DIM: usize = 384;
const QUERIES: usize = 20;
const K: usize = 10;

fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20_000_usize);
    let all = clustered(count + QUERIES, DIM, 100, 0.5, 1);
    let (vectors, queries) = all.split_at(count * DIM);

    let metric = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(Metric::Cosine);
    let sq8 = Sq8::new(DIM, metric);
    // Any memory would do; this one is aligned to cache lines and asks for huge pages.
    let mut rows = AlignedBuf::zeroed(count * sq8.row_bytes());
    let encoding = timed(|| {
        for (vector, row) in vectors.chunks_exact(DIM).zip(rows.chunks_exact_mut(sq8.row_bytes())) {
            sq8.encode(vector, row);
        }
    });
    let raw = size_of_val(vectors);
    println!(
        "{count} vectors of {DIM} dimensions: {} MB as f32, {} MB as codes",
        raw >> 20,
        rows.len() >> 20
    );
    println!("encoding: {:.0} ns a vector", nanos(encoding, count));

    recall(sq8, vectors, &rows, queries);
    let query = sq8.bind(&queries[..DIM]);
    println!("{query:?}");
    speed(&query, &rows, count);
}

/// How many of the true neighbours codes alone find, and codes with a re-rank of four times as many.
fn recall(sq8: Sq8, vectors: &[f32], rows: &[u8], queries: &[f32]) {
    let count = vectors.len() / DIM;
    let truth = DenseStore::<f32>::from_vectors(vectors, DIM, sq8.metric());
    let mut distances = vec![0.0; count];
    let (mut alone, mut reranked) = (0, 0);
    for query in queries.chunks_exact(DIM) {
        truth.view().scan(query, 0..count as u32, &mut distances);
        let exact = nearest(&distances, K);
        sq8.bind(query).scan(rows, &mut distances);
        let candidates = nearest(&distances, 4 * K);
        alone += candidates[..K].iter().filter(|slot| exact.contains(slot)).count();

        let mut by_vector = vec![0.0; candidates.len()];
        truth.view().scorer(query).exact(&candidates, &mut by_vector);
        let best = nearest(&by_vector, K);
        reranked += best.iter().filter(|i| exact.contains(&candidates[**i as usize])).count();
    }
    let share = |hits: usize| hits as f64 / (K * QUERIES) as f64;
    println!(
        "recall at {K}: {:.3} from codes alone, {:.3} after a re-rank of {}",
        share(alone),
        share(reranked),
        4 * K
    );
}

/// The positions of the `k` smallest distances.
fn nearest(distances: &[f32], k: usize) -> Vec<u32> {
    let mut top = TopK::new(k);
    for (distance, slot) in distances.iter().zip(0..) {
        top.push(Neighbor { distance: *distance, slot });
    }
    top.into_sorted().into_iter().map(|n| n.slot).collect()
}

/// A contiguous scan, and 65,536 random rows in groups of 32 as a graph walk asks for them.
fn speed(query: &Sq8Query, rows: &[u8], count: usize) {
    let mut distances = vec![0.0; count];
    let scan = best_of_five(|| query.scan(rows, &mut distances));
    report("scan", scan, count, rows.len() / count);

    let mut dice = Dice::new(2);
    let slots: Vec<u32> = (0..65_536).map(|_| dice.below(count) as u32).collect();
    let mut distances = [0.0; 32];
    let gather = best_of_five(|| {
        for slots in slots.chunks_exact(32) {
            query.gather(rows, slots, &mut distances);
        }
    });
    report("gather", gather, slots.len(), rows.len() / count);
    let one = best_of_five(|| {
        for slot in &slots {
            let start = *slot as usize * query.codec().row_bytes();
            distances[0] += query.score_row(&rows[start..start + query.codec().row_bytes()]);
        }
    });
    report("one by one", one, slots.len(), rows.len() / count);
}

fn report(what: &str, time: Duration, rows: usize, row_bytes: usize) {
    let each = nanos(time, rows);
    println!("{what}: {each:.1} ns a row, {:.1} GB/s", row_bytes as f64 / each);
}

fn nanos(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count.max(1) as f64
}

fn best_of_five(mut work: impl FnMut()) -> Duration {
    (0..5).map(|_| timed(&mut work)).min().unwrap_or_default()
}

fn timed(work: impl FnOnce()) -> Duration {
    let clock = OsClock::new();
    let start = clock.now();
    work();
    clock.now().saturating_sub(start)
}
