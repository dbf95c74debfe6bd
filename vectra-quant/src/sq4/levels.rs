//! The codes of one vector, of a row or of a query.
//!
//! Sums are kept in lanes and added up in one order, so that every instruction set gives the same bits.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

/// Components looked at side by side.
const LANES: usize = 16;

/// Widths of levels that are tried: from the one that reaches the greatest component to less than half of it.
const TRIALS: usize = 12;

/// Vectors without a component beyond this are zero: their squares are, in `f32`, and no scale comes out infinite.
const LEAST: f32 = 1e-36;

/// Next to it the `f32` are the integers: adding it rounds, ties to even, and leaves the result in the low bits.
const INTEGERS: f32 = 12_582_912.0;

/// What the codes of a row do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfRow {
    /// Squared length of the components.
    pub(super) energy: f64,
    /// The factor of the levels.
    pub(super) scale: f32,
}

/// What the codes of a query do not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfQuery {
    /// Squared length of the components.
    pub(super) energy: f64,
    /// The width of a level.
    pub(super) step: f32,
    /// The sum of the codes.
    pub(super) sum: i32,
}

/// Encodes a finite `vector` as a row is encoded.
#[inline(always)]
pub(super) fn encode(vector: &[f32], codes: &mut [u8]) -> OfRow {
    let greatest = greatest(vector);
    if greatest < LEAST {
        codes.fill(8);
        return OfRow { energy: 0.0, scale: 0.0 };
    }
    let (mut best, mut levels) = (0.0, 8.0 / greatest);
    for trial in 0..TRIALS {
        let denser = (8.0 + 0.96 * trial as f32) / greatest;
        let likeness = likeness(vector, denser);
        if likeness > best {
            (best, levels) = (likeness, denser);
        }
    }
    for (codes, vector) in codes.chunks_mut(LANES).zip(vector.chunks(LANES)) {
        for (code, x) in codes.iter_mut().zip(vector) {
            *code = (level(*x, levels) + INTEGERS).to_bits() as u8 & 15;
        }
    }
    let (mut energy, mut along) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    for (codes, vector) in codes.chunks(LANES).zip(vector.chunks(LANES)) {
        let lanes = energy.iter_mut().zip(&mut along);
        for ((energy, along), (code, x)) in lanes.zip(codes.iter().zip(vector)) {
            let x = f64::from(*x);
            *energy += x * x;
            *along += x * (f64::from(*code) - 7.5);
        }
    }
    let (energy, along): (f64, f64) = (energy.iter().sum(), along.iter().sum());
    OfRow { energy, scale: (energy / along) as f32 }
}

/// Encodes a finite `vector` as a query is encoded.
#[inline(always)]
pub(super) fn bind(vector: &[f32], codes: &mut [i8]) -> OfQuery {
    let greatest = greatest(vector);
    if greatest < LEAST {
        codes.fill(0);
        return OfQuery { energy: 0.0, step: 0.0, sum: 0 };
    }
    let levels = 127.0 / greatest;
    let (mut energy, mut sum) = ([0.0_f64; LANES], [0_i32; LANES]);
    for (codes, vector) in codes.chunks_mut(LANES).zip(vector.chunks(LANES)) {
        let lanes = energy.iter_mut().zip(&mut sum);
        for ((energy, sum), (code, x)) in lanes.zip(codes.iter_mut().zip(vector)) {
            // The low bits are those of the two's complement.
            *code = (*x * levels + INTEGERS).to_bits() as i8;
            *sum += i32::from(*code);
            *energy += f64::from(*x) * f64::from(*x);
        }
    }
    OfQuery { energy: energy.iter().sum(), step: greatest / 127.0, sum: sum.iter().sum() }
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

/// The level of a component, before it is rounded to a code.
#[inline(always)]
fn level(x: f32, levels: f32) -> f32 {
    let level = x * levels + 7.5;
    let level = if level > 0.0 { level } else { 0.0 };
    if level < 15.0 { level } else { 15.0 }
}

/// The squared cosine between the vector and its codes with so many levels to a unit, times the squared length of the
/// vector.
#[inline(always)]
fn likeness(vector: &[f32], levels: f32) -> f64 {
    let (mut along, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (blocks, rest) = vector.as_chunks::<LANES>();
    let mut add = |lane: usize, x: f32| {
        let y = (level(x, levels) + INTEGERS) - INTEGERS - 7.5;
        along[lane] += y * x;
        squares[lane] += y * y;
    };
    for block in blocks {
        for (lane, x) in block.iter().enumerate() {
            add(lane, *x);
        }
    }
    rest.iter().enumerate().for_each(|(lane, x)| add(lane, *x));
    let (along, squares): (f32, f32) = (along.iter().sum(), squares.iter().sum());
    f64::from(along) * f64::from(along) / f64::from(squares)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests {
    use vectra_core::testing::oracle::Dice;

    use super::*;

    #[test]
    fn multiples_of_the_levels_are_kept_exactly() {
        let vector: Vec<f32> = (0..16).map(|code| 0.25 * (code as f32 - 7.5)).collect();
        let mut codes = [99; 16];
        let of = encode(&vector, &mut codes);
        assert_eq!(codes.map(usize::from), std::array::from_fn(|code| code));
        assert_eq!(of.scale, 0.25);
        assert_eq!(of.energy, vector.iter().map(|x| f64::from(x * x)).sum::<f64>());
    }

    #[test]
    fn no_other_width_tried_is_more_alike() {
        let mut dice = Dice::new(1);
        let mut beyond = 0;
        for _ in 0..50 {
            let vector: Vec<f32> = (0..100).map(|_| dice.gaussian()).collect();
            let mut codes = [0; 100];
            encode(&vector, &mut codes);
            let decoded = || codes.iter().map(|code| f64::from(*code) - 7.5);
            let along: f64 = decoded().zip(&vector).map(|(y, x)| y * f64::from(*x)).sum();
            let found = along * along / decoded().map(|y| y * y).sum::<f64>();
            let greatest = greatest(&vector);
            for trial in 0..TRIALS {
                let other = likeness(&vector, (8.0 + 0.96 * trial as f32) / greatest);
                assert!(found >= other * (1.0 - 1e-5), "trial {trial}: {other}, chosen {found}");
            }
            beyond += usize::from(found > 1.0001 * likeness(&vector, 8.0 / greatest));
        }
        assert!(beyond > 10, "many vectors are better off with their greatest components cut: {beyond}");
    }

    #[test]
    fn queries_use_all_signed_codes() {
        let mut codes = [99; 5];
        let of = bind(&[127.0, -127.0, 0.4, -0.6, 2.5], &mut codes);
        assert_eq!(codes, [127, -127, 0, -1, 2]);
        assert_eq!((of.step, of.sum), (1.0, 1));
        let energy = 2.0 * 127.0 * 127.0 + 6.25 + f64::from(0.4_f32).powi(2) + f64::from(0.6_f32).powi(2);
        assert!((of.energy - energy).abs() < 1e-9);
    }

    #[test]
    fn next_to_nothing_is_zero() {
        for x in [0.0, -0.0, 1e-37, -1e-45] {
            let (mut row, mut query) = ([99; 20], [99; 20]);
            assert_eq!(encode(&[x; 20], &mut row), OfRow { energy: 0.0, scale: 0.0 });
            assert_eq!(bind(&[x; 20], &mut query), OfQuery { energy: 0.0, step: 0.0, sum: 0 });
            assert_eq!((row, query), ([8; 20], [0; 20]));
        }
        let mut row = [0; 3];
        let of = encode(&[2e-36, -1e-36, 0.0], &mut row);
        assert!(of.scale > 0.0 && of.scale.is_normal(), "{}", of.scale);
    }
}
