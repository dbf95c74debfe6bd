//! True neighbours, by comparing everything with everything: a block of rows at a time, with all queries.

use std::fs::File;

use vectra::Metric;
use vectra_core::distance::kernels;
use vectra_core::vector::normalize::inverse_norm;
use vectra_core::{Neighbor, TopK};

use crate::Outcome;
use crate::data::Array;
use crate::truth::distance;
use crate::workload::Progress;

/// Rows read at a time: what is held of the base.
const BLOCK: usize = 8192;
/// Rows that one query after the other is compared with: few enough to stay in a cache near the processor.
const TILE: usize = 128;
/// Candidates beyond those wanted: sums in single precision may order what is nearly equal otherwise than the sums in
/// double precision that decide.
const MORE: usize = 28;

/// What is to be found.
pub(super) struct Asked {
    pub(super) metric: Metric,
    /// One after the other.
    pub(super) queries: Vec<f32>,
    /// Rows per query, at least one and at most as many as there are.
    pub(super) k: usize,
    /// Threads that share the queries; the answer does not depend on them.
    pub(super) threads: usize,
}

/// The numbers of the nearest rows of each query, nearest first, of equal ones the lowest first.
pub(super) fn nearest(base: &mut Array<File>, asked: &Asked) -> Outcome<Vec<Vec<u32>>> {
    let progress = Progress::new("looking for the true neighbours");
    let (rows, dim) = (base.rows(), base.columns());
    let queries: Vec<&[f32]> = asked.queries.chunks_exact(dim).collect();
    let mut best: Vec<TopK<Neighbor>> = queries.iter().map(|_| TopK::new(asked.k + MORE)).collect();
    let share = queries.len().div_ceil(asked.threads).max(1);
    for first in (0..rows).step_by(BLOCK) {
        progress.at(first, rows);
        let block = base.vectors(first, BLOCK.min(rows - first))?;
        std::thread::scope(|scope| {
            for (queries, best) in queries.chunks(share).zip(best.chunks_mut(share)) {
                let block = &block;
                scope.spawn(move || compare(asked.metric, block, first, queries, best));
            }
        });
    }
    let mut found = Vec::with_capacity(queries.len());
    for (query, best) in queries.iter().zip(best) {
        found.push(decide(base, asked, query, best)?);
    }
    Ok(found)
}

/// Offers each row of `block`, whose first is number `first`, to the candidates of each query.
fn compare(metric: Metric, block: &[f32], first: usize, queries: &[&[f32]], best: &mut [TopK<Neighbor>]) {
    let Some(dim) = queries.first().map(|query| query.len()) else { return };
    let kernels = kernels::<f32>(metric.op());
    for (number, tile) in block.chunks(TILE * dim).enumerate() {
        let first = first + number * TILE;
        let scales: Vec<f32> = tile.chunks_exact(dim).map(|row| scale(metric, row)).collect();
        let mut out = [0.0; TILE];
        for (query, best) in queries.iter().zip(&mut *best) {
            let out = &mut out[..scales.len()];
            kernels.scan(query, tile, out);
            for (i, (raw, scale)) in out.iter().zip(&scales).enumerate() {
                let distance = raw * scale;
                if distance <= best.bound() {
                    best.push(Neighbor { distance, slot: (first + i) as u32 });
                }
            }
        }
    }
}

/// What turns the kernel's sum into something that rises with the distance. The query's length plays no part in it.
fn scale(metric: Metric, row: &[f32]) -> f32 {
    match metric {
        Metric::Cosine => -inverse_norm(row),
        Metric::Dot => -1.0,
        Metric::L2 | Metric::L1 => 1.0,
    }
}

/// The best candidates by their distances in double precision.
fn decide(base: &mut Array<File>, asked: &Asked, query: &[f32], best: TopK<Neighbor>) -> Outcome<Vec<u32>> {
    let mut scored = Vec::with_capacity(best.len());
    for candidate in best.into_sorted() {
        let row = base.vectors(candidate.slot as usize, 1)?;
        scored.push((distance(asked.metric, query, &row), candidate.slot));
    }
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(scored.iter().take(asked.k).map(|(_, slot)| *slot).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ArrayWriter, Dtype};
    use crate::noise::Noise;

    #[test]
    fn it_is_what_a_naive_search_finds_whatever_the_threads() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("base.npy");
        // More than one block, the last tile not full; some rows stand there twice.
        let (rows, dim) = (BLOCK + 300, 6);
        let mut base = Noise(1).bells(rows * dim, 1.0);
        base.copy_within(0..20 * dim, 8000 * dim);
        let mut writer = ArrayWriter::create(&path, Dtype::F32, rows as u64, dim).expect("writable");
        writer.floats(&base).expect("writable");
        writer.finish().expect("writable");
        let mut array = Array::open(&path).expect("whole");
        for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
            let queries = [Noise(2).bells(6 * dim, 1.0), base[..dim].to_vec()].concat();
            let naive = queries.chunks_exact(dim).map(|query| {
                let mut all: Vec<(f64, u32)> =
                    base.chunks_exact(dim).map(|row| distance(metric, query, row)).zip(0..).collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                all[..20].iter().map(|(_, row)| *row).collect::<Vec<u32>>()
            });
            let naive: Vec<_> = naive.collect();
            for threads in [1, 3, 50] {
                let asked = Asked { metric, queries: queries.clone(), k: 20, threads };
                assert_eq!(nearest(&mut array, &asked).expect("readable"), naive, "{metric}, {threads}");
            }
        }
    }
}
