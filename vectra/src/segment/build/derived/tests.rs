use std::sync::Arc;

use vectra_core::Metric;
use vectra_core::admit::{All, Bits};
use vectra_core::index::SearchParams;
use vectra_core::testing::oracle::Dice;
use vectra_tier::LocalStore;

use super::*;
use crate::segment::build::tests::{store, write_vectors};
use crate::segment::index::Scratch;

/// Vectors near a plane of twelve dimensions.
fn flat(dim: usize) -> impl Fn(u32) -> Vec<f32> {
    let mut dice = Dice::new(1);
    let basis: Vec<f32> = (0..12 * dim).map(|_| dice.gaussian()).collect();
    move |n| {
        let mut dice = Dice::new(u64::from(n) + 100);
        let weights: Vec<f32> = (0..12).map(|_| dice.gaussian()).collect();
        let along = |j: usize| weights.iter().enumerate().map(|(k, w)| w * basis[k * dim + j]).sum::<f32>();
        (0..dim).map(|j| along(j) + 0.05 * dice.gaussian()).collect()
    }
}

#[test]
fn vectors_that_differ_in_few_directions_are_projected() {
    let (dim, rows, store) = (192, 15_400, store());
    let settings = Settings { metric: Metric::L2, ..Settings::new(dim as u32) };
    let (_, truth, _) = write_vectors(&store, &settings, rows, flat(dim));
    let index = published(&store, &write_codes(&store, &truth, &settings).expect("room"), &settings);
    assert_eq!(
        index.codes().projection().map(|projection| (projection.dim(), projection.kept())),
        Some((192, 48))
    );
    assert!(index.codes_are_sound());
    let mut scratch = Scratch::default();
    for slot in (0..rows).step_by(701) {
        index.scan(&flat(dim)(slot), 1, &Bits::all(rows), &mut scratch);
        assert_eq!(scratch.found[0].slot, slot, "nothing is nearer than the row itself");
    }
    let copied = index.verified(dim, Metric::L2).expect("nothing is damaged");
    copied.scan(&flat(dim)(9), 1, &Bits::all(rows), &mut scratch);
    assert_eq!(scratch.found[0].slot, 9);
    let other = SealedIndex::open(Arc::clone(&index.part), rows, dim, Metric::Cosine).map(|_| ());
    assert!(other.expect_err("codes of another metric").to_string().contains("belong to other vectors"));
}

/// The part `index`, opened.
fn published(store: &LocalStore, part: &PartRef, settings: &Settings) -> SealedIndex {
    store.publish(part).expect("a new name");
    let handle = store.open(part).expect("just written");
    SealedIndex::open(Arc::clone(&handle), handle.rows(), settings.dim as usize, settings.metric)
        .expect("own codes")
}

#[test]
fn graphs_over_long_rows_are_walked_on_four_bits() {
    let (dim, rows, store) = (320, 15_400, store());
    let settings = Settings { metric: Metric::L2, ..Settings::new(dim as u32) };
    let vector = |n: u32| {
        let (mut group, mut own) = (Dice::new(u64::from(n) % 300), Dice::new(u64::from(n) + 1000));
        let mut component = || group.gaussian() + 0.3 * own.gaussian();
        (0..dim).map(|j| if j < 236 { component() } else { 0.0 }).collect::<Vec<f32>>()
    };
    let (_, truth, _) = write_vectors(&store, &settings, rows, vector);
    let bare = published(&store, &write_codes(&store, &truth, &settings).expect("room"), &settings);
    assert_eq!(bare.codes().projection().map(Projection::kept), Some(240));
    assert!(matches!(bare.codes(), Codes::Eight(_)));
    let graph_over = |index: &SealedIndex| {
        let asked = (&settings, Quantization::Auto);
        let part = write_graph(&store, index, &truth, asked, 2, &|_| true).expect("room");
        published(&store, &part, &settings)
    };
    let walked = graph_over(&bare);
    assert!(matches!(walked.codes(), Codes::Four(codes) if codes.coder.codec().row_bytes() == 128));
    walked.codes().check(&truth).expect("those of the vectors");
    let (params, mut scratch) = (SearchParams::new(10, 64), Scratch::default());
    for slot in (0..rows).step_by(701) {
        walked.walk(&vector(slot), &params, &All, &mut scratch);
        assert_eq!(scratch.found[0].slot, slot, "nothing is nearer than the row itself");
    }
    // Built again where there are only codes of four bits, it is the same.
    let again = graph_over(&walked);
    for kind in [CODES, GRAPH, PROJECTION, CALIBRATION] {
        let section = |index: &SealedIndex| index.part.section(kind, DEFAULT_FIELD).expect("written");
        assert_eq!(section(&walked).bytes()[..], section(&again).bytes()[..], "{kind:?}");
    }
}

#[test]
fn codes_are_made_again_as_asked_for_and_the_graph_stays() {
    let (dim, rows, store) = (24, 3000, store());
    let settings = Settings { metric: Metric::L2, ..Settings::new(dim as u32) };
    let vector = |n: u32| {
        let mut dice = Dice::new(n.into());
        (0..dim).map(|_| dice.gaussian()).collect::<Vec<f32>>()
    };
    let (_, truth, _) = write_vectors(&store, &settings, rows, vector);
    let bare = published(&store, &write_codes(&store, &truth, &settings).expect("room"), &settings);
    let asked = (&settings, Quantization::Sq4);
    let part = write_graph(&store, &bare, &truth, asked, 2, &|_| true).expect("room");
    let mut index = published(&store, &part, &settings);
    let graph =
        |index: &SealedIndex| index.part.section(GRAPH, DEFAULT_FIELD).expect("written").bytes().to_vec();
    let (first, mut scratch) = (graph(&index), Scratch::default());
    let three = Quantization::RaBitQ { bits: 3 };
    let asked = [
        (Quantization::Sq4, "sq4"),
        (three, "rabitq-3"),
        (Quantization::Sq8, "sq8"),
        (three, "rabitq-3"),
        (Quantization::Auto, "sq8"),
    ];
    for (wanted, name) in asked {
        let part = write_encoded(&store, &index, &truth, (&settings, wanted), 1).expect("room");
        index = published(&store, &part, &settings);
        assert_eq!((index.quantization(), index.codes().name()), (wanted, name));
        assert!(graph(&index) == first && index.calibration().is_some());
        index.codes().check(&truth).expect("those of the vectors");
        index.walk(&vector(77), &SearchParams::new(10, 64), &All, &mut scratch);
        assert_eq!(scratch.found[0].slot, 77, "nothing is nearer than the row itself");
    }
    assert!(!index.part.has(QUANTIZATION, DEFAULT_FIELD), "as before anybody asked");
}

#[test]
fn few_rows_and_vectors_without_structure_keep_a_code_for_every_component() {
    let store = store();
    for (rows, dim, flattened) in [(3000, 192, true), (15_400, 192, false), (15_400, 60, true)] {
        let settings = Settings { metric: Metric::L2, ..Settings::new(dim as u32) };
        let noise = |n: u32| {
            let mut dice = Dice::new(n.into());
            (0..dim).map(|_| dice.uniform()).collect()
        };
        let (_, truth, _) = if flattened {
            write_vectors(&store, &settings, rows, flat(dim))
        } else {
            write_vectors(&store, &settings, rows, noise)
        };
        let coder = fitted(&truth, &settings).expect("sound rows");
        assert!(coder.projection().is_none() && coder.dim() == dim, "{rows} {dim}");
    }
}
