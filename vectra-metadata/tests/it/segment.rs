//! A sealed segment answers as the reference does.

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};
use vectra_metadata::{BuildError, Builder, FieldKind, IndexedField, ReadError, Schema, matches};

use crate::documents::{document, filter, open, schema, sections};

fn expected(filter: &Filter, documents: &[Value]) -> Vec<u32> {
    (0..).zip(documents).filter(|(_, document)| matches(filter, document)).map(|(slot, _)| slot).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn filters_answer_as_the_reference(
        schema in schema(),
        documents in prop::collection::vec(document(), 0..24),
        filters in prop::collection::vec(filter(), 1..6),
    ) {
        let view = open(&sections(&schema, &documents), documents.len());
        for filter in filters {
            let answer = view.filter(&filter).expect("own sections");
            let expected = expected(&filter, &documents);
            prop_assert_eq!(answer.bits.iter().collect::<Vec<_>>(), expected.clone(), "{:?}", filter);
            let estimate = view.estimate(&filter);
            let count = expected.len() as u32;
            prop_assert!(estimate.min <= count && count <= estimate.max, "{estimate:?} {count} {filter:?}");
            prop_assert!(estimate.min <= estimate.likely && estimate.likely <= estimate.max, "{estimate:?}");
            if answer.evaluated == 0 && !documents.is_empty() && schema.fields().is_empty() {
                prop_assert!(estimate.is_exact());
            }
        }
    }

    #[test]
    fn rows_come_back(documents in prop::collection::vec(document(), 0..40)) {
        let view = open(&sections(&Schema::default(), &documents), documents.len());
        for (slot, document) in (0..).zip(&documents) {
            prop_assert_eq!(&view.get(slot).expect("own sections"), document);
        }
        let past = documents.len() as u32;
        prop_assert_eq!(view.get(past), Err(ReadError::NoSuchSlot { slot: past, row_count: past }));
    }
}

/// Enough rows for several blocks, shared strings and a trained dictionary.
fn catalogue(rows: i64) -> Vec<Value> {
    (0..rows)
        .map(|i| {
            let color = ["red", "green", "blue"][(i % 3) as usize];
            let mut row = vec![
                ("name".to_owned(), Value::from(format!("item-{i:06}-{}", i * 7919 % 1000))),
                ("color".to_owned(), Value::from(color)),
                ("price".to_owned(), Value::Float(i as f64 / 4.0)),
                ("sold".to_owned(), Value::from(i % 10 == 0)),
                ("sizes".to_owned(), Value::from(vec![Value::from(i % 5), Value::from(-i)])),
            ];
            if i % 7 == 0 {
                row.push(("price".to_owned(), Value::from("on request")));
            }
            Value::Object(row.into_iter().collect())
        })
        .collect()
}

fn catalogue_schema() -> Schema {
    let fields = [("color", FieldKind::Keyword), ("price", FieldKind::Number), ("sold", FieldKind::Bool)];
    let fields = fields.map(|(path, kind)| IndexedField::new(path, kind));
    Schema::new(fields.to_vec()).expect("sane")
}

#[test]
fn large_segments_are_read_at_random_and_as_a_whole() {
    let rows = catalogue(20_000);
    let built = sections(&catalogue_schema(), &rows);
    assert_eq!(built, sections(&catalogue_schema(), &rows), "equal rows give equal bytes");
    let view = open(&built, rows.len());
    for slot in [0, 1, 1023, 1024, 12_345, 19_999, 0] {
        assert_eq!(view.get(slot).as_ref(), Ok(&rows[slot as usize]), "{slot}");
    }
    let last = Filter::field("sizes", Test::Eq(Value::from(-19_999)));
    let answer = view.filter(&last).expect("own sections");
    assert_eq!((answer.bits.iter().collect::<Vec<_>>(), answer.evaluated), (vec![19_999], 20_000));
}

#[test]
fn only_open_rows_are_looked_at() {
    let rows = catalogue(2100);
    let view = open(&sections(&catalogue_schema(), &rows), rows.len());
    let count = |filter: &Filter| {
        let answer = view.filter(filter).expect("own sections");
        assert_eq!(answer.bits.iter().collect::<Vec<_>>(), expected(filter, &rows), "{filter:?}");
        (answer.bits.count(), answer.evaluated)
    };
    let red = Filter::eq("color", "red");
    let cheap = Filter::field("price", Test::Lt(Value::from(10)));
    let asked = Filter::eq("price", "on request");
    let sized = Filter::eq("sizes", 0);
    assert_eq!(count(&red), (700, 0));
    assert_eq!(count(&Filter::And(vec![red.clone(), cheap.clone()])).1, 0, "indexes alone");
    assert_eq!(count(&asked), (300, 300), "only the rows that the number index does not hold");
    assert_eq!(
        count(&Filter::And(vec![asked.clone(), red.clone()])),
        (100, 100),
        "and only red ones of them"
    );
    assert_eq!(count(&Filter::And(vec![sized.clone(), red.clone()])).1, 700, "the index goes first");
    assert_eq!(
        count(&Filter::Or(vec![sized.clone(), red.clone()])).1,
        1400,
        "what is found is not asked again"
    );
    assert_eq!(count(&Filter::And(vec![sized.clone(), sized.clone().not()])), (0, 2100), "once for both");
    assert_eq!(count(&Filter::eq("color", 5)).1, 0, "no number in that field");

    assert!(view.estimate(&Filter::And(vec![red.clone(), cheap])).is_exact());
    let mixed = view.estimate(&Filter::And(vec![sized, red]));
    assert_eq!((mixed.min, mixed.max, mixed.likely), (0, 700, 70));
    let asked = view.estimate(&asked);
    assert_eq!((asked.min, asked.max, asked.likely), (0, 300, 30));
}

#[test]
fn statistics_describe_the_fields() {
    let rows = catalogue(2100);
    let view = open(&sections(&catalogue_schema(), &rows), rows.len());
    let stats = view.stats().expect("own sections");
    let [color, price, sold] = stats.as_slice() else { panic!("three fields, not {}", stats.len()) };
    assert_eq!((color.present, color.nullish, color.uncovered, color.distinct), (2100, 0, 0, 3));
    assert_eq!(color.top[0], (Value::from("blue"), 700));
    assert_eq!((price.present, price.uncovered, price.distinct), (2100, 300, 1800));
    assert_eq!(
        (price.min.clone(), price.max.clone()),
        (Some(Value::Float(0.25)), Some(Value::Float(524.75)))
    );
    assert_eq!(price.quantiles.len(), 17);
    assert!(
        price
            .quantiles
            .windows(2)
            .all(|pair| pair[0].compare(&pair[1]).is_some_and(std::cmp::Ordering::is_lt))
    );
    assert_eq!(sold.top, [(Value::from(false), 1890), (Value::from(true), 210)]);
}

#[test]
fn a_large_row_has_its_block_and_an_impossible_one_is_refused() {
    let large = Value::from([("text", Value::from("lorem ipsum ".repeat(20_000)))]);
    let rows = [Value::from(1), large, Value::from(2)];
    let view = open(&sections(&Schema::default(), &rows), 3);
    for (slot, row) in (0..).zip(&rows) {
        assert_eq!(view.get(slot).as_ref(), Ok(row));
    }
    let mut builder = Builder::new(&Schema::default());
    builder.push(&Value::Null);
    builder.push(&Value::Float(f64::NAN));
    builder.push(&Value::Null);
    assert!(matches!(builder.finish(), Err(BuildError::Row { slot: 1, .. })));
}

#[test]
fn objects_with_ever_new_keys_stay_readable() {
    let rows: Vec<Value> = (0..500)
        .map(|i| {
            Value::Object(
                (0..40).map(|k| (format!("key-{i}-{k}"), Value::from(vec![Value::from(k)]))).collect(),
            )
        })
        .collect();
    let view = open(&sections(&Schema::default(), &rows), rows.len());
    for slot in [0, 250, 499] {
        assert_eq!(view.get(slot).as_ref(), Ok(&rows[slot as usize]));
    }
}
