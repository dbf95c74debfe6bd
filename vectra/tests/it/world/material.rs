//! Items made from numbers, and the model of an index.

use std::collections::BTreeMap;
use std::sync::Arc;

use vectra::{Item, ItemId, Value};
use vectra_core::testing::oracle::Dice;

use super::DIM;

/// What an index holds, as naively as possible.
pub(crate) type Model = BTreeMap<ItemId, Arc<Item>>;

const TAGS: [&str; 3] = ["red", "green", "blue"];

/// Ids of both common kinds.
pub(crate) fn id(key: u64) -> ItemId {
    if key.is_multiple_of(2) { ItemId::from(key) } else { ItemId::from(format!("key-{key}")) }
}

/// The item that version `version` of a key is; its components are exact in half precision.
pub(crate) fn item(key: u64, version: u64) -> Item {
    let mut dice = Dice::new(key << 20 | version);
    let mut vector: Vec<f32> = (0..DIM).map(|_| (dice.below(128) as f32 - 64.0) / 32.0).collect();
    if vector.iter().all(|x| *x == 0.0) {
        vector[0] = 1.0;
    }
    Item { id: id(key), vector, metadata: metadata(key, version) }
}

/// Metadata that names its version; sometimes there is none.
pub(crate) fn metadata(key: u64, version: u64) -> Value {
    let mut dice = Dice::new(key << 20 | version ^ 0xa5);
    if dice.below(8) == 0 {
        return Value::Null;
    }
    let tag = TAGS[dice.below(TAGS.len())];
    let note = "x".repeat(dice.below(60));
    Value::from([("n", Value::from(version)), ("tag", Value::from(tag)), ("note", Value::from(note))])
}

/// The version that metadata names.
pub(crate) fn version_of(metadata: &Value) -> Option<i64> {
    match metadata.get("n") {
        Some(Value::Int(n)) => Some(*n),
        _ => None,
    }
}
