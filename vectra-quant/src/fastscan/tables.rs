//! A query's tables as bytes.

use vectra_core::memory::AlignedBuf;

use super::layout::Layout;

/// Columns whose entries are added as bytes before they are widened: no four entries of a group add up to more than 255.
pub(super) const GROUP: usize = 4;

/// What the ranges of a group's columns add up to in steps: below 255 by the halves of a step that rounding may add.
const GROUP_STEPS: f32 = 252.0;

/// What the ranges of all columns add up to in steps, at most; rounding adds no more than half a step for each column.
const ALL_STEPS: f32 = 57_000.0;

// Next to it the `f32` are the integers: adding it rounds, ties to even, and leaves the result in the low bits.
const INTEGERS: f32 = 12_582_912.0;

/// Ranges that add up to less than this count as none: the inverse of a step stays finite.
const LEAST: f32 = 1e-33;

const _: () = assert!(57_000 + super::layout::COLUMNS_MAX / 2 < 1 << 16, "sums fit into 16 bits");

/// A query's tables for the columns of a [`Layout`], as bytes, and what turns sums of them back into numbers.
///
/// Column j has the entries `t[j][code]`, given as `f32`. With `least[j]` the smallest of the column and one `step` for all
/// columns, the byte is `(t - least) / step`, rounded; so a row's sum of entries is `bias + scale * sum` within half a step
/// for each column, with `bias` the sum of all `least` and `scale` the step. The step is the smallest with which no four
/// columns 4 i to 4 i + 3 add up to more than a byte and all columns to no more than 16 bits hold.
#[derive(Clone)]
pub struct Tables {
    layout: Layout,
    /// For each column its entries one after the other; zeros up to a whole group of columns.
    entries: std::sync::Arc<AlignedBuf>,
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
        let codes = layout.codes();
        assert_eq!(values.len(), layout.columns() * codes, "a value for each code of each column");
        let ranges: Vec<(f32, f32)> = values.chunks_exact(codes).map(range).collect();
        let mut bias = 0.0;
        let (mut widest, mut all) = (0.0_f32, 0.0_f32);
        for group in ranges.chunks(GROUP) {
            let width: f32 = group.iter().map(|(_, width)| width).sum();
            widest = widest.max(width);
            all += width;
            bias += group.iter().map(|(least, _)| f64::from(*least)).sum::<f64>();
        }
        assert!(all.is_finite(), "the values of a table are finite, and so are their differences");
        let step = (widest / GROUP_STEPS).max(all / ALL_STEPS);
        let (inverse, scale) = if all < LEAST { (0.0, 0.0) } else { (1.0 / step, step) };
        let mut entries = AlignedBuf::zeroed(layout.columns().next_multiple_of(GROUP) * codes);
        let columns = entries.chunks_exact_mut(codes).zip(values.chunks_exact(codes));
        for ((entries, values), (least, _)) in columns.zip(&ranges) {
            for (entry, value) in entries.iter_mut().zip(values) {
                *entry = ((value - least) * inverse + INTEGERS).to_bits() as u8;
            }
        }
        Self { layout, entries: std::sync::Arc::new(entries), bias: bias as f32, scale }
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

    /// The entries as bytes, a whole number of groups of columns.
    pub(super) fn entries(&self) -> &[u8] {
        &self.entries
    }
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tables({:?}, {} + {} * sum)", self.layout, self.bias, self.scale)
    }
}

/// The smallest value, and how far the greatest is above it.
fn range(values: &[f32]) -> (f32, f32) {
    let (mut least, mut greatest) = ([f32::INFINITY; 16], [f32::NEG_INFINITY; 16]);
    let mut wrong = false;
    for values in values.as_chunks::<16>().0 {
        for i in 0..16 {
            let x = values[i];
            least[i] = if x < least[i] { x } else { least[i] };
            greatest[i] = if x > greatest[i] { x } else { greatest[i] };
            wrong |= x.is_nan();
        }
    }
    assert!(!wrong, "the values of a table are finite, and so are their differences");
    let least = least.into_iter().fold(f32::INFINITY, f32::min);
    (least, greatest.into_iter().fold(f32::NEG_INFINITY, f32::max) - least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::testing::oracle::Dice;

    use super::*;

    /// The rules of the bytes, whatever the values.
    fn check(layout: Layout, values: &[f32]) {
        let tables = Tables::new(layout, values);
        let codes = layout.codes();
        let most = |entries: &[u8]| u32::from(*entries.iter().max().expect("a column has entries"));
        let greatest: Vec<u32> = tables.entries().chunks(codes).map(most).collect();
        assert_eq!(greatest.len(), layout.columns().next_multiple_of(GROUP));
        assert!(greatest.chunks(GROUP).all(|group| group.iter().sum::<u32>() <= 255), "{greatest:?}");
        let sum = u16::try_from(greatest.iter().sum::<u32>()).expect("sums fit");
        assert!(tables.value(0).is_finite() && tables.value(sum).is_finite());
        for (values, entries) in values.chunks(codes).zip(tables.entries().chunks(codes)) {
            let least = values.iter().copied().fold(f32::INFINITY, f32::min);
            for (value, entry) in values.iter().zip(entries) {
                let (found, exact) = (f64::from(tables.scale) * f64::from(*entry), f64::from(value - least));
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
