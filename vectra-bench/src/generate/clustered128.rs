//! Clusters of few dimensions on a sphere, queries like rows: the easy case, for measuring at any size.

use super::Source;
use super::mixture::{Directions, Shares, blur, stretch};
use crate::noise::Noise;

const DIM: usize = 128;
const CLUSTERS: usize = 2000;
const LATENT: usize = 24;

/// 128 components, unit length: clusters of different width and weight in 24 dimensions, with a little noise.
#[derive(Debug)]
pub(super) struct Clustered128 {
    seed: u64,
    shares: Shares,
    map: Directions,
    /// Of each cluster, its place among the few dimensions.
    centres: Vec<f32>,
}

impl Clustered128 {
    pub(super) fn new(seed: u64) -> Self {
        let mut noise = Noise::of(seed, "weights", 0);
        Self {
            seed,
            shares: Shares::new((0..CLUSTERS).map(|_| f64::from(0.1 + noise.share() + noise.share()))),
            map: Directions::new(&mut Noise::of(seed, "map", 0), LATENT, DIM),
            centres: Noise::of(seed, "centres", 0).bells(CLUSTERS * LATENT, 2.0),
        }
    }

    fn vector(&self, mut noise: Noise, out: &mut [f32]) {
        let cluster = self.shares.draw(&mut noise);
        let spread = 0.3 + 0.9 * Noise::of(self.seed, "cluster", cluster as u64).share();
        let centre = &self.centres[cluster * LATENT..][..LATENT];
        let steps: Vec<f32> = centre.iter().map(|x| x + spread * noise.bell()).collect();
        self.map.add(&steps, out);
        blur(&mut noise, 0.25, out);
        stretch(1.0, out);
    }
}

impl Source for Clustered128 {
    fn dim(&self) -> usize {
        DIM
    }

    fn row(&self, n: u64, out: &mut [f32]) {
        self.vector(Noise::of(self.seed, "row", n), out);
    }

    fn query(&self, n: u64, out: &mut [f32]) {
        self.vector(Noise::of(self.seed, "query", n), out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::mixture::dot;
    use super::super::tests::rows;
    use super::*;

    #[test]
    fn rows_are_of_unit_length_and_of_few_dimensions() {
        let set = Clustered128::new(1);
        let rows = rows(&set, 400);
        assert!(rows.iter().all(|row| (dot(row, row) - 1.0).abs() < 1e-4));
        // What the map gives is nearly all of a row.
        let left = |row: &Vec<f32>| {
            let mut rest = row.clone();
            // A few rounds of projection onto directions that are nearly at right angles.
            for _ in 0..20 {
                for number in 0..LATENT {
                    let direction = set.map.get(number);
                    let share = -dot(&rest, direction) / dot(direction, direction);
                    super::super::mixture::add(share, direction, &mut rest);
                }
            }
            dot(&rest, &rest)
        };
        let mean = rows.iter().map(left).sum::<f32>() / rows.len() as f32;
        assert!(mean < 0.05, "{mean} of a row is noise");
    }
}
