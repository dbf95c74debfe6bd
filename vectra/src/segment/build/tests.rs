use std::sync::Arc;

use vectra_core::env::OsRng;
use vectra_core::io::{Fs, MemFs};
use vectra_tier::{LocalStore, Mode, ReadBuf};

use super::*;
use crate::segment::ledger::MetadataTerms;
use crate::segment::overlay::Overlay;
use crate::segment::tombstones::Tombstones;
use crate::segment::truth::Truth;

pub(super) fn store() -> LocalStore {
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

pub(super) fn write_vectors(
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
