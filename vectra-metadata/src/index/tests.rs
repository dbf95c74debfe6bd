use vectra_core::Value;
use vectra_core::filter::Test;
use vectra_core::io::Blob;

use super::*;
use crate::schema::{FieldKind, IndexedField};

fn index(kind: FieldKind, values: &[Value]) -> FieldIndex {
    let mut builder = FieldBuilder::new(&IndexedField::new("v", kind));
    for (slot, value) in (0..).zip(values) {
        builder.push(slot, &Value::from([("v", value.clone())]));
    }
    let section = write_indexes(&[builder]).expect("small");
    let mut read = read_indexes(&Blob::copy_of(&section), values.len() as u32).expect("own section");
    read.pop().expect("one field")
}

fn found(index: &FieldIndex, test: &Test) -> (Vec<u32>, bool) {
    let answer = index.answer(test).expect("own section");
    (answer.bits.iter().collect(), answer.open)
}

#[test]
fn strings_are_found_by_value_and_range() {
    let index = index(FieldKind::Keyword, &["b", "d", "a", "b", "c"].map(Value::from));
    for (test, slots) in [
        (Test::Eq("b".into()), vec![0, 3]),
        (Test::Eq("bb".into()), vec![]),
        (Test::Lt("c".into()), vec![0, 2, 3]),
        (Test::Lte("c".into()), vec![0, 2, 3, 4]),
        (Test::Gt("bb".into()), vec![1, 4]),
        (Test::Gte("".into()), vec![0, 1, 2, 3, 4]),
        (Test::In(vec!["a".into(), "z".into(), "d".into()]), vec![1, 2]),
        (Test::Eq(Value::Null), vec![]),
        (Test::Exists(true), vec![0, 1, 2, 3, 4]),
        (Test::Exists(false), vec![]),
    ] {
        assert_eq!(found(&index, &test), (slots, false), "{test:?}");
    }
}

#[test]
fn numbers_of_all_kinds_are_found_by_value_and_range() {
    let wide = [Value::from(3), Value::Float(2.5), Value::from(u64::MAX), Value::from(-7), Value::Float(3.0)];
    let index = index(FieldKind::Number, &wide);
    for (test, slots) in [
        (Test::Eq(Value::from(3)), vec![0, 4]),
        (Test::Gt(Value::Float(2.5)), vec![0, 2, 4]),
        (Test::Gte(Value::Float(2.5)), vec![0, 1, 2, 4]),
        (Test::Lt(Value::from(3)), vec![1, 3]),
        (Test::Lte(Value::from(3)), vec![0, 1, 3, 4]),
        (Test::Gt(Value::Float(1e19)), vec![2]),
        (Test::Eq(Value::from(4)), vec![]),
    ] {
        assert_eq!(found(&index, &test), (slots, false), "{test:?}");
    }
}

#[test]
fn near_integers_are_stored_narrow() {
    let near: Vec<Value> = (0..1000).map(|i| Value::from(i64::MAX - 5000 + i)).collect();
    let far: Vec<Value> = (0..1000_i64).map(|i| Value::from(i << 33)).collect();
    let size = |values: &[Value]| {
        let mut builder = FieldBuilder::new(&IndexedField::new("v", FieldKind::Number));
        values.iter().zip(0..).for_each(|(v, slot)| builder.push(slot, &Value::from([("v", v.clone())])));
        write_indexes(&[builder]).expect("small").len()
    };
    assert_eq!(size(&far) - size(&near), 1000 * 5 - 8, "nine bytes instead of four, but no base");
    let index = index(FieldKind::Number, &near);
    assert_eq!(found(&index, &Test::Lt(Value::from(i64::MAX - 4998))).0, [0, 1]);
}

#[test]
fn booleans_are_ordered_too() {
    let index = index(FieldKind::Bool, &[true, false, true].map(Value::from));
    assert_eq!(found(&index, &Test::Eq(true.into())), (vec![0, 2], false));
    assert_eq!(found(&index, &Test::Lt(true.into())), (vec![1], false));
    assert_eq!(found(&index, &Test::Gte(false.into())), (vec![0, 1, 2], false));
    assert_eq!(found(&index, &Test::Gt(true.into())), (vec![], false));
}

#[test]
fn what_is_not_covered_is_left_open_only_where_it_matters() {
    let values =
        [Value::from("x"), Value::from(1), Value::Null, Value::from(vec![Value::from("x"), Value::from(2)])];
    let index = index(FieldKind::Keyword, &values);
    assert_eq!(index.coverage.uncovered.iter().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(found(&index, &Test::Eq("x".into())), (vec![0, 3], false), "all strings are covered");
    assert_eq!(found(&index, &Test::Eq(Value::Null)), (vec![2], false), "nulls too");
    assert_eq!(found(&index, &Test::Gte(Value::Null)), (vec![2], false));
    assert_eq!(found(&index, &Test::Eq(1.into())), (vec![], true), "numbers are not");
    assert_eq!(found(&index, &Test::Gt(0.into())), (vec![], true));
    assert_eq!(found(&index, &Test::In(vec!["x".into(), 2.into()])), (vec![0, 3], true));
    assert_eq!(found(&index, &Test::Eq(vec![Value::from(1)].into())), (vec![], true));
    assert_eq!(
        found(&index, &Test::Gt(vec![Value::from(1)].into())),
        (vec![], false),
        "arrays have no order"
    );
    assert_eq!(found(&index, &Test::Exists(true)), (vec![0, 1, 2, 3], false));
}

#[test]
fn missing_values_and_empty_paths_differ() {
    let mut builder = FieldBuilder::new(&IndexedField::new("a.b", FieldKind::Number));
    let rows = [
        Value::object(),
        Value::from([("a", Value::from(vec![]))]),
        Value::from([("a", Value::from(vec![Value::object(), Value::from([("b", Value::from(1))])]))]),
    ];
    (0..).zip(&rows).for_each(|(slot, row)| builder.push(slot, row));
    let section = write_indexes(&[builder]).expect("small");
    let read = read_indexes(&Blob::copy_of(&section), 3).expect("own section");
    assert_eq!(found(&read[0], &Test::Eq(Value::Null)), (vec![0, 2], false), "an empty array offers nothing");
    assert_eq!(found(&read[0], &Test::Exists(true)), (vec![2], false));
    assert_eq!(found(&read[0], &Test::Eq(1.into())), (vec![2], false));
}

/// One index of each kind with answers of every shape: lists, bitmaps, runs.
fn section_of_all_kinds() -> Vec<u8> {
    let kinds = [("k", FieldKind::Keyword), ("n", FieldKind::Number), ("b", FieldKind::Bool)];
    let mut builders = kinds.map(|(path, kind)| FieldBuilder::new(&IndexedField::new(path, kind)));
    for slot in 0..200_u32 {
        let i = i64::from(slot);
        let k = if i < 100 { Value::from("common") } else { Value::from(format!("rare {}", i % 30)) };
        let n = if i % 9 == 0 { Value::Float(i as f64 / 2.0) } else { Value::from(i * 1000) };
        let b = if i % 50 == 0 { Value::Null } else { Value::from(i % 3 == 0) };
        let row = Value::from([("k", k), ("n", n), ("b", b)]);
        builders.iter_mut().for_each(|builder| builder.push(slot, &row));
    }
    write_indexes(&builders).expect("small")
}

#[test]
fn every_flipped_byte_is_an_error_or_an_answer() {
    let good = section_of_all_kinds();
    let tests = [
        Test::Eq("common".into()),
        Test::Gt("rare 3".into()),
        Test::Lte(50_000.into()),
        Test::In(vec![1000.into(), Value::Float(4.5), true.into(), Value::Null]),
        Test::Gte(false.into()),
        Test::Exists(false),
    ];
    let mut refused = 0;
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            let Ok(indexes) = read_indexes(&Blob::copy_of(&bytes), 200) else {
                refused += 1;
                continue;
            };
            for index in &indexes {
                tests.iter().for_each(|test| _ = index.answer(test));
                _ = index.stats();
            }
        }
    }
    assert!(refused > 100, "directories, lengths and bitmaps are checked on opening: {refused}");
}

#[test]
fn fewer_rows_than_slots_are_refused() {
    let section = Blob::copy_of(&section_of_all_kinds());
    assert!(read_indexes(&section, 200).is_ok());
    assert!(read_indexes(&section, 199).is_err(), "the coverage names slot 199");
}

#[test]
fn runs_of_slots_take_little_room() {
    let mut builder = FieldBuilder::new(&IndexedField::new("v", FieldKind::Keyword));
    for slot in 0..50_000 {
        builder.push(slot, &Value::from([("v", Value::from(if slot < 30_000 { "one" } else { "two" }))]));
    }
    let section = write_indexes(&[builder]).expect("small");
    assert!(section.len() < 300, "{} bytes", section.len());
    let index =
        read_indexes(&Blob::copy_of(&section), 50_000).expect("own section").pop().expect("one field");
    assert_eq!(index.answer(&Test::Eq("two".into())).expect("own section").bits.count(), 20_000);
}
