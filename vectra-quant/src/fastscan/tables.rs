//! A query's tables as bytes.

use std::sync::Arc;

use vectra_core::memory::AlignedBuf;

use super::bytes::{Line, entries_bytes};
use super::kernel::kernels;
use super::layout::Layout;

/// A query's tables for the columns of a [`Layout`], as bytes, and what turns sums of them back into numbers.
///
/// Column j has the entries `t[j][code]`, given as `f32`. With `least[j]` the smallest of the column and one `step` for all
/// columns, the byte is `(t - least) / step`, rounded; so a row's sum of entries is `bias + scale * sum` within half a step
/// for each column, with `bias` the sum of all `least` and `scale` the step. The step is the smallest with which no four
/// columns 4 i to 4 i + 3 add up to more than a byte and all columns to no more than 16 bits hold.
#[derive(Clone)]
pub struct Tables {
    layout: Layout,
    /// As [`of_values`](super::bytes::of_values) writes them.
    entries: Arc<AlignedBuf>,
    bias: f32,
    scale: f32,
}

impl Tables {
    /// Takes the tables of all columns, one after the other.
    ///
    /// # Panics
    /// If there is not a value for each code of each column, or a value is not finite, or two of a column are farther apart
    /// than an `f32` can say.
    pub fn new(layout: Layout, values: &[f32]) -> Self {
        assert_eq!(values.len(), layout.columns() * layout.codes(), "a value for each code of each column");
        let mut entries = AlignedBuf::zeroed(entries_bytes(layout));
        let Line { bias, scale } = kernels().of_values(layout, values, &mut entries);
        Self { layout, entries: Arc::new(entries), bias, scale }
    }

    /// The columns that the tables are for.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What a sum of zero stands for.
    pub fn bias(&self) -> f32 {
        self.bias
    }

    /// What a sum grows by with each step.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The number that a sum stands for: `bias + scale * sum`.
    pub fn value(&self, sum: u16) -> f32 {
        self.bias + self.scale * f32::from(sum)
    }

    /// How far [`value`](Self::value) may be from the sum of the given values, but for what `f32` rounds: half a step for
    /// each column. Half steps up and down cancel out; a hundred columns are seldom wrong by more than ten steps.
    pub fn error_max(&self) -> f32 {
        0.5 * self.scale * self.layout.columns() as f32
    }

    /// The entries as kernels read them.
    pub(super) fn entries(&self) -> &[u8] {
        &self.entries
    }

    /// The entry of a code.
    #[cfg(test)]
    pub(super) fn entry(&self, column: usize, code: u8) -> u8 {
        let bytes = entries_bytes(self.layout) / self.layout.columns().next_multiple_of(super::bytes::GROUP);
        self.entries[column * bytes + usize::from(code)]
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tables({:?}, {} + {} * sum)", self.layout, self.bias, self.scale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::testing::oracle::Dice;

    use super::super::bytes::{GROUP, LEAST};
    use super::*;

    /// The rules of the bytes, whatever the values.
    fn check(layout: Layout, values: &[f32]) {
        let tables = Tables::new(layout, values);
        let codes = layout.codes();
        let column = |column| (0..codes).map(move |code| (column, code as u8));
        let entry = |(column, code)| u32::from(tables.entry(column, code));
        let greatest: Vec<u32> =
            (0..layout.columns()).map(|at| column(at).map(entry).max().expect("there are codes")).collect();
        assert!(greatest.chunks(GROUP).all(|group| group.iter().sum::<u32>() <= 255), "{greatest:?}");
        let sum = u16::try_from(greatest.iter().sum::<u32>()).expect("sums fit");
        assert!(tables.value(0).is_finite() && tables.value(sum).is_finite());
        for (at, values) in values.chunks(codes).enumerate() {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            for (value, entry) in values.iter().zip(column(at).map(entry)) {
                let (found, exact) = (f64::from(tables.scale) * f64::from(entry), f64::from(value - least));
                let allowed = 0.500_1 * f64::from(tables.scale) + f64::from(LEAST);
                assert!((found - exact).abs() <= allowed, "{found} for {exact}");
            }
        }
    }

    #[test]
    fn bytes_are_steps_above_the_least() {
        let mut dice = Dice::new(1);
        for columns in [1, 2, 3, 4, 5, 96, 700] {
            for layout in [Layout::nibbles(columns), Layout::bytes(columns)] {
                for size in [1e-38, 1e-20, 1.0, 1e30] {
                    let mut next = || size * dice.gaussian();
                    let values: Vec<f32> = (0..columns * layout.codes()).map(|_| next()).collect();
                    check(layout, &values);
                }
            }
        }
        check(Layout::nibbles(COLUMNS), &vec![1.5; 16 * COLUMNS]);
    }

    const COLUMNS: usize = super::super::COLUMNS_MAX;

    #[test]
    fn the_largest_sums_fit() {
        let values: Vec<f32> = (0..16 * COLUMNS).map(|i| if i % 16 == 3 { 1.0 } else { 0.0 }).collect();
        check(Layout::nibbles(COLUMNS), &values);
        let mut one = vec![0.0; 16 * COLUMNS];
        one[5] = -7.0;
        check(Layout::nibbles(COLUMNS), &one);
    }

    #[test]
    fn equal_values_are_all_bias() {
        let tables = Tables::new(Layout::nibbles(3), &[2.0; 48]);
        assert!(tables.entries().iter().all(|entry| *entry == 0));
        assert_eq!((tables.bias(), tables.scale(), tables.error_max()), (6.0, 0.0, 0.0));
        assert_eq!(format!("{tables:?}"), "Tables(Layout { columns: 3, wide: false }, 6 + 0 * sum)");
    }

    #[test]
    #[should_panic(expected = "finite")]
    fn a_value_that_is_no_number_panics() {
        let mut values = [0.0; 32];
        values[20] = f32::NAN;
        Tables::new(Layout::nibbles(2), &values);
    }

    #[test]
    #[should_panic(expected = "finite")]
    fn an_infinite_value_panics() {
        let mut values = [0.0; 32];
        values[20] = f32::INFINITY;
        Tables::new(Layout::nibbles(2), &values);
    }

    proptest! {
        #[test]
        fn any_values_keep_the_rules(values in prop::collection::vec(-1e36_f32..1e36, 16..200), tiny: bool) {
            let columns = values.len() / 16;
            let size = if tiny { 1e-36 } else { 1.0 };
            let values: Vec<f32> = values[..16 * columns].iter().map(|x| x * size).collect();
            check(Layout::nibbles(columns), &values);
        }
    }
}
