//! The conservation ledger: a count and a sum over rows that must come out the same wherever rows are copied.
//!
//! A row adds two terms to the sum, one for its id and stored vector and one for its id and metadata, so that new metadata
//! changes the second only. Addition wraps: the order of the rows does not matter, and a row can be taken away again.

use std::ops::{Add, Sub};

use vectra_core::Value;
use vectra_core::codec::{Writer, encode_value};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use crate::error::{Error, Result};

/// Tell the two terms of a row apart.
const VECTOR_SEED: u64 = 0x7665_6374_6f72_0001;
const METADATA_SEED: u64 = 0x6d65_7461_6461_7461;

/// How many rows, and the sum over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    pub(crate) rows: u64,
    pub(crate) sum: u128,
}

impl Ledger {
    /// The ledger of one row that adds `sum`.
    pub(crate) fn of_row(sum: u128) -> Self {
        Self { rows: 1, sum }
    }

    /// Refuses a copy that is not what it was made from. `what` names both.
    pub(crate) fn expect(self, found: Self, what: impl FnOnce() -> String) -> Result<()> {
        if self == found {
            return Ok(());
        }
        let text = format!(
            "{}: {} rows with the sum {:032x} were expected, {} with {:032x} were found; nothing was changed, run \
             `vectra verify --deep`",
            what(),
            self.rows,
            self.sum,
            found.rows,
            found.sum
        );
        Err(Error::corrupt(text))
    }
}

impl Add for Ledger {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_add(other.rows), sum: self.sum.wrapping_add(other.sum) }
    }
}

impl Sub for Ledger {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_sub(other.rows), sum: self.sum.wrapping_sub(other.sum) }
    }
}

/// The term of an encoded id and its stored vector.
pub(crate) fn vector_term(id: &[u8], vector: &[u8]) -> u128 {
    xxh3_128_with_seed(vector, xxh3_64_with_seed(id, VECTOR_SEED))
}

/// The terms of metadata; keeps the memory in which values are encoded.
#[derive(Debug, Default)]
pub(crate) struct MetadataTerms(Vec<u8>);

impl MetadataTerms {
    /// The term of an encoded id and its metadata.
    pub(crate) fn term(&mut self, id: &[u8], metadata: &Value) -> u128 {
        self.0.clear();
        let mut out = Writer::append_to(std::mem::take(&mut self.0));
        encode_value(metadata, &mut out);
        self.0 = out.into_bytes();
        xxh3_128_with_seed(&self.0, xxh3_64_with_seed(id, METADATA_SEED))
    }

    /// Both terms of a row.
    pub(crate) fn row(&mut self, id: &[u8], vector: &[u8], metadata: &Value) -> u128 {
        vector_term(id, vector).wrapping_add(self.term(id, metadata))
    }
}

#[cfg(test)]
mod tests;
