//! AVX-512 with a count of bits, and AVX2, which looks the counts of nibbles up.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_sad_epu8,
    _mm256_set1_epi8, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi64,
    _mm256_srli_epi16, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256, _mm512_add_epi64,
    _mm512_castsi512_si256, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_popcnt_epi64,
    _mm512_setzero_si512, _mm512_ternarylogic_epi64,
};

use super::super::row::Pair;
use super::Kernels;
use super::generic::{self, Counts};
use crate::isa::Isa;

/// 512 bits: a count for each eighth of a line.
#[derive(Clone, Copy)]
struct Full(__m512i);

impl Counts for Full {
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn zero() -> Self {
        Self(_mm512_setzero_si512())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vpopcntdq")]
    unsafe fn step(self, query: *const Pair, row: *const u8) -> Self {
        // (a ^ b) & c, as the bits of a table with a the highest digit.
        const DIFFER: i32 = 0b0010_1000;
        // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
        let (bits, mask, row) = unsafe {
            (
                _mm512_loadu_si512(query.cast()),
                _mm512_loadu_si512(query.cast::<u8>().add(64).cast()),
                _mm512_loadu_si512(row.cast()),
            )
        };
        let differ = _mm512_ternarylogic_epi64::<DIFFER>(bits, row, mask);
        Self(_mm512_add_epi64(self.0, _mm512_popcnt_epi64(differ)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx2")]
    unsafe fn totals(all: [Self; 4]) -> [u32; 4] {
        totals(all.map(|Self(counts)| {
            _mm256_add_epi64(_mm512_castsi512_si256(counts), _mm512_extracti64x4_epi64::<1>(counts))
        }))
    }
}

/// 256 bits, twice.
#[derive(Clone, Copy)]
struct Half(__m256i);

impl Counts for Half {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> Self {
        Self(_mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn step(self, query: *const Pair, row: *const u8) -> Self {
        let low = _mm256_set1_epi8(15);
        let of_nibbles = _mm256_setr_epi8(
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        );
        let mut counts = _mm256_setzero_si256();
        for half in [0, 32] {
            // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
            let (bits, mask, row) = unsafe {
                (
                    _mm256_loadu_si256(query.cast::<u8>().add(half).cast()),
                    _mm256_loadu_si256(query.cast::<u8>().add(64 + half).cast()),
                    _mm256_loadu_si256(row.add(half).cast()),
                )
            };
            let differ = _mm256_and_si256(_mm256_xor_si256(bits, row), mask);
            for nibbles in [differ, _mm256_srli_epi16::<4>(differ)] {
                let of_these = _mm256_shuffle_epi8(of_nibbles, _mm256_and_si256(nibbles, low));
                counts = _mm256_add_epi8(counts, of_these);
            }
        }
        Self(_mm256_add_epi64(self.0, _mm256_sad_epu8(counts, _mm256_setzero_si256())))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn totals(all: [Self; 4]) -> [u32; 4] {
        totals(all.map(|Self(counts)| counts))
    }
}

/// The sums of four registers of four counts, each below 2^32.
#[inline]
#[target_feature(enable = "avx2")]
fn totals([a, b, c, d]: [__m256i; 4]) -> [u32; 4] {
    let both = |x, y| _mm256_or_si256(x, _mm256_slli_epi64::<32>(y));
    let (ab, cd) = (both(a, b), both(c, d));
    let each = _mm256_add_epi64(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    let four = _mm_add_epi32(_mm256_castsi256_si128(each), _mm256_extracti128_si256::<1>(each));
    let mut out = [0; 4];
    // SAFETY: the array has room for four sums; the store takes any alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), four) };
    out
}

/// The entry points of one instruction set: the generic loops compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal, $counts:ident) => {
        mod $module {
            use super::{Isa, Kernels, Pair, generic};

            #[target_feature(enable = $features)]
            unsafe fn gather(query: &[Pair], rows: &[u8], slots: &[u32], out: &mut [u32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::gather::<super::$counts>(query, rows, slots, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan(query: &[Pair], rows: &[u8], out: &mut [u32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::scan::<super::$counts>(query, rows, out) }
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels = Kernels { isa: Isa::$isa, gather, scan };
        }
    };
}
entry_points!(avx512, Avx512, "avx512f,avx512bw,avx512vl,avx512vpopcntdq", Full);
entry_points!(avx2, Avx2, "avx2", Half);

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 2] = [&avx512::KERNELS, &avx2::KERNELS];
