//! Values obey the laws of an order and of equality, up to the edges of all three number kinds.

use std::cmp::Ordering;

use proptest::prelude::*;
use vectra_core::Value;
use vectra_core::codec::{Reader, Writer, decode_value, encode_value};
use vectra_core::testing::any_value;

/// A float as `mantissa * 2^exponent`, both whole.
fn parts(x: f64) -> (i128, i32) {
    let bits = x.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = i128::from(bits & ((1 << 52) - 1));
    let (magnitude, exponent) =
        if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    (if x.is_sign_negative() { -magnitude } else { magnitude }, exponent)
}

/// Compares a whole number below 2^65 with a float by whole numbers alone.
fn whole_with_float(n: i128, x: f64) -> Ordering {
    let (mantissa, exponent) = parts(x);
    match exponent {
        0..=70 => n.cmp(&(mantissa << exponent)),
        71.. if mantissa == 0 => n.cmp(&0),
        71.. => 0.cmp(&mantissa),
        -60..=-1 => (n << -exponent).cmp(&mantissa),
        // The float is nearer to zero than any other whole number is.
        _ => n.cmp(&0).then(0.cmp(&mantissa)),
    }
}

/// The order of numbers, found another way than the crate finds it.
fn expected(a: &Value, b: &Value) -> Ordering {
    let whole = |value: &Value| match value {
        Value::Int(n) => Some(i128::from(*n)),
        Value::UInt(n) => Some(i128::from(*n)),
        _ => None,
    };
    match (a, b) {
        (Value::Float(x), Value::Float(y)) => x.partial_cmp(y).expect("both are finite"),
        (Value::Float(x), _) => whole_with_float(whole(b).expect("a number"), *x).reverse(),
        (_, Value::Float(y)) => whole_with_float(whole(a).expect("a number"), *y),
        _ => whole(a).cmp(&whole(b)),
    }
}

/// Numbers of every kind around the places where kinds and precision change.
fn edges() -> Vec<Value> {
    let mut numbers = Vec::new();
    let powers = [0.0, 1.0, 2_f64.powi(31), 2_f64.powi(53), 2_f64.powi(62), 2_f64.powi(63), 2_f64.powi(64)];
    for power in powers {
        for near in [power, power.next_up(), power.next_down(), power + 0.5] {
            numbers.extend([Value::Float(near), Value::Float(-near)]);
        }
        for step in -2..=2_i128 {
            let whole = power as i128 + step;
            numbers.extend(u64::try_from(whole).map(Value::from));
            numbers.extend(i64::try_from(whole).map(Value::from));
            numbers.extend(i64::try_from(-whole).map(Value::from));
        }
    }
    let extremes = [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 2_f64.powi(65), 1e19];
    numbers.extend(extremes.into_iter().flat_map(|x| [Value::Float(x), Value::Float(-x)]));
    numbers.extend([Value::from(i64::MIN), Value::from(i64::MAX), Value::from(u64::MAX)]);
    numbers
}

#[test]
fn every_pair_of_edges_compares_as_whole_numbers_say() {
    let edges = edges();
    assert!(edges.len() > 100, "{} edges", edges.len());
    for a in &edges {
        for b in &edges {
            assert_eq!(a.compare(b), Some(expected(a, b)), "{a:?} {b:?}");
            assert_eq!(a == b, expected(a, b).is_eq(), "{a:?} {b:?}");
        }
    }
}

#[test]
fn sorted_edges_are_in_order_far_apart_too() {
    let mut edges = edges();
    edges.sort_by(|a, b| a.compare(b).expect("numbers compare"));
    for (at, low) in edges.iter().enumerate() {
        for high in &edges[at..] {
            assert_ne!(low.compare(high), Some(Ordering::Greater), "{low:?} {high:?}");
        }
    }
}

#[test]
fn a_float_no_integer_can_reach_equals_none() {
    for x in [2_f64.powi(63) + 2048.0, -(2_f64.powi(63)) - 2048.0, 2_f64.powi(64), 1.5, -0.25] {
        for n in [i64::MIN, -1, 0, 1, 2, i64::MAX] {
            assert_ne!(Value::Float(x), Value::from(n), "{x} {n}");
        }
        assert_ne!(Value::Float(x), Value::from(u64::MAX), "{x}");
    }
    assert_eq!(Value::Float(-(2_f64.powi(63))), Value::from(i64::MIN));
    assert_eq!(Value::Float(2_f64.powi(63)), Value::from(1_u64 << 63));
    assert_eq!(Value::Float(0.0), Value::Float(-0.0));
}

/// Any number, often from an edge.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        prop::sample::select(edges()),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", Value::float),
        (any::<i64>(), -2..=2_i32).prop_map(|(n, step)| Value::Float(n as f64 + f64::from(step))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn numbers_have_one_total_order(a in number(), b in number(), c in number()) {
        prop_assert_eq!(a.compare(&b), Some(expected(&a, &b)));
        prop_assert_eq!(a.compare(&b), b.compare(&a).map(Ordering::reverse));
        prop_assert_eq!(a.compare(&a), Some(Ordering::Equal));
        let below = |x: &Value, y: &Value| x.compare(y) != Some(Ordering::Greater);
        if below(&a, &b) && below(&b, &c) {
            prop_assert!(below(&a, &c), "{a:?} {b:?} {c:?}");
        }
        if a == b {
            prop_assert_eq!(a.compare(&c), b.compare(&c), "equals stand in one place");
        }
    }
}

proptest! {
    #[test]
    fn equality_is_reflexive_symmetric_and_agrees_with_the_order(a in any_value(), b in any_value()) {
        prop_assert_eq!(&a, &a.clone());
        prop_assert_eq!(a == b, b == a);
        if let Some(ordering) = a.compare(&b) {
            prop_assert_eq!(a == b, ordering.is_eq());
        }
        let scalar = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
        prop_assert_eq!(a.compare(&a).is_some(), scalar(&a));
    }

    #[test]
    fn an_inner_difference_is_a_difference(a in any_value(), b in any_value()) {
        let list = |value: &Value| Value::from(vec![Value::Null, value.clone()]);
        let object = |value: &Value| Value::from([("k", value.clone()), ("l", Value::Null)]);
        prop_assert_eq!(list(&a) == list(&b), a == b);
        prop_assert_eq!(object(&a) == object(&b), a == b);
        prop_assert_ne!(list(&a), object(&a));
        prop_assert_ne!(list(&a), Value::from(vec![Value::Null, a.clone(), b]));
        prop_assert_ne!(object(&a), Value::from([("k", a.clone()), ("m", Value::Null)]));
        prop_assert_eq!(list(&a).depth(), a.depth() + 1);
    }

    /// Equality is blind to number kinds and to the sign of zero; the encoding must not be.
    #[test]
    fn encoding_keeps_kind_and_sign(value in any_value(), number in number()) {
        for value in [value, number] {
            let mut writer = Writer::new();
            encode_value(&value, &mut writer);
            let mut reader = Reader::new(writer.as_bytes());
            let back = decode_value(&mut reader).expect("own encoding");
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }
}

#[test]
fn constructors_keep_their_kinds() {
    assert!(matches!(Value::from(i64::MAX as u64), Value::Int(i64::MAX)));
    assert!(matches!(Value::from(i64::MAX as u64 + 1), Value::UInt(_)));
    assert!(matches!(Value::from(-1_i32), Value::Int(-1)));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(Value::float(bad).is_none(), "{bad}");
    }
    assert!(Value::default() == Value::Null && Value::object().depth() == 1);
    let object = Value::from([("a", Value::from("x"))]);
    assert_eq!(object.get("a").and_then(Value::as_str), Some("x"));
    assert!(object.get("b").is_none() && Value::from("a").get("a").is_none());
    assert!(Value::from(1).is_number() && Value::Float(0.5).is_number() && !Value::from("1").is_number());
}
