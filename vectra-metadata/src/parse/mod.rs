//! Filters from the Mongo-style dialect: strict and exact; what is not understood is an error, never ignored.

mod clauses;
mod dialect;

#[cfg(test)]
mod tests;

pub use dialect::mongo;

/// The deepest nesting of a filter: logical operators and `$not` around the innermost test.
pub const FILTER_DEPTH_MAX: usize = 32;
/// The most nodes of one filter.
pub const FILTER_NODES_MAX: usize = 1024;
/// The most values of one `$in` or `$nin`.
pub const IN_LIST_MAX: usize = 65_536;

/// Why JSON is not a filter or not a metadata value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A filter, or a part of `$and`, `$or` or `$nor`, is not an object.
    #[error("a filter is an object, but `{place}` is {found}")]
    NotAnObject {
        /// Where: `filter`, or the logical operator that holds it.
        place: String,
        /// The JSON type found.
        found: &'static str,
    },
    /// No such operator.
    #[error("unknown operator `{operator}` at `{path}`")]
    UnknownOperator {
        /// As written.
        operator: String,
        /// The field it stands at; `filter` at the top level.
        path: String,
    },
    /// The dialect has this operator, this database does not.
    #[error("operator `{operator}` at `{path}` is not supported")]
    Unsupported {
        /// As written.
        operator: String,
        /// The field it stands at; `filter` at the top level.
        path: String,
    },
    /// An operator stands where it has no meaning, such as `$not` outside a field or `$and` inside one.
    #[error("operator `{operator}` cannot stand at `{path}`: {reason}")]
    Misplaced {
        /// As written.
        operator: String,
        /// The field it stands at; `filter` at the top level.
        path: String,
        /// What would be right.
        reason: &'static str,
    },
    /// One object mixes operators and plain members, or a plain value holds a `$`-key.
    #[error("`{operator}` at `{path}` stands among plain members: a value holds operators only or none")]
    Mixed {
        /// The operator among plain members.
        operator: String,
        /// The field.
        path: String,
    },
    /// An operator's value has the wrong type.
    #[error("operator `{operator}` at `{path}` needs {expected}, not {found}")]
    Operand {
        /// As written.
        operator: String,
        /// The field it stands at; `filter` at the top level.
        path: String,
        /// What it takes.
        expected: &'static str,
        /// The JSON type found.
        found: &'static str,
    },
    /// `$and`, `$or` or `$nor` of nothing, or an empty `$not`.
    #[error("operator `{operator}` at `{path}` is empty")]
    Empty {
        /// As written.
        operator: String,
        /// The field it stands at; `filter` at the top level.
        path: String,
    },
    /// A field name is empty, has an empty part or a part that begins with `$`.
    #[error("`{path}` is not a field path: parts between dots are not empty and do not begin with `$`")]
    Path {
        /// As written.
        path: String,
    },
    /// Nested deeper than [`FILTER_DEPTH_MAX`].
    #[error("the filter is nested deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// More nodes than [`FILTER_NODES_MAX`].
    #[error("the filter has more than {max} nodes")]
    TooManyNodes {
        /// The limit.
        max: usize,
    },
    /// A longer list than [`IN_LIST_MAX`].
    #[error("operator `{operator}` at `{path}` has {len} values, more than {max}")]
    ListTooLong {
        /// `$in` or `$nin`.
        operator: String,
        /// The field.
        path: String,
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A value nested deeper than values may be.
    #[error("the value is nested deeper than {max} levels")]
    ValueTooDeep {
        /// The limit.
        max: usize,
    },
    /// A number that no finite 64-bit number stands for.
    #[error("the number {number} is out of range")]
    Number {
        /// As written.
        number: String,
    },
}
