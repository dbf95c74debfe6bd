use serde_json::{Value as Json, json};
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};

use super::*;

fn parsed(json: Json) -> Filter {
    mongo(&json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refused(json: Json) -> ParseError {
    mongo(&json).map_or_else(|error| error, |filter| panic!("{json} became {filter:?}"))
}

#[test]
fn plain_values_are_equalities() {
    assert_eq!(parsed(json!({"a": 1})), Filter::eq("a", 1));
    assert_eq!(parsed(json!({"a.b": null})), Filter::eq("a.b", Value::Null));
    assert_eq!(parsed(json!({"a": {}})), Filter::eq("a", Value::object()));
    assert_eq!(
        parsed(json!({"a": {"b": [1]}})),
        Filter::eq("a", Value::from([("b", vec![Value::from(1)].into())]))
    );
}

#[test]
fn members_and_operators_join_with_and() {
    assert_eq!(parsed(json!({})), Filter::And(vec![]));
    assert_eq!(parsed(json!({"a": 1, "b": 2})), Filter::And(vec![Filter::eq("a", 1), Filter::eq("b", 2)]));
    let range = [Test::Gte(Value::from(1)), Test::Lt(Value::from(9))].map(|test| Filter::field("a", test));
    assert_eq!(parsed(json!({"a": {"$gte": 1, "$lt": 9}})), Filter::And(range.to_vec()));
}

#[test]
fn every_operator_has_its_tree() {
    let one = || Value::from(1);
    for (operator, test) in [
        ("$eq", Test::Eq(one())),
        ("$gt", Test::Gt(one())),
        ("$gte", Test::Gte(one())),
        ("$lt", Test::Lt(one())),
        ("$lte", Test::Lte(one())),
    ] {
        assert_eq!(parsed(json!({"a": {operator: 1}})), Filter::field("a", test));
    }
    let among = Filter::field("a", Test::In(vec![one(), Value::Null]));
    assert_eq!(parsed(json!({"a": {"$in": [1, null]}})), among);
    assert_eq!(parsed(json!({"a": {"$nin": [1, null]}})), among.not());
    assert_eq!(parsed(json!({"a": {"$ne": 1}})), Filter::eq("a", 1).not());
    assert_eq!(parsed(json!({"a": {"$not": {"$ne": 1}}})), Filter::eq("a", 1));
    for (truth, exists) in [(json!(true), true), (json!(false), false), (json!(1), true), (json!(0), false)] {
        assert_eq!(parsed(json!({"a": {"$exists": truth}})), Filter::field("a", Test::Exists(exists)));
    }
    let parts = vec![Filter::eq("a", 1), Filter::eq("b", 2)];
    assert_eq!(parsed(json!({"$and": [{"a": 1}, {"b": 2}]})), Filter::And(parts.clone()));
    assert_eq!(parsed(json!({"$or": [{"a": 1}, {"b": 2}]})), Filter::Or(parts.clone()));
    assert_eq!(parsed(json!({"$nor": [{"a": 1}, {"b": 2}]})), Filter::Or(parts).not());
    assert_eq!(parsed(json!({"$or": [{}]})), Filter::Or(vec![Filter::And(vec![])]));
}

#[test]
fn what_is_not_offered_is_named() {
    for operator in ["$all", "$size", "$elemMatch", "$regex", "$type", "$mod"] {
        let expected = ParseError::Unsupported { operator: operator.to_owned(), path: "a.b".to_owned() };
        assert_eq!(refused(json!({"a.b": {operator: [1]}})), expected);
        assert_eq!(refused(json!({"a.b": {"$not": {operator: [1]}}})), expected);
        assert_eq!(refused(json!({"a.b": {"$gt": 1, operator: [1]}})), expected, "never ignored");
    }
    for operator in ["$where", "$expr", "$text", "$comment"] {
        let expected = ParseError::Unsupported { operator: operator.to_owned(), path: "filter".to_owned() };
        assert_eq!(refused(json!({operator: "x"})), expected);
    }
    for (json, operator, path) in [
        (json!({"a": {"$gtt": 1}}), "$gtt", "a"),
        (json!({"$xor": []}), "$xor", "filter"),
        (json!({"$or": [{"$nope": 1}]}), "$nope", "filter"),
        (json!({"a": {"$date": "2020"}}), "$date", "a"),
    ] {
        let expected = ParseError::UnknownOperator { operator: operator.to_owned(), path: path.to_owned() };
        assert_eq!(refused(json), expected);
    }
}

#[test]
fn operators_in_the_wrong_place_are_refused() {
    for json in [json!({"$not": {"a": 1}}), json!({"$eq": 1}), json!({"a": {"$and": [{"$gt": 1}]}})] {
        assert!(matches!(refused(json), ParseError::Misplaced { .. }));
    }
    for json in [
        json!({"a": {"$gt": 1, "b": 2}}),
        json!({"a": {"b": {"$gt": 1}}}),
        json!({"a": {"$eq": {"$gt": 1}}}),
        json!({"a": [{"$gt": 1}]}),
        json!({"a": {"$in": [{"$gt": 1}]}}),
        json!({"a": {"$not": {"$gt": 1, "b": 1}}}),
    ] {
        let error = refused(json);
        assert!(
            matches!(&error, ParseError::Mixed { operator, path } if operator == "$gt" && path == "a"),
            "{error}"
        );
    }
}

#[test]
fn operands_have_their_types() {
    for (json, operator) in [
        (json!({"$and": {"a": 1}}), "$and"),
        (json!({"$or": 1}), "$or"),
        (json!({"a": {"$in": 1}}), "$in"),
        (json!({"a": {"$nin": {}}}), "$nin"),
        (json!({"a": {"$exists": "yes"}}), "$exists"),
        (json!({"a": {"$exists": null}}), "$exists"),
        (json!({"a": {"$gt": [1]}}), "$gt"),
        (json!({"a": {"$lte": {}}}), "$lte"),
        (json!({"a": {"$not": 1}}), "$not"),
        (json!({"a": {"$not": {"b": 1}}}), "$not"),
    ] {
        let error = refused(json);
        assert!(
            matches!(&error, ParseError::Operand { operator: found, .. } if found == operator),
            "{error}"
        );
    }
    for json in [json!({"$and": []}), json!({"$or": []}), json!({"$nor": []}), json!({"a": {"$not": {}}})] {
        assert!(matches!(refused(json), ParseError::Empty { .. }));
    }
    for json in [json!(1), json!([]), json!(null), json!({"$and": [1]}), json!({"$or": [{"a": 1}, []]})] {
        assert!(matches!(refused(json), ParseError::NotAnObject { .. }));
    }
    for path in ["", ".a", "a.", "a..b", "a.$b"] {
        assert_eq!(refused(json!({path: 1})), ParseError::Path { path: path.to_owned() });
    }
}

#[test]
fn limits_hold_and_not_before() {
    let nested = |depth: usize| (1..depth).fold(json!({"a": 1}), |inner, _| json!({"$or": [inner]}));
    assert!(mongo(&nested(FILTER_DEPTH_MAX)).is_ok());
    assert_eq!(refused(nested(FILTER_DEPTH_MAX + 1)), ParseError::TooDeep { max: FILTER_DEPTH_MAX });
    let negated = (0..FILTER_DEPTH_MAX).fold(json!({"$gt": 1}), |inner, _| json!({"$not": inner}));
    assert_eq!(refused(json!({"a": negated})), ParseError::TooDeep { max: FILTER_DEPTH_MAX });

    let wide = |nodes: usize| json!({"$or": vec![json!({"a": 1}); nodes - 1]});
    assert_eq!(parsed(wide(FILTER_NODES_MAX)).nodes(), FILTER_NODES_MAX);
    assert_eq!(refused(wide(FILTER_NODES_MAX + 1)), ParseError::TooManyNodes { max: FILTER_NODES_MAX });

    let list = |len: usize| json!({"a": {"$in": vec![1; len]}});
    assert!(mongo(&list(IN_LIST_MAX)).is_ok());
    assert!(
        matches!(refused(list(IN_LIST_MAX + 1)), ParseError::ListTooLong { len, .. } if len == IN_LIST_MAX + 1)
    );

    let deep = (0..80).fold(json!(1), |inner, _| json!([inner]));
    assert!(matches!(refused(json!({"a": deep})), ParseError::ValueTooDeep { .. }));
}

#[test]
fn messages_read_well() {
    assert_eq!(
        refused(json!({"a.b": {"$size": 1}})).to_string(),
        "operator `$size` at `a.b` is not supported"
    );
    assert_eq!(
        refused(json!({"a": {"$in": "x"}})).to_string(),
        "operator `$in` at `a` needs an array of values, not a string"
    );
    assert_eq!(refused(json!({"$or": [1]})).to_string(), "a filter is an object, but `$or` is a number");
}
