//! The content of the golden folder of today's format.

use std::num::NonZero;
use std::sync::Arc;

use uuid::Uuid;
use vectra::{
    ElementKind, FieldKind, Index, Item, ItemId, ItemUpdate, Metric, Result, Settings, Value,
    metadata_from_json,
};
use vectra_core::io::MemFs;
use vectra_core::testing::oracle::Dice;
use vectra_shard::{HashRouter, Router};

use super::folder::{Folder, ROOT};
use super::material::Sandbox;

/// Components per vector.
pub(crate) const DIM: u32 = 8;

fn settings() -> Settings {
    let mut settings = Settings::new(DIM)
        .with_metric(Metric::Cosine)
        .with_element(ElementKind::F16)
        .with_shards(2)
        .with_seal_rows(4096)
        .with_graph(4, 16)
        .with_indexed_field("tag", FieldKind::Keyword)
        .with_indexed_field("n", FieldKind::Number)
        .with_indexed_field("on", FieldKind::Bool);
    settings.metadata_bytes_max = 4096;
    (settings.log_bytes_min, settings.log_bytes_max) = (4096, 8 << 10);
    settings
}

fn id(key: u64) -> ItemId {
    match key % 3 {
        0 => key.into(),
        1 => format!("item {key}").into(),
        _ => Uuid::from_u128(u128::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).into(),
    }
}

/// Ids of every kind, components that f16 holds exactly, and every kind of metadata.
pub(crate) fn item(key: u64) -> Item {
    let mut dice = Dice::new(key ^ 0x601d);
    let vector: Vec<f32> = (0..DIM).map(|_| (dice.below(64) as f32 - 31.5) / 16.0).collect();
    let tag = ["red", "green", "blue"][dice.below(3)];
    let metadata = serde_json::json!({
        "tag": tag, "n": key, "on": key.is_multiple_of(2),
        "more": [null, -0.5, i64::MIN, u64::MAX, { "text": "gr\u{fc}n", "key": key }],
    });
    match key % 7 {
        6 => Item::new(id(key), vector),
        _ => Item::new(id(key), vector).with_metadata(metadata_from_json(metadata).expect("shallow")),
    }
}

fn insert(index: &Index, keys: std::ops::Range<u64>) -> Result<()> {
    index.insert_items(keys.map(item).collect()).map(drop)
}

fn update(index: &Index, keys: &[u64]) -> Result<()> {
    let new = |key: &u64| {
        let metadata = [("n", Value::from(1000 + key)), ("tag", "green".into())];
        ItemUpdate::new(id(*key), Value::from(metadata))
    };
    index.update_items(keys.iter().map(new).collect()).map(drop)
}

fn delete(index: &Index, keys: &[u64]) -> Result<()> {
    index.delete_items(keys.iter().map(|key| id(*key)).collect()).map(drop)
}

fn live(index: &Index) -> Result<()> {
    index.load_items((0..24).map(item))?;
    index.wait_optimized()?;
    // Otherwise merging would fold in what is to stay beside the segments.
    let _later = index.defer_optimization();
    // These go to one shard only: a segment without a graph, and a load that only the log names.
    let of_one_shard = |first: u64| (first..).filter(|key| shard(&id(*key)) == 1).take(4).map(item);
    index.insert_items(of_one_shard(24).collect())?;
    update(index, &[1, 2, 8])?;
    delete(index, &[3, 4])?;
    index.create_checkpoint("kept")?;
    update(index, &[5])?;
    delete(index, &[6])?;
    index.flush()?;
    index.load_items(of_one_shard(100))?;
    update(index, &[5, 9])?;
    delete(index, &[7])?;
    index.upsert_items(vec![item(10), item(200)])?;
    insert(index, 201..206)
}

/// The shard that an id belongs to.
fn shard(id: &ItemId) -> u16 {
    let router = HashRouter::new(NonZero::new(2).expect("two"));
    router.route(&id.encode())
}

/// The folder, written anew.
pub(crate) fn folder() -> Folder {
    let fs = Arc::new(MemFs::new());
    let index = Sandbox::on(fs.clone(), 5).builder().create(ROOT, settings()).expect("an empty disk");
    live(&index).and_then(|()| index.close()).expect("a healthy disk");
    Folder::read(&*fs)
}
