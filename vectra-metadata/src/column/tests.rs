use proptest::prelude::*;
use vectra_core::Value;
use vectra_core::codec::{DecodeError, Writer, encode_value};
use vectra_core::testing::any_value;

use super::*;

fn value_len(rows: &[Value]) -> usize {
    let mut w = Writer::new();
    rows.iter().for_each(|row| encode_value(row, &mut w));
    w.len()
}

fn shared_of(rows: &[Value]) -> SharedStrings {
    let mut counter = SharedCounter::default();
    rows.iter().for_each(|row| counter.count(row));
    counter.finish()
}

fn read(
    bytes: &[u8],
    value_len: usize,
    rows: std::ops::Range<usize>,
    shared: &SharedStrings,
) -> Result<Vec<Value>, DecodeError> {
    let mut found = Vec::new();
    let last = rows.end.max(1) - 1;
    assemble(bytes, value_len, last, shared, None, |row| rows.contains(&row), |_, value| found.push(value))?;
    Ok(found)
}

proptest! {
    #[test]
    fn rows_come_back_whole_and_in_parts(
        rows in prop::collection::vec(any_value(), 1..12), from in any::<prop::sample::Index>()
    ) {
        let shared = shared_of(&rows);
        let read_back = SharedStrings::decode(&shared.encode()).expect("own encoding");
        let len = value_len(&rows);
        if let Some(bytes) = shred(&rows, len, &shared) {
            prop_assert_eq!(&read(&bytes, len, 0..rows.len(), &read_back).expect("own encoding"), &rows);
            let from = from.index(rows.len());
            prop_assert_eq!(
                &read(&bytes, len, from..from + 1, &read_back).expect("own encoding")[..], &rows[from..=from]
            );
        }
    }

    #[test]
    fn total_over_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), len in 0usize..5000) {
        let shared = shared_of(&vec![Value::from("shared"); 3]);
        let _ = read(&bytes, len, 0..10, &shared);
        let _ = SharedStrings::decode(&bytes);
    }

    #[test]
    fn total_over_mutated_columns(
        rows in prop::collection::vec(any_value(), 1..8), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let shared = shared_of(&rows);
        let len = value_len(&rows);
        if let Some(mut bytes) = shred(&rows, len, &shared) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(found) = read(&bytes, len, 0..rows.len(), &shared) {
                prop_assert_eq!(found.len(), rows.len());
            }
        }
    }
}

#[test]
fn numbers_keep_every_bit() {
    let rows = [
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::UInt(u64::MAX),
        Value::Float(-0.0),
        Value::Float(f64::MIN_POSITIVE),
    ];
    let len = value_len(&rows);
    let bytes = shred(&rows, len, &SharedStrings::default()).expect("few members");
    let found = read(&bytes, len, 0..5, &SharedStrings::default()).expect("own encoding");
    assert!(matches!(
        found[..],
        [Value::Int(i64::MIN), Value::Int(i64::MAX), Value::UInt(u64::MAX), Value::Float(z), Value::Float(f64::MIN_POSITIVE)]
            if z == 0.0 && z.is_sign_negative()
    ));
}

#[test]
fn members_that_nobody_asks_for_are_left_out() {
    let row = |i: i64| Value::from([("a", Value::from(i)), ("b", Value::from(vec![Value::from(i)]))]);
    let rows = [row(1), Value::from(5), row(2)];
    let (len, shared) = (value_len(&rows), SharedStrings::default());
    let bytes = shred(&rows, len, &shared).expect("few members");
    let mut found = Vec::new();
    let only = std::collections::BTreeSet::from(["b", "z"]);
    assemble(&bytes, len, 2, &shared, Some(&only), |_| true, |_, value| found.push(value))
        .expect("own encoding");
    let b = |i: i64| Value::from([("b", Value::from(vec![Value::from(i)]))]);
    assert_eq!(found, [b(1), Value::from(5), b(2)]);
}

#[test]
fn frequent_strings_get_small_numbers() {
    let rows: Vec<Value> = ["b", "a", "b", "a", "b", "c", "c", "d", "a", "b"].map(Value::from).to_vec();
    let shared = shared_of(&rows);
    assert_eq!([shared.number("b"), shared.number("a"), shared.number("c")], [Some(0), Some(1), None]);
    assert_eq!([shared.text(0), shared.text(1), shared.text(2)], [Some("b"), Some("a"), None]);
}

#[test]
fn what_columns_would_blow_up_is_left_as_rows() {
    let row = |i: usize| Value::Object((0..50).map(|k| (format!("{i}-{k}"), Value::Null)).collect());
    let rows: Vec<Value> = (0..100).map(row).collect();
    assert!(shred(&rows, value_len(&rows), &SharedStrings::default()).is_none());
}

#[test]
fn few_bytes_cannot_claim_many_values() {
    // An array of 2^40 nulls in a handful of bytes, then strings that each repeat a long one.
    let mut w = Writer::new();
    let mut count = Writer::new();
    count.varint(1 << 40);
    w.u8(ARRAY).u8(HAS_ARRAYS).prefixed(count.as_bytes()).u8(NULL).u8(0);
    assert!(read(w.as_bytes(), 1000, 0..1, &SharedStrings::default()).is_err());

    let mut texts = text::TextWriter::default();
    (0..200).for_each(|_| texts.push(&"x".repeat(100)));
    let mut w = Writer::new();
    w.u8(TEXT).u8(HAS_TEXTS);
    texts.finish(&mut w);
    assert!(read(w.as_bytes(), 1000, 0..200, &SharedStrings::default()).is_err());
    assert!(read(w.as_bytes(), 20_000, 0..200, &SharedStrings::default()).is_ok());
}
