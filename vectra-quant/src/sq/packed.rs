//! A few rows that every query meets: packed so that one query meets all of them without adding up across registers.

use super::Sq8Rows;
use super::formula::ColumnFactors;
use super::kernel::Columns;
use super::row::Factors;
use crate::codec::Codec;

/// Rows packed column by column, and their factors kind by kind; for [`Sq8Query::meet`](super::Sq8Query::meet).
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(super) columns: Columns,
    pub(super) factors: ColumnFactors,
}

impl Packed {
    /// Packs all of `rows`, which are not of L1.
    pub(crate) fn new(rows: Sq8Rows<'_>) -> Self {
        let codec = rows.codec();
        let each = || rows.bytes().chunks_exact(codec.row_bytes());
        let mut columns = Columns::default();
        columns.fill(codec.dim(), each());
        let mut factors = ColumnFactors::new(codec.metric(), codec.dim());
        factors.fill(each().map(Factors::read));
        Self { columns, factors }
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }
}
