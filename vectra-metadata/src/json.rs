//! Between `serde_json` values and the values of metadata.

use serde_json::{Number, Value as Json};
use vectra_core::Value;
use vectra_core::value::VALUE_DEPTH_MAX;

use crate::parse::ParseError;

/// The metadata value of a JSON value. Integers within 64 bits stay exact; other numbers become floats.
///
/// Fails if it is nested deeper than [`VALUE_DEPTH_MAX`] or holds a number that no finite `f64` can stand for.
pub fn value_from_json(json: Json) -> Result<Value, ParseError> {
    convert(json, VALUE_DEPTH_MAX)
}

fn convert(json: Json, depth_left: usize) -> Result<Value, ParseError> {
    let depth_left = depth_left.checked_sub(1).ok_or(ParseError::ValueTooDeep { max: VALUE_DEPTH_MAX })?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => number(&n)?,
        Json::String(s) => Value::Str(s),
        Json::Array(items) => {
            Value::Array(items.into_iter().map(|item| convert(item, depth_left)).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let member = |(key, item)| Ok((key, convert(item, depth_left)?));
            Value::Object(map.into_iter().map(member).collect::<Result<_, ParseError>>()?)
        }
    })
}

fn number(n: &Number) -> Result<Value, ParseError> {
    if let Some(int) = n.as_i64() {
        return Ok(Value::Int(int));
    }
    if let Some(int) = n.as_u64() {
        return Ok(Value::from(int));
    }
    n.as_f64().and_then(Value::float).ok_or_else(|| ParseError::Number { number: n.to_string() })
}

/// The JSON value of a metadata value.
pub fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) => Json::from(*n),
        Value::UInt(n) => Json::from(*n),
        // A float that is not finite cannot come from the constructors; JSON has no word for it but null.
        Value::Float(n) => Number::from_f64(*n).map_or(Json::Null, Json::Number),
        Value::Str(s) => Json::String(s.clone()),
        Value::Array(items) => Json::Array(items.iter().map(value_to_json).collect()),
        Value::Object(map) => Json::Object(map.iter().map(|(k, v)| (k.clone(), value_to_json(v))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use vectra_core::testing::any_value;

    use super::*;

    proptest! {
        #[test]
        fn there_and_back(value in any_value()) {
            prop_assert_eq!(value_from_json(value_to_json(&value)).expect("it came from a value"), value);
        }
    }

    #[test]
    fn numbers_keep_their_64_bits() {
        assert!(matches!(value_from_json(json!(u64::MAX)), Ok(Value::UInt(u64::MAX))));
        assert!(matches!(value_from_json(json!(i64::MIN)), Ok(Value::Int(i64::MIN))));
        assert!(matches!(value_from_json(json!(1.5)), Ok(Value::Float(1.5))));
        assert_eq!(value_to_json(&Value::UInt(u64::MAX)), json!(u64::MAX));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth| (1..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(value_from_json(nested(VALUE_DEPTH_MAX)).is_ok());
        assert!(matches!(value_from_json(nested(VALUE_DEPTH_MAX + 1)), Err(ParseError::ValueTooDeep { .. })));
    }
}
