//! What a filter means, by looking at one item's metadata: the reference for everything faster.

use std::cmp::Ordering;

use vectra_core::filter::Test;
use vectra_core::{Filter, Value};

use crate::traverse::any_at;

/// Whether `metadata` satisfies `filter`.
///
/// The meaning is MongoDB's: a test holds if any value at its path satisfies it, a missing value counts as `null`,
/// values of different types never compare, numbers compare by value. Two deviations: objects are equal by members
/// whatever their order, and ordering comparisons with arrays or objects never hold.
pub fn matches(filter: &Filter, metadata: &Value) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| matches(part, metadata)),
        Filter::Or(parts) => parts.iter().any(|part| matches(part, metadata)),
        Filter::Not(inner) => !matches(inner, metadata),
        Filter::Field { path, test: Test::Exists(wanted) } => {
            any_at(metadata, path, |found| found.is_some()) == *wanted
        }
        Filter::Field { path, test } => any_at(metadata, path, |found| satisfies(test, found)),
    }
}

/// Whether one value at a path, `None` if missing, satisfies `test`.
pub(crate) fn satisfies(test: &Test, found: Option<&Value>) -> bool {
    // To every test but `Exists` a missing value is a null.
    let value = found.unwrap_or(&Value::Null);
    match test {
        Test::Eq(wanted) => value == wanted,
        Test::In(wanted) => wanted.contains(value),
        Test::Gt(bound) => value.compare(bound).is_some_and(Ordering::is_gt),
        Test::Gte(bound) => value.compare(bound).is_some_and(Ordering::is_ge),
        Test::Lt(bound) => value.compare(bound).is_some_and(Ordering::is_lt),
        Test::Lte(bound) => value.compare(bound).is_some_and(Ordering::is_le),
        Test::Exists(wanted) => found.is_some() == *wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Value {
        Value::from([
            ("n", Value::from(5)),
            ("list", Value::from(vec![Value::from(1), Value::from("x"), Value::Null])),
            ("none", Value::Null),
            ("inner", Value::from([("s", Value::from("text"))])),
        ])
    }

    fn holds(path: &str, test: Test) -> bool {
        matches(&Filter::field(path, test), &row())
    }

    #[test]
    fn the_empty_conjunction_holds_and_the_empty_disjunction_does_not() {
        assert!(matches(&Filter::And(vec![]), &row()));
        assert!(!matches(&Filter::Or(vec![]), &row()));
        assert!(matches(&Filter::Not(Box::new(Filter::Or(vec![]))), &row()));
        assert!(matches(&Filter::And(vec![]), &Value::from(7)), "whatever the row is");
    }

    #[test]
    fn a_missing_value_is_a_null_but_does_not_exist() {
        for path in ["none", "gone", "inner.gone", "n.gone", "list"] {
            assert!(holds(path, Test::Eq(Value::Null)), "{path}");
            assert!(holds(path, Test::In(vec![Value::from("y"), Value::Null])), "{path}");
            assert!(holds(path, Test::Gte(Value::Null)) && holds(path, Test::Lte(Value::Null)), "{path}");
            assert!(!holds(path, Test::Gt(Value::Null)) && !holds(path, Test::Lt(Value::Null)), "{path}");
        }
        for (path, exists) in [("none", true), ("list", true), ("gone", false), ("inner.gone", false)] {
            assert_eq!(holds(path, Test::Exists(true)), exists, "{path}");
            assert_eq!(holds(path, Test::Exists(false)), !exists, "{path}");
        }
        assert!(!holds("list.gone", Test::Eq(Value::Null)), "scalars of an array are not looked into");
    }

    #[test]
    fn filters_made_by_hand_have_a_meaning_too() {
        let list = || Value::from(vec![Value::from(1), Value::from("x"), Value::Null]);
        assert!(holds("list", Test::Eq(list())));
        assert!(!holds("list", Test::Gte(list())), "arrays have no order");
        assert!(!holds("inner", Test::Lte(Value::from([("s", Value::from("text"))]))), "objects neither");
        assert!(!holds("n", Test::In(vec![])));
        assert!(holds("inner.s", Test::Gt(Value::from("tex"))));
    }
}
