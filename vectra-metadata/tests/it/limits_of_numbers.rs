//! Number indexes at the edges of all number kinds, narrow and wide, against looking at every row.

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};
use vectra_metadata::{FieldKind, IndexedField, MetadataView, Schema, matches};

use crate::documents::{open, sections};

fn edges() -> Vec<Value> {
    let mut edges: Vec<Value> =
        [i64::MIN, i64::MIN + 1, -1, 0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, i64::MAX - 1, i64::MAX]
            .map(Value::from)
            .to_vec();
    edges.extend([1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX].map(Value::from));
    let powers = [2_f64.powi(53), 2_f64.powi(63), 2_f64.powi(64), f64::MAX, f64::MIN_POSITIVE, 0.0, 0.5];
    for power in powers {
        edges.extend([power, -power, power.next_down()].map(Value::Float));
    }
    edges
}

fn view(values: &[Value]) -> (MetadataView, Vec<Value>) {
    let rows: Vec<Value> = values.iter().map(|value| Value::from([("n", value.clone())])).collect();
    let schema = Schema::new(vec![IndexedField::new("n", FieldKind::Number)]).expect("sane");
    (open(&sections(&schema, &rows), rows.len()), rows)
}

fn check(view: &MetadataView, rows: &[Value], bound: &Value) -> Result<(), TestCaseError> {
    let tests = [Test::Eq, Test::Gt, Test::Gte, Test::Lt, Test::Lte].map(|test| test(bound.clone()));
    for test in tests.into_iter().chain([Test::In(vec![bound.clone(), Value::from(1), Value::from("x")])]) {
        let filter = Filter::field("n", test);
        let answer = view.filter(&filter).expect("own sections");
        let expected: Vec<u32> =
            (0..).zip(rows).filter(|(_, row)| matches(&filter, row)).map(|(slot, _)| slot).collect();
        prop_assert_eq!(answer.bits.iter().collect::<Vec<_>>(), expected, "{:?}", filter);
        prop_assert_eq!(answer.evaluated, 0, "numbers alone need no row");
        prop_assert!(view.estimate(&filter).is_exact());
    }
    Ok(())
}

#[test]
fn every_edge_is_found_from_every_edge() -> Result<(), TestCaseError> {
    let (view, rows) = view(&edges());
    edges().iter().try_for_each(|bound| check(&view, &rows, bound))
}

/// Integers close together are stored as differences; the differences must reach both ends of the range.
#[test]
fn narrow_runs_at_both_ends_of_the_integers() -> Result<(), TestCaseError> {
    for base in [i64::MIN, -5, 0, i64::MAX - (1 << 32)] {
        for span in [3_i64, u32::MAX.into(), i64::from(u32::MAX) + 1] {
            let offsets = [0, 1, 2, span - 1, span, span];
            let values: Vec<Value> = offsets.into_iter().map(|offset| Value::from(base + offset)).collect();
            let (view, rows) = view(&values);
            for bound in values.iter().chain(&edges()) {
                check(&view, &rows, bound)?;
            }
            let beside = [base.checked_sub(1), (base + span).checked_add(1)];
            for bound in beside.into_iter().flatten() {
                check(&view, &rows, &Value::from(bound))?;
            }
        }
    }
    Ok(())
}

#[test]
fn both_zeros_are_one_number_and_keep_their_sign_in_the_row() {
    let (view, _) = view(&[Value::Float(0.0), Value::Float(-0.0), Value::from(0), Value::from(1)]);
    for zero in [Value::Float(0.0), Value::Float(-0.0), Value::from(0)] {
        let found = |test| view.filter(&Filter::field("n", test)).expect("own sections").bits.count();
        assert_eq!(found(Test::Eq(zero.clone())), 3);
        assert_eq!((found(Test::Lt(zero.clone())), found(Test::Gt(zero.clone()))), (0, 1));
        assert_eq!((found(Test::Lte(zero.clone())), found(Test::Gte(zero))), (3, 4));
    }
    assert_eq!(view.stats().expect("own sections")[0].distinct, 2);
    let signs = [0, 1].map(|slot| match view.get(slot).expect("own sections").get("n") {
        Some(Value::Float(zero)) => zero.is_sign_negative(),
        other => panic!("{other:?} is no float"),
    });
    assert_eq!(signs, [false, true]);
}

#[test]
fn a_row_with_many_equal_numbers_counts_once() {
    let list = [Value::from(2), Value::Float(2.0), Value::from(2), Value::from(3)];
    let (view, _) = view(&[Value::from(list.to_vec()), Value::from(2)]);
    let stats = view.stats().expect("own sections").pop().expect("one field");
    assert_eq!((stats.distinct, stats.uncovered), (2, 1), "the array itself is not in the index");
    let count = |value: i64| view.filter(&Filter::eq("n", value)).expect("own sections").bits.count();
    assert_eq!((count(2), count(3), count(4)), (2, 1, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn mixed_kinds_answer_as_rows_do(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..25),
        near in prop::collection::vec((any::<i64>(), 0..3_i64), 0..5), bound in any::<prop::sample::Index>()
    ) {
        let edges = edges();
        let mut values: Vec<Value> = picks.iter().map(|pick| pick.get(&edges).clone()).collect();
        values.extend(near.iter().map(|(n, step)| Value::from(n.saturating_add(*step))));
        values.extend(near.iter().map(|(n, _)| Value::Float(*n as f64)));
        let (view, rows) = view(&values);
        check(&view, &rows, bound.get(&edges))?;
        check(&view, &rows, bound.get(&values))?;
    }
}
