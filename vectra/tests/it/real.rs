//! Real embeddings: what the defaults find among them. Passes without a word but one where the data set is missing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use half::f16;
use vectra::seams::MemFs;
use vectra::{Builder, ElementKind, FieldKind, Hit, Index, Item, ItemId, Settings, mongo};

const ROWS: usize = 8000;
const QUERIES: usize = 100;
const K: usize = 10;

/// Where the data set is, if it is.
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/debian-minilm");
    let folder = std::env::var_os("VECTRA_DATA").map_or_else(beside, PathBuf::from);
    if folder.join("base.f16.npy").exists() {
        return Some(folder);
    }
    println!("skipped: there is no data set at {}; name its folder in VECTRA_DATA", folder.display());
    None
}

/// Every `step`-th row of a two-dimensional npy file of little-endian f16, at most `count`, widened.
fn npy_rows(path: &Path, step: usize, count: usize) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).expect("a readable file");
    assert!(bytes.starts_with(b"\x93NUMPY\x01"), "version 1 of the format");
    let header_len = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_len]).expect("text");
    assert!(header.contains("'<f2'") && header.contains("'fortran_order': False"), "{header}");
    let shape = header.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("a shape").0;
    let shape: Vec<usize> = shape.split(',').map(|n| n.trim().parse().expect("a number")).collect();
    let rows = bytes[10 + header_len..].chunks_exact(2 * shape[1]);
    assert_eq!(rows.len(), shape[0], "as many rows as the header says");
    let widen = |row: &[u8]| row.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect();
    rows.step_by(step).take(count).map(widen).collect()
}

/// Every `step`-th line of the metadata, at most `count`; `None` without the program `gzip`.
fn metadata_lines(folder: &Path, step: usize, count: usize) -> Option<Vec<serde_json::Value>> {
    let gzip = Command::new("gzip").arg("-dc").arg(folder.join("metadata.jsonl.gz")).output();
    let Ok(output) = gzip else {
        println!("skipped: the program gzip is missing");
        return None;
    };
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().step_by(step).take(count);
    Some(lines.map(|line| serde_json::from_str(line).expect("a JSON object")).collect())
}

fn load(folder: &Path) -> Option<Index> {
    let vectors = npy_rows(&folder.join("base.f16.npy"), 7, ROWS);
    let metadata = metadata_lines(folder, 7, ROWS)?;
    let settings = Settings::new(vectors[0].len() as u32)
        .with_element(ElementKind::F16)
        .with_indexed_field("section", FieldKind::Keyword);
    let index = Builder::new().fs(Arc::new(MemFs::new())).create("/real", settings).expect("created");
    let items = (0_u64..).zip(vectors.into_iter().zip(metadata)).map(|(row, (vector, metadata))| {
        Item::new(row, vector).with_json(metadata).expect("storable metadata")
    });
    let items: Vec<Item> = items.collect();
    for batch in items.chunks(1000) {
        index.insert_items(batch.to_vec()).expect("valid items");
    }
    index.wait_optimized().expect("optimized");
    Some(index)
}

/// How much of the exact answer the other has, counting as right what is as near as its last.
fn recall(exact: &[Hit], found: &[Hit]) -> f64 {
    let Some(last) = exact.last() else { return 1.0 };
    let ids: BTreeSet<&ItemId> =
        found.iter().filter(|hit| hit.distance <= last.distance + 1e-6).map(|hit| &hit.id).collect();
    ids.len().min(exact.len()) as f64 / exact.len() as f64
}

#[test]
fn the_defaults_find_what_is_near_among_real_embeddings() {
    let Some(folder) = data() else { return };
    let Some(index) = load(&folder) else { return };
    let queries = npy_rows(&folder.join("queries.f16.npy"), 13, QUERIES);
    let filters = [None, Some(r#"{"section": "fonts"}"#), Some(r#"{"arch": "all"}"#)];
    for filter in filters {
        let (mut found, mut distances) = (0.0, 0);
        for query in &queries {
            let ask = || {
                let query = index.query(query).top_k(K);
                filter.map_or(query.clone(), |filter| query.filter(mongo(filter).expect("well-formed")))
            };
            let exact = ask().exact().run().expect("answered");
            let (hits, profile) = ask().run_profiled().expect("answered");
            assert_eq!((exact.len(), hits.len()), (K, K), "{filter:?}");
            for hit in exact.iter().chain(&hits) {
                let metadata = hit.metadata.as_ref().expect("asked for");
                let is = |field: &str, value: &str| {
                    metadata.get(field).is_some_and(|found| *found == value.into())
                };
                assert!(filter.is_none_or(|f| if f.contains("fonts") {
                    is("section", "fonts")
                } else {
                    is("arch", "all")
                }));
            }
            found += recall(&exact, &hits);
            distances += profile.distances;
        }
        let (mean, distances) = (found / QUERIES as f64, distances / QUERIES as u64);
        println!("filter {filter:?}: recall {mean:.4}, {distances} distances a query");
        assert!(mean >= 0.95, "filter {filter:?}: recall {mean}");
        assert!(
            filter.is_some() || distances < ROWS as u64 / 2,
            "{distances} distances: the graph is a scan"
        );
    }
}
