//! From rows to the section `indexes`.

use std::collections::BTreeMap;

use vectra_core::Value;
use vectra_core::codec::Writer;

use super::boolean::Booleans;
use super::coverage::Coverage;
use super::inverted::write_inverted;
use super::number::Number;
use super::range::write_range;
use crate::error::BuildError;
use crate::format::write_index_directory;
use crate::schema::{FieldKind, IndexedField};
use crate::traverse::any_at;

/// Collects one field.
#[derive(Debug)]
pub(crate) struct FieldBuilder {
    field: IndexedField,
    coverage: Coverage,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Keyword(BTreeMap<String, Vec<u32>>),
    Number(Vec<(Number, u32)>),
    Bool(Booleans),
}

impl FieldBuilder {
    pub(crate) fn new(field: &IndexedField) -> Self {
        let values = match field.kind {
            FieldKind::Keyword => Values::Keyword(BTreeMap::new()),
            FieldKind::Number => Values::Number(Vec::new()),
            FieldKind::Bool => Values::Bool(Booleans::default()),
        };
        Self { field: field.clone(), coverage: Coverage::default(), values }
    }

    /// Takes the row of `slot`; slots come in ascending order.
    pub(crate) fn push(&mut self, slot: u32, metadata: &Value) {
        let Self { field, coverage, values } = self;
        any_at(metadata, &field.path, |found| {
            match found {
                None => _ = coverage.nullish.insert(slot),
                Some(value) => {
                    coverage.present.insert(slot);
                    if matches!(value, Value::Null) {
                        coverage.nullish.insert(slot);
                    } else if !values.push(slot, value) {
                        coverage.uncovered.insert(slot);
                    }
                }
            }
            false
        });
    }

    fn write(&self) -> Result<Vec<u8>, BuildError> {
        let mut out = Writer::new();
        self.coverage.write(&mut out);
        let written = match &self.values {
            Values::Keyword(values) => write_inverted(values, &mut out),
            Values::Number(pairs) => write_range(pairs.clone(), &mut out),
            Values::Bool(booleans) => {
                booleans.write(&mut out);
                Some(())
            }
        };
        written.ok_or(TOO_LARGE)?;
        Ok(out.into_bytes())
    }
}

const TOO_LARGE: BuildError = BuildError::TooLarge { what: "values of an index", max: u32::MAX as u64 };

impl Values {
    /// Takes a value; false if this kind of index does not hold it.
    fn push(&mut self, slot: u32, value: &Value) -> bool {
        match (self, value) {
            (Self::Keyword(values), Value::Str(text)) => match values.get_mut(text) {
                Some(slots) if slots.last() == Some(&slot) => {}
                Some(slots) => slots.push(slot),
                None => _ = values.insert(text.clone(), vec![slot]),
            },
            (Self::Number(pairs), value) => match Number::of(value) {
                Some(number) => pairs.push((number, slot)),
                None => return false,
            },
            (Self::Bool(booleans), Value::Bool(value)) => booleans.insert(*value, slot),
            _ => return false,
        }
        true
    }
}

/// The section `indexes`: a directory, then one index per field.
pub(crate) fn write_indexes(fields: &[FieldBuilder]) -> Result<Vec<u8>, BuildError> {
    let indexes = fields.iter().map(FieldBuilder::write).collect::<Result<Vec<_>, _>>()?;
    let entries = fields.iter().zip(&indexes).map(|(field, index)| (&field.field, index.len() as u64));
    let mut section = write_index_directory(entries);
    indexes.iter().for_each(|index| section.extend_from_slice(index));
    Ok(section)
}
