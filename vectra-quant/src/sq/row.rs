//! The sixteen bytes behind the codes of a row: what turns integers back into distances.

/// Bytes of the factors at the end of a row.
pub(super) const FACTOR_BYTES: usize = 16;

/// The code that stands for [`Factors::mid`]; subtracted, it makes codes signed.
pub(super) const BIAS: i32 = 128;

/// Four `f32`, little-endian, in this order. With `b = code - 128`, component i is `mid + step * b_i`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Factors {
    /// What the code 128 stands for.
    pub(super) mid: f32,
    /// The width of a level; zero if all components are equal.
    pub(super) step: f32,
    /// `step * sum b_i`
    pub(super) sum: f32,
    /// `step^2 * sum b_i^2`
    pub(super) energy: f32,
}

/// What turns the codes of a row into distances, where it is kept apart from them: the fields of a row's last 16 bytes.
pub type RowFactors = [f32; 4];

impl Factors {
    /// Factors that were kept apart.
    #[inline]
    pub(super) fn of([mid, step, sum, energy]: RowFactors) -> Self {
        Self { mid, step, sum, energy }
    }

    /// To be kept apart.
    pub(super) fn apart(&self) -> RowFactors {
        [self.mid, self.step, self.sum, self.energy]
    }

    /// The factors at the end of `row`.
    #[inline]
    pub(super) fn read(row: &[u8]) -> Self {
        let (_, bytes) = row.split_last_chunk::<FACTOR_BYTES>().expect("a row ends with its factors");
        let float = |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Self { mid: float(0), step: float(4), sum: float(8), energy: float(12) }
    }

    /// Writes the factors to the end of `row`.
    pub(super) fn write(&self, row: &mut [u8]) {
        let (_, bytes) = row.split_last_chunk_mut::<FACTOR_BYTES>().expect("a row ends with its factors");
        for (bytes, float) in bytes.chunks_exact_mut(4).zip(self.apart()) {
            bytes.copy_from_slice(&float.to_le_bytes());
        }
    }

    /// The component that `code` stands for.
    #[inline]
    pub(super) fn decode(&self, code: u8) -> f32 {
        self.mid + self.step * (i32::from(code) - BIAS) as f32
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "values that are exact in f32")]
mod tests {
    use super::*;

    #[test]
    fn factors_are_the_last_sixteen_bytes() {
        let factors = Factors { mid: 1.0, step: 0.5, sum: -3.0, energy: 7.0 };
        let mut row = [9; 20];
        factors.write(&mut row);
        assert_eq!(row[..4], [9; 4]);
        assert_eq!(row[4..8], 1.0_f32.to_le_bytes());
        assert_eq!(row[16..], 7.0_f32.to_le_bytes());
        assert_eq!(Factors::read(&row), factors);
    }

    #[test]
    fn codes_are_levels_around_the_middle() {
        let factors = Factors { mid: 1.0, step: 0.5, ..Factors::default() };
        assert_eq!([0, 128, 255].map(|code| factors.decode(code)), [-63.0, 1.0, 64.5]);
    }
}
