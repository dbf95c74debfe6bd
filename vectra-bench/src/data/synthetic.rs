//! Clustered vectors out of a seed, any row at any time.

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

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the finalizer.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Around 0 with variance 1, about normal: four uniform sixteenths of one number added up.
    fn bell(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
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
