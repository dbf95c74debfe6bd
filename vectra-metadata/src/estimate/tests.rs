use vectra_core::Value;
use vectra_core::io::Blob;

use super::*;
use crate::builder::Builder;
use crate::schema::{FieldKind, IndexedField, Schema};

/// 1,000 rows: `k` and `n` are indexed, `free` is not; every tenth `n` is a string.
fn view() -> MetadataView {
    let fields = [IndexedField::new("k", FieldKind::Keyword), IndexedField::new("n", FieldKind::Number)];
    let mut builder = Builder::new(&Schema::new(fields.to_vec()).expect("sane"));
    for i in 0..1000_i64 {
        let n = if i % 10 == 0 { Value::from("odd") } else { Value::from(i) };
        let k = Value::from(["a", "b"][(i % 2) as usize]);
        builder.push(&Value::from([("k", k), ("n", n), ("free", Value::from(i))]));
    }
    opened(builder, 1000)
}

fn opened(builder: Builder, row_count: u32) -> MetadataView {
    let sections = builder.finish().expect("small rows");
    let [rows, dictionary, indexes] =
        [sections.rows, sections.dictionary, sections.indexes].map(|bytes| Blob::copy_of(&bytes));
    MetadataView::open(rows, dictionary, indexes, row_count).expect("own sections")
}

fn numbers(filter: &Filter) -> (u32, u32, u32) {
    let Cardinality { min, max, likely } = estimate(&view(), filter);
    (min, max, likely)
}

fn above(n: i64) -> Filter {
    Filter::field("n", Test::Gte(Value::from(n)))
}

#[test]
fn indexes_count_exactly() {
    let a = Filter::eq("k", "a");
    assert_eq!(numbers(&a), (500, 500, 500));
    assert_eq!(numbers(&above(900)), (90, 90, 90));
    assert_eq!(numbers(&Filter::And(vec![a.clone(), above(900)])), (40, 40, 40), "together, not multiplied");
    assert_eq!(numbers(&Filter::Or(vec![a.clone(), above(900)])), (550, 550, 550));
    assert_eq!(numbers(&a.not()), (500, 500, 500));
    assert_eq!(numbers(&Filter::And(vec![])), (1000, 1000, 1000));
    assert_eq!(numbers(&Filter::Or(vec![])), (0, 0, 0));
    assert!(Cardinality::exact(3).is_exact());
}

#[test]
fn fields_without_index_are_guessed_by_the_kind_of_test() {
    let free = |test| numbers(&Filter::field("free", test));
    assert_eq!(free(Test::Eq(Value::from(1))), (0, 1000, 100));
    assert_eq!(free(Test::Lt(Value::from(1))), (0, 1000, 333));
    assert_eq!(free(Test::In(vec![Value::from(1); 3])), (0, 1000, 300));
    assert_eq!(free(Test::In(vec![Value::from(1); 30])), (0, 1000, 500));
    assert_eq!(free(Test::Exists(true)), (0, 1000, 900));
    assert_eq!(numbers(&Filter::eq("free", 1).not()), (0, 1000, 900));
}

#[test]
fn known_parts_bound_guessed_ones() {
    let (a, free) = (Filter::eq("k", "a"), Filter::eq("free", 1));
    assert_eq!(numbers(&Filter::And(vec![free.clone(), a.clone()])), (0, 500, 50));
    assert_eq!(numbers(&Filter::Or(vec![free.clone(), a.clone()])), (500, 1000, 550));
    assert_eq!(numbers(&Filter::And(vec![free.clone().not(), a.clone()])), (0, 500, 450));
    assert_eq!(numbers(&Filter::And(vec![above(900), a, free])), (0, 40, 4));
}

#[test]
fn rows_outside_the_index_widen_the_bounds() {
    // 100 rows hold a string there; a test for a string has to look at them.
    assert_eq!(numbers(&Filter::eq("n", "odd")), (0, 100, 10));
    let either = Filter::field("n", Test::In(vec![Value::from("odd"), Value::from(1), Value::from(2)]));
    assert_eq!(numbers(&either), (2, 102, 32));
}

#[test]
fn an_empty_segment_has_nothing() {
    let view = opened(Builder::new(&Schema::default()), 0);
    for filter in [Filter::And(vec![]), Filter::eq("a", 1), Filter::eq("a", 1).not()] {
        assert_eq!(estimate(&view, &filter), Cardinality::exact(0), "{filter:?}");
    }
}
