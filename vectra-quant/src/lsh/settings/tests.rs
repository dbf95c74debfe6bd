use super::*;

#[test]
fn the_normal_distribution_is_that_of_the_tables() {
    for (x, expected) in
        [(0.0, 0.5), (-1.0, 0.158_655_254), (1.0, 0.841_344_746), (-3.0, 0.001_349_898), (9.0, 1.0)]
    {
        assert!((below(x) - expected).abs() < 2e-7, "{x}: {}", below(x));
    }
    assert_eq!((below(f64::NEG_INFINITY), below(f64::INFINITY)), (0.0, 1.0));
    let dice = SeededRng::new(1);
    let draws: Vec<f64> = (0..10_000).map(|_| f64::from(normal(&dice))).collect();
    let mean = draws.iter().sum::<f64>() / 1e4;
    let square = draws.iter().map(|x| x * x).sum::<f64>() / 1e4;
    assert!(mean.abs() < 0.04 && (square - 1.0).abs() < 0.06, "{mean} {square}");
}

#[test]
fn one_bucket_is_found_with_the_power_of_the_angle() {
    // cos 60 degrees: a sign differs with the probability 1 / 3.
    for bits in [1, 4, 10] {
        let settings = LshPrefilter { tables: 1, bits, probes: 1, seed: 0 };
        let expected = (2.0_f64 / 3.0).powi(bits as i32);
        let found = settings.found(0.5);
        assert!((found / expected - 1.0).abs() < 0.35, "{bits} bits: {found} for {expected}");
        let many = LshPrefilter { tables: 7, ..settings };
        assert!((many.found(0.5) - (1.0 - (1.0 - found).powi(7))).abs() < 1e-12);
    }
}

#[test]
fn all_buckets_find_everything() {
    let settings = LshPrefilter { tables: 2, bits: 6, probes: 64, seed: 0 };
    for cosine in [-1.0, -0.3, 0.0, 0.9, 1.0] {
        assert!((settings.found(cosine) - 1.0).abs() < 1e-6, "{cosine}");
    }
    assert!((settings.share() - 1.0).abs() < 1e-12);
}

#[test]
fn settings_keep_their_promise_by_their_own_account() {
    for rows in [0, 1, 100, 60_000, 10_000_000] {
        for (recall, cosine) in [(0.5, 0.3), (0.9, 0.6), (0.95, 0.9), (0.99, 0.99), (0.9, 1.0), (0.0, -1.0)] {
            let settings = LshPrefilter::for_recall(rows, recall, cosine);
            settings.check();
            let found = settings.found(cosine);
            assert!(
                found >= recall - 1e-9 || settings.tables == TABLES_MAX,
                "{rows} {recall} {cosine}: {found}"
            );
            let more_alike = settings.found(f64::midpoint(cosine, 1.0));
            assert!(more_alike >= found - 0.01, "{rows} {recall} {cosine}: {more_alike} below {found}");
        }
    }
}

#[test]
fn near_copies_are_cheap_and_neighbours_are_not() {
    let copies = LshPrefilter::for_recall(1_000_000, 0.95, 0.99);
    assert_eq!((copies.bits, copies.probes), (16, 1));
    assert!(copies.share() < 1e-3 && copies.tables <= 16, "{copies:?} {}", copies.share());
    let neighbours = LshPrefilter::for_recall(1_000_000, 0.95, 0.5);
    assert!(neighbours.share() > 0.05, "{neighbours:?} {}", neighbours.share());
}

#[test]
fn memory_is_four_bytes_of_each_row_and_bucket() {
    let settings = LshPrefilter { tables: 5, bits: 8, probes: 1, seed: 0 };
    assert_eq!(settings.bytes(1000), 64 + 5 * 4 * (257 + 1000));
}

#[test]
#[should_panic(expected = "1 to 24 bits")]
fn too_many_bits_panic() {
    LshPrefilter { tables: 1, bits: 25, probes: 1, seed: 0 }.build(&[0.0], 1);
}

#[test]
#[should_panic(expected = "a recall is")]
fn certainty_is_not_to_be_had() {
    LshPrefilter::for_recall(1000, 1.0, 0.5);
}
