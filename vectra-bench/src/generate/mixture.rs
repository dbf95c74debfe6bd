//! What sets are mixed from: clusters of unequal size, and maps from few dimensions to many.

use crate::noise::Noise;

/// Which cluster a row belongs to, each with a share of its own.
#[derive(Debug)]
pub(super) struct Shares {
    /// Sums of the weights up to each cluster.
    sums: Vec<f64>,
}

impl Shares {
    /// Clusters of these weights.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let add = |weight| {
            sum += weight;
            sum
        };
        let sums: Vec<f64> = weights.map(add).collect();
        assert!(!sums.is_empty(), "a set has clusters");
        Self { sums }
    }

    /// A power law: the cluster of rank `r` weighs `1 / (r + 8)`. Few are large, most are small.
    pub(super) fn by_rank(clusters: usize) -> Self {
        Self::new((0..clusters).map(|rank| 1.0 / (rank as f64 + 8.0)))
    }

    /// A cluster, drawn by its share.
    pub(super) fn draw(&self, noise: &mut Noise) -> usize {
        let all = self.sums[self.sums.len() - 1];
        let point = f64::from(noise.share()) * all;
        self.sums.partition_point(|sum| *sum <= point).min(self.sums.len() - 1)
    }

    /// A cluster, all of them equally likely.
    pub(super) fn any(&self, noise: &mut Noise) -> usize {
        (noise.next() % self.sums.len() as u64) as usize
    }
}

/// Directions in many dimensions, each of a length near 1.
#[derive(Debug)]
pub(super) struct Directions {
    dim: usize,
    components: Vec<f32>,
}

impl Directions {
    /// `count` directions in `dim` dimensions.
    pub(super) fn new(noise: &mut Noise, count: usize, dim: usize) -> Self {
        Self { dim, components: noise.bells(count * dim, 1.0 / (dim as f32).sqrt()) }
    }

    pub(super) fn get(&self, number: usize) -> &[f32] {
        &self.components[number * self.dim..][..self.dim]
    }

    /// Adds `steps` along as many of the first directions to `out`.
    pub(super) fn add(&self, steps: &[f32], out: &mut [f32]) {
        for (number, step) in steps.iter().enumerate() {
            add(*step, self.get(number), out);
        }
    }
}

/// Adds `step` times `direction` to `out`.
pub(super) fn add(step: f32, direction: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(direction).for_each(|(out, x)| *out += step * x);
}

/// Adds noise to `out` that has the length `length`, nearly.
pub(super) fn blur(noise: &mut Noise, length: f32, out: &mut [f32]) {
    let scale = length / (out.len() as f32).sqrt();
    out.iter_mut().for_each(|x| *x += scale * noise.bell());
}

/// Gives `out` the length `length`.
pub(super) fn stretch(length: f32, out: &mut [f32]) {
    let found = dot(out, out).sqrt();
    // Nothing that is mixed of bells is all zeros.
    out.iter_mut().for_each(|x| *x *= length / found.max(f32::MIN_POSITIVE));
}

/// The inner product, added up in one order on every machine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_get_their_shares() {
        let shares = Shares::new([1.0, 0.0, 3.0].into_iter());
        let (mut noise, mut drawn) = (Noise(1), [0; 3]);
        (0..4000).for_each(|_| drawn[shares.draw(&mut noise)] += 1);
        assert!(drawn[1] == 0 && (900..1100).contains(&drawn[0]), "{drawn:?}");
        let mut any = [0; 3];
        (0..3000).for_each(|_| any[shares.any(&mut noise)] += 1);
        assert!(any.iter().all(|count| (900..1100).contains(count)), "{any:?}");
    }

    #[test]
    fn ranks_follow_a_power_law() {
        let shares = Shares::by_rank(1000);
        let weight = |rank: usize| shares.sums[rank] - if rank == 0 { 0.0 } else { shares.sums[rank - 1] };
        assert!((weight(0) / weight(92) - 12.5).abs() < 1e-6, "1 / 8 against 1 / 100");
    }

    #[test]
    fn directions_have_length_one_nearly_and_stretching_makes_it_exact() {
        let directions = Directions::new(&mut Noise(2), 3, 500);
        for number in 0..3 {
            let length = dot(directions.get(number), directions.get(number)).sqrt();
            assert!((length - 1.0).abs() < 0.1, "{length}");
        }
        let mut sum = vec![0.0; 500];
        directions.add(&[3.0, 4.0], &mut sum);
        assert!((dot(&sum, &sum).sqrt() - 5.0).abs() < 0.7, "at right angles, nearly");
        blur(&mut Noise(3), 0.5, &mut sum);
        stretch(2.0, &mut sum);
        assert!((dot(&sum, &sum).sqrt() - 2.0).abs() < 1e-5);
    }
}
