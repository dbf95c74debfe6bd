//! The exact answer, computed as naively as possible, and seeded vectors to ask about.

use std::collections::BTreeSet;

use crate::distance::{Metric, reference};

/// Vectors and a metric; answers in `f64` by looking at everything.
#[derive(Debug, Clone, Copy)]
pub struct Oracle<'a> {
    vectors: &'a [f32],
    dim: usize,
    metric: Metric,
}

/// A slot and its exact distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exact {
    /// Smaller is nearer.
    pub distance: f64,
    /// Position among the vectors.
    pub slot: u32,
}

impl<'a> Oracle<'a> {
    /// Knows `vectors`, of `dim` components each.
    pub fn new(vectors: &'a [f32], dim: usize, metric: Metric) -> Self {
        assert!(dim > 0 && vectors.len().is_multiple_of(dim), "a whole number of vectors");
        Self { vectors, dim, metric }
    }

    /// How many vectors there are.
    pub fn len(&self) -> u32 {
        (self.vectors.len() / self.dim) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The metric of its distances.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The vector at `slot`.
    pub fn vector(&self, slot: u32) -> &'a [f32] {
        &self.vectors[slot as usize * self.dim..][..self.dim]
    }

    /// The exact distance from `query` to `slot`.
    pub fn distance(&self, query: &[f32], slot: u32) -> f64 {
        reference::distance(self.metric, query, self.vector(slot))
    }

    /// The `k` nearest among the admitted slots, nearest first, ties by slot.
    pub fn nearest(&self, query: &[f32], k: usize, admits: impl Fn(u32) -> bool) -> Vec<Exact> {
        let admitted = (0..self.len()).filter(|slot| admits(*slot));
        let mut all: Vec<_> =
            admitted.map(|slot| Exact { distance: self.distance(query, slot), slot }).collect();
        all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot)));
        all.truncate(k);
        all
    }

    /// The share of the `k` nearest admitted slots that `found` has. What lies as near as the k-th (to a millionth)
    /// counts too, so ties may be resolved either way. 1 if there is nothing to find.
    pub fn recall(&self, query: &[f32], k: usize, found: &[u32], admits: impl Fn(u32) -> bool) -> f64 {
        let exact = self.nearest(query, k, &admits);
        let Some(last) = exact.last() else { return 1.0 };
        let limit = last.distance + 1e-6 * last.distance.abs().max(f64::from(f32::MIN_POSITIVE));
        let distinct: BTreeSet<u32> = found.iter().copied().filter(|slot| admits(*slot)).collect();
        let hits = distinct.into_iter().filter(|slot| self.distance(query, *slot) <= limit).count();
        hits.min(exact.len()) as f64 / exact.len() as f64
    }
}

/// A stream of numbers that depends on nothing but its seed (the splitmix64 generator).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts the stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// A number in `-1..1`.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A number of the standard normal distribution (to within the sum of twelve uniform ones).
    pub fn gaussian(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() / 2.0
    }
}

/// `count` vectors with components uniform in `-1..1`: no structure at all, the hard case for a graph.
pub fn uniform(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    (0..count * dim).map(|_| dice.uniform()).collect()
}

/// `count` vectors around `clusters` random centres, at `spread` times the scale of the centres: like embeddings.
pub fn clustered(count: usize, dim: usize, clusters: usize, spread: f32, seed: u64) -> Vec<f32> {
    let mut dice = Dice::new(seed);
    let centres: Vec<f32> = (0..clusters * dim).map(|_| dice.gaussian()).collect();
    let mut vectors = Vec::with_capacity(count * dim);
    for _ in 0..count {
        let centre = dice.below(clusters) * dim;
        vectors.extend(centres[centre..centre + dim].iter().map(|x| x + spread * dice.gaussian()));
    }
    vectors
}

/// `count` vectors of which only `distinct` differ: every distance is tied many times.
pub fn duplicates(count: usize, dim: usize, distinct: usize, seed: u64) -> Vec<f32> {
    let originals = uniform(distinct, dim, seed);
    (0..count).flat_map(|i| originals[i % distinct * dim..][..dim].to_vec()).collect()
}

/// `count` vectors on one ray, at distances 1, 2, 3 ... from the origin: all equal to the cosine.
pub fn collinear(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let ray = uniform(1, dim, seed);
    (1..=count).flat_map(|i| ray.iter().map(move |x| x * i as f32).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f64")]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_sorted_filtered_and_cut() {
        let vectors = [3.0, 1.0, 2.0, 1.0, 9.0];
        let oracle = Oracle::new(&vectors, 1, Metric::L1);
        let slots = |k, admits: fn(u32) -> bool| {
            oracle.nearest(&[0.0], k, admits).iter().map(|n| n.slot).collect::<Vec<_>>()
        };
        assert_eq!(slots(3, |_| true), [1, 3, 2]);
        assert_eq!(slots(9, |slot| slot != 1), [3, 2, 0, 4]);
        assert_eq!(slots(9, |_| false), []);
        assert_eq!(oracle.nearest(&[0.0], 1, |_| true), [Exact { distance: 1.0, slot: 1 }]);
    }

    #[test]
    fn recall_counts_ties_and_ignores_repeats_and_the_forbidden() {
        let vectors = [3.0, 1.0, 2.0, 1.0, 9.0];
        let oracle = Oracle::new(&vectors, 1, Metric::L1);
        let recall = |k, found: &[u32]| oracle.recall(&[0.0], k, found, |slot| slot != 0);
        assert_eq!(recall(1, &[3]), 1.0, "as near as slot 1");
        assert_eq!(recall(2, &[3, 3]), 0.5);
        assert_eq!(recall(4, &[0, 1, 2, 4]), 0.75);
        assert_eq!(recall(0, &[]), 1.0);
    }

    #[test]
    fn dice_are_fixed_by_the_seed_and_spread_as_promised() {
        assert_eq!(Dice::new(0).bits(), 0xe220_a839_7b1d_cdaf, "the published first output of splitmix64");
        let mut dice = Dice::new(7);
        let numbers: Vec<f32> = (0..10_000).map(|_| dice.gaussian()).collect();
        let mean = numbers.iter().sum::<f32>() / 1e4;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert!((0..1000).all(|_| dice.below(3) < 3 && (-1.0..1.0).contains(&dice.uniform())));
    }

    #[test]
    fn vectors_have_the_promised_structure() {
        assert_eq!(uniform(3, 4, 1), uniform(3, 4, 1));
        assert_ne!(uniform(3, 4, 1), uniform(3, 4, 2));
        assert_eq!(
            clustered(10, 3, 2, 0.0, 5).chunks(3).map(|v| format!("{v:?}")).collect::<BTreeSet<_>>().len(),
            2
        );
        let twice = duplicates(6, 2, 3, 1);
        assert_eq!(twice[..6], twice[6..]);
        let ray = collinear(5, 3, 1);
        let oracle = Oracle::new(&ray, 3, Metric::Cosine);
        assert!((0..5).all(|slot| oracle.distance(&ray[..3], slot).abs() < 1e-6));
    }
}
