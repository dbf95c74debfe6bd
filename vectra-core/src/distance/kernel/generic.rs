//! The loop over dimensions and rows, written once for every instruction set, element type and operation.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use half::f16;

use super::Row;
use crate::memory::prefetch_at as prefetch;

/// Sums kept in flight, so that the next multiply-add need not wait for the last one (latency 4, two a cycle).
const ACCUMULATORS: usize = 4;

/// How many bytes of rows `gather` keeps asked for ahead of the row being summed, half a first-level cache.
const BYTES_AHEAD: usize = 16 << 10;

/// How many rows ahead that may be at most.
const ROWS_AHEAD: usize = 16;

/// How far ahead of the rows being summed `scan` asks for lines: beyond the page at which the hardware's own prefetch
/// stops.
const SCAN_BYTES_AHEAD: usize = 14 << 10;

/// A register of `f32` lanes.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists; loads need `COUNT` (or `count`) readable
/// elements at `from`, of any alignment that the element type has.
pub trait Lanes: Copy {
    /// How many lanes there are, at most 16.
    const COUNT: usize;

    /// All lanes zero.
    unsafe fn zero() -> Self;

    /// `COUNT` elements.
    unsafe fn load(from: *const f32) -> Self;

    /// `COUNT` elements, widened.
    unsafe fn load_half(from: *const f16) -> Self;

    /// `count < COUNT` elements, then zeros.
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut whole = [0.0_f32; 16];
        // SAFETY: `count` elements are readable, and `count < COUNT <= 16` fit the array, of which `COUNT` are read.
        unsafe {
            std::ptr::copy_nonoverlapping(from, whole.as_mut_ptr(), count);
            Self::load(whole.as_ptr())
        }
    }

    /// `count < COUNT` elements, widened, then zeros.
    #[inline(always)]
    unsafe fn load_half_part(from: *const f16, count: usize) -> Self {
        let mut whole = [f16::ZERO; 16];
        // SAFETY: `count` elements are readable, and `count < COUNT <= 16` fit the array, of which `COUNT` are read.
        unsafe {
            std::ptr::copy_nonoverlapping(from, whole.as_mut_ptr(), count);
            Self::load_half(whole.as_ptr())
        }
    }

    /// Lane by lane `self + other`.
    unsafe fn add(self, other: Self) -> Self;

    /// Lane by lane `self - other`.
    unsafe fn sub(self, other: Self) -> Self;

    /// Lane by lane magnitude.
    unsafe fn abs(self) -> Self;

    /// Lane by lane `self * factor + sum`, rounded once where the hardware can.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;

    /// The sum of all lanes.
    unsafe fn sum(self) -> f32;

    /// The [`sum`](Lanes::sum) of each, to the bit.
    #[inline(always)]
    unsafe fn sums<const N: usize>(all: [Self; N]) -> [f32; N] {
        let mut out = [0.0; N];
        for (out, one) in out.iter_mut().zip(all) {
            // SAFETY: the caller vouches for the instruction set.
            *out = unsafe { one.sum() };
        }
        out
    }
}

/// One operation, as the step that adds the terms of some dimensions. A pair of zeros must add nothing.
pub(super) trait Reduce {
    /// `sum` plus the terms of `query` and `row`.
    ///
    /// # Safety
    /// The instruction set of `L` must be present.
    unsafe fn step<L: Lanes>(sum: L, query: L, row: L) -> L;
}

/// `sum q * x`
pub(super) struct Dot;

/// `sum (q - x)^2`
pub(super) struct L2;

/// `sum |q - x|`
pub(super) struct L1;

impl Reduce for Dot {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, row: L) -> L {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { query.mul_add(row, sum) }
    }
}

impl Reduce for L2 {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, row: L) -> L {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            let difference = query.sub(row);
            difference.mul_add(difference, sum)
        }
    }
}

impl Reduce for L1 {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, row: L) -> L {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { sum.add(query.sub(row).abs()) }
    }
}

/// The sum over `dims` dimensions. With `AHEAD`, every line of the row at `ahead`, readable or not, is prefetched
/// on the way: a few with each block of dimensions, since a burst would wait for free line buffers.
///
/// # Safety
/// `dims` elements must be readable at `query` and `row`, and the instruction set of `L` present.
#[inline(always)]
unsafe fn pair<E: Row, L: Lanes, R: Reduce, const AHEAD: bool>(
    query: *const f32,
    row: *const E,
    dims: usize,
    ahead: *const E,
) -> f32 {
    let block = ACCUMULATORS * L::COUNT;
    // SAFETY: every load ends at or before `dims`; the caller vouches for the rest.
    unsafe {
        let mut sums = [L::zero(); ACCUMULATORS];
        let mut at = 0;
        while at + block <= dims {
            if AHEAD {
                prefetch(ahead.wrapping_add(at), block);
            }
            for (i, sum) in sums.iter_mut().enumerate() {
                let here = at + i * L::COUNT;
                *sum = R::step(*sum, L::load(query.add(here)), E::lanes::<L>(row.add(here)));
            }
            at += block;
        }
        if AHEAD {
            prefetch(ahead.wrapping_add(at), dims - at);
        }
        while at + L::COUNT <= dims {
            sums[0] = R::step(sums[0], L::load(query.add(at)), E::lanes::<L>(row.add(at)));
            at += L::COUNT;
        }
        if at < dims {
            let left = dims - at;
            sums[1] = R::step(sums[1], L::load_part(query.add(at), left), E::part::<L>(row.add(at), left));
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}

/// The sum for one row.
///
/// # Safety
/// The lengths must be equal and the instruction set of `L` present.
#[inline(always)]
pub(super) unsafe fn one<E: Row, L: Lanes, R: Reduce>(query: &[f32], row: &[E]) -> f32 {
    debug_assert_eq!(query.len(), row.len(), "checked by the caller");
    // SAFETY: both slices hold `query.len()` elements; the caller vouches for the instruction set.
    unsafe { pair::<E, L, R, false>(query.as_ptr(), row.as_ptr(), query.len(), std::ptr::null()) }
}

/// The sum for each slot's row.
///
/// # Safety
/// The query must not be empty, each slot's row lie within `rows`, `out` be as long as `slots`, and the instruction
/// set of `L` be present.
#[inline(always)]
pub(super) unsafe fn gather<E: Row, L: Lanes, R: Reduce>(
    query: &[f32],
    rows: &[E],
    slots: &[u32],
    out: &mut [f32],
) {
    let dims = query.len();
    debug_assert_eq!(slots.len(), out.len(), "checked by the caller");
    let start = |slot: u32| rows.as_ptr().wrapping_add(slot as usize * dims);
    let rows_ahead = (BYTES_AHEAD / (dims * size_of::<E>())).clamp(1, ROWS_AHEAD).min(slots.len());
    let (first, later) = slots.split_at(rows_ahead);
    first.iter().for_each(|slot| prefetch(start(*slot), dims));
    let (steady, last) = slots.split_at(later.len());
    let (steady_out, last_out) = out.split_at_mut(later.len());
    for ((&slot, &next), out) in steady.iter().zip(later).zip(steady_out) {
        // SAFETY: the caller vouches that the slot's row lies within `rows`, and for the instruction set.
        *out = unsafe { pair::<E, L, R, true>(query.as_ptr(), start(slot), dims, start(next)) };
    }
    for (&slot, out) in last.iter().zip(last_out) {
        // SAFETY: the caller vouches that the slot's row lies within `rows`, and for the instruction set.
        *out = unsafe { pair::<E, L, R, false>(query.as_ptr(), start(slot), dims, std::ptr::null()) };
    }
}

/// The sums of `ROWS` neighbouring rows at once: the query is loaded once for all of them, and their sums wait for
/// each other no longer. Each row's terms are added in the order of [`pair`], so that a row has one distance whichever
/// way it is asked for.
///
/// # Safety
/// `dims` elements must be readable at `query` and `ROWS * dims` at `rows`, and the instruction set of `L` present.
#[inline(always)]
unsafe fn group<E: Row, L: Lanes, R: Reduce, const ROWS: usize>(
    query: *const f32,
    rows: *const E,
    dims: usize,
) -> [f32; ROWS] {
    let block = ACCUMULATORS * L::COUNT;
    let ahead = rows.wrapping_byte_add(SCAN_BYTES_AHEAD);
    // SAFETY: every load of row `r` ends at or before `(r + 1) * dims`; the caller vouches for the rest.
    unsafe {
        let mut sums = [[L::zero(); ROWS]; ACCUMULATORS];
        let mut at = 0;
        while at + block <= dims {
            prefetch(ahead.wrapping_add(ROWS * at), ROWS * block);
            for (i, sums) in sums.iter_mut().enumerate() {
                let here = at + i * L::COUNT;
                let terms = L::load(query.add(here));
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = R::step(*sum, terms, E::lanes::<L>(rows.add(r * dims + here)));
                }
            }
            at += block;
        }
        while at + L::COUNT <= dims {
            let terms = L::load(query.add(at));
            for (r, sum) in sums[0].iter_mut().enumerate() {
                *sum = R::step(*sum, terms, E::lanes::<L>(rows.add(r * dims + at)));
            }
            at += L::COUNT;
        }
        if at < dims {
            let left = dims - at;
            let terms = L::load_part(query.add(at), left);
            for (r, sum) in sums[1].iter_mut().enumerate() {
                *sum = R::step(*sum, terms, E::part::<L>(rows.add(r * dims + at), left));
            }
        }
        let mut out = [0.0; ROWS];
        for (r, out) in out.iter_mut().enumerate() {
            *out = sums[0][r].add(sums[1][r]).add(sums[2][r].add(sums[3][r])).sum();
        }
        out
    }
}

/// The sum for each row in order.
///
/// # Safety
/// `rows` must hold `out.len()` rows of a non-empty query's dimensions and the instruction set of `L` be present.
#[inline(always)]
pub(super) unsafe fn scan<E: Row, L: Lanes, R: Reduce, const ROWS: usize>(
    query: &[f32],
    rows: &[E],
    out: &mut [f32],
) {
    let dims = query.len();
    let whole = out.len() - out.len() % ROWS;
    let (grouped, single) = rows.split_at(whole * dims);
    let (grouped_out, single_out) = out.split_at_mut(whole);
    for (rows, out) in grouped.chunks_exact(ROWS * dims).zip(grouped_out.chunks_exact_mut(ROWS)) {
        // SAFETY: a chunk holds `ROWS` rows as long as the query; the caller vouches for the instruction set.
        let sums = unsafe { group::<E, L, R, ROWS>(query.as_ptr(), rows.as_ptr(), dims) };
        out.copy_from_slice(&sums);
    }
    for (row, out) in single.chunks_exact(dims).zip(single_out) {
        // SAFETY: a chunk is as long as the query; the caller vouches for the instruction set.
        *out = unsafe { pair::<E, L, R, false>(query.as_ptr(), row.as_ptr(), dims, std::ptr::null()) };
    }
}

/// Sums of pairs of some queries with some rows, while they are added up.
type Pairs<L, const QUERIES: usize, const ROWS: usize> = [[L; ROWS]; QUERIES];

/// The sums of `QUERIES` queries with `ROWS` neighbouring rows: each row is widened once for all queries, and each
/// register of a query is loaded once for all rows. The terms of a pair are added in the order of [`pair`], so that a
/// distance does not depend on the company in which it was computed; since the registers do not hold all accumulators of
/// all pairs, the dimensions are gone through once for each accumulator. Rows `ahead` bytes further on are asked for.
///
/// # Safety
/// `QUERIES * dims` elements must be readable at `queries`, `ROWS * dims` at `rows`, and the instruction set of `L` present.
#[inline(always)]
unsafe fn tile<E: Row, L: Lanes, R: Reduce, const QUERIES: usize, const ROWS: usize>(
    queries: *const f32,
    rows: *const E,
    dims: usize,
    ahead: usize,
) -> [[f32; ROWS]; QUERIES] {
    // SAFETY: the contract is the same.
    unsafe {
        let first = pass::<E, L, R, QUERIES, ROWS, 0>(queries, rows, dims, ahead);
        let second = pass::<E, L, R, QUERIES, ROWS, 1>(queries, rows, dims, ahead);
        let front = add_pairs(first, second);
        let third = pass::<E, L, R, QUERIES, ROWS, 2>(queries, rows, dims, ahead);
        let fourth = pass::<E, L, R, QUERIES, ROWS, 3>(queries, rows, dims, ahead);
        let all = add_pairs(front, add_pairs(third, fourth));
        let mut out = [[0.0; ROWS]; QUERIES];
        for (out, sums) in out.iter_mut().zip(all) {
            *out = L::sums(sums);
        }
        out
    }
}

/// The accumulator `AT` of each pair; see [`pair`] for what goes into it.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn pass<E: Row, L: Lanes, R: Reduce, const QUERIES: usize, const ROWS: usize, const AT: usize>(
    queries: *const f32,
    rows: *const E,
    dims: usize,
    ahead: usize,
) -> Pairs<L, QUERIES, ROWS> {
    let block = ACCUMULATORS * L::COUNT;
    let blocks = dims - dims % block;
    let left = dims % L::COUNT;
    let share = (ROWS * dims).div_ceil(ACCUMULATORS);
    prefetch(rows.wrapping_byte_add(ahead).wrapping_add(AT * share), share);
    // SAFETY: every load of query or row `i` ends at or before `(i + 1) * dims`; the caller vouches for the rest.
    unsafe {
        let mut sums = [[L::zero(); ROWS]; QUERIES];
        let mut at = AT * L::COUNT;
        while at < blocks {
            step_pairs::<E, L, R, QUERIES, ROWS>(&mut sums, queries.add(at), rows.add(at), dims);
            at += block;
        }
        if AT == 0 {
            at = blocks;
            while at + L::COUNT <= dims {
                step_pairs::<E, L, R, QUERIES, ROWS>(&mut sums, queries.add(at), rows.add(at), dims);
                at += L::COUNT;
            }
        }
        if AT == 1 && left > 0 {
            let at = dims - left;
            for (q, sums) in sums.iter_mut().enumerate() {
                let terms = L::load_part(queries.add(q * dims + at), left);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = R::step(*sum, terms, E::part::<L>(rows.add(r * dims + at), left));
                }
            }
        }
        sums
    }
}

/// Adds the terms of one register of each query with one register of each row, `dims` elements apart.
///
/// # Safety
/// `L::COUNT` elements must be readable of each, and the instruction set of `L` be present.
#[inline(always)]
unsafe fn step_pairs<E: Row, L: Lanes, R: Reduce, const QUERIES: usize, const ROWS: usize>(
    sums: &mut Pairs<L, QUERIES, ROWS>,
    queries: *const f32,
    rows: *const E,
    dims: usize,
) {
    // SAFETY: the contract is the same.
    unsafe {
        let mut terms = [L::zero(); ROWS];
        for (r, terms) in terms.iter_mut().enumerate() {
            *terms = E::lanes::<L>(rows.add(r * dims));
        }
        for (q, sums) in sums.iter_mut().enumerate() {
            let query = L::load(queries.add(q * dims));
            for (sum, row) in sums.iter_mut().zip(terms) {
                *sum = R::step(*sum, query, row);
            }
        }
    }
}

/// Pair by pair `a + b`.
///
/// # Safety
/// The instruction set of `L` must be present.
#[inline(always)]
unsafe fn add_pairs<L: Lanes, const QUERIES: usize, const ROWS: usize>(
    mut a: Pairs<L, QUERIES, ROWS>,
    b: Pairs<L, QUERIES, ROWS>,
) -> Pairs<L, QUERIES, ROWS> {
    for (a, b) in a.iter_mut().flatten().zip(b.iter().flatten()) {
        // SAFETY: the caller vouches for the instruction set.
        *a = unsafe { a.add(*b) };
    }
    a
}

/// The sums of `QUERIES` queries with all rows: those of query `q` begin at `out[q * rows.len() / dims]`.
///
/// # Safety
/// `QUERIES * dims` elements must be readable at `queries`, `rows` hold whole rows, `out` have a place for each query and
/// row, and the instruction set of `L` be present.
#[inline(always)]
unsafe fn tiles<E: Row, L: Lanes, R: Reduce, const QUERIES: usize, const ROWS: usize>(
    queries: *const f32,
    dims: usize,
    rows: &[E],
    out: &mut [f32],
    ahead: usize,
) {
    let count = rows.len() / dims;
    debug_assert_eq!(out.len(), QUERIES * count, "checked by the caller");
    let whole = count - count % ROWS;
    let (grouped, single) = rows.split_at(whole * dims);
    for (i, rows) in grouped.chunks_exact(ROWS * dims).enumerate() {
        // SAFETY: a chunk holds `ROWS` rows; the caller vouches for the queries and the instruction set.
        let sums = unsafe { tile::<E, L, R, QUERIES, ROWS>(queries, rows.as_ptr(), dims, ahead) };
        for (q, sums) in sums.iter().enumerate() {
            out[q * count + i * ROWS..][..ROWS].copy_from_slice(sums);
        }
    }
    for (i, row) in single.chunks_exact(dims).enumerate() {
        for q in 0..QUERIES {
            let query = queries.wrapping_add(q * dims);
            // SAFETY: the query is among those that the caller vouches for, the row is as long; so is the instruction set.
            let sum = unsafe { pair::<E, L, R, false>(query, row.as_ptr(), dims, std::ptr::null()) };
            out[q * count + whole + i] = sum;
        }
    }
}

/// The sums of all queries with all rows, `QUERIES` and `ROWS` at a time; those of query `q` begin at
/// `out[q * rows.len() / dims]`.
///
/// # Safety
/// `dims` must not be zero, `queries` and `rows` hold whole vectors, `out` have a place for each query and row, and the
/// instruction set of `L` be present.
#[inline(always)]
pub(super) unsafe fn scan_many<E: Row, L: Lanes, R: Reduce, const QUERIES: usize, const ROWS: usize>(
    queries: &[f32],
    dims: usize,
    rows: &[E],
    out: &mut [f32],
) {
    let count = rows.len() / dims;
    debug_assert_eq!(out.len() * dims, queries.len() / dims * rows.len(), "checked by the caller");
    // The first queries bring the rows from memory, the others have them in a cache that is near.
    let near = ROWS * dims * size_of::<E>();
    let (mut queries, mut out, mut ahead) = (queries, out, SCAN_BYTES_AHEAD.max(near));
    while queries.len() >= QUERIES * dims {
        let (some, later) = queries.split_at(QUERIES * dims);
        let (some_out, later_out) = out.split_at_mut(QUERIES * count);
        // SAFETY: `some` holds `QUERIES` queries, `some_out` their places; the caller vouches for the rest.
        unsafe { tiles::<E, L, R, QUERIES, ROWS>(some.as_ptr(), dims, rows, some_out, ahead) };
        (queries, out, ahead) = (later, later_out, near);
    }
    while queries.len() >= 2 * dims {
        let (some, later) = queries.split_at(2 * dims);
        let (some_out, later_out) = out.split_at_mut(2 * count);
        // SAFETY: as above, for two queries.
        unsafe { tiles::<E, L, R, 2, ROWS>(some.as_ptr(), dims, rows, some_out, ahead) };
        (queries, out, ahead) = (later, later_out, near);
    }
    if !queries.is_empty() {
        // SAFETY: one query is left; the caller vouches for the rest.
        unsafe { tiles::<E, L, R, 1, ROWS>(queries.as_ptr(), dims, rows, out, ahead) };
    }
}
