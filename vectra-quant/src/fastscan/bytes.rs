//! The entries of tables as bytes.
#![allow(
    clippy::inline_always,
    reason = "each kernel compiles the loops with the registers of its instruction set"
)]

use super::layout::{COLUMNS_MAX, Layout};

/// Columns whose entries are added as bytes before they are widened: no four entries of a group add up to more than 255.
pub(super) const GROUP: usize = 4;

/// Bytes of a column's table of four bits: its 16 entries four times, the largest register's worth.
pub(super) const SHORT_BYTES: usize = 64;

/// Bytes of a column's table of eight bits.
pub(super) const LONG_BYTES: usize = 256;

/// What the ranges of a group's columns add up to in steps: below 255 by the halves of a step that rounding may add.
const GROUP_STEPS: f32 = 252.0;

/// What the ranges of all columns add up to in steps, at most; rounding adds no more than half a step for each column.
const ALL_STEPS: f32 = 57_000.0;

const _: () = assert!(57_000 + COLUMNS_MAX / 2 < 1 << 16, "sums fit into 16 bits");

/// Next to it the `f32` are the integers: adding it rounds, ties to even, and leaves the result in the low bits.
const INTEGERS: f32 = 12_582_912.0;

/// Ranges that add up to less than this count as none: the inverse of a step stays finite.
pub(super) const LEAST: f32 = 1e-33;

/// Values looked at side by side.
const LANES: usize = 16;

/// What sums of bytes stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// The sum of the smallest values of all columns.
    pub(super) bias: f32,
    /// The width of a step.
    pub(super) scale: f32,
}

/// Bytes of the tables of all columns, filled up to whole groups.
pub(super) const fn entries_bytes(layout: Layout) -> usize {
    let column = if layout.bits() == 4 { SHORT_BYTES } else { LONG_BYTES };
    layout.columns().next_multiple_of(GROUP) * column
}

/// Writes the values of all columns as bytes to `entries`, zeros so far.
///
/// # Panics
/// If a value is not finite, or two of a column are farther apart than an `f32` can say.
#[inline(always)]
pub(super) fn of_values(layout: Layout, values: &[f32], entries: &mut [u8]) -> Line {
    if layout.bits() == 4 {
        of_columns::<16, SHORT_BYTES>(values, entries)
    } else {
        of_columns::<256, LONG_BYTES>(values, entries)
    }
}

/// [`of_values`] for columns of so many codes, whose entries are repeated up to so many bytes.
#[inline(always)]
fn of_columns<const CODES: usize, const BYTES: usize>(values: &[f32], entries: &mut [u8]) -> Line {
    let (columns, _) = values.as_chunks::<CODES>();
    // A loop and no closure, which would be compiled without the instruction set.
    let mut ranges = Vec::with_capacity(columns.len());
    for values in columns {
        ranges.push(range(values));
    }
    let (mut bias, mut widest, mut all) = (0.0, 0.0_f32, 0.0_f32);
    for group in ranges.chunks(GROUP) {
        let width: f32 = group.iter().map(|(_, width)| width).sum();
        widest = if width > widest { width } else { widest };
        all += width;
        bias += group.iter().map(|(least, _)| f64::from(*least)).sum::<f64>();
    }
    assert!(all.is_finite(), "the values of a table are finite, and so are their differences");
    let (by_group, by_all) = (widest / GROUP_STEPS, all / ALL_STEPS);
    let step = if by_group > by_all { by_group } else { by_all };
    let (inverse, scale) = if all < LEAST { (0.0, 0.0) } else { (1.0 / step, step) };
    for ((entries, values), (least, _)) in
        entries.as_chunks_mut::<BYTES>().0.iter_mut().zip(columns).zip(ranges)
    {
        for (entry, value) in entries.iter_mut().zip(values) {
            *entry = ((value - least) * inverse + INTEGERS).to_bits() as u8;
        }
        for copy in 1..BYTES / CODES {
            entries.copy_within(..CODES, copy * CODES);
        }
    }
    Line { bias: bias as f32, scale }
}

/// The smallest value, and how far the greatest is above it; no number if one of them is none or infinite.
#[inline(always)]
fn range<const CODES: usize>(values: &[f32; CODES]) -> (f32, f32) {
    let (mut least, mut greatest, mut wrong) = ([f32::MAX; LANES], [f32::MIN; LANES], [0.0_f32; LANES]);
    for values in values.as_chunks::<LANES>().0 {
        for i in 0..LANES {
            let x = values[i];
            least[i] = if x < least[i] { x } else { least[i] };
            greatest[i] = if x > greatest[i] { x } else { greatest[i] };
            wrong[i] += x * 0.0;
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            least[i] = if least[i + half] < least[i] { least[i + half] } else { least[i] };
            greatest[i] = if greatest[i + half] > greatest[i] { greatest[i + half] } else { greatest[i] };
            wrong[i] += wrong[i + half];
        }
        half /= 2;
    }
    (least[0], greatest[0] - least[0] + wrong[0])
}
