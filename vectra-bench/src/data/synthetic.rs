//! Clustered vectors out of a seed, any row at any time.

use crate::noise::{Noise, mix};

/// Clusters per set.
const CLUSTERS: u64 = 1000;
/// How far rows lie from their centre, against how far centres lie from each other.
const SPREAD: f32 = 0.5;

/// A set of clustered vectors that need not be kept anywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synthetic {
    pub(crate) seed: u64,
    pub(crate) dim: usize,
}

impl Synthetic {
    /// Row `n`: the same whenever it is asked for.
    pub(crate) fn vector(&self, n: u64) -> Vec<f32> {
        let mut noise = Noise(mix(self.seed ^ mix(n)));
        let mut centre = Noise(mix(!self.seed ^ mix(noise.next() % CLUSTERS)));
        (0..self.dim).map(|_| centre.bell() + SPREAD * noise.bell()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_repeatable_and_differ() {
        let set = Synthetic { seed: 3, dim: 16 };
        assert_eq!(set.vector(7), set.vector(7));
        assert_ne!(set.vector(7), set.vector(8));
        assert_ne!(set.vector(7), Synthetic { seed: 4, ..set }.vector(7));
        let all: Vec<f32> = (0..500).flat_map(|n| set.vector(n)).collect();
        let mean = all.iter().sum::<f32>() / all.len() as f32;
        let variance = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / all.len() as f32;
        assert!(mean.abs() < 0.1 && (1.0..1.5).contains(&variance), "mean {mean}, variance {variance}");
    }
}
