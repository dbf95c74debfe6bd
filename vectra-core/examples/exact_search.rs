//! Exact search over random vectors with nothing but this crate: `cargo run --example exact_search`.

use std::num::ParseIntError;

use vectra_core::Metric;
use vectra_core::admit::All;
use vectra_core::env::{Clock, OsClock, Rng, SeededRng};
use vectra_core::index::{AnnIndex, Flat, FlatScratch, SearchParams};
use vectra_core::scorer::VectorStore;
use vectra_core::vector::dense::DenseStore;

const DIM: usize = 64;

fn main() -> Result<(), ParseIntError> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(10_000), |arg| arg.parse())?;
    let rng = SeededRng::new(1);
    let mut store = DenseStore::<f32>::new(DIM, Metric::Cosine);
    for _ in 0..count {
        store.push(&random_vector(&rng));
    }

    let query = random_vector(&rng);
    let params = SearchParams::new(5, 0);
    let (mut scratch, mut found) = (FlatScratch::default(), Vec::new());
    let clock = OsClock::new();
    let counts = Flat::new(count).search(&mut store.bind(&query), &params, &All, &mut scratch, &mut found);
    let time = clock.now();

    println!("{} distances of {DIM} dimensions in {time:?}", counts.distances);
    for neighbor in &found {
        println!("slot {:>6}  distance {:.4}", neighbor.slot, neighbor.distance);
    }
    Ok(())
}

/// Components uniform in -1..1.
fn random_vector(rng: &dyn Rng) -> Vec<f32> {
    (0..DIM).map(|_| rng.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0).collect()
}
