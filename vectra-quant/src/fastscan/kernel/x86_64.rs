//! AVX-512 with VBMI, and AVX2.
//!
//! Sums of 16 bits are kept in a way that takes three instructions for all rows of a register: once every byte pair
//! is added as it is, once only its upper byte. The sums of odd rows are the latter, those of even ones what
//! the former has without them.

use std::arch::x86_64::{
    __m256i, __m512i, _mm_loadu_si128, _mm256_add_epi8, _mm256_add_epi16, _mm256_and_si256,
    _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi16, _mm256_loadu_si256,
    _mm256_min_epu16, _mm256_movemask_epi8, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_storeu_si256,
    _mm256_sub_epi16, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16, _mm512_add_epi8, _mm512_add_epi16,
    _mm512_cmple_epu16_mask, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_movepi8_mask,
    _mm512_permutex2var_epi8, _mm512_permutex2var_epi64, _mm512_permutexvar_epi8, _mm512_set1_epi16,
    _mm512_setr_epi64, _mm512_setzero_si512, _mm512_slli_epi16, _mm512_srli_epi16, _mm512_storeu_si512,
    _mm512_sub_epi16, _mm512_unpackhi_epi16, _mm512_unpacklo_epi16,
};

use super::super::bytes::{Line, of_values};
use super::super::layout::Layout;
use super::generic::{self, Bytes};
use super::{Kernels, Task};
use crate::isa::Isa;

/// Sums of a register: of all bits of each byte pair, and of the upper bytes.
#[derive(Clone, Copy)]
struct Pairs<R> {
    all: R,
    odd: R,
}

/// 64 rows.
#[derive(Clone, Copy)]
struct Full(__m512i);

impl Bytes for Full {
    const ROWS: usize = 64;
    type Short = __m512i;
    type Long = [__m512i; 4];
    type Wide = Pairs<__m512i>;

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(codes: *const u8) -> Self {
        // SAFETY: the caller vouches for the bytes; the load takes any alignment.
        Self(unsafe { _mm512_loadu_si512(codes.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    unsafe fn nibbles(self) -> [Self; 2] {
        // What is above the four bits is not cleared: the look-up passes it over.
        [self, Self(_mm512_srli_epi16::<4>(self.0))]
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn short(table: *const u8) -> __m512i {
        // Four copies as they are in memory: a broadcast of one would keep a unit busy that looks codes up.
        // SAFETY: the caller vouches for the bytes; the load takes any alignment.
        unsafe { _mm512_loadu_si512(table.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512vbmi")]
    unsafe fn short_entries(self, table: __m512i) -> Self {
        // It looks at six bits of an index; the table is there four times, so that only four of them count.
        Self(_mm512_permutexvar_epi8(self.0, table))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn long(table: *const u8) -> [__m512i; 4] {
        // SAFETY: the caller vouches for the bytes; the loads take any alignment.
        [0, 64, 128, 192].map(|at| unsafe { _mm512_loadu_si512(table.add(at).cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    unsafe fn long_entries(self, table: &[__m512i; 4]) -> Self {
        // Each looks at seven bits of an index; the eighth chooses.
        let lower = _mm512_permutex2var_epi8(table[0], self.0, table[1]);
        let upper = _mm512_permutex2var_epi8(table[2], self.0, table[3]);
        Self(_mm512_mask_blend_epi8(_mm512_movepi8_mask(self.0), lower, upper))
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    unsafe fn plus(self, other: Self) -> Self {
        Self(_mm512_add_epi8(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn zero() -> Pairs<__m512i> {
        Pairs { all: _mm512_setzero_si512(), odd: _mm512_setzero_si512() }
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    unsafe fn add(sums: Pairs<__m512i>, Self(bytes): Self) -> Pairs<__m512i> {
        Pairs {
            all: _mm512_add_epi16(sums.all, bytes),
            odd: _mm512_add_epi16(sums.odd, _mm512_srli_epi16::<8>(bytes)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    unsafe fn sift(Pairs { all, odd }: Pairs<__m512i>, limit: u16, out: *mut u16) -> u64 {
        let even = _mm512_sub_epi16(all, _mm512_slli_epi16::<8>(odd));
        let limits = _mm512_set1_epi16(limit.cast_signed());
        if _mm512_cmple_epu16_mask(even, limits) | _mm512_cmple_epu16_mask(odd, limits) == 0 {
            return 0;
        }
        // Eights of rows: 0, 2, 4, 6 and 1, 3, 5, 7.
        let (low, high) = (_mm512_unpacklo_epi16(even, odd), _mm512_unpackhi_epi16(even, odd));
        let (first, second) =
            (_mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15));
        let rows = [first, second].map(|order| _mm512_permutex2var_epi64(low, order, high));
        // SAFETY: the caller vouches for room for 64 sums; the stores take any alignment.
        unsafe {
            _mm512_storeu_si512(out.cast(), rows[0]);
            _mm512_storeu_si512(out.add(32).cast(), rows[1]);
        }
        let [first, second] = rows.map(|rows| u64::from(_mm512_cmple_epu16_mask(rows, limits)));
        first | second << 32
    }
}

/// 32 rows.
#[derive(Clone, Copy)]
struct Half(__m256i);

impl Bytes for Half {
    const ROWS: usize = 32;
    type Short = __m256i;
    /// Where they are: sixteen registers are what it would take.
    type Long = *const u8;
    type Wide = Pairs<__m256i>;

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn load(codes: *const u8) -> Self {
        // SAFETY: the caller vouches for the bytes; the load takes any alignment.
        Self(unsafe { _mm256_loadu_si256(codes.cast()) })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn nibbles(self) -> [Self; 2] {
        let low = _mm256_set1_epi8(15);
        [self.0, _mm256_srli_epi16::<4>(self.0)].map(|codes| Self(_mm256_and_si256(codes, low)))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn short(table: *const u8) -> __m256i {
        // SAFETY: the caller vouches for the bytes, the first two copies of four; the load takes any alignment.
        unsafe { _mm256_loadu_si256(table.cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn short_entries(self, table: __m256i) -> Self {
        Self(_mm256_shuffle_epi8(table, self.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn long(table: *const u8) -> *const u8 {
        table
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn long_entries(self, table: &*const u8) -> Self {
        let low = _mm256_and_si256(self.0, _mm256_set1_epi8(15));
        // The top bit of each byte chooses: the bits of the code from the fifth on, one after the other.
        let [fifth, sixth, seventh] =
            [_mm256_slli_epi16::<3>(self.0), _mm256_slli_epi16::<2>(self.0), _mm256_slli_epi16::<1>(self.0)];
        let entries = |at: usize| {
            // SAFETY: the caller vouches for 256 bytes; the load takes any alignment.
            let sixteen = unsafe { _mm_loadu_si128(table.add(16 * at).cast()) };
            _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(sixteen), low)
        };
        let two = |at: usize| _mm256_blendv_epi8(entries(at), entries(at + 1), fifth);
        let four = |at: usize| _mm256_blendv_epi8(two(at), two(at + 2), sixth);
        let eight = |at: usize| _mm256_blendv_epi8(four(at), four(at + 4), seventh);
        Self(_mm256_blendv_epi8(eight(0), eight(8), self.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn plus(self, other: Self) -> Self {
        Self(_mm256_add_epi8(self.0, other.0))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn zero() -> Pairs<__m256i> {
        Pairs { all: _mm256_setzero_si256(), odd: _mm256_setzero_si256() }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn add(sums: Pairs<__m256i>, Self(bytes): Self) -> Pairs<__m256i> {
        Pairs {
            all: _mm256_add_epi16(sums.all, bytes),
            odd: _mm256_add_epi16(sums.odd, _mm256_srli_epi16::<8>(bytes)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn sift(Pairs { all, odd }: Pairs<__m256i>, limit: u16, out: *mut u16) -> u64 {
        let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
        let limits = _mm256_set1_epi16(limit.cast_signed());
        // Two equal bits for each sum, where a row has one.
        let within = |sums: __m256i| {
            _mm256_movemask_epi8(_mm256_cmpeq_epi16(_mm256_min_epu16(sums, limits), sums)).cast_unsigned()
        };
        let mask = within(even) & 0x5555_5555 | within(odd) & 0xaaaa_aaaa;
        if mask == 0 {
            return 0;
        }
        // Eights of rows: 0, 2 and 1, 3.
        let (low, high) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
        // SAFETY: the caller vouches for room for 32 sums; the stores take any alignment.
        unsafe {
            _mm256_storeu_si256(out.cast(), _mm256_permute2x128_si256::<0x20>(low, high));
            _mm256_storeu_si256(out.add(16).cast(), _mm256_permute2x128_si256::<0x31>(low, high));
        }
        u64::from(mask)
    }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn full_nibbles(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Full, false, 4, 2, 2>(task) }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn full_bytes(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Full, true, 1, 4, 4>(task) }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "avx2")]
unsafe fn half_nibbles(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Half, false, 2, 1, 1>(task) }
}

/// # Safety
/// See [`super::SiftFn`].
#[target_feature(enable = "avx2")]
unsafe fn half_bytes(task: &mut Task<'_>) {
    // SAFETY: the contract is the same.
    unsafe { generic::sift_all::<Half, true, 1, 1, 1>(task) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn full_of_values(layout: Layout, values: &[f32], entries: &mut [u8]) -> Line {
    of_values(layout, values, entries)
}

#[target_feature(enable = "avx2")]
fn half_of_values(layout: Layout, values: &[f32], entries: &mut [u8]) -> Line {
    of_values(layout, values, entries)
}

static FULL: Kernels =
    Kernels { isa: Isa::Avx512, nibbles: full_nibbles, bytes: full_bytes, of_values: full_of_values };
static HALF: Kernels =
    Kernels { isa: Isa::Avx2, nibbles: half_nibbles, bytes: half_bytes, of_values: half_of_values };

/// The preferred one first.
pub(super) static TABLES: [&Kernels; 2] = [&FULL, &HALF];
