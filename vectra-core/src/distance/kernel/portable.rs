//! Eight lanes through the `wide` crate: whatever registers the compiler's base target has, on any architecture.
#![allow(clippy::inline_always, reason = "part of the generic loop's body")]

use half::f16;
use wide::{f32x8, u16x8, u32x8};

use super::super::dispatch::Op;
use super::Kernels;
use super::generic::{self, Dot, L1, L2, Lanes, Reduce};
use crate::distance::Element;

/// 2^112, the difference of the exponents' biases of the two types (127 - 15).
pub(super) const REBIAS: f32 = f32::from_bits((127 + 112) << 23);

/// Widens eight halves by integer arithmetic, which every target has vector instructions for; the conversion of
/// `half` would ask for the processor's features at each call.
#[inline(always)]
fn widen(halves: [f16; 8]) -> f32x8 {
    let all = u32x8::splat;
    let bits = u32x8::from(u16x8::from(halves.map(f16::to_bits)));
    // The multiplication is exact, and it makes normal numbers of subnormal ones.
    let magnitude: f32x8 = bytemuck::cast((bits & all(0x7fff)) << 13_u32);
    let magnitude: u32x8 = bytemuck::cast(magnitude * f32x8::splat(REBIAS));
    // The largest exponent stands for infinity and not-a-number and stays the largest.
    let exponent = all(0x7c00);
    let endless = (bits & exponent).simd_eq(exponent) & all(0x7f80_0000);
    bytemuck::cast(magnitude | endless | ((bits & all(0x8000)) << 16_u32))
}

impl Lanes for f32x8 {
    const COUNT: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self::ZERO
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for eight readable elements; the read needs no more than their alignment.
        Self::from(unsafe { from.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn load_half(from: *const f16) -> Self {
        // SAFETY: the caller vouches for eight readable elements; the read needs no more than their alignment.
        let narrow = unsafe { from.cast::<[f16; 8]>().read() };
        widen(narrow)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self::abs(self)
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self::mul_add(self, factor, sum)
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.reduce_add()
    }
}

/// The table of one operation; a constant of a type because statics cannot be generic.
struct Table<E, R>(std::marker::PhantomData<(E, R)>);

impl<E: Element, R: Reduce + 'static> Table<E, R> {
    const PORTABLE: &'static Kernels<E> = &Kernels {
        name: "portable",
        one: generic::one::<E, f32x8, R>,
        gather: generic::gather::<E, f32x8, R>,
        scan: generic::scan::<E, f32x8, R, 1>,
        scan_many: generic::scan_many::<E, f32x8, R, 2, 2>,
    };
}

/// The kernel that every machine can run.
pub(crate) fn portable<E: Element>(op: Op) -> &'static Kernels<E> {
    match op {
        Op::Dot => Table::<E, Dot>::PORTABLE,
        Op::L2 => Table::<E, L2>::PORTABLE,
        Op::L1 => Table::<E, L1>::PORTABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_widens_to_its_value() {
        for first in (0..=u16::MAX).step_by(8) {
            let halves = std::array::from_fn(|i| f16::from_bits(first + i as u16));
            for (found, half) in widen(halves).to_array().into_iter().zip(halves) {
                if half.is_nan() {
                    assert!(found.is_nan(), "{half:?}");
                } else {
                    assert_eq!(found.to_bits(), half.to_f32().to_bits(), "{half:?}");
                }
            }
        }
    }
}
