//! Laws of the filter algebra that hold on every document, whatever its shape.

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};
use vectra_metadata::matches;

use crate::documents::{document, filter, scalar};

/// Paths of the documents and one that never leads anywhere.
fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "a.b", "a.0", "b.1.a", "c.c", "nowhere"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_list_is_a_choice_of_equalities(
        path in path(), values in prop::collection::vec(scalar(), 0..5), row in document()
    ) {
        let listed = Filter::field(path, Test::In(values.clone()));
        let choice = Filter::Or(values.into_iter().map(|value| Filter::eq(path, value)).collect());
        prop_assert_eq!(matches(&listed, &row), matches(&choice, &row));
    }

    #[test]
    fn a_closed_bound_is_an_open_one_or_equality(path in path(), bound in scalar(), row in document()) {
        let holds = |test| matches(&Filter::field(path, test), &row);
        let equal = holds(Test::Eq(bound.clone()));
        prop_assert_eq!(holds(Test::Gte(bound.clone())), holds(Test::Gt(bound.clone())) || equal);
        prop_assert_eq!(holds(Test::Lte(bound.clone())), holds(Test::Lt(bound)) || equal);
    }

    #[test]
    fn what_equals_a_value_that_is_not_null_exists(path in path(), value in scalar(), row in document()) {
        let exists = matches(&Filter::field(path, Test::Exists(true)), &row);
        prop_assert_ne!(exists, matches(&Filter::field(path, Test::Exists(false)), &row));
        if !matches!(value, Value::Null) && matches(&Filter::eq(path, value), &row) {
            prop_assert!(exists);
        }
    }

    #[test]
    fn negation_goes_through_and_and_or(parts in prop::collection::vec(filter(), 0..4), row in document()) {
        let negated = || parts.iter().map(|part| part.clone().not()).collect();
        let all = Filter::And(parts.clone());
        prop_assert_eq!(matches(&all.not(), &row), matches(&Filter::Or(negated()), &row));
        let any = Filter::Or(parts.clone());
        prop_assert_eq!(matches(&any.not(), &row), matches(&Filter::And(negated()), &row));
    }

    #[test]
    fn order_of_parts_does_not_matter(parts in prop::collection::vec(filter(), 0..4), row in document()) {
        let reversed: Vec<Filter> = parts.iter().rev().cloned().collect();
        prop_assert_eq!(matches(&Filter::And(parts.clone()), &row), matches(&Filter::And(reversed.clone()), &row));
        prop_assert_eq!(matches(&Filter::Or(parts), &row), matches(&Filter::Or(reversed), &row));
    }

    #[test]
    fn an_array_offers_each_element_and_itself(values in prop::collection::vec(scalar(), 0..5), probe in scalar()) {
        let whole = Value::from(values.clone());
        let row = Value::from([("v", whole.clone())]);
        let holds = |value: &Value| matches(&Filter::eq("v", value.clone()), &row);
        prop_assert_eq!(holds(&probe), values.contains(&probe));
        prop_assert!(holds(&whole));
        for (at, value) in values.iter().enumerate() {
            let element = format!("v.{at}");
            prop_assert!(matches(&Filter::eq(element, value.clone()), &row));
        }
        let behind = format!("v.{}", values.len());
        prop_assert!(matches(&Filter::field(behind, Test::Exists(false)), &row));
    }
}
