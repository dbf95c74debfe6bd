//! Salvage: whatever is not in a damaged page or frame comes back equal, nothing is invented, every loss is named.

use std::path::{Path, PathBuf};

use vectra::{Index, Item, ItemId, Metric, SalvageOptions, SalvageReport, Settings, Value};
use vectra_core::io::{Access, Fs};
use vectra_core::testing::oracle::Dice;

use crate::faults::closed;
use crate::world::{MODELS, Model, Op, Run, World, check_items, collect, id, tiny};

const OUT: &str = "/out";

fn salvage(world: &World, options: &SalvageOptions<'_>) -> SalvageReport {
    world.builder().salvage("/index", OUT, options).expect("salvaged")
}

fn found(world: &World) -> Model {
    let index = world.builder().open(OUT).expect("an index");
    collect(&index.snapshot()).unwrap_or_else(|e| panic!("{e}"))
}

/// What came back against what was there: each difference must be in the report.
fn account(found: &Model, was: &Model, report: &SalvageReport) -> Result<(), String> {
    let lost: u64 = report.rows.iter().flat_map(|r| &r.slots).map(|(a, b)| u64::from(b - a) + 1).sum();
    let missing: Vec<&ItemId> = was.keys().filter(|id| !found.contains_key(*id)).collect();
    if missing.len() as u64 > lost && report.writes.is_empty() {
        return Err(format!("{missing:?} are missing, {lost} rows are said to be lost"));
    }
    if let Some(id) = missing.iter().find(|id| report.metadata.contains(id)) {
        return Err(format!("{id} is missing and said to be kept"));
    }
    for (id, item) in found {
        let before = was.get(id);
        let old = !report.returned.is_empty();
        let without = report.metadata.contains(id) && item.metadata == Value::Null;
        let same =
            before.is_some_and(|b| b.vector == item.vector && (without || b.metadata == item.metadata));
        if !same && !old {
            return Err(format!("{item:?} was invented; it was {before:?}"));
        }
    }
    if found != was && report.is_complete() {
        return Err("something is lost and the report calls itself complete".to_owned());
    }
    if report.items != found.len() as u64 {
        return Err(format!("{} items are there, {} were reported", found.len(), report.items));
    }
    Ok(())
}

#[test]
fn a_sound_index_comes_back_whole_with_what_only_its_log_has() {
    for shards in [1, 3] {
        let world = World::new(3, MODELS[0]);
        let (mut run, created) = Run::create(&world, &tiny(Metric::Cosine, shards));
        let ops = [
            Op::Insert((1..20).collect()),
            Op::Flush,
            Op::Update(vec![1, 2]),
            Op::Delete(vec![3, 4]),
            Op::Compact,
            Op::Update(vec![1, 5]),
            Op::Delete(vec![6]),
            Op::Insert(vec![3, 30]),
            Op::Upsert(vec![7]),
        ];
        created.and_then(|()| run.all(&ops)).unwrap_or_else(|e| panic!("{e}"));
        let model = run.ledger.now.clone();
        drop(run);
        let report = salvage(&world, &SalvageOptions::new());
        assert!(report.is_complete() && report.problems.is_empty(), "{report:?}");
        assert_eq!(report.from_log, 3, "{report:?}");
        let index = world.builder().open(OUT).expect("an index");
        check_items(&index.snapshot(), &model).unwrap_or_else(|e| panic!("{e}"));
    }
}

fn files(fs: &dyn Fs, dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs.list(dir).expect("a directory") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            files(fs, &path, found);
        } else if entry.name != "LOCK" {
            found.push(path);
        }
    }
}

fn truncate(fs: &dyn Fs, path: &Path, to: usize) {
    let bytes = fs.read(path, 1 << 30).expect("readable");
    fs.remove(path).expect("removed");
    let file = fs.create_new(path).expect("created");
    file.write_all_at(&bytes[..to.min(bytes.len())], 0).expect("written");
}

/// Damages each file of an index in turn, in several ways.
fn damage_each(pristine: &World, was: &Model, settings: &Settings) -> (u64, u64) {
    let mut all = Vec::new();
    files(&pristine.fs, Path::new("/index"), &mut all);
    let length = |path: PathBuf| {
        let fs: &dyn Fs = &pristine.fs;
        let len = fs.open(&path, Access::Read).and_then(|file| file.len()).expect("readable");
        (path, len as usize)
    };
    let all: Vec<(PathBuf, usize)> = all.into_iter().map(length).collect();
    let (mut dice, mut whole, mut partial) = (Dice::new(5), 0, 0);
    for (path, len) in &all {
        let len = *len;
        for way in 0..12 {
            let world = World::on(pristine.fs.crash(0), 21);
            let fs: &dyn Fs = &world.fs;
            match way {
                0 => fs.remove(path).expect("removed"),
                1 => truncate(fs, path, len / 2),
                2 => truncate(fs, path, 0),
                3 => truncate(fs, path, len.saturating_sub(1)),
                _ => world.fs.flip_bit(path, dice.below(8 * len.max(1)) as u64).expect("within the file"),
            }
            let report = salvage(&world, &SalvageOptions::new().settings(settings.clone()));
            account(&found(&world), was, &report)
                .unwrap_or_else(|e| panic!("{}, way {way}: {e}\n{report:#?}", path.display()));
            if report.is_complete() { whole += 1 } else { partial += 1 }
        }
    }
    (whole, partial)
}

#[test]
fn each_file_of_a_closed_index_may_be_damaged() {
    let settings = tiny(Metric::Cosine, 2);
    let (world, ledger) = closed(&settings);
    let (whole, partial) = damage_each(&world, &ledger.now, &settings);
    assert!(whole > 20 && partial > 20, "{whole} came back whole, {partial} in part");
}

#[test]
fn each_file_of_an_index_in_use_may_be_damaged() {
    use Op::{Delete, Flush, Insert, Update, Upsert};
    let settings = tiny(Metric::L2, 1);
    let world = World::new(3, MODELS[0]);
    let (mut run, created) = Run::create(&world, &settings);
    let ops = [
        Insert((1..9).collect()),
        Flush,
        Update(vec![1, 2]),
        Delete(vec![3]),
        Insert(vec![20, 21]),
        Flush,
        Delete(vec![4, 20]),
        Update(vec![1, 5]),
        Upsert(vec![6, 30]),
    ];
    created.and_then(|()| run.all(&ops)).unwrap_or_else(|e| panic!("{e}"));
    let was = run.ledger.now.clone();
    drop(run);
    let (whole, partial) = damage_each(&world, &was, &settings);
    assert!(whole > 20 && partial > 5, "{whole} came back whole, {partial} in part");
}

/// An index whose vectors take several pages.
fn wide() -> (World, Model) {
    let world = World::new(4, MODELS[0]);
    let settings = Settings::new(512).with_metric(Metric::L2).with_seal_rows(1000).with_graph(4, 8);
    let index: Index = world.builder().create("/index", settings).expect("created");
    let item = |key: u64| {
        let vector: Vec<f32> = (0..512).map(|i| (key * 7 + i) as f32 / 16.0).collect();
        let text = format!("{key} {}", "y".repeat((key % 50) as usize * 40));
        Item::new(key, vector).with_metadata([("text", Value::from(text))])
    };
    let items: Vec<Item> = (0..200).map(item).collect();
    index.insert_items(items.clone()).expect("inserted");
    index.compact().expect("compacted");
    index.close().expect("closed");
    (world, items.into_iter().map(|item| (item.id.clone(), std::sync::Arc::new(item))).collect())
}

fn part(world: &World, role: u8) -> PathBuf {
    let fs: &dyn Fs = &world.fs;
    let mut all = Vec::new();
    files(fs, Path::new("/index/seg"), &mut all);
    let is = |path: &&PathBuf| fs.read(path, 1 << 30).expect("readable")[28] == role;
    all.iter().find(is).expect("a part of this role").clone()
}

#[test]
fn only_the_rows_of_a_damaged_page_are_lost() {
    let (world, was) = wide();
    let rows = part(&world, 1);
    let fs: &dyn Fs = &world.fs;
    // Whole pages of vectors: with 2 KiB each, 32 rows to a page. They stand behind ids and LSNs, before the norms.
    let len = fs.open(&rows, Access::Read).and_then(|file| file.len()).expect("readable");
    world.fs.flip_bit(&rows, 8 * (len / 2)).expect("flipped");
    let report = salvage(&world, &SalvageOptions::new());
    let found = found(&world);
    account(&found, &was, &report).unwrap_or_else(|e| panic!("{e}\n{report:#?}"));
    let [lost] = &report.rows[..] else { panic!("{report:#?}") };
    let [(first, last)] = lost.slots[..] else { panic!("{report:#?}") };
    assert_eq!((last - first, lost.ids.len(), found.len()), (31, 32, 168), "{report:#?}");
    assert!(lost.problem.contains("crc32c") && report.metadata.is_empty());
}

#[test]
fn damaged_metadata_costs_metadata_only() {
    let (world, was) = wide();
    truncate(&world.fs, &part(&world, 2), 5000);
    let report = salvage(&world, &SalvageOptions::new());
    let found = found(&world);
    account(&found, &was, &report).unwrap_or_else(|e| panic!("{e}\n{report:#?}"));
    assert_eq!((found.len(), report.metadata.len(), report.rows.len()), (200, 200, 0));
}

#[test]
fn without_a_manifest_the_parts_speak_for_themselves() {
    let (world, was) = wide();
    remove_manifests(&world);
    let error = world.builder().salvage("/index", OUT, &SalvageOptions::new()).expect_err("which settings?");
    assert!(error.kind() == vectra::ErrorKind::Invalid && error.to_string().contains("dimension"), "{error}");
    let settings = Settings::new(512).with_metric(Metric::L2);
    let report = salvage(&world, &SalvageOptions::new().settings(settings));
    // Which metadata belongs to the rows only a manifest or the log would know.
    let found = found(&world);
    assert_eq!((found.len(), report.metadata.len()), (200, 200), "{report:#?}");
    account(&found, &was, &report).unwrap_or_else(|e| panic!("{e}\n{report:#?}"));
    assert!(was.iter().all(|(id, item)| found[id].vector == item.vector));
    assert_eq!((report.generation, report.returned.len()), (None, 1));
}

fn remove_manifests(world: &World) {
    let fs: &dyn Fs = &world.fs;
    for entry in fs.list(Path::new("/index/manifest")).expect("listed") {
        fs.remove(&Path::new("/index/manifest").join(entry.name)).expect("removed");
    }
}

/// An index after these operations, left behind by a program that was killed.
fn after(seed: u64, settings: &Settings, ops: &[Op]) -> (World, Model) {
    let world = World::new(seed, MODELS[0]);
    let (mut run, created) = Run::create(&world, settings);
    created.and_then(|()| run.all(ops)).unwrap_or_else(|e| panic!("{e}"));
    let was = Model::clone(&run.ledger.now);
    drop(run);
    (world, was)
}

#[test]
fn no_log_file_is_missing_in_silence() {
    use Op::{Delete, Flush, Insert, Upsert};
    let mut settings = tiny(Metric::L2, 2);
    // One frame to a file.
    (settings.log_bytes_min, settings.log_bytes_max) = (4096, 4096);
    let writes = [Insert(vec![1, 2, 3]), Flush, Flush, Insert(vec![5, 6]), Delete(vec![1, 2])];
    let writes = [&writes[..], &[Upsert(vec![3]), Insert(vec![7, 8]), Delete(vec![5])]].concat();
    let (world, was) = after(3, &settings, &writes);
    let mut logs = Vec::new();
    files(&world.fs, Path::new("/index/wal"), &mut logs);
    assert!(logs.len() >= 5, "{logs:?}");
    let mut missed = 0;
    for log in &logs {
        let world = World::on(world.fs.crash(0), 21);
        let fs: &dyn Fs = &world.fs;
        fs.remove(log).expect("removed");
        let report = salvage(&world, &SalvageOptions::new());
        let found = found(&world);
        account(&found, &was, &report).unwrap_or_else(|e| panic!("{}: {e}\n{report:#?}", log.display()));
        missed += usize::from(!report.writes.is_empty());
    }
    assert!(missed >= 5, "{missed} of {logs:?}");
}

#[test]
fn a_load_that_no_manifest_names_yet_comes_along() {
    use Op::{Delete, Flush, Insert, LoadOver, Update, Upsert};
    for shards in [1, 3] {
        let settings = tiny(Metric::L2, shards);
        let ops = [
            Insert((1..9).collect()),
            Flush,
            Insert(vec![20, 21]),
            LoadOver(vec![2, 3, 4, 20, 30, 31, 32]),
            Upsert(vec![3, 30]),
            Update(vec![4, 5, 31]),
            Delete(vec![6, 32]),
        ];
        let (world, was) = after(3, &settings, &ops);
        let report = salvage(&world, &SalvageOptions::new());
        assert!(report.is_complete() && report.problems.is_empty(), "{report:#?}");
        assert_eq!(found(&world), was, "{report:#?}");
    }
}

#[test]
fn without_a_manifest_the_log_dates_a_load_and_no_other_one_wins() {
    use Op::{Insert, Load, LoadOver, Update, Upsert};
    let settings = tiny(Metric::L2, 1);
    let ops = [Insert((1..5).collect()), LoadOver(vec![2, 3, 8]), Upsert(vec![3]), Update(vec![8])];
    let (world, was) = after(3, &settings, &ops);
    // The parts of a load that was never finished, with rows of the same ids.
    let (other, strange) = after(4, &settings, &[Upsert(vec![40]), Load(vec![2, 3, 4, 50])]);
    let (fs, from): (&dyn Fs, &dyn Fs) = (&world.fs, &other.fs);
    let mut parts = Vec::new();
    files(from, Path::new("/index/seg"), &mut parts);
    assert!(!parts.is_empty());
    for path in parts {
        let bytes = from.read(&path, 1 << 30).expect("readable");
        fs.create_new(&path).and_then(|file| file.write_all_at(&bytes, 0)).expect("written");
    }
    remove_manifests(&world);
    let report = salvage(&world, &SalvageOptions::new().settings(settings));
    let mut found = found(&world);
    let id = id(50);
    let unfinished = found.remove(&id).expect("it may have been one");
    assert_eq!(unfinished.vector, strange[&id].vector);
    assert_eq!(found, was, "{report:#?}");
    assert!(report.returned.iter().any(|what| what.contains("load was finished")), "{report:#?}");
}

#[test]
fn metadata_that_the_log_still_holds_is_not_lost() {
    let settings = tiny(Metric::L2, 1);
    let (pristine, was) = after(3, &settings, &[Op::Insert((1..9).collect()), Op::Flush]);
    let len = pristine.fs.open(&part(&pristine, 2), Access::Read).and_then(|file| file.len());
    for to in 0..len.expect("readable") as usize / 64 {
        let world = World::on(pristine.fs.crash(0), 21);
        truncate(&world.fs, &part(&world, 2), 64 * to);
        let report = salvage(&world, &SalvageOptions::new());
        assert_eq!((found(&world), report.metadata.len()), (was.clone(), 0), "{report:#?}");
    }
}

#[test]
fn refusals_change_nothing() {
    let (world, _) = wide();
    let kind = |from: &str, to: &str| {
        world.builder().salvage(from, to, &SalvageOptions::new()).expect_err("refused").kind()
    };
    assert_eq!(kind("/index", "/index"), vectra::ErrorKind::Invalid);
    assert_eq!(kind("/index", "/index/new"), vectra::ErrorKind::Invalid);
    assert_eq!(kind("/nowhere", "/new"), vectra::ErrorKind::NotFound);
    world.builder().create("/there", Settings::new(2)).expect("created").close().expect("closed");
    assert_eq!(kind("/index", "/there"), vectra::ErrorKind::Conflict);
    assert!(world.builder().verify_deep("/index").expect("verified").findings.is_empty());
}
