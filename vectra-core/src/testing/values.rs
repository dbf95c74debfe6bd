//! Random metadata values.

use proptest::prelude::*;

use crate::value::Value;

/// Arbitrary values, nested a few levels deep, with every number kind and its edges.
pub fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::Float),
        (-3i64..4).prop_map(Value::Int),
        "[a-d]{0,3}".prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5).prop_map(Value::Object),
        ]
    })
}
