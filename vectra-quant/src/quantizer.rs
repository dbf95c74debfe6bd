//! The codecs there are, as one closed set: a section says which one wrote it.

use vectra_core::Metric;

use crate::binary::Binary;
use crate::codec::Codec;
use crate::pq::PqShape;
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
    /// A code for each piece of a vector, from a model that was trained and lies elsewhere.
    Pq(PqShape),
    /// The sign of each dimension.
    Binary(Binary),
}

impl Quantizer {
    /// The number that stands for this codec in files; never zero and never reused.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Sq8(_) => 1,
            Self::Sq4(_) => 2,
            Self::RaBitQ(_) => 3,
            Self::Pq(_) => 4,
            Self::Binary(_) => 5,
        }
    }

    /// What else a file says of this codec: first the bits of [`RaBitQ`] or [`Pq`](crate::Pq); of the latter, too, at 2..4 the
    /// number of pieces and at 4..8 the checksum of the model; zeros.
    pub fn settings(&self) -> [u8; SETTINGS_BYTES] {
        let mut settings = [0; SETTINGS_BYTES];
        match self {
            Self::Sq8(_) | Self::Sq4(_) | Self::Binary(_) => {}
            Self::RaBitQ(rabitq) => settings[0] = rabitq.bits() as u8,
            Self::Pq(shape) => {
                settings[0] = shape.bits();
                settings[2..4].copy_from_slice(&(shape.subspaces() as u16).to_le_bytes());
                settings[4..].copy_from_slice(&shape.model().to_le_bytes());
            }
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
            4 => {
                let [bits, _, low, high, model @ ..] = settings;
                let pieces = u16::from_le_bytes([low, high]).into();
                Self::Pq(PqShape::new(dim, metric, pieces, bits, u32::from_le_bytes(model))?)
            }
            5 => Self::Binary(Binary::new(dim, metric)),
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
            Self::Pq(shape) => shape.dim(),
            Self::Binary(binary) => binary.dim(),
        }
    }

    /// How distances of the codes are measured.
    pub fn metric(&self) -> Metric {
        match self {
            Self::Sq8(sq8) => sq8.metric(),
            Self::Sq4(sq4) => sq4.metric(),
            Self::RaBitQ(rabitq) => rabitq.metric(),
            Self::Pq(shape) => shape.metric(),
            Self::Binary(binary) => binary.metric(),
        }
    }

    /// Bytes from one row to the next, a multiple of 64.
    pub fn row_bytes(&self) -> usize {
        match self {
            Self::Sq8(sq8) => sq8.row_bytes(),
            Self::Sq4(sq4) => sq4.row_bytes(),
            Self::RaBitQ(rabitq) => rabitq.row_bytes(),
            Self::Pq(shape) => shape.row_bytes(),
            Self::Binary(binary) => binary.row_bytes(),
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
        let binary = Quantizer::Binary(Binary::new(100, Metric::Cosine));
        assert_eq!((again(binary, Metric::Cosine), binary.code()), (Some(binary), 5));
        for (metric, count) in [(Metric::L1, 1), (Metric::L2, 3 + 8)] {
            let every = (0..=u8::MAX).flat_map(|code| (0..=u8::MAX).map(move |bits| (code, bits)));
            let settings = |bits| [bits, 0, 0, 0, 0, 0, 0, 0];
            let known =
                every.filter_map(|(code, bits)| Quantizer::from_code(code, 1, metric, settings(bits)));
            assert_eq!(known.count(), count);
        }
        assert_eq!((quantizer.dim(), quantizer.metric(), quantizer.row_bytes()), (100, Metric::Dot, 128));
    }

    #[test]
    fn the_settings_of_a_trained_codec_lead_back_to_it() {
        let shape = PqShape::new(300, Metric::Cosine, 257, 4, 0x1234_5678).expect("a shape");
        let quantizer = Quantizer::Pq(shape);
        let settings = quantizer.settings();
        assert_eq!(settings, [4, 0, 1, 1, 0x78, 0x56, 0x34, 0x12]);
        assert_eq!(Quantizer::from_code(4, 300, Metric::Cosine, settings), Some(quantizer));
        assert_eq!(Quantizer::from_code(4, 300, Metric::L1, settings), None);
        assert_eq!(
            Quantizer::from_code(4, 256, Metric::Cosine, settings),
            None,
            "fewer components than pieces"
        );
        assert_eq!(
            Quantizer::from_code(4, 300, Metric::Cosine, [4, 1, 1, 1, 0, 0, 0, 0]),
            None,
            "bytes of no meaning"
        );
        assert_eq!((quantizer.dim(), quantizer.metric(), quantizer.row_bytes()), (300, Metric::Cosine, 192));
    }
}
