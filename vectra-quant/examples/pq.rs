//! Product quantization over the caller's own array: trains, encodes, scans blocks of codes, re-ranks by the vectors, and
//! says what that saved and cost.
//!
//! `cargo run --release --example pq [ROWS [PIECES [BITS]]]` (20,000, 48 and 4 unless told).

use std::time::Duration;

use vectra_core::env::{Clock, OsClock};
use vectra_core::testing::oracle::clustered;
use vectra_core::vector::dense::DenseStore;
use vectra_core::{Metric, Neighbor};
use vectra_quant::{Codec, Pq, PqBlocks, PqRotation, PqSettings, TrainError};

const DIM: usize = 192;
const QUERIES: usize = 100;
const K: usize = 10;

fn main() -> Result<(), TrainError> {
    let number = |n: usize| std::env::args().nth(n).and_then(|text| text.parse().ok());
    let (count, pieces) = (number(1).unwrap_or(20_000), number(2).unwrap_or(48));
    let bits = number(3).unwrap_or(4) as u8;
    let all = clustered(count + QUERIES, DIM, 100, 0.5, 1);
    let (vectors, queries) = all.split_at(count * DIM);
    for rotation in [PqRotation::None, PqRotation::Opq] {
        run(vectors, queries, PqSettings::new(pieces, bits).rotation(rotation))?;
    }
    Ok(())
}

fn run(vectors: &[f32], queries: &[f32], settings: PqSettings) -> Result<(), TrainError> {
    let (trained, training) = timed(|| Pq::train(vectors, DIM, Metric::L2, &settings));
    let pq = trained?;
    let mut rows = vec![0; vectors.len() / DIM * pq.row_bytes()];
    let ((), encoding) = timed(|| pq.encode_all(vectors, &mut rows));
    let blocks = PqBlocks::of_rows(pq.clone(), &rows);
    let count = blocks.len() as usize;
    println!(
        "{pq:?}: {} bytes a vector, of {} as f32; trained in {:.2} s, encoded at {:.2} us a vector",
        pq.shape().code_bytes(),
        4 * DIM,
        training.as_secs_f64(),
        encoding.as_secs_f64() * 1e6 / count as f64
    );

    let bound: Vec<_> = queries.chunks_exact(DIM).map(|query| pq.bind(query)).collect();
    let bound: Vec<_> = bound.iter().collect();
    let (candidates, scanning) = timed(|| blocks.candidates(&bound, 5 * K, |_| true));
    let nearest = blocks.nearest(&bound, K, |_| true);

    let truth = DenseStore::<f32>::from_vectors(vectors, DIM, Metric::L2);
    let (mut distances, mut alone, mut reranked) = (vec![0.0; count], 0, 0);
    for ((query, nearest), candidates) in queries.chunks_exact(DIM).zip(nearest).zip(candidates) {
        truth.view().scan(query, 0..count as u32, &mut distances);
        let mut exact: Vec<Neighbor> = distances
            .iter()
            .zip(0..)
            .map(|(distance, slot)| Neighbor { distance: *distance, slot })
            .collect();
        exact.sort_unstable();
        let hits = |found: &[Neighbor]| {
            found.iter().filter(|near| exact[..K].iter().any(|x| x.slot == near.slot)).count()
        };
        alone += hits(&nearest);
        let mut best: Vec<Neighbor> = candidates
            .iter()
            .map(|near| Neighbor { distance: distances[near.slot as usize], slot: near.slot })
            .collect();
        best.sort_unstable();
        reranked += hits(&best[..K.min(best.len())]);
    }
    let share = |hits: usize| hits as f64 / (K * bound.len()) as f64;
    println!(
        "  recall at {K}: {:.3} from codes alone, {:.3} after a re-rank of {}; {:.2} ns a row and query",
        share(alone),
        share(reranked),
        5 * K,
        scanning.as_secs_f64() * 1e9 / (count * bound.len()) as f64
    );
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let clock = OsClock::new();
    let start = clock.now();
    let result = work();
    (result, clock.now().saturating_sub(start))
}
