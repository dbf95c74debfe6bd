//! NEON: sixteen rows to a register.

use std::arch::aarch64::{
    uint8x16_t, uint8x16x4_t, uint16x8_t, vaddq_u8, vaddw_high_u8, vaddw_u8, vandq_u8, vdupq_n_u8,
    vdupq_n_u16, veorq_u8, vget_low_u8, vld1q_u8, vqtbl1q_u8, vqtbl4q_u8, vqtbx4q_u8, vshrq_n_u8, vst1q_u16,
};

use super::super::bytes::of_values;
use super::generic::{self, Bytes};
use super::{Kernels, Task};
use crate::isa::Isa;

#[derive(Clone, Copy)]
struct Neon(uint8x16_t);

impl Bytes for Neon {
    const ROWS: usize = 16;
    type Short = uint8x16_t;
    type Long = [uint8x16x4_t; 4];
    type Wide = [uint16x8_t; 2];

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(codes: *const u8) -> Self {
        // SAFETY: the caller vouches for the bytes; the load takes any alignment.
        Self(unsafe { vld1q_u8(codes) })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn nibbles(self) -> [Self; 2] {
        [Self(vandq_u8(self.0, vdupq_n_u8(15))), Self(vshrq_n_u8::<4>(self.0))]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn short(table: *const u8) -> uint8x16_t {
        // SAFETY: the caller vouches for the bytes; the load takes any alignment.
        unsafe { vld1q_u8(table) }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn short_entries(self, table: uint8x16_t) -> Self {
        Self(vqtbl1q_u8(table, self.0))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn long(table: *const u8) -> [uint8x16x4_t; 4] {
        [0, 64, 128, 192].map(|at| {
            // SAFETY: the caller vouches for the bytes; the loads take any alignment.
            let load = |part: usize| unsafe { vld1q_u8(table.add(at + part)) };
            uint8x16x4_t(load(0), load(16), load(32), load(48))
        })
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn long_entries(self, table: &[uint8x16x4_t; 4]) -> Self {
        // An index beyond 63 gives zero, or leaves what was there before: each quarter is turned to the front in its turn.
        let mut entries = vqtbl4q_u8(table[0], self.0);
        entries = vqtbx4q_u8(entries, table[1], veorq_u8(self.0, vdupq_n_u8(64)));
        entries = vqtbx4q_u8(entries, table[2], veorq_u8(self.0, vdupq_n_u8(128)));
        Self(vqtbx4q_u8(entries, table[3], veorq_u8(self.0, vdupq_n_u8(192))))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn plus(self, other: Self) -> Self {
        Self(vaddq_u8(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> [uint16x8_t; 2] {
        [vdupq_n_u16(0); 2]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add([low, high]: [uint16x8_t; 2], Self(bytes): Self) -> [uint16x8_t; 2] {
        [vaddw_u8(low, vget_low_u8(bytes)), vaddw_high_u8(high, bytes)]
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn sift(sums: [uint16x8_t; 2], limit: u16, out: *mut u16) -> u64 {
        // SAFETY: the caller vouches for room for sixteen sums, which are aligned in it.
        let sums = unsafe {
            vst1q_u16(out, sums[0]);
            vst1q_u16(out.add(8), sums[1]);
            &*out.cast::<[u16; 16]>()
        };
        let bits = sums.iter().rev().map(|sum| u64::from(*sum <= limit));
        bits.fold(0, |mask, bit| mask << 1 | bit)
    }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "neon")]
unsafe fn nibbles(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Neon, false, 4, 1, 2>(task) }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "neon")]
unsafe fn bytes(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Neon, true, 1, 1, 1>(task) }
}

/// To be handed out only after the feature was detected.
pub(super) static KERNELS: Kernels = Kernels { isa: Isa::Neon, nibbles, bytes, of_values };
