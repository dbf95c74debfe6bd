//! What cannot be made again: operations, ids, metadata, tombstones and overlays; and the filters asked of them.

use std::path::Path;
use std::sync::Arc;

use vectra_core::ItemId;
use vectra_core::distance::ElementKind;
use vectra_core::io::{Blob, Fs, MemFs};
use vectra_metadata::{Builder, FieldKind, IndexedField, MetadataView, Schema};
use vectra_tier::container::{Header, Writer};
use vectra_tier::{Mode, PartHandle, Role};

use super::{join, three};
use crate::item::metadata_from_json;
use crate::segment::ids::{IdColumn, IdTable};
use crate::segment::overlay::Overlay;
use crate::segment::sections::{DEFAULT_FIELD, ID_BYTES, ID_FILTER, ID_OFFSETS, ID_ORDER};
use crate::segment::tombstones::Tombstones;
use crate::write::op;

const FILTERS: [&str; 4] = [
    r#"{"tag": "red"}"#,
    r#"{"n": {"$gt": 1, "$lte": 30}}"#,
    r#"{"$or": [{"on": true}, {"tag": {"$nin": ["red", "blue"]}}]}"#,
    r#"{"deep.down": {"$exists": true}}"#,
];

/// Count and dimension of a batch in the first two bytes, then a frame's payload.
pub(super) fn operations(bytes: &[u8]) {
    let [count, dim, payload @ ..] = bytes else { return };
    let (count, dim) = (u32::from(*count), usize::from(*dim & 15) + 1);
    for element in [ElementKind::F32, ElementKind::F16] {
        if let Ok(ops) = op::decode(payload, count, dim, element) {
            assert_eq!(op::encode(&ops, element), payload, "one batch has one encoding");
        }
    }
}

/// The id table of a segment: offsets, order and bytes.
pub(super) fn ids(bytes: &[u8]) {
    let [offsets, order, ids] = three(bytes);
    let rows = (order.len() / 4) as u32;
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let header = Header { id: uuid::Uuid::from_u128(1), role: Role::Rows, rows, schema_epoch: 0 };
    let mut writer = Writer::create(&fs, Path::new("/part"), header).expect("memory");
    for (kind, bytes) in [(ID_BYTES, ids), (ID_OFFSETS, offsets), (ID_ORDER, order), (ID_FILTER, &[0xff; 8])]
    {
        writer.section(kind, DEFAULT_FIELD, bytes).expect("memory");
    }
    let part = writer.finish().expect("memory");
    let part = PartHandle::open(&*fs, Path::new("/part"), &part, Mode::Read).expect("just written");
    let Ok(table) = IdTable::open(&part) else { return };
    for slot in 0..rows.min(64) {
        let Ok(id) = table.id(slot) else { continue };
        if let Ok(Some(found)) = table.find(&id.encode()) {
            assert_eq!(table.id(found).ok().as_ref(), Some(&id), "what is found is what was asked for");
        }
        _ = table.slot_at(slot);
    }
}

/// The number of rows in the first byte, a dictionary and rows of metadata.
pub(super) fn metadata(bytes: &[u8]) {
    let [count, dictionary, rows] = three(bytes);
    let row_count = u32::from(count.first().copied().unwrap_or(0));
    let indexes = Builder::new(&Schema::default()).finish().expect("nothing was pushed").indexes;
    let open = |bytes: &[u8]| Blob::copy_of(bytes);
    if let Ok(view) = MetadataView::open(open(rows), open(dictionary), open(&indexes), row_count) {
        ask(&view);
    }
}

/// The filter indexes of as many rows as the first byte says; the rows themselves are all null.
pub(super) fn indexes(bytes: &[u8]) {
    let Some((rows, indexes)) = bytes.split_first() else { return };
    let mut builder = Builder::new(&Schema::default());
    (0..*rows).for_each(|_| builder.push(&vectra_core::Value::Null));
    let sound = builder.finish().expect("nulls");
    let open = |bytes: &[u8]| Blob::copy_of(bytes);
    let view =
        MetadataView::open(open(&sound.rows), open(&sound.dictionary), open(indexes), u32::from(*rows));
    if let Ok(view) = view {
        ask(&view);
    }
}

fn ask(view: &MetadataView) {
    for slot in 0..view.row_count() {
        _ = view.get(slot);
    }
    for text in FILTERS {
        let filter = crate::mongo(text).expect("a filter");
        _ = view.estimate(&filter);
        if let Ok(filtered) = view.filter(&filter) {
            assert_eq!(filtered.bits.len(), view.row_count(), "an answer about every row");
        }
    }
    _ = view.stats();
}

/// Tombstones, an overlay and an encoded id, of a segment of two hundred rows.
pub(super) fn segment(bytes: &[u8]) {
    let [tombstones, overlay, id] = three(bytes);
    if let Ok(read) = Tombstones::decode(tombstones, 200) {
        assert_eq!(read.encode(), tombstones, "one set has one encoding");
        assert!(read.iter().all(|slot| slot < 200), "rows that exist");
    }
    if let Ok(read) = Overlay::decode(overlay, 200) {
        assert_eq!(read.encode(), overlay, "one overlay has one encoding");
    }
    if let Ok(read) = ItemId::decode(id) {
        assert_eq!(read.encode(), id, "one id has one encoding");
    }
}

/// A filter as its author wrote it.
pub(super) fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(filter) = crate::mongo(text) else { return };
    let item = serde_json::json!({"tag": "red", "n": 3, "on": true, "deep": {"down": [1, 2.5, null, "x"]}});
    let item = metadata_from_json(item).expect("metadata");
    let found = vectra_metadata::matches(&filter, &item);
    assert_eq!(vectra_metadata::matches(&filter, &item), found, "asked twice, answered the same");
}

/// Six rows with an index of each kind, and what refers to them.
pub(super) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let field = |path: &str, kind| IndexedField { path: path.to_owned(), kind };
    let fields =
        vec![field("tag", FieldKind::Keyword), field("n", FieldKind::Number), field("on", FieldKind::Bool)];
    let schema = Schema::new(fields).expect("three different paths");
    let row = |n: i64| {
        let tag = ["red", "blue"][n as usize % 2];
        let json = serde_json::json!({"tag": tag, "n": n, "on": n > 2, "deep": {"down": [n, "x"]}});
        metadata_from_json(json).expect("metadata")
    };
    let (mut few, mut many) = (Builder::new(&schema), Builder::new(&Schema::default()));
    (0..6).for_each(|n| few.push(&row(n)));
    (0..200).for_each(|n| many.push(&row(n)));
    let (few, many) = (few.finish().expect("small"), many.finish().expect("small"));
    let ids: Vec<ItemId> = vec![7_u64.into(), "a".into(), "bc".into(), uuid::Uuid::from_u128(5).into()];
    let mut column = IdColumn::new();
    ids.iter().for_each(|id| column.push(&id.encode()));
    let table = column.into_sections();
    let mut dead = Tombstones::new(200);
    [3, 77, 199].into_iter().for_each(|slot| _ = dead.insert(slot));
    let mut overlay = Overlay::default();
    overlay.insert(5, 9, Arc::new(row(1)));
    let ops = [
        op::Op::Put { id: 1_u64.into(), vector: vec![1.0, 2.0, 3.0], metadata: Arc::new(row(4)) },
        op::Op::Delete { id: "gone".into() },
        op::Op::Update { id: 2_u64.into(), metadata: Arc::new(row(5)) },
    ];
    let operations = [&[3, 2], &op::encode(&ops, ElementKind::F32)[..]].concat();
    let mut seeds = vec![
        ("operations", "three", operations),
        ("ids", "four", join([&table.offsets, &table.order, &table.bytes])),
        ("metadata", "rows", join([&[6], &few.dictionary, &few.rows])),
        ("metadata", "columns", join([&[200], &many.dictionary, &many.rows])),
        ("indexes", "three_fields", [&[6], &few.indexes[..]].concat()),
        ("segment", "both", join([&dead.encode(), &overlay.encode(), &ids[2].encode()])),
    ];
    seeds.extend([0, 1, 2, 3].map(|i| ("filter", ["equal", "range", "or", "exists"][i], FILTERS[i].into())));
    seeds
}
