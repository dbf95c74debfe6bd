//! VNNI in 512 and 256 bits, and AVX2 without it.
//!
//! `vpdpbusd` multiplies unsigned with signed bytes and adds four products to each `i32` sum without saturating.
//! Its 16-bit sibling `vpmaddubsw` saturates, so plain AVX2 widens to 16 bits first.

use std::arch::x86_64::{
    __m256i, __m512, __m512i, _CMP_LE_OQ, _CMP_LT_OQ, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128,
    _mm_shuffle_epi32, _mm256_add_epi32, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi16,
    _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_cmp_ps_mask,
    _mm512_cmplt_epi32_mask, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_mask_add_epi32,
    _mm512_mask_loadu_ps, _mm512_mask_reduce_max_ps, _mm512_min_ps, _mm512_permutexvar_ps,
    _mm512_reduce_add_epi32, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_shuffle_epi32,
    _mm512_shuffle_i32x4, _mm512_storeu_si512,
};

use vectra_core::Metric;

use super::super::formula::{ColumnFactors, Side, distances_apart};
use super::super::row::{Factors, RowFactors};
use super::super::{levels, manhattan, near};
use super::Kernels;
use super::generic::{self, Sums};
use super::tile::{self, Group, QUAD};
use crate::isa::Isa;

/// 512-bit VNNI.
#[derive(Clone, Copy)]
struct Vnni512(__m512i);

impl Sums for Vnni512 {
    const WIDTH: usize = 64;

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn zero() -> Self {
        Self(_mm512_setzero_si512())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn step(self, query: *const i8, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for 64 readable bytes at each; the loads take any alignment.
        let (query, codes) = unsafe { (_mm512_loadu_si512(query.cast()), _mm512_loadu_si512(codes.cast())) };
        Self(_mm512_dpbusd_epi32(self.0, codes, query))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_epi32(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn total(self) -> i32 {
        _mm512_reduce_add_epi32(self.0)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn totals([a, b, c, d]: [Self; 4]) -> [i32; 4] {
        let halves = |x: Self, y: Self| {
            let low = _mm512_shuffle_i32x4::<0b01_00_01_00>(x.0, y.0);
            _mm512_add_epi32(low, _mm512_shuffle_i32x4::<0b11_10_11_10>(x.0, y.0))
        };
        let (ab, cd) = (halves(a, b), halves(c, d));
        let low = _mm512_shuffle_i32x4::<0b10_00_10_00>(ab, cd);
        let four = _mm512_add_epi32(low, _mm512_shuffle_i32x4::<0b11_01_11_01>(ab, cd));
        let two = _mm512_add_epi32(four, _mm512_shuffle_epi32::<0b01_00_11_10>(four));
        let one = _mm512_add_epi32(two, _mm512_shuffle_epi32::<0b10_11_00_01>(two));
        let mut lanes = [0; 16];
        // SAFETY: the array has room for sixteen lanes.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), one) };
        [lanes[0], lanes[4], lanes[8], lanes[12]]
    }
}

/// The sum of eight sums.
#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
}

/// 256-bit VNNI, as processors without AVX-512 have it.
#[derive(Clone, Copy)]
struct Vnni256(__m256i);

impl Sums for Vnni256 {
    const WIDTH: usize = 32;

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn zero() -> Self {
        Self(_mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn step(self, query: *const i8, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for 32 readable bytes at each; the loads take any alignment.
        let (query, codes) = unsafe { (_mm256_loadu_si256(query.cast()), _mm256_loadu_si256(codes.cast())) };
        Self(_mm256_dpbusd_avx_epi32(self.0, codes, query))
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_epi32(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn total(self) -> i32 {
        total(self.0)
    }
}

/// Products of widened 16-bit integers: at most 255 * 128 each, two of them fit an `i32` many times.
#[derive(Clone, Copy)]
struct Widened(__m256i);

impl Sums for Widened {
    const WIDTH: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> Self {
        Self(_mm256_setzero_si256())
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn step(self, query: *const i8, codes: *const u8) -> Self {
        // SAFETY: the caller vouches for 16 readable bytes at each; the loads take any alignment.
        let (query, codes) = unsafe { (_mm_loadu_si128(query.cast()), _mm_loadu_si128(codes.cast())) };
        let products = _mm256_madd_epi16(_mm256_cvtepu8_epi16(codes), _mm256_cvtepi8_epi16(query));
        Self(_mm256_add_epi32(self.0, products))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm256_add_epi32(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn total(self) -> i32 {
        total(self.0)
    }
}

impl Group for Vnni512 {
    const WIDE: bool = true;

    type Quads = __m512i;

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn zero() -> Self {
        Self(_mm512_setzero_si512())
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn load(codes: *const u8) -> __m512i {
        // SAFETY: the caller vouches for 64 readable bytes; the load takes any alignment.
        unsafe { _mm512_loadu_si512(codes.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn step(self, columns: __m512i, row: [i8; QUAD]) -> Self {
        Self(_mm512_dpbusd_epi32(
            self.0,
            columns,
            _mm512_set1_epi32(i32::from_ne_bytes(row.map(i8::cast_unsigned))),
        ))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller vouches for room for sixteen sums; the store takes any alignment.
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
}

/// Eight columns in each register.
#[derive(Clone, Copy)]
struct Vnni256Pair([__m256i; 2]);

impl Group for Vnni256Pair {
    const WIDE: bool = false;

    type Quads = [__m256i; 2];

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn zero() -> Self {
        Self([_mm256_setzero_si256(); 2])
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn load(codes: *const u8) -> [__m256i; 2] {
        // SAFETY: the caller vouches for 64 readable bytes; the loads take any alignment.
        unsafe { [_mm256_loadu_si256(codes.cast()), _mm256_loadu_si256(codes.add(32).cast())] }
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn step(self, columns: [__m256i; 2], row: [i8; QUAD]) -> Self {
        let row = _mm256_set1_epi32(i32::from_ne_bytes(row.map(i8::cast_unsigned)));
        let Self([low, high]) = self;
        Self([_mm256_dpbusd_avx_epi32(low, columns[0], row), _mm256_dpbusd_avx_epi32(high, columns[1], row)])
    }

    #[inline]
    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller vouches for room for sixteen sums; the stores take any alignment.
        unsafe {
            _mm256_storeu_si256(to.cast(), self.0[0]);
            _mm256_storeu_si256(to.add(8).cast(), self.0[1]);
        }
    }
}

/// Sixteen of the distances from `at` on; beyond the last, those that are never near.
#[inline]
#[target_feature(enable = "avx512f")]
fn sixteen(distances: &[f32], at: usize) -> __m512 {
    let mask = u16::MAX >> 16_usize.saturating_sub(distances.len() - at);
    // SAFETY: what the mask leaves out is not read, and all else is within the distances.
    unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(f32::NAN), mask, distances[at..].as_ptr()) }
}

/// [`near::nearest`], where a comparison of sixteen gives a mask.
#[target_feature(enable = "avx512f")]
fn nearest_by_masks(distances: &[f32], count: usize, places: &mut Vec<u32>) {
    const LANES: usize = 16;
    if count > LANES / 2 || distances.len() < LANES {
        return near::nearest(distances, count, places);
    }
    let mut least = _mm512_set1_ps(f32::INFINITY);
    for at in (0..distances.len()).step_by(LANES) {
        // The second operand is what a comparison with no number gives.
        least = _mm512_min_ps(sixteen(distances, at), least);
    }
    let mut ranks = _mm512_setzero_si512();
    for lane in 0..LANES as i32 {
        let other = _mm512_permutexvar_ps(_mm512_set1_epi32(lane), least);
        let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(other, least);
        ranks = _mm512_mask_add_epi32(ranks, less, ranks, _mm512_set1_epi32(1));
    }
    let within = _mm512_cmplt_epi32_mask(ranks, _mm512_set1_epi32(count as i32));
    let bound = _mm512_mask_reduce_max_ps(within, least);
    places.clear();
    for at in (0..distances.len()).step_by(LANES) {
        let mut near = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(sixteen(distances, at), _mm512_set1_ps(bound));
        while near != 0 {
            places.push(at as u32 + near.trailing_zeros());
            near &= near - 1;
        }
    }
}

/// The entry points of one instruction set: the generic loop compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal, $sums:ident, $group:ty, $nearest:path) => {
        mod $module {
            use super::{ColumnFactors, Factors, Isa, Kernels, Metric, RowFactors, Side};
            use super::{distances_apart, generic, levels, manhattan, tile};

            #[target_feature(enable = $features)]
            unsafe fn one(query: &[i8], codes: &[u8]) -> i32 {
                // SAFETY: the contract is the same.
                unsafe { generic::one::<super::$sums>(query, codes) }
            }

            #[target_feature(enable = $features)]
            unsafe fn gather(query: &[i8], rows: &[u8], stride: usize, slots: &[u32], out: &mut [i32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::gather::<super::$sums>(query, rows, stride, slots, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan(query: &[i8], rows: &[u8], stride: usize, out: &mut [i32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::scan::<super::$sums>(query, rows, stride, out) }
            }

            #[target_feature(enable = $features)]
            fn l1(query: &[f32], codes: &[u8], mid: f32, step: f32) -> f32 {
                manhattan::distance(query, codes, mid, step)
            }

            #[target_feature(enable = $features)]
            unsafe fn products(
                rows: [*const i8; tile::ROWS],
                columns: *const u8,
                quads: usize,
                groups: usize,
                out: *mut i32,
            ) {
                // SAFETY: the contract is the same.
                unsafe { tile::products::<$group, { tile::ROWS }>(rows, columns, quads, groups, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn row(
                row: [*const i8; 1],
                columns: *const u8,
                quads: usize,
                groups: usize,
                out: *mut i32,
            ) {
                // SAFETY: the contract is the same.
                unsafe { tile::products::<$group, 1>(row, columns, quads, groups, out) }
            }

            #[target_feature(enable = $features)]
            fn encode(vector: &[f32], scale: f64, codes: &mut [u8]) -> Factors {
                levels::encode(vector, scale, codes)
            }

            #[target_feature(enable = $features)]
            fn finish(side: &Side, columns: &ColumnFactors, products: &[i32], out: &mut [f32]) {
                columns.distances(side, products, out);
            }

            #[target_feature(enable = $features)]
            fn finish_apart(
                metric: Metric,
                dim: f32,
                side: &Side,
                rows: &[RowFactors],
                products: &[i32],
                out: &mut [f32],
            ) {
                distances_apart(metric, dim, side, rows, products, out);
            }

            #[target_feature(enable = $features)]
            fn nearest(distances: &[f32], count: usize, places: &mut Vec<u32>) {
                $nearest(distances, count, places);
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels = Kernels {
                isa: Isa::$isa,
                one,
                gather,
                scan,
                products,
                row,
                finish,
                finish_apart,
                nearest,
                manhattan: l1,
                encode,
            };
        }
    };
}
entry_points!(avx512vnni, Avx512Vnni, "avx512f,avx512vnni", Vnni512, super::Vnni512, super::nearest_by_masks);
entry_points!(avxvnni, AvxVnni, "avx2,avxvnni", Vnni256, super::Vnni256Pair, super::near::nearest);
entry_points!(avx2, Avx2, "avx2", Widened, [i32; tile::GROUP], super::near::nearest);

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 3] = [&avx512vnni::KERNELS, &avxvnni::KERNELS, &avx2::KERNELS];
