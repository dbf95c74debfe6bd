//! Chance.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

/// A source of random numbers. Not for secrets.
pub trait Rng: Debug + Send + Sync {
    /// 64 uniform bits.
    fn next_u64(&self) -> u64;

    /// A uniform number in `0..n`, without bias (Lemire, "Fast random integer generation in an interval", 2019).
    ///
    /// # Panics
    /// If `n` is 0.
    fn below(&self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            // The low half falls below 2^64 mod n exactly for the draws that would favour some results.
            if wide as u64 >= n.wrapping_neg() % n {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A random UUID (version 4).
    fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// The increment of `SplitMix64`: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014),
/// one step after the state `z`.
pub(crate) fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Random numbers that a seed decides: `SplitMix64`. The sequence of a seed never changes.
///
/// Threads that share one get the same numbers in an order that is up to chance.
#[derive(Debug)]
pub struct SeededRng {
    state: AtomicU64,
}

impl SeededRng {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Rng for SeededRng {
    fn next_u64(&self) -> u64 {
        mix(self.state.fetch_add(GOLDEN, Ordering::Relaxed))
    }
}

/// Random numbers that nobody can repeat: xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number
/// generators", 2021) seeded by the operating system, or on wasm by the hash seeds of the standard library.
pub struct OsRng {
    state: Mutex<[u64; 4]>,
}

impl OsRng {
    /// A freshly seeded generator.
    pub fn new() -> Self {
        let mut state = seed();
        // The one state in which the generator would stay for ever.
        if state == [0; 4] {
            state = [GOLDEN; 4];
        }
        Self { state: Mutex::new(state) }
    }
}

impl Default for OsRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for OsRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OsRng")
    }
}

impl Rng for OsRng {
    fn next_u64(&self) -> u64 {
        let mut state = self.state.lock();
        let s = &mut *state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }
}

#[cfg(not(target_family = "wasm"))]
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the operating system for chance"
)]
fn seed() -> [u64; 4] {
    let mut bytes = [0; 32];
    if getrandom::fill(&mut bytes).is_err() {
        return hashed_seed();
    }
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}

#[cfg(target_family = "wasm")]
fn seed() -> [u64; 4] {
    hashed_seed()
}

/// What the standard library seeds its hash maps with: the best there is without a source of entropy.
fn hashed_seed() -> [u64; 4] {
    use std::hash::{BuildHasher, RandomState};
    std::array::from_fn(|i| RandomState::new().hash_one(i))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::env::rng_conformance;

    #[test]
    fn both_conform() {
        rng_conformance(&OsRng::new());
        for seed in [0, 1, u64::MAX] {
            rng_conformance(&SeededRng::new(seed));
        }
    }

    #[test]
    fn splitmix_matches_the_published_sequence() {
        // The first outputs for seed 1234567 as published with the reference implementation.
        let rng = SeededRng::new(1_234_567);
        let out: Vec<u64> = (0..5).map(|_| rng.next_u64()).collect();
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn seeds_decide_the_sequence() {
        let draw = |seed| {
            let rng = SeededRng::new(seed);
            (0..8).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
        assert_ne!(OsRng::new().next_u64(), OsRng::new().next_u64());
    }

    #[test]
    fn the_fallback_seed_differs_each_time() {
        assert_ne!(hashed_seed(), hashed_seed());
    }

    #[test]
    #[should_panic(expected = "below 0")]
    fn nothing_is_below_zero() {
        SeededRng::new(1).below(0);
    }
}
