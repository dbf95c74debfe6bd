//! NEON: a count of bits for each byte, summed up for a line.

use std::arch::aarch64::{
    uint32x4_t, vaddq_u8, vaddvq_u32, vandq_u8, vcntq_u8, vdupq_n_u8, vdupq_n_u32, veorq_u8, vld1q_u8,
    vpadalq_u16, vpaddlq_u8,
};

use super::super::row::Pair;
use super::Kernels;
use super::generic::{self, Counts};
use crate::isa::Isa;

#[derive(Clone, Copy)]
struct Neon(uint32x4_t);

impl Counts for Neon {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn zero() -> Self {
        Self(vdupq_n_u32(0))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn step(self, query: *const Pair, row: *const u8) -> Self {
        let query = query.cast::<u8>();
        // Four counts of at most eight bits meet in each byte.
        let mut counts = vdupq_n_u8(0);
        for at in [0, 16, 32, 48] {
            // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
            let (bits, mask, row) =
                unsafe { (vld1q_u8(query.add(at)), vld1q_u8(query.add(64 + at)), vld1q_u8(row.add(at))) };
            counts = vaddq_u8(counts, vcntq_u8(vandq_u8(veorq_u8(bits, row), mask)));
        }
        Self(vpadalq_u16(self.0, vpaddlq_u8(counts)))
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn totals(all: [Self; 4]) -> [u32; 4] {
        all.map(|Self(counts)| vaddvq_u32(counts))
    }
}

#[target_feature(enable = "neon")]
unsafe fn gather(query: &[Pair], rows: &[u8], slots: &[u32], out: &mut [u32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::gather::<Neon>(query, rows, slots, out) }
}

#[target_feature(enable = "neon")]
unsafe fn scan(query: &[Pair], rows: &[u8], out: &mut [u32]) {
    // SAFETY: the contract is the same.
    unsafe { generic::scan::<Neon>(query, rows, out) }
}

/// To be handed out only after the feature was detected.
pub(super) static KERNELS: Kernels = Kernels { isa: Isa::Neon, gather, scan };
