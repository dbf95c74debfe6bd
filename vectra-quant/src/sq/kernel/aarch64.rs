//! NEON: bytes widened to 16 bits, products added to 32-bit sums.

use std::arch::aarch64::{
    int32x4_t, vaddq_s32, vaddvq_s32, vdupq_n_s32, vget_high_s16, vget_low_s8, vget_low_s16, vget_low_u8,
    vld1q_s8, vld1q_u8, vmlal_s16, vmovl_high_s8, vmovl_high_u8, vmovl_s8, vmovl_u8, vreinterpretq_s16_u16,
};

use super::super::formula::distances_apart;
use super::super::{levels, manhattan, near};
use super::generic::{self, Sums};
use super::{Kernels, tile};
use crate::isa::Isa;

#[derive(Clone, Copy)]
struct Neon([int32x4_t; 2]);

impl Sums for Neon {
    const WIDTH: usize = 16;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> Self {
        Self([vdupq_n_s32(0); 2])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn step(self, query: *const i8, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for 16 readable bytes at each; the loads take any alignment.
        let (query, codes) = unsafe { (vld1q_s8(query), vld1q_u8(codes)) };
        // Codes up to 255 stay what they are as signed 16-bit integers.
        let halves = [
            (vmovl_s8(vget_low_s8(query)), vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)))),
            (vmovl_high_s8(query), vreinterpretq_s16_u16(vmovl_high_u8(codes))),
        ];
        let [mut a, mut b] = self.0;
        for (q, x) in halves {
            a = vmlal_s16(a, vget_low_s16(q), vget_low_s16(x));
            b = vmlal_s16(b, vget_high_s16(q), vget_high_s16(x));
        }
        Self([a, b])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(self, other: Self) -> Self {
        Self([vaddq_s32(self.0[0], other.0[0]), vaddq_s32(self.0[1], other.0[1])])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn total(self) -> i32 {
        vaddvq_s32(vaddq_s32(self.0[0], self.0[1]))
    }
}

#[target_feature(enable = "neon")]
unsafe fn one(query: &[i8], codes: &[u8]) -> i32 {
    // SAFETY: the contract is the same.
    unsafe { generic::one::<Neon>(query, codes) }
}

#[target_feature(enable = "neon")]
unsafe fn gather(query: &[i8], rows: &[u8], stride: usize, slots: &[u32], out: &mut [i32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::gather::<Neon>(query, rows, stride, slots, out) }
}

#[target_feature(enable = "neon")]
unsafe fn scan(query: &[i8], rows: &[u8], stride: usize, out: &mut [i32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::scan::<Neon>(query, rows, stride, out) }
}

/// To be handed out only after the feature was detected. What is portable needs no registers beyond the base target's.
pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Neon,
    one,
    gather,
    scan,
    products: tile::products::<[i32; tile::GROUP], { tile::ROWS }>,
    row: tile::products::<[i32; tile::GROUP], 1>,
    finish: |side, columns, products, out| columns.distances(side, products, out),
    finish_apart: distances_apart,
    nearest: near::nearest,
    manhattan: manhattan::distance,
    encode: levels::encode,
};
