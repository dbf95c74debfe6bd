//! NEON registers. Halves are widened by integer arithmetic, since the intrinsics for the type are not stable.

use std::arch::aarch64::{
    float32x4_t, vabsq_f32, vaddq_f32, vaddvq_f32, vandq_u32, vceqq_u32, vdupq_n_f32, vdupq_n_u32, vfmaq_f32,
    vld1_u16, vld1q_f32, vmovl_u16, vmulq_f32, vorrq_u32, vreinterpretq_f32_u32, vreinterpretq_u32_f32,
    vshlq_n_u32, vsubq_f32,
};
use std::arch::is_aarch64_feature_detected;

use half::f16;

use super::super::dispatch::Op;
use super::Kernels;
use super::generic::{self, Dot, L1, L2, Lanes, Reduce};
use super::portable::REBIAS;
use crate::distance::Element;

impl Lanes for float32x4_t {
    const COUNT: usize = 4;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> Self {
        vdupq_n_f32(0.0)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four readable elements.
        unsafe { vld1q_f32(from) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load_half(from: *const f16) -> Self {
        // SAFETY: the caller vouches for four readable elements.
        let bits = vmovl_u16(unsafe { vld1_u16(from.cast()) });
        // As in `portable::widen`.
        let magnitude = vshlq_n_u32::<13>(vandq_u32(bits, vdupq_n_u32(0x7fff)));
        let magnitude = vmulq_f32(vreinterpretq_f32_u32(magnitude), vdupq_n_f32(REBIAS));
        let exponent = vdupq_n_u32(0x7c00);
        let endless = vandq_u32(vceqq_u32(vandq_u32(bits, exponent), exponent), vdupq_n_u32(0x7f80_0000));
        let sign = vshlq_n_u32::<16>(vandq_u32(bits, vdupq_n_u32(0x8000)));
        vreinterpretq_f32_u32(vorrq_u32(vorrq_u32(vreinterpretq_u32_f32(magnitude), endless), sign))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(self, other: Self) -> Self {
        vaddq_f32(self, other)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sub(self, other: Self) -> Self {
        vsubq_f32(self, other)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn abs(self) -> Self {
        vabsq_f32(self)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        vfmaq_f32(sum, self, factor)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sum(self) -> f32 {
        vaddvq_f32(self)
    }
}

#[target_feature(enable = "neon")]
unsafe fn one<E: Element, R: Reduce>(query: &[f32], row: &[E]) -> f32 {
    // SAFETY: the contract is the same.
    unsafe { generic::one::<E, float32x4_t, R>(query, row) }
}

#[target_feature(enable = "neon")]
unsafe fn gather<E: Element, R: Reduce>(query: &[f32], rows: &[E], slots: &[u32], out: &mut [f32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::gather::<E, float32x4_t, R>(query, rows, slots, out) }
}

#[target_feature(enable = "neon")]
unsafe fn scan<E: Element, R: Reduce>(query: &[f32], rows: &[E], out: &mut [f32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::scan::<E, float32x4_t, R, 4>(query, rows, out) }
}

#[target_feature(enable = "neon")]
unsafe fn scan_many<E: Element, R: Reduce>(queries: &[f32], dims: usize, rows: &[E], out: &mut [f32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::scan_many::<E, float32x4_t, R, 6, 4>(queries, dims, rows, out) }
}

/// The table of one operation; a constant of a type because statics cannot be generic.
struct Table<E, R>(std::marker::PhantomData<(E, R)>);

impl<E: Element, R: Reduce + 'static> Table<E, R> {
    /// To be handed out only after the feature was detected.
    const KERNELS: &'static Kernels<E> = &Kernels {
        name: "neon",
        one: one::<E, R>,
        gather: gather::<E, R>,
        scan: scan::<E, R>,
        scan_many: scan_many::<E, R>,
    };
}

/// The NEON kernel, if this machine has the instructions.
pub(super) fn neon<E: Element>(op: Op) -> Option<&'static Kernels<E>> {
    is_aarch64_feature_detected!("neon").then_some(match op {
        Op::Dot => Table::<E, Dot>::KERNELS,
        Op::L2 => Table::<E, L2>::KERNELS,
        Op::L1 => Table::<E, L1>::KERNELS,
    })
}
