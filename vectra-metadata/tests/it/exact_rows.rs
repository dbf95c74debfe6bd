//! Rows come back exactly as they went in, whatever block they end up in.

use proptest::prelude::*;
use vectra_core::Value;
use vectra_core::codec::{Writer, digest, encode_value};
use vectra_core::testing::any_value;
use vectra_metadata::Schema;

use crate::documents::{document, open, sections};

/// Values with their kinds and signs, to which equality is blind.
fn exactly(value: &Value) -> String {
    format!("{value:?}")
}

/// A string whose encoding has `bytes` bytes.
fn of_encoded_size(bytes: usize) -> Value {
    let size = |value: &Value| {
        let mut w = Writer::new();
        encode_value(value, &mut w);
        w.len()
    };
    let text = "abcdefghij".repeat(bytes / 10 + 1);
    let cut = (0..=10).map(|less| Value::from(&text[..bytes - less]));
    cut.into_iter().find(|value| size(value) == bytes).expect("a length takes at most four bytes")
}

fn comes_back(rows: &[Value]) {
    let view = open(&sections(&Schema::default(), rows), rows.len());
    for (slot, row) in (0..).zip(rows) {
        assert_eq!(exactly(&view.get(slot).expect("own sections")), exactly(row), "slot {slot}");
    }
}

#[test]
fn rows_around_the_size_of_a_block() {
    const BLOCK: usize = 64 << 10;
    for size in [BLOCK - 1, BLOCK, BLOCK + 1] {
        let row = of_encoded_size(size);
        comes_back(std::slice::from_ref(&row));
        comes_back(&[Value::from(1), row.clone(), Value::from(2), row.clone(), row]);
    }
    // Together exactly a block, one byte less, one byte more.
    for second in [BLOCK / 2 - 1, BLOCK / 2, BLOCK / 2 + 1] {
        comes_back(&[of_encoded_size(BLOCK / 2), of_encoded_size(second), Value::Null]);
    }
}

#[test]
fn many_tiny_rows_fill_blocks_by_number() {
    for count in [1, 1023, 1024, 1025, 5000] {
        let rows: Vec<Value> =
            (0..count).map(|i| [Value::Null, Value::from(i % 2 == 0)][i % 2].clone()).collect();
        let view = open(&sections(&Schema::default(), &rows), rows.len());
        for slot in [0, 1 % count, count / 2, count.saturating_sub(2), count - 1] {
            assert_eq!(view.get(slot as u32).as_ref(), Ok(&rows[slot]), "{slot} of {count}");
        }
        assert!(view.get(count as u32).is_err());
    }
}

/// Noise does not compress, and no dictionary helps: blocks are stored as they are.
#[test]
fn noise_is_kept_as_it_is() {
    let noise = |i: u64| {
        let word = |j: u64| format!("{:?}", digest(&(i * 1000 + j).to_le_bytes()).to_le_bytes());
        Value::from((0..20).map(word).collect::<String>())
    };
    let rows: Vec<Value> =
        (0..200).map(|i| Value::from([("noise", noise(i)), ("n", Value::from(i))])).collect();
    comes_back(&rows);
}

/// Rows that are alike are kept apart where they differ in kind alone.
#[test]
fn kinds_that_look_alike_stay_apart() {
    let alike = [
        Value::from(0),
        Value::Float(0.0),
        Value::Float(-0.0),
        Value::from(""),
        Value::Null,
        Value::from(false),
        Value::from(vec![]),
        Value::object(),
        Value::from("0"),
        Value::from(1),
        Value::Float(1.0),
        Value::from(true),
        Value::from(i64::MAX),
        Value::from(i64::MAX as u64 + 1),
        Value::from(u64::MAX),
        Value::from(i64::MIN),
        Value::Float(f64::MAX),
        Value::Float(f64::from_bits(1)),
    ];
    comes_back(&alike);
    let nested: Vec<Value> = alike.iter().map(|value| Value::from([("v", value.clone())])).collect();
    comes_back(&nested);
    let lists: Vec<Value> = (0..40)
        .map(|i| Value::from(alike.iter().cycle().skip(i).take(i % 7).cloned().collect::<Vec<_>>()))
        .collect();
    comes_back(&lists);
    // Often enough that every text is a shared one.
    comes_back(&[nested.clone(), nested.clone(), nested].concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_rows(wild in prop::collection::vec(any_value(), 0..30), tame in prop::collection::vec(document(), 0..30)) {
        let rows = [wild, tame].concat();
        let built = sections(&Schema::default(), &rows);
        let view = open(&built, rows.len());
        for (slot, row) in (0..).zip(&rows) {
            prop_assert_eq!(exactly(&view.get(slot).expect("own sections")), exactly(row));
        }
        prop_assert_eq!(built, sections(&Schema::default(), &rows), "equal rows give equal bytes");
    }
}
