use vectra_core::Metric;
use vectra_core::distance::reference;
use vectra_core::testing::oracle::{Dice, clustered, uniform};

use super::*;
use crate::coder::Coder;
use crate::isa::runnable;
use crate::rotated::Rotated;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn rotated(vectors: &[f32], dim: usize, bits: u32, metric: Metric, seed: u64) -> Coder<RaBitQ> {
    let rotated = Rotated::fit(vectors, dim, metric, seed);
    let codec = RaBitQ::new(rotated.padded(), bits, metric);
    Coder::rotated(rotated, codec)
}

fn encode_all(coder: &Coder<RaBitQ>, vectors: &[f32]) -> Vec<u8> {
    let stride = coder.codec().row_bytes();
    let mut rows = vec![0; vectors.len() / coder.dim() * stride];
    let pairs = vectors.chunks_exact(coder.dim()).zip(rows.chunks_exact_mut(stride));
    pairs.for_each(|(vector, row)| coder.encode(vector, row));
    rows
}

/// Sentence embeddings in small: few directions matter much, many a little, around a common centre.
fn like_embeddings(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut axes = Dice::new(99);
    let offset: Vec<f32> = (0..dim).map(|_| 0.5 * axes.gaussian()).collect();
    let mut dice = Dice::new(seed);
    let component = |i: usize, dice: &mut Dice| offset[i] + dice.gaussian() / (1.0 + 0.1 * i as f32);
    (0..count).flat_map(|_| (0..dim).map(|i| component(i, &mut dice)).collect::<Vec<_>>()).collect()
}

/// Of all pairs of some queries and the vectors: the share outside of the range, and the mean of errors in units of its half width.
fn outside(coder: &Coder<RaBitQ>, vectors: &[f32], queries: &[f32], eps: f32) -> (f64, f64) {
    let (dim, metric) = (coder.dim(), coder.metric());
    let rows = encode_all(coder, vectors);
    let mut estimates = vec![Estimate::default(); vectors.len() / dim];
    let (mut count, mut beyond, mut sum) = (0.0, 0.0, 0.0);
    for query in queries.chunks_exact(dim) {
        coder.bind(query).with_eps(eps).estimate_all(&rows, &mut estimates);
        for (vector, estimate) in vectors.chunks_exact(dim).zip(&estimates) {
            let exact = reference::distance(metric, query, vector);
            let error = (f64::from(estimate.distance) - exact) / f64::from(estimate.error);
            count += 1.0;
            beyond += f64::from(u8::from(error.abs() > 1.0));
            sum += error;
        }
    }
    (beyond / count, sum / count)
}

#[test]
fn ranges_are_missed_as_often_as_they_say() {
    // The normal distribution's share, and what it may be more by: one rotation of a hundred components is not every rotation.
    let cases = [(1.0, 0.317, 0.03), (1.9, 0.0574, 0.015), (3.0, 0.0027, 0.0025)];
    for (name, dim, make) in [
        ("gaussian", 100, (|count, seed| clustered(count, 100, 1, 1.0, seed)) as fn(usize, u64) -> Vec<f32>),
        ("clustered", 192, |count, seed| clustered(count, 192, 12, 0.3, seed)),
        ("like embeddings", 128, |count, seed| like_embeddings(count, 128, seed)),
    ] {
        let (vectors, queries) = (make(500, 1), make(60, 2));
        for metric in METRICS {
            for bits in 1..=8 {
                let coder = rotated(&vectors, dim, bits, metric, 7);
                for (eps, share, margin) in cases {
                    let (found, mean) = outside(&coder, &vectors, &queries, eps);
                    assert!(found < share + margin, "{name}, {metric}, {bits} bits: {found} for {share}");
                    // Ranges are wider than need be where the query's codes count, but not by much.
                    let least = if bits < 7 { 0.4 * share - 0.001 } else { 0.05 * share - 0.001 };
                    assert!(found > least, "{name}, {metric}, {bits} bits: {found} for {share}");
                    assert!(mean.abs() < 0.1 / f64::from(eps), "{name}, {metric}, {bits} bits: {mean}");
                }
            }
        }
    }
}

/// The error of one pair, over many rotations: its mean is zero to within four standard errors.
#[test]
fn estimates_are_right_on_average_over_the_rotations() {
    const SEEDS: u64 = 400;
    let dim = 64;
    let vectors = clustered(3, dim, 3, 0.5, 5);
    let (query, pair) = (&vectors[..dim], &vectors[dim..]);
    for metric in METRICS {
        for bits in [1, 2, 4, 7] {
            for vector in pair.chunks_exact(dim) {
                let exact = reference::distance(metric, query, vector);
                let errors: Vec<f64> = (0..SEEDS)
                    .map(|seed| {
                        let coder = rotated(&[0.1; 64], dim, bits, metric, seed);
                        f64::from(coder.bind(query).estimate(&encode_all(&coder, vector)).distance) - exact
                    })
                    .collect();
                let mean = errors.iter().sum::<f64>() / SEEDS as f64;
                let variance = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / SEEDS as f64;
                let standard = (variance / SEEDS as f64).sqrt();
                assert!(
                    mean.abs() < 4.0 * standard,
                    "{metric}, {bits} bits: {mean}, allowed 4 times {standard}"
                );
                assert!(variance.sqrt() > 1e-3 * exact.abs(), "chance is at work: {variance}");
            }
        }
    }
}

#[test]
fn the_formula_is_the_product_of_what_was_decoded() {
    for (dim, bits) in [(1, 1), (2, 8), (111, 3), (240, 4), (384, 5)] {
        let (query, vectors) = (uniform(1, dim, 1), clustered(20, dim, 4, 0.2, 2));
        for metric in METRICS {
            let coder = Coder::direct(RaBitQ::new(dim, bits, metric));
            let (rows, bound) = (encode_all(&coder, &vectors), coder.bind(&query));
            for (vector, row) in vectors.chunks_exact(dim).zip(rows.chunks_exact(coder.codec().row_bytes())) {
                let mut x = vec![0.0; dim];
                coder.codec().decode(row, &mut x);
                let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                let (scale, energy) = match metric {
                    Metric::Cosine => (1.0 / norm(&query), 2.0),
                    _ => (1.0, norm(&query).powi(2) + norm(vector).powi(2)),
                };
                let product: f64 = query.iter().zip(&x).map(|(q, x)| f64::from(*q) * f64::from(*x)).sum();
                let expected = match metric {
                    Metric::Cosine => (1.0 - product * scale).max(0.0),
                    Metric::Dot => -product,
                    _ => (energy - 2.0 * product).max(0.0),
                };
                // Half a level of the query in each component.
                let allowed = norm(&query) * scale / 127.0
                    * x.iter().map(|x| f64::from(x.abs())).sum::<f64>()
                    + 1e-5 * energy;
                let found = f64::from(bound.score_row(row));
                assert!((found - expected).abs() <= allowed, "{metric} {dim}: {found} {expected}");
            }
        }
    }
}

#[test]
fn scan_gather_and_estimates_give_the_bits_of_score_row() {
    let (dim, mut dice) = (70, Dice::new(7));
    let vectors = uniform(150, dim, 6);
    for (metric, bits) in [(Metric::Cosine, 1), (Metric::Dot, 3), (Metric::L2, 6)] {
        let coder = rotated(&vectors, dim, bits, metric, 1);
        let (rows, bound) = (encode_all(&coder, &vectors), coder.bind(&vectors[dim..2 * dim]));
        let stride = coder.codec().row_bytes();
        let scores: Vec<f32> = rows.chunks_exact(stride).map(|row| bound.score_row(row)).collect();
        for count in [0, 1, 3, 4, 63, 64, 65, 150] {
            let mut out = vec![f32::NAN; count];
            bound.scan(&rows[..count * stride], &mut out);
            assert_eq!(out, scores[..count]);
            let slots: Vec<u32> = (0..count).map(|_| dice.below(150) as u32).collect();
            bound.gather(&rows, &slots, &mut out);
            assert_eq!(out, slots.iter().map(|slot| scores[*slot as usize]).collect::<Vec<_>>());
            let mut estimates = vec![Estimate::default(); count];
            bound.estimate_all(&rows[..count * stride], &mut estimates);
            let single: Vec<_> =
                rows.chunks_exact(stride).take(count).map(|row| bound.estimate(row)).collect();
            assert_eq!(estimates, single);
            assert!(estimates.iter().zip(&scores).all(|(e, score)| e.distance == *score && e.error > 0.0));
        }
    }
}

#[test]
fn every_kernel_gives_the_same_distances() {
    for (dim, bits) in [(90, 1), (230, 4), (500, 7)] {
        let vectors = uniform(7, dim, 8);
        for metric in METRICS {
            let coder = rotated(&vectors, dim, bits, metric, 1);
            let rows = encode_all(&coder, &vectors);
            let mut bound = coder.bind(&vectors[..dim]);
            let mut answers = Vec::new();
            for kernel in runnable::<Kernels>() {
                bound.kernels = kernel;
                let mut out = [0.0; 7];
                bound.scan(&rows, &mut out);
                answers.push(out.map(f32::to_bits));
            }
            answers.dedup();
            assert_eq!(answers.len(), 1);
        }
    }
}

#[test]
fn stored_rows_are_as_far_from_each_other_in_both_directions() {
    let dim = 100;
    let vectors = clustered(20, dim, 3, 0.3, 4);
    for metric in METRICS {
        for bits in 1..=8 {
            let coder = rotated(&vectors, dim, bits, metric, 3);
            let rows = encode_all(&coder, &vectors);
            let stride = coder.codec().row_bytes();
            let bound: Vec<_> = rows.chunks_exact(stride).map(|row| coder.codec().bind_row(row)).collect();
            for (a, one) in bound.iter().enumerate() {
                for (b, other) in bound.iter().enumerate() {
                    let there = one.score_row(&rows[b * stride..][..stride]);
                    let back = other.score_row(&rows[a * stride..][..stride]);
                    // With eight bits each is encoded once more as a query.
                    let allowed = if bits == 8 { 0.01 * (40.0 + there.abs()) } else { 0.0 };
                    assert!((there - back).abs() <= allowed, "{metric} {bits}: {there} {back}");
                    let exact =
                        reference::distance(metric, &vectors[a * dim..][..dim], &vectors[b * dim..][..dim]);
                    let size = if metric == Metric::Cosine { 1.0 } else { 300.0 };
                    let error = (f64::from(there) - exact).abs();
                    assert!(bits < 4 || a == b || error < 0.15 * size, "{metric} {bits}: {there} {exact}");
                }
            }
        }
    }
}

#[test]
fn degenerate_vectors_have_distances_and_ranges() {
    let large = vectra_core::vector::normalize::MAX_MAGNITUDE;
    let cases: Vec<Vec<f32>> = vec![
        vec![0.0; 3],
        vec![5.0; 3],
        vec![1e-38, 0.0, -1e-38],
        vec![1e16, -1e16, 1.0],
        vec![1e30; 3],
        vec![large; 3],
        vec![1.0, 1.0, 1.0 + f32::EPSILON],
        vec![f32::NAN, f32::INFINITY, f32::MIN],
    ];
    for metric in METRICS {
        for bits in [1, 2, 8] {
            for centre in [vec![0.0; 3], vec![5.0; 3], vec![large; 3]] {
                let rotated = Rotated::new(&centre, metric, 1);
                let coder = Coder::rotated(rotated, RaBitQ::new(64, bits, metric));
                for a in &cases {
                    for b in &cases {
                        let found = coder.bind(a).estimate(&encode_all(&coder, b));
                        assert!(
                            found.distance.is_finite() && found.error >= 0.0,
                            "{metric} {a:?} {b:?}: {found:?}"
                        );
                        assert!(found.error.is_finite() && found.lower() <= found.upper());
                    }
                }
            }
        }
    }
}

#[test]
fn what_lies_at_the_centre_is_known_exactly() {
    let coder = rotated(&[5.0; 300], 3, 1, Metric::L2, 1);
    let row = encode_all(&coder, &[5.0; 3]);
    let found = coder.bind(&[5.0, 8.0, 9.0]).estimate(&row);
    assert!((found.distance - 25.0).abs() < 1e-4 && found.error == 0.0, "{found:?}");
    let at_centre = coder.bind(&[5.0; 3]).estimate(&encode_all(&coder, &[5.0, 8.0, 9.0]));
    assert!((at_centre.distance - 25.0).abs() < 1e-4 && at_centre.error == 0.0, "{at_centre:?}");
}

#[test]
fn more_deviations_are_a_wider_range() {
    let vectors = uniform(2, 64, 3);
    let coder = rotated(&vectors, 64, 1, Metric::L2, 1);
    let row = encode_all(&coder, &vectors[64..]);
    let bound = coder.bind(&vectors[..64]);
    assert_eq!(bound.eps(), EPS);
    let (one, three) = (bound.clone().with_eps(1.0).estimate(&row), bound.with_eps(3.0).estimate(&row));
    assert!((three.error / one.error - 3.0).abs() < 1e-5 && one.distance == three.distance);
    assert!(three.lower() < one.lower() && one.upper() < three.upper());
}

#[test]
#[should_panic(expected = "counts standard deviations")]
fn a_negative_range_is_refused() {
    let _ = RaBitQ::new(3, 1, Metric::L2).bind(&[0.0; 3]).with_eps(-1.0);
}
