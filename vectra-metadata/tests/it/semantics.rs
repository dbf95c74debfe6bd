//! The meaning of filters, case by case: (filter, documents that match, documents that do not).

use serde_json::{Value as Json, json};
use vectra_metadata::{Schema, matches, parse, value_from_json};

use crate::documents::{open, sections};

type Case = (Json, Vec<Json>, Vec<Json>);

fn equality() -> Vec<Case> {
    vec![
        (json!({}), vec![json!({}), json!({"a": 1})], vec![]),
        (
            json!({"a": 1}),
            vec![json!({"a": 1}), json!({"a": 1.0})],
            vec![json!({"a": 2}), json!({"a": "1"}), json!({})],
        ),
        (json!({"a": {"$eq": "x"}}), vec![json!({"a": "x"})], vec![json!({"a": "X"}), json!({"a": ["y"]})]),
        (json!({"a": true}), vec![json!({"a": true})], vec![json!({"a": 1}), json!({"a": "true"})]),
        (
            json!({"a": 0}),
            vec![json!({"a": 0}), json!({"a": -0.0})],
            vec![json!({"a": false}), json!({"a": null})],
        ),
        (
            json!({"a": 9_007_199_254_740_993_u64}),
            vec![json!({"a": 9_007_199_254_740_993_u64})],
            vec![json!({"a": 9_007_199_254_740_992.0})],
        ),
        (json!({"a": u64::MAX}), vec![json!({"a": u64::MAX})], vec![json!({"a": 1.8e19}), json!({"a": -1})]),
        (
            json!({"a": 1, "b": 2}),
            vec![json!({"a": 1, "b": 2})],
            vec![json!({"a": 1}), json!({"a": 1, "b": 3})],
        ),
        (json!({"a": ""}), vec![json!({"a": ""})], vec![json!({}), json!({"a": null})]),
        (
            json!({"a": {"b": 1, "c": 2}}),
            vec![
                json!({"a": {"b": 1, "c": 2}}),
                json!({"a": {"c": 2, "b": 1}}),
                json!({"a": [{"b": 1, "c": 2}]}),
            ],
            vec![json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2, "d": 3}})],
        ),
        (json!({"a": {}}), vec![json!({"a": {}})], vec![json!({"a": {"b": 1}}), json!({"a": []}), json!({})]),
    ]
}

fn null_and_missing() -> Vec<Case> {
    vec![
        (
            json!({"a": null}),
            vec![json!({"a": null}), json!({}), json!({"b": 1})],
            vec![json!({"a": 0}), json!({"a": ""})],
        ),
        (json!({"a": null}), vec![json!({"a": [1, null]})], vec![json!({"a": []}), json!({"a": [[]]})]),
        (
            json!({"a.b": null}),
            vec![json!({"a": {}}), json!({"a": 5}), json!({}), json!({"a": null})],
            vec![json!({"a": {"b": 1}})],
        ),
        (
            json!({"a.b": null}),
            vec![json!({"a": [{"b": 1}, {}]})],
            vec![json!({"a": []}), json!({"a": [1, 2]}), json!({"a": [{"b": 1}]})],
        ),
        (
            json!({"a": {"$ne": null}}),
            vec![json!({"a": 0}), json!({"a": []})],
            vec![json!({}), json!({"a": null}), json!({"a": [null]})],
        ),
        (
            json!({"a": {"$exists": true}}),
            vec![json!({"a": null}), json!({"a": []}), json!({"a": 0})],
            vec![json!({}), json!({"b": 1})],
        ),
        (
            json!({"a": {"$exists": false}}),
            vec![json!({}), json!({"b": 1})],
            vec![json!({"a": null}), json!({"a": []})],
        ),
        (
            json!({"a.b": {"$exists": true}}),
            vec![json!({"a": {"b": null}}), json!({"a": [{}, {"b": 1}]})],
            vec![json!({"a": 1}), json!({"a": [1]}), json!({"a": [{}]})],
        ),
        (
            json!({"a.b": {"$exists": false}}),
            vec![json!({"a": []}), json!({"a": 1}), json!({"a": {}})],
            vec![json!({"a": [{"b": 1}, {}]})],
        ),
        (
            json!({"a": {"$eq": null, "$exists": true}}),
            vec![json!({"a": null})],
            vec![json!({}), json!({"a": 1})],
        ),
    ]
}

fn null_as_bound_and_in_lists() -> Vec<Case> {
    vec![
        (
            json!({"a": {"$gte": null}}),
            vec![json!({"a": null}), json!({})],
            vec![json!({"a": 0}), json!({"a": "x"})],
        ),
        (
            json!({"a": {"$lte": null}}),
            vec![json!({"a": null}), json!({}), json!({"a": [null]})],
            vec![json!({"a": -1})],
        ),
        (json!({"a": {"$gt": null}}), vec![], vec![json!({"a": null}), json!({}), json!({"a": 1})]),
        (json!({"a": {"$lt": null}}), vec![], vec![json!({"a": null}), json!({}), json!({"a": false})]),
        (
            json!({"a": {"$in": [null, 1]}}),
            vec![json!({}), json!({"a": null}), json!({"a": 1})],
            vec![json!({"a": 2}), json!({"a": []})],
        ),
        (
            json!({"a": {"$nin": [null, 1]}}),
            vec![json!({"a": 2}), json!({"a": []})],
            vec![json!({}), json!({"a": null}), json!({"a": [1, 2]})],
        ),
    ]
}

fn order() -> Vec<Case> {
    vec![
        (
            json!({"a": {"$gt": 1}}),
            vec![json!({"a": 2}), json!({"a": 1.5}), json!({"a": u64::MAX})],
            vec![json!({"a": 1}), json!({"a": "2"}), json!({}), json!({"a": null}), json!({"a": true})],
        ),
        (json!({"a": {"$gte": 1}}), vec![json!({"a": 1}), json!({"a": 1.0})], vec![json!({"a": 0.999})]),
        (
            json!({"a": {"$lt": 1}}),
            vec![json!({"a": 0}), json!({"a": -1e300}), json!({"a": i64::MIN})],
            vec![json!({"a": 1}), json!({"a": null}), json!({})],
        ),
        (
            json!({"a": {"$lte": 1}}),
            vec![json!({"a": 1}), json!({"a": 0.5})],
            vec![json!({"a": 1.01}), json!({"a": false})],
        ),
        (
            json!({"a": {"$gt": "b"}}),
            vec![json!({"a": "ba"}), json!({"a": "c"})],
            vec![json!({"a": "b"}), json!({"a": "B"}), json!({"a": 5})],
        ),
        (
            json!({"a": {"$lte": "b"}}),
            vec![json!({"a": ""}), json!({"a": "b"})],
            vec![json!({"a": "ba"}), json!({})],
        ),
        (json!({"a": {"$gt": false}}), vec![json!({"a": true})], vec![json!({"a": false}), json!({"a": 1})]),
        (
            json!({"a": {"$lt": true}}),
            vec![json!({"a": false})],
            vec![json!({"a": true}), json!({"a": 0}), json!({})],
        ),
        (
            json!({"a": {"$gte": 2, "$lte": 4}}),
            vec![json!({"a": 2}), json!({"a": 3}), json!({"a": 4})],
            vec![json!({"a": 1}), json!({"a": 5})],
        ),
        (
            json!({"a": {"$gt": 4, "$lt": 2}}),
            vec![json!({"a": [1, 5]})],
            vec![json!({"a": 3}), json!({"a": [3]})],
        ),
        (
            json!({"a": {"$gt": 9_007_199_254_740_992.0}}),
            vec![json!({"a": 9_007_199_254_740_993_u64})],
            vec![json!({"a": 9_007_199_254_740_992_u64})],
        ),
    ]
}

fn arrays() -> Vec<Case> {
    vec![
        (
            json!({"a": 1}),
            vec![json!({"a": [1, 2]}), json!({"a": [2, 1]})],
            vec![json!({"a": [2]}), json!({"a": []}), json!({"a": [[1]]})],
        ),
        (
            json!({"a": [1, 2]}),
            vec![json!({"a": [1, 2]}), json!({"a": [[1, 2], 3]})],
            vec![json!({"a": [2, 1]}), json!({"a": [1, 2, 3]}), json!({"a": 1})],
        ),
        (
            json!({"a": []}),
            vec![json!({"a": []}), json!({"a": [[]]})],
            vec![json!({"a": [1]}), json!({}), json!({"a": null})],
        ),
        (json!({"a": [1]}), vec![json!({"a": [1.0]}), json!({"a": [0, [1]]})], vec![json!({"a": 1})]),
        (
            json!({"a": {"$ne": 1}}),
            vec![json!({"a": [2]}), json!({"a": []}), json!({})],
            vec![json!({"a": [1, 2]}), json!({"a": 1})],
        ),
        (json!({"a": {"$gt": 5}}), vec![json!({"a": [1, 9]})], vec![json!({"a": [1, 5]}), json!({"a": []})]),
        (
            json!({"a": {"$in": [1, "x"]}}),
            vec![json!({"a": "x"}), json!({"a": [3, 1]})],
            vec![json!({"a": [3]}), json!({"a": "1"}), json!({})],
        ),
        (
            json!({"a": {"$in": [[1, 2]]}}),
            vec![json!({"a": [1, 2]}), json!({"a": [[1, 2]]})],
            vec![json!({"a": [1]}), json!({"a": 1})],
        ),
        (json!({"a": {"$in": []}}), vec![], vec![json!({}), json!({"a": 1}), json!({"a": []})]),
        (json!({"a": {"$nin": []}}), vec![json!({}), json!({"a": 1})], vec![]),
        (
            json!({"a": {"$nin": [1, 2]}}),
            vec![json!({"a": 3}), json!({}), json!({"a": "1"})],
            vec![json!({"a": 2}), json!({"a": [3, 2]})],
        ),
    ]
}

fn paths() -> Vec<Case> {
    vec![
        (
            json!({"a.b": 1}),
            vec![json!({"a": {"b": 1}}), json!({"a": {"b": [1]}})],
            vec![json!({"a": {"c": 1}}), json!({"a": 1}), json!({})],
        ),
        (
            json!({"a.b": 1}),
            vec![json!({"a": [{"b": 2}, {"b": 1}]})],
            vec![json!({"a": [{"b": 2}]}), json!({"a": [[{"b": 1}]]}), json!({"a": [1]})],
        ),
        (
            json!({"a.b.c": 1}),
            vec![json!({"a": {"b": {"c": 1}}}), json!({"a": [{"b": [{"c": 1}]}]})],
            vec![json!({"a": {"b": 1}}), json!({"a": {"b": {"c": 2}}})],
        ),
        (
            json!({"a.0": 7}),
            vec![json!({"a": [7, 8]}), json!({"a": {"0": 7}}), json!({"a": [{"0": 7}]})],
            vec![json!({"a": [8, 7]}), json!({"a": 7}), json!({"a": [[7]]})],
        ),
        (
            json!({"a.1": {"$gt": 5}}),
            vec![json!({"a": [0, 6]})],
            vec![json!({"a": [6, 0]}), json!({"a": [6]})],
        ),
        (
            json!({"a.1": [2, 4]}),
            vec![json!({"a": [5, [2, 4]]})],
            vec![json!({"a": [5, [4]]}), json!({"a": [2, 4]})],
        ),
        (
            json!({"a.1.b": 4}),
            vec![json!({"a": [5, {"b": 4}]}), json!({"a": [5, [{"b": 4}]]})],
            vec![json!({"a": [{"b": 4}, 5]})],
        ),
        (json!({"a.0.0": 7}), vec![json!({"a": [[7]]})], vec![json!({"a": [7]}), json!({"a": [[8, 7]]})]),
        (
            json!({"a.5": {"$exists": true}}),
            vec![json!({"a": [1, 2, 3, 4, 5, 6]})],
            vec![json!({"a": [1]}), json!({"a": []})],
        ),
        (json!({"a.0": {"$exists": false}}), vec![json!({"a": []}), json!({})], vec![json!({"a": [null]})]),
        (json!({"a.00": 7}), vec![json!({"a": {"00": 7}})], vec![json!({"a": [7]})]),
        (
            json!({"a.b": {"$ne": 1}}),
            vec![json!({"a": [{"b": 2}]}), json!({}), json!({"a": []})],
            vec![json!({"a": [{"b": 2}, {"b": 1}]})],
        ),
        (
            json!({"a.b": {"$gt": 1, "$lt": 3}}),
            vec![json!({"a": [{"b": 0}, {"b": 2}]}), json!({"a": [{"b": 0}, {"b": 5}]})],
            vec![json!({"a": [{"b": 1}, {"b": 0}]})],
        ),
    ]
}

fn logic() -> Vec<Case> {
    vec![
        (
            json!({"$and": [{"a": 1}, {"b": 2}]}),
            vec![json!({"a": 1, "b": 2})],
            vec![json!({"a": 1}), json!({"b": 2})],
        ),
        (
            json!({"$or": [{"a": 1}, {"b": 2}]}),
            vec![json!({"a": 1}), json!({"b": 2})],
            vec![json!({"a": 2}), json!({})],
        ),
        (
            json!({"$nor": [{"a": 1}, {"b": 2}]}),
            vec![json!({}), json!({"a": 2})],
            vec![json!({"a": 1}), json!({"b": 2})],
        ),
        (
            json!({"a": {"$not": {"$gt": 5}}}),
            vec![json!({"a": 5}), json!({}), json!({"a": "x"}), json!({"a": []})],
            vec![json!({"a": 6}), json!({"a": [1, 6]})],
        ),
        (
            json!({"a": {"$not": {"$gte": 2, "$lte": 4}}}),
            vec![json!({"a": 1}), json!({"a": 5}), json!({})],
            vec![json!({"a": 3})],
        ),
        (
            json!({"a": {"$not": {"$not": {"$eq": 1}}}}),
            vec![json!({"a": 1})],
            vec![json!({}), json!({"a": 2})],
        ),
        (json!({"a": {"$not": {"$exists": true}}}), vec![json!({})], vec![json!({"a": null})]),
        (
            json!({"c": 3, "$or": [{"a": 1}, {"b": 2}]}),
            vec![json!({"c": 3, "b": 2})],
            vec![json!({"c": 3}), json!({"a": 1})],
        ),
        (
            json!({"$or": [{"$and": [{"a": 1}, {"b": 1}]}, {"$nor": [{"a": 1}]}]}),
            vec![json!({"a": 1, "b": 1}), json!({"a": 2})],
            vec![json!({"a": 1, "b": 2})],
        ),
        (
            json!({"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
            vec![json!({"a": 3}), json!({"a": [0, 9]})],
            vec![json!({"a": 7})],
        ),
        (json!({"$or": [{}, {"a": 1}]}), vec![json!({}), json!({"a": 2})], vec![]),
        (json!({"$nor": [{}]}), vec![], vec![json!({}), json!({"a": 1})]),
        (json!({"a": 1}), vec![], vec![json!(1), json!("a"), json!([{"a": 1}]), json!(null)]),
    ]
}

fn check(cases: Vec<Case>) -> usize {
    let checks = cases.len();
    for (filter, matching, others) in cases {
        let parsed = parse::mongo(&filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        let rows: Vec<_> = matching
            .iter()
            .chain(&others)
            .map(|row| value_from_json(row.clone()).expect("plain JSON"))
            .collect();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(matches(&parsed, row), at < matching.len(), "{filter} on {row:?}");
        }
        let answer =
            open(&sections(&Schema::default(), &rows), rows.len()).filter(&parsed).expect("own sections");
        assert_eq!(
            answer.bits.iter().collect::<Vec<_>>(),
            (0..matching.len() as u32).collect::<Vec<_>>(),
            "{filter}"
        );
    }
    checks
}

#[test]
fn values_equal_by_type_and_value() {
    assert!(check(equality()) >= 11);
}

#[test]
fn null_is_missing_too_and_exists_tells() {
    assert!(check(null_and_missing()) >= 10);
    assert!(check(null_as_bound_and_in_lists()) >= 6);
}

#[test]
fn order_stays_within_a_type() {
    assert!(check(order()) >= 11);
}

#[test]
fn arrays_match_by_element_and_as_a_whole() {
    assert!(check(arrays()) >= 11);
}

#[test]
fn paths_go_through_objects_and_arrays() {
    assert!(check(paths()) >= 13);
}

#[test]
fn logic_joins_filters() {
    assert!(check(logic()) >= 13);
}
