//! Vectors of a recommender: the inner product ranks, long rows are answers to many queries.

use super::Source;
use super::mixture::{Directions, Shares, blur, stretch};
use crate::noise::Noise;

const DIM: usize = 200;
const CLUSTERS: usize = 300;
const LATENT: usize = 24;

/// 200 components; lengths are log-normal, by cluster and by row. Queries mix three clusters, are noisier, and nearly of
/// one length.
#[derive(Debug)]
pub(super) struct Dot {
    seed: u64,
    shares: Shares,
    map: Directions,
    /// Of each cluster, its place among the few dimensions.
    centres: Vec<f32>,
}

impl Dot {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            shares: Shares::by_rank(CLUSTERS),
            map: Directions::new(&mut Noise::of(seed, "map", 0), LATENT, DIM),
            centres: Noise::of(seed, "centres", 0).bells(CLUSTERS * LATENT, 1.0 / (LATENT as f32).sqrt()),
        }
    }

    /// Adds `share` of a cluster's centre and of a step from it.
    fn place(&self, cluster: usize, share: f32, noise: &mut Noise, out: &mut [f32]) {
        let spread = 0.6 / (LATENT as f32).sqrt();
        let centre = &self.centres[cluster * LATENT..][..LATENT];
        let steps: Vec<f32> = centre.iter().map(|x| share * (x + spread * noise.bell())).collect();
        self.map.add(&steps, out);
    }
}

impl Source for Dot {
    fn dim(&self) -> usize {
        DIM
    }

    fn row(&self, n: u64, out: &mut [f32]) {
        let mut noise = Noise::of(self.seed, "row", n);
        let cluster = self.shares.draw(&mut noise);
        self.place(cluster, 1.0, &mut noise, out);
        blur(&mut noise, 0.3, out);
        let common = Noise::of(self.seed, "cluster", cluster as u64).heavy(0.3);
        stretch(common * noise.heavy(0.3), out);
    }

    fn query(&self, n: u64, out: &mut [f32]) {
        let mut noise = Noise::of(self.seed, "query", n);
        for share in [1.0, 0.6, 0.4] {
            let cluster = self.shares.any(&mut noise);
            self.place(cluster, share, &mut noise, out);
        }
        blur(&mut noise, 0.5, out);
        stretch(3.0 * noise.heavy(0.1), out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::mixture::dot;
    use super::super::tests::{queries, rows};
    use super::*;

    fn lengths(vectors: &[Vec<f32>]) -> Vec<f32> {
        let mut lengths: Vec<f32> = vectors.iter().map(|x| dot(x, x).sqrt()).collect();
        lengths.sort_by(f32::total_cmp);
        lengths
    }

    #[test]
    fn lengths_vary_among_rows_and_hardly_among_queries() {
        let set = Dot::new(1);
        let (rows, queries) = (rows(&set, 2000), queries(&set, 200));
        let (base, asked) = (lengths(&rows), lengths(&queries));
        assert!(base[1900] > 3.0 * base[100], "{} and {}", base[100], base[1900]);
        assert!(asked[190] < 1.6 * asked[10] && asked[100] > 2.0, "{} and {}", asked[10], asked[190]);
        // The long ones are found: the mean length of what is best is far above that of all.
        let best = queries.iter().map(|query| {
            let score = |row: &&Vec<f32>| dot(query, row);
            rows.iter().max_by(|a, b| score(a).total_cmp(&score(b))).expect("rows")
        });
        let found = lengths(&best.cloned().collect::<Vec<_>>());
        assert!(found[100] > 1.3 * base[1000], "{} and {}", found[100], base[1000]);
    }
}
