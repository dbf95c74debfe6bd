//! Products of one or a few rows with many columns: each code that is loaded meets several others, so that arithmetic and not
//! memory is the limit. Written once for every instruction set.
#![allow(
    clippy::inline_always,
    reason = "a call across a target_feature boundary would pass registers through memory"
)]

/// Rows that are multiplied at a time.
pub(super) const ROWS: usize = 4;

/// Columns whose codes lie together.
pub(super) const GROUP: usize = 16;

/// Codes of a column that lie together; their products add up in one `i32`.
pub(super) const QUAD: usize = 4;

/// The sums of a group of columns with one row, in registers.
///
/// # Safety of all functions
/// They may run only where the register's instruction set exists.
pub(super) trait Group: Copy {
    /// Whether the sums of four rows with four groups, or of one row with eight, stay in registers.
    const WIDE: bool;

    /// The codes of a group, a quad each.
    type Quads: Copy;

    /// All sums zero.
    unsafe fn zero() -> Self;

    /// Loads `GROUP * QUAD` codes, of any alignment.
    unsafe fn load(codes: *const u8) -> Self::Quads;

    /// Adds the products of each column's quad with that of the row, exactly.
    unsafe fn step(self, columns: Self::Quads, row: [i8; QUAD]) -> Self;

    /// Writes the `GROUP` sums, to any alignment.
    unsafe fn store(self, to: *mut i32);
}

/// The products of `R` rows with `groups` groups of columns, into `out`: those of a row together.
///
/// # Safety
/// Each row is good for `QUAD * quads` bytes, `columns` for `groups * GROUP * QUAD * quads` bytes in the order of
/// [`Columns`](super::Columns), `out` for `R * groups * GROUP` sums; the instruction set of `G` is present.
#[inline(always)]
pub(super) unsafe fn products<G: Group, const R: usize>(
    rows: [*const i8; R],
    columns: *const u8,
    quads: usize,
    groups: usize,
    out: *mut i32,
) {
    let mut at = 0;
    // SAFETY: the groups from `at` on are within the columns and the results; the caller vouches for the rest.
    unsafe {
        if G::WIDE && R == 1 {
            while at + 8 <= groups {
                block::<G, R, 8>(rows, columns, quads, at, out.add(at * GROUP), groups * GROUP);
                at += 8;
            }
        }
        if G::WIDE {
            while at + 4 <= groups {
                block::<G, R, 4>(rows, columns, quads, at, out.add(at * GROUP), groups * GROUP);
                at += 4;
            }
        }
        while at < groups {
            block::<G, R, 1>(rows, columns, quads, at, out.add(at * GROUP), groups * GROUP);
            at += 1;
        }
    }
}

/// The products with `W` groups from the group `first` on.
///
/// # Safety
/// See [`products`]; `out` begins at these groups, and `stride` sums lie between those of one row and the next.
#[inline(always)]
unsafe fn block<G: Group, const R: usize, const W: usize>(
    rows: [*const i8; R],
    columns: *const u8,
    quads: usize,
    first: usize,
    out: *mut i32,
    stride: usize,
) {
    // SAFETY: a group holds `quads` times `GROUP * QUAD` codes; the caller vouches that these groups exist, for the rows,
    // the results and the instruction set.
    unsafe {
        let start = columns.add(first * GROUP * QUAD * quads);
        let mut sums = [[G::zero(); W]; R];
        for quad in 0..quads {
            let mut loaded = [G::load(start.add(quad * GROUP * QUAD)); W];
            for (group, loaded) in loaded.iter_mut().enumerate().skip(1) {
                *loaded = G::load(start.add((group * quads + quad) * GROUP * QUAD));
            }
            for (row, sums) in rows.iter().zip(&mut sums) {
                let row = row.add(quad * QUAD).cast::<[i8; QUAD]>().read();
                for (sum, loaded) in sums.iter_mut().zip(loaded) {
                    *sum = sum.step(loaded, row);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (group, sum) in sums.iter().enumerate() {
                sum.store(out.add(row * stride + group * GROUP));
            }
        }
    }
}

/// Sixteen sums in a plain array: whatever registers the compiler's base target has, on any architecture.
impl Group for [i32; GROUP] {
    const WIDE: bool = false;

    type Quads = [[u8; QUAD]; GROUP];

    #[inline(always)]
    unsafe fn zero() -> Self {
        [0; GROUP]
    }

    #[inline(always)]
    unsafe fn load(codes: *const u8) -> Self::Quads {
        // SAFETY: the caller vouches for that many readable bytes; arrays of bytes need no alignment.
        unsafe { codes.cast::<Self::Quads>().read() }
    }

    #[inline(always)]
    unsafe fn step(mut self, columns: Self::Quads, row: [i8; QUAD]) -> Self {
        for (sum, column) in self.iter_mut().zip(columns) {
            for (code, row) in column.into_iter().zip(row) {
                *sum += i32::from(code) * i32::from(row);
            }
        }
        self
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: the caller vouches for room for sixteen sums.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
}
