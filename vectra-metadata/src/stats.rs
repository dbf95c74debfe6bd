//! What is known about a segment's declared fields.

use vectra_core::Value;
use vectra_core::codec::DecodeError;

use crate::error::FormatError;
use crate::index::FieldIndex;
use crate::schema::FieldKind;

/// How many of the most frequent values are listed.
pub(crate) const TOP_VALUES: usize = 16;
/// How many parts of equal size the quantiles cut the numbers into.
pub(crate) const QUANTILE_PARTS: usize = 16;

/// Statistics of one declared field in one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldStats {
    /// The field.
    pub path: String,
    /// What its index covers.
    pub kind: FieldKind,
    /// Rows that have something at the path, `null` included.
    pub present: u32,
    /// Rows that a test for `null` matches.
    pub nullish: u32,
    /// Rows with a value that the index does not hold (another type, an array, an object).
    pub uncovered: u32,
    /// Different values that the index holds.
    pub distinct: u32,
    /// The smallest number (`Number` only).
    pub min: Option<Value>,
    /// The largest number (`Number` only).
    pub max: Option<Value>,
    /// The most frequent values with their row counts, most frequent first (`Keyword` and `Bool`; at most 16).
    pub top: Vec<(Value, u32)>,
    /// Bounds of an equi-depth histogram: 17 values from the smallest to the largest number, between neighbours of which
    /// lie equally many rows (`Number` only).
    pub quantiles: Vec<Value>,
}

impl FieldIndex {
    pub(crate) fn stats(&self) -> Result<FieldStats, FormatError> {
        let mut stats = FieldStats {
            path: self.field.path.clone(),
            kind: self.field.kind,
            present: self.coverage.present.len() as u32,
            nullish: self.coverage.nullish.len() as u32,
            uncovered: self.coverage.uncovered.len() as u32,
            distinct: 0,
            min: None,
            max: None,
            top: Vec::new(),
            quantiles: Vec::new(),
        };
        self.add_values(&mut stats).map_err(|source: DecodeError| self.damaged(source))?;
        Ok(stats)
    }
}
