//! Random documents and filters that meet each other often: few names, few values, every shape.

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::io::Blob;
use vectra_core::{Filter, Value};
use vectra_metadata::{Builder, FieldKind, IndexedField, MetadataView, Schema, Sections};

/// Paths that documents and filters share.
const PATHS: [&str; 8] = ["a", "b", "a.b", "a.a", "a.0", "b.1.a", "a.0.b", "b.c"];

/// A small value, alike across kinds on purpose.
pub(crate) fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2i64..3).prop_map(Value::Int),
        prop::sample::select(vec![0.0, -0.0, 0.5, 1.0, -2.0, 9_007_199_254_740_992.0, 1e300, 1.8e19])
            .prop_map(Value::Float),
        prop::sample::select(vec![i64::MIN, i64::MAX, 9_007_199_254_740_993]).prop_map(Value::Int),
        prop::sample::select(vec![u64::MAX, 1 << 63]).prop_map(Value::from),
        prop::sample::select(vec!["", "x", "xy", "y", "0"]).prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            members(inner.clone()),
            prop::collection::vec(members(inner), 1..3).prop_map(Value::Array),
        ]
    })
}

fn members(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "c", "0"]).prop_map(str::to_owned);
    prop::collection::btree_map(name, inner, 0..4).prop_map(Value::Object)
}

/// Metadata of one item.
pub(crate) fn document() -> impl Strategy<Value = Value> {
    prop_oneof![9 => members(value()), 1 => value()]
}

fn test() -> impl Strategy<Value = Test> {
    let some = || prop_oneof![4 => scalar().boxed(), 1 => value().boxed()];
    prop_oneof![
        3 => some().prop_map(Test::Eq),
        1 => some().prop_map(Test::Gt),
        1 => some().prop_map(Test::Gte),
        1 => some().prop_map(Test::Lt),
        1 => some().prop_map(Test::Lte),
        1 => prop::collection::vec(some(), 0..4).prop_map(Test::In),
        1 => any::<bool>().prop_map(Test::Exists),
    ]
}

/// A filter of any shape.
pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    let field =
        (prop::sample::select(PATHS.to_vec()), test()).prop_map(|(path, test)| Filter::field(path, test));
    field.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

/// Declares some of the paths.
pub(crate) fn schema() -> impl Strategy<Value = Schema> {
    let kind = prop::sample::select(vec![FieldKind::Keyword, FieldKind::Number, FieldKind::Bool]);
    prop::collection::btree_map(prop::sample::select(PATHS.to_vec()), kind, 0..PATHS.len()).prop_map(
        |fields| {
            let fields = fields.into_iter().map(|(path, kind)| IndexedField::new(path, kind)).collect();
            Schema::new(fields).expect("the paths are sane and different")
        },
    )
}

/// The sections of `documents`.
pub(crate) fn sections(schema: &Schema, documents: &[Value]) -> Sections {
    let mut builder = Builder::new(schema);
    documents.iter().for_each(|document| builder.push(document));
    builder.finish().expect("documents are small and finite")
}

/// A view of `sections`.
pub(crate) fn open(sections: &Sections, row_count: usize) -> MetadataView {
    let [rows, dictionary, indexes] =
        [&sections.rows, &sections.dictionary, &sections.indexes].map(|bytes| Blob::copy_of(bytes));
    MetadataView::open(rows, dictionary, indexes, row_count as u32).expect("own sections")
}
