//! What metadata a row may carry.

use vectra_core::Value;
use vectra_core::value::VALUE_DEPTH_MAX;

/// The largest encoded metadata of one row, 16 MiB.
pub const ROW_BYTES_MAX: usize = 16 << 20;

/// Why metadata cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Larger than [`ROW_BYTES_MAX`].
    #[error("the metadata takes {bytes} bytes, more than {ROW_BYTES_MAX}")]
    TooLarge {
        /// Its size, as an upper bound of its encoding.
        bytes: usize,
    },
    /// Nested deeper than [`VALUE_DEPTH_MAX`].
    #[error("the metadata is nested deeper than {VALUE_DEPTH_MAX} levels")]
    TooDeep,
    /// A float that is infinite or not a number.
    #[error("the metadata holds a number that is not finite")]
    NotFinite,
}

/// Checks that metadata can be stored. Writers call it before they acknowledge anything; [`crate::Builder`] refuses what
/// it refuses.
pub fn check_row(metadata: &Value) -> Result<(), RowError> {
    let bytes = size(metadata, VALUE_DEPTH_MAX)?;
    if bytes > ROW_BYTES_MAX { Err(RowError::TooLarge { bytes }) } else { Ok(()) }
}

/// At least the bytes of the encoding: a tag and at most ten bytes for a number or a length.
fn size(value: &Value, depth_left: usize) -> Result<usize, RowError> {
    const NUMBER: usize = 11;
    let depth_left = depth_left.checked_sub(1).ok_or(RowError::TooDeep)?;
    Ok(match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Int(_) | Value::UInt(_) => NUMBER,
        Value::Float(n) if n.is_finite() => NUMBER,
        Value::Float(_) => return Err(RowError::NotFinite),
        Value::Str(text) => NUMBER + text.len(),
        Value::Array(items) => {
            items.iter().try_fold(NUMBER, |sum, item| Ok::<_, RowError>(sum + size(item, depth_left)?))?
        }
        Value::Object(map) => map.iter().try_fold(NUMBER, |sum, (key, item)| {
            Ok::<_, RowError>(sum + NUMBER + key.len() + size(item, depth_left)?)
        })?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vectra_core::codec::{Writer, encode_value};
    use vectra_core::testing::any_value;

    use super::*;

    proptest! {
        #[test]
        fn the_bound_holds(value in any_value()) {
            let mut w = Writer::new();
            encode_value(&value, &mut w);
            prop_assert!(w.len() <= size(&value, VALUE_DEPTH_MAX).expect("shallow and finite"));
        }
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        assert_eq!(check_row(&Value::from([("a", Value::from(1))])), Ok(()));
        assert_eq!(check_row(&Value::Float(f64::INFINITY)), Err(RowError::NotFinite));
        let deep = (0..VALUE_DEPTH_MAX).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert_eq!(check_row(&deep), Err(RowError::TooDeep));
        let large = Value::from("x".repeat(ROW_BYTES_MAX));
        assert!(matches!(check_row(&large), Err(RowError::TooLarge { .. })));
    }
}
