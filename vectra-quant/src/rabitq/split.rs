//! Codes cut in two: the high bits to filter by, the low ones to be read for what is left.

use super::codec::{BITS_MAX, RaBitQ};
use super::formula::{Estimate, Side};
use super::kernel::{Kernels, kernels};
use super::levels;
use super::query::RaBitQQuery;
use super::row;
use crate::codec::Codec;
use crate::rotated::Rotated;
use crate::sq::sane;

/// Vectors to two rows each: a filter, and a supplement that makes its code longer.
///
/// The filter row is one of [`RaBitQ`] with the high bits of the code and factors of its own, to be scanned or walked as any. The
/// supplement row has the low bits, in planes like those of a code of as many bits, and the factors of the whole code; it may lie
/// elsewhere and be read only for rows that the filter leaves open. Both together estimate as well as a code of all bits.
///
/// ```
/// use vectra_core::Metric;
/// use vectra_quant::pruned::Candidates;
/// use vectra_quant::rabitq::{Estimate, Split};
/// use vectra_quant::Rotated;
///
/// let vectors: Vec<f32> = (0..500 * 32).map(|i| (i as f32 * 0.37).sin()).collect();
/// let split = Split::new(Rotated::fit(&vectors, 32, Metric::L2, 1), 2, 3);
/// let (filter_bytes, supplement_bytes) = (split.filter_bytes(), split.supplement_bytes());
/// let (mut filters, mut supplements) = (vec![0; 500 * filter_bytes], vec![0; 500 * supplement_bytes]);
/// let rows = filters.chunks_exact_mut(filter_bytes).zip(supplements.chunks_exact_mut(supplement_bytes));
/// vectors.chunks_exact(32).zip(rows).for_each(|(vector, (filter, rest))| split.encode(vector, filter, rest));
///
/// let query = split.bind(&vectors[..32]);
/// let mut estimates = [Estimate::default(); 500];
/// query.filter().estimate_all(&filters, &mut estimates);
/// let mut candidates = Candidates::new(1);
/// (0..).zip(&estimates).for_each(|(slot, estimate)| candidates.push(slot, *estimate));
/// let row = |rows: &'_ [u8], bytes, slot| rows[slot as usize * bytes..][..bytes].to_vec();
/// let candidates = candidates.refine(|slot| {
///     query.refine(&row(&filters, filter_bytes, slot), &row(&supplements, supplement_bytes, slot))
/// });
/// assert_eq!(candidates.into_nearest()[0].slot, 0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    rotated: Rotated,
    filter: RaBitQ,
    whole: RaBitQ,
}

impl Split {
    /// Codes of rotated vectors, `filter` bits of them in one row and `supplement` bits in the other.
    ///
    /// # Panics
    /// If one of both has no bits, or both together more than [`BITS_MAX`].
    pub fn new(rotated: Rotated, filter: u32, supplement: u32) -> Self {
        assert!(filter > 0 && supplement > 0, "both rows have bits of the code");
        assert!(filter <= BITS_MAX && supplement <= BITS_MAX - filter, "a code has 1 to 8 bits");
        let codec = |bits| RaBitQ::new(rotated.padded(), bits, rotated.metric());
        let (filter, whole) = (codec(filter), codec(filter + supplement));
        Self { rotated, filter, whole }
    }

    /// The codec of filter rows.
    pub fn filter_codec(&self) -> &RaBitQ {
        &self.filter
    }

    /// What vectors go through before they are encoded.
    pub fn rotated(&self) -> &Rotated {
        &self.rotated
    }

    /// Bits of a code in the supplement.
    pub fn supplement_bits(&self) -> u32 {
        self.whole.bits() - self.filter.bits()
    }

    /// Bytes of a filter row, a multiple of 64.
    pub fn filter_bytes(&self) -> usize {
        self.filter.row_bytes()
    }

    /// Bytes of a supplement row, a multiple of 64.
    pub fn supplement_bytes(&self) -> usize {
        row::row_bytes(self.whole.dim(), self.supplement_bits())
    }

    /// Writes the high bits of the code of `vector` to `filter` and the low ones to `supplement`. Total as [`Codec::encode`] is.
    ///
    /// # Panics
    /// If `vector` does not have the dimension of the rotation, or a row is not as long as it must be.
    pub fn encode(&self, vector: &[f32], filter: &mut [u8], supplement: &mut [u8]) {
        assert_eq!(filter.len(), self.filter_bytes(), "a filter row has filter_bytes bytes");
        assert_eq!(supplement.len(), self.supplement_bytes(), "a supplement row has supplement_bytes bytes");
        let part = self.rotated.rotate(vector);
        let components = sane(&part.components);
        let (codes, whole) = self.whole.levels(&components, part.rest);
        let low = self.supplement_bits();
        let high: Vec<u8> = codes.iter().map(|code| code >> low).collect();
        let of = levels::judge(&components, self.filter.bits(), &high);
        filter.fill(0);
        row::pack(&high, self.filter.bits(), filter);
        self.filter.factors(of, part.rest).write(filter);
        let codes: Vec<u8> = codes.iter().map(|code| code & ((1 << low) - 1)).collect();
        supplement.fill(0);
        row::pack(&codes, low, supplement);
        whole.write(supplement);
    }

    /// Encodes `query`, to be compared with filter rows and, together, with both.
    ///
    /// # Panics
    /// If `query` does not have the dimension of the rotation.
    pub fn bind(&self, query: &[f32]) -> SplitQuery {
        let part = self.rotated.rotate(query);
        let components = sane(&part.components);
        let mut codes = vec![0; components.len()];
        let of = kernels().bind(&components, &mut codes);
        let bits = [self.filter.bits(), self.supplement_bits()];
        let whole = Side::of_parts(self.whole.metric(), &bits, &codes, &of, part.rest);
        let filter = RaBitQQuery::of_codes(self.filter, &codes, &of, part.rest);
        let lengths = (self.filter_bytes(), self.supplement_bytes());
        SplitQuery { filter, whole, lengths, kernels: kernels() }
    }
}

/// A query, encoded once, for the rows of a [`Split`].
#[derive(Debug, Clone)]
pub struct SplitQuery {
    filter: RaBitQQuery,
    /// For a filter row and a supplement row behind it.
    whole: Side,
    lengths: (usize, usize),
    kernels: &'static Kernels,
}

impl SplitQuery {
    /// The query for filter rows.
    pub fn filter(&self) -> &RaBitQQuery {
        &self.filter
    }

    /// The same with estimates that allow for `eps` standard deviations, see [`RaBitQQuery::with_eps`].
    ///
    /// # Panics
    /// If `eps` is negative or not a number.
    #[must_use]
    pub fn with_eps(mut self, eps: f32) -> Self {
        self.filter = self.filter.with_eps(eps);
        self
    }

    /// The estimate that the whole code gives, of the two rows of a vector.
    ///
    /// # Panics
    /// If a row is not as long as it must be.
    pub fn refine(&self, filter: &[u8], supplement: &[u8]) -> Estimate {
        assert_eq!((filter.len(), supplement.len()), self.lengths, "two rows of the split");
        // A row of all planes: what lies in the midst of it, the factors of the filter, meets zeros of the query.
        let row = [filter, supplement].concat();
        let mut distance = [0.0];
        self.kernels.scan(&self.whole, &row, row.len(), &mut distance);
        let error = self.filter.eps() * self.whole.deviation * row::Factors::read(supplement).error;
        Estimate { distance: distance[0], error }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests {
    use vectra_core::Metric;
    use vectra_core::distance::reference;
    use vectra_core::testing::oracle::{Oracle, clustered, uniform};

    use super::*;
    use crate::codec::CodeQuery;
    use crate::coder::Coder;
    use crate::pruned::Candidates;

    const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

    /// Filter rows and supplement rows of some vectors.
    fn encode_all(split: &Split, vectors: &[f32]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let rows = vectors.chunks_exact(split.rotated().dim()).map(|vector| {
            let (mut filter, mut rest) = (vec![9; split.filter_bytes()], vec![9; split.supplement_bytes()]);
            split.encode(vector, &mut filter, &mut rest);
            (filter, rest)
        });
        rows.unzip()
    }

    #[test]
    fn both_rows_together_say_what_a_code_of_all_bits_says() {
        let (dim, vectors) = (100, clustered(30, 100, 3, 0.4, 1));
        for metric in METRICS {
            for (filter, supplement) in [(1, 1), (1, 7), (2, 3), (3, 5), (4, 1), (4, 4), (5, 2), (7, 1)] {
                let rotated = Rotated::fit(&vectors, dim, metric, 5);
                let split = Split::new(rotated.clone(), filter, supplement);
                let whole = Coder::rotated(rotated, RaBitQ::new(128, filter + supplement, metric));
                let (filters, supplements) = encode_all(&split, &vectors);
                let query = uniform(1, dim, 2);
                let (bound, expected) = (split.bind(&query).with_eps(2.5), whole.bind(&query).with_eps(2.5));
                let mut row = vec![0; whole.codec().row_bytes()];
                for ((vector, filter), supplement) in
                    vectors.chunks_exact(dim).zip(&filters).zip(&supplements)
                {
                    whole.encode(vector, &mut row);
                    assert_eq!(bound.refine(filter, supplement), expected.estimate(&row), "{metric}");
                    assert_eq!(bound.filter().score_row(filter), bound.filter().estimate(filter).distance);
                }
            }
        }
    }

    #[test]
    fn filters_alone_keep_their_ranges() {
        let (dim, vectors, queries) = (192, clustered(400, 192, 8, 0.4, 3), clustered(40, 192, 8, 0.4, 4));
        for metric in METRICS {
            for (filter, supplement) in [(1, 3), (3, 5), (4, 4)] {
                let split = Split::new(Rotated::fit(&vectors, dim, metric, 6), filter, supplement);
                let (filters, supplements) = encode_all(&split, &vectors);
                let (mut beyond, mut beyond_whole) = (0, 0);
                for query in queries.chunks_exact(dim) {
                    let bound = split.bind(query);
                    for (slot, vector) in vectors.chunks_exact(dim).enumerate() {
                        let exact = reference::distance(metric, query, vector);
                        let misses =
                            |of: Estimate| (f64::from(of.distance) - exact).abs() > f64::from(of.error);
                        let coarse = bound.filter().estimate(&filters[slot]);
                        let fine = bound.refine(&filters[slot], &supplements[slot]);
                        assert!(fine.error < 0.4 * coarse.error, "{metric} {filter}+{supplement}");
                        beyond += u32::from(misses(coarse));
                        beyond_whole += u32::from(misses(fine));
                    }
                }
                let [share, whole] = [beyond, beyond_whole].map(|count| f64::from(count) / 16_000.0);
                assert!(share < 0.075 && whole < 0.075, "{metric} {filter}+{supplement}: {share} {whole}");
                assert!(share > 0.02, "{metric} {filter}+{supplement}: {share}");
            }
        }
    }

    #[test]
    fn supplements_spare_reads() {
        let (dim, vectors) = (128, clustered(3000, 128, 20, 0.6, 7));
        let oracle = Oracle::new(&vectors, dim, Metric::L2);
        let split = Split::new(Rotated::fit(&vectors, dim, Metric::L2, 8), 1, 4);
        let (filters, supplements) = encode_all(&split, &vectors);
        let (mut coarse, mut fine, mut recall) = (0, 0, 0.0);
        for query in clustered(10, dim, 20, 0.6, 8).chunks_exact(dim) {
            let bound = split.bind(query).with_eps(3.0);
            let mut candidates = Candidates::new(10);
            let estimates = filters.iter().map(|row| bound.filter().estimate(row));
            estimates.zip(0..).for_each(|(estimate, slot)| candidates.push(slot, estimate));
            coarse += candidates.clone().rerank(|slot| oracle.distance(query, slot) as f32).reads;
            let refined = candidates
                .refine(|slot| bound.refine(&filters[slot as usize], &supplements[slot as usize]))
                .rerank(|slot| oracle.distance(query, slot) as f32);
            fine += refined.reads;
            let slots: Vec<u32> = refined.nearest.iter().map(|found| found.slot).collect();
            recall += oracle.recall(query, 10, &slots, |_| true) / 10.0;
        }
        assert!(recall > 0.99 && 3 * fine < coarse, "{recall}: {fine} for {coarse}");
    }

    #[test]
    fn odd_vectors_are_taken() {
        for metric in METRICS {
            let split = Split::new(Rotated::new(&[0.0; 3], metric, 1), 3, 5);
            for odd in [0.0, f32::NAN, f32::INFINITY, 1e-38, 1e30] {
                let (filters, supplements) = encode_all(&split, &[odd, 0.0, -odd]);
                let found = split.bind(&[odd; 3]).refine(&filters[0], &supplements[0]);
                assert!(found.distance.is_finite() && found.error.is_finite(), "{metric} {odd}: {found:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "1 to 8 bits")]
    fn more_than_eight_bits_are_refused() {
        Split::new(Rotated::new(&[0.0; 3], Metric::L2, 1), 4, 5);
    }

    #[test]
    #[should_panic(expected = "both rows have bits")]
    fn a_supplement_of_no_bits_is_refused() {
        Split::new(Rotated::new(&[0.0; 3], Metric::L2, 1), 4, 0);
    }
}
