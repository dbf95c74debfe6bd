//! One field's index: what it answers by itself and which rows it leaves open.

use std::cmp::Ordering;

use roaring::RoaringBitmap;
use vectra_core::Value;
use vectra_core::admit::Bits;
use vectra_core::codec::{DecodeError, Reader};
use vectra_core::filter::Test;
use vectra_core::io::Blob;

use super::boolean::Booleans;
use super::coverage::Coverage;
use super::inverted::Inverted;
use super::number::Number;
use super::range::Range;
use crate::error::FormatError;
use crate::format::read_index_directory;
use crate::schema::{FieldKind, IndexedField};

/// The index of a declared field.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    pub(crate) field: IndexedField,
    pub(crate) coverage: Coverage,
    pub(super) values: Values,
    row_count: u32,
}

/// The values that an index covers.
#[derive(Debug)]
pub(super) enum Values {
    Keyword(Inverted),
    Number(Range),
    Bool(Booleans),
}

/// What an index says about a test.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Slots that satisfy it for certain.
    pub(crate) bits: Bits,
    /// Whether the uncovered rows may satisfy it too and have to be looked at.
    pub(crate) open: bool,
}

/// The four comparisons by the orderings that satisfy them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Below,
}

/// Reads the section `indexes`.
pub(crate) fn read_indexes(section: &Blob, row_count: u32) -> Result<Vec<FieldIndex>, FormatError> {
    let read = |(field, range): (IndexedField, std::ops::Range<usize>)| {
        let blob = section.slice(range).expect("the directory is checked against the section");
        FieldIndex::read(&field, &blob, row_count)
            .map_err(|source| FormatError::Index { path: field.path.clone(), source })
    };
    read_index_directory(section)?.into_iter().map(read).collect()
}

impl FieldIndex {
    fn read(field: &IndexedField, blob: &Blob, row_count: u32) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(blob);
        let coverage = Coverage::read(&mut reader, row_count)?;
        let values = match field.kind {
            FieldKind::Keyword => Values::Keyword(Inverted::read(blob, &mut reader)?),
            FieldKind::Number => Values::Number(Range::read(blob, &mut reader)?),
            FieldKind::Bool => Values::Bool(Booleans::read(&mut reader, row_count)?),
        };
        reader.finish()?;
        Ok(Self { field: field.clone(), coverage, values, row_count })
    }

    /// Whether it answers `test` without looking at any row.
    pub(crate) fn answers(&self, test: &Test) -> bool {
        self.coverage.uncovered.is_empty() || !self.leaves_open(test)
    }

    /// What it knows about `test`.
    pub(crate) fn answer(&self, test: &Test) -> Result<Answer, FormatError> {
        let mut bits = Bits::none(self.row_count);
        let done = match test {
            Test::Eq(value) => self.add_equal(value, &mut bits),
            Test::In(values) => values.iter().try_for_each(|value| self.add_equal(value, &mut bits)),
            Test::Gt(bound) => self.add_ordered(bound, Side::Above, false, &mut bits),
            Test::Gte(bound) => self.add_ordered(bound, Side::Above, true, &mut bits),
            Test::Lt(bound) => self.add_ordered(bound, Side::Below, false, &mut bits),
            Test::Lte(bound) => self.add_ordered(bound, Side::Below, true, &mut bits),
            Test::Exists(wanted) => {
                insert_all(&self.coverage.present, &mut bits);
                if !wanted {
                    bits.invert();
                }
                Ok(())
            }
        };
        done.map_err(|source| self.damaged(source))?;
        Ok(Answer { bits, open: !self.answers(test) })
    }

    /// Damage in this index.
    pub(crate) fn damaged(&self, source: DecodeError) -> FormatError {
        FormatError::Index { path: self.field.path.clone(), source }
    }

    /// Whether a value that the index does not hold could satisfy `test`.
    fn leaves_open(&self, test: &Test) -> bool {
        match test {
            Test::Eq(value) => !self.covers(value),
            Test::In(values) => !values.iter().all(|value| self.covers(value)),
            // Arrays and objects are not ordered: nothing satisfies the test.
            Test::Gt(bound) | Test::Gte(bound) | Test::Lt(bound) | Test::Lte(bound) => {
                !self.covers(bound) && !matches!(bound, Value::Array(_) | Value::Object(_))
            }
            Test::Exists(_) => false,
        }
    }

    /// Whether everything equal to or comparable with `value` is in the index.
    fn covers(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Str(_) => self.field.kind == FieldKind::Keyword,
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => self.field.kind == FieldKind::Number,
            Value::Bool(_) => self.field.kind == FieldKind::Bool,
            Value::Array(_) | Value::Object(_) => false,
        }
    }

    fn add_equal(&self, value: &Value, bits: &mut Bits) -> Result<(), DecodeError> {
        match (&self.values, value) {
            (_, Value::Null) => insert_all(&self.coverage.nullish, bits),
            (Values::Keyword(index), Value::Str(text)) => {
                if let Ok(at) = index.find(text)? {
                    index.add(at..at + 1, bits)?;
                }
            }
            (Values::Number(index), value) => {
                if let Some(number) = Number::of(value) {
                    let start = index.partition(number, Ordering::is_lt)?;
                    index.add(start..index.partition(number, Ordering::is_le)?.max(start), bits)?;
                }
            }
            (Values::Bool(index), Value::Bool(value)) => insert_all(index.slots(*value), bits),
            _ => {}
        }
        Ok(())
    }

    /// Adds the slots with a value on `side` of `bound`, with `or_equal` also at it.
    fn add_ordered(
        &self,
        bound: &Value,
        side: Side,
        or_equal: bool,
        bits: &mut Bits,
    ) -> Result<(), DecodeError> {
        // Everything before the cut is below; the bound itself is before it if it counts as below.
        let equal_before = (side == Side::Below) == or_equal;
        match (&self.values, bound) {
            (_, Value::Null) if or_equal => insert_all(&self.coverage.nullish, bits),
            (Values::Keyword(index), Value::Str(text)) => {
                let cut = index.find(text)?.map_or_else(|at| at, |at| at + usize::from(equal_before));
                index.add(if side == Side::Below { 0..cut } else { cut..index.len() }, bits)?;
            }
            (Values::Number(index), bound) => {
                if let Some(number) = Number::of(bound) {
                    let before = if equal_before { Ordering::is_le } else { Ordering::is_lt };
                    let cut = index.partition(number, before)?;
                    index.add(if side == Side::Below { 0..cut } else { cut..index.len() }, bits)?;
                }
            }
            (Values::Bool(index), Value::Bool(bound)) => {
                for value in [false, true] {
                    let ordering = value.cmp(bound);
                    let strictly = if side == Side::Below { ordering.is_lt() } else { ordering.is_gt() };
                    if strictly || or_equal && ordering.is_eq() {
                        insert_all(index.slots(value), bits);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Adds a bitmap, whose slots were checked when it was read.
pub(crate) fn insert_all(bitmap: &RoaringBitmap, bits: &mut Bits) {
    bitmap.iter().for_each(|slot| bits.insert(slot));
}
