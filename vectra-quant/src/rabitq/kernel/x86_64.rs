//! VNNI in 512 and 256 bits, and AVX2 without it.
//!
//! `vpdpbusd` multiplies unsigned with signed bytes and adds four products to each `i32` sum without saturating. Fields are
//! shifted to the low end of their bytes, in whatever lanes are at hand: the mask takes off what comes from the neighbours.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_add_epi32, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256, _mm256_hadd_epi32,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_slli_epi32, _mm256_srli_epi32, _mm512_add_epi32, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::super::formula::{Side, SignSide};
use super::super::levels::{self, OfQuery, OfRow};
use super::super::row::QueryLine;
use super::generic::{self, Sums};
use super::{FACTORS_OF_BLOCK, Kernels};
use crate::fastscan::BLOCK_ROWS;
use crate::isa::Isa;

/// The lowest `width` bits of a byte.
const fn mask(width: u32) -> i8 {
    (1 << width) - 1
}

/// 512-bit VNNI.
#[derive(Clone, Copy)]
struct Vnni512(__m512i);

impl Sums for Vnni512 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn zero() -> Self {
        Self(_mm512_setzero_si512())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn above<const WIDTH: u32>(self) -> Self {
        Self(match WIDTH {
            1 => _mm512_slli_epi32::<1>(self.0),
            2 => _mm512_slli_epi32::<2>(self.0),
            _ => _mm512_slli_epi32::<4>(self.0),
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn step<const WIDTH: u32>(self, query: *const QueryLine, codes: *const u8) -> Self {
        let Self(mut sums) = self;
        // SAFETY: the caller vouches for a line of codes; the load takes any alignment.
        let mut codes = unsafe { _mm512_loadu_si512(codes.cast()) };
        for field in 0..8 / WIDTH as usize {
            // SAFETY: the caller vouches for a line of the query for each field.
            let query = unsafe { _mm512_loadu_si512(query.add(field).cast()) };
            sums = _mm512_dpbusd_epi32(sums, _mm512_and_si512(codes, _mm512_set1_epi8(mask(WIDTH))), query);
            codes = match WIDTH {
                1 => _mm512_srli_epi32::<1>(codes),
                2 => _mm512_srli_epi32::<2>(codes),
                _ => _mm512_srli_epi32::<4>(codes),
            };
        }
        Self(sums)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn totals([a, b, c, d]: [Self; 4]) -> [i32; 4] {
        let pairs = |x, y| _mm512_add_epi32(_mm512_unpacklo_epi32(x, y), _mm512_unpackhi_epi32(x, y));
        let (ab, cd) = (pairs(a.0, b.0), pairs(c.0, d.0));
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

/// All sums times `2^WIDTH`.
#[inline]
#[target_feature(enable = "avx2")]
fn above<const WIDTH: u32>(sums: __m256i) -> __m256i {
    match WIDTH {
        1 => _mm256_slli_epi32::<1>(sums),
        2 => _mm256_slli_epi32::<2>(sums),
        _ => _mm256_slli_epi32::<4>(sums),
    }
}

/// The next field at the low end of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn next<const WIDTH: u32>(codes: __m256i) -> __m256i {
    match WIDTH {
        1 => _mm256_srli_epi32::<1>(codes),
        2 => _mm256_srli_epi32::<2>(codes),
        _ => _mm256_srli_epi32::<4>(codes),
    }
}

/// 256-bit VNNI, as processors without AVX-512 have it.
#[derive(Clone, Copy)]
struct Vnni256(__m256i);

impl Sums for Vnni256 {
    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn zero() -> Self {
        Self(_mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn above<const WIDTH: u32>(self) -> Self {
        Self(above::<WIDTH>(self.0))
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn step<const WIDTH: u32>(self, query: *const QueryLine, codes: *const u8) -> Self {
        let Self(mut sums) = self;
        for half in [0, 32] {
            // SAFETY: the caller vouches for a line of codes; the load takes any alignment.
            let mut codes = unsafe { _mm256_loadu_si256(codes.add(half).cast()) };
            for field in 0..8 / WIDTH as usize {
                // SAFETY: the caller vouches for a line of the query for each field.
                let query = unsafe { _mm256_loadu_si256(query.add(field).cast::<i8>().add(half).cast()) };
                let here = _mm256_and_si256(codes, _mm256_set1_epi8(mask(WIDTH)));
                sums = _mm256_dpbusd_avx_epi32(sums, here, query);
                codes = next::<WIDTH>(codes);
            }
        }
        Self(sums)
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn totals(all: [Self; 4]) -> [i32; 4] {
        totals(all.map(|Self(sums)| sums))
    }
}

/// Products summed in 16 bits first. `vpmaddubsw` adds two of at most 15 * 128; the four of them that are added up for a
/// line of four bits are at most 15,360, and those of narrower fields, more of them, are less.
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
    unsafe fn above<const WIDTH: u32>(self) -> Self {
        Self(above::<WIDTH>(self.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn step<const WIDTH: u32>(self, query: *const QueryLine, codes: *const u8) -> Self {
        let mut sums = _mm256_setzero_si256();
        for half in [0, 32] {
            // SAFETY: the caller vouches for a line of codes; the load takes any alignment.
            let mut codes = unsafe { _mm256_loadu_si256(codes.add(half).cast()) };
            for field in 0..8 / WIDTH as usize {
                // SAFETY: the caller vouches for a line of the query for each field.
                let query = unsafe { _mm256_loadu_si256(query.add(field).cast::<i8>().add(half).cast()) };
                let here = _mm256_and_si256(codes, _mm256_set1_epi8(mask(WIDTH)));
                sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(here, query));
                codes = next::<WIDTH>(codes);
            }
        }
        Self(_mm256_add_epi32(self.0, _mm256_madd_epi16(sums, _mm256_set1_epi16(1))))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn totals(all: [Self; 4]) -> [i32; 4] {
        totals(all.map(|Self(sums)| sums))
    }
}

/// The entry points of one instruction set: the generic loops compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal, $sums:ident) => {
        mod $module {
            use super::{
                BLOCK_ROWS, FACTORS_OF_BLOCK, Isa, Kernels, OfQuery, OfRow, Side, SignSide, generic, levels,
            };

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
            fn encode(vector: &[f32], bits: u32, codes: &mut [u8]) -> OfRow {
                levels::encode(vector, bits, codes)
            }

            #[target_feature(enable = $features)]
            fn bind(vector: &[f32], codes: &mut [i8]) -> OfQuery {
                levels::bind(vector, codes)
            }

            #[target_feature(enable = $features)]
            fn within(
                query: &SignSide,
                sums: &[u16; BLOCK_ROWS],
                factors: &[u8; FACTORS_OF_BLOCK],
                bound: f32,
            ) -> u64 {
                generic::within(query, sums, factors, bound)
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels =
                Kernels { isa: Isa::$isa, gather, scan, encode, bind, within };
        }
    };
}
entry_points!(avx512vnni, Avx512Vnni, "avx512f,avx512vnni", Vnni512);
entry_points!(avxvnni, AvxVnni, "avx2,avxvnni", Vnni256);
entry_points!(avx2, Avx2, "avx2", Narrow);

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 3] = [&avx512vnni::KERNELS, &avxvnni::KERNELS, &avx2::KERNELS];
