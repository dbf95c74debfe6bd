//! The codes of one vector, of a row or of a query.
//!
//! Sums are kept in lanes and added up in one order, so that every instruction set gives the same bits.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

/// Components looked at side by side.
const LANES: usize = 16;

/// Vectors without a component beyond this are zero: their squares are, in `f32`, and no scale comes out infinite.
const LEAST: f32 = 1e-36;

/// Next to it the `f32` are the integers: adding it rounds, ties to even, and leaves the result in the low bits.
const INTEGERS: f32 = 12_582_912.0;

/// By bits, how many widths of levels are tried, from the one that reaches the greatest component on, and by which share of that each
/// next one is denser. Beyond, codes of normally distributed components do not gain.
const TRIALS: [(u32, f32); 8] =
    [(1, 0.0), (14, 0.1), (12, 0.08), (10, 0.06), (8, 0.04), (8, 0.015), (6, 0.01), (4, 0.01)];

/// By bits, a sine between a vector and its code that few rotated vectors fall short of. Errors are never said to be smaller, which
/// leaves room for what the codes of queries are wrong by.
pub(super) const SINES: [f32; 8] = [0.42, 0.24, 0.134, 0.0735, 0.039, 0.02, 0.01, 0.005];

/// What the codes of a row do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfRow {
    /// Squared length of the components.
    pub(super) energy: f64,
    /// The factor of the levels.
    pub(super) scale: f32,
    /// The standard deviation of products with a vector of length 1 in a random direction.
    pub(super) error: f32,
}

/// What the codes of a query do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfQuery {
    /// Squared length of the components.
    pub(super) energy: f64,
    /// Squared length of what the codes are wrong by.
    pub(super) lost: f64,
    /// The width of a level.
    pub(super) step: f32,
    /// The sum of the codes.
    pub(super) sum: i32,
}

/// Calls `add` with each component and its code, and the lane they are in.
#[inline(always)]
fn each<C>(vector: &[f32], codes: &mut [C], mut add: impl FnMut(usize, f32, &mut C)) {
    let (blocks, rest) = vector.as_chunks::<LANES>();
    let (block_codes, rest_codes) = codes.as_chunks_mut::<LANES>();
    for (block, codes) in blocks.iter().zip(block_codes) {
        for lane in 0..LANES {
            add(lane, block[lane], &mut codes[lane]);
        }
    }
    rest.iter().zip(rest_codes).enumerate().for_each(|(lane, (x, code))| add(lane, *x, code));
}

/// Encodes a finite `vector` as a row is encoded, in codes of `bits`.
#[inline(always)]
pub(super) fn encode(vector: &[f32], bits: u32, codes: &mut [u8]) -> OfRow {
    let greatest = greatest(vector);
    let grid = Grid::new(bits);
    if greatest < LEAST {
        codes.fill((grid.middle + 0.5) as u8);
        return OfRow { energy: 0.0, scale: 0.0, error: 0.0 };
    }
    let levels = grid.best(vector, greatest);
    let (mut energy, mut along, mut squares) = ([0.0_f64; LANES], [0.0_f64; LANES], [0.0_f64; LANES]);
    each(vector, codes, |lane, x, code| {
        let rounded = grid.level(x, levels) + INTEGERS;
        *code = rounded.to_bits() as u8;
        let (x, v) = (f64::from(x), f64::from(rounded - INTEGERS - grid.middle));
        energy[lane] += x * x;
        along[lane] += x * v;
        squares[lane] += v * v;
    });
    let [energy, along, squares] = [energy, along, squares].map(|lanes| lanes.iter().sum::<f64>());
    of_row(vector.len(), bits, energy, along, squares)
}

/// What codes of `bits` that came about otherwise do not say of a finite `vector`.
pub(super) fn judge(vector: &[f32], bits: u32, codes: &[u8]) -> OfRow {
    let middle = f64::from(Grid::new(bits).middle);
    let (mut energy, mut along, mut squares) = (0.0, 0.0, 0.0);
    for (x, code) in vector.iter().zip(codes) {
        let (x, v) = (f64::from(*x), f64::from(*code) - middle);
        energy += x * x;
        along += x * v;
        squares += v * v;
    }
    if greatest(vector) < LEAST {
        return OfRow { energy: 0.0, scale: 0.0, error: 0.0 };
    }
    of_row(vector.len(), bits, energy, along, squares)
}

/// From the squared length of a vector of `len` components, that of its levels and the product of both.
#[inline(always)]
fn of_row(len: usize, bits: u32, energy: f64, along: f64, squares: f64) -> OfRow {
    let scale = energy / along;
    let least = f64::from(SINES[bits as usize - 1]);
    let sine_squared = (1.0 - along * along / (energy * squares)).max(least * least);
    let directions = (len as f64 - 1.0).max(1.0);
    let error = (scale * scale * squares * sine_squared / directions).sqrt();
    OfRow { energy, scale: scale as f32, error: error as f32 }
}

/// Encodes a finite `vector` as a query is encoded.
#[inline(always)]
pub(super) fn bind(vector: &[f32], codes: &mut [i8]) -> OfQuery {
    let greatest = greatest(vector);
    if greatest < LEAST {
        codes.fill(0);
        return OfQuery { energy: 0.0, lost: 0.0, step: 0.0, sum: 0 };
    }
    let (levels, step) = (127.0 / greatest, greatest / 127.0);
    let (mut energy, mut lost, mut sum) = ([0.0_f64; LANES], [0.0_f64; LANES], [0_i32; LANES]);
    each(vector, codes, |lane, x, code| {
        let rounded = x * levels + INTEGERS;
        // The low bits are those of the two's complement.
        *code = rounded.to_bits() as i8;
        sum[lane] += i32::from(*code);
        let (x, miss) = (f64::from(x), f64::from(x - step * (rounded - INTEGERS)));
        energy[lane] += x * x;
        lost[lane] += miss * miss;
    });
    let [energy, lost] = [energy, lost].map(|lanes| lanes.iter().sum());
    OfQuery { energy, lost, step, sum: sum.iter().sum() }
}

/// The greatest magnitude of a component.
#[inline(always)]
fn greatest(vector: &[f32]) -> f32 {
    let mut greatest = [0.0_f32; LANES];
    // A comparison and not `max`, which would ask each number whether it is one.
    let mut see = |lane: usize, x: f32| greatest[lane] = if x > greatest[lane] { x } else { greatest[lane] };
    let (blocks, rest) = vector.as_chunks::<LANES>();
    for block in blocks {
        for (lane, x) in block.iter().enumerate() {
            see(lane, x.abs());
        }
    }
    rest.iter().enumerate().for_each(|(lane, x)| see(lane, x.abs()));
    greatest.into_iter().fold(0.0, f32::max)
}

/// The levels of codes of so many bits.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// The greatest code.
    top: f32,
    /// What lies between the two codes around zero.
    middle: f32,
    /// How many widths are tried, and how much denser each is.
    trials: (u32, f32),
}

impl Grid {
    #[inline(always)]
    fn new(bits: u32) -> Self {
        let top = ((1_u32 << bits) - 1) as f32;
        Self { top, middle: 0.5 * top, trials: TRIALS[bits as usize - 1] }
    }

    /// How many levels to a unit give the code that points most like the vector, of those that are tried.
    #[inline(always)]
    fn best(self, vector: &[f32], greatest: f32) -> f32 {
        let (trials, denser) = self.trials;
        let reaching = (self.middle + 0.5) / greatest;
        let (mut best, mut levels) = (-1.0, reaching);
        if trials > 1 {
            for trial in 0..trials {
                let tried = reaching * (1.0 + denser * trial as f32);
                let likeness = self.likeness(vector, tried);
                if likeness > best {
                    (best, levels) = (likeness, tried);
                }
            }
        }
        levels
    }

    /// The level of a component, before it is rounded to a code.
    #[inline(always)]
    fn level(self, x: f32, levels: f32) -> f32 {
        let level = x * levels + self.middle;
        let level = if level > 0.0 { level } else { 0.0 };
        if level < self.top { level } else { self.top }
    }

    /// The squared cosine between the vector and its codes with so many levels to a unit, times the squared length of the
    /// vector.
    #[inline(always)]
    fn likeness(self, vector: &[f32], levels: f32) -> f64 {
        let (mut along, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let mut add = |lane: usize, x: f32| {
            let y = (self.level(x, levels) + INTEGERS) - INTEGERS - self.middle;
            along[lane] += y * x;
            squares[lane] += y * y;
        };
        let (blocks, rest) = vector.as_chunks::<LANES>();
        for block in blocks {
            for (lane, x) in block.iter().enumerate() {
                add(lane, *x);
            }
        }
        rest.iter().enumerate().for_each(|(lane, x)| add(lane, *x));
        let (along, squares): (f32, f32) = (along.iter().sum(), squares.iter().sum());
        f64::from(along) * f64::from(along) / f64::from(squares)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests {
    use vectra_core::testing::oracle::Dice;

    use super::*;

    fn gaussian(dim: usize, seed: u64) -> Vec<f32> {
        let mut dice = Dice::new(seed);
        (0..dim).map(|_| dice.gaussian()).collect()
    }

    /// The sine between a vector and its code.
    fn sine(vector: &[f32], codes: &[u8], bits: u32) -> f64 {
        let middle = f64::from((1_u32 << bits) - 1) / 2.0;
        let (mut energy, mut along, mut squares) = (0.0, 0.0, 0.0);
        for (x, code) in vector.iter().zip(codes) {
            let (x, v) = (f64::from(*x), f64::from(*code) - middle);
            energy += x * x;
            along += x * v;
            squares += v * v;
        }
        (1.0 - along * along / (energy * squares)).max(0.0).sqrt()
    }

    #[test]
    fn multiples_of_the_levels_are_kept_exactly() {
        for bits in 1..=8_u32 {
            let middle = (1_u32 << bits) as f32 / 2.0 - 0.5;
            let vector: Vec<f32> = (0..1 << bits).map(|code| 0.25 * (code as f32 - middle)).collect();
            let mut codes = vec![99; vector.len()];
            let of = encode(&vector, bits, &mut codes);
            assert!(codes.iter().zip(0..).all(|(code, expected)| u32::from(*code) == expected), "{bits}");
            assert_eq!(of.scale, 0.25);
            assert_eq!(of.energy, vector.iter().map(|x| f64::from(x * x)).sum::<f64>());
        }
    }

    #[test]
    fn one_bit_is_the_sign() {
        let mut codes = [9; 4];
        encode(&[3.0, -1e-3, 0.5, -7.0], 1, &mut codes);
        assert_eq!(codes, [1, 0, 1, 0]);
    }

    #[test]
    fn each_bit_halves_what_codes_are_wrong_by() {
        for (bits, expected) in (1..).zip([0.6, 0.337, 0.185, 0.1, 0.0535, 0.0275, 0.0137, 0.0068]) {
            let (mut mean, mut least) = (0.0, 1.0_f64);
            for seed in 0..50 {
                let vector = gaussian(384, seed);
                let mut codes = vec![0; 384];
                encode(&vector, bits, &mut codes);
                let sine = sine(&vector, &codes, bits);
                mean += sine / 50.0;
                least = least.min(sine);
            }
            assert!((mean / expected - 1.0).abs() < 0.04, "{bits} bits: {mean}, not {expected}");
            assert!(least > f64::from(SINES[bits as usize - 1]), "{bits} bits: {least}");
        }
    }

    #[test]
    fn the_error_is_that_of_a_random_direction() {
        for bits in [1, 4, 8] {
            let vector = gaussian(100, 3);
            let mut codes = vec![0; 100];
            let of = encode(&vector, bits, &mut codes);
            let sine = sine(&vector, &codes, bits);
            let tangent = sine.max(f64::from(SINES[bits as usize - 1])) / (1.0 - sine * sine).sqrt();
            let expected = of.energy.sqrt() * tangent / 99.0_f64.sqrt();
            assert!((f64::from(of.error) / expected - 1.0).abs() < 1e-4, "{bits}: {of:?} {expected}");
        }
        let mut codes = [0; 64];
        let exact = encode(&[2.0; 64], 1, &mut codes);
        let least = f64::from(SINES[0]) * 128.0_f64.sqrt() * 2.0_f64.sqrt() / 63.0_f64.sqrt();
        assert!(
            (f64::from(exact.error) / least - 1.0).abs() < 1e-4,
            "no code is said to be exact: {exact:?}"
        );
    }

    #[test]
    fn the_trials_reach_what_any_width_does() {
        for bits in 2..=8 {
            for seed in 0..20 {
                let (vector, mut codes) = (gaussian(96, seed), vec![0; 96]);
                encode(&vector, bits, &mut codes);
                let found = sine(&vector, &codes, bits);
                let (greatest, grid) = (greatest(&vector), Grid::new(bits));
                let energy: f64 = vector.iter().map(|x| f64::from(x * x)).sum();
                let best = (0..300).map(|i| {
                    let levels = (grid.middle + 0.5) / greatest * (0.9 + 0.005 * i as f32);
                    (1.0 - grid.likeness(&vector, levels) / energy).max(0.0).sqrt()
                });
                let best = best.fold(1.0, f64::min);
                assert!(found < 1.15 * best, "{bits} bits: {found} where {best} is possible");
            }
        }
    }

    #[test]
    fn queries_use_all_signed_codes() {
        let mut codes = [99; 5];
        let of = bind(&[127.0, -127.0, 0.4, -0.6, 2.5], &mut codes);
        assert_eq!(codes, [127, -127, 0, -1, 2]);
        assert_eq!((of.step, of.sum), (1.0, 1));
        let lost = 0.4 * 0.4 + 0.4 * 0.4 + 0.25;
        assert!((of.lost - lost).abs() < 1e-6, "{of:?}");
    }

    #[test]
    fn what_is_nearly_zero_is_zero() {
        let (mut codes, mut signed) = ([9; 3], [9; 3]);
        let of = encode(&[1e-37, 0.0, -1e-40], 8, &mut codes);
        assert_eq!((of, codes), (OfRow { energy: 0.0, scale: 0.0, error: 0.0 }, [128; 3]));
        assert_eq!(bind(&[1e-37, 0.0, -1e-40], &mut signed).step, 0.0);
        assert_eq!(signed, [0; 3]);
    }
}
