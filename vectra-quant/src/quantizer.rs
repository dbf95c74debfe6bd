//! The codecs there are, as one closed set: a section says which one wrote it.

use vectra_core::Metric;

use crate::codec::Codec;
use crate::rabitq::{BITS_MAX, RaBitQ};
use crate::sq::Sq8;
use crate::sq4::Sq4;

/// Bytes of what a file says of a codec beside its number, dimension and metric.
pub const SETTINGS_BYTES: usize = 8;

/// A codec with its settings. More of them will come, none from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantizer {
    /// One byte per dimension, ranges per vector.
    Sq8(Sq8),
    /// Four bits per dimension, around zero.
    Sq4(Sq4),
    /// One to eight bits per dimension, of rotated vectors.
    RaBitQ(RaBitQ),
}

impl Quantizer {
    /// The number that stands for this codec in files; never zero and never reused.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Sq8(_) => 1,
            Self::Sq4(_) => 2,
            Self::RaBitQ(_) => 3,
        }
    }

    /// What else a file says of this codec: the bits of [`RaBitQ`], first; zeros.
    pub const fn settings(&self) -> [u8; SETTINGS_BYTES] {
        let mut settings = [0; SETTINGS_BYTES];
        if let Self::RaBitQ(rabitq) = self {
            settings[0] = rabitq.bits() as u8;
        }
        settings
    }

    /// The codec of a file's code and settings, if there is one and it knows the metric.
    ///
    /// # Panics
    /// If `dim` is not in `1..=`[`DIM_MAX`](crate::sq::DIM_MAX).
    pub fn from_code(code: u8, dim: usize, metric: Metric, settings: [u8; SETTINGS_BYTES]) -> Option<Self> {
        let bits = u32::from(settings[0]);
        let quantizer = match code {
            1 => Self::Sq8(Sq8::new(dim, metric)),
            _ if metric == Metric::L1 => return None,
            2 => Self::Sq4(Sq4::new(dim, metric)),
            3 if (1..=BITS_MAX).contains(&bits) => Self::RaBitQ(RaBitQ::new(dim, bits, metric)),
            _ => return None,
        };
        (quantizer.settings() == settings).then_some(quantizer)
    }

    /// Components per vector.
    pub fn dim(&self) -> usize {
        match self {
            Self::Sq8(sq8) => sq8.dim(),
            Self::Sq4(sq4) => sq4.dim(),
            Self::RaBitQ(rabitq) => rabitq.dim(),
        }
    }

    /// How distances of the codes are measured.
    pub fn metric(&self) -> Metric {
        match self {
            Self::Sq8(sq8) => sq8.metric(),
            Self::Sq4(sq4) => sq4.metric(),
            Self::RaBitQ(rabitq) => rabitq.metric(),
        }
    }

    /// Bytes from one row to the next, a multiple of 64.
    pub fn row_bytes(&self) -> usize {
        match self {
            Self::Sq8(sq8) => sq8.row_bytes(),
            Self::Sq4(sq4) => sq4.row_bytes(),
            Self::RaBitQ(rabitq) => rabitq.row_bytes(),
        }
    }

    /// Writes the code of `vector` to `row`.
    ///
    /// # Panics
    /// If `vector` is not [`dim`](Self::dim) long or `row` not [`row_bytes`](Self::row_bytes).
    pub fn encode(&self, vector: &[f32], row: &mut [u8]) {
        match self {
            Self::Sq8(sq8) => sq8.encode(vector, row),
            Self::Sq4(sq4) => sq4.encode(vector, row),
            Self::RaBitQ(rabitq) => rabitq.encode(vector, row),
        }
    }

    /// Writes the vector that `row` stands for to `out`.
    ///
    /// # Panics
    /// As [`encode`](Self::encode).
    pub fn decode(&self, row: &[u8], out: &mut [f32]) {
        match self {
            Self::Sq8(sq8) => sq8.decode(row, out),
            Self::Sq4(sq4) => sq4.decode(row, out),
            Self::RaBitQ(rabitq) => rabitq.decode(row, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_the_codec() {
        let quantizer = Quantizer::Sq8(Sq8::new(100, Metric::Dot));
        let again = |quantizer: Quantizer, metric| {
            Quantizer::from_code(quantizer.code(), quantizer.dim(), metric, quantizer.settings())
        };
        assert_eq!(again(quantizer, Metric::Dot), Some(quantizer));
        let sq4 = Quantizer::Sq4(Sq4::new(100, Metric::Dot));
        assert_eq!(again(sq4, Metric::Dot), Some(sq4));
        assert_eq!((sq4.dim(), sq4.metric(), sq4.row_bytes()), (100, Metric::Dot, 64));
        let rabitq = Quantizer::RaBitQ(RaBitQ::new(100, 5, Metric::Dot));
        assert_eq!(again(rabitq, Metric::Dot), Some(rabitq));
        assert_eq!(again(rabitq, Metric::L1), None);
        for (metric, count) in [(Metric::L1, 1), (Metric::L2, 2 + 8)] {
            let every = (0..=u8::MAX).flat_map(|code| (0..=u8::MAX).map(move |bits| (code, bits)));
            let settings = |bits| [bits, 0, 0, 0, 0, 0, 0, 0];
            let known =
                every.filter_map(|(code, bits)| Quantizer::from_code(code, 1, metric, settings(bits)));
            assert_eq!(known.count(), count);
        }
        assert_eq!((quantizer.dim(), quantizer.metric(), quantizer.row_bytes()), (100, Metric::Dot, 128));
    }

    #[test]
    fn it_passes_on_to_the_codec() {
        let sq8 = Sq8::new(3, Metric::L2);
        let (mut row, mut expected) = (vec![1; 64], vec![2; 64]);
        Quantizer::Sq8(sq8).encode(&[1.0, 2.0, 4.0], &mut row);
        sq8.encode(&[1.0, 2.0, 4.0], &mut expected);
        assert_eq!(row, expected);
        let sq4 = Sq4::new(3, Metric::L2);
        Quantizer::Sq4(sq4).encode(&[1.0, 2.0, 4.0], &mut row);
        sq4.encode(&[1.0, 2.0, 4.0], &mut expected);
        assert_eq!(row, expected);
        let mut vector = [0.0; 3];
        Quantizer::Sq4(sq4).decode(&row, &mut vector);
        assert!(vector.iter().zip([1.0, 2.0, 4.0]).all(|(found, x)| (found - x).abs() < 0.3), "{vector:?}");
        Quantizer::Sq8(sq8).encode(&[1.0, 2.0, 4.0], &mut row);
        Quantizer::Sq8(sq8).decode(&row, &mut vector);
        assert!(vector.iter().zip([1.0, 2.0, 4.0]).all(|(found, x)| (found - x).abs() < 0.01), "{vector:?}");
    }
}
