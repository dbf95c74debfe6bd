//! Histograms of gradients, as image descriptors are: lengths that matter, no component below zero, many at zero, a few large.

use super::Source;
use super::mixture::{Directions, Shares, blur};
use crate::noise::Noise;

const DIM: usize = 128;
const CLUSTERS: usize = 500;
const LATENT: usize = 20;

/// 128 components, each of a scale of its own: the positive part of a mixture of clusters, squared.
#[derive(Debug)]
pub(super) struct L2 {
    seed: u64,
    shares: Shares,
    map: Directions,
    /// Of each cluster, its place among the few dimensions.
    centres: Vec<f32>,
    /// How large each component gets, and what it is without structure.
    scales: Vec<f32>,
    offsets: Vec<f32>,
}

impl L2 {
    pub(super) fn new(seed: u64) -> Self {
        let mut noise = Noise::of(seed, "scales", 0);
        Self {
            seed,
            shares: Shares::by_rank(CLUSTERS),
            map: Directions::new(&mut Noise::of(seed, "map", 0), LATENT, DIM),
            centres: Noise::of(seed, "centres", 0).bells(CLUSTERS * LATENT, 2.0),
            scales: (0..DIM).map(|_| 20.0 * noise.heavy(0.6)).collect(),
            offsets: noise.bells(DIM, 0.3),
        }
    }

    fn vector(&self, mut noise: Noise, out: &mut [f32]) {
        let cluster = self.shares.draw(&mut noise);
        let spread = 0.5 + 0.8 * Noise::of(self.seed, "cluster", cluster as u64).share();
        let centre = &self.centres[cluster * LATENT..][..LATENT];
        let steps: Vec<f32> = centre.iter().map(|x| x + spread * noise.bell()).collect();
        out.copy_from_slice(&self.offsets);
        self.map.add(&steps, out);
        blur(&mut noise, 1.5, out);
        for (x, scale) in out.iter_mut().zip(&self.scales) {
            let positive = if *x > 0.0 { *x } else { 0.0 };
            *x = scale * positive * positive;
        }
    }
}

impl Source for L2 {
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
    use super::super::tests::rows;
    use super::*;

    #[test]
    fn components_are_positive_heavy_tailed_and_of_different_scales() {
        let rows = rows(&L2::new(1), 1500);
        let all: Vec<f32> = rows.concat();
        assert!(all.iter().all(|x| *x >= 0.0 && x.is_finite()));
        let zeros = all.iter().filter(|x| **x == 0.0).count() as f64 / all.len() as f64;
        assert!((0.25..0.65).contains(&zeros), "{zeros} are zero");
        let moment =
            |power: i32| all.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / all.len() as f64;
        let mean = moment(1);
        let variance = moment(2) - mean * mean;
        let fourth = all.iter().map(|x| (f64::from(*x) - mean).powi(4)).sum::<f64>() / all.len() as f64;
        assert!(fourth / (variance * variance) > 6.0, "a normal distribution has 3");
        let column = |at: usize| rows.iter().map(|row| f64::from(row[at])).sum::<f64>() / rows.len() as f64;
        let means: Vec<f64> = (0..DIM).map(column).collect();
        let (least, most) = means.iter().fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
        assert!(most > 5.0 * least, "means from {least} to {most}");
    }
}
