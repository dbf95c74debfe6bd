//! What can go wrong with sections of metadata.

use vectra_core::codec::DecodeError;

use crate::row::RowError;

/// Bytes are not the sections that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes of a section cannot be read.
    #[error("metadata section `{section}`: {source}")]
    Damaged {
        /// `rows`, `dictionary` or `indexes`.
        section: &'static str,
        /// Where in the section and what should have stood there.
        source: DecodeError,
    },
    /// A block of rows cannot be read.
    #[error("metadata section `rows`, block {block} at byte {offset}: {source}")]
    Block {
        /// Which block.
        block: usize,
        /// Where its stored bytes begin in the section.
        offset: usize,
        /// Where in the block's own bytes and what should have stood there.
        source: DecodeError,
    },
    /// The index of a field cannot be read.
    #[error("metadata section `indexes`, field `{path}`: {source}")]
    Index {
        /// The field.
        path: String,
        /// Where in the index and what should have stood there.
        source: DecodeError,
    },
    /// Two places that must agree do not.
    #[error("metadata section `{section}` states {found} {what}, expected {expected}")]
    Mismatch {
        /// `rows`, `dictionary` or `indexes`.
        section: &'static str,
        /// What is counted.
        what: &'static str,
        /// What it should be.
        expected: u64,
        /// What the section says.
        found: u64,
    },
    /// Written by a newer version, or with a feature that this build lacks.
    #[error("metadata section `{section}` has {what} {found}, which this build does not support")]
    Unsupported {
        /// `rows`, `dictionary` or `indexes`.
        section: &'static str,
        /// What is unknown.
        what: &'static str,
        /// Its number.
        found: u64,
    },
}

/// A question to a segment's metadata failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes needed for the answer are damaged.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// There is no such row.
    #[error("slot {slot} is not among the {row_count} rows of the segment")]
    NoSuchSlot {
        /// The slot asked for.
        slot: u32,
        /// How many there are.
        row_count: u32,
    },
}

/// Metadata could not be turned into sections.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A row that [`crate::check_row`] refuses.
    #[error("the metadata of slot {slot} cannot be stored")]
    Row {
        /// The slot.
        slot: u32,
        /// Why.
        source: RowError,
    },
    /// More rows than slots exist.
    #[error("a segment has at most {} rows", u32::MAX)]
    TooManyRows,
    /// A section or index would outgrow the offsets of its format.
    #[error("the {what} of the segment take more than {max} bytes: make smaller segments")]
    TooLarge {
        /// What has grown.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// The compressor failed.
    #[error("rows cannot be compressed")]
    Compress(#[source] std::io::Error),
}
