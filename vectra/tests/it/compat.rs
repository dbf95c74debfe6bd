//! Folders written by builds of the past: each still opens, answers as it did, and goes on. See `tests/golden/README.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use vectra::{
    Builder, Index, Item, ItemId, Result, Snapshot, metadata_from_json, metadata_to_json, mongo_json,
};
use vectra_core::testing::oracle::Dice;

use crate::forge::{Folder, ROOT, Sandbox, golden};

/// By how much a distance may differ from one processor to the next.
const TOLERANCE: f64 = 1e-5;
/// How far apart the distances of neighbours in an answer are, so that their order is the same everywhere.
const GAP: f32 = 1e-3;

/// A golden folder and what it has to answer.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) folder: Folder,
    expected: Json,
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every golden folder, oldest first.
pub(crate) fn all() -> Vec<Golden> {
    let mut names: Vec<String> = std::fs::read_dir(home())
        .expect("the golden folders")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    let load = |name: String| {
        let folder = Folder::read_real(&home().join(&name).join("index"));
        let text = std::fs::read(home().join(&name).join("expected.json")).expect("what is expected");
        Golden { name, folder, expected: serde_json::from_slice(&text).expect("JSON") }
    };
    assert!(!names.is_empty(), "there is one for each version of the format");
    names.into_iter().map(load).collect()
}

fn id_json(id: &ItemId) -> Json {
    match id {
        ItemId::U64(n) => json!({ "u64": n }),
        ItemId::Uuid(uuid) => json!({ "uuid": uuid.to_string() }),
        ItemId::Str(text) => json!({ "str": **text }),
    }
}

fn id_of(json: &Json) -> ItemId {
    let text = |kind: &str| json[kind].as_str();
    match (json["u64"].as_u64(), text("uuid"), text("str")) {
        (Some(n), _, _) => n.into(),
        (_, Some(uuid), _) => uuid::Uuid::parse_str(uuid).expect("a UUID").into(),
        (_, _, text) => text.expect("an id").into(),
    }
}

fn item_json(item: &Item) -> Json {
    json!({
        "id": id_json(&item.id), "vector": item.vector, "metadata": metadata_to_json(&item.metadata),
    })
}

fn item_of(json: &Json) -> Item {
    Item::new(id_of(&json["id"]), vector_of(&json["vector"]))
        .with_metadata(metadata_from_json(json["metadata"].clone()).expect("metadata"))
}

pub(crate) fn vector_of(json: &Json) -> Vec<f32> {
    let component = |x: &Json| x.as_f64().expect("a number") as f32;
    json.as_array().expect("a vector").iter().map(component).collect()
}

fn items(snapshot: &Snapshot) -> Result<Vec<Item>> {
    let page = snapshot.list_items(None, 1000)?;
    assert!(page.next.is_none(), "golden folders are small");
    Ok(page.items)
}

/// The nearest five (or so) of `query`, exactly.
fn nearest(snapshot: &Snapshot, query: &Json, k: usize) -> Result<Vec<(ItemId, f32)>> {
    let vector = vector_of(&query["vector"]);
    let question = snapshot.query(&vector).top_k(k).exact();
    let hits = match &query["filter"] {
        Json::Null => question.run()?,
        filter => question.filter(mongo_json(filter)?).run()?,
    };
    Ok(hits.into_iter().map(|hit| (hit.id, hit.distance)).collect())
}

/// What an index answers, as it is written to `expected.json`.
fn answers(index: &Index) -> Result<Json> {
    let snapshot = index.snapshot();
    let list =
        |snapshot: &Snapshot| -> Result<Vec<Json>> { Ok(items(snapshot)?.iter().map(item_json).collect()) };
    let filters = [
        Json::Null,
        json!({ "tag": "red" }),
        json!({ "n": { "$gte": 10, "$lt": 45 }, "on": true }),
        json!({ "$or": [{ "tag": { "$in": ["green", "blue"] } }, { "n": { "$gt": 1000 } }] }),
    ];
    let mut queries = Vec::new();
    for (n, filter) in (0..).zip(filters.iter().cycle().take(8)) {
        queries.push(query(&snapshot, n, filter)?);
    }
    let checkpoints: Vec<Json> = index
        .checkpoints()
        .into_iter()
        .map(|kept| {
            let items = list(&index.at_checkpoint(&kept.name)?)?;
            Ok(json!({ "name": kept.name, "lsn": kept.lsn, "items": items }))
        })
        .collect::<Result<_>>()?;
    Ok(json!({
        "lsn": snapshot.lsn(), "items": list(&snapshot)?, "queries": queries, "checkpoints": checkpoints,
    }))
}

/// A query whose answers are clearly apart, and these.
fn query(snapshot: &Snapshot, n: u64, filter: &Json) -> Result<Json> {
    for seed in 0.. {
        let mut dice = Dice::new(n << 32 | seed);
        let vector: Vec<f32> = (0..golden::DIM).map(|_| (dice.below(64) as f32 - 31.5) / 16.0).collect();
        let mut query = json!({ "vector": vector, "filter": filter });
        let hits = nearest(snapshot, &query, 6)?;
        if hits.windows(2).all(|pair| pair[1].1 - pair[0].1 > GAP) {
            let hit = |(id, distance): &(ItemId, f32)| json!({ "id": id_json(id), "distance": distance });
            query["hits"] = hits.iter().take(5).map(hit).collect();
            return Ok(query);
        }
    }
    unreachable!("some query has answers that are apart")
}

impl Golden {
    /// Everything that the index at [`ROOT`] has and finds is what is expected.
    fn check(&self, snapshot: &Snapshot) -> Result<()> {
        let name = &self.name;
        let expected: Vec<Item> = self.array("items").iter().map(item_of).collect();
        assert_eq!(items(snapshot)?, expected, "{name}");
        assert_eq!(snapshot.len(), expected.len() as u64, "{name}");
        for item in &expected {
            assert_eq!(snapshot.get_item(item.id.clone())?.as_ref(), Some(item), "{name}");
            let near = snapshot.query(&item.vector).top_k(1).run()?;
            assert!(near[0].distance < 1e-3, "{name}: {} finds itself: {near:?}", item.id);
        }
        for query in self.array("queries") {
            let found = nearest(snapshot, query, 5)?;
            let hits = query["hits"].as_array().expect("hits");
            assert_eq!(found.len(), hits.len(), "{name}: {query}");
            for ((id, distance), hit) in found.iter().zip(hits) {
                assert_eq!(*id, id_of(&hit["id"]), "{name}: {query}");
                let expected = hit["distance"].as_f64().expect("a distance");
                assert!((f64::from(*distance) - expected).abs() < TOLERANCE, "{name}: {distance}, {query}");
            }
        }
        Ok(())
    }

    fn check_checkpoints(&self, index: &Index) -> Result<()> {
        let expected = self.array("checkpoints");
        assert_eq!(index.checkpoints().len(), expected.len(), "{}", self.name);
        for kept in expected {
            let snapshot = index.at_checkpoint(kept["name"].as_str().expect("a name"))?;
            assert_eq!(Json::from(snapshot.lsn()), kept["lsn"], "{}", self.name);
            let there: Vec<Item> = kept["items"].as_array().expect("items").iter().map(item_of).collect();
            assert_eq!(items(&snapshot)?, there, "{}: {}", self.name, kept["name"]);
        }
        Ok(())
    }

    pub(crate) fn array(&self, what: &str) -> &[Json] {
        self.expected[what].as_array().expect("a list")
    }

    /// Opens it, looks, writes, merges, closes, and looks again.
    fn live_on(&self, open: &dyn Fn() -> Result<Index>) -> Result<()> {
        let index = open()?;
        self.check(&index.snapshot())?;
        self.check_checkpoints(&index)?;
        assert_eq!(Json::from(index.snapshot().lsn()), self.expected["lsn"], "{}", self.name);
        let fresh: Vec<Item> = (5000..5030).map(golden::item).collect();
        let ids: Vec<ItemId> = fresh.iter().map(|item| item.id.clone()).collect();
        index.insert_items(fresh.clone())?;
        index.compact()?;
        assert_eq!(index.get_item(ids[7].clone())?.as_ref(), Some(&fresh[7]));
        index.close()?;
        let index = open()?;
        assert_eq!(index.snapshot().len() as usize, self.array("items").len() + fresh.len());
        self.check_checkpoints(&index)?;
        index.delete_items(ids)?;
        self.check(&index.snapshot())?;
        index.close()
    }
}

/// Not a test of old folders but of today's code: it answers what is expected of the newest one when it writes its
/// content itself. With `VECTRA_WRITE_GOLDEN=1` that folder is written.
#[test]
fn the_newest_golden_folder_is_what_is_written_today() -> Result<()> {
    let folder = golden::folder();
    assert_eq!(golden::folder(), folder, "the same source writes the same bytes");
    let index = Sandbox::on(Arc::new(folder.to_fs()), 1).builder().open(ROOT)?;
    let expected = answers(&index)?;
    if std::env::var_os("VECTRA_WRITE_GOLDEN").is_some() {
        let to = home().join("v1");
        let _old = std::fs::remove_dir_all(&to);
        folder.write_real(&to.join("index"));
        std::fs::write(to.join("expected.json"), format!("{expected:#}\n")).expect("space");
    }
    let newest = all().pop().expect("at least one");
    Golden { expected, ..newest }.check(&index.snapshot())?;
    let newest = all().pop().expect("at least one");
    newest.check(&index.snapshot())?;
    newest.check_checkpoints(&index)
}

/// It holds everything that its README says; otherwise it would prove less than it seems to.
#[test]
fn golden_folders_hold_every_kind_of_content() -> Result<()> {
    for golden in all() {
        let name = &golden.name;
        assert!(golden.folder.bytes() < 400 << 10, "{name} has {} bytes", golden.folder.bytes());
        for (prefix, least) in [("manifest/", 2), ("wal/", 2), ("seg/", 12), ("FORMAT", 1)] {
            assert!(golden.folder.names(prefix).len() >= least, "{name}: {:?}", golden.folder.files.keys());
        }
        let index = Sandbox::on(Arc::new(golden.folder.to_fs()), 1).builder().open(ROOT)?;
        let stats = index.stats();
        assert!(stats.shards.len() == 2 && index.opened().frames > 0, "{name}: {:?}", index.opened());
        let segments: Vec<_> = stats.shards.iter().flat_map(|shard| &shard.segments).collect();
        assert!(segments.iter().any(|segment| segment.has_graph), "{name}: {segments:?}");
        assert!(segments.iter().any(|segment| !segment.has_graph), "{name}: {segments:?}");
        assert!(segments.iter().any(|segment| segment.live < segment.rows), "{name}: {segments:?}");
        assert!(segments.iter().any(|segment| segment.updated > 0), "{name}: {segments:?}");
        let ids: Vec<ItemId> = items(&index.snapshot())?.into_iter().map(|item| item.id).collect();
        let kinds = |is: fn(&ItemId) -> bool| ids.iter().filter(|id| is(id)).count();
        assert!(kinds(|id| matches!(id, ItemId::U64(_))) > 5, "{name}");
        assert!(kinds(|id| matches!(id, ItemId::Uuid(_))) > 5, "{name}");
        assert!(kinds(|id| matches!(id, ItemId::Str(_))) > 5, "{name}");
        assert!(golden.array("queries").len() >= 8 && golden.array("checkpoints").len() == 1, "{name}");
    }
    Ok(())
}

#[test]
fn every_golden_folder_is_read_and_goes_on() -> Result<()> {
    for golden in all() {
        let fs = Arc::new(golden.folder.to_fs());
        let sandbox = Sandbox::on(fs.clone(), 3);
        let report = sandbox.builder().verify_deep(ROOT)?;
        assert!(report.findings.is_empty() && report.unknown.is_empty(), "{}: {report:?}", golden.name);
        assert!(report.parts > 0 && report.bytes > 0);
        let reader = sandbox.builder().open_reader(ROOT)?;
        golden.check(&reader.snapshot())?;
        drop(reader);
        assert_eq!(Folder::read(&*fs), golden.folder, "looking changes nothing");
        golden.live_on(&|| sandbox.builder().open(ROOT))?;
        let report = sandbox.builder().verify_deep(ROOT)?;
        assert!(report.findings.is_empty(), "{}: {report:?}", golden.name);
    }
    Ok(())
}

/// On a real disk, mapped, without the empty folders that a checkout or an archive leaves out; as a checkout makes the
/// files, and as the engine makes them.
#[test]
fn every_golden_folder_is_read_from_a_real_disk() -> Result<()> {
    for golden in all() {
        for protected in [false, true] {
            let dir = tempfile::tempdir().expect("a folder");
            golden.folder.write_real(dir.path());
            for name in golden.folder.files.keys().filter(|name| protected && !name.starts_with("wal/")) {
                let path = dir.path().join(name);
                let mut mode = std::fs::metadata(&path).expect("a file").permissions();
                mode.set_readonly(true);
                std::fs::set_permissions(&path, mode).expect("ours");
            }
            let report = vectra::verify_deep(dir.path())?;
            assert!(report.findings.is_empty(), "{}: {report:?}", golden.name);
            golden.check(&vectra::Reader::open(dir.path())?.snapshot())?;
            golden.live_on(&|| Builder::new().threads(1).open(dir.path()))?;
        }
    }
    Ok(())
}
