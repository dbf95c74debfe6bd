use std::sync::Arc;

use vectra_core::admit::All;
use vectra_core::env::OsRng;
use vectra_core::index::SearchParams;
use vectra_core::io::{Fs, MemFs};
use vectra_core::testing::oracle::Dice;
use vectra_tier::{LocalStore, Mode, ReadBuf};

use super::*;
use crate::segment::index::Scratch;
use crate::segment::ledger::MetadataTerms;
use crate::segment::overlay::Overlay;
use crate::segment::tombstones::Tombstones;

fn store() -> LocalStore {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    ["/index", "/index/seg", "/index/tmp"]
        .iter()
        .for_each(|dir| fs.mkdir(std::path::Path::new(dir)).expect("a new folder"));
    LocalStore::new(fs, std::path::Path::new("/index"), Arc::new(OsRng::new()), Mode::Read)
}

fn metadata(n: u32) -> Value {
    Value::from([
        ("n", Value::from(u64::from(n))),
        ("text", Value::from(format!("text number {n} ").repeat(20))),
    ])
}

/// The most bytes a writer of `rows` rows holds, and its parts, opened.
fn write(store: &LocalStore, settings: &Settings, rows: u32) -> (usize, Truth, Ledger) {
    write_vectors(store, settings, rows, |n| (0..settings.dim).map(|j| (n * 31 + j) as f32).collect())
}

fn write_vectors(
    store: &LocalStore,
    settings: &Settings,
    rows: u32,
    vector: impl Fn(u32) -> Vec<f32>,
) -> (usize, Truth, Ledger) {
    let mut writer = TruthWriter::begin(store, settings).expect("a new part");
    let (mut most, mut terms) = (0, MetadataTerms::default());
    for n in 0..rows {
        let id = vectra_core::ItemId::from(u64::from(rows - n)).encode();
        let vector = vector(n);
        let (vector, metadata) = (Vectors::F32(&vector), metadata(n));
        let sum = terms.row(&id, vector.as_bytes(), &metadata);
        let row = RowSource { id: &id, lsn: n.into(), vector, inverse_norm: 0.5, metadata: &metadata, sum };
        assert_eq!(writer.push(&row).expect("room"), n);
        most = most.max(writer.buffered_bytes());
    }
    let WrittenTruth { rows_part, meta_part, ledger } = writer.finish().expect("room");
    let open = |part: &PartRef| {
        store.publish(part).expect("a new name");
        store.open(part).expect("just written")
    };
    (most, Truth::open(open(&rows_part), open(&meta_part), settings).expect("own parts"), ledger)
}

#[test]
fn what_is_written_row_by_row_is_read_back() {
    let (_, truth, ledger) = write(&store(), &Settings::new(3), 3000);
    assert_eq!(truth.rows(), 3000);
    for slot in [0, 1, 1023, 1024, 2999] {
        assert_eq!(truth.id(slot).expect("an id"), (3000 - u64::from(slot)).into());
        assert_eq!(truth.lsn(slot).expect("an LSN"), u64::from(slot));
        assert_eq!(truth.metadata(slot).expect("metadata"), metadata(slot));
        assert_eq!(truth.inverse_norm(slot).expect("a norm").to_bits(), 0.5_f32.to_bits());
        let expected: Vec<f32> = (0..3).map(|j| (slot * 31 + j) as f32).collect();
        assert_eq!(truth.vectors(slot, 1, &mut ReadBuf::default()).expect("a vector").to_f32(), expected);
        let encoded = vectra_core::ItemId::from(3000 - u64::from(slot)).encode();
        assert_eq!(truth.ids().find(&encoded).expect("ids"), Some(slot));
    }
    let none = Tombstones::new(3000);
    assert_eq!(truth.ledger(&none, &Overlay::default()).expect("sound parts"), ledger);
}

/// What a merge holds per row: its encoded id and where that ends, its LSN, its norm under cosine, and its metadata, which
/// is packed beyond the first 16 MiB. No vector.
#[test]
fn vectors_are_not_held_in_memory_nor_is_metadata_as_it_came() {
    let rows = 60_000;
    let columns = rows as usize * (9 + 4 + 8 + 4) + 4;
    let (narrow, ..) = write(&store(), &Settings::new(2), rows);
    let (wide, ..) = write(&store(), &Settings::new(200), rows);
    assert_eq!(narrow, wide, "the dimension does not matter");
    let as_it_came = rows as usize * 320;
    assert!(as_it_came > 18 << 20, "more metadata than is kept as it came");
    let most = columns + (16 << 20) + (1 << 20);
    assert!(narrow <= most, "{narrow} bytes were held, at most {most} are allowed");
}

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
        index.scan(&flat(dim)(slot), 1, &vectra_core::admit::Bits::all(rows), &mut scratch);
        assert_eq!(scratch.found[0].slot, slot, "nothing is nearer than the row itself");
    }
    let copied = index.verified(dim, Metric::L2).expect("nothing is damaged");
    copied.scan(&flat(dim)(9), 1, &vectra_core::admit::Bits::all(rows), &mut scratch);
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
        let part = write_graph(&store, index, &truth, &settings, 2, &|_| true).expect("room");
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
        let coder = coder(&truth, &settings).expect("sound rows");
        assert!(coder.projection().is_none() && coder.dim() == dim, "{rows} {dim}");
    }
}
