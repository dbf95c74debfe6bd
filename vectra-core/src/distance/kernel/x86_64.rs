//! AVX-512 and AVX2 registers.
//!
//! `avx512` asks for F, BW and VL together: masked 16-bit loads need the last two, and every processor with
//! AVX-512 that we would prefer over its AVX2 side has all three. `avx2` asks for AVX2, FMA and F16C.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm256_add_ps, _mm256_andnot_ps, _mm256_castps256_ps128, _mm256_cmpgt_epi32,
    _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_ps, _mm256_maskz_loadu_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32,
    _mm256_setzero_ps, _mm256_sub_ps, _mm512_abs_ps, _mm512_add_ps, _mm512_cvtph_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_maskz_loadu_ps, _mm512_permute_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_sub_ps,
};

use half::f16;

use super::super::dispatch::Op;
use super::Kernels;
use super::generic::{self, Dot, L1, L2, Lanes, Reduce};
use crate::distance::Element;

/// A mask with the lowest `count <= 16` bits set.
#[inline]
fn lowest(count: usize) -> u16 {
    ((1_u32 << count) - 1) as u16
}

/// What `_mm512_reduce_add_ps` gives for each: halves are added until one lane is left, here those of four at once.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn sums_of_four(a: __m512, b: __m512, c: __m512, d: __m512) -> [f32; 4] {
    let halves = |x, y| {
        let low = _mm512_shuffle_f32x4::<0b01_00_01_00>(x, y);
        _mm512_add_ps(low, _mm512_shuffle_f32x4::<0b11_10_11_10>(x, y))
    };
    let (ab, cd) = (halves(a, b), halves(c, d));
    let low = _mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd);
    let four = _mm512_add_ps(low, _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd));
    let two = _mm512_add_ps(four, _mm512_permute_ps::<0b01_00_11_10>(four));
    let one = _mm512_add_ps(two, _mm512_permute_ps::<0b10_11_00_01>(two));
    let mut lanes = [0.0; 16];
    // SAFETY: the array has room for sixteen lanes.
    unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), one) };
    [lanes[0], lanes[4], lanes[8], lanes[12]]
}

impl Lanes for __m512 {
    const COUNT: usize = 16;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn zero() -> Self {
        _mm512_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen readable elements.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load_half(from: *const f16) -> Self {
        // SAFETY: the caller vouches for sixteen readable elements; the load takes any alignment.
        _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: only the lowest `count` elements are read, which the caller vouches for.
        unsafe { _mm512_maskz_loadu_ps(lowest(count), from) }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load_half_part(from: *const f16, count: usize) -> Self {
        // SAFETY: only the lowest `count` elements are read, which the caller vouches for.
        _mm512_cvtph_ps(unsafe { _mm256_maskz_loadu_epi16(lowest(count), from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn add(self, other: Self) -> Self {
        _mm512_add_ps(self, other)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn sub(self, other: Self) -> Self {
        _mm512_sub_ps(self, other)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn abs(self) -> Self {
        _mm512_abs_ps(self)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        _mm512_fmadd_ps(self, factor, sum)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn sum(self) -> f32 {
        _mm512_reduce_add_ps(self)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn sums<const N: usize>(all: [Self; N]) -> [f32; N] {
        let mut out = [0.0; N];
        for (out, all) in out.chunks_mut(4).zip(all.chunks(4)) {
            match all {
                &[a, b, c, d] => out.copy_from_slice(&sums_of_four(a, b, c, d)),
                // SAFETY: the caller vouches for the instruction set.
                fewer => out.iter_mut().zip(fewer).for_each(|(out, one)| *out = unsafe { one.sum() }),
            }
        }
        out
    }
}

/// A mask register with the sign bit of the lowest `count` lanes set.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn lowest_lanes(count: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

impl Lanes for __m256 {
    const COUNT: usize = 8;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn zero() -> Self {
        _mm256_setzero_ps()
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for eight readable elements.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_half(from: *const f16) -> Self {
        // SAFETY: the caller vouches for eight readable elements; the load takes any alignment.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: only the lowest `count` elements are read, which the caller vouches for.
        unsafe { _mm256_maskload_ps(from, lowest_lanes(count)) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn add(self, other: Self) -> Self {
        _mm256_add_ps(self, other)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn sub(self, other: Self) -> Self {
        _mm256_sub_ps(self, other)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn abs(self) -> Self {
        _mm256_andnot_ps(_mm256_set1_ps(-0.0), self)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        _mm256_fmadd_ps(self, factor, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn sum(self) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

/// The entry points of one instruction set: the generic loop compiled with its features. A scan takes two rows at once:
/// with four, memory was read an eighth slower. A scan for many queries takes as many pairs of query and row as leave
/// room for their sums in the registers.
macro_rules! entry_points {
    ($module:ident, $features:literal, $lanes:ty, $rows:literal rows, $queries:literal x $by:literal pairs) => {
        mod $module {
            use super::{Element, Kernels, Reduce, generic};

            #[target_feature(enable = $features)]
            unsafe fn one<E: Element, R: Reduce>(query: &[f32], row: &[E]) -> f32 {
                // SAFETY: the contract is the same.
                unsafe { generic::one::<E, $lanes, R>(query, row) }
            }

            #[target_feature(enable = $features)]
            unsafe fn gather<E: Element, R: Reduce>(q: &[f32], rows: &[E], slots: &[u32], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::gather::<E, $lanes, R>(q, rows, slots, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan<E: Element, R: Reduce>(query: &[f32], rows: &[E], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::scan::<E, $lanes, R, $rows>(query, rows, out) }
            }

            #[target_feature(enable = $features)]
            unsafe fn scan_many<E: Element, R: Reduce>(q: &[f32], dims: usize, rows: &[E], out: &mut [f32]) {
                // SAFETY: the contract is the same.
                unsafe { generic::scan_many::<E, $lanes, R, $queries, $by>(q, dims, rows, out) }
            }

            /// The table of one operation; a constant of a type because statics cannot be generic.
            pub(super) struct Table<E, R>(std::marker::PhantomData<(E, R)>);

            impl<E: Element, R: Reduce + 'static> Table<E, R> {
                /// To be handed out only after the features were detected.
                pub(super) const KERNELS: &'static Kernels<E> = &Kernels {
                    name: stringify!($module),
                    one: one::<E, R>,
                    gather: gather::<E, R>,
                    scan: scan::<E, R>,
                    scan_many: scan_many::<E, R>,
                };
            }
        }
    };
}
entry_points!(avx512, "avx512f,avx512bw,avx512vl", std::arch::x86_64::__m512, 2 rows, 6 x 4 pairs);
entry_points!(avx2, "avx2,fma,f16c", std::arch::x86_64::__m256, 2 rows, 4 x 3 pairs);

/// The AVX-512 kernel, if this machine has the instructions.
pub(super) fn avx512<E: Element>(op: Op) -> Option<&'static Kernels<E>> {
    let present = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    present.then_some(match op {
        Op::Dot => avx512::Table::<E, Dot>::KERNELS,
        Op::L2 => avx512::Table::<E, L2>::KERNELS,
        Op::L1 => avx512::Table::<E, L1>::KERNELS,
    })
}

/// The AVX2 kernel, if this machine has the instructions.
pub(super) fn avx2<E: Element>(op: Op) -> Option<&'static Kernels<E>> {
    let present = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    present.then_some(match op {
        Op::Dot => avx2::Table::<E, Dot>::KERNELS,
        Op::L2 => avx2::Table::<E, L2>::KERNELS,
        Op::L1 => avx2::Table::<E, L1>::KERNELS,
    })
}
