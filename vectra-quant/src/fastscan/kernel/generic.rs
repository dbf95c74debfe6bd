//! The loops over blocks and lines, written once for every instruction set.
//!
//! Everything here is `inline(always)`: an instruction set's entry points carry its `target_feature`, and only
//! inside them do these functions become machine code, with the registers of that set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

use vectra_core::memory::prefetch_at;

use super::super::bytes::{GROUP, LONG_BYTES, SHORT_BYTES, of_values};
use super::super::layout::BLOCK_ROWS;
use super::{Kernels, Task};
use crate::isa::Isa;

/// How far ahead of the lines being looked up more are asked for: beyond the page at which the hardware's own prefetch stops.
const BYTES_AHEAD: usize = 8 << 10;

/// Bytes of a column's table, of four bits and of a group of such columns; of eight bits.
const SHORT: usize = SHORT_BYTES;
const SHORTS: usize = GROUP * SHORT;
const LONG: usize = LONG_BYTES;

/// A register of codes or of entries, a byte for each of some rows.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Bytes: Copy {
    /// Rows of a register; a block is a whole number of them.
    const ROWS: usize;
    /// The 16 entries of a column of four bits, as often as a register has room.
    type Short: Copy;
    /// The 256 entries of a column of eight bits.
    type Long: Copy;
    /// Sums of 16 bits for as many rows.
    type Wide: Copy;

    /// As many bytes as there are rows. The pointer must be good for them; any alignment will do.
    unsafe fn load(codes: *const u8) -> Self;

    /// The low and the high nibbles, for [`short_entries`](Self::short_entries) to look up.
    unsafe fn nibbles(self) -> [Self; 2];

    /// The table of four bits at a pointer that is good for [`SHORT`] bytes, aligned to as many.
    unsafe fn short(table: *const u8) -> Self::Short;

    /// The entries that nibbles name.
    unsafe fn short_entries(self, table: Self::Short) -> Self;

    /// The table of eight bits at a pointer that is good for [`LONG`] bytes.
    unsafe fn long(table: *const u8) -> Self::Long;

    /// The entries that codes of eight bits name.
    unsafe fn long_entries(self, table: &Self::Long) -> Self;

    /// Sums of bytes; the caller sees to it that none is beyond 255.
    unsafe fn plus(self, other: Self) -> Self;

    /// All sums zero.
    unsafe fn zero() -> Self::Wide;

    /// Adds a byte to each sum.
    unsafe fn add(sums: Self::Wide, bytes: Self) -> Self::Wide;

    /// A bit for each row, in their order: whether its sum is at most `limit`. If any is set, all sums are written to `out`,
    /// which must be good for them.
    unsafe fn sift(sums: Self::Wide, limit: u16, out: *mut u16) -> u64;
}

/// Where a kernel reads: a register's rows in the first of some blocks, and the tables of `Q` queries.
struct Place<const Q: usize> {
    rows: *const u8,
    lines: usize,
    tables: [*const u8; Q],
}

impl<const Q: usize> Place<Q> {
    /// The codes of line `line` of block `b`.
    ///
    /// # Safety
    /// The block and the line must be there, and the instruction set of `R`.
    #[inline(always)]
    unsafe fn codes<R: Bytes>(&self, b: usize, line: usize) -> R {
        // SAFETY: a register of rows lies within the line.
        unsafe {
            let at = self.rows.add((b * self.lines + line) * BLOCK_ROWS);
            prefetch_at(at.wrapping_add(BYTES_AHEAD), 1);
            R::load(at)
        }
    }
}

/// Sums of `B` blocks for `Q` queries, four bits.
///
/// # Safety
/// The place must have these blocks and whole groups of tables for their lines, and the instruction set of `R` be there.
#[inline(always)]
unsafe fn nibbles<R: Bytes, const Q: usize, const B: usize>(place: &Place<Q>) -> [[R::Wide; B]; Q] {
    // SAFETY: every load is within the blocks and tables that the caller vouches for.
    unsafe {
        let mut sums = [[R::zero(); B]; Q];
        let groups = place.lines / 2;
        for group in 0..groups {
            let mut codes = [[[R::load(place.rows); 2]; 2]; B];
            for (b, codes) in codes.iter_mut().enumerate() {
                *codes =
                    [place.codes::<R>(b, 2 * group).nibbles(), place.codes::<R>(b, 2 * group + 1).nibbles()];
            }
            for (sums, tables) in sums.iter_mut().zip(place.tables) {
                let tables = tables.add(group * SHORTS);
                let (t0, t1) = (R::short(tables), R::short(tables.add(SHORT)));
                let (t2, t3) = (R::short(tables.add(2 * SHORT)), R::short(tables.add(3 * SHORT)));
                for (sums, [[c0, c1], [c2, c3]]) in sums.iter_mut().zip(codes) {
                    let first = c0.short_entries(t0).plus(c1.short_entries(t1));
                    let second = c2.short_entries(t2).plus(c3.short_entries(t3));
                    *sums = R::add(*sums, first.plus(second));
                }
            }
        }
        if place.lines % 2 == 1 {
            for b in 0..B {
                let [c0, c1] = place.codes::<R>(b, 2 * groups).nibbles();
                for (sums, tables) in sums.iter_mut().zip(place.tables) {
                    let tables = tables.add(groups * SHORTS);
                    let (t0, t1) = (R::short(tables), R::short(tables.add(SHORT)));
                    sums[b] = R::add(sums[b], c0.short_entries(t0).plus(c1.short_entries(t1)));
                }
            }
        }
        sums
    }
}

/// Sums of `B` blocks for `Q` queries, eight bits; the queries one after the other, since a table fills registers.
///
/// # Safety
/// As [`nibbles`].
#[inline(always)]
unsafe fn bytes<R: Bytes, const Q: usize, const B: usize>(place: &Place<Q>) -> [[R::Wide; B]; Q] {
    // SAFETY: every load is within the blocks and tables that the caller vouches for.
    unsafe {
        let mut sums = [[R::zero(); B]; Q];
        for (sums, tables) in sums.iter_mut().zip(place.tables) {
            for first in (0..place.lines).step_by(GROUP) {
                let table = R::long(tables.add(first * LONG));
                let mut entries = [R::load(place.rows); B];
                for (b, entries) in entries.iter_mut().enumerate() {
                    *entries = place.codes::<R>(b, first).long_entries(&table);
                }
                for line in first + 1..place.lines.min(first + GROUP) {
                    let table = R::long(tables.add(line * LONG));
                    for (b, entries) in entries.iter_mut().enumerate() {
                        *entries = entries.plus(place.codes::<R>(b, line).long_entries(&table));
                    }
                }
                for (sums, entries) in sums.iter_mut().zip(entries) {
                    *sums = R::add(*sums, entries);
                }
            }
        }
        sums
    }
}

/// Sifts `B` blocks from `block` on for `Q` queries from `first` on, of eight bits or four.
///
/// # Safety
/// The task must have these blocks and queries, with all that [`super::SiftFn`] asks for.
#[inline(always)]
unsafe fn sift<R: Bytes, const WIDE: bool, const Q: usize, const B: usize>(
    task: &mut Task<'_>,
    first: usize,
    block: usize,
) {
    let count = task.masks.len() / task.tables.len();
    let mut masks = [[0_u64; B]; Q];
    for part in (0..BLOCK_ROWS).step_by(R::ROWS) {
        let rows = task.blocks[block * task.lines * BLOCK_ROWS + part..].as_ptr();
        let tables = std::array::from_fn(|q| task.tables[first + q].as_ptr());
        let place = Place { rows, lines: task.lines, tables };
        // SAFETY: the caller vouches for the blocks, the tables and the instruction set.
        let sums = unsafe { if WIDE { bytes::<R, Q, B>(&place) } else { nibbles::<R, Q, B>(&place) } };
        for q in 0..Q {
            for b in 0..B {
                let out = &mut task.sums[(first + q) * count + block + b][part..][..R::ROWS];
                // SAFETY: there is room for the sums of a register; the caller vouches for the instruction set.
                let mask = unsafe { R::sift(sums[q][b], task.limits[first + q], out.as_mut_ptr()) };
                masks[q][b] |= mask << part;
            }
        }
    }
    for (q, masks) in masks.iter().enumerate() {
        task.masks[(first + q) * count + block..][..B].copy_from_slice(masks);
    }
}

/// Sifts all blocks for `Q` queries from `first` on, `B` at once as long as there are as many.
///
/// # Safety
/// As [`sift`].
#[inline(always)]
unsafe fn sift_blocks<R: Bytes, const WIDE: bool, const Q: usize, const B: usize>(
    task: &mut Task<'_>,
    first: usize,
) {
    let count = task.masks.len() / task.tables.len();
    let together = count / B * B;
    // SAFETY: the blocks are those of the task; the caller vouches for the rest.
    unsafe {
        for block in (0..together).step_by(B) {
            sift::<R, WIDE, Q, B>(task, first, block);
        }
        for block in together..count {
            sift::<R, WIDE, Q, 1>(task, first, block);
        }
    }
}

/// All blocks for all queries: `Q` queries with `B` blocks at once, those that are left one by one with `ALONE`.
///
/// # Safety
/// See [`super::SiftFn`].
#[inline(always)]
pub(super) unsafe fn sift_all<
    R: Bytes,
    const WIDE: bool,
    const Q: usize,
    const B: usize,
    const ALONE: usize,
>(
    task: &mut Task<'_>,
) {
    let together = task.tables.len() / Q * Q;
    // SAFETY: the queries are those of the task; the caller vouches for the rest.
    unsafe {
        for first in (0..together).step_by(Q) {
            sift_blocks::<R, WIDE, Q, B>(task, first);
        }
        for first in together..task.tables.len() {
            sift_blocks::<R, WIDE, 1, ALONE>(task, first);
        }
    }
}

/// Sixteen rows in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Bytes for [u8; 16] {
    const ROWS: usize = 16;
    type Short = [u8; 16];
    type Long = [u8; LONG];
    type Wide = [u16; 16];

    #[inline(always)]
    unsafe fn load(codes: *const u8) -> Self {
        // SAFETY: the caller vouches for the bytes; arrays of bytes need no alignment.
        unsafe { codes.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn nibbles(self) -> [Self; 2] {
        [self.map(|code| code & 15), self.map(|code| code >> 4)]
    }

    #[inline(always)]
    unsafe fn short(table: *const u8) -> [u8; 16] {
        // SAFETY: the caller vouches for the bytes; arrays of bytes need no alignment.
        unsafe { table.cast::<[u8; 16]>().read() }
    }

    #[inline(always)]
    unsafe fn short_entries(self, table: [u8; 16]) -> Self {
        self.map(|code| table[usize::from(code & 15)])
    }

    #[inline(always)]
    unsafe fn long(table: *const u8) -> [u8; LONG] {
        // SAFETY: the caller vouches for the bytes; arrays of bytes need no alignment.
        unsafe { table.cast::<[u8; LONG]>().read() }
    }

    #[inline(always)]
    unsafe fn long_entries(self, table: &[u8; LONG]) -> Self {
        self.map(|code| table[usize::from(code)])
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i].wrapping_add(other[i]))
    }

    #[inline(always)]
    unsafe fn zero() -> [u16; 16] {
        [0; 16]
    }

    #[inline(always)]
    unsafe fn add(sums: [u16; 16], bytes: Self) -> [u16; 16] {
        std::array::from_fn(|i| sums[i].wrapping_add(u16::from(bytes[i])))
    }

    #[inline(always)]
    unsafe fn sift(sums: [u16; 16], limit: u16, out: *mut u16) -> u64 {
        // SAFETY: the caller vouches for the room; sums of 16 bits are aligned in it.
        unsafe { out.cast::<[u16; 16]>().write(sums) };
        let bits = sums.iter().rev().map(|sum| u64::from(*sum <= limit));
        bits.fold(0, |mask, bit| mask << 1 | bit)
    }
}

/// # Safety
/// See [`super::SiftFn`].
unsafe fn portable_nibbles(task: &mut Task<'_>) {
    // SAFETY: the contract is the same, and there is no instruction set to ask for.
    unsafe { sift_all::<[u8; 16], false, 4, 1, 1>(task) }
}

/// # Safety
/// See [`super::SiftFn`].
unsafe fn portable_bytes(task: &mut Task<'_>) {
    // SAFETY: the contract is the same, and there is no instruction set to ask for.
    unsafe { sift_all::<[u8; 16], true, 1, 1, 1>(task) }
}

/// The kernels that every machine can run.
pub(super) static PORTABLE: Kernels =
    Kernels { isa: Isa::Portable, nibbles: portable_nibbles, bytes: portable_bytes, of_values };
