//! Numbers of three kinds in one exact order.

use std::cmp::Ordering;

use vectra_core::Value;
use vectra_core::codec::DecodeError;

/// A number as metadata holds it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i64),
    UInt(u64),
    Float(f64),
}

/// Bytes of an encoded number: its kind and eight bytes.
pub(super) const NUMBER_BYTES: usize = 9;

impl Number {
    /// The number of a value, if it is one.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(n) => Some(Self::Int(*n)),
            Value::UInt(n) => Some(Self::UInt(*n)),
            Value::Float(n) => Some(Self::Float(*n)),
            _ => None,
        }
    }

    pub(super) fn to_value(self) -> Value {
        match self {
            Self::Int(n) => Value::Int(n),
            Self::UInt(n) => Value::from(n),
            Self::Float(n) => Value::Float(n),
        }
    }

    /// Order by exact value; what is not a number (a damaged float) counts as equal to everything.
    pub(super) fn order(self, other: Self) -> Ordering {
        self.to_value().compare(&other.to_value()).unwrap_or(Ordering::Equal)
    }

    pub(super) fn encode(self) -> [u8; NUMBER_BYTES] {
        let (kind, bytes) = match self {
            Self::Int(n) => (0, n.to_le_bytes()),
            Self::UInt(n) => (1, n.to_le_bytes()),
            Self::Float(n) => (2, n.to_le_bytes()),
        };
        let mut encoded = [kind; NUMBER_BYTES];
        encoded[1..].copy_from_slice(&bytes);
        encoded
    }

    pub(super) fn decode(encoded: [u8; NUMBER_BYTES]) -> Result<Self, DecodeError> {
        let [kind, bytes @ ..] = encoded;
        match kind {
            0 => Ok(Self::Int(i64::from_le_bytes(bytes))),
            1 => Ok(Self::UInt(u64::from_le_bytes(bytes))),
            2 if f64::from_le_bytes(bytes).is_finite() => Ok(Self::Float(f64::from_le_bytes(bytes))),
            _ => Err(DecodeError::new(0, "number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_keep_their_order() {
        let sorted = [
            Number::Float(-1e300),
            Number::Int(i64::MIN),
            Number::Float(-0.5),
            Number::Int(0),
            Number::Int((1 << 53) + 1),
            Number::UInt(u64::MAX),
            Number::Float(1e300),
        ];
        for (at, number) in sorted.iter().enumerate() {
            let back = Number::decode(number.encode()).expect("own encoding");
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(back.order(*other), at.cmp(&other_at), "{number:?} {other:?}");
            }
        }
        assert_eq!(Number::Int(2).order(Number::Float(2.0)), Ordering::Equal);
        assert!(Number::decode([3; NUMBER_BYTES]).is_err());
        assert!(Number::decode(Number::Float(f64::NAN).encode()).is_err());
    }
}
