use proptest::prelude::*;
use vectra_core::codec::crc32c;

use super::*;

/// Two bands; the slack grows by wanted, band and target, so that each rule is known by it.
fn table() -> Calibration {
    let cases = 0..WANTED.len() * 2 * TARGETS.len();
    let rules = cases.map(|i| Rule { slack: i as f32 / 100.0, ef: 10 + i as u32, depth: 12 }).collect();
    Calibration::new(vec![0.25, 0.5], rules)
}

fn slack(k: usize, target: f32, first: f32) -> u32 {
    (table().rule(k, target, first).slack * 100.0).round() as u32
}

#[test]
fn a_rule_is_found_by_hits_band_and_recall() {
    assert_eq!([slack(1, 0.8, 0.0), slack(10, 0.8, 0.25), slack(100, 0.8, -3.0)], [0, 20, 40]);
    assert_eq!([slack(10, 0.8, 0.3), slack(10, 0.8, 0.5)], [30, 30], "the second band");
    assert_eq!([slack(10, 0.95, 0.0), slack(10, 0.951, 0.0), slack(10, 0.5, 0.0)], [24, 25, 20]);
    assert_eq!(slack(10, 0.999, 0.0), 29);
    assert!(table().reaches(0.999) && !table().reaches(0.9991));
}

#[test]
fn between_and_beyond_what_was_measured_the_wider_rule_counts() {
    assert_eq!([slack(3, 0.8, 0.0), slack(11, 0.8, 0.0)], [20, 40]);
    let more = table().rule(250, 0.8, 0.0);
    assert_eq!((more.slack, more.ef, more.depth), (0.4, 125, 30), "two and a half times the pool");
    let far = table().rule(10, 0.8, 0.51);
    assert_eq!((far.slack, far.ef, far.depth), (0.3 * 1.5, 80, 12));
    assert_eq!(table().rule(10, 0.8, f32::NAN), far);
    assert_eq!(table().narrowest(10, 0.8), 30);
    assert!(table().rule(10_000, 0.8, 9.0).ef <= EF_MAX);
}

#[test]
fn under_dot_the_length_of_a_query_does_not_count() {
    let scaled = |metric, query: &[f32], first: f32| first * first_scale(metric, query);
    assert_eq!(scaled(Metric::Dot, &[3.0, 4.0], -10.0), scaled(Metric::Dot, &[6.0, 8.0], -20.0));
    assert_eq!(scaled(Metric::L2, &[3.0, 4.0], 10.0).to_bits(), 10.0_f32.to_bits());
    assert!(table().rule(10, 0.8, 1.0 * first_scale(Metric::Dot, &[0.0, 0.0])).slack > 0.0, "no direction");
}

#[test]
fn a_rule_becomes_a_walk_that_holds_what_was_asked_for() {
    let rule = Rule { slack: 0.1, ef: 8, depth: 40 };
    let params = rule.params(10);
    assert_eq!((params.k, params.ef_search, params.wanted, params.slack), (10, 10, 10, 0.1));
    let params = Rule { ef: 64, ..rule }.params(10);
    assert_eq!((params.k, params.ef_search), (40, 64));
}

#[test]
fn without_a_table_pools_grow_with_the_recall_and_the_hits() {
    let ef = |k, target| Rule::uncalibrated(k, target).ef;
    assert_eq!([ef(10, 0.5), ef(10, 0.9), ef(10, 0.95), ef(10, 0.99)], [11, 32, 64, 321]);
    assert_eq!([ef(100, 0.9), ef(100, 0.99)], [150, 601]);
    assert!(Rule::uncalibrated(10_000, 0.99999).ef <= EF_MAX);
}

#[test]
fn what_is_encoded_is_decoded() {
    assert_eq!(Calibration::decode(&table().encode()), Ok(table()));
}

/// The bytes with their sum made right.
fn summed(body: &[u8]) -> Vec<u8> {
    [body, &crc32c(body).to_le_bytes()].concat()
}

#[test]
fn damage_and_impossible_values_are_refused() {
    let good = table().encode();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 4;
        assert!(Calibration::decode(&bad).is_err(), "byte {at}");
    }
    let forged = |at: usize, bytes: &[u8]| {
        let mut body = good[..good.len() - 4].to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        Calibration::decode(&summed(&body))
    };
    let nan = f32::NAN.to_le_bytes();
    for (at, bytes) in [(0, &b"X"[..]), (4, &[2]), (6, &[0]), (6, &[9]), (7, &[0]), (8, &[0]), (8, &[255; 4])]
    {
        assert!(forged(at, bytes).is_err(), "{at}: {bytes:?}");
    }
    // 12: hits, 24: bands, 32: recalls, 72: rules.
    for (at, bytes) in [(12, [0; 4]), (16, [1, 0, 0, 0]), (24, nan), (28, nan), (32, nan), (68, nan)] {
        assert!(forged(at, &bytes).is_err(), "{at}: {bytes:?}");
    }
    assert!(forged(68, &1.0_f32.to_le_bytes()).is_err(), "recall 1 takes a scan");
    for (at, bytes) in [(72, nan), (72, (-0.5_f32).to_le_bytes()), (76, [0; 4]), (76, [255; 4]), (80, [0; 4])]
    {
        assert!(forged(at, &bytes).is_err(), "{at}: {bytes:?}");
    }
    assert!(forged(72, &f32::INFINITY.to_le_bytes()).is_ok(), "no end by distance");
    let longer = summed(&[&good[..good.len() - 4], &[0]].concat());
    assert!(Calibration::decode(&longer).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_give_rules(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..432) {
        let _refused = Calibration::decode(&bytes);
        let _refused = Calibration::decode(&summed(&bytes));
        let mut body = table().encode();
        body.truncate(body.len() - 4);
        let end = body.len().min(at + bytes.len().min(4));
        if at < end { body[at..end].copy_from_slice(&bytes[..end - at]); }
        if let Ok(table) = Calibration::decode(&summed(&body)) {
            for (k, target, first) in [(1, 0.5, -1.0), (10, 0.95, 0.3), (5000, 0.999, f32::NAN)] {
                let params = table.rule(k, target, first).params(k);
                prop_assert!(params.slack >= 0.0 && params.k >= k && params.k <= params.ef_search);
            }
            prop_assert_eq!(Calibration::decode(&table.encode()), Ok(table));
        }
    }
}
