//! Files come, grow and go: rotation, truncation, leftovers and foreign names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::{Access, Fs, MemFs};
use vectra_wal::{AppendError, Durability, FileLog, Log, Lsn, OpenError, Options};

use crate::world::{open, payload, sim_env};

pub(crate) struct Setup {
    pub(crate) fs: Arc<dyn Fs>,
    env: Env,
    options: Options,
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/wal")
}

impl Setup {
    pub(crate) fn new() -> Self {
        let mut options = Options::new([1; 16]);
        (options.file_bytes_min, options.file_bytes_max, options.reserve_bytes) = (8192, 32_768, 1024);
        Self { fs: Arc::new(MemFs::new()), env: sim_env(1).0, options }
    }

    pub(crate) fn create(&self) -> FileLog {
        FileLog::create(Arc::clone(&self.fs), &dir(), &self.env, self.options.clone()).expect("memory")
    }

    pub(crate) fn files(&self) -> Vec<String> {
        self.fs.list(&dir()).expect("the folder").into_iter().map(|e| e.name).collect()
    }

    pub(crate) fn len(&self, name: &str) -> u64 {
        self.fs.open(&dir().join(name), Access::Read).expect("a file").len().expect("memory")
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        self.fs.read(&dir().join(name), 1 << 20).expect("a file")
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let file = self.fs.create_new(&dir().join(name)).expect("no such file yet");
        file.write_all_at(content, 0).expect("memory");
    }

    /// Opens with `replay_from` and returns the first LSNs of the replayed frames.
    pub(crate) fn replayed(&self, replay_from: Lsn) -> Result<(FileLog, Vec<Lsn>, Vec<String>), OpenError> {
        let options = Options { replay_from, ..self.options.clone() };
        let (log, recovery, frames) = open(Arc::clone(&self.fs), &dir(), &self.env, options)?;
        Ok((log, frames.iter().map(|f| f.first_lsn).collect(), recovery.ignored))
    }
}

pub(crate) fn append(log: &FileLog, len: usize) -> Lsn {
    let ticket = log.enqueue(1, 1, payload(log.last_lsn(), len)).expect("open");
    log.commit(&ticket, Durability::Sync, &|_| ()).expect("no faults");
    ticket.last_lsn
}

#[test]
fn files_grow_up_to_their_maximum() {
    let setup = Setup::new();
    let log = setup.create();
    for _ in 0..100 {
        append(&log, 1000);
    }
    let files = setup.files();
    let lens: Vec<u64> = files.iter().map(|name| setup.len(name)).collect();
    let sealed = &lens[..lens.len() - 1];
    assert!(sealed.is_sorted() && sealed.len() >= 4, "{lens:?}");
    // A file is full before its cap; its seal comes on top, the reserve is cut off.
    let caps = [8192, 16_384, 32_768, 32_768];
    assert!(sealed.iter().zip(caps).all(|(len, cap)| (cap - 1200..cap + 64).contains(len)), "{lens:?}");
    let (header, frame, seal) = (4096, 56 + 1000, 56 + 8);
    assert!(sealed.iter().all(|len| (len - header - seal).is_multiple_of(frame)), "{lens:?}");
    assert_eq!(log.stats().files, files.len() as u64);
    let frames: u64 = 100 * (56 + 1000);
    assert_eq!(log.stats().bytes, frames + 4096 * files.len() as u64);
}

#[test]
fn a_frame_larger_than_any_file_gets_a_file() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 10);
    append(&log, 100_000);
    append(&log, 10);
    assert_eq!(setup.files().len(), 3);
    drop(log);
    assert_eq!(setup.replayed(0).expect("intact").1, [1, 2, 3]);
}

#[test]
fn a_payload_over_the_cap_is_refused_without_taking_a_number() {
    let setup = Setup { options: Options { payload_bytes_max: 100, ..Setup::new().options }, ..Setup::new() };
    let log = setup.create();
    assert!(matches!(
        log.enqueue(1, 1, vec![0; 101]),
        Err(AppendError::PayloadTooLarge { len: 101, max: 100 })
    ));
    assert_eq!(append(&log, 100), 1);
}

#[test]
fn the_reserve_ahead_is_no_torn_tail() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 40);
    assert_eq!(setup.len(&setup.files()[0]), 4096 + 96 + 1024);
    drop(log);
    let (_, recovery, frames) =
        open(Arc::clone(&setup.fs), &dir(), &setup.env, setup.options).expect("intact");
    assert_eq!((frames.len(), recovery.torn, recovery.dropped_tail_bytes), (1, false, 0));
}

#[test]
fn truncation_removes_only_whole_files_below_the_floor() {
    let setup = Setup::new();
    let log = setup.create();
    let mut ends = Vec::new();
    for _ in 0..60 {
        let files = log.stats().files;
        let lsn = append(&log, 1000);
        if log.stats().files > files {
            ends.push(lsn - 1);
        }
    }
    let all = setup.files();
    assert!(ends.len() >= 3);
    log.truncate(ends[0]).expect("no faults");
    assert_eq!(setup.files(), all, "the floor itself is still needed");
    log.truncate(ends[0] + 1).expect("no faults");
    assert_eq!(setup.files(), all[1..]);
    log.truncate(ends[2]).expect("no faults");
    assert_eq!(setup.files(), all[2..]);
    drop(log);
    assert!(
        matches!(setup.replayed(ends[1]), Err(OpenError::Corruption(_))),
        "what was removed is asked for"
    );
    let (log, replayed, _) = setup.replayed(ends[1] + 1).expect("everything needed is there");
    assert!(replayed.into_iter().eq(ends[1] + 1..=60));
    log.truncate(60).expect("no faults");
    assert_eq!(log.stats().files, 1);
    log.truncate(61).expect("no faults");
    assert_eq!((log.stats().files, log.stats().bytes), (1, 4096), "the current file was rotated and removed");
    let only = setup.files();
    log.truncate(1000).expect("no faults");
    assert_eq!(setup.files(), only, "an empty file is not rotated");
    assert_eq!(append(&log, 5), 61);
    drop(log);
    assert_eq!(setup.replayed(61).expect("intact").1, [61]);
}

#[test]
fn files_that_are_not_needed_are_not_read() {
    let setup = Setup::new();
    let log = setup.create();
    for _ in 0..40 {
        append(&log, 1000);
    }
    drop(log);
    let oldest = setup.fs.open(&dir().join(&setup.files()[0]), Access::ReadWrite).expect("a file");
    oldest.write_all_at(&[0xff; 100], 5000).expect("memory");
    assert!(matches!(setup.replayed(0), Err(OpenError::Corruption(_))));
    let (_, replayed, _) = setup.replayed(20).expect("the damage is below");
    assert!(replayed.into_iter().eq(20..=40));
}

#[test]
fn removed_files_that_come_back_do_no_harm() {
    let setup = Setup::new();
    let log = setup.create();
    for _ in 0..60 {
        append(&log, 1000);
    }
    let before: Vec<(String, Vec<u8>)> =
        setup.files().into_iter().map(|n| (n.clone(), setup.content(&n))).collect();
    log.truncate(60).expect("no faults");
    drop(log);
    // The removals were not durable: the first and third file are back after a power cut, the second is not.
    for i in [0, 2] {
        if !setup.files().contains(&before[i].0) {
            setup.put(&before[i].0, &before[i].1);
        }
    }
    let (log, replayed, _) = setup.replayed(60).expect("intact");
    assert_eq!(replayed, [60]);
    append(&log, 1);
    log.truncate(60).expect("no faults");
    assert_eq!(setup.files().len(), 1);
}

#[test]
fn a_replaced_file_that_comes_back_does_no_harm() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 100);
    drop(log);
    let old = (setup.files()[0].clone(), setup.content(&setup.files()[0]));
    for life in 2..5 {
        let (log, replayed, ignored) = setup.replayed(0).expect("intact");
        assert!(replayed.into_iter().eq(1..life));
        assert_eq!((setup.files().len(), ignored.len()), (1, 0));
        append(&log, 100);
        setup.put(&old.0, &old.1);
    }
}

#[test]
fn files_of_another_index_are_ignored_and_their_numbers_avoided() {
    let other = Setup { options: Options::new([2; 16]), ..Setup::new() };
    let log = other.create();
    append(&log, 10);
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 100);
    drop(log);
    let foreign = other.content("00000000000000000001.wal");
    // Its header must say what its name says, or it counts as damage; so take its own name in a later life.
    let (log, ..) = setup.replayed(0).expect("intact");
    drop(log);
    setup.put("00000000000000000001.wal", &foreign);
    let (log, replayed, ignored) = setup.replayed(0).expect("intact");
    assert_eq!((replayed, ignored), (vec![1], vec!["00000000000000000001.wal".to_owned()]));
    drop(log);
    assert_eq!(setup.content("00000000000000000001.wal"), foreign, "left alone");
}

#[test]
fn a_newest_file_of_another_index_is_not_ours() {
    let other = Setup { options: Options::new([2; 16]), ..Setup::new() };
    drop(other.create());
    for _ in 0..8 {
        drop(other.replayed(0).expect("intact"));
    }
    let foreign = other.files()[0].clone();
    let setup = Setup::new();
    append(&setup.create(), 100);
    setup.put(&foreign, &other.content(&foreign));
    for _ in 0..2 {
        let (log, replayed, ignored) = setup.replayed(0).expect("intact");
        assert_eq!((replayed.len(), ignored), (1, vec![foreign.clone()]));
        drop(log);
    }
    assert_eq!(setup.content(&foreign), other.content(&foreign), "left alone");
}

#[test]
fn old_files_that_are_not_provably_ours_are_never_removed() {
    let other = Setup { options: Options::new([2; 16]), ..Setup::new() };
    let log = other.create();
    append(&log, 10);
    let setup = Setup::new();
    let log = setup.create();
    for _ in 0..60 {
        append(&log, 1000);
    }
    let ours = setup.content("00000000000000000003.wal");
    log.truncate(61).expect("no faults");
    drop(log);
    // Older than the log: one of another index, one that cannot be told, and one of ours that came back.
    let foreign = other.content("00000000000000000001.wal");
    setup.put("00000000000000000001.wal", &foreign);
    setup.put("00000000000000000002.wal", b"whose?");
    setup.put("00000000000000000003.wal", &ours);
    for life in 0..2 {
        let (log, replayed, ignored) = setup.replayed(61).expect("intact");
        assert_eq!((replayed.len(), ignored), (0, setup.files()[..2].to_vec()), "life {life}");
        log.truncate(100).expect("no faults");
        assert_eq!(setup.files().len(), 3, "{:?}", setup.files());
        assert_eq!(setup.content("00000000000000000001.wal"), foreign, "left alone");
        assert_eq!(setup.content("00000000000000000002.wal"), b"whose?", "left alone");
    }
}

#[test]
fn creation_and_its_refusals() {
    let setup = Setup::new();
    assert!(matches!(setup.replayed(0), Err(OpenError::Missing { .. })), "no folder");
    setup.fs.mkdir(&dir()).expect("memory");
    assert!(matches!(setup.replayed(0), Err(OpenError::Missing { .. })), "an empty folder");
    setup.put("00000000000000000001.tmp", b"a creation that did not get far");
    let log = setup.create();
    append(&log, 1);
    let again = FileLog::create(Arc::clone(&setup.fs), &dir(), &setup.env, setup.options.clone());
    assert!(matches!(again, Err(OpenError::AlreadyExists { .. })));
    let orphan = FileLog::create(Arc::clone(&setup.fs), Path::new("/no/such/wal"), &setup.env, setup.options);
    assert!(matches!(orphan, Err(OpenError::Io { .. })));
}

#[test]
fn a_created_log_begins_behind_what_its_owner_knows() {
    let setup = Setup { options: Options { durable_floor: 500, ..Setup::new().options }, ..Setup::new() };
    let log = setup.create();
    assert_eq!((log.last_lsn(), log.durable_lsn()), (500, 500));
    assert_eq!(append(&log, 1), 501);
    drop(log);
    assert_eq!(setup.replayed(501).expect("intact").1, [501]);
    assert!(matches!(setup.replayed(500), Err(OpenError::Corruption(_))), "LSN 500 is not in this log");
}

#[test]
fn the_last_lsns_are_refused_not_wrapped() {
    let floor = Lsn::MAX - 10;
    let setup = Setup { options: Options { durable_floor: floor, ..Setup::new().options }, ..Setup::new() };
    let log = setup.create();
    assert!(matches!(log.enqueue(1, 20, vec![]), Err(AppendError::LsnExhausted { .. })));
    assert_eq!(append(&log, 1), floor + 1);
    log.close().expect("no faults");
    assert_eq!(setup.replayed(floor + 1).expect("intact").1, [floor + 1]);
}

#[test]
fn hybrid_times_grow_even_when_the_clock_goes_back() {
    let setup = Setup::new();
    let clock = Arc::new(vectra_core::env::SimClock::new(7));
    let env = Env { clock: Arc::<vectra_core::env::SimClock>::clone(&clock), ..setup.env.clone() };
    let log = FileLog::create(Arc::clone(&setup.fs), &dir(), &env, setup.options.clone()).expect("memory");
    clock.jump_unix_ms(2_000_000);
    append(&log, 3000);
    append(&log, 3000);
    clock.jump_unix_ms(1_000_000);
    append(&log, 3000);
    drop(log);
    let mut times = Vec::new();
    let mut visit = |frame: vectra_wal::Frame<'_>| {
        times.push(frame.hlc);
        Ok(())
    };
    let (log, _) =
        FileLog::open(Arc::clone(&setup.fs), &dir(), &env, setup.options.clone(), &mut visit).expect("ok");
    append(&log, 1);
    drop(log);
    let (log, _) = FileLog::open(setup.fs, &dir(), &env, setup.options, &mut visit).expect("ok");
    drop(log);
    let times = &times[3..];
    assert_eq!(times[0], 2_000_000 << 16);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}
