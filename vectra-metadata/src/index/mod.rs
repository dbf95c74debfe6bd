//! Indexes of declared fields. An index never guesses: it answers what it covers and names the rows that it does not.

mod array;
mod boolean;
mod coverage;
mod field;
mod inverted;
mod number;
mod posting;
mod range;
mod summary;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use field::{FieldIndex, insert_all, read_indexes};
pub(crate) use write::{FieldBuilder, write_indexes};
