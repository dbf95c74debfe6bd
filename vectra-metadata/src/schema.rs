//! Which fields are indexed, and how.

use std::collections::BTreeSet;

/// The most fields that one schema may declare.
const FIELDS_MAX: usize = 256;
/// The longest path in bytes.
const PATH_BYTES_MAX: usize = 1024;

/// What an index of a field covers. Values of other kinds are allowed; tests on them look at the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// Strings, found by value and by range.
    Keyword,
    /// Numbers, found by value and by range.
    Number,
    /// Booleans.
    Bool,
}

/// A declared field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedField {
    /// Dotted path, as in filters.
    pub path: String,
    /// What the index covers.
    pub kind: FieldKind,
}

/// The declared fields of a collection; a value can be made only from sane ones. The default declares none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    fields: Vec<IndexedField>,
}

/// Why fields cannot be declared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Empty, too long, with an empty part or with a part that begins with `$`.
    #[error(
        "`{path}` cannot be an indexed field: 1 to {PATH_BYTES_MAX} bytes, no empty part, no part that begins with `$`"
    )]
    Path {
        /// As given.
        path: String,
    },
    /// Declared twice.
    #[error("the field `{path}` is declared twice")]
    Twice {
        /// The path.
        path: String,
    },
    /// Too many fields.
    #[error("{count} indexed fields are more than {FIELDS_MAX}")]
    TooMany {
        /// How many were given.
        count: usize,
    },
}

impl Schema {
    /// Declares `fields`; each path once, at most 256 of them.
    pub fn new(fields: Vec<IndexedField>) -> Result<Self, SchemaError> {
        if fields.len() > FIELDS_MAX {
            return Err(SchemaError::TooMany { count: fields.len() });
        }
        let mut seen = BTreeSet::new();
        for IndexedField { path, .. } in &fields {
            let bad_part = path.split('.').any(|part| part.is_empty() || part.starts_with('$'));
            if bad_part || path.len() > PATH_BYTES_MAX {
                return Err(SchemaError::Path { path: path.clone() });
            }
            if !seen.insert(path) {
                return Err(SchemaError::Twice { path: path.clone() });
            }
        }
        Ok(Self { fields })
    }

    /// The declared fields, in order.
    pub fn fields(&self) -> &[IndexedField] {
        &self.fields
    }
}

impl IndexedField {
    /// A field of `kind` at `path`.
    pub fn new(path: impl Into<String>, kind: FieldKind) -> Self {
        Self { path: path.into(), kind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(paths: &[&str]) -> Result<Schema, SchemaError> {
        Schema::new(paths.iter().map(|path| IndexedField::new(*path, FieldKind::Keyword)).collect())
    }

    #[test]
    fn sane_paths_are_taken_in_order() {
        let schema = declare(&["b", "a.b", "a"]).expect("sane");
        assert_eq!(schema.fields().iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["b", "a.b", "a"]);
        assert!(declare(&[]).is_ok());
    }

    #[test]
    fn odd_paths_doubles_and_floods_are_refused() {
        for path in ["", ".", "a.", ".a", "a..b", "$a", "a.$b", &"x".repeat(1025)] {
            assert!(matches!(declare(&[path]), Err(SchemaError::Path { .. })), "{path}");
        }
        assert_eq!(declare(&["a", "a"]), Err(SchemaError::Twice { path: "a".to_owned() }));
        let many: Vec<String> = (0..257).map(|i| format!("f{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(declare(&many), Err(SchemaError::TooMany { count: 257 }));
    }
}
