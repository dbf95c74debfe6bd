//! One register of 512 bits, or two of 256.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _CMP_EQ_OQ, _CMP_LT_OQ, _mm256_add_ps, _mm256_blendv_epi8,
    _mm256_castps_si256, _mm256_cmp_ps, _mm256_loadu_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_cmp_ps_mask, _mm512_loadu_ps, _mm512_mask_mov_epi32, _mm512_mask_reduce_min_epu32, _mm512_min_ps,
    _mm512_mul_ps, _mm512_reduce_min_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps,
};

use super::super::{LANES, Lane, Nearest};
use super::Kernels;
use super::generic::{self, Lanes};
use crate::isa::Isa;

/// One register.
#[derive(Clone, Copy)]
struct Zmm(__m512);

impl Lanes for Zmm {
    type Counts = __m512i;

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn splat(x: f32, n: u32) -> (Self, __m512i) {
        (Self(_mm512_set1_ps(x)), _mm512_set1_epi32(n.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen numbers; the load takes any alignment.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for room for sixteen numbers; the store takes any alignment.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_square(self, x: Self, y: Self) -> Self {
        let difference = _mm512_sub_ps(x.0, y.0);
        Self(_mm512_add_ps(self.0, _mm512_mul_ps(difference, difference)))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        Self(_mm512_add_ps(self.0, _mm512_mul_ps(x.0, y.0)))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn lesser(self, at: __m512i, other: Self, n: u32) -> (Self, __m512i) {
        let less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(other.0, self.0);
        let at = _mm512_mask_mov_epi32(at, less, _mm512_set1_epi32(n.cast_signed()));
        // Of two that are not less than each other the second is taken, as by the mask.
        (Self(_mm512_min_ps(other.0, self.0)), at)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn least(self, at: __m512i) -> (f32, u32) {
        let least = _mm512_reduce_min_ps(self.0);
        let with = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, _mm512_set1_ps(least));
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let places = _mm512_add_epi32(_mm512_slli_epi32::<4>(at), lanes);
        (least, _mm512_mask_reduce_min_epu32(with, places))
    }
}

/// Two registers.
#[derive(Clone, Copy)]
struct Ymm([__m256; 2]);

impl Lanes for Ymm {
    type Counts = [__m256i; 2];

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn splat(x: f32, n: u32) -> (Self, [__m256i; 2]) {
        (Self([_mm256_set1_ps(x); 2]), [_mm256_set1_epi32(n.cast_signed()); 2])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen numbers; the loads take any alignment.
        Self(unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for room for sixteen numbers; the stores take any alignment.
        unsafe {
            _mm256_storeu_ps(to, self.0[0]);
            _mm256_storeu_ps(to.add(8), self.0[1]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_square(self, x: Self, y: Self) -> Self {
        let square = |i: usize| {
            let difference = _mm256_sub_ps(x.0[i], y.0[i]);
            _mm256_add_ps(self.0[i], _mm256_mul_ps(difference, difference))
        };
        Self([square(0), square(1)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add_product(self, x: Self, y: Self) -> Self {
        let product = |i: usize| _mm256_add_ps(self.0[i], _mm256_mul_ps(x.0[i], y.0[i]));
        Self([product(0), product(1)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn lesser(self, at: [__m256i; 2], other: Self, n: u32) -> (Self, [__m256i; 2]) {
        let counts = _mm256_set1_epi32(n.cast_signed());
        let place = |i: usize| {
            let less = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_LT_OQ>(other.0[i], self.0[i]));
            _mm256_blendv_epi8(at[i], counts, less)
        };
        let least = |i: usize| _mm256_min_ps(other.0[i], self.0[i]);
        (Self([least(0), least(1)]), [place(0), place(1)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn least(self, at: [__m256i; 2]) -> (f32, u32) {
        let (mut numbers, mut counts) = ([0.0; LANES], [0_u32; LANES]);
        // SAFETY: both arrays have room for sixteen numbers, and portable lanes need no instruction set.
        unsafe {
            self.store(numbers.as_mut_ptr());
            _mm256_storeu_si256(counts.as_mut_ptr().cast(), at[0]);
            _mm256_storeu_si256(counts.as_mut_ptr().add(8).cast(), at[1]);
            numbers.least(counts)
        }
    }
}

/// The entry points of one instruction set: the generic loops compiled with its features.
macro_rules! entry_points {
    ($module:ident, $isa:ident, $features:literal, $lanes:ident) => {
        mod $module {
            use super::{Isa, Kernels, Lane, Nearest, generic};

            #[target_feature(enable = $features)]
            unsafe fn nearest(rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [Nearest]) {
                // SAFETY: the contract is the same.
                unsafe { generic::nearest::<super::$lanes>(rows, dim, blocks, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn squares(rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::sums::<super::$lanes, true>(rows, dim, blocks, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn products(rows: &[f32], dim: usize, blocks: &[Lane], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::sums::<super::$lanes, false>(rows, dim, blocks, out) }
            }

            /// To be handed out only after the features were detected.
            pub(super) static KERNELS: Kernels = Kernels { isa: Isa::$isa, nearest, squares, products };
        }
    };
}
entry_points!(avx512vnni, Avx512Vnni, "avx512f,avx512vnni", Zmm);
entry_points!(avx2, Avx2, "avx2", Ymm);

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 2] = [&avx512vnni::KERNELS, &avx2::KERNELS];
