//! Buckets as a program would use them: to find out what it has already.

use vectra_core::Metric;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Dice, clustered};
use vectra_quant::lsh::{LshPrefilter, LshTables};

const DIM: usize = 64;
const COUNT: usize = 4000;

/// A vector near to `vector`: cosines of some 0.97.
fn copy(vector: &[f32], dice: &mut Dice) -> Vec<f32> {
    let size = (vector.iter().map(|x| x * x).sum::<f32>() / DIM as f32).sqrt();
    vector.iter().map(|x| x + 0.25 * size * dice.gaussian()).collect()
}

#[test]
fn copies_are_found_by_a_look_at_few_rows() {
    let vectors = clustered(COUNT, DIM, 400, 1.0, 1);
    let tables = LshPrefilter::for_recall(COUNT as u32, 0.95, 0.95).build(&vectors, DIM);
    let mut dice = Dice::new(2);
    let (mut found, mut looked, mut candidates) = (0, 0, Vec::new());
    for slot in (0..COUNT).step_by(10) {
        let query = copy(&vectors[slot * DIM..][..DIM], &mut dice);
        tables.candidates(&query, &mut candidates);
        looked += candidates.len();
        let distance =
            |row: &u32| reference::distance(Metric::Cosine, &query, &vectors[*row as usize * DIM..][..DIM]);
        let best = candidates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        found += usize::from(best == Some(&(slot as u32)));
    }
    let (found, looked) = (found as f64 / 400.0, looked as f64 / 400.0 / COUNT as f64);
    assert!(found > 0.9, "{found} of the copies");
    assert!(looked < 0.1, "{looked} of the rows were looked at");
}

#[test]
fn more_tables_and_more_buckets_find_more() {
    let vectors = clustered(COUNT, DIM, 400, 1.0, 3);
    let settings = |tables, probes| LshPrefilter { tables, bits: 9, probes, seed: 4 };
    let mut dice = Dice::new(5);
    let queries: Vec<f32> =
        vectors.chunks_exact(DIM).take(200).flat_map(|vector| copy(vector, &mut dice)).collect();
    let count = |tables: &LshTables| -> usize {
        let mut candidates = Vec::new();
        let mut found = |(slot, query): (u32, &[f32])| {
            tables.candidates(query, &mut candidates);
            usize::from(candidates.contains(&slot))
        };
        (0..).zip(queries.chunks_exact(DIM)).map(&mut found).sum()
    };
    let [few, more, most] = [settings(2, 1), settings(4, 1), settings(4, 8)]
        .map(|settings| count(&settings.build(&vectors, DIM)));
    assert!(few < more && more < most, "{few} {more} {most}");
}
