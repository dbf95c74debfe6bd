//! NEON: products of bytes summed in 16 bits for a line, then in 32.

use std::arch::aarch64::{
    int32x4_t, vaddq_s32, vaddvq_s32, vandq_u8, vdupq_n_s16, vdupq_n_s32, vdupq_n_u8, vget_high_s8,
    vget_low_s8, vld1q_s8, vld1q_u8, vmlal_s8, vpadalq_s16, vreinterpretq_s8_u8, vshlq_n_s32, vshrq_n_u8,
};

use super::super::formula::Side;
use super::super::levels;
use super::super::row::QueryLine;
use super::Kernels;
use super::generic::{self, Sums};
use crate::isa::Isa;

#[derive(Clone, Copy)]
struct Neon([int32x4_t; 2]);

impl Sums for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> Self {
        Self([vdupq_n_s32(0); 2])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn above<const WIDTH: u32>(self) -> Self {
        Self(self.0.map(|sums| match WIDTH {
            1 => vshlq_n_s32::<1>(sums),
            2 => vshlq_n_s32::<2>(sums),
            _ => vshlq_n_s32::<4>(sums),
        }))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn step<const WIDTH: u32>(self, query: *const QueryLine, codes: *const u8) -> Self {
        // Eight products of at most 15 * 128 meet in each sum, or more of smaller ones: 15,360.
        let (mut a, mut b) = (vdupq_n_s16(0), vdupq_n_s16(0));
        for at in [0, 16, 32, 48] {
            // SAFETY: the caller vouches for a line of codes; the load takes any alignment.
            let mut codes = unsafe { vld1q_u8(codes.add(at)) };
            for field in 0..8 / WIDTH as usize {
                // SAFETY: the caller vouches for a line of the query for each field.
                let query = unsafe { vld1q_s8(query.add(field).cast::<i8>().add(at)) };
                // Codes up to 15 stay what they are as signed bytes.
                let here = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8((1 << WIDTH) - 1)));
                a = vmlal_s8(a, vget_low_s8(query), vget_low_s8(here));
                b = vmlal_s8(b, vget_high_s8(query), vget_high_s8(here));
                codes = match WIDTH {
                    1 => vshrq_n_u8::<1>(codes),
                    2 => vshrq_n_u8::<2>(codes),
                    _ => vshrq_n_u8::<4>(codes),
                };
            }
        }
        Self([vpadalq_s16(self.0[0], a), vpadalq_s16(self.0[1], b)])
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn totals(all: [Self; 4]) -> [i32; 4] {
        all.map(|Self([a, b])| vaddvq_s32(vaddq_s32(a, b)))
    }
}

#[target_feature(enable = "neon")]
unsafe fn gather(query: &Side, rows: &[u8], stride: usize, slots: &[u32], out: &mut [f32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::gather::<Neon>(query, rows, stride, slots, out) }
}

#[target_feature(enable = "neon")]
unsafe fn scan(query: &Side, rows: &[u8], stride: usize, out: &mut [f32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::scan::<Neon>(query, rows, stride, out) }
}

/// To be handed out only after the feature was detected. What is portable needs no registers beyond the base target's.
pub(super) static KERNELS: Kernels = Kernels {
    isa: Isa::Neon,
    gather,
    scan,
    encode: levels::encode,
    bind: levels::bind,
    within: generic::within,
};
