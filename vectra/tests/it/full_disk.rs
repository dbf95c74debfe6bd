//! A disk that fills up, again and again: new data is refused before it is acknowledged, and with not one byte free
//! items can still be deleted and the index compacted.

use std::collections::BTreeSet;
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use vectra::seams::{Fs, OsFs};
use vectra::{Builder, ErrorKind, Index, Item, ItemId, Settings};
use vectra_core::io::Access;
use vectra_core::io::sim::SimFs;

use crate::evidence::{Evidence, target};
use crate::world::{MODELS, World};

/// The size of the ballast on a real volume.
const BALLAST: u64 = 12 << 20;

/// An index on a small volume, and what it should hold.
struct Bed {
    fs: Arc<dyn Fs>,
    builder: fn(&Bed) -> Builder,
    world: Option<World>,
    /// Where the volume is mounted.
    volume: PathBuf,
    settings: Settings,
    batch: u64,
    live: BTreeSet<u64>,
    next: u64,
    refused: u64,
    deleted: u64,
}

impl Bed {
    fn path(&self) -> PathBuf {
        self.volume.join("index")
    }

    fn item(&self, n: u64) -> Item {
        let mut vector = vec![0.5_f32; self.settings.dim as usize];
        (vector[0], vector[1]) = ((n as f32 * 0.37).sin(), (n as f32 * 0.11).cos());
        Item::new(n, vector)
    }

    /// Inserts until the index refuses; nothing of the batch that it refuses is there.
    fn fill(&mut self, index: &Index) {
        loop {
            let ids = self.next..self.next + self.batch;
            let before = index.snapshot().len();
            if let Some(world) = &self.world {
                (0..3).take_while(|_| world.spawner.step()).count();
            }
            match index.insert_items(ids.clone().map(|n| self.item(n)).collect()) {
                Ok(_) => {
                    self.live.extend(ids.clone());
                    self.next = ids.end;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Full, "{error:?}");
                    assert!(error.to_string().contains("bytes are free"), "{error}");
                    assert_eq!(index.snapshot().len(), before);
                    self.refused += 1;
                    return;
                }
            }
        }
    }

    /// On a real volume the ballast is made by a thread of low priority, in its own time; whoever takes all room before it
    /// is whole leaves the index without one.
    fn wait_for_ballast(&self) {
        let path = self.path().join("ballast");
        let len = || self.fs.open(&path, Access::Read).and_then(|file| file.len()).unwrap_or(0);
        let there = || len() >= BALLAST;
        for _ in 0..2_000 {
            if self.world.is_some() || there() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("nobody made a ballast");
    }

    /// Takes every last byte of the volume.
    fn occupy(&self) -> PathBuf {
        let path = self.volume.join("foreign");
        let file = self.fs.create_new(&path).expect("a name takes no place");
        let (mut at, mut len) = (0_u64, 1 << 20);
        while len > 0 {
            match file.write_all_at(&vec![1; len], at) {
                Ok(()) => at += len as u64,
                Err(e) if e.kind() == IoKind::StorageFull => {
                    at = file.len().expect("open");
                    len /= 2;
                }
                Err(e) => panic!("{e}"),
            }
        }
        path
    }

    /// Deletes everything but a twentieth of what is newer than `since`.
    fn delete_most(&mut self, index: &Index, since: u64) {
        let dead: Vec<u64> = self.live.iter().copied().filter(|n| n % 20 != 3 || *n < since).collect();
        for ids in dead.chunks(500) {
            let receipt = index.delete_items(ids.iter().map(|n| ItemId::from(*n)).collect());
            assert_eq!(receipt.expect("deleting works on a full disk").items, ids.len() as u64);
        }
        self.deleted += dead.len() as u64;
        dead.iter().for_each(|n| _ = self.live.remove(n));
    }

    fn check(&self, index: &Index) {
        let snapshot = index.snapshot();
        assert_eq!(snapshot.len(), self.live.len() as u64);
        let page = snapshot.list_items(None, usize::MAX).expect("sound rows");
        let ids: BTreeSet<ItemId> = page.items.iter().map(|item| item.id.clone()).collect();
        assert_eq!(ids, self.live.iter().map(|n| ItemId::from(*n)).collect());
        let n = *self.live.last().expect("some are left");
        assert_eq!(snapshot.get_item(n).expect("sound rows"), Some(self.item(n)));
    }

    fn cycle(&mut self, index: &Index) {
        let since = self.next;
        index.flush().expect("there is room");
        self.wait_for_ballast();
        self.fill(index);
        let foreign = self.occupy();
        self.delete_most(index, since);
        index.compact().expect("compaction works on a full disk");
        self.check(index);
        self.fs.remove(&foreign).expect("there");
        // What is quiet settles and keeps a ballast again.
        if let Some(world) = &self.world {
            world.spawner.run_all();
        }
        let n = self.next;
        index.insert_item(self.item(n)).expect("there is room again");
        self.live.insert(n);
        self.next += 1;
    }

    /// As many cycles as are asked for, every third one with a closing and an opening; then everything is looked at.
    fn run(&mut self, evidence: &mut Evidence) {
        let mut index =
            (self.builder)(self).create(self.path(), self.settings.clone()).expect("a new volume");
        for cycle in 0..target(5, 200) {
            if evidence.is_over() {
                break;
            }
            self.cycle(&index);
            evidence.add("cycles", 1);
            if cycle % 3 == 1 {
                index.close().expect("a disk with room");
                index = (self.builder)(self).open(self.path()).expect("an index");
                self.check(&index);
                evidence.add("reopened", 1);
            }
        }
        index.close().expect("a disk with room");
        let report = (self.builder)(self).verify(self.path()).expect("an index");
        assert_eq!(report.findings, []);
        self.check(&(self.builder)(self).open(self.path()).expect("an index"));
        let cycles = evidence.count("cycles");
        assert!(self.refused >= cycles && self.deleted > 100 * cycles, "{} deleted", self.deleted);
        evidence.add("batches refused", self.refused);
        evidence.add("items inserted", self.next);
        evidence.add("items deleted with nothing free", self.deleted);
    }
}

fn simulated() -> Bed {
    let fs = SimFs::new(7, MODELS[0]);
    fs.quota(1 << 20);
    let mut settings = Settings::new(16).with_seal_rows(200).with_graph(4, 8);
    (settings.log_bytes_min, settings.log_bytes_max) = (8 << 10, 32 << 10);
    let world = World::on(fs.clone(), 7);
    Bed {
        fs: Arc::new(fs),
        builder: |bed| {
            let world = bed.world.as_ref().expect("a simulated world");
            world.builder().disk_reserve(128 << 10).ballast(256 << 10)
        },
        world: Some(world),
        volume: PathBuf::from("/"),
        settings,
        batch: 25,
        live: BTreeSet::new(),
        next: 0,
        refused: 0,
        deleted: 0,
    }
}

#[test]
fn a_simulated_disk_fills_and_drains() {
    let what = "a simulated disk with a quota of 1 MiB (seed 7) fills to the last byte, and drains: deletes and compaction work";
    let mut evidence = Evidence::begin("d7", "simulated", what);
    simulated().run(&mut evidence);
    evidence.end();
}

/// The index looked at the volume while there was room, and somebody took all of it since.
#[test]
fn what_somebody_else_took_is_seen_before_a_delete() {
    let mut bed = simulated();
    // Every few deletes begin a new log file, which takes room.
    bed.settings.log_bytes_max = bed.settings.log_bytes_min;
    let index = (bed.builder)(&bed).create(bed.path(), bed.settings.clone()).expect("a new volume");
    let free = |bed: &Bed| bed.fs.free_space(Path::new("/")).expect("asked");
    while free(&bed) > 240 << 10 {
        let ids = bed.next..bed.next + bed.batch;
        index.insert_items(ids.clone().map(|n| bed.item(n)).collect()).expect("there is room");
        bed.live.extend(ids.clone());
        bed.next = ids.end;
        index.flush().expect("there is room");
        bed.world.as_ref().expect("simulated").spawner.run_all();
    }
    assert!(free(&bed) > 160 << 10, "{}", free(&bed));
    assert!(bed.fs.exists(&bed.path().join("ballast")).expect("a folder"));
    bed.occupy();
    bed.delete_most(&index, 0);
    index.compact().expect("compaction works on a full disk");
    bed.check(&index);
}

#[test]
fn a_log_that_met_a_full_disk_opens_again_with_the_room_of_the_ballast() {
    let mut bed = simulated();
    let fs = bed.world.as_ref().expect("simulated").fs.clone();
    // A new log file begins before anybody looks how much is free.
    bed.settings.log_bytes_max = bed.settings.log_bytes_min;
    let index = (bed.builder)(&bed).create(bed.path(), bed.settings.clone()).expect("a new volume");
    bed.next = 200;
    for first in (0..200).step_by(25) {
        index.insert_items((first..first + 25).map(|n| bed.item(n)).collect()).expect("there is room");
        bed.live.extend(first..first + 25);
    }
    index.flush().expect("there is room");
    bed.world.as_ref().expect("simulated").spawner.run_all();
    bed.occupy();
    let free = |fs: &SimFs| fs.free_space(Path::new("/")).expect("asked");
    assert_eq!(free(&fs), 0);
    // Nobody looks before each batch: others were quicker.
    let failed = (200..400_u64).step_by(25).find_map(|first| {
        let inserted = index.insert_items((first..first + 25).map(|n| bed.item(n)).collect());
        bed.next = first + 25;
        match inserted {
            Ok(_) => bed.live.extend(first..first + 25),
            Err(error) => return Some((error, first..first + 25)),
        }
        None
    });
    let (error, uncertain) = failed.expect("nothing is free");
    assert_eq!(error.kind(), ErrorKind::Uncertain, "{error}");
    drop(index);
    assert_eq!(free(&fs), 0);
    let ballast = Path::new("/index/ballast");
    assert!(fs.open(ballast, Access::Read).is_ok());
    bed.world = Some(World::on(fs.clone(), 8));
    let index = (bed.builder)(&bed).open(bed.path()).expect("the ballast gives room");
    assert!(fs.open(ballast, Access::Read).is_err());
    if index.get_item(uncertain.start).expect("readable").is_some() {
        bed.live.extend(uncertain);
    }
    bed.check(&index);
    bed.delete_most(&index, 0);
    index.compact().expect("compaction works on a full disk");
    bed.check(&index);
}

#[test]
fn a_load_leaves_the_reserve_alone() {
    let bed = simulated();
    let fs = bed.world.as_ref().expect("simulated").fs.clone();
    let index = (bed.builder)(&bed).create(bed.path(), bed.settings.clone()).expect("a new volume");
    index.insert_item(bed.item(0)).expect("there is room");
    let free = || fs.free_space(Path::new("/")).expect("asked");
    let before = free();
    let mut loader = index.bulk_loader();
    let refused = (1..100_000).find_map(|n| {
        assert!(free() >= 128 << 10, "{n}: the reserve is not for loads");
        loader.push(bed.item(n)).err()
    });
    assert_eq!(refused.expect("a small volume").kind(), ErrorKind::Full);
    let error = loader.finish().expect_err("incomplete");
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!((free(), index.snapshot().len()), (before, 1), "nothing of it stays");
    // One that fits is taken, and writers see at once what it left them.
    let error = loop {
        let (first, len) = (index.snapshot().len(), 400);
        match index.load_items((first..first + len).map(|n| bed.item(n))) {
            Ok(receipt) => assert_eq!(receipt.items, len),
            Err(error) => break error,
        }
        assert!(free() >= 64 << 10);
    };
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    let first = index.snapshot().len();
    assert!(first > 800, "{first}");
    let error = (first..first + 2000).find_map(|n| index.insert_item(bed.item(n)).err());
    assert_eq!(error.expect("the volume is as good as full").kind(), ErrorKind::Full);
    assert!(free() >= 64 << 10);
    index.delete_item(0_u64).expect("deletes go on: the log is sound");
}

/// A mounted volume, unmounted in the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where mounting is not allowed.
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let size = format!("size={bytes}");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|out| out.status.success()).then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_real_volume_fills_and_drains() {
    let Some(volume) = Tmpfs::mount(64 << 20) else {
        println!("mounting is not allowed here: only the simulated disk was filled");
        return;
    };
    let mut settings = Settings::new(1024).with_seal_rows(500).with_graph(4, 8);
    (settings.log_bytes_min, settings.log_bytes_max) = (256 << 10, 2 << 20);
    let mut bed = Bed {
        fs: Arc::new(OsFs::new()),
        builder: |_| Builder::new().threads(1).disk_reserve(8 << 20).ballast(BALLAST),
        world: None,
        volume: volume.0.path().to_owned(),
        settings,
        batch: 50,
        live: BTreeSet::new(),
        next: 0,
        refused: 0,
        deleted: 0,
    };
    let what = "a tmpfs of 64 MiB fills to the last byte, and drains: deletes and compaction work";
    let mut evidence = Evidence::begin("d7", "tmpfs", what);
    bed.run(&mut evidence);
    evidence.end();
}
