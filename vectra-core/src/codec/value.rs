//! The binary encoding of [`Value`]: a tag byte, then varints, floats or length-prefixed text.

use std::collections::BTreeMap;

use crate::codec::{DecodeError, Reader, Writer};
use crate::value::{VALUE_DEPTH_MAX, Value};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const ARRAY: u8 = 7;
const OBJECT: u8 = 8;

/// Appends `value`. Equal values have equal bytes (object keys are sorted, numbers have one form).
///
/// # Panics
/// If the value is nested deeper than [`VALUE_DEPTH_MAX`]; callers check with [`Value::depth`] first.
pub fn encode_value(value: &Value, out: &mut Writer) {
    assert!(value.depth() <= VALUE_DEPTH_MAX, "depth is checked on input");
    encode(value, out);
}

fn encode(value: &Value, out: &mut Writer) {
    match value {
        Value::Null => _ = out.u8(NULL),
        Value::Bool(false) => _ = out.u8(FALSE),
        Value::Bool(true) => _ = out.u8(TRUE),
        Value::Int(n) if *n < 0 => _ = out.u8(NEGATIVE).varint(n.unsigned_abs()),
        Value::Int(n) => _ = out.u8(INT).varint(n.unsigned_abs()),
        Value::UInt(n) => _ = out.u8(INT).varint(*n),
        Value::Float(n) => _ = out.u8(FLOAT).f64(*n),
        Value::Str(s) => _ = out.u8(TEXT).text(s),
        Value::Array(items) => {
            out.u8(ARRAY).varint(items.len() as u64);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Object(map) => {
            out.u8(OBJECT).varint(map.len() as u64);
            for (key, item) in map {
                out.text(key);
                encode(item, out);
            }
        }
    }
}

/// Reads one value; total over arbitrary bytes, bounded in depth and by the bytes that are there.
pub fn decode_value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    decode(reader, VALUE_DEPTH_MAX)
}

fn decode(reader: &mut Reader<'_>, depth_left: usize) -> Result<Value, DecodeError> {
    let at = reader.position();
    let bad = |what| DecodeError::new(at, what);
    let depth_left = depth_left.checked_sub(1).ok_or(bad("value nesting"))?;
    Ok(match reader.u8()? {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::from(reader.varint()?),
        NEGATIVE => {
            let magnitude = reader.varint()?;
            let n = 0_i64.checked_sub_unsigned(magnitude).filter(|n| *n < 0).ok_or(bad("negative number"))?;
            Value::Int(n)
        }
        FLOAT => Value::float(reader.f64()?).ok_or(bad("finite number"))?,
        TEXT => Value::Str(reader.text()?.into()),
        ARRAY => {
            let count = reader.count(1)?;
            let mut items = Vec::with_capacity(count.min(1024));
            for _ in 0..count {
                items.push(decode(reader, depth_left)?);
            }
            Value::Array(items)
        }
        OBJECT => Value::Object(decode_object(reader, depth_left)?),
        _ => return Err(bad("value tag")),
    })
}

fn decode_object(reader: &mut Reader<'_>, depth_left: usize) -> Result<BTreeMap<String, Value>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..reader.count(2)? {
        let at = reader.position();
        let key = reader.text()?;
        if map.last_key_value().is_some_and(|(last, _): (&String, _)| last.as_str() >= key) {
            return Err(DecodeError::new(at, "object keys in order"));
        }
        map.insert(key.to_owned(), decode(reader, depth_left)?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::any_value;

    proptest! {
        #[test]
        fn round_trip(value in any_value()) {
            let mut w = Writer::new();
            encode_value(&value, &mut w);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(decode_value(&mut r).expect("own encoding"), value);
            prop_assert!(r.finish().is_ok());
        }

        #[test]
        fn total_over_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut r = Reader::new(&bytes);
            if let Ok(value) = decode_value(&mut r) {
                let mut w = Writer::new();
                encode_value(&value, &mut w);
                prop_assert_eq!(decode_value(&mut Reader::new(w.as_bytes())).expect("own encoding"), value);
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let bytes = [[ARRAY, 1]; 100].concat();
        assert!(decode_value(&mut Reader::new(&bytes)).is_err());
    }
}
