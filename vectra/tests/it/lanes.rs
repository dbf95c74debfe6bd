//! Two lanes of background work: sealing does not wait for merging, a request ends however much is written meanwhile,
//! and what a failed step wrote does not stay.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use vectra::seams::{Env, MemFs};
use vectra::{Builder, ErrorKind, Index, Item, Settings};
use vectra_core::io::sim::Fault;
use vectra_core::io::{Access, Entry, File, Fs, LockGuard, Site};

use crate::world::{MODELS, Meddler, World};

fn items(range: std::ops::Range<u64>) -> Vec<Item> {
    range.map(|n| Item::new(n, [(n as f32 * 0.37).sin(), (n as f32 * 0.11).cos(), 0.5])).collect()
}

/// A disk on which the thread of long work waits before it begins a file, until it is let go.
#[derive(Debug, Default)]
struct Gate {
    inner: MemFs,
    waiting: Mutex<bool>,
    open: Mutex<bool>,
    changed: Condvar,
}

const LONG: Duration = Duration::from_mins(1);

impl Gate {
    fn pass(&self) {
        if std::thread::current().name().is_some_and(|name| name.starts_with("low-")) {
            *self.waiting.lock() = true;
            self.changed.notify_all();
            let mut open = self.open.lock();
            while !*open {
                assert!(!self.changed.wait_for(&mut open, LONG).timed_out(), "nobody opened the gate");
            }
        }
    }

    fn wait_until_somebody_waits(&self) {
        let mut waiting = self.waiting.lock();
        while !*waiting {
            assert!(!self.changed.wait_for(&mut waiting, LONG).timed_out(), "no long work began");
        }
    }
}

impl Fs for Gate {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.pass();
        self.inner.create_new(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        self.inner.open(path, access)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn mkdir(&self, dir: &Path) -> io::Result<()> {
        self.inner.mkdir(dir)
    }

    fn sync_dir_at(&self, dir: &Path, site: Site) -> io::Result<()> {
        self.inner.sync_dir_at(dir, site)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Box<dyn LockGuard>> {
        self.inner.lock(path, holder)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }
}

#[test]
fn sealing_does_not_wait_for_a_merge() {
    let gate = Arc::new(Gate::default());
    let settings = Settings::new(3).with_seal_rows(100).with_graph(4, 16);
    let builder = Builder::new().fs(Arc::clone(&gate) as Arc<dyn Fs>).env(Env::os(1));
    let index = builder.create("/index", settings).expect("an empty disk");
    index.insert_items(items(0..100)).expect("new ids");
    // The graph of the first segment is under way from here on, and goes nowhere.
    gate.wait_until_somebody_waits();
    for first in (100..500).step_by(100) {
        index.insert_items(items(first..first + 100)).expect("new ids");
        index.delete_item(first - 50).expect("a healthy disk");
        index.flush().expect("sealing goes on");
        let stats = index.stats();
        assert_eq!(stats.shards[0].unsealed_rows, 0);
        assert!(stats.shards[0].segments.iter().all(|segment| !segment.has_graph));
    }
    *gate.open.lock() = true;
    gate.changed.notify_all();
    index.compact().expect("a healthy disk");
    let stats = index.stats();
    assert_eq!((stats.items, stats.shards[0].segments.len()), (496, 1));
    assert_eq!(stats.shards[0].segments[0].rows, 496, "what died during the build is gone");
    assert!(stats.shards[0].segments[0].has_graph);
}

/// A load, its graphs put off, that leaves rows unsealed behind whole segments.
fn load(index: &Index) {
    let deferred = index.defer_optimization();
    for first in (0..1000).step_by(100) {
        index.insert_items(items(first..first + 100)).expect("new ids");
    }
    index.flush().expect("a healthy disk");
    index.insert_items(items(1000..1030)).expect("new ids");
    drop(deferred);
}

/// What a load begins to merge the moment that it ends is not made to be thrown away, nor does it leave a segment beside
/// what it makes: the rows are merged once, all of them, and one graph is built.
#[test]
fn a_request_takes_along_what_a_merge_under_way_would_leave() {
    let settings = || Settings::new(3).with_seal_rows(100).with_graph(4, 16);
    let gate = Arc::new(Gate::default());
    let builder = Builder::new().fs(Arc::clone(&gate) as Arc<dyn Fs>).env(Env::os(1));
    let index = builder.create("/index", settings()).expect("an empty disk");
    load(&index);
    // The merge of ten segments is under way from here on.
    gate.wait_until_somebody_waits();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| index.wait_optimized());
        while index.stats().shards[0].unsealed_rows > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        *gate.open.lock() = true;
        gate.changed.notify_all();
        asked.join().expect("no panic").expect("a healthy disk");
    });
    let once = {
        let world = World::new(9, MODELS[0]);
        let index = world.builder().create("/index", settings()).expect("an empty disk");
        let _deferred = index.defer_optimization();
        load(&index);
        index.wait_optimized().expect("no faults");
        index.stats().written
    };
    let stats = index.stats();
    assert_eq!((stats.items, stats.shards[0].segments.len()), (1030, 1));
    assert!(stats.shards[0].segments[0].has_graph);
    assert_eq!(
        (stats.written.rows, stats.written.index),
        (once.rows, once.index),
        "nothing is written twice"
    );
}

/// Merges in the background go on during the load; whatever they have made by then, one segment is left.
#[test]
fn a_load_without_a_pause_ends_as_one_segment() {
    for threads in [1, 2] {
        let settings = Settings::new(3).with_seal_rows(100).with_graph(4, 16);
        let settings = Settings { segment_rows_max: 5000, ..settings };
        let builder = Builder::new().fs(Arc::new(MemFs::new())).env(Env::os(threads));
        let index = builder.create("/index", settings).expect("an empty disk");
        for first in (0..4970).step_by(70) {
            index.insert_items(items(first..first + 70)).expect("new ids");
        }
        index.wait_optimized().expect("a healthy disk");
        let stats = index.stats();
        assert_eq!((stats.items, stats.shards[0].segments.len()), (4970, 1), "{stats:?}");
        assert_eq!(index.query(&[0.3, 0.4, 0.5]).top_k(4970).exact().run().expect("sound").len(), 4970);
        index.wait_optimized().expect("a healthy disk");
        assert_eq!(index.stats().written.rows, stats.written.rows, "there is nothing left to do");
    }
}

/// Whatever a compaction writes, something more is dead by then: it covers what was dead when it was asked for.
#[test]
fn compaction_ends_under_steady_deletes() {
    let world = World::new(3, MODELS[0]);
    let meddler = Meddler::new(world.fs.clone());
    let settings = Settings::new(3).with_seal_rows(100).with_graph(4, 16);
    let index = world.builder().fs(Arc::new(meddler.clone())).create("/index", settings);
    let index = Arc::new(index.expect("an empty disk without faults"));
    index.insert_items(items(0..1000)).expect("new ids");
    index.compact().expect("no faults");
    index.delete_items((0..200_u64).map(Into::into).collect()).expect("no faults");
    let (weak, next) = (Arc::downgrade(&index), Arc::new(AtomicU64::new(200)));
    let count = Arc::clone(&next);
    meddler.set(move || {
        if let Some(index) = weak.upgrade() {
            index.delete_item(count.fetch_add(1, Ordering::Relaxed)).expect("no faults");
        }
    });
    index.compact().expect("no faults");
    let dead = next.load(Ordering::Relaxed);
    assert!((201..300).contains(&dead), "{dead} dead");
    let stats = index.stats();
    assert_eq!(stats.items, 1000 - dead);
    assert!(u64::from(stats.shards[0].segments[0].rows) <= 800, "{stats:?}");
}

/// The parts in `seg` and `tmp`.
fn parts(world: &World) -> usize {
    let fs: &dyn Fs = &world.fs;
    let entries = ["/index/seg", "/index/tmp"].map(|dir| fs.list(Path::new(dir)).expect("a folder"));
    entries.iter().flatten().filter(|entry| entry.name.ends_with("part")).count()
}

#[test]
fn a_failed_seal_leaves_nothing_behind() {
    let settings = Settings::new(3).with_graph(4, 16);
    // One run without faults tells how many calls a seal makes.
    let calls = {
        let world = World::new(5, MODELS[0]);
        let index = world.builder().create("/index", settings.clone()).expect("an empty disk");
        index.insert_items(items(0..4)).expect("new ids");
        let before = world.fs.calls();
        index.flush().expect("no faults");
        world.fs.calls() - before
    };
    let mut failed = 0;
    for n in 1..=calls {
        let world = World::new(5, MODELS[0]);
        let index = world.builder().create("/index", settings.clone()).expect("an empty disk");
        index.insert_items(items(0..4)).expect("new ids");
        world.fs.fail_call(world.fs.calls() + n, Fault::Eio, false);
        if let Err(error) = index.flush() {
            // A fault may hit the note of the commit in the log, which then takes no more.
            let expected = [ErrorKind::Uncertain, ErrorKind::Io, ErrorKind::Unavailable];
            assert!(expected.contains(&error.kind()), "{error:?}");
            let left = parts(&world);
            // After a commit that may be visible nothing is committed, and nothing it names is removed.
            if index.flush().is_ok() {
                assert_eq!(left, 0, "call {n}");
                failed += 1;
            }
        }
    }
    assert!(failed > 5, "only {failed} of {calls} failures mattered");
}
