//! The rounds of a rotation, as loops over components that are side by side.
//!
//! Nothing is summed across components but by the butterflies of the transform, whose order is fixed, so every instruction
//! set gives the same bits.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

use std::f32::consts::FRAC_1_SQRT_2;

use vectra_core::env::{Rng, SeededRng};

/// A transform of so many components needs no memory of the heap.
const ON_STACK: usize = 1024;

/// The signs of all rounds, and what part of the components a transform takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rounds {
    /// For each round and component the sign bit, or zero.
    signs: Vec<u32>,
    /// Components that there are.
    len: usize,
    /// Components that one transform takes, a power of two.
    taken: usize,
}

impl Rounds {
    /// The rounds of `seed` for `len` components, at least 64.
    pub(super) fn new(len: usize, seed: u64) -> Self {
        let taken = 1 << len.ilog2();
        let rounds = if taken == len { 3 } else { 4 };
        let rng = SeededRng::new(seed);
        let mut signs = Vec::with_capacity(rounds * len);
        while signs.len() < rounds * len {
            let bits = rng.next_u64();
            // All lengths are multiples of 64.
            signs.extend((0..64).map(|at| ((bits >> at) as u32 & 1) << 31));
        }
        Self { signs, len, taken }
    }

    /// Components of rotated vectors.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Rotates `x`.
    #[inline(always)]
    pub(super) fn forward(&self, x: &mut [f32]) {
        let (mut small, mut large) = ([0.0; ON_STACK], Vec::new());
        let room = self.room(&mut small, &mut large);
        for (round, signs) in self.signs.chunks_exact(self.len).enumerate() {
            turn_signs(x, signs);
            hadamard(self.taken(x, round), room);
            self.mix_halves(x);
        }
    }

    /// Rotates `x` back.
    #[inline(always)]
    pub(super) fn backward(&self, x: &mut [f32]) {
        let (mut small, mut large) = ([0.0; ON_STACK], Vec::new());
        let room = self.room(&mut small, &mut large);
        for (round, signs) in self.signs.chunks_exact(self.len).enumerate().rev() {
            self.mix_halves(x);
            hadamard(self.taken(x, round), room);
            turn_signs(x, signs);
        }
    }

    /// Room for the components that a transform takes.
    #[inline(always)]
    fn room<'a>(&self, small: &'a mut [f32; ON_STACK], large: &'a mut Vec<f32>) -> &'a mut [f32] {
        if self.taken <= ON_STACK {
            return &mut small[..self.taken];
        }
        large.resize(self.taken, 0.0);
        large
    }

    /// The components whose turn it is in this round.
    #[inline(always)]
    fn taken<'a>(&self, x: &'a mut [f32], round: usize) -> &'a mut [f32] {
        let first = if round.is_multiple_of(2) { 0 } else { self.len - self.taken };
        &mut x[first..first + self.taken]
    }

    /// Turns the halves into each other where a transform leaves components out; twice is not at all.
    #[inline(always)]
    fn mix_halves(&self, x: &mut [f32]) {
        if self.taken < self.len {
            let (a, b) = x.split_at_mut(self.len / 2);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = ((*a + *b) * FRAC_1_SQRT_2, (*a - *b) * FRAC_1_SQRT_2);
            }
        }
    }
}

/// Turns over the signs whose bits are set.
#[inline(always)]
fn turn_signs(x: &mut [f32], signs: &[u32]) {
    x.iter_mut().zip(signs).for_each(|(x, sign)| *x = f32::from_bits(x.to_bits() ^ sign));
}

/// The orthogonal Hadamard transform of `x`, at least 64 components and a power of two, which is its own inverse.
///
/// Every pass reads quarters (halves, where their number is odd) and writes their sums and differences next to each other.
/// That moves the highest bits of each position to its low end, so that after all passes every bit is where it was.
#[inline(always)]
pub(super) fn hadamard(x: &mut [f32], other: &mut [f32]) {
    let bits = x.len().ilog2();
    let scale = 1.0 / (x.len() as f32).sqrt();
    let mut is_back = true;
    if bits % 2 == 1 {
        halves(x, other);
        is_back = false;
    }
    for _ in 0..bits / 2 {
        // Two calls, so that the compiler knows in each that what is read is not what is written.
        if is_back {
            quarters(x, other);
        } else {
            quarters(other, x);
        }
        is_back = !is_back;
    }
    if is_back {
        x.iter_mut().for_each(|x| *x *= scale);
    } else {
        x.iter_mut().zip(other).for_each(|(x, other)| *x = *other * scale);
    }
}

/// One bit of the transform.
#[inline(always)]
fn halves(from: &[f32], to: &mut [f32]) {
    let (a, b) = from.split_at(from.len() / 2);
    for ((a, b), to) in a.iter().zip(b).zip(to.as_chunks_mut::<2>().0) {
        *to = [a + b, a - b];
    }
}

/// Two bits of the transform.
#[inline(always)]
fn quarters(from: &[f32], to: &mut [f32]) {
    let (low, high) = from.split_at(from.len() / 2);
    let ((a, b), (c, d)) = (low.split_at(low.len() / 2), high.split_at(high.len() / 2));
    let pairs = a.iter().zip(b).zip(c.iter().zip(d));
    for (((a, b), (c, d)), to) in pairs.zip(to.as_chunks_mut::<4>().0) {
        let (sum, other_sum, difference, other_difference) = (a + c, b + d, a - c, b - d);
        *to =
            [sum + other_sum, sum - other_sum, difference + other_difference, difference - other_difference];
    }
}
