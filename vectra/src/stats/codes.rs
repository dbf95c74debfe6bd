//! How vectors are encoded for search, and the memory that takes.

use vectra_quant::{Codec, Quantizer, RaBitQ};

use super::ShardStats;
use crate::maintain::Wanted;
use crate::quantization::Quantization;
use crate::segment::index::SealedIndex;

/// How vectors are encoded for search, and the memory that takes: of all sealed segments in [`Stats`](super::Stats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuantizationStats {
    /// What was asked for; segments may still be on their way to it.
    pub asked: Quantization,
    /// How much memory codes and graphs may take under [`Quantization::Auto`], in bytes.
    pub memory_budget_bytes: Option<u64>,
    /// Bytes of the codes that are searched.
    pub codes_bytes: u64,
    /// Bytes of the graphs.
    pub graph_bytes: u64,
    /// Bytes that the vectors of the same rows take as `f32`.
    pub f32_bytes: u64,
    /// Whether codes and graphs take no more than the budget, if there is one. They may take more while segments are encoded
    /// anew, for segments too small for a graph, and where even one bit for each component is too much.
    pub fits: bool,
}

impl QuantizationStats {
    pub(super) fn of(wanted: Wanted, dim: u32, shards: &[ShardStats]) -> Self {
        let segments = || shards.iter().flat_map(|shard| &shard.segments);
        let codes_bytes = segments().map(|s| s.codes.map_or(0, |codes| codes.bytes(s.rows))).sum();
        let graph_bytes = segments().map(|s| s.graph_bytes).sum();
        let rows: u64 = segments().map(|s| u64::from(s.rows)).sum();
        let Wanted { quantization: asked, memory_budget_bytes } = wanted;
        Self {
            asked,
            memory_budget_bytes,
            codes_bytes,
            graph_bytes,
            f32_bytes: rows * u64::from(dim) * 4,
            fits: memory_budget_bytes.is_none_or(|bytes| codes_bytes + graph_bytes <= bytes),
        }
    }

    /// Bytes of codes and graphs together.
    pub fn bytes(&self) -> u64 {
        self.codes_bytes + self.graph_bytes
    }
}

/// The codes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Codes {
    /// The codec, as [`Quantization`] names it.
    pub codec: &'static str,
    /// What they were made for: what was asked for then, or what [`Quantization::Auto`] chose because of a memory budget.
    pub chosen: Quantization,
    /// Components that have a code: all of them, or the directions that a projection keeps, or those of the rotated vectors.
    pub components: usize,
    /// Whether only the directions in which vectors differ most have codes.
    pub projected: bool,
    /// Whether vectors are rotated before they are encoded.
    pub rotated: bool,
    /// Bytes of a vector's code.
    pub row_bytes: usize,
    /// Bytes that a vector's code would take with one bit more for each component, where codes have fewer than eight and any
    /// number of them is possible.
    pub finer_row_bytes: Option<usize>,
}

impl Codes {
    pub(super) fn of(index: &SealedIndex) -> Self {
        let codes = index.codes();
        let quantizer = codes.any().quantizer();
        Self {
            codec: codes.name(),
            chosen: index.quantization(),
            components: codes.components(),
            projected: codes.projection().is_some(),
            rotated: codes.any().rotation().is_some(),
            row_bytes: codes.row_bytes(),
            finer_row_bytes: finer(&quantizer),
        }
    }

    /// Bytes of the codes of so many rows.
    pub fn bytes(&self, rows: u32) -> u64 {
        u64::from(rows) * self.row_bytes as u64
    }
}

/// Bytes of a row of one bit more.
fn finer(quantizer: &Quantizer) -> Option<usize> {
    let Quantizer::RaBitQ(codec) = quantizer else { return None };
    (codec.bits() < 8).then(|| RaBitQ::new(codec.dim(), codec.bits() + 1, codec.metric()).row_bytes())
}

#[cfg(test)]
mod tests {
    use vectra_core::Metric;
    use vectra_quant::Sq8;

    use super::*;

    #[test]
    fn one_bit_more_is_known_of_codes_that_can_have_it() {
        let of = |bits| finer(&Quantizer::RaBitQ(RaBitQ::new(384, bits, Metric::Cosine)));
        for bits in 1..8 {
            assert_eq!(of(bits), Some(RaBitQ::new(384, bits + 1, Metric::Cosine).row_bytes()));
        }
        assert_eq!(of(8), None);
        assert_eq!(finer(&Quantizer::Sq8(Sq8::new(384, Metric::Cosine))), None);
    }

    #[test]
    fn nothing_fits_any_budget() {
        for memory_budget_bytes in [None, Some(0), Some(9)] {
            let stats = QuantizationStats::of(
                Wanted { quantization: Quantization::Sq4, memory_budget_bytes },
                3,
                &[],
            );
            assert!(stats.fits && stats.bytes() == 0 && stats.f32_bytes == 0, "{stats:?}");
            assert_eq!((stats.asked, stats.memory_budget_bytes), (Quantization::Sq4, memory_budget_bytes));
        }
    }
}
