#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The language: JSON in, words out, and what they mean.
pub mod json;
pub mod parse;

mod eval;
mod traverse;

// What a segment keeps: declared fields in, three sections of bytes out.
mod builder;
mod error;
mod row;
mod schema;

// What a segment answers.
mod estimate;
mod matcher;
mod resolve;
mod stats;
mod view;

// How it is laid out.
mod column;
mod compress;
mod format;
mod index;
mod store;

pub use crate::builder::{Builder, Sections};
pub use crate::error::{BuildError, FormatError, ReadError};
pub use crate::estimate::Cardinality;
pub use crate::eval::matches;
pub use crate::json::{value_from_json, value_to_json};
pub use crate::parse::ParseError;
pub use crate::resolve::Filtered;
pub use crate::row::{ROW_BYTES_MAX, RowError, check_row};
pub use crate::schema::{FieldKind, IndexedField, Schema, SchemaError};
pub use crate::stats::FieldStats;
pub use crate::view::MetadataView;
