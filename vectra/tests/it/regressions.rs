//! Bugs that others had, and why they cannot happen here, one test each. The name says whose report it was; those of
//! the log alone are in its own crate, those of hostile files with the fuzz targets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vectra::seams::MemFs;
use vectra::{
    Builder, Durability, ErrorKind, FieldKind, Filter, Index, Item, ItemId, ItemUpdate, Metric, Settings,
    Value,
};
use vectra_core::io::Fs;
use vectra_core::testing::oracle::Dice;

use crate::crash::{INTERVAL, Sweep};
use crate::world::{Broken, MODELS, Op, Run, World, check, check_items, script, tiny};

/// Cuts the power everywhere in a scenario, on each kind of disk, and inside its recoveries.
fn torn_apart(script: &[Op], shards: u16) {
    for model in MODELS {
        let sweep = Sweep { script: script.to_vec(), ..Sweep::new(tiny(Metric::L2, shards), model) };
        sweep.everywhere(1).unwrap_or_else(|e| panic!("{e}"));
    }
}

fn vector(n: u64) -> Vec<f32> {
    let mut dice = Dice::new(n);
    (0..6).map(|_| dice.uniform()).collect()
}

fn tagged(n: u64, tag: &str) -> Item {
    Item::new(n, vector(n)).with_metadata([("tag", Value::from(tag))])
}

fn plain_settings() -> Settings {
    Settings::new(6)
        .with_metric(Metric::L2)
        .with_seal_rows(100)
        .with_graph(8, 40)
        .with_indexed_field("tag", FieldKind::Keyword)
}

/// An index in memory, with background work done on request.
fn in_memory(settings: &Settings) -> (Arc<MemFs>, Index) {
    let fs = Arc::new(MemFs::new());
    let index = Builder::new().fs(fs.clone()).create("/index", settings.clone());
    (fs, index.expect("an empty disk"))
}

fn reopened(fs: &Arc<MemFs>, index: Index) -> Index {
    drop(index);
    Builder::new().fs(fs.clone()).open("/index").expect("it always opens")
}

/// Every live item is found by its own vector, on the road that queries take.
fn assert_each_finds_itself(index: &Index, live: impl Iterator<Item = u64>) {
    for n in live {
        let hits = index.query(&vector(n)).top_k(1).run().expect("answered");
        assert_eq!(hits.first().map(|hit| hit.id.clone()), Some(ItemId::from(n)), "item {n} finds itself");
    }
}

/// The log of Qdrant kept the filter of a deletion, and replay evaluated it against other points. Here it keeps ids.
#[test]
fn regress_qdrant_9575_filter_replay() {
    let (fs, index) = in_memory(&plain_settings());
    index
        .insert_items((0..20).map(|n| tagged(n, if n < 10 { "red" } else { "blue" })).collect())
        .expect("new");
    let red: Vec<ItemId> = index
        .query(&vector(0))
        .top_k(50)
        .filter(Filter::eq("tag", "red"))
        .run()
        .expect("answered")
        .into_iter()
        .map(|hit| hit.id)
        .collect();
    assert_eq!(index.delete_items(red).expect("deleted").items, 10);
    // What matches the filter has changed by the time of the replay.
    let turned = (10..15).map(|n| ItemUpdate::new(n, [("tag", Value::from("red"))])).collect();
    index.update_items(turned).expect("there");
    index.insert_items((0..3).map(|n| tagged(n, "blue")).collect()).expect("free again");
    let index = reopened(&fs, index);
    let left: Vec<ItemId> =
        index.list_items(None, 50).expect("a page").items.into_iter().map(|item| item.id).collect();
    assert_eq!(left, (0..3).chain(10..20).map(ItemId::from).collect::<Vec<_>>());
}

/// Replay in Qdrant rejected an operation that named what was dropped later, and lost the point. Here replay checks no
/// condition again: what was acknowledged is applied.
#[test]
fn regress_qdrant_9105_replay_rejects_nothing() {
    use Op::{Delete, Flush, Insert, Kill, Update, Upsert};
    let script = [
        Insert(vec![1, 2, 3]),
        Update(vec![1]),
        Delete(vec![1]),
        Insert(vec![1]),
        Update(vec![1, 2]),
        Delete(vec![2]),
        Kill,
        Upsert(vec![2]),
        Flush,
        Update(vec![2]),
        Delete(vec![2, 3]),
        Kill,
        Insert(vec![2]),
    ];
    torn_apart(&script, 2);
}

/// Qdrant flushed one half of a deletion, skipped it in the replay, and the point was half there.
#[test]
fn regress_qdrant_7400_half_flushed_delete() {
    use Op::{Delete, Flush, Insert, Kill, Steps};
    let script = [
        Insert((0..12).collect()),
        Flush,
        Delete(vec![1, 2, 3]),
        Insert(vec![20, 21, 22, 23, 24, 25, 26]),
        Steps(3),
        Delete(vec![4, 20]),
        Kill,
        Flush,
        Kill,
    ];
    torn_apart(&script, 3);
}

/// After a reload Qdrant answered with a row that had been replaced.
#[test]
fn regress_qdrant_10549_stale_row_after_reload() {
    use Op::{Close, Compact, Flush, Insert, Kill, Optimize, Update, Upsert};
    let script = [
        Insert((0..8).collect()),
        Flush,
        Upsert(vec![1, 2, 3]),
        Optimize,
        Update(vec![2, 4]),
        Close,
        Upsert(vec![2]),
        Kill,
        Compact,
        Update(vec![1]),
        Close,
    ];
    torn_apart(&script, 1);
}

/// Chroma's index was dead after any restart with more than about a thousand items that were not persisted yet.
#[test]
fn regress_chroma_7090_restarts_with_many_unsealed_items() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("index");
    let index = Index::create(&path, plain_settings().with_seal_rows(100_000)).expect("created");
    index.insert_items((0..1500).map(|n| tagged(n, "x")).collect()).expect("new");
    drop(index);
    for restart in 0..3 {
        let index = Index::open(&path).expect("it always opens");
        assert_eq!(index.stats().items, 1500 + restart);
        assert_each_finds_itself(&index, (0..1500).step_by(97));
        index.insert_item(tagged(5000 + restart, "y")).expect("new");
    }
}

/// After a kill Chroma's counts and samples were fine, but dozens of vectors could not be found by any query.
#[test]
fn regress_chroma_7678_every_vector_is_usable_after_a_kill() {
    let (fs, index) = in_memory(&plain_settings());
    index.insert_items((0..250).map(|n| tagged(n, "x")).collect()).expect("new");
    index.wait_optimized().expect("no faults");
    index.insert_items((250..330).map(|n| tagged(n, "x")).collect()).expect("new");
    index.delete_items((0..330).step_by(11).map(ItemId::from).collect()).expect("there");
    let index = reopened(&fs, index);
    assert_eq!(index.stats().items, 300);
    assert_each_finds_itself(&index, (0..330_u64).filter(|n| !n.is_multiple_of(11)));
    index.wait_optimized().expect("no faults");
    assert_each_finds_itself(&index, (0..330_u64).filter(|n| !n.is_multiple_of(11)));
}

/// One torn length field made Chroma grow a file to terabytes. Here a length is bounded by its file before it is used.
#[test]
fn regress_chroma_7510_torn_length() {
    let (fs, index) = in_memory(&plain_settings());
    index.insert_items((0..5).map(|n| tagged(n, "x")).collect()).expect("new");
    index.insert_items((5..9).map(|n| tagged(n, "x")).collect()).expect("new");
    drop(index);
    let fs: &dyn Fs = &*fs;
    let logs = fs.list(Path::new("/index/wal")).expect("the log");
    let path = Path::new("/index/wal").join(&logs.last().expect("a log file").name);
    let sound = fs.read(&path, 1 << 24).expect("small");
    let used = sound.iter().rposition(|byte| *byte != 0).expect("not empty") + 1;
    let (mut opened, mut refused) = (0, 0);
    for at in (0..used).step_by(4) {
        let mut torn = sound.clone();
        torn[at..(at + 4).min(used)].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f][..(used - at).min(4)]);
        let copy = Arc::new(MemFs::new());
        copy_folder(fs, &*copy, Path::new("/index"));
        let disk: &dyn Fs = &*copy;
        disk.remove(&path).expect("copied");
        disk.create_new(&path).and_then(|file| file.write_all_at(&torn, 0)).expect("space");
        match Builder::new().fs(copy.clone()).open("/index") {
            Ok(index) => {
                assert!(index.stats().items <= 9);
                opened += 1;
            }
            Err(e) if matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => refused += 1,
            Err(e) => panic!("byte {at}: {e:?}"),
        }
        let bytes = folder_bytes(disk, Path::new("/index"));
        assert!(bytes < 4 << 20, "byte {at}: the folder grew to {bytes} bytes");
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}

fn copy_folder(from: &dyn Fs, to: &dyn Fs, dir: &Path) {
    to.mkdir(dir).expect("a new folder");
    for entry in from.list(dir).expect("a folder") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            copy_folder(from, to, &path);
        } else {
            let bytes = from.read(&path, 1 << 24).expect("a small file");
            to.create_new(&path).and_then(|file| file.write_all_at(&bytes, 0)).expect("space");
        }
    }
}

fn folder_bytes(fs: &dyn Fs, dir: &Path) -> u64 {
    let entries = fs.list(dir).expect("a folder");
    let size = |entry: &vectra_core::io::Entry| {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            folder_bytes(fs, &path)
        } else {
            fs.open(&path, vectra_core::io::Access::Read).and_then(|f| f.len()).expect("a file")
        }
    };
    entries.iter().map(size).sum()
}

/// Each optimization of `LanceDB` could add its index entries once more, 36 times in one report. Here a merge names the
/// segments that it replaces, and doing it again finds nothing to do.
#[test]
fn regress_lancedb_3376_optimizing_again_adds_nothing() {
    let (fs, index) = in_memory(&plain_settings());
    index.insert_items((0..450).map(|n| tagged(n, "x")).collect()).expect("new");
    index.compact().expect("no faults");
    let parts = |index: &Index| {
        let segments: Vec<_> = index.stats().shards.into_iter().flat_map(|shard| shard.segments).collect();
        let files = (&*fs as &dyn Fs).list(Path::new("/index/seg")).expect("the folder of parts").len();
        (segments.len(), segments.iter().map(|segment| u64::from(segment.rows)).sum::<u64>(), files)
    };
    let once = parts(&index);
    assert_eq!(once.1, 450);
    for _ in 0..12 {
        index.wait_optimized().expect("no faults");
        index.compact().expect("no faults");
        assert_eq!(parts(&index), once);
    }
    let index = reopened(&fs, index);
    index.compact().expect("no faults");
    assert_eq!(parts(&index), once);
    let ids: Vec<_> = index.query(&vector(3)).top_k(450).run().expect("answered");
    assert_eq!(ids.len(), 450, "nothing is answered twice or left out");
}

/// Replaces a share of an index again and again, merging each time; the live numbers.
fn churn(index: &Index, generations: u64, replaced: usize) -> Vec<u64> {
    let mut dice = Dice::new(5);
    let mut live: Vec<u64> = (0..800).collect();
    index.insert_items(live.iter().map(|&n| tagged(n, "x")).collect()).expect("new");
    for generation in 0..generations {
        let mut gone = Vec::new();
        for i in 0..replaced as u64 {
            let position = dice.below(live.len());
            gone.push(ItemId::from(live[position]));
            live[position] = 10_000 + generation * 1000 + i;
        }
        let fresh = live.iter().filter(|n| **n >= 10_000 + generation * 1000);
        let fresh: Vec<Item> = fresh.map(|&n| tagged(n, "x")).collect();
        index.delete_items(gone).expect("there");
        index.upsert_items(fresh).expect("space");
        index.compact().expect("no faults");
    }
    live
}

/// In Lucene the degree of the graph decayed across merges, worst when few documents were deleted each time.
#[test]
fn regress_lucene_16552_small_deletes_do_not_rot_the_graph() {
    let (_fs, index) = in_memory(&plain_settings());
    let live = churn(&index, 10, 16);
    assert_eq!(index.stats().items, 800);
    let mut found = 0;
    for seed in 0..50 {
        let query = vector(900_000 + seed);
        let exact = index.query(&query).exact().run().expect("answered");
        let near = index.query(&query).run().expect("answered");
        found += near.iter().filter(|hit| exact.iter().any(|other| other.id == hit.id)).count();
    }
    assert!(found >= 490, "{found} of 500 after ten generations");
    assert_each_finds_itself(&index, live.into_iter());
}

/// Up to a quarter of the rows were missing from pgvector's index after deletes and inserts.
#[test]
fn regress_pgvector_181_churn_loses_no_row() {
    let (fs, index) = in_memory(&plain_settings());
    let live = churn(&index, 3, 300);
    let index = reopened(&fs, index);
    assert_eq!(index.stats().items, 800);
    assert_each_finds_itself(&index, live.into_iter());
}

/// When all of the nearest were dead, pgvector answered with no row at all.
#[test]
fn regress_pgvector_244_the_nearest_are_all_dead() {
    let (_fs, index) = in_memory(&plain_settings().with_seal_rows(1000));
    let near = |n: u64| Item::new(n, vec![1.0 + n as f32 * 1e-4; 6]);
    index.insert_items((0..300).map(near).collect()).expect("new");
    index.insert_items((300..340).map(|n| Item::new(n, vec![-50.0 - n as f32; 6])).collect()).expect("new");
    index.wait_optimized().expect("no faults");
    index.delete_items((0..300).map(ItemId::from).collect()).expect("there");
    let hits = index.query(&[1.0; 6]).top_k(10).run().expect("answered");
    assert_eq!(
        hits.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>(),
        (300..310).map(ItemId::from).collect::<Vec<_>>()
    );
}

/// A table of thousands of rows shrank to four in the answers of pgvector's index.
#[test]
fn regress_pgvector_923_asking_for_all_gives_all() {
    let (_fs, index) = in_memory(&plain_settings().with_seal_rows(400));
    index
        .insert_items((0..1300).map(|n| tagged(n, if n % 100 == 0 { "rare" } else { "x" })).collect())
        .expect("new");
    index.wait_optimized().expect("no faults");
    index.delete_items((0..1300).filter(|n| n % 3 == 1).map(ItemId::from).collect()).expect("there");
    let live = (0..1300).filter(|n| n % 3 != 1).count();
    assert_eq!(index.query(&vector(1)).top_k(1300).run().expect("answered").len(), live);
    let rare = index.query(&vector(1)).top_k(1300).filter(Filter::eq("tag", "rare")).run().expect("answered");
    assert_eq!(rare.len(), (0..13).filter(|n| n * 100 % 3 != 1).count());
}

/// Deleting filled Qdrant's disk: dead rows stayed, and markers of their death were added.
#[test]
fn regress_qdrant_7813_deleting_frees_space() {
    let (fs, index) = in_memory(&plain_settings());
    index.insert_items((0..900).map(|n| tagged(n, "x")).collect()).expect("new");
    index.compact().expect("no faults");
    let before = folder_bytes(&*fs, Path::new("/index/seg"));
    for batch in 0..18_u64 {
        index.delete_items((batch * 45..batch * 45 + 45).map(ItemId::from).collect()).expect("there");
        index.flush().expect("no faults");
        let now = folder_bytes(&*fs, Path::new("/index/seg"));
        // What the generation before the newest names is kept, however little of it is alive.
        assert!(now < 4 * before, "{now} bytes after {batch} batches, {before} before");
    }
    index.compact().expect("no faults");
    let after = folder_bytes(&*fs, Path::new("/index/seg"));
    assert!(after < before / 2, "{after} bytes for a tenth of the rows, {before} for all");
}

/// A full disk crashed Qdrant, and it did not start again.
#[test]
fn regress_qdrant_4108_a_full_disk_costs_no_acknowledged_write() {
    for (quota, durability) in
        [(60, INTERVAL), (90, vectra::Durability::Sync), (140, vectra::Durability::Sync)]
    {
        let settings = tiny(Metric::L2, 1).with_durability(durability);
        let world = World::new(quota, MODELS[0]);
        let (mut run, created) = Run::create(&world, &settings);
        created.unwrap_or_else(|e| panic!("{e}"));
        world.fs.quota(quota << 10);
        let mut full = 0;
        for key in 0..400 {
            match run.step(&Op::Upsert(vec![key % 48, (key + 7) % 48])).and_then(|()| run.step(&Op::Steps(2)))
            {
                Ok(()) => {}
                Err(Broken::Engine(e)) => {
                    assert!(
                        matches!(
                            e.kind(),
                            ErrorKind::Full | ErrorKind::Io | ErrorKind::Uncertain | ErrorKind::Unavailable
                        ),
                        "{e:?}"
                    );
                    full += 1;
                }
                Err(e) => panic!("{e}"),
            }
            check_items(&run.index().snapshot(), &run.ledger.now).unwrap_or_else(|e| panic!("reading: {e}"));
        }
        assert!(full > 0, "{quota} KiB were enough");
        let ledger = run.ledger.clone();
        drop(run);
        world.fs.quota(u64::MAX);
        let again = World::on(world.fs.clone(), 2);
        let mut run = Run::recover(&again, &settings, &ledger).unwrap_or_else(|e| panic!("{quota}: {e}"));
        run.all(&[Op::Upsert(vec![1, 2]), Op::Compact, Op::Kill]).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// A NaN made a comparison panic in the middle of an answer. Here it is refused at the door, and distances are compared
/// in a total order.
#[test]
fn regress_ruvector_931_nan() {
    let (fs, index) = in_memory(&plain_settings());
    index.insert_items((0..150).map(|n| tagged(n, "x")).collect()).expect("new");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0xffc0_0001)] {
        for position in 0..6 {
            let mut poisoned = vector(1);
            poisoned[position] = bad;
            let batch = vec![tagged(900, "x"), Item::new(901, poisoned.clone())];
            assert_eq!(index.insert_items(batch).expect_err("refused").kind(), ErrorKind::Invalid);
            assert_eq!(index.query(&poisoned).run().expect_err("refused").kind(), ErrorKind::Invalid);
        }
    }
    // The largest that there are: their distances overflow, and must still be compared.
    let huge = |n: u64, x: f32| Item::new(n, vec![x; 6]);
    if index.insert_items(vec![huge(902, f32::MAX), huge(903, f32::MIN), huge(904, 1e-45)]).is_ok() {
        index.wait_optimized().expect("no faults");
        let hits = index.query(&[f32::MAX; 6]).top_k(200).run();
        assert!(hits.is_err() || hits.is_ok_and(|hits| hits.len() == 153));
        index.delete_items(vec![902.into(), 903.into(), 904.into()]).expect("there");
    }
    let index = reopened(&fs, index);
    assert_eq!(index.stats().items, 150, "the batch was refused as a whole");
}

/// A leftover temporary file made Weaviate crash at every start. Here a name that is none of ours is passed over.
#[test]
fn regress_weaviate_1703_tmp_name() {
    let settings = tiny(Metric::L2, 2);
    let names = [
        "x.tmp",
        ".tmp",
        ".hidden",
        "000000000000000000007.wal.tmp",
        "99999999999999999999.wal",
        "7.wal",
        "00000000000000000009.tmp",
        "not-a-uuid.part",
        "core.1234",
        "desktop.ini",
    ];
    for dir in ["/index", "/index/manifest", "/index/seg", "/index/tmp", "/index/wal"] {
        for name in names {
            let world = World::new(1, MODELS[0]);
            let (mut run, created) = Run::create(&world, &settings);
            created.and_then(|()| run.all(&script()[..10])).unwrap_or_else(|e| panic!("{e}"));
            let ledger = run.ledger.clone();
            drop(run);
            let fs: &dyn Fs = &world.fs;
            let stray = fs.create_new(&Path::new(dir).join(name)).expect("a free name");
            stray.write_all_at(b"what is this", 0).expect("space");
            drop(stray);
            let again = World::on(world.fs.clone(), 2);
            let mut run =
                Run::recover(&again, &settings, &ledger).unwrap_or_else(|e| panic!("{dir}/{name}: {e}"));
            run.all(&[Op::Upsert(vec![1, 2, 40]), Op::Compact, Op::Close])
                .and_then(|()| check(&run.index().snapshot(), &run.ledger.now, Metric::L2, 1))
                .unwrap_or_else(|e| panic!("{dir}/{name}: {e}"));
        }
    }
}

/// A second crash, while redb repaired what the first had left, damaged it for good.
#[test]
fn regress_redb_double_crash() {
    use Op::{Compact, Delete, Flush, Insert, Upsert};
    let script = vec![Insert((0..9).collect()), Flush, Delete(vec![1, 2]), Upsert(vec![3, 9, 10]), Compact];
    for model in MODELS {
        let sweep = Sweep { script: script.clone(), ..Sweep::new(tiny(Metric::L2, 2), model) };
        let (shots, _) = sweep.film(1).unwrap_or_else(|e| panic!("{e}"));
        let mut crashes = 0;
        for shot in shots.iter().step_by(3) {
            crashes += sweep.inside_recovery(shot, 1).unwrap_or_else(|e| panic!("{e}"));
        }
        assert!(crashes > 300, "only {crashes} crashes inside a recovery");
    }
}

/// An index that goes out of scope keeps what it promised: nobody else would sync what is written.
#[test]
fn regress_an_interval_is_kept_by_an_index_that_is_dropped() {
    let world = World::new(3, MODELS[0]);
    let settings = Settings::new(3).with_durability(Durability::Interval(Duration::from_secs(1)));
    let index = world.builder().create("/index", settings).expect("an empty disk");
    index.insert_item(Item::new(1_u64, [1.0, 2.0, 3.0])).expect("a new id");
    drop(index);
    world.spawner.run_all();
    for seed in 0..8 {
        let later = World::on(world.fs.crash(seed), seed);
        let index = later.builder().open("/index").expect("an index");
        assert_eq!(index.snapshot().len(), 1, "seed {seed}");
    }
}
