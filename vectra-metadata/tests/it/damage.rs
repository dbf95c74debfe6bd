//! Damaged and hostile sections: errors, never panics, whatever the bytes.

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::io::Blob;
use vectra_core::{Filter, Value};
use vectra_metadata::{FieldKind, FormatError, IndexedField, MetadataView, Schema, Sections};

use crate::documents::{open, sections};

fn rows() -> Vec<Value> {
    (0..300)
        .map(|i| {
            Value::from([
                ("k", Value::from(["one", "two", "three"][i % 3])),
                ("n", Value::from(i as i64 * 3 - 50)),
                ("b", Value::from(i % 2 == 0)),
                ("list", Value::from(vec![Value::from(format!("text {}", i / 2)), Value::Null])),
                ("deep", Value::from([("x", Value::Float(i as f64 / 3.0))])),
            ])
        })
        .collect()
}

fn good() -> Sections {
    let fields = [("k", FieldKind::Keyword), ("n", FieldKind::Number), ("b", FieldKind::Bool)];
    let fields = fields.map(|(path, kind)| IndexedField::new(path, kind));
    sections(&Schema::new(fields.to_vec()).expect("sane"), &rows())
}

/// Opens and, if that works, asks everything.
fn exercise(parts: [&[u8]; 3], row_count: u32) {
    let [rows, dictionary, indexes] = parts.map(Blob::copy_of);
    let Ok(view) = MetadataView::open(rows, dictionary, indexes, row_count) else { return };
    for slot in [0, row_count / 2, row_count.saturating_sub(1)] {
        let _ = view.get(slot);
    }
    let filters = [
        Filter::eq("k", "two"),
        Filter::field("k", Test::Lt(Value::from("two"))),
        Filter::field("n", Test::Gte(Value::from(100))),
        Filter::eq("b", true),
        Filter::field("n", Test::Exists(false)),
        Filter::eq("list", Value::Null),
    ];
    for filter in &filters {
        let _ = (view.filter(filter), view.estimate(filter));
    }
    let _ = view.stats();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes(
        rows in prop::collection::vec(any::<u8>(), 0..200),
        dictionary in prop::collection::vec(any::<u8>(), 0..100),
        indexes in prop::collection::vec(any::<u8>(), 0..200),
        count in 0u32..400,
    ) {
        exercise([&rows, &dictionary, &indexes], count);
        let version = |bytes: &[u8]| [&[1, 0][..], bytes].concat();
        exercise([&version(&rows), &version(&dictionary), &version(&indexes)], count);
    }

    #[test]
    fn mutated_bytes(
        changes in prop::collection::vec((0..3_usize, any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4)
    ) {
        let good = good();
        let mut parts = [good.rows, good.dictionary, good.indexes];
        for (part, at, byte, cut) in changes {
            let part = &mut parts[part];
            let at = at.index(part.len().max(1));
            match part.get_mut(at) {
                Some(found) if !cut => *found ^= byte,
                _ => part.truncate(at),
            }
        }
        exercise([&parts[0], &parts[1], &parts[2]], 300);
    }
}

/// Without compression the columns themselves are hit.
#[test]
fn every_single_byte_of_an_uncompressed_block() {
    let rows = &rows()[..3];
    let built = sections(&Schema::default(), rows);
    for at in 0..built.rows.len() {
        for flip in [1, 0x80, 0xff] {
            let mut broken = built.rows.clone();
            broken[at] ^= flip;
            exercise([&broken, &built.dictionary, &built.indexes], 3);
        }
    }
}

#[test]
fn errors_say_what_and_where() {
    let good = good();
    let open_with = |rows: &[u8], dictionary: &[u8], indexes: &[u8], count| {
        let [rows, dictionary, indexes] = [rows, dictionary, indexes].map(Blob::copy_of);
        MetadataView::open(rows, dictionary, indexes, count).map(|_| ())
    };
    let error = open_with(&good.rows, &good.dictionary, &good.indexes, 301).expect_err("one row is missing");
    assert!(
        matches!(error, FormatError::Mismatch { section: "rows", expected: 301, found: 300, .. }),
        "{error}"
    );
    let mut newer = good.dictionary.clone();
    newer[0] = 9;
    let error = open_with(&good.rows, &newer, &good.indexes, 300).expect_err("an unknown version");
    assert!(matches!(error, FormatError::Unsupported { section: "dictionary", found: 9, .. }), "{error}");
    let error = open_with(&good.rows, &good.dictionary, &good.indexes[..100], 300).expect_err("cut");
    assert!(error.to_string().contains("indexes"), "{error}");
    assert!(open_with(&good.rows, &good.dictionary, &good.indexes, 300).is_ok());
    assert_eq!(open(&good, 300).row_count(), 300);
}
