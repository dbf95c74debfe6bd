//! Sections that belong to other segments, or stand in each other's place, are refused or at least harmless.

use vectra_core::io::Blob;
use vectra_core::{Filter, Value};
use vectra_metadata::{FieldKind, FormatError, IndexedField, MetadataView, Schema, Sections};

use crate::documents::sections;

fn built(rows: i64) -> Sections {
    let schema = Schema::new(vec![IndexedField::new("n", FieldKind::Number)]).expect("sane");
    let rows: Vec<Value> =
        (0..rows).map(|i| Value::from([("n", Value::from(i)), ("k", Value::from("same"))])).collect();
    sections(&schema, &rows)
}

fn opened(rows: &[u8], dictionary: &[u8], indexes: &[u8], count: u32) -> Result<MetadataView, FormatError> {
    MetadataView::open(Blob::copy_of(rows), Blob::copy_of(dictionary), Blob::copy_of(indexes), count)
}

#[test]
fn sections_in_each_others_place_are_refused() {
    let Sections { rows, dictionary, indexes } = built(100);
    let (r, d, i) = (&rows[..], &dictionary[..], &indexes[..]);
    assert!(opened(r, d, i, 100).is_ok());
    for (at, [rows, dictionary, indexes]) in
        [[r, i, d], [d, r, i], [d, i, r], [i, r, d], [i, d, r]].into_iter().enumerate()
    {
        assert!(opened(rows, dictionary, indexes, 100).is_err(), "order {at}");
    }
    for empty in 0..3 {
        let mut parts = [r, d, i];
        parts[empty] = &[];
        assert!(opened(parts[0], parts[1], parts[2], 100).is_err(), "without part {empty}");
    }
}

#[test]
fn row_counts_have_to_agree() {
    let (small, large) = (built(50), built(100));
    for count in [0, 49, 51, 100, u32::MAX] {
        let refused = opened(&small.rows, &small.dictionary, &small.indexes, count).map(drop);
        assert!(refused.is_err(), "{count} rows");
    }
    let refused = opened(&small.rows, &small.dictionary, &large.indexes, 50).map(drop);
    assert!(matches!(refused, Err(FormatError::Index { .. })), "{refused:?}");
    let refused = opened(&large.rows, &large.dictionary, &small.indexes, 50).map(drop);
    assert!(matches!(refused, Err(FormatError::Mismatch { section: "rows", .. })), "{refused:?}");
}

/// An index over fewer rows opens: it has no way to know. What it names is inside all the same.
#[test]
fn an_index_of_fewer_rows_names_no_slot_outside() {
    let (small, large) = (built(50), built(100));
    let view = opened(&large.rows, &large.dictionary, &small.indexes, 100).expect("sound parts");
    let answer = view.filter(&Filter::eq("n", 49)).expect("sound parts");
    assert_eq!((answer.bits.len(), answer.bits.iter().collect::<Vec<_>>()), (100, vec![49]));
}

#[test]
fn a_dictionary_of_another_segment_gives_errors_or_values_but_no_panic() {
    let other = sections(
        &Schema::default(),
        &(0..300_i64).map(|i| Value::from([("other", Value::from(i % 2))])).collect::<Vec<_>>(),
    );
    let own = built(300);
    let view = opened(&own.rows, &other.dictionary, &own.indexes, 300).expect("each part is sound");
    let found: Vec<_> = (0..300).map(|slot| view.get(slot)).collect();
    let right = opened(&own.rows, &own.dictionary, &own.indexes, 300).expect("own sections");
    let same = (0..300).filter(|slot| found[*slot as usize] == right.get(*slot)).count();
    assert!(same < 300, "the shared strings of another segment cannot give these rows");
    assert_eq!(view.filter(&Filter::eq("n", 7)).expect("indexes need no strings").bits.count(), 1);
}

#[test]
fn bytes_behind_the_end_of_a_section_are_refused() {
    let Sections { rows, dictionary, indexes } = built(10);
    let longer = |section: &[u8]| [section, &[0]].concat();
    assert!(opened(&longer(&rows), &dictionary, &indexes, 10).is_err());
    assert!(opened(&rows, &dictionary, &longer(&indexes), 10).is_err());
}
