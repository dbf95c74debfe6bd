use vectra_core::testing::oracle::{Dice, uniform};

use super::*;

/// Pairs of vectors with exactly this cosine.
fn pairs(count: usize, dim: usize, cosine: f32, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut dice = Dice::new(seed);
    let (mut queries, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let unit = |v: Vec<f32>| {
            let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            v.into_iter().map(|x| x / length).collect::<Vec<f32>>()
        };
        let q = unit((0..dim).map(|_| dice.gaussian()).collect());
        let other: Vec<f32> = (0..dim).map(|_| dice.gaussian()).collect();
        let along: f32 = q.iter().zip(&other).map(|(a, b)| a * b).sum();
        let across = unit(other.iter().zip(&q).map(|(x, q)| x - along * q).collect());
        rows.extend(q.iter().zip(&across).map(|(q, a)| cosine * q + (1.0 - cosine * cosine).sqrt() * a));
        queries.extend(q);
    }
    (queries, rows)
}

/// The share of queries that find the row of their pair, and the mean share of rows that are candidates.
fn measure(settings: LshPrefilter, count: usize, dim: usize, cosine: f32, seed: u64) -> (f64, f64) {
    let (queries, rows) = pairs(count, dim, cosine, seed);
    let tables = settings.build(&rows, dim);
    let (mut found, mut share, mut candidates) = (0, 0.0, Vec::new());
    for (slot, query) in queries.chunks_exact(dim).enumerate() {
        tables.candidates(query, &mut candidates);
        found += usize::from(candidates.binary_search(&(slot as u32)).is_ok());
        share += candidates.len() as f64 / (count * count) as f64;
    }
    (found as f64 / count as f64, share)
}

#[test]
fn what_is_found_is_what_the_settings_say() {
    let settings = [
        LshPrefilter { tables: 1, bits: 8, probes: 1, seed: 1 },
        LshPrefilter { tables: 6, bits: 8, probes: 1, seed: 2 },
        LshPrefilter { tables: 2, bits: 10, probes: 16, seed: 3 },
        LshPrefilter { tables: 4, bits: 12, probes: 40, seed: 4 },
    ];
    for (dim, cosine) in [(32, 0.8), (64, 0.6), (100, 0.9), (384, 0.7)] {
        for settings in settings {
            let (found, share) = measure(settings, 700, dim, cosine, settings.seed);
            let expected = settings.found(f64::from(cosine));
            // Four standard deviations, and what the drawn queries of the forecast leave open.
            let allowed = 4.0 * (expected * (1.0 - expected) / 700.0).sqrt() + 0.05;
            assert!(
                (found - expected).abs() < allowed,
                "{settings:?} {dim} {cosine}: {found} for {expected}"
            );
            let through = settings.share();
            assert!(
                (share - through).abs() < 0.25 * through + 0.005,
                "{settings:?} {dim}: {share} for {through}"
            );
        }
    }
}

#[test]
fn a_promised_recall_is_kept() {
    for (recall, cosine) in [(0.8, 0.7), (0.9, 0.9), (0.97, 0.95)] {
        let settings = LshPrefilter::for_recall(1000, recall, cosine);
        let mut found = 0.0;
        for seed in 0..4 {
            let settings = LshPrefilter { seed: 10 * seed, ..settings };
            found += measure(settings, 1000, 96, cosine as f32, 50 + seed).0 / 4.0;
        }
        let deviation = (recall * (1.0 - recall) / 4000.0).sqrt();
        assert!(found > recall - 4.0 * deviation - 0.02, "{settings:?}: {found} for {recall}");
    }
}

#[test]
fn candidates_are_ascending_and_each_once() {
    let vectors = uniform(500, 30, 1);
    let tables = LshPrefilter { tables: 8, bits: 4, probes: 3, seed: 5 }.build(&vectors, 30);
    let mut candidates = vec![7; 3];
    for (slot, vector) in vectors.chunks_exact(30).enumerate() {
        tables.candidates(vector, &mut candidates);
        assert!(candidates.is_sorted_by(|a, b| a < b));
        assert!(candidates.contains(&(slot as u32)), "a row finds itself");
    }
    assert!(format!("{tables:?}").starts_with("LshTables(500 rows of 30 dimensions, LshPrefilter {"));
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let vectors = uniform(200, 40, 2);
    let settings = LshPrefilter { tables: 20, bits: 9, probes: 2, seed: 6 };
    let a = settings.build(&vectors, 40);
    assert_eq!(a.section()[..], settings.build(&vectors, 40).section()[..]);
    let other = LshPrefilter { seed: 7, ..settings }.build(&vectors, 40);
    assert_ne!(a.section()[64..], other.section()[64..]);
    let digest = vectra_core::codec::digest(a.section()).to_string();
    assert_eq!(
        digest, "518c97bf064265d6f70e27cf27664117",
        "a change of these bytes is a new version of the format"
    );
}

#[test]
fn degenerate_rows_and_queries_have_buckets() {
    let settings = LshPrefilter { tables: 4, bits: 6, probes: 5, seed: 8 };
    let cases: [&[f32]; 6] = [
        &[0.0; 3],
        &[5.0; 3],
        &[1e-38, 0.0, -1e-38],
        &[1e30, -1e30, 1.0],
        &[f32::NAN, f32::INFINITY, f32::MIN],
        &[-1.0; 3],
    ];
    let tables = settings.build(&cases.concat(), 3);
    let mut candidates = Vec::new();
    for (slot, case) in cases.iter().enumerate() {
        tables.candidates(case, &mut candidates);
        assert!(candidates.contains(&(slot as u32)), "{case:?}");
    }
    let equal = settings.build(&[0.5; 100 * 7], 7);
    equal.candidates(&[0.5; 7], &mut candidates);
    assert_eq!(candidates, (0..100).collect::<Vec<_>>());
    let one = settings.build(&[3.0, -2.0, 1.0], 1);
    one.candidates(&[9.0], &mut candidates);
    assert!(candidates.contains(&0) && candidates.contains(&2), "one dimension has two directions");
    let none = settings.build(&[], 5);
    none.candidates(&[1.0; 5], &mut candidates);
    assert!(candidates.is_empty() && none.rows() == 0);
    let long = LshPrefilter { tables: 2, bits: 3, probes: 1, seed: 0 }.build(&vec![1.0; 4096], 4096);
    long.candidates(&vec![2.0; 4096], &mut candidates);
    assert_eq!(candidates, [0]);
}

#[test]
#[should_panic(expected = "different dimensions")]
fn a_query_of_other_dimensions_panics() {
    LshPrefilter::for_recall(10, 0.9, 0.9).build(&[0.0; 20], 2).candidates(&[0.0; 3], &mut Vec::new());
}

#[test]
#[should_panic(expected = "a whole number")]
fn half_a_vector_panics() {
    LshPrefilter::for_recall(10, 0.9, 0.9).build(&[0.0; 21], 2);
}
