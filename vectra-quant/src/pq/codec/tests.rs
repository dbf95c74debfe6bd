use proptest::prelude::*;
use vectra_core::io::Blob;
use vectra_core::scorer::{Scorer, VectorStore};
use vectra_core::testing::oracle::{Dice, Oracle, clustered, collinear, duplicates, uniform};

use super::*;
use crate::codec::CodeQuery;
use crate::format::Header;
use crate::kmeans::TrainError;
use crate::pq::model::Model;
use crate::pq::{PqRotation, PqRows, PqSettings, PqView};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn trained(sample: &[f32], dim: usize, metric: Metric, settings: PqSettings) -> Pq {
    Pq::train(sample, dim, metric, &settings).expect("settings that fit")
}

fn encoded(pq: &Pq, vectors: &[f32]) -> Vec<u8> {
    let mut rows = vec![0xaa; vectors.len() / pq.dim() * pq.row_bytes()];
    pq.encode_all(vectors, &mut rows);
    rows
}

/// The distance of a query to a vector that is decoded, in f64; under cosine with so much of what its squared length is short of.
fn reference(query: &[f32], decoded: &[f32], metric: Metric, correction: f32) -> f64 {
    let norm = query.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let pairs = || query.iter().zip(decoded).map(|(q, x)| (f64::from(*q), f64::from(*x)));
    let product = pairs().map(|(q, x)| q * x).sum::<f64>();
    let length = pairs().map(|(_, x)| x * x).sum::<f64>();
    match metric {
        Metric::Dot => -product,
        Metric::Cosine => {
            1.0 - product / if norm > 0.0 { norm } else { 1.0 } - f64::from(correction) * (1.0 - length)
        }
        _ => pairs().map(|(q, x)| (q - x).powi(2)).sum::<f64>(),
    }
}

/// What distances may be wrong by: a share of the squared lengths.
fn tolerance(query: &[f32], decoded: &[f32], metric: Metric) -> f64 {
    let square = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    1e-5 * (square(decoded) + if metric == Metric::Cosine { 1.0 } else { square(query) })
}

fn distances_are_those_of_decoded_vectors(dim: usize, settings: PqSettings) {
    let (vectors, queries) = (clustered(600, dim, 10, 0.5, 1), uniform(5, dim, 2));
    let products = settings.threshold > 0.0;
    for metric in METRICS.into_iter().filter(|metric| !products || *metric != Metric::L2) {
        let pq = trained(&vectors, dim, metric, settings);
        let rows = encoded(&pq, &vectors);
        let mut decoded = vec![0.0; dim];
        for query in queries.chunks_exact(dim) {
            let bound = pq.bind(query);
            let mut scanned = vec![0.0; 600];
            bound.scan(&rows, &mut scanned);
            for (row, found) in rows.chunks_exact(pq.row_bytes()).zip(scanned) {
                pq.decode(row, &mut decoded);
                let expected = reference(query, &decoded, metric, pq.correction());
                let limit = tolerance(query, &decoded, metric);
                assert!((f64::from(found) - expected).abs() < limit, "{pq:?}: {found} {expected}");
                assert_eq!(found.to_bits(), bound.score_row(row).to_bits());
            }
            let slots = [599, 0, 7, 7];
            let mut gathered = [0.0; 4];
            bound.gather(&rows, &slots, &mut gathered);
            for (slot, found) in slots.into_iter().zip(gathered) {
                let row = &rows[slot as usize * pq.row_bytes()..][..pq.row_bytes()];
                assert_eq!(found.to_bits(), bound.score_row(row).to_bits());
            }
        }
    }
}

#[test]
fn distances_are_those_to_the_vectors_that_codes_stand_for() {
    for (dim, subspaces) in [(24, 6), (25, 7), (16, 16), (1, 1), (70, 67)] {
        for bits in [4, 8] {
            distances_are_those_of_decoded_vectors(dim, PqSettings::new(subspaces, bits).rounds(4));
        }
    }
}

#[test]
fn turned_vectors_are_turned_back() {
    for bits in [4, 8] {
        let settings = PqSettings::new(5, bits).rounds(4).rotation(PqRotation::Opq);
        distances_are_those_of_decoded_vectors(21, settings);
    }
}

#[test]
fn codes_for_products_stand_for_vectors_too() {
    for (bits, rotation) in [(4, PqRotation::None), (8, PqRotation::Opq)] {
        let settings = PqSettings::new(5, bits).rounds(4).threshold(0.5).rotation(rotation);
        distances_are_those_of_decoded_vectors(21, settings);
    }
}

#[test]
fn a_threshold_keeps_the_greatest_products() {
    // Lengths differ, as they do where the product says more than the angle.
    let mut dice = Dice::new(15);
    let mut vectors = uniform(2000, 64, 16);
    vectors.chunks_exact_mut(64).for_each(|vector| {
        let length = 0.5 + dice.uniform().abs();
        vector.iter_mut().for_each(|x| *x *= length);
    });
    let (oracle, queries) = (Oracle::new(&vectors, 64, Metric::Dot), uniform(30, 64, 17));
    let recall = |threshold: f32| {
        let pq = trained(&vectors, 64, Metric::Dot, PqSettings::new(16, 4).rounds(8).threshold(threshold));
        let rows = encoded(&pq, &vectors);
        let found = |query: &[f32]| {
            let near = PqRows::new(pq.clone(), &rows).nearest(&pq.bind(query), 10);
            let slots: Vec<u32> = near.iter().map(|near| near.slot).collect();
            oracle.recall(query, 10, &slots, |_| true) / 30.0
        };
        queries.chunks_exact(64).map(found).sum::<f64>()
    };
    let (without, with) = (recall(0.0), recall(0.3));
    assert!(with > without + 0.05, "{without} {with}");
}

#[test]
fn what_codes_are_short_of_is_given_back_where_it_is_needed() {
    // Rows whose codes are short by different amounts: some of them lie where centroids are.
    let mut vectors = clustered(3000, 32, 40, 0.4, 18);
    for (n, vector) in vectors.chunks_exact_mut(32).enumerate() {
        let scale = if n % 2 == 0 { 0.2 } else { 1.0 };
        vector[16..].iter_mut().for_each(|x| *x *= scale);
    }
    let (oracle, queries) = (Oracle::new(&vectors, 32, Metric::Cosine), clustered(40, 32, 40, 0.4, 18));
    let pq = trained(&vectors, 32, Metric::Cosine, PqSettings::new(8, 4).rounds(8));
    assert!((0.2..=0.5).contains(&pq.correction()), "{}", pq.correction());
    let rows = encoded(&pq, &vectors);
    let recall = |correction: f32| {
        let model = Model { correction, ..pq.model().clone() };
        let pq = Pq::of_model(model);
        let found = |query: &[f32]| {
            let near = PqRows::new(pq.clone(), &rows).nearest(&pq.bind(query), 10);
            let slots: Vec<u32> = near.iter().map(|near| near.slot).collect();
            oracle.recall(query, 10, &slots, |_| true) / 40.0
        };
        queries.chunks_exact(32).map(found).sum::<f64>()
    };
    let (without, with) = (recall(0.0), recall(pq.correction()));
    assert!(with > without + 0.02, "{without} {with}");
}

#[test]
fn a_code_is_that_of_the_nearest_centroid() {
    let vectors = clustered(500, 12, 20, 0.5, 3);
    let pq = trained(&vectors, 12, Metric::L2, PqSettings::new(4, 4).rounds(4));
    let rows = encoded(&pq, &vectors);
    for (vector, row) in vectors.chunks_exact(12).zip(rows.chunks_exact(64)).take(50) {
        let (mut codes, mut other, mut decoded) = ([0; 4], vec![0; 64], [0.0; 12]);
        pq.shape().unpack(row, &mut codes);
        pq.decode(row, &mut decoded);
        let best = reference(vector, &decoded, Metric::L2, 0.0);
        for piece in 0..4 {
            for code in 0..16 {
                let mut codes = codes;
                codes[piece] = code;
                pq.shape().pack(&codes, &mut other);
                pq.decode(&other, &mut decoded);
                assert!(reference(vector, &decoded, Metric::L2, 0.0) >= best - 1e-6);
            }
        }
    }
}

#[test]
fn one_by_one_all_at_once_and_again_are_the_same() {
    let vectors = clustered(700, 20, 10, 0.5, 4);
    for (bits, rotation) in [(4, PqRotation::None), (8, PqRotation::None), (8, PqRotation::Opq)] {
        let settings = PqSettings::new(6, bits).rounds(3).rotation(rotation);
        let pq = trained(&vectors, 20, Metric::Cosine, settings);
        let rows = encoded(&pq, &vectors);
        let mut row = vec![0; pq.row_bytes()];
        for (vector, expected) in vectors.chunks_exact(20).zip(rows.chunks_exact(pq.row_bytes())) {
            pq.encode(vector, &mut row);
            assert_eq!(row, expected);
        }
        let again = trained(&vectors, 20, Metric::Cosine, settings);
        assert_eq!(again, pq);
        assert_eq!(again.to_section(), pq.to_section());
        assert_ne!(
            trained(&vectors, 20, Metric::Cosine, settings.seed(9)),
            pq,
            "another seed, another model"
        );
    }
}

#[test]
fn more_bytes_find_more() {
    let all = clustered(2020, 32, 30, 0.3, 5);
    let (vectors, queries) = all.split_at(2000 * 32);
    for metric in METRICS {
        let recall = |settings: PqSettings| {
            let pq = trained(vectors, 32, metric, settings.rounds(8));
            let (rows, oracle) = (encoded(&pq, vectors), Oracle::new(vectors, 32, metric));
            let found = |query: &[f32]| {
                let mut distances = vec![0.0; 2000];
                pq.bind(query).scan(&rows, &mut distances);
                let mut slots: Vec<u32> = (0..2000).collect();
                slots.sort_by(|a, b| distances[*a as usize].total_cmp(&distances[*b as usize]));
                oracle.recall(query, 10, &slots[..20], |_| true) / 20.0
            };
            queries.chunks_exact(32).map(found).sum::<f64>()
        };
        let (few, more, most) =
            (recall(PqSettings::new(4, 4)), recall(PqSettings::new(16, 4)), recall(PqSettings::new(16, 8)));
        assert!(few < more && more < most && most > 0.97, "{metric:?}: {few} {more} {most}");
    }
}

#[test]
fn a_rotation_helps_where_components_depend_on_each_other() {
    // Four sources, each seen by many components of all pieces.
    let mut dice = Dice::new(6);
    let mix: Vec<f32> = (0..4 * 32).map(|_| dice.gaussian()).collect();
    let vectors: Vec<f32> = (0..1500)
        .flat_map(|_| {
            let sources = [0; 4].map(|_| dice.gaussian());
            let mixed = |i: usize| (0..4).map(|s| sources[s] * mix[s * 32 + i]).sum::<f32>();
            (0..32).map(mixed).collect::<Vec<_>>()
        })
        .collect();
    let error = |rotation: PqRotation| {
        let pq = trained(&vectors, 32, Metric::L2, PqSettings::new(8, 4).rounds(8).rotation(rotation));
        let (rows, mut decoded) = (encoded(&pq, &vectors), vec![0.0; 32]);
        let of = |(vector, row): (&[f32], &[u8])| {
            pq.decode(row, &mut decoded);
            reference(vector, &decoded, Metric::L2, 0.0)
        };
        vectors.chunks_exact(32).zip(rows.chunks_exact(64)).map(of).sum::<f64>()
    };
    let (straight, turned) = (error(PqRotation::None), error(PqRotation::Opq));
    assert!(turned < 0.25 * straight, "{turned} of {straight}");
}

#[test]
fn degenerate_samples_train() {
    let (mut one, mut same) = (uniform(40, 20, 7), vec![0.25; 300 * 20]);
    one.truncate(20);
    same[..20].fill(0.5);
    let huge: Vec<f32> = uniform(50, 20, 8).iter().map(|x| x * 1e30).collect();
    let tiny: Vec<f32> = uniform(50, 20, 9).iter().map(|x| x * 1e-38).collect();
    let odd: Vec<f32> = [f32::NAN, 1.0, f32::INFINITY, -0.0, f32::NEG_INFINITY].repeat(20);
    let samples = [
        one,
        same,
        huge,
        tiny,
        odd,
        vec![0.0; 100],
        collinear(60, 20, 1),
        duplicates(300, 20, 3, 2),
        vec![f32::MAX; 200],
    ];
    for (n, sample) in samples.iter().enumerate() {
        for metric in METRICS {
            for (bits, rotation) in [(4, PqRotation::None), (8, PqRotation::None), (4, PqRotation::Opq)] {
                let threshold = if bits == 4 && metric != Metric::L2 { 0.5 } else { 0.0 };
                let settings = PqSettings::new(5, bits).rounds(3).rotation(rotation).threshold(threshold);
                let pq = trained(sample, 20, metric, settings);
                let rows = encoded(&pq, sample);
                let (mut out, mut decoded) = (vec![f32::NAN; sample.len() / 20], [f32::NAN; 20]);
                for query in [&sample[..20], &[0.0; 20], &[f32::NAN; 20], &[1e30; 20]] {
                    pq.bind(query).scan(&rows, &mut out);
                    assert!(out.iter().all(|x| !x.is_nan()), "{n} {pq:?}: {out:?}");
                }
                pq.decode(&rows[..pq.row_bytes()], &mut decoded);
                assert!(decoded.iter().all(|x| x.is_finite()), "{n} {pq:?}");
            }
        }
    }
}

#[test]
fn few_different_vectors_are_kept_exactly() {
    let sample = duplicates(300, 12, 5, 3);
    let pq = trained(&sample, 12, Metric::L2, PqSettings::new(3, 4));
    for (vector, row) in sample.chunks_exact(12).zip(encoded(&pq, &sample).chunks_exact(64)) {
        assert!(pq.bind(vector).score_row(row) < 1e-9);
    }
}

#[test]
fn long_vectors_train() {
    let sample = uniform(40, 4096, 10);
    let pq = trained(&sample, 4096, Metric::L2, PqSettings::new(1000, 4).rounds(2));
    assert_eq!((pq.row_bytes(), pq.dim(), pq.is_turned()), (512, 4096, false));
    let rows = encoded(&pq, &sample);
    let mut out = vec![0.0; 40];
    pq.bind(&sample[4096..8192]).scan(&rows, &mut out);
    assert!((0..40).all(|slot| out[slot] >= out[1]), "{out:?}");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let text = |dim: usize, metric, settings: PqSettings| {
        Pq::train(&vec![1.0; 2 * dim], dim, metric, &settings).expect_err("refused").to_string()
    };
    assert!(text(8, Metric::L1, PqSettings::new(4, 8)).contains("no L1"));
    assert!(text(8, Metric::L2, PqSettings::new(9, 8)).contains("8 components cannot be cut into 9 pieces"));
    assert!(text(8, Metric::L2, PqSettings::new(0, 8)).contains("into 0 pieces"));
    assert!(text(8, Metric::L2, PqSettings::new(4, 5)).contains("4 or 8 bits, not 5"));
    let products = |threshold| PqSettings::new(4, 8).threshold(threshold);
    assert!(text(8, Metric::L2, products(0.2)).contains("for dot and cosine"));
    for threshold in [f32::NAN, -0.1, 1.0] {
        assert!(text(8, Metric::Dot, products(threshold)).contains("from 0 to 0.9"));
    }
    assert!(text(300, Metric::Dot, products(0.2)).contains("at most 64 components"));
    let turned = PqSettings::new(4, 8).rotation(PqRotation::Opq);
    assert!(text(5000, Metric::L2, turned).contains("at most 2048 dimensions"));
    assert_eq!(Pq::train(&[], 8, Metric::L2, &PqSettings::new(4, 8)), Err(TrainError::Empty));
}

#[test]
fn a_row_as_the_query_is_its_vector() {
    let vectors = clustered(300, 16, 5, 0.5, 11);
    for metric in METRICS {
        for rotation in [PqRotation::None, PqRotation::Opq] {
            let pq = trained(&vectors, 16, metric, PqSettings::new(4, 4).rounds(3).rotation(rotation));
            let rows = encoded(&pq, &vectors);
            let (row, other) = (&rows[..64], &rows[64..128]);
            let (mut x, mut y) = ([0.0; 16], [0.0; 16]);
            pq.decode(row, &mut x);
            pq.decode(other, &mut y);
            // Of a decoded vector the direction is not normalised again.
            let kind = if metric == Metric::Dot { metric } else { Metric::L2 };
            let expected = reference(&x, &y, kind, 0.0) * if metric == Metric::Cosine { 0.5 } else { 1.0 };
            let store = PqRows::new(pq.clone(), &rows);
            for found in [pq.bind_row(row).score_row(other), store.between(0, 1), store.between(1, 0)] {
                assert!(
                    (f64::from(found) - expected).abs() < tolerance(&x, &y, Metric::L2),
                    "{found} {expected}"
                );
            }
        }
    }
}

#[test]
fn under_l2_parts_know_what_the_query_left_out() {
    let parts = uniform(200, 8, 12);
    for (metric, share) in [(Metric::L2, 1.0), (Metric::Cosine, 0.0), (Metric::Dot, 0.0)] {
        let pq = trained(&parts, 8, metric, PqSettings::new(2, 4).rounds(3));
        let mut row = vec![0; 64];
        pq.encode_part(&parts[..8], 3.0, &mut row);
        let whole = pq.bind_part(&parts[8..16], 0.0).score_row(&row);
        let part = pq.bind_part(&parts[8..16], 2.0).score_row(&row);
        assert!((part - whole - 2.0 * share).abs() < 1e-5, "{metric:?}: {whole} {part}");
    }
}

#[test]
fn sections_of_rows_belong_to_their_model() {
    let vectors = uniform(300, 10, 13);
    let pq = trained(&vectors, 10, Metric::L2, PqSettings::new(5, 4).rounds(2));
    let rows = encoded(&pq, &vectors);
    let header = Header { quantizer: pq.quantizer(), rows: 300 };
    let section = Blob::copy_of(&[&header.encode()[..], &rows].concat());
    let view = PqView::open_section(&section, pq.clone()).expect("its own rows");
    let mut scorer = view.bind(&vectors[..10]);
    assert_eq!(scorer.score(5).to_bits(), pq.bind(&vectors[..10]).score_row(&rows[320..384]).to_bits());
    let other = trained(&vectors, 10, Metric::L2, PqSettings::new(5, 4).rounds(2).seed(5));
    let error = PqView::open_section(&section, other).expect_err("of another model");
    assert!(error.to_string().contains("codec PQ of this model"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_are_rows(bytes in prop::collection::vec(any::<u8>(), 64), bits: bool, turned: bool) {
        let rotation = if turned { PqRotation::Opq } else { PqRotation::None };
        let settings = PqSettings::new(3, if bits { 4 } else { 8 }).rounds(1).rotation(rotation);
        let sample = uniform(20, 7, 14);
        let pq = trained(&sample, 7, Metric::L2, settings);
        let mut decoded = [f32::NAN; 7];
        pq.decode(&bytes, &mut decoded);
        prop_assert!(decoded.iter().all(|x| x.is_finite()));
        let (found, expected) = (pq.bind(&sample[..7]).score_row(&bytes), reference(&sample[..7], &decoded, Metric::L2, 0.0));
        prop_assert!((f64::from(found) - expected).abs() < tolerance(&sample[..7], &decoded, Metric::L2) + 1e-6);
        prop_assert!(pq.bind_row(&bytes).score_row(&bytes).is_finite());
    }
}
