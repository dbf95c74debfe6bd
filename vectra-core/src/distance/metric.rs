//! The four metrics an index can be built with.

use std::fmt;
use std::str::FromStr;

use super::dispatch::Op;

/// How the distance of two vectors is measured. A distance is an `f32`; smaller always means nearer.
///
/// | metric | distance of `q` and `x` | range |
/// |---|---|---|
/// | `Cosine` | `1 - (q . x) / (|q| |x|)` | 0 ..= 2 |
/// | `Dot` | `-(q . x)` | any |
/// | `L2` | `sum (q_i - x_i)^2`, the *squared* Euclidean distance | >= 0 |
/// | `L1` | `sum |q_i - x_i|` | >= 0 |
///
/// Squaring keeps the order of L2 and saves the root; take it when a caller wants a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// One minus the cosine of the angle; a zero vector has no direction and is refused at ingest.
    Cosine,
    /// The negated inner product: not a metric in the mathematical sense, the largest product is nearest.
    Dot,
    /// The squared Euclidean distance.
    L2,
    /// The sum of absolute differences (Manhattan distance).
    L1,
}

impl Metric {
    /// Every metric, in the order of its code.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::L2, Self::L1];

    /// The number that stands for this metric in files; never zero and never reused.
    pub const fn code(self) -> u8 {
        match self {
            Self::Cosine => 1,
            Self::Dot => 2,
            Self::L2 => 3,
            Self::L1 => 4,
        }
    }

    /// The metric of a file's code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Cosine),
            2 => Some(Self::Dot),
            3 => Some(Self::L2),
            4 => Some(Self::L1),
            _ => None,
        }
    }

    /// The name used in settings and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
            Self::L1 => "l1",
        }
    }

    /// The sum over dimensions that a kernel has to compute for this metric.
    pub const fn op(self) -> Op {
        match self {
            Self::Cosine | Self::Dot => Op::Dot,
            Self::L2 => Op::L2,
            Self::L1 => Op::L1,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// Reads the lower-case name that [`Metric::name`] gives.
    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name() == name)
            .ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

/// A name that is none of the metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric {0:?}: use cosine, dot, l2 or l1")]
pub struct UnknownMetric(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_the_metric() {
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().parse(), Ok(metric));
            assert_eq!(Metric::from_code(metric.code()), Some(metric));
        }
    }

    #[test]
    fn codes_are_fixed_by_the_file_format() {
        assert_eq!(Metric::ALL.map(Metric::code), [1, 2, 3, 4]);
        let known = (0..=u8::MAX).filter_map(Metric::from_code).collect::<Vec<_>>();
        assert_eq!(known, Metric::ALL);
    }

    #[test]
    fn unknown_names_are_refused_with_the_choice() {
        for name in ["", "Cosine", "euclid", "l2 "] {
            let error = name.parse::<Metric>().expect_err("no metric has this name");
            assert_eq!(error, UnknownMetric(name.to_owned()));
            assert!(error.to_string().contains("cosine, dot, l2 or l1"));
        }
    }

    #[test]
    fn display_honours_the_width_of_tables() {
        assert_eq!(format!("[{:>7}]", Metric::L2), "[     l2]");
    }
}
