//! VNNI in 512 and 256 bits, and AVX2 without it.
//!
//! `vpdpbusd` multiplies unsigned with signed bytes and adds four products to each `i32` sum without saturating. There
//! high nibbles are multiplied where they are, and their sums shifted once at the end: every product is sixteen times too
//! large, so no bit is lost.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256, _mm256_hadd_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_srai_epi32, _mm256_srli_epi16, _mm512_add_epi32, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_srai_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::super::formula::Side;
use super::super::levels::{self, OfQuery, OfRow};
use super::super::row::Pair;
use super::Kernels;
use super::generic::{self, Sums};
use crate::isa::Isa;

/// The masks of the nibbles of a byte.
const LOW: i8 = 0x0f;
const HIGH: i8 = 0xf0_u8.cast_signed();

/// 512-bit VNNI: sums of low nibbles, and of high ones times sixteen.
#[derive(Clone, Copy)]
struct Vnni512([__m512i; 2]);

impl Sums for Vnni512 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn zero() -> Self {
        Self([_mm512_setzero_si512(); 2])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn step(self, query: *const Pair, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
        let (low, high, codes) = unsafe {
            (
                _mm512_loadu_si512(query.cast()),
                _mm512_loadu_si512(query.cast::<i8>().add(64).cast()),
                _mm512_loadu_si512(codes.cast()),
            )
        };
        Self([
            _mm512_dpbusd_epi32(self.0[0], _mm512_and_si512(codes, _mm512_set1_epi8(LOW)), low),
            _mm512_dpbusd_epi32(self.0[1], _mm512_and_si512(codes, _mm512_set1_epi8(HIGH)), high),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn totals([a, b, c, d]: [Self; 4]) -> [i32; 4] {
        let both = |Self([low, high])| _mm512_add_epi32(low, _mm512_srai_epi32::<4>(high));
        let pairs = |x, y| _mm512_add_epi32(_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y));
        let (ab, cd) = (pairs(both(a), both(b)), pairs(both(c), both(d)));
        let each = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        ends(_mm256_add_epi32(_mm512_castsi512_si256(each), _mm512_extracti64x4_epi64::<1>(each)))
    }
}

/// The lower four sums and the upper four, added.
#[inline]
#[target_feature(enable = "avx2")]
fn ends(sums: __m256i) -> [i32; 4] {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let mut out = [0; 4];
    // SAFETY: the array has room for four sums; the store takes any alignment.
    unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), four) };
    out
}

/// The sums of four registers of eight.
#[inline]
#[target_feature(enable = "avx2")]
fn totals([a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
    ends(_mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d)))
}

/// 256-bit VNNI, as processors without AVX-512 have it: sums of low nibbles, and of high ones times sixteen.
#[derive(Clone, Copy)]
struct Vnni256([__m256i; 2]);

impl Sums for Vnni256 {
    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn zero() -> Self {
        Self([_mm256_setzero_si256(); 2])
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn step(self, query: *const Pair, codes: *const u8) -> Self {
        let Self([mut low, mut high]) = self;
        for half in [0, 32] {
            // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
            let (query_low, query_high, codes) = unsafe {
                (
                    _mm256_loadu_si256(query.cast::<i8>().add(half).cast()),
                    _mm256_loadu_si256(query.cast::<i8>().add(64 + half).cast()),
                    _mm256_loadu_si256(codes.add(half).cast()),
                )
            };
            let (lows, highs) = (_mm256_set1_epi8(LOW), _mm256_set1_epi8(HIGH));
            low = _mm256_dpbusd_avx_epi32(low, _mm256_and_si256(codes, lows), query_low);
            high = _mm256_dpbusd_avx_epi32(high, _mm256_and_si256(codes, highs), query_high);
        }
        Self([low, high])
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn totals([a, b, c, d]: [Self; 4]) -> [i32; 4] {
        let both = |Self([low, high])| _mm256_add_epi32(low, _mm256_srai_epi32::<4>(high));
        totals([both(a), both(b), both(c), both(d)])
    }
}

/// Products summed in 16 bits first. `vpmaddubsw` adds two of at most 15 * 128; the four of them that are added up for a
/// line are at most 15,360.
#[derive(Clone, Copy)]
struct Narrow(__m256i);

impl Sums for Narrow {
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> Self {
        Self(_mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn step(self, query: *const Pair, codes: *const u8) -> Self {
        let (mask, mut sums) = (_mm256_set1_epi8(LOW), _mm256_setzero_si256());
        for half in [0, 32] {
            // SAFETY: the caller vouches for a pair and a line; the loads take any alignment.
            let (query_low, query_high, codes) = unsafe {
                (
                    _mm256_loadu_si256(query.cast::<i8>().add(half).cast()),
                    _mm256_loadu_si256(query.cast::<i8>().add(64 + half).cast()),
                    _mm256_loadu_si256(codes.add(half).cast()),
                )
            };
            let low = _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), query_low);
            let shifted = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask);
            let high = _mm256_maddubs_epi16(shifted, query_high);
            sums = _mm256_add_epi16(sums, _mm256_add_epi16(low, high));
        }
        Self(_mm256_add_epi32(self.0, _mm256_madd_epi16(sums, _mm256_set1_epi16(1))))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn totals([a, b, c, d]: [Self; 4]) -> [i32; 4] {
        totals([a.0, b.0, c.0, d.0])
    }
}

/// The entry points of one instruction set: the generic loops compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal, $sums:ident) => {
        mod $module {
            use super::{Isa, Kernels, OfQuery, OfRow, Side, generic, levels};

            #[target_feature(enable = $features)]
            unsafe fn gather(query: &Side, rows: &[u8], stride: usize, slots: &[u32], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::gather::<super::$sums>(query, rows, stride, slots, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan(query: &Side, rows: &[u8], stride: usize, out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::scan::<super::$sums>(query, rows, stride, out) }
            }

            #[target_feature(enable = $features)]
            fn encode(vector: &[f32], codes: &mut [u8]) -> OfRow {
                levels::encode(vector, codes)
            }

            #[target_feature(enable = $features)]
            fn bind(vector: &[f32], codes: &mut [i8]) -> OfQuery {
                levels::bind(vector, codes)
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels = Kernels { isa: Isa::$isa, gather, scan, encode, bind };
        }
    };
}
entry_points!(avx512vnni, Avx512Vnni, "avx512f,avx512vnni", Vnni512);
entry_points!(avxvnni, AvxVnni, "avx2,avxvnni", Vnni256);
entry_points!(avx2, Avx2, "avx2", Narrow);

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 3] = [&avx512vnni::KERNELS, &avxvnni::KERNELS, &avx2::KERNELS];
