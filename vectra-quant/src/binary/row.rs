//! Where the bits and the factors of a row lie.

use vectra_core::Metric;

/// Bytes of a line: a row is a whole number of them.
pub(super) const LINE: usize = 64;

/// Bytes of the factors at the end of a row; there are none under cosine.
pub(super) const FACTOR_BYTES: usize = 8;

/// Bytes of a row of `dim` components.
pub(super) const fn row_bytes(dim: usize, metric: Metric) -> usize {
    let factors = if matches!(metric, Metric::Cosine) { 0 } else { FACTOR_BYTES };
    (dim.div_ceil(8) + factors).next_multiple_of(LINE)
}

/// Writes the signs of `vector` to a row of zeros: bit `i % 8` of byte `i / 8` is set if component i is negative.
pub(super) fn pack(vector: &[f32], row: &mut [u8]) {
    for (byte, vector) in row.iter_mut().zip(vector.chunks(8)) {
        let bits = vector.iter().rev().map(|x| u8::from(*x < 0.0));
        *byte = bits.fold(0, |byte, bit| byte << 1 | bit);
    }
}

/// The bits of a query that meet one line of a row, and which of them there are. Aligned, so that no load of them takes two
/// lines.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Pair(pub(super) [[u8; LINE]; 2]);

/// The bits of `row`, those of `dim` components, for each line of the row.
pub(super) fn spread(row: &[u8], dim: usize) -> Vec<Pair> {
    let lines = row.as_chunks::<LINE>().0.iter().enumerate();
    let pair = |(at, line): (usize, &[u8; LINE])| {
        let here = |i: usize| dim.saturating_sub(8 * (LINE * at + i)).min(8);
        let mask: [u8; LINE] = std::array::from_fn(|i| ((1_u16 << here(i)) - 1) as u8);
        Pair([std::array::from_fn(|i| line[i] & mask[i]), mask])
    };
    lines.map(pair).collect()
}

/// Two `f32`, little-endian, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Factors {
    /// The length of the components.
    pub(super) length: f32,
    /// The squared length of the whole vector; zero under dot.
    pub(super) energy: f32,
}

impl Factors {
    /// What rows under cosine have instead.
    pub(super) const OF_COSINE: Self = Self { length: 1.0, energy: 1.0 };

    /// The factors at the end of `row`.
    pub(super) fn read(row: &[u8], metric: Metric) -> Self {
        if metric == Metric::Cosine {
            return Self::OF_COSINE;
        }
        let (_, [a, b, c, d, e, f, g, h]) =
            row.split_last_chunk::<FACTOR_BYTES>().expect("a row ends with its factors");
        Self { length: f32::from_le_bytes([*a, *b, *c, *d]), energy: f32::from_le_bytes([*e, *f, *g, *h]) }
    }

    /// Writes the factors to the end of `row`.
    pub(super) fn write(self, row: &mut [u8]) {
        let (_, bytes) = row.split_last_chunk_mut::<FACTOR_BYTES>().expect("a row ends with its factors");
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..].copy_from_slice(&self.energy.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole_lines() {
        let expected =
            [(1, 64, 64), (384, 64, 64), (448, 64, 64), (449, 64, 128), (512, 64, 128), (513, 128, 128)];
        for (dim, cosine, l2) in expected {
            assert_eq!((row_bytes(dim, Metric::Cosine), row_bytes(dim, Metric::L2)), (cosine, l2), "{dim}");
        }
        assert_eq!(row_bytes(65_536, Metric::Dot), 8256);
    }

    #[test]
    fn bits_are_signs_from_the_lowest_on() {
        let vector = [-1.0, 0.0, -0.0, 2.0, f32::MIN_POSITIVE, -1e-40, 3.0, 4.0, 5.0, -6.0];
        let mut row = [0; 64];
        pack(&vector, &mut row);
        assert_eq!(row[..3], [0b10_0001, 0b10, 0]);
    }

    #[test]
    fn a_query_has_bits_only_where_there_are_components() {
        for dim in [1, 7, 8, 9, 511, 512, 513, 700, 1024] {
            let row = vec![0xff; row_bytes(dim, Metric::L2)];
            let pairs = spread(&row, dim);
            assert_eq!(pairs.len(), row.len() / LINE);
            for half in 0..2 {
                let bits: u32 = pairs.iter().flat_map(|pair| pair.0[half]).map(u8::count_ones).sum();
                assert_eq!(bits as usize, dim);
            }
            let bytes: Vec<u8> = pairs.iter().flat_map(|pair| pair.0[1]).collect();
            assert_eq!(bytes.iter().rposition(|byte| *byte != 0), Some((dim - 1) / 8), "they are the first");
        }
    }

    #[test]
    fn factors_are_the_last_eight_bytes() {
        let factors = Factors { length: 3.0, energy: 9.5 };
        let mut row = [7; 12];
        factors.write(&mut row);
        assert_eq!((&row[..4], &row[4..8]), (&[7; 4][..], &3.0_f32.to_le_bytes()[..]));
        assert_eq!(Factors::read(&row, Metric::L2), factors);
        assert_eq!(Factors::read(&row, Metric::Cosine), Factors::OF_COSINE);
    }
}
