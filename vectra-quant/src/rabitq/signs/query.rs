//! A query as tables of the sums of four signs.

use super::super::codec::RaBitQ;
use super::super::formula::{Estimate, SignSide};
use super::super::kernel::{FACTORS_OF_BLOCK, Kernels, kernels};
use super::super::query::RaBitQQuery;
use super::super::row::Factors;
use super::{SIGNS, layout};
use crate::codec::CodeQuery;
use crate::fastscan::{BLOCK_ROWS, Tables};

/// A query as [`SignBlocks`](super::SignBlocks) needs it, made by [`RaBitQQuery::signs`].
///
/// Column j of its tables has for each code the sum of those of the query's signed codes `b` of the components `4 j` to `4 j + 3` whose
/// bits are set. A row's sum of entries, as a number, is `sum b_i u_i` of the formula at [`RaBitQQuery`] but for what bytes round;
/// that counts in ranges as what the query's codes are wrong by.
#[derive(Debug, Clone)]
pub struct SignQuery {
    codec: RaBitQ,
    tables: Tables,
    side: SignSide,
    kernels: &'static Kernels,
}

impl SignQuery {
    /// # Panics
    /// If the query is not one of codes of one bit.
    pub(in super::super) fn new(query: &RaBitQQuery) -> Self {
        let codec = *query.codec();
        assert_eq!(codec.bits(), 1, "blocks of signs are made of codes of one bit");
        let codes = query.codes();
        let values: Vec<f32> = codes.chunks(SIGNS).flat_map(column).collect();
        let tables = Tables::new(layout(&codec), &values);
        let side = query.sign_side(tables.bias(), tables.scale(), tables.layout().columns());
        Self { codec, tables, side, kernels: kernels() }
    }

    /// What made the query's codes.
    pub fn codec(&self) -> &RaBitQ {
        &self.codec
    }

    /// The tables of its columns.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The same with ranges of no width.
    pub(super) fn certain(&self) -> Self {
        let mut certain = self.clone();
        certain.side.reach = 0.0;
        certain
    }

    /// The estimate of a row of these factors.
    pub(super) fn estimate(&self, sum: u16, factors: Factors) -> Estimate {
        self.side.estimate(sum, factors)
    }

    /// Which rows of a block have low ends that are not beyond `bound`, one bit each.
    pub(super) fn within(
        &self,
        sums: &[u16; BLOCK_ROWS],
        factors: &[u8; FACTORS_OF_BLOCK],
        bound: f32,
    ) -> u64 {
        self.kernels.within(&self.side, sums, factors, bound)
    }
}

/// The sums of the sixteen sets of up to four codes; bits that stand for none count nothing.
fn column(codes: &[i8]) -> [f32; 16] {
    let mut sums = [0.0; 16];
    for at in 0..SIGNS {
        let code = codes.get(at).map_or(0.0, |code| f32::from(*code));
        let (without, with) = sums.split_at_mut(1 << at);
        without.iter().zip(with).for_each(|(without, with)| *with = without + code);
    }
    sums
}
