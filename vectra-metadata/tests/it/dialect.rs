//! The dialect and the tree say the same; no JSON makes the parser panic.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use vectra_core::Filter;
use vectra_core::filter::Test;
use vectra_metadata::{matches, parse, value_to_json};

use crate::documents::{document, filter};

/// Writes a filter down in the dialect; `None` if it has no words for it.
fn written(filter: &Filter) -> Option<Json> {
    let all = |parts: &[Filter]| parts.iter().map(written).collect::<Option<Vec<_>>>();
    Some(match filter {
        Filter::And(parts) if parts.is_empty() => json!({}),
        Filter::Or(parts) if parts.is_empty() => json!({"$nor": [{}]}),
        Filter::And(parts) => json!({"$and": all(parts)?}),
        Filter::Or(parts) => json!({"$or": all(parts)?}),
        Filter::Not(inner) => json!({"$nor": [written(inner)?]}),
        Filter::Field { path, test } => {
            let (operator, operand) = match test {
                Test::Eq(value) => ("$eq", value_to_json(value)),
                Test::Gt(value) => ("$gt", value_to_json(value)),
                Test::Gte(value) => ("$gte", value_to_json(value)),
                Test::Lt(value) => ("$lt", value_to_json(value)),
                Test::Lte(value) => ("$lte", value_to_json(value)),
                Test::In(values) => ("$in", Json::Array(values.iter().map(value_to_json).collect())),
                Test::Exists(wanted) => ("$exists", json!(wanted)),
            };
            let ordered = matches!(operator, "$gt" | "$gte" | "$lt" | "$lte");
            if ordered && (operand.is_array() || operand.is_object()) {
                return None;
            }
            json!({path: {operator: operand}})
        }
    })
}

/// JSON that looks like filters, right and wrong.
fn filter_like() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-c$.]{0,4}".prop_map(Json::from),
    ];
    let words =
        ["$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$lte", "$in", "$nin", "$exists", "$size", "$x"];
    let key = prop_oneof![
        3 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["a", "b.c", "", "a..b", "0"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_down_means_the_same(filter in filter(), row in document()) {
        let Some(json) = written(&filter) else { return Ok(()) };
        let parsed = parse::mongo(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        prop_assert_eq!(matches(&parsed, &row), matches(&filter, &row), "{}", json);
    }

    #[test]
    fn any_json_is_a_filter_or_an_error(json in filter_like(), row in document()) {
        match parse::mongo(&json) {
            Ok(filter) => {
                prop_assert!(filter.nodes() <= parse::FILTER_NODES_MAX);
                let _ = matches(&filter, &row);
                let again = parse::mongo(&json).expect("it was one before");
                prop_assert_eq!(filter, again);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn negative_operators_are_negations(row in document(), value in crate::documents::scalar()) {
        let json = value_to_json(&value);
        let holds = |operator: &str, operand: Json| {
            let filter = parse::mongo(&json!({"a": {operator: operand}})).expect("well made");
            matches(&filter, &row)
        };
        prop_assert_ne!(holds("$ne", json.clone()), holds("$eq", json.clone()));
        prop_assert_ne!(holds("$nin", json!([json, 7])), holds("$in", json!([json, 7])));
        prop_assert_ne!(holds("$not", json!({"$gt": json})), holds("$gt", json.clone()));
    }
}
