//! Numbers out of a seed: the same on every machine, as they come from whole numbers, sums, products and square roots.

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: the finalizer.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A stream of numbers.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// The stream for number `n` of what `purpose` names, of a set with this seed.
    pub(crate) fn of(seed: u64, purpose: &str, n: u64) -> Self {
        let name = purpose.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        Self(mix(mix(seed ^ name) ^ mix(n)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Around 0 with variance 1, about normal: four uniform sixteenths of one number added up.
    pub(crate) fn bell(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt()
    }

    /// Uniform from 0 to 1, without 1.
    pub(crate) fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// `count` numbers of [`Noise::bell`], each times `scale`.
    pub(crate) fn bells(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| scale * self.bell()).collect()
    }

    /// About log-normal: e to the power of `spread` times a bell.
    pub(crate) fn heavy(&mut self, spread: f32) -> f32 {
        exp(spread * self.bell())
    }
}

/// e to the power of a small `x`, to a thousandth or so, without the mathematics of the operating system.
fn exp(x: f32) -> f32 {
    (0..10).fold(1.0 + f64::from(x) / 1024.0, |power, _| power * power) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and variance of many numbers.
    fn moments(count: usize, mut draw: impl FnMut() -> f32) -> (f64, f64) {
        let all: Vec<f64> = (0..count).map(|_| f64::from(draw())).collect();
        let mean = all.iter().sum::<f64>() / count as f64;
        (mean, all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count as f64)
    }

    #[test]
    fn streams_are_told_apart_by_seed_purpose_and_number() {
        let first = |seed, purpose, n| Noise::of(seed, purpose, n).next();
        assert_eq!(first(1, "row", 2), first(1, "row", 2));
        let others = [first(2, "row", 2), first(1, "query", 2), first(1, "row", 3), first(2, "row", 1)];
        assert!(others.iter().all(|other| *other != first(1, "row", 2)), "{others:?}");
    }

    #[test]
    fn numbers_are_distributed_as_promised() {
        let mut noise = Noise(3);
        let (mean, variance) = moments(20_000, || noise.bell());
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.03, "bell: {mean}, {variance}");
        let (mean, variance) = moments(20_000, || noise.share());
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 12.0).abs() < 0.01, "{mean}, {variance}");
        // The mean of a log-normal distribution is e to half the square of its spread.
        let (mean, _) = moments(20_000, || noise.heavy(0.5));
        assert!((mean - 0.125_f64.exp()).abs() < 0.03, "heavy: {mean}");
    }

    #[test]
    fn powers_of_e_are_close_enough() {
        for x in [-1.5_f32, -0.3, 0.0, 0.7, 1.5] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 2e-3, "{x}");
        }
    }
}
