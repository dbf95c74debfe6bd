//! What a dotted path leads to: the values that a test at that path looks at.
//!
//! The rules are those of MongoDB's matcher: arrays on the way are entered (their objects only), a number in the path
//! also picks an element, and an array at the end offers its elements and then itself.

use std::collections::BTreeMap;

use vectra_core::Value;

type Members = BTreeMap<String, Value>;

/// Calls `visit` with everything at `path` until it returns true; says whether it did.
///
/// `None` stands for a missing value: the path ends before its last part. One document can offer several values, or
/// none at all (a path into an empty array).
pub(crate) fn any_at<'v>(
    metadata: &'v Value,
    path: &str,
    mut visit: impl FnMut(Option<&'v Value>) -> bool,
) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    match metadata {
        Value::Object(members) => in_object(members, &parts, &mut visit),
        _ => visit(None),
    }
}

/// Goes down through objects to the end of the path, to the first array or to a gap.
fn in_object<'v>(
    members: &'v Members,
    parts: &[&str],
    visit: &mut impl FnMut(Option<&'v Value>) -> bool,
) -> bool {
    let (mut members, mut rest) = (members, parts);
    while let Some((part, after)) = rest.split_first() {
        rest = after;
        match members.get(*part) {
            Some(whole @ Value::Array(items)) if rest.is_empty() => {
                return items.iter().any(|item| visit(Some(item))) || visit(Some(whole));
            }
            Some(Value::Array(items)) => return in_array(items, rest, visit),
            Some(Value::Object(inner)) if !rest.is_empty() => members = inner,
            Some(value) if rest.is_empty() => return visit(Some(value)),
            _ => return visit(None),
        }
    }
    visit(None)
}

/// Looks into every element: an object by name, whatever stands at the position that the path names by number.
fn in_array<'v>(
    items: &'v [Value],
    parts: &[&str],
    visit: &mut impl FnMut(Option<&'v Value>) -> bool,
) -> bool {
    let (part, rest) = parts.split_first().expect("callers enter an array with path left");
    let position = position(part);
    for (at, item) in items.iter().enumerate() {
        let picked = position == Some(at);
        let found = match item {
            Value::Object(members) => {
                in_object(members, parts, visit)
                    || picked
                        && if rest.is_empty() { visit(Some(item)) } else { in_object(members, rest, visit) }
            }
            _ if picked && rest.is_empty() => visit(Some(item)),
            Value::Array(inner) if picked => in_array(inner, rest, visit),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// The array position that a path part names, written as a number is written (`01` is a name).
fn position(part: &str) -> Option<usize> {
    let plain = part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    if plain { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::json::{value_from_json, value_to_json};

    fn at(document: Json, path: &str) -> Vec<Option<Json>> {
        let value = value_from_json(document).expect("plain JSON");
        let mut seen = Vec::new();
        any_at(&value, path, |found| {
            seen.push(found.map(value_to_json));
            false
        });
        seen
    }

    #[test]
    fn objects_are_walked_by_name() {
        assert_eq!(at(json!({"a": {"b": 1}}), "a.b"), [Some(json!(1))]);
        assert_eq!(at(json!({"a": {"b": 1}}), "a"), [Some(json!({"b": 1}))]);
        assert_eq!(at(json!({"a": {"0": 1}}), "a.0"), [Some(json!(1))]);
        assert_eq!(at(json!({"a": 5}), "a.b"), [None]);
        assert_eq!(at(json!({}), "a.b"), [None]);
        assert_eq!(at(json!(null), "a"), [None]);
    }

    #[test]
    fn an_array_at_the_end_offers_its_elements_and_itself() {
        assert_eq!(at(json!({"a": [5, 7]}), "a"), [Some(json!(5)), Some(json!(7)), Some(json!([5, 7]))]);
        assert_eq!(at(json!({"a": []}), "a"), [Some(json!([]))]);
        assert_eq!(at(json!({"a": [[1]]}), "a"), [Some(json!([1])), Some(json!([[1]]))]);
    }

    #[test]
    fn arrays_on_the_way_offer_their_objects_only() {
        assert_eq!(
            at(json!({"a": [{"b": 5}, 3, {}, {"b": [9]}]}), "a.b"),
            [Some(json!(5)), None, Some(json!(9)), Some(json!([9]))]
        );
        assert!(at(json!({"a": [1, 2]}), "a.b").is_empty());
        assert!(at(json!({"a": []}), "a.b").is_empty());
        assert!(at(json!({"a": [[{"b": 1}]]}), "a.b").is_empty(), "nested arrays are not entered by name");
    }

    #[test]
    fn numbers_pick_elements() {
        assert_eq!(at(json!({"a": [5, 7, 3]}), "a.1"), [Some(json!(7))]);
        assert_eq!(at(json!({"a": [5, [2, 4], 3]}), "a.1"), [Some(json!([2, 4]))], "not its elements");
        assert_eq!(at(json!({"a": [5, {"1": 4}, 3]}), "a.1"), [Some(json!(4)), Some(json!({"1": 4}))]);
        assert_eq!(at(json!({"a": [5, {"b": 4}, 3]}), "a.1.b"), [None, Some(json!(4))]);
        assert_eq!(at(json!({"a": [5, [{"b": 4}], 3]}), "a.1.b"), [Some(json!(4))]);
        assert_eq!(at(json!({"a": [[7]]}), "a.0.0"), [Some(json!(7))]);
        assert!(at(json!({"a": [5]}), "a.00").is_empty());
        assert!(at(json!({"a": [5]}), "a.99999999999999999999999").is_empty());
    }
}
