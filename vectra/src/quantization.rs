//! How the vectors of sealed segments are encoded for search.

use std::fmt;
use std::str::FromStr;

use vectra_core::Metric;
use vectra_core::codec::{DecodeError, Reader, Writer};

use crate::error::{Error, Result};

/// How vectors are encoded for search. The vectors themselves are kept in any case, and what is answered was compared with
/// them; codes decide how much memory a search reads and how many vectors it has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Quantization {
    /// What suits the vectors of each segment: eight bits a component, of fewer components where vectors differ in few
    /// directions, and four bits of those where that makes rows much shorter. Under a memory budget codes are as small as
    /// that asks for.
    #[default]
    Auto,
    /// Eight bits for each component.
    Sq8,
    /// Four bits for each component of the rotated vectors; not for [`Metric::L1`].
    Sq4,
    /// 1 to 8 bits for each component of the rotated vectors, with bounds of what they misjudge; not for [`Metric::L1`]. One bit
    /// takes a thirty-second of the memory of `f32` vectors, and more vectors are looked at for it.
    RaBitQ {
        /// Bits of a component.
        bits: u8,
    },
}

impl Quantization {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Auto,
        Self::Sq8,
        Self::Sq4,
        Self::RaBitQ { bits: 1 },
        Self::RaBitQ { bits: 2 },
        Self::RaBitQ { bits: 3 },
        Self::RaBitQ { bits: 4 },
        Self::RaBitQ { bits: 5 },
        Self::RaBitQ { bits: 6 },
        Self::RaBitQ { bits: 7 },
        Self::RaBitQ { bits: 8 },
    ];

    /// Whether vectors under `metric` can be encoded so.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`], saying what to use instead.
    pub(crate) fn validate(self, metric: Metric) -> Result<()> {
        if matches!(self, Self::RaBitQ { bits } if !(1..=8).contains(&bits)) {
            return Err(Error::invalid("quantization: rabitq codes have 1 to 8 bits"));
        }
        if metric == Metric::L1 && !matches!(self, Self::Auto | Self::Sq8) {
            let text = format!("quantization: {self} codes know no l1 distance; use auto or sq8");
            return Err(Error::invalid(text));
        }
        Ok(())
    }

    /// Its bytes in a file.
    pub(crate) fn encode(self, out: &mut Writer) {
        let bytes = match self {
            Self::Auto => [0; 4],
            Self::Sq8 => [1, 0, 0, 0],
            Self::Sq4 => [2, 0, 0, 0],
            Self::RaBitQ { bits } => [3, bits, 0, 0],
        };
        out.bytes(&bytes);
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(r: &mut Reader<'_>) -> std::result::Result<Self, DecodeError> {
        match r.array()? {
            [0, 0, 0, 0] => Ok(Self::Auto),
            [1, 0, 0, 0] => Ok(Self::Sq8),
            [2, 0, 0, 0] => Ok(Self::Sq4),
            [3, bits @ 1..=8, 0, 0] => Ok(Self::RaBitQ { bits }),
            _ => Err(r.error("quantization")),
        }
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Sq8 => f.write_str("sq8"),
            Self::Sq4 => f.write_str("sq4"),
            Self::RaBitQ { bits } => write!(f, "rabitq-{bits}"),
        }
    }
}

impl FromStr for Quantization {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|known| known.to_string() == name).ok_or_else(|| {
            let names = Self::ALL.map(|known| known.to_string());
            Error::invalid(format!("there is no quantization {name}; there are {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bytes_lead_back() {
        for quantization in Quantization::ALL {
            let name = quantization.to_string();
            assert_eq!(name.parse::<Quantization>().expect("a known name"), quantization);
            let mut out = Writer::new();
            quantization.encode(&mut out);
            let bytes = out.into_bytes();
            assert_eq!(Quantization::decode(&mut Reader::new(&bytes)).expect("own bytes"), quantization);
        }
        assert!("sq3".parse::<Quantization>().expect_err("none").to_string().contains("auto, sq8, sq4"));
        for bytes in [[9, 0, 0, 0], [1, 0, 0, 1], [3, 0, 0, 0], [3, 9, 0, 0]] {
            Quantization::decode(&mut Reader::new(&bytes)).expect_err("nobody writes this");
        }
    }

    #[test]
    fn l1_has_codes_of_eight_bits_only() {
        for quantization in [Quantization::Auto, Quantization::Sq8] {
            quantization.validate(Metric::L1).expect("known");
        }
        let error = Quantization::Sq4.validate(Metric::L1).expect_err("no products");
        assert!(error.to_string().contains("use auto or sq8"), "{error}");
        Quantization::Sq4.validate(Metric::L2).expect("known");
        for bits in [0, 9] {
            Quantization::RaBitQ { bits }.validate(Metric::L2).expect_err("no such codes");
        }
    }
}
