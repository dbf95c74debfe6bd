//! Segments in an object store: the same answers wherever the parts rest, and after every way in which moving them can
//! end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;
use vectra::{ErrorKind, Hit, Index, Item, Metric, Patience, RemoteStore};
use vectra_core::env::SeededRng;
use vectra_core::io::Fs;
use vectra_core::io::sim::SimFs;
use vectra_tier::testing::{FaultyStore, Request, Trouble};

use crate::world::{MODELS, Meddler, World, tiny};

const PATIENCE: Patience = Patience {
    attempts: 2,
    pause_first: Duration::ZERO,
    pause_max: Duration::ZERO,
    request: Duration::from_millis(100),
    read_bytes: 4096,
};

fn root() -> &'static Path {
    Path::new("/index")
}

fn item(n: u64) -> Item {
    let x = n as f32;
    Item::new(n, [(x * 0.37).sin(), (x * 0.11).cos(), (x * 0.7).sin(), 0.5]).with_metadata([("n", n.into())])
}

fn remote(store: &FaultyStore) -> RemoteStore {
    RemoteStore::new(Arc::new(store.clone()), "vectra", Arc::new(SeededRng::new(3)), PATIENCE)
        .expect("a valid prefix")
}

/// An index of two shards with segments that have their graphs, and with deletes and updates beside them.
fn filled(world: &World, store: &FaultyStore) -> Index {
    let settings = tiny(Metric::L2, 2);
    let index = world.builder().remote_store(remote(store)).create(root(), settings).expect("a new folder");
    for first in [0, 20, 40] {
        index.insert_items((first..first + 20).map(item).collect()).expect("new ids");
        index.wait_optimized().expect("a healthy disk");
    }
    index.delete_items(vec![3_u64.into(), 44_u64.into()]).expect("a healthy disk");
    index.flush().expect("a healthy disk");
    index.wait_optimized().expect("a healthy disk");
    index
}

fn open(world: &World, store: &FaultyStore) -> vectra::Result<Index> {
    world.builder().remote_store(remote(store)).open(root())
}

/// A fresh process on what a disk has become.
fn later(fs: &SimFs, seed: u64) -> World {
    World::on(fs.crash(seed), seed)
}

type Answers = (Vec<Item>, Vec<Vec<Hit>>);

fn answers(index: &Index) -> Answers {
    let items = index.list_items(None, 1000).expect("readable").items;
    let ask = |x: f32| {
        index.query(&[x, 0.3 - x, 0.1, 0.5]).top_k(7).exact().with_vectors().run().expect("readable")
    };
    // Approximate ones answer as many.
    for x in [-0.5, 0.4] {
        assert_eq!(index.query(&[x, 0.2, 0.1, 0.5]).top_k(7).run().expect("readable").len(), 7);
    }
    (items, [-0.9, -0.2, 0.0, 0.6].map(ask).to_vec())
}

fn cold(index: &Index) -> Vec<bool> {
    index.stats().shards.iter().flat_map(|shard| &shard.segments).map(|segment| segment.cold).collect()
}

fn files(fs: &SimFs, folder: &str) -> Vec<PathBuf> {
    let dir = root().join(folder);
    match (fs as &dyn Fs).list(&dir) {
        Ok(entries) => entries.into_iter().map(|entry| dir.join(entry.name)).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => panic!("{e}"),
    }
}

fn empty_cache(fs: &SimFs) {
    files(fs, "cache").iter().for_each(|path| fs.remove(path).expect("a file"));
}

/// What the object store holds, past all trouble.
fn objects(store: &FaultyStore) -> usize {
    let sound = store.fork();
    let listed = |index: &str| remote(&sound).under(index).list().expect("no trouble").parts.len();
    let mut names: Vec<String> = store.trace().into_iter().map(|(_, name)| name).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "part"));
    names.sort();
    names.dedup();
    names.first().and_then(|name| name.split('/').nth(1)).map_or(0, listed)
}

#[test]
fn spilled_segments_answer_as_before_and_free_the_folder() {
    let (world, store) = (World::new(1, MODELS[0]), FaultyStore::new());
    let index = filled(&world, &store);
    let before = answers(&index);
    let segments = cold(&index).len();
    assert!(segments >= 2 && !cold(&index).contains(&true));
    let spilled = index.spill_all().expect("both are healthy");
    assert_eq!(spilled.segments, segments as u64);
    assert!(spilled.bytes > 0 && cold(&index).iter().all(|cold| *cold));
    assert_eq!(answers(&index), before);
    assert_eq!(files(&world.fs, "cache").len(), 3 * segments);
    assert!(files(&world.fs, "seg").len() <= 2 * segments, "rows, meta and index are gone");
    assert_eq!(index.spill_all().expect("nothing to do").segments, 0);
    // A reader in another process, which fetches nothing, finds the copies.
    let reader = world.builder().open_reader(root()).expect("the copies are here");
    assert_eq!(reader.list_items(None, 1000).expect("readable").items, before.0);
    drop(reader);
    index.close().expect("healthy");

    // With the copies no store is needed; without them it is, and is asked once.
    let asked = store.trace().len();
    let index = world.builder().open(root()).expect("the copies are here");
    assert_eq!(answers(&index), before);
    assert_eq!(store.trace().len(), asked);
    let error = index.spill_all().err();
    assert!(error.is_none_or(|e| e.kind() == ErrorKind::Unavailable), "nothing to spill, or nowhere to");
    index.close().expect("healthy");
    empty_cache(&world.fs);
    let error = world.builder().open(root()).expect_err("there is nothing here to open");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no object store was named"), "{error}");
    let index = open(&world, &store).expect("everything can be fetched");
    assert_eq!(answers(&index), before);
    let fetched = store.trace().len();
    assert!(fetched > asked);
    assert_eq!(answers(&index), before);
    assert_eq!(store.trace().len(), fetched, "queries read the copies");
}

#[test]
fn life_goes_on_over_cold_segments() {
    let (world, store) = (World::new(2, MODELS[0]), FaultyStore::new());
    let index = filled(&world, &store);
    let ids: Vec<_> = index.stats().shards.iter().flat_map(|s| &s.segments).map(|s| s.id).collect();
    let missing = index.spill_segment(uuid::Uuid::from_u128(7)).expect_err("no such segment");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(index.spill_segment(ids[0]).expect("healthy").segments, 1);
    assert_eq!(cold(&index).iter().filter(|cold| **cold).count(), 1);
    index.spill_all().expect("healthy");
    let in_store = objects(&store);
    assert_eq!(in_store, 3 * ids.len());
    assert_eq!(index.sweep_remote().expect("healthy"), 0, "everything there is needed");

    // Deletes and updates land beside cold segments, and survive.
    index.delete_items(vec![5_u64.into(), 45_u64.into()]).expect("healthy");
    index.upsert_items(vec![item(6), item(70)]).expect("healthy");
    index.flush().expect("healthy");
    let before = answers(&index);
    drop(index);
    let index = open(&world, &store).expect("healthy");
    assert_eq!(answers(&index), before);

    // One comes home; its objects are garbage once two generations do without them.
    if let Some(id) = index.stats().shards.iter().flat_map(|s| &s.segments).find(|s| s.cold).map(|s| s.id) {
        index.fetch_segment(id).expect("healthy");
        index.fetch_segment(id).expect("it is here");
        assert_eq!(answers(&index), before);
    }
    // Merging folds the cold ones in.
    index.compact().expect("healthy");
    assert!(!cold(&index).contains(&true), "what is written anew is hot");
    assert_eq!(answers(&index), before);
    assert_eq!(index.sweep_remote().expect("healthy"), in_store as u64);
    assert!(files(&world.fs, "cache").is_empty(), "copies of what is not cold are trimmed");
    store.fail_from(0, Trouble::Busy);
    index.close().expect("no store is needed any more");
    let index = world.builder().open(root()).expect("nothing is cold");
    assert_eq!(answers(&index), before);
}

/// Moves segments there (and, if `back`, home again) while every call to the disk is looked at: the disk as a power cut
/// would find it, and the object store of that moment.
fn cut_everywhere(back: bool, seed: u64) {
    let (world, store) = (World::new(seed, MODELS[(seed % 2) as usize]), FaultyStore::new());
    let index = filled(&world, &store);
    let expected = answers(&index);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (note, stores) = (Arc::clone(&seen), store.clone());
    if back {
        index.spill_all().expect("healthy");
    }
    world.fs.on_call(move |moment| note.lock().push((moment.within, stores.fork())));
    if back {
        let ids: Vec<_> = index.stats().shards.iter().flat_map(|s| &s.segments).map(|s| s.id).collect();
        ids.into_iter().for_each(|id| index.fetch_segment(id).expect("healthy"));
    } else {
        index.spill_all().expect("healthy");
    }
    world.fs.unobserved();
    let moments = std::mem::take(&mut *seen.lock());
    assert!(moments.len() > 20, "{}", moments.len());
    for (n, (disk, store)) in moments.into_iter().enumerate() {
        let world = later(&disk, seed ^ (n as u64) << 8);
        let index = open(&world, &store).unwrap_or_else(|e| panic!("after call {n}: {e}"));
        assert_eq!(answers(&index), expected, "after call {n}");
        index.wait_optimized().expect("healthy");
        index.spill_all().unwrap_or_else(|e| panic!("again after call {n}: {e}"));
        index.sweep_remote().expect("healthy");
        index.close().expect("healthy");
        // Everything that is named is there, also without the copies.
        empty_cache(&world.fs);
        let index = open(&world, &store).unwrap_or_else(|e| panic!("from the store, after call {n}: {e}"));
        assert_eq!(answers(&index), expected, "from the store, after call {n}");
        assert!(files(&world.fs, "tmp").is_empty());
    }
}

#[test]
fn a_power_cut_at_any_call_of_a_spill_loses_nothing() {
    cut_everywhere(false, 10);
    cut_everywhere(false, 11);
}

#[test]
fn a_power_cut_at_any_call_of_a_fetch_loses_nothing() {
    cut_everywhere(true, 12);
}

/// The requests of one spill of one index.
fn requests() -> usize {
    let (world, store) = (World::new(4, MODELS[0]), FaultyStore::new());
    filled(&world, &store).spill_all().expect("healthy");
    store.trace().len()
}

#[test]
fn a_store_that_fails_at_any_request_changes_no_answer() {
    let requests = requests();
    assert!(requests > 10);
    for n in 0..requests {
        for trouble in Trouble::ALL {
            // Waiting takes its time: a few requests stand for all.
            let waits = matches!(trouble, Trouble::Silence | Trouble::Deaf);
            if waits && n % 9 != 0 {
                continue;
            }
            let at = format!("{trouble:?} at {n}");
            let (world, store) = (World::new(4, MODELS[0]), FaultyStore::new());
            let index = filled(&world, &store);
            let expected = answers(&index);
            store.fail(n, trouble);
            store.fail(n + 1, if waits { Trouble::Busy } else { trouble });
            let outcome = index.spill_all();
            assert_eq!(answers(&index), expected, "{at}");
            assert!(store.trace().iter().all(|(request, _)| *request != Request::Delete), "{at}");
            store.recover();
            if trouble != Trouble::StoredWrong {
                index.spill_all().unwrap_or_else(|e| panic!("{at}, once it is well again: {e}"));
                assert!(cold(&index).iter().all(|cold| *cold), "{at}");
            } else if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{at}: {error}");
                assert!(cold(&index).contains(&false), "what is wrong there is still here");
            }
            index.close().expect("a healthy disk");
            empty_cache(&world.fs);
            let index = open(&world, &store).unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(answers(&index), expected, "{at}");
        }
    }
}

#[test]
fn a_store_that_is_away_or_wrong_is_an_error_and_never_an_empty_answer() {
    let (world, store) = (World::new(5, MODELS[0]), FaultyStore::new());
    let index = filled(&world, &store);
    let expected = answers(&index);
    index.spill_all().expect("healthy");
    index.close().expect("healthy");
    let verified = world.builder().remote_store(remote(&store)).verify_deep(root()).expect("reachable");
    assert_eq!(verified.findings, []);
    empty_cache(&world.fs);
    store.fail_from(0, Trouble::Busy);
    let error = open(&world, &store).expect_err("the store is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error =
        world.builder().remote_store(remote(&store)).verify_deep(root()).expect_err("the store is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    store.recover();
    // Bodies that arrive damaged, again and again.
    store.fail_from(0, Trouble::Flipped);
    let error = open(&world, &store).expect_err("nothing right can be had");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(files(&world.fs, "cache").is_empty(), "nothing wrong is kept");
    store.recover();
    let index = open(&world, &store).expect("the store is back");
    assert_eq!(answers(&index), expected);
}

/// A damaged graph of a cold segment is derived like any other: the segment comes home, and it is built anew.
#[test]
fn a_damaged_cold_graph_is_rebuilt_at_home() {
    let (world, store) = (World::new(6, MODELS[0]), FaultyStore::new());
    let index = filled(&world, &store);
    let expected = answers(&index);
    index.spill_all().expect("healthy");
    index.close().expect("healthy");
    // Every byte of the sections of one copy, but not its footer.
    let mut damaged = 0;
    for path in files(&world.fs, "cache") {
        let length = (&world.fs as &dyn Fs).read(&path, 1 << 30).expect("a copy").len();
        let before = world.builder().remote_store(remote(&store)).verify_deep(root()).expect("readable");
        assert_eq!(before.findings.len(), damaged);
        let at = 4096 + 200;
        assert!(length > at);
        world.fs.flip_bit(&path, 8 * at as u64).expect("within the file");
        let after = world.builder().remote_store(remote(&store)).verify_deep(root()).expect("readable");
        let derived = after.findings.iter().filter(|finding| !finding.data).count();
        if derived > 0 {
            damaged = after.findings.len();
            break;
        }
        world.fs.flip_bit(&path, 8 * at as u64).expect("within the file");
    }
    assert_eq!(damaged, 1, "one copy of an index part");
    let index = open(&world, &store).expect("derived damage keeps nothing closed");
    index.wait_optimized().expect("it is built anew");
    assert_eq!(answers(&index), expected);
    assert_eq!(index.stats().damaged_indexes, 1);
    assert_eq!(cold(&index).iter().filter(|cold| !**cold).count(), 1);
    index.spill_all().expect("healthy");
    assert!(cold(&index).iter().all(|cold| *cold));
    assert_eq!(answers(&index), expected);
}

/// Between the moment that a checkpoint pins and its commit no manifest names what is cold in it for its sake.
#[test]
fn a_sweep_leaves_what_a_checkpoint_in_the_making_needs() {
    let (world, store) = (World::new(9, MODELS[0]), FaultyStore::new());
    let meddler = Meddler::new(world.fs.clone());
    let builder = world.builder().fs(Arc::new(meddler.clone())).remote_store(remote(&store));
    let index = Arc::new(builder.create(root(), tiny(Metric::L2, 1)).expect("a new folder"));
    index.insert_items((0..20).map(item).collect()).expect("new ids");
    index.wait_optimized().expect("a healthy disk");
    assert_eq!(index.spill_all().expect("a healthy store").segments, 1);
    index.delete_item(3_u64).expect("a healthy disk");
    index.insert_item(item(50)).expect("a healthy disk");
    let (tell, told) = mpsc::channel();
    let (shared, sweeper) = (Arc::clone(&index), Arc::new(Mutex::new(None)));
    let started = Arc::clone(&sweeper);
    meddler.set(move || {
        if started.lock().is_some() {
            return;
        }
        let (index, tell) = (Arc::clone(&shared), tell.clone());
        *started.lock() = Some(std::thread::spawn(move || {
            // What was cold is rewritten, and the two newest generations do without it.
            index.compact().expect("a healthy disk");
            index.insert_item(item(51)).expect("a healthy disk");
            index.flush().expect("a healthy disk");
            tell.send(()).expect("somebody waits");
            let swept = index.sweep_remote().expect("a healthy store");
            let _nobody_waits_for_ever = tell.send(());
            swept
        }));
        told.recv_timeout(Duration::from_mins(1)).expect("the sweep begins");
        // It has to wait for the checkpoint; if it does not, it has ended by then.
        let _too_early = told.recv_timeout(Duration::from_millis(300));
    });
    index.create_checkpoint("then").expect("a healthy disk");
    let sweeper = sweeper.lock().take().expect("the checkpoint writes what is not sealed");
    assert_eq!(sweeper.join().expect("no panic"), 0, "everything is needed");
    meddler.set(|| ());
    drop(index);
    empty_cache(&world.fs);
    let index = open(&later(&world.fs, 4), &store).expect("an index");
    let items = index.at_checkpoint("then").expect("its objects are there").list_items(None, 100);
    assert_eq!(items.expect("readable").items.len(), 20);
}
