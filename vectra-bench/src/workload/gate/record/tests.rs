use proptest::prelude::*;

use super::*;

fn record(distances: u64, syncs: u64, share: f64) -> Record {
    let mut record = Record::default();
    record.count("a/distances".to_owned(), distances);
    record.count("a/syncs".to_owned(), syncs);
    record.recall("a".to_owned(), share);
    record
}

fn changes(found: &Record, recorded: &Record) -> Vec<Change> {
    found.against(recorded).lines.iter().map(|line| line.change).collect()
}

#[test]
fn what_is_the_same_passes() {
    let verdict = record(1000, 7, 0.95).against(&record(1000, 7, 0.95));
    assert_eq!(verdict.failures(), 0);
    let text = "3 figures: 3 as recorded, 0 within tolerance, 0 better, 0 that fail\n";
    assert_eq!(verdict.table(), text);
}

#[test]
fn a_counter_may_rise_by_a_hundredth_and_no_more() {
    let base = record(1000, 7, 0.95);
    assert_eq!(changes(&record(1010, 7, 0.95), &base), [Change::Near, Change::Same, Change::Same]);
    let verdict = record(1020, 7, 0.95).against(&base);
    assert_eq!((verdict.failures(), verdict.count(Change::Worse)), (1, 1));
    let text = verdict.table();
    assert!(text.contains("a/distances") && text.contains("+2.00 %  WORSE"), "{text}");
    assert!(!text.contains("a/syncs"), "only what changed is told: {text}");
    // From nothing, anything is a rise.
    assert_eq!(record(1, 7, 0.95).against(&record(0, 7, 0.95)).failures(), 1);
}

#[test]
fn recall_may_fall_by_half_a_point_and_no_more() {
    let base = record(1000, 7, 0.95);
    assert_eq!(changes(&record(1000, 7, 0.945), &base)[2], Change::Near);
    let verdict = record(1000, 7, 0.944).against(&base);
    assert_eq!(verdict.failures(), 1);
    assert!(verdict.table().contains("-0.60 points  WORSE"), "{}", verdict.table());
    assert_eq!(changes(&record(1000, 7, f64::NAN), &base)[2], Change::Worse);
}

#[test]
fn what_is_better_passes_and_is_told() {
    let verdict = record(900, 7, 0.96).against(&record(1000, 7, 0.95));
    assert_eq!((verdict.failures(), verdict.count(Change::Better)), (0, 2));
    let text = verdict.table();
    assert!(text.contains("-10.00 %  better") && text.contains("+1.00 points  better"), "{text}");
}

#[test]
fn a_sync_too_few_is_no_improvement() {
    let verdict = record(1000, 6, 0.95).against(&record(1000, 7, 0.95));
    assert_eq!((verdict.failures(), verdict.count(Change::Fewer)), (1, 1));
    assert!(verdict.table().contains("FEWER SYNCS"));
}

#[test]
fn what_is_missing_or_unknown_fails() {
    let (full, mut less) = (record(1000, 7, 0.95), record(1000, 7, 0.95));
    less.counters.remove("a/distances");
    less.recall.clear();
    assert_eq!(less.against(&full).count(Change::Missing), 2);
    assert_eq!(full.against(&less).count(Change::Unknown), 2);
    for (found, recorded) in [(&less, &full), (&full, &less)] {
        assert_eq!(found.against(recorded).failures(), 2);
    }
    assert!(less.against(&full).table().contains("NOT FOUND"));
    assert!(full.against(&less).table().contains("NOT RECORDED"));
}

#[test]
#[should_panic(expected = "a name of its own")]
fn names_are_given_once() {
    let mut record = record(1, 1, 1.0);
    record.count("a/syncs".to_owned(), 2);
}

proptest! {
    #[test]
    fn counters_fail_exactly_above_a_hundredth(old in 0..1_u64 << 50, new in 0..1_u64 << 50) {
        let fails = counter("distances", old, new).fails();
        prop_assert_eq!(fails, u128::from(new) * 100 > u128::from(old) * 101);
    }

    #[test]
    fn a_record_survives_being_text(values: BTreeMap<String, u64>, share in 0.0..=1.0_f64) {
        let record = Record { counters: values, recall: [("a".to_owned(), share)].into() };
        let text = crate::report::json(&record).expect("it is plain data");
        let read: Record = serde_json::from_str(&text).expect("it was just written");
        prop_assert_eq!(read.against(&record).failures(), 0);
        prop_assert_eq!(read.counters, record.counters);
    }
}
