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
    /// Four bits for each component; not for [`Metric::L1`].
    Sq4,
}

impl Quantization {
    const NAMED: [(&'static str, Self); 3] = [("auto", Self::Auto), ("sq8", Self::Sq8), ("sq4", Self::Sq4)];

    /// Whether vectors under `metric` can be encoded so.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`], saying what to use instead.
    pub(crate) fn validate(self, metric: Metric) -> Result<()> {
        if metric == Metric::L1 && !matches!(self, Self::Auto | Self::Sq8) {
            let text = format!("quantization: {self} codes know no l1 distance; use auto or sq8");
            return Err(Error::invalid(text));
        }
        Ok(())
    }

    /// Its bytes in a file.
    pub(crate) fn encode(self, out: &mut Writer) {
        let kind = match self {
            Self::Auto => 0,
            Self::Sq8 => 1,
            Self::Sq4 => 2,
        };
        out.u8(kind).bytes(&[0; 3]);
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub(crate) fn decode(r: &mut Reader<'_>) -> std::result::Result<Self, DecodeError> {
        let kind = match r.u8()? {
            0 => Self::Auto,
            1 => Self::Sq8,
            2 => Self::Sq4,
            _ => return Err(r.error("quantization")),
        };
        if r.bytes(3)? != [0; 3] {
            return Err(r.error("settings of the quantization"));
        }
        Ok(kind)
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMED.iter().find(|(_, quantization)| quantization == self);
        f.write_str(named.map_or("?", |(name, _)| name))
    }
}

impl FromStr for Quantization {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = Self::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, quantization)| *quantization).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMED.iter().map(|(known, _)| *known).collect();
            Error::invalid(format!("there is no quantization {name}; there are {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bytes_lead_back() {
        for (name, quantization) in Quantization::NAMED {
            assert_eq!(name.parse::<Quantization>().expect("a known name"), quantization);
            assert_eq!(quantization.to_string(), name);
            let mut out = Writer::new();
            quantization.encode(&mut out);
            let bytes = out.into_bytes();
            assert_eq!(Quantization::decode(&mut Reader::new(&bytes)).expect("own bytes"), quantization);
        }
        assert!("sq3".parse::<Quantization>().expect_err("none").to_string().contains("auto, sq8, sq4"));
        for bytes in [[9, 0, 0, 0], [1, 0, 0, 1]] {
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
    }
}
