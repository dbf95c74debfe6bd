//! Blocks of rows taken apart into columns, so that like stands beside like and compresses well.
//!
//! A column holds the cells of one place in the rows: first what kind each cell is, then one stream per kind. The members
//! of objects and the elements of arrays are columns inside. Strings that occur often in a segment are numbers of its
//! shared strings; all others are written as the difference to the string before.

mod assemble;
mod shared;
mod shred;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use assemble::assemble;
pub(crate) use shared::{SharedCounter, SharedStrings};
pub(crate) use shred::shred;

/// Kinds of cells.
const MISSING: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const INT: u8 = 4;
const NEGATIVE: u8 = 5;
const FLOAT: u8 = 6;
const TEXT: u8 = 7;
const SHARED: u8 = 8;
const ARRAY: u8 = 9;
const OBJECT: u8 = 10;
/// Stands before a list of kinds; any other first byte is the kind of all cells.
const MIXED: u8 = 255;

/// Which streams a column has, as bits of one byte.
const HAS_INTS: u8 = 1;
const HAS_FLOATS: u8 = 2;
const HAS_SHARED: u8 = 4;
const HAS_TEXTS: u8 = 8;
const HAS_ARRAYS: u8 = 16;
const HAS_OBJECTS: u8 = 32;
const HAS_ALL: u8 = 63;

/// How many cells a block may have per byte of its rows as encoded values. Objects with many different keys would need
/// more; such a block is kept as rows.
const CELLS_PER_BYTE: usize = 4;
