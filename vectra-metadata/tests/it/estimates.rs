//! What a planner is told: bounds that hold, and statistics that describe the values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use vectra_core::filter::Test;
use vectra_core::{Filter, Value};
use vectra_metadata::{FieldKind, IndexedField, Schema};

use crate::documents::{document, filter, open, scalar, schema, sections};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn bounds_hold_and_exact_means_exact(
        schema in schema(), rows in prop::collection::vec(document(), 0..30), filter in filter()
    ) {
        let view = open(&sections(&schema, &rows), rows.len());
        let answer = view.filter(&filter).expect("own sections");
        let (count, bounds) = (answer.bits.count(), view.estimate(&filter));
        prop_assert!(bounds.min <= count && count <= bounds.max, "{bounds:?} {count} {filter:?}");
        prop_assert!(bounds.min <= bounds.likely && bounds.likely <= bounds.max, "{bounds:?}");
        prop_assert!(bounds.max as usize <= rows.len());
        if bounds.is_exact() {
            prop_assert_eq!(bounds.likely, count);
        }
        // The opposite is known as well as the filter is.
        let opposite = view.estimate(&filter.clone().not());
        let all = rows.len() as u32;
        prop_assert!(opposite.min <= all - count && all - count <= opposite.max, "{opposite:?}");
        prop_assert_eq!(opposite.is_exact(), bounds.is_exact());
    }

    #[test]
    fn the_more_parts_the_fewer_slots(
        schema in schema(), rows in prop::collection::vec(document(), 0..20), parts in prop::collection::vec(filter(), 1..4)
    ) {
        let view = open(&sections(&schema, &rows), rows.len());
        let (all, any) = (view.estimate(&Filter::And(parts.clone())), view.estimate(&Filter::Or(parts.clone())));
        for part in &parts {
            let part = view.estimate(part);
            prop_assert!(all.max <= part.max && any.min >= part.min, "{all:?} {part:?} {any:?}");
        }
    }

    /// Statistics against counting: one value per row, so that every row counts once.
    #[test]
    fn statistics_are_what_counting_gives(values in prop::collection::vec(prop::option::of(scalar()), 0..60)) {
        let rows: Vec<Value> = values
            .iter()
            .map(|value| value.clone().map_or_else(Value::object, |value| Value::from([("v", value)])))
            .collect();
        let present = values.iter().flatten().count() as u32;
        let nulls = values.iter().flatten().filter(|value| matches!(value, Value::Null)).count() as u32;
        for kind in [FieldKind::Keyword, FieldKind::Number, FieldKind::Bool] {
            let schema = Schema::new(vec![IndexedField::new("v", kind)]).expect("sane");
            let view = open(&sections(&schema, &rows), rows.len());
            let stats = view.stats().expect("own sections").pop().expect("one field");
            let held = |value: &&Value| match kind {
                FieldKind::Keyword => value.as_str().is_some(),
                FieldKind::Number => value.is_number(),
                _ => matches!(value, Value::Bool(_)),
            };
            let mut held: Vec<&Value> = values.iter().flatten().filter(held).collect();
            held.sort_by(|a, b| a.compare(b).expect("one type"));
            prop_assert_eq!((stats.present, stats.nullish), (present, nulls + rows.len() as u32 - present));
            prop_assert_eq!(stats.uncovered, present - nulls - held.len() as u32);
            let mut distinct = held.clone();
            distinct.dedup_by(|a, b| a == b);
            prop_assert_eq!(stats.distinct as usize, distinct.len());
            if kind == FieldKind::Number {
                prop_assert!(stats.top.is_empty());
                prop_assert_eq!(stats.min.as_ref(), held.first().copied());
                prop_assert_eq!(stats.max.as_ref(), held.last().copied());
                prop_assert_eq!(stats.quantiles.len(), if held.is_empty() { 0 } else { 17 });
                for pair in stats.quantiles.windows(2) {
                    prop_assert_ne!(pair[0].compare(&pair[1]), Some(Ordering::Greater), "{:?}", stats.quantiles);
                }
                for bound in &stats.quantiles {
                    prop_assert!(held.contains(&bound), "a quantile is one of the values");
                }
                continue;
            }
            prop_assert!(stats.quantiles.is_empty() && stats.min.is_none() && stats.max.is_none());
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            held.iter().for_each(|value| *counts.entry(format!("{value:?}")).or_default() += 1);
            prop_assert_eq!(stats.top.len(), counts.len().min(16));
            for (value, count) in &stats.top {
                prop_assert_eq!(counts.get(&format!("{value:?}")), Some(count));
            }
            prop_assert!(stats.top.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}

/// More values than are listed: the listed ones are the most frequent.
#[test]
fn the_most_frequent_are_listed() {
    let rows: Vec<Value> = (0..40_i64)
        .flat_map(|value| {
            (0..=value).map(move |_| Value::from([("v", Value::from(format!("value {value:02}")))]))
        })
        .collect();
    let schema = Schema::new(vec![IndexedField::new("v", FieldKind::Keyword)]).expect("sane");
    let stats = open(&sections(&schema, &rows), rows.len()).stats().expect("own sections");
    let expected: Vec<(Value, u32)> =
        (24..40_u32).rev().map(|value| (Value::from(format!("value {value:02}")), value + 1)).collect();
    assert_eq!((&stats[0].top, stats[0].distinct), (&expected, 40));
}

/// Equally many rows lie between neighbouring quantiles, ties included.
#[test]
fn quantiles_cut_the_rows_into_equal_parts() {
    let rows: Vec<Value> = (0..1601_i64).map(|i| Value::from([("v", Value::from(i * i % 1601))])).collect();
    let schema = Schema::new(vec![IndexedField::new("v", FieldKind::Number)]).expect("sane");
    let view = open(&sections(&schema, &rows), rows.len());
    let stats = view.stats().expect("own sections").pop().expect("one field");
    for (part, pair) in stats.quantiles.windows(2).enumerate() {
        let between = Filter::And(vec![
            Filter::field("v", Test::Gte(pair[0].clone())),
            Filter::field("v", Test::Lt(pair[1].clone())),
        ]);
        let rows = view.estimate(&between);
        assert!(rows.is_exact() && rows.likely.abs_diff(100) <= 2, "part {part}: {rows:?}");
    }
}
