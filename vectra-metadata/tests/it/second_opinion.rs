//! A second implementation of what filters mean, written from the documentation and not from the code.
//!
//! It works in two steps where the crate works in one: first it lists what a path leads to, then it tests the list.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};
use vectra_metadata::{FieldKind, IndexedField, Schema, matches, parse, value_from_json};

use crate::documents::{document, filter, open, schema, sections};

/// What stands at the end of a path: a value, or the gap where one is missing.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Here(Value),
    Gap,
}

/// Every end of `path` in a document, before an array at the end is opened.
///
/// A name is looked up in an object. Every object in an array is asked for the rest of the path, and a number names an
/// element besides. What is neither leads to a gap, except inside an array, where it leads nowhere.
fn ends(value: &Value, path: &[String]) -> Vec<Found> {
    let Some((name, rest)) = path.split_first() else { return vec![Found::Here(value.clone())] };
    match value {
        Value::Object(members) => match members.get(name) {
            Some(member) => ends_of_member(member, rest),
            None => vec![Found::Gap],
        },
        _ => vec![Found::Gap],
    }
}

fn ends_of_member(member: &Value, rest: &[String]) -> Vec<Found> {
    match member {
        Value::Array(items) if !rest.is_empty() => elements(items, rest),
        Value::Array(items) => {
            // At the end an array stands for its elements and for itself.
            items.iter().chain([member]).map(|value| Found::Here(value.clone())).collect()
        }
        other => ends(other, rest),
    }
}

fn elements(items: &[Value], path: &[String]) -> Vec<Found> {
    let (name, rest) = path.split_first().expect("an array is entered with path left");
    let number = name.parse::<usize>().ok().filter(|number| number.to_string() == *name);
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        if matches!(item, Value::Object(_)) {
            found.extend(ends(item, path));
        }
        if number == Some(at) {
            match item {
                // Named by number, an element is itself; only further down it is opened.
                _ if rest.is_empty() => found.push(Found::Here(item.clone())),
                Value::Object(_) => found.extend(ends(item, rest)),
                Value::Array(inner) => found.extend(elements(inner, rest)),
                _ => {}
            }
        }
    }
    found
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => sign(a, b) == Some(0),
    }
}

/// Below, at or above: -1, 0 or 1, within one type.
fn sign(a: &Value, b: &Value) -> Option<i32> {
    let by = |less: bool, equal: bool| if less { -1 } else { i32::from(!equal) };
    match (a, b) {
        (Value::Null, Value::Null) => Some(0),
        (Value::Bool(a), Value::Bool(b)) => Some(i32::from(*a) - i32::from(*b)),
        (Value::Str(a), Value::Str(b)) => Some(by(a.as_bytes() < b.as_bytes(), a == b)),
        _ => {
            let (a, b) = (number(a)?, number(b)?);
            Some(by(a < b, a == b))
        }
    }
}

/// A number as whole part and fraction, exact: floats beyond 2^100 are all beyond every integer and keep their order.
fn number(value: &Value) -> Option<(i128, f64)> {
    let limit = 2_f64.powi(100);
    Some(match value {
        Value::Int(n) => (i128::from(*n), 0.0),
        Value::UInt(n) => (i128::from(*n), 0.0),
        Value::Float(x) if x.abs() < limit => (x.floor() as i128, x - x.floor()),
        Value::Float(x) => (if *x > 0.0 { i128::MAX } else { i128::MIN }, *x),
        _ => return None,
    })
}

fn holds(filter: &Filter, row: &Value) -> bool {
    match filter {
        Filter::And(parts) => !parts.iter().any(|part| !holds(part, row)),
        Filter::Or(parts) => parts.iter().filter(|part| holds(part, row)).count() > 0,
        Filter::Not(inner) => !holds(inner, row),
        Filter::Field { path, test } => {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let ends = ends(row, &path);
            if let Test::Exists(wanted) = test {
                return ends.iter().any(|end| *end != Found::Gap) == *wanted;
            }
            ends.iter().any(|end| match end {
                Found::Here(value) => passes(test, value),
                Found::Gap => passes(test, &Value::Null),
            })
        }
    }
}

fn passes(test: &Test, value: &Value) -> bool {
    match test {
        Test::Eq(wanted) => equal(value, wanted),
        Test::In(wanted) => wanted.iter().any(|wanted| equal(value, wanted)),
        Test::Gt(bound) => sign(value, bound) == Some(1),
        Test::Gte(bound) => sign(value, bound).is_some_and(|sign| sign >= 0),
        Test::Lt(bound) => sign(value, bound) == Some(-1),
        Test::Lte(bound) => sign(value, bound).is_some_and(|sign| sign <= 0),
        Test::Exists(_) => unreachable!("existence is a matter of the whole list"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn both_opinions_agree_on_any_document(filter in filter(), rows in prop::collection::vec(document(), 1..5)) {
        for row in &rows {
            prop_assert_eq!(matches(&filter, row), holds(&filter, row), "{:?} {:?}", filter, row);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Indexes, columns and blocks between the rows and the answer change nothing.
    #[test]
    fn a_segment_agrees_too(
        schema in schema(), rows in prop::collection::vec(document(), 0..30), filters in prop::collection::vec(filter(), 1..5)
    ) {
        let view = open(&sections(&schema, &rows), rows.len());
        for filter in &filters {
            let answer = view.filter(filter).expect("own sections");
            let expected: Vec<u32> =
                (0..).zip(&rows).filter(|(_, row)| holds(filter, row)).map(|(slot, _)| slot).collect();
            prop_assert_eq!(answer.bits.iter().collect::<Vec<_>>(), expected, "{:?} {:?}", filter, schema);
        }
    }
}

/// Names that only look like paths, numbers and operators.
#[test]
fn odd_names_mean_themselves() {
    let rows = [
        json!({"": 1}),
        json!({"a.b": 1}),
        json!({"a": {"": 1}}),
        json!({"a": {"b": 1}}),
        json!({"a": [{"b": 1}, [{"b": 1}]]}),
        json!({"a": {"0": {"b": 1}}}),
        json!({"a": [[[{"b": 1}]]]}),
        json!({"$a": 1}),
    ];
    let rows: Vec<Value> = rows.into_iter().map(|row| value_from_json(row).expect("plain JSON")).collect();
    let view = open(&sections(&Schema::default(), &rows), rows.len());
    for (path, expected) in [
        ("", vec![0]),
        ("a.b", vec![3, 4]),
        ("a.", vec![2]),
        ("a.0.b", vec![4, 5]),
        ("a.1.b", vec![4]),
        ("a.1.0.b", vec![4]),
        ("a.0.0.0.b", vec![6]),
        ("$a", vec![7]),
    ] {
        let filter = Filter::eq(path, 1);
        let found: Vec<u32> = view.filter(&filter).expect("own sections").bits.iter().collect();
        let by_rows: Vec<u32> =
            (0..).zip(&rows).filter(|(_, row)| holds(&filter, row)).map(|(slot, _)| slot).collect();
        assert_eq!(found, by_rows, "{path}");
        assert_eq!(found, expected, "{path}");
    }
}

/// A path may go as deep as a document does.
#[test]
fn deep_paths_reach_the_bottom_with_and_without_index() {
    let depth = 60;
    let path = vec!["d"; depth].join(".");
    let nested = |value: Value| (0..depth).fold(value, |inner, _| Value::from([("d", inner)]));
    let rows = [
        nested(Value::from(1)),
        nested(Value::from(vec![Value::from(1), Value::from(2)])),
        nested(Value::Null),
        nested(Value::object()),
        Value::from([("d", nested(Value::from(1)))]),
        Value::object(),
    ];
    let field = IndexedField::new(path.clone(), FieldKind::Number);
    for schema in [Schema::default(), Schema::new(vec![field]).expect("sane")] {
        let view = open(&sections(&schema, &rows), rows.len());
        for (test, expected) in [
            (Test::Eq(Value::from(1)), vec![0, 1]),
            (Test::Gt(Value::from(1)), vec![1]),
            (Test::Eq(Value::Null), vec![2, 5]),
            (Test::Exists(false), vec![5]),
        ] {
            let filter = Filter::field(path.clone(), test);
            let found: Vec<u32> = view.filter(&filter).expect("own sections").bits.iter().collect();
            assert_eq!(found, expected, "{filter:?}");
            let bounds = view.estimate(&filter);
            assert!(bounds.min as usize <= expected.len() && expected.len() <= bounds.max as usize);
        }
    }
}

/// Lists of many types, longer and shorter than what is sorted for searching.
#[test]
fn lists_of_mixed_types_find_each_of_them() {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-0.5),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!([]),
        json!([1, "y"]),
        json!({}),
        json!({"b": [null]}),
        json!(1e300),
    ];
    let rows: Vec<Value> =
        values.iter().map(|v| value_from_json(json!({"a": v})).expect("plain JSON")).collect();
    let kinds = [FieldKind::Keyword, FieldKind::Number, FieldKind::Bool];
    let schemas = kinds.map(|kind| Schema::new(vec![IndexedField::new("a", kind)]).expect("sane"));
    for schema in schemas.into_iter().chain([Schema::default()]) {
        let view = open(&sections(&schema, &rows), rows.len());
        for skipped in 0..values.len() {
            let listed: Vec<&Json> =
                values.iter().enumerate().filter(|(at, _)| *at != skipped).map(|(_, v)| v).collect();
            for operator in ["$in", "$nin"] {
                let filter = parse::mongo(&json!({"a": {operator: listed}})).expect("well made");
                let found: Vec<u32> = view.filter(&filter).expect("own sections").bits.iter().collect();
                let alone = vec![skipped as u32];
                let others = (0..values.len() as u32).filter(|slot| *slot != skipped as u32).collect();
                assert_eq!(
                    found,
                    if operator == "$in" { others } else { alone },
                    "{operator} without {skipped}"
                );
            }
            let short = parse::mongo(&json!({"a": {"$in": [values[skipped]]}})).expect("well made");
            let found: Vec<u32> = view.filter(&short).expect("own sections").bits.iter().collect();
            assert_eq!(found, [skipped as u32], "{}", values[skipped]);
        }
    }
}
