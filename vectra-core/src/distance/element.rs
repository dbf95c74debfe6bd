//! What one component of a stored vector is.

use std::fmt;
use std::str::FromStr;

use half::f16;

use super::kernel::Row;
use crate::vector::normalize::MAX_MAGNITUDE;

/// A component of a stored vector: `f32` or `half::f16`. The trait is sealed; kernels exist for exactly these.
///
/// Queries are always `f32`; a kernel widens stored elements in registers, so a distance over `f16` rows has the
/// accuracy of the rounded row, not of `f16` arithmetic.
pub trait Element: Row + bytemuck::Pod + Send + Sync + fmt::Debug + 'static {
    /// Which of the element types this is, as a value.
    const KIND: ElementKind;

    /// The largest magnitude a component may have so that the stored element is finite and every `f32` sum over
    /// up to [`MAX_DIMS`](crate::vector::normalize::MAX_DIMS) dimensions is finite too.
    const MAX: f32;

    /// Widens to `f32`, exactly.
    fn to_f32(self) -> f32;

    /// Rounds to the nearest element, ties to even. Magnitudes beyond the type's range become infinite.
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    const KIND: ElementKind = ElementKind::F32;
    const MAX: f32 = MAX_MAGNITUDE;

    #[inline]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Element for f16 {
    const KIND: ElementKind = ElementKind::F16;
    const MAX: f32 = 65_504.0;

    #[inline]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    #[inline]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
}

/// The element type of stored vectors as a value, for headers, settings and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementKind {
    /// IEEE 754 binary32, 4 bytes.
    F32,
    /// IEEE 754 binary16, 2 bytes.
    F16,
}

impl ElementKind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// The number that stands for this kind in files; never zero and never reused.
    pub const fn code(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::F16 => 2,
        }
    }

    /// The kind of a file's code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::F32),
            2 => Some(Self::F16),
            _ => None,
        }
    }

    /// The name used in settings and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

impl fmt::Display for ElementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ElementKind {
    type Err = UnknownElement;

    /// Reads the lower-case name that [`ElementKind::name`] gives.
    fn from_str(name: &str) -> Result<Self, UnknownElement> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownElement(name.to_owned()))
    }
}

/// A name that is none of the element types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown element type {0:?}: use f32 or f16")]
pub struct UnknownElement(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back_to_the_kind() {
        for kind in ElementKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(ElementKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!((0..=u8::MAX).filter_map(ElementKind::from_code).count(), 2);
        assert_eq!("F16".parse::<ElementKind>(), Err(UnknownElement("F16".to_owned())));
    }

    #[test]
    fn sizes_are_those_of_the_types() {
        assert_eq!(<f32 as Element>::KIND.size(), size_of::<f32>());
        assert_eq!(<f16 as Element>::KIND.size(), size_of::<f16>());
    }

    #[test]
    fn halves_round_to_nearest_even() {
        // 2048 and 2050 are neighbours in f16; 2049 lies in the middle and goes to the even mantissa.
        assert_eq!(<f16 as Element>::from_f32(2049.0), f16::from_f32_const(2048.0));
        assert_eq!(<f16 as Element>::from_f32(2051.0), f16::from_f32_const(2052.0));
        assert_eq!(<f16 as Element>::from_f32(2049.1), f16::from_f32_const(2050.0));
    }

    #[test]
    fn every_finite_half_survives_widening() {
        for bits in 0..=u16::MAX {
            let value = f16::from_bits(bits);
            if !value.is_nan() {
                assert_eq!(<f16 as Element>::from_f32(Element::to_f32(value)).to_bits(), bits);
            }
        }
    }

    #[test]
    fn the_bound_of_halves_is_their_largest_number() {
        assert_eq!(<f16 as Element>::from_f32(<f16 as Element>::MAX), f16::MAX);
        assert!(<f16 as Element>::from_f32(65_520.0).is_infinite());
    }
}
