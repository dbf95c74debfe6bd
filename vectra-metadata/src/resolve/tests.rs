use vectra_core::Value;
use vectra_core::filter::Test;
use vectra_core::io::Blob;

use super::*;
use crate::builder::Builder;
use crate::eval::matches;
use crate::schema::{FieldKind, IndexedField, Schema};

fn rows() -> Vec<Value> {
    let row = |i: i64| {
        let list = Value::from(vec![Value::from(i % 4), Value::from("x")]);
        Value::from([
            ("k", Value::from(["a", "b", "c"][(i % 3) as usize])),
            ("n", if i % 5 == 0 { list.clone() } else { Value::from(i) }),
            ("list", list),
        ])
    };
    (0..120).map(row).collect()
}

fn view() -> MetadataView {
    let fields = [IndexedField::new("k", FieldKind::Keyword), IndexedField::new("n", FieldKind::Number)];
    let mut builder = Builder::new(&Schema::new(fields.to_vec()).expect("sane"));
    rows().iter().for_each(|row| builder.push(row));
    let sections = builder.finish().expect("small rows");
    let [rows, dictionary, indexes] =
        [sections.rows, sections.dictionary, sections.indexes].map(|bytes| Blob::copy_of(&bytes));
    MetadataView::open(rows, dictionary, indexes, 120).expect("own sections")
}

#[test]
fn means_are_those_of_the_cheapest_and_the_dearest_part() {
    let view = view();
    let (by_index, by_both, by_rows) = (Filter::eq("k", "a"), Filter::eq("n", "x"), Filter::eq("list", 1));
    let cases = [
        (by_index.clone(), Means::Indexes),
        (by_index.clone().not(), Means::Indexes),
        (by_both.clone(), Means::Both),
        (by_rows.clone(), Means::Rows),
        (by_rows.clone().not(), Means::Rows),
        (Filter::And(vec![by_index.clone(), by_index.clone()]), Means::Indexes),
        (Filter::And(vec![by_index.clone(), by_rows.clone()]), Means::Both),
        (Filter::Or(vec![by_both, by_index.clone()]), Means::Both),
        (Filter::Or(vec![by_rows.clone(), by_rows]), Means::Rows),
        (Filter::And(vec![]), Means::Indexes),
        (Filter::field("n", Test::Exists(true)), Means::Indexes),
        (Filter::eq("n", 3), Means::Indexes),
    ];
    for (filter, expected) in cases {
        assert_eq!(means(&view, &filter), expected, "{filter:?}");
    }
}

#[test]
fn nested_filters_look_at_few_rows() {
    let view = view();
    let rows = rows();
    let listed = || Filter::eq("list", 1);
    let [a, b, z] = ["a", "b", "z"].map(|k| Filter::eq("k", k));
    let cases = [
        // The indexed part of each side narrows what its rows are looked at for.
        (Filter::Or(vec![Filter::And(vec![a.clone(), listed()]), Filter::And(vec![b, listed()])]), 80),
        (Filter::Not(Box::new(Filter::And(vec![a.clone(), listed()]))), 40),
        (Filter::And(vec![z.clone(), listed()]), 0),
        (Filter::Or(vec![z.not(), listed()]), 0),
        (Filter::And(vec![Filter::eq("n", "x"), a.clone()]), 8),
        (Filter::And(vec![Filter::Or(vec![listed(), Filter::eq("list", 2)]), a]), 40),
    ];
    for (filter, looked_at) in cases {
        let answer = resolve_all(&view, &filter).expect("own sections");
        let expected = (0..).zip(&rows).filter(|(_, row)| matches(&filter, row)).map(|(slot, _)| slot);
        assert_eq!(answer.bits, Bits::from_slots(120, expected), "{filter:?}");
        assert_eq!(answer.evaluated, looked_at, "{filter:?}");
    }
}
