//! Bad input, bad files and second writers: refused with an error that names what is wrong, and nothing is written.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use vectra::{
    Error, ErrorKind, FieldKind, Filter, Index, Item, ItemId, ItemUpdate, Metric, Result, Settings, Stats,
    Value, mongo,
};

use crate::kill::again;

const HOLDER: &str = "VECTRA_TEST_HOLDER_FOLDER";
const INTRUDER: &str = "VECTRA_TEST_INTRUDER_FOLDER";

fn item(id: impl Into<ItemId>) -> Item {
    Item::new(id, [0.5, 0.25, 1.0])
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::from(1), |inner, _| Value::from([("a", inner)]))
}

/// An index of three dimensions under cosine with sealed and unsealed rows, numbered 0 to 39.
fn filled(path: &Path) -> Index {
    filled_until(path, |index| index.wait_optimized().expect("optimized"))
}

/// The same, with the first half of the rows sealed as `seal` does it.
fn filled_until(path: &Path, seal: impl FnOnce(&Index)) -> Index {
    let mut settings = Settings::new(3).with_indexed_field("kind", FieldKind::Keyword);
    settings.metadata_bytes_max = 1000;
    let index = Index::create(path, settings).expect("created");
    index.insert_items((0..20_u64).map(item).collect()).expect("inserted");
    seal(&index);
    index.insert_items((20..40_u64).map(item).collect()).expect("inserted");
    index
}

/// What must not change when something is refused. When the log falls idle it notes what is durable, whoever was refused.
fn traces(index: &Index) -> (Stats, Vec<Item>) {
    let mut stats = index.stats();
    (stats.log_bytes, stats.log_syncs) = (0, 0);
    (stats, index.list_items(None, 1000).expect("readable").items)
}

#[track_caller]
fn assert_says(error: &Error, kind: ErrorKind, needles: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for needle in needles {
        assert!(text.contains(needle), "the error does not say `{needle}`: {text}");
    }
}

type Attempt = (&'static str, ErrorKind, &'static [&'static str], Box<dyn Fn(&Index) -> Result<()>>);

fn attempt(
    name: &'static str,
    kind: ErrorKind,
    needles: &'static [&'static str],
    act: impl Fn(&Index) -> Result<()> + 'static,
) -> Attempt {
    (name, kind, needles, Box::new(act))
}

/// A batch of good items with a bad one at position 2: the error must name the position and the id.
fn bad_item(name: &'static str, needles: &'static [&'static str], bad: Item) -> [Attempt; 2] {
    let batch = move || vec![item(100_u64), item("good"), bad.clone(), item(101_u64)];
    let upserts = batch.clone();
    [
        attempt(name, ErrorKind::Invalid, needles, move |index| index.insert_items(batch()).map(drop)),
        attempt(name, ErrorKind::Invalid, needles, move |index| index.upsert_items(upserts()).map(drop)),
    ]
}

fn bad_items() -> Vec<Attempt> {
    const LONG: &str = "the metadata takes";
    let vector = |vector: &[f32]| Item::new("culprit", vector);
    let metadata = |metadata: Value| item("culprit").with_metadata(metadata);
    let object = |value: Value| Value::from([("a", value)]);
    let text = |len: usize| object("x".repeat(len).into());
    [
        bad_item("too short", &["item 2 ", "culprit", "2 components", "3 dimensions"], vector(&[1.0, 2.0])),
        bad_item("too long", &["item 2 ", "culprit", "4 components", "3 dimensions"], vector(&[1.0; 4])),
        bad_item("empty", &["item 2 ", "culprit", "0 components"], vector(&[])),
        bad_item("NaN", &["item 2 ", "culprit", "component 1", "NaN"], vector(&[1.0, f32::NAN, 1.0])),
        bad_item(
            "infinite",
            &["item 2 ", "culprit", "component 2", "inf"],
            vector(&[1.0, 1.0, f32::INFINITY]),
        ),
        bad_item(
            "minus infinite",
            &["item 2 ", "component 0", "-inf"],
            vector(&[f32::NEG_INFINITY, 1.0, 1.0]),
        ),
        bad_item("zero", &["item 2 ", "culprit", "direction"], vector(&[0.0, -0.0, 0.0])),
        bad_item("long id", &["item 2 ", "`xxxxxx", "513 bytes", "at most 512"], item("x".repeat(513))),
        bad_item("empty id", &["item 2 ", "the id is empty"], item("")),
        bad_item("large metadata", &["item 2 ", "culprit", LONG, "at most 1000"], metadata(text(2000))),
        bad_item("huge metadata", &["item 2 ", "culprit", "metadata takes"], metadata(text(17 << 20))),
        bad_item("deep metadata", &["item 2 ", "culprit", "nested deeper than 64"], metadata(nested(70))),
        bad_item("a list", &["item 2 ", "culprit", "not an object"], metadata(Value::Array(Vec::new()))),
        bad_item("a text", &["item 2 ", "culprit", "not an object"], metadata("text".into())),
        bad_item("a number", &["item 2 ", "not finite"], metadata(object(Value::Float(f64::NAN)))),
        bad_item("repeated", &["item 2 ", "`100`", "earlier in the batch"], item(100_u64)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bad_writes() -> Vec<Attempt> {
    use ErrorKind::{Conflict, Invalid, NotFound};
    let update = |id: u64, metadata: Value| ItemUpdate::new(id, metadata);
    let object = || Value::from([("a", 1.into())]);
    vec![
        attempt(
            "taken, unsealed",
            Conflict,
            &["item 1 ", "`25`", "exists", "nothing was written"],
            |index| index.insert_items(vec![item(100_u64), item(25_u64)]).map(drop),
        ),
        attempt("taken, sealed", Conflict, &["item 1 ", "`5`", "exists", "upsert"], |index| {
            index.insert_items(vec![item(100_u64), item(5_u64)]).map(drop)
        }),
        attempt("update of nothing", NotFound, &["item 1 ", "`100`", "nothing was written"], move |index| {
            index.update_items(vec![update(5, object()), update(100, object())]).map(drop)
        }),
        attempt("update twice", Invalid, &["item 2 ", "`5`", "earlier"], move |index| {
            index.update_items(vec![update(5, object()), update(6, object()), update(5, object())]).map(drop)
        }),
        attempt("update with a list", Invalid, &["item 1 ", "`25`", "not an object"], move |index| {
            index.update_items(vec![update(5, object()), update(25, Value::Array(Vec::new()))]).map(drop)
        }),
        attempt("update too deep", Invalid, &["item 0 ", "`5`", "nested"], move |index| {
            index.update_items(vec![update(5, nested(65))]).map(drop)
        }),
        attempt("update too large", Invalid, &["item 0 ", "`5`", "at most 1000"], move |index| {
            let text = Value::from([("a", "x".repeat(1000).into())]);
            index.update_items(vec![update(5, text)]).map(drop)
        }),
        attempt("deep JSON", Invalid, &["metadata", "64"], |index| {
            let deep = (0..100).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
            index.insert_item(item(100_u64).with_json(deep)?).map(drop)
        }),
    ]
}

fn bad_queries() -> Vec<Attempt> {
    let ask = |vector: &'static [f32]| move |index: &Index| index.query(vector).run().map(drop);
    let invalid = ErrorKind::Invalid;
    vec![
        attempt("short query", invalid, &["the query", "2 components", "3 dimensions"], ask(&[1.0, 2.0])),
        attempt("NaN query", invalid, &["the query", "component 2", "NaN"], ask(&[1.0, 2.0, f32::NAN])),
        attempt("infinite query", invalid, &["the query", "component 0"], ask(&[f32::INFINITY, 2.0, 1.0])),
        attempt("zero query", invalid, &["the query", "direction"], ask(&[0.0; 3])),
        attempt("top_k", invalid, &["top_k is 10001", "10000"], |index| {
            index.query(&[1.0; 3]).top_k(10_001).run().map(drop)
        }),
        attempt("ef", invalid, &["ef is 100001", "100000"], |index| {
            index.query(&[1.0; 3]).ef(100_001).run().map(drop)
        }),
    ]
}

fn bad_filters() -> Vec<Attempt> {
    const FILTERS: [(&str, &[&str]); 20] = [
        ("{", &["not valid JSON", "line 1"]),
        ("", &["not valid JSON"]),
        (r#"{"a": 1} {"b": 2}"#, &["not valid JSON"]),
        ("[]", &["a filter is an object", "array"]),
        ("3", &["a filter is an object"]),
        (r#"{"year": {"$gte": [1]}}"#, &["$gte", "year", "array"]),
        (r#"{"year": {"$gr": 1}}"#, &["unknown operator", "$gr", "year"]),
        (r#"{"year": {"$regex": "x"}}"#, &["$regex", "year", "not supported"]),
        (r#"{"$where": "1"}"#, &["$where"]),
        (r#"{"year": {"$in": 3}}"#, &["$in", "year", "array"]),
        (r#"{"year": {"$gte": 3, "b": 1}}"#, &["$gte", "year", "plain members"]),
        (r#"{"year": {"b": {"$c": 1}}}"#, &["$c", "year"]),
        (r#"{"$and": []}"#, &["$and", "empty"]),
        (r#"{"$or": {"a": 1}}"#, &["$or"]),
        (r#"{"$or": [1]}"#, &["$or", "object"]),
        (r#"{"$not": {"a": 1}}"#, &["$not", "cannot stand"]),
        (r#"{"a": {"$not": 3}}"#, &["$not", "`a`"]),
        (r#"{"": 1}"#, &["not a field path"]),
        (r#"{"a..b": 1}"#, &["a..b", "not a field path"]),
        (r#"{"a": {"$exists": "yes"}}"#, &["$exists", "boolean"]),
    ];
    let run = |filter: Result<Filter>, index: &Index| index.query(&[1.0; 3]).filter(filter?).run().map(drop);
    let mut attempts: Vec<Attempt> = FILTERS
        .iter()
        .map(|(text, needles)| {
            attempt(text, ErrorKind::Invalid, needles, move |index| run(mongo(text), index))
        })
        .collect();
    attempts.push(attempt("deep filter", ErrorKind::Invalid, &["nested deeper"], move |index| {
        let deep = format!(r#"{}{{"a": 1}}{}"#, r#"{"$and": ["#.repeat(40), "]}".repeat(40));
        run(mongo(&deep), index)
    }));
    attempts.push(attempt("wide filter", ErrorKind::Invalid, &["nodes"], move |index| {
        let wide = vec![r#"{"a": 1}"#; 2000].join(",");
        run(mongo(&format!(r#"{{"$or": [{wide}]}}"#)), index)
    }));
    attempts
}

#[test]
fn bad_input_is_named_and_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index = filled(&path);
    let before = traces(&index);
    let attempts = [bad_items(), bad_writes(), bad_queries(), bad_filters()];
    for (name, kind, needles, act) in attempts.into_iter().flatten() {
        let Err(error) = act(&index) else { panic!("`{name}` was accepted") };
        assert_says(&error, kind, needles);
        assert_eq!(traces(&index), before, "`{name}` left a trace");
    }
    assert_eq!(index.insert_item(item(100_u64)).expect("a good item").lsn, before.0.visible_lsn + 1);
    index.delete_item(100_u64).expect("deleted");
    drop(index);
    let index = Index::open(&path).expect("opened");
    assert_eq!(traces(&index).1, before.1, "nor is there any after reopening");
}

#[test]
fn a_batch_too_large_for_the_log_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index =
        Index::create(&path, Settings::new(vectra::DIM_MAX).with_metric(Metric::L2)).expect("created");
    let large = Item::new(0_u64, vec![0.5; vectra::DIM_MAX as usize]);
    index.insert_item(large.clone()).expect("one fits");
    let before = traces(&index);
    let batch = (1..=256_u64).map(|n| Item { id: n.into(), ..large.clone() }).collect();
    let error = index.insert_items(batch).expect_err("too large");
    assert_says(&error, ErrorKind::Invalid, &["the batch takes", "67108864", "split"]);
    assert_eq!(traces(&index), before);
    index.insert_item(Item { id: 1_u64.into(), ..large }).expect("the index goes on");
}

/// Every file below a folder with its length and hash, folders with neither.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<(usize, u64)>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.insert(path.clone(), None);
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("a file");
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                found.insert(path, Some((bytes.len(), hasher.finish())));
            }
        }
    }
    found
}

/// Opens or creates where that must fail, and checks that not a byte has changed there.
#[track_caller]
fn refused(root: &Path, act: impl Fn() -> Result<Index>, kind: ErrorKind, needles: &[&str]) {
    // Who opened last is written into LOCK before anything is looked at.
    let without_lock = || {
        let mut tree = tree(root);
        tree.retain(|path, _| !path.ends_with("LOCK") || !path.with_file_name("manifest").exists());
        tree
    };
    let before = without_lock();
    let error = act().expect_err("must be refused");
    assert_says(&error, kind, needles);
    assert_eq!(without_lock(), before, "files were changed: {error}");
}

#[test]
fn folders_that_are_no_index_stay_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let open = |name: &str| Index::open(root.join(name));
    let create = |name: &str| Index::create(root.join(name), Settings::new(3));
    let (empty, foreign, file) = (root.join("empty"), root.join("foreign"), root.join("file"));
    std::fs::create_dir_all(root.join("scratch/tmp")).expect("a folder");
    std::fs::write(root.join("scratch/tmp/letter.txt"), "not a leftover").expect("a file");
    std::fs::create_dir(&empty).expect("a folder");
    std::fs::create_dir(&foreign).expect("a folder");
    std::fs::write(foreign.join("thesis.txt"), "years of work").expect("a file");
    std::fs::write(&file, "not a folder").expect("a file");

    refused(root, || open("missing"), ErrorKind::NotFound, &["missing", "holds no index"]);
    refused(root, || open("empty"), ErrorKind::NotFound, &["empty", "holds no index"]);
    refused(root, || open("foreign"), ErrorKind::NotFound, &["foreign", "holds no index"]);
    refused(root, || open("file"), ErrorKind::NotFound, &["file", "not a folder"]);
    refused(root, || create("file"), ErrorKind::Conflict, &["file", "not a folder"]);
    refused(root, || create("foreign"), ErrorKind::Conflict, &["foreign", "not empty", "thesis.txt"]);
    refused(root, || create("scratch"), ErrorKind::Conflict, &["scratch", "not empty", "tmp/letter.txt"]);
    refused(root, || create("no/such/parent"), ErrorKind::NotFound, &["no/such/parent", "cannot be created"]);

    create("empty").expect("an empty folder becomes an index").close().expect("closed");
    refused(root, || create("empty"), ErrorKind::Conflict, &["empty", "already holds an index", "open"]);
}

#[test]
fn impossible_settings_make_no_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = |change: fn(&mut Settings)| {
        let mut settings = Settings::new(3);
        change(&mut settings);
        settings
    };
    for (settings, needles) in [
        (Settings::new(0), &["dim is 0", "between 1 and 65536"]),
        (Settings::new(3).with_shards(0), &["shards is 0", "between"]),
        (Settings::new(3).with_graph(1, 100), &["graph settings", "m"]),
        (Settings::new(3).with_ef_search(0), &["ef_search is 0", "between"]),
        (with(|s| s.seal_rows = 0), &["seal_rows is 0", "between"]),
        (with(|s| s.segment_rows_max = 5), &["segment_rows_max is 5", "between"]),
        (with(|s| s.log_bytes_min = 1), &["log_bytes_min is 1", "between"]),
        (with(|s| s.metadata_bytes_max = u32::MAX), &["metadata_bytes_max", "between"]),
        (Settings::new(3).with_indexed_field("a..b", FieldKind::Keyword), &["indexed fields", "a..b"]),
        (
            Settings::new(3)
                .with_indexed_field("a", FieldKind::Keyword)
                .with_indexed_field("a", FieldKind::Bool),
            &["indexed fields", "`a`"],
        ),
    ] {
        let create = || Index::create(folder.path().join("index"), settings.clone());
        refused(folder.path(), create, ErrorKind::Invalid, needles);
    }
}

/// The only file of a folder whose name the test does not know.
fn file_in(folder: &Path, at: fn(&mut dyn Iterator<Item = PathBuf>) -> Option<PathBuf>) -> PathBuf {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    at(&mut names.into_iter()).expect("a file")
}

fn overwrite(path: &Path, bytes: &[u8]) {
    // Published files are read-only; what damages them does not ask.
    std::fs::remove_file(path).expect("removed");
    std::fs::write(path, bytes).expect("written");
}

/// Damages the file in several ways; each is refused, and the right bytes are accepted again.
fn damaged(path: &Path, index: &Path, kind: ErrorKind, needle: &str) {
    let good = std::fs::read(path).expect("a file");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0x10;
    let wrong = [
        ("empty", Vec::new()),
        ("halved", good[..good.len() / 2].to_vec()),
        ("foreign", b"#!/bin/sh\necho this is no part of an index\n".repeat(200)),
        ("foreign, of the same length", vec![0x5a; good.len()]),
        ("flipped", flipped),
    ];
    for (name, bytes) in wrong {
        overwrite(path, &bytes);
        let open = || Index::open(index).inspect(|_| panic!("{name} {}: accepted", path.display()));
        refused(index, open, kind, &[needle]);
    }
    overwrite(path, &good);
    assert_eq!(Index::open(index).expect("the right bytes").snapshot().len(), 40);
}

#[test]
fn damaged_files_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    drop(filled(&path));
    // With nothing to fall back to.
    std::fs::remove_file(file_in(&path.join("manifest"), |names| names.next())).expect("removed");
    let manifest = file_in(&path.join("manifest"), |names| names.last());
    let name = manifest.file_name().and_then(|name| name.to_str()).expect("a number").to_owned();
    damaged(&manifest, &path, ErrorKind::Corrupt, &name);
    damaged(&path.join("FORMAT"), &path, ErrorKind::Unsupported, "format 1");
}

#[test]
fn a_format_of_the_future_is_not_touched() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    drop(filled(&path));
    overwrite(&path.join("FORMAT"), b"vectra index, format 2\n");
    let open = || Index::open(&path);
    refused(&path, open, ErrorKind::Unsupported, &["vectra index, format 2", "vectra index, format 1"]);
    std::fs::remove_file(path.join("FORMAT")).expect("removed");
    refused(&path, open, ErrorKind::Corrupt, &["FORMAT"]);
}

#[test]
fn a_log_that_lost_its_beginning_is_not_opened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    // One commit only: the log still holds what the generation before it needs.
    drop(filled_until(&path, |index| {
        let _deferred = std::mem::ManuallyDrop::new(index.defer_optimization());
        index.flush().expect("flushed");
    }));
    let log = file_in(&path.join("wal"), |names| names.next());
    let name = log.file_name().and_then(|name| name.to_str()).expect("a number").to_owned();
    let good = std::fs::read(&log).expect("a file");
    let open = || Index::open(&path);
    overwrite(&log, &b"#!/bin/sh\necho this is no log\n".repeat(500));
    refused(&path, open, ErrorKind::Corrupt, &[&name]);
    // In the header, and in the first frame, whose rows the manifest says were written.
    for cut in [0, 100, 4200] {
        overwrite(&log, &good[..cut]);
        refused(&path, open, ErrorKind::Corrupt, &[&name]);
    }
    let mut flipped = good.clone();
    flipped[80] ^= 1;
    overwrite(&log, &flipped);
    refused(&path, open, ErrorKind::Corrupt, &[&name]);
    overwrite(&log, &good);
    assert_eq!(open().expect("the right bytes").snapshot().len(), 40);
    assert_eq!(open().expect("the right bytes").snapshot().len(), 40);
    // Opening began a new file; whichever holds the last writes, it is missed.
    let logs: Vec<PathBuf> = tree(&path.join("wal")).into_keys().collect();
    logs.iter().for_each(|log| std::fs::remove_file(log).expect("removed"));
    refused(&path, open, ErrorKind::Corrupt, &["log"]);
}

/// The first error of opening and reading everything.
fn read_all(path: &Path) -> Result<u64> {
    let index = Index::open(path)?;
    for item in index.list_items(None, 1000)?.items {
        index.get_item(item.id)?;
    }
    index.query(&[1.0; 3]).exact().top_k(1000).run().map(|hits| hits.len() as u64)
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for (path, file) in tree(from) {
        let target = to.join(path.strip_prefix(from).expect("below it"));
        match file {
            Some(_) => _ = std::fs::copy(&path, &target).expect("copied"),
            None => std::fs::create_dir_all(&target).expect("a folder"),
        }
    }
}

/// One part is damaged or gone: `verify` names it, and reading does too, unless it can be made again from the others.
/// Whether it could.
fn survives(good: &Path, part: &Path, damage: Option<&[u8]>) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    copy_tree(good, &path);
    let part = path.join(part);
    std::fs::remove_file(&part).expect("removed");
    if let Some(bytes) = damage {
        std::fs::write(&part, bytes).expect("written");
    }
    let report = vectra::verify_deep(&path).expect("readable");
    let finding = report.findings.first().expect("damage is found");
    let name = part.file_stem().and_then(|name| name.to_str()).expect("a name");
    assert!(finding.place.contains(name), "{finding:?} does not name {name}");
    match read_all(&path) {
        Err(error) => {
            assert_says(&error, ErrorKind::Corrupt, &[name, "verify"]);
            false
        }
        Ok(items) => {
            assert!(!finding.data, "damage to data went unnoticed: {finding:?}");
            assert_eq!(items, 40, "what can be made again is not missed");
            let index = Index::open(&path).expect("opened");
            index.wait_optimized().expect("made again");
            // The generation before names the damaged part until a commit has followed.
            index.close().expect("closed");
            assert_eq!(vectra::verify_deep(&path).expect("readable").findings, []);
            true
        }
    }
}

#[test]
fn damaged_parts_are_found_before_they_are_believed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index = filled(&path);
    index.compact().expect("compacted");
    index.close().expect("closed");
    let parts: Vec<PathBuf> = tree(&path.join("seg")).into_keys().collect();
    assert_eq!(parts.len(), 3, "rows, meta and index of one segment: {parts:?}");
    let mut survived = Vec::new();
    for part in parts {
        let good = std::fs::read(&part).expect("a file");
        let part = part.strip_prefix(&path).expect("below it");
        let foreign = b"foreign".repeat(1000);
        let same_length = vec![0x5a; good.len()];
        let wrong: [Option<&[u8]>; 5] =
            [None, Some(&[]), Some(&good[..good.len() / 2]), Some(&foreign), Some(&same_length)];
        survived.extend(wrong.into_iter().map(|damage| survives(&path, part, damage)));
    }
    assert_eq!(survived.iter().filter(|survived| **survived).count(), 5, "one part in three is derived");
    assert_eq!(read_all(&path).expect("the original"), 40);
}

#[test]
fn a_second_writer_in_the_process_hears_who_holds_the_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index = filled(&path);
    let before = traces(&index);
    let me = format!("process {}", std::process::id());
    for act in [Index::open(&path), Index::create(&path, Settings::new(3))] {
        assert_says(&act.expect_err("held"), ErrorKind::Conflict, &[&me, "index"]);
    }
    assert_eq!(traces(&index), before);
    let snapshot = index.snapshot();
    index.close().expect("closed");
    assert_eq!(Index::open(&path).expect("free again").snapshot().len(), snapshot.len());
}

/// A child that holds the folder until its input ends.
#[test]
fn holder() {
    let Ok(folder) = std::env::var(HOLDER) else { return };
    let _index = Index::open(folder).expect("the parent's folder");
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nheld").and_then(|()| out.flush()).expect("the parent listens");
    std::io::stdin().lines().for_each(drop);
}

/// A child that tries to open the folder and says what it is told.
#[test]
fn intruder() {
    let Ok(folder) = std::env::var(INTRUDER) else { return };
    let error = Index::open(folder).expect_err("the parent holds it");
    let mut out = std::io::stdout().lock();
    writeln!(out, "\ntold {:?} {error}", error.kind()).expect("the parent listens");
}

#[test]
fn a_second_process_hears_who_holds_the_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index = filled(&path);
    let output =
        again("refuse::intruder").env(INTRUDER, &path).stdin(Stdio::null()).output().expect("a child");
    let text = String::from_utf8(output.stdout).expect("text");
    let told = text.lines().find_map(|line| line.strip_prefix("told ")).expect("the child was refused");
    assert!(
        told.starts_with("Conflict") && told.contains(&format!("process {}", std::process::id())),
        "{told}"
    );
    index.close().expect("closed");

    let mut child = again("refuse::holder").env(HOLDER, &path).spawn().expect("a child");
    let mut lines =
        BufReader::new(child.stdout.take().expect("piped")).lines().map_while(std::io::Result::ok);
    assert!(lines.any(|line| line == "held"));
    let error = Index::open(&path).expect_err("the child holds it");
    assert_says(
        &error,
        ErrorKind::Conflict,
        &[&format!("process {}", child.id()), "open for writing elsewhere"],
    );
    drop(child.stdin.take());
    assert!(child.wait().expect("its end").success());
    assert_eq!(Index::open(&path).expect("free again").snapshot().len(), 40);
}
