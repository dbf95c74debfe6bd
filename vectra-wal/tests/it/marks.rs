//! What the log notes for itself: marks when it falls idle, anchors of its owner.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vectra_core::env::{Env, SimSpawner};
use vectra_core::io::sim::{CallKind, CrashModel, Fault, SimFs};
use vectra_core::io::{Access, Fs, MemFs};
use vectra_wal::{Anchor, AppendError, Durability, FileLog, Log, Lsn, OpenError, Options, Recovery};

use crate::world::{anchor, open, payload, sim_env};

const DIR: &str = "/wal";
const DELAY: Duration = Duration::from_millis(100);

struct Setup {
    fs: SimFs,
    env: Env,
    spawner: Arc<SimSpawner>,
    options: Options,
}

impl Setup {
    fn new() -> Self {
        let (env, spawner) = sim_env(1);
        let mut options = Options::new([1; 16]);
        (options.file_bytes_min, options.file_bytes_max, options.reserve_bytes) = (8192, 32_768, 1024);
        Self { fs: SimFs::new(1, CrashModel::WeakPosix), env, spawner, options }
    }

    fn create(&self) -> FileLog {
        FileLog::create(Arc::new(self.fs.clone()), Path::new(DIR), &self.env, self.options.clone())
            .expect("a fresh disk")
    }

    fn reopened(&self) -> (FileLog, Recovery) {
        let (log, recovery, _) =
            open(Arc::new(self.fs.clone()), Path::new(DIR), &self.env, self.options.clone()).expect("intact");
        (log, recovery)
    }

    fn kinds_since(&self, from: usize) -> Vec<CallKind> {
        self.fs.trace()[from..].iter().map(|call| call.kind).collect()
    }
}

fn append(log: &FileLog, len: usize, durability: Durability) -> Lsn {
    let ticket = log.enqueue(1, 1, payload(log.last_lsn(), len)).expect("open");
    log.commit(&ticket, durability, &|_| ()).expect("no faults");
    ticket.last_lsn
}

#[test]
fn a_log_that_falls_idle_marks_once() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 50, Durability::None);
    assert_eq!(setup.spawner.pending(), 0, "nothing was synced, so there is nothing to testify to");
    append(&log, 50, Durability::Sync);
    append(&log, 50, Durability::Sync);
    assert_eq!(setup.spawner.pending(), 1, "one job, however many syncs");
    let (due, before) = (setup.env.clock.now() + DELAY, setup.fs.trace().len());
    assert!(setup.spawner.step());
    assert_eq!((setup.env.clock.now(), log.stats().marks, log.stats().syncs), (due, 1, 3));
    assert_eq!(setup.kinds_since(before), [CallKind::Write, CallKind::SyncData]);
    assert_eq!(setup.spawner.pending(), 0, "one per rest");
    append(&log, 50, Durability::Sync);
    setup.spawner.run_all();
    assert_eq!((log.stats().marks, log.last_lsn(), log.durable_lsn()), (2, 4, 4), "a mark takes no LSN");
}

#[test]
fn a_mark_waits_until_nothing_has_happened_for_a_while() {
    let setup = Setup::new();
    let clock = Arc::new(vectra_core::env::SimClock::new(1));
    let spawner = Arc::new(SimSpawner::new(1, Arc::clone(&clock)));
    let env = Env {
        clock: Arc::<vectra_core::env::SimClock>::clone(&clock),
        spawner: Arc::<SimSpawner>::clone(&spawner),
        ..setup.env.clone()
    };
    let log = FileLog::create(Arc::new(setup.fs.clone()), Path::new(DIR), &env, setup.options.clone())
        .expect("a disk");
    append(&log, 50, Durability::Sync);
    let mut last = env.clock.now();
    for _ in 0..5 {
        clock.advance(Duration::from_millis(60));
        append(&log, 50, Durability::Sync);
        last = env.clock.now();
        assert_eq!(spawner.pending(), 1);
        if spawner.step() && log.stats().marks > 0 {
            break;
        }
    }
    assert_eq!(log.stats().marks, 0, "the log was never idle for long enough");
    spawner.run_all();
    assert_eq!(log.stats().marks, 1);
    assert!(env.clock.now() >= last + DELAY && env.clock.now() <= last + DELAY * 2);
}

#[test]
fn a_mark_that_meets_a_leader_does_not_wait_and_is_not_forgotten() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 1, Durability::Sync);
    let ticket = log.enqueue(1, 1, vec![2]).expect("open");
    log.commit(&ticket, Durability::Sync, &|_| assert!(setup.spawner.step())).expect("no faults");
    assert_eq!((log.stats().marks, setup.spawner.pending()), (0, 1));
    setup.spawner.run_all();
    assert_eq!(log.stats().marks, 1);
}

#[test]
fn a_mark_vouches_for_unsynced_frames_only_after_syncing_them() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 50, Durability::Sync);
    append(&log, 50, Durability::None);
    let before = setup.fs.trace().len();
    setup.spawner.run_all();
    assert_eq!(setup.kinds_since(before), [CallKind::SyncData, CallKind::Write, CallKind::SyncData]);
    assert_eq!(log.durable_lsn(), 2);
}

#[test]
fn nobody_marks_a_log_that_is_closed_rotated_or_gone() {
    for end in 0..3 {
        let setup = Setup::new();
        let log = setup.create();
        append(&log, 50, Durability::Sync);
        match end {
            0 => log.close().expect("no faults"),
            1 => log.truncate(2).expect("no faults"),
            _ => drop(log),
        }
        let calls = setup.fs.calls();
        setup.spawner.run_all();
        assert_eq!(setup.fs.calls(), calls, "case {end}");
    }
}

#[test]
fn a_mark_that_fails_poisons_the_log_and_takes_nothing_back() {
    for call in [1, 2] {
        let setup = Setup::new();
        let log = setup.create();
        append(&log, 50, Durability::Sync);
        setup.fs.fail_call(setup.fs.calls() + call, Fault::Eio, false);
        setup.spawner.run_all();
        assert!(matches!(log.enqueue(1, 1, vec![]), Err(AppendError::Poisoned { .. })), "call {call}");
        drop(log);
        for seed in 0..4 {
            let crashed = Setup { fs: setup.fs.crash(seed), ..Setup::new() };
            assert_eq!(crashed.reopened().1.last_lsn, 1, "call {call}, seed {seed}");
        }
    }
}

/// The only file's content, and where the last frame of the caller begins.
fn only_file(fs: &dyn Fs) -> (std::path::PathBuf, Vec<u8>, usize) {
    let entries = fs.list(Path::new(DIR)).expect("the folder");
    assert_eq!(entries.len(), 1);
    let path = Path::new(DIR).join(&entries[0].name);
    let content = fs.read(&path, 1 << 20).expect("a file");
    let frames = |at: &usize| content[*at..].starts_with(b"vFrm") && content[at + 14] == 0;
    let last = (4096..content.len() - 56).step_by(8).rfind(frames).expect("a frame");
    (path, content, last)
}

/// Opens the log with one byte changed.
fn opened_with(setup: &Setup, at: usize) -> Result<Recovery, OpenError> {
    let (path, mut content, _) = only_file(&setup.fs);
    content[at] ^= 0xff;
    let copy: Arc<dyn Fs> = Arc::new(MemFs::new());
    copy.mkdir(Path::new(DIR)).expect("memory");
    copy.create_new(&path).expect("memory").write_all_at(&content, 0).expect("memory");
    open(copy, Path::new(DIR), &setup.env, setup.options.clone()).map(|(_, recovery, _)| recovery)
}

#[test]
fn damage_to_the_last_group_is_provable_from_the_mark_on() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 30, Durability::Sync);
    append(&log, 40, Durability::Sync);
    let (_, _, last) = only_file(&setup.fs);
    let len = (56 + 40_usize).next_multiple_of(8);
    let recovery = opened_with(&setup, last + 60).expect("nothing testifies to the last group yet");
    assert_eq!((recovery.last_lsn, recovery.torn), (1, true));
    setup.spawner.run_all();
    for at in last..last + len {
        let outcome = opened_with(&setup, at);
        assert!(matches!(outcome, Err(OpenError::Corruption(_))), "byte {at}: {outcome:?}");
    }
    // The mark itself is in nobody's way.
    let recovery = opened_with(&setup, last + len + 9).expect("only the mark is damaged");
    assert_eq!((recovery.last_lsn, recovery.torn, recovery.dropped_frames), (2, true, 0));
}

#[test]
fn a_log_that_acknowledges_after_a_mark_has_no_window() {
    let mut setup = Setup::new();
    setup.options.ack_after_mark = true;
    let log = setup.create();
    for len in [30, 40] {
        let before = setup.fs.trace().len();
        append(&log, len, Durability::Sync);
        let syncs = setup.kinds_since(before).iter().filter(|kind| **kind == CallKind::SyncData).count();
        assert_eq!(syncs, 2);
        let (_, _, last) = only_file(&setup.fs);
        for at in last..last + (56 + len).next_multiple_of(8) {
            let outcome = opened_with(&setup, at);
            assert!(matches!(outcome, Err(OpenError::Corruption(_))), "byte {at}: {outcome:?}");
        }
    }
    assert_eq!((log.stats().marks, setup.spawner.pending()), (2, 0), "nothing is left for an idle moment");
    append(&log, 30, Durability::None);
    assert_eq!(log.stats().marks, 2, "only acknowledgements that promise durability pay");
}

#[test]
fn an_anchor_costs_one_write_and_is_durable_with_the_next_sync() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 10, Durability::Sync);
    let before = setup.fs.trace().len();
    log.note_anchor(anchor(1)).expect("no faults");
    log.note_anchor(anchor(1)).expect("known already");
    assert_eq!(setup.kinds_since(before), [CallKind::Write]);
    assert_eq!(log.last_lsn(), 1, "an anchor takes no LSN");
    append(&log, 10, Durability::Sync);
    for seed in 0..8 {
        let crashed = Setup { fs: setup.fs.crash(seed), ..Setup::new() };
        assert_eq!(crashed.reopened().1.anchor, Some(anchor(1)), "seed {seed}");
    }
}

#[test]
fn an_anchor_is_durable_with_the_mark_of_an_idle_moment() {
    let setup = Setup::new();
    let log = setup.create();
    log.note_anchor(anchor(2)).expect("no faults");
    let marks = log.stats().marks;
    setup.spawner.run_all();
    assert_eq!(log.stats().marks, marks + 1);
    for seed in 0..8 {
        let crashed = Setup { fs: setup.fs.crash(seed), ..Setup::new() };
        assert_eq!(crashed.reopened().1.anchor, Some(anchor(2)), "seed {seed}");
    }
}

#[test]
fn the_newest_anchor_outlives_the_file_it_was_noted_in() {
    let setup = Setup::new();
    let log = setup.create();
    assert_eq!(log.note_anchor(anchor(1)).ok(), Some(()));
    append(&log, 3000, Durability::Sync);
    log.note_anchor(Anchor { generation: 7, digest: [3; 16] }).expect("no faults");
    let noted = Some(Anchor { generation: 7, digest: [3; 16] });
    for _ in 0..20 {
        append(&log, 3000, Durability::None);
    }
    assert!(log.stats().files > 3);
    log.truncate(22).expect("no faults");
    assert_eq!(log.stats().files, 1);
    drop(log);
    for life in 0..3 {
        let mut options = setup.options.clone();
        options.replay_from = 22;
        let looked = FileLog::check(&setup.fs, Path::new(DIR), options.clone(), &mut |_| Ok(()));
        assert_eq!(looked.expect("intact").anchor, noted, "life {life}");
        let (log, recovery, _) =
            open(Arc::new(setup.fs.clone()), Path::new(DIR), &setup.env, options).expect("intact");
        assert_eq!(recovery.anchor, noted, "life {life}");
        if life == 1 {
            log.close().expect("no faults");
        }
    }
}

#[test]
fn anchors_alone_make_a_file_that_closes_and_opens() {
    let setup = Setup::new();
    let log = setup.create();
    for generation in 1..200 {
        log.note_anchor(anchor(generation)).expect("no faults");
        log.truncate(1000).expect("nothing to remove");
    }
    assert_eq!(log.stats().files, 1, "a file without operations is not rotated for a truncation");
    log.close().expect("no faults");
    let (log, recovery) = setup.reopened();
    assert_eq!((recovery.anchor, recovery.last_lsn), (Some(anchor(199)), 0));
    append(&log, 20_000, Durability::Sync);
    drop(log);
    let (_, recovery) = setup.reopened();
    assert_eq!((recovery.anchor, recovery.last_lsn), (Some(anchor(199)), 1));
}

#[test]
fn damage_before_an_anchor_hides_it_from_nobody() {
    let setup = Setup::new();
    let log = setup.create();
    append(&log, 30, Durability::None);
    log.note_anchor(anchor(3)).expect("no faults");
    let (path, content, last) = only_file(&setup.fs);
    let file = setup.fs.open(&path, Access::ReadWrite).expect("a file");
    file.write_all_at(&[!content[last + 60]], last as u64 + 60).expect("a disk");
    drop(log);
    let (_, recovery) = setup.reopened();
    assert_eq!((recovery.torn, recovery.last_lsn), (true, 0), "nothing testifies to the frame");
    assert_eq!(recovery.anchor, Some(anchor(3)), "but what was noted behind it was published");
    assert_eq!(setup.reopened().1.anchor, Some(anchor(3)));
}

#[test]
fn notes_are_refused_when_writes_are() {
    let (env, _) = sim_env(1);
    let log =
        FileLog::create(Arc::new(MemFs::new()), Path::new(DIR), &env, Options::new([1; 16])).expect("memory");
    log.close().expect("no faults");
    assert!(matches!(log.note_anchor(anchor(1)), Err(AppendError::Closed)));
    let setup = Setup::new();
    let log = setup.create();
    setup.fs.fail_call(setup.fs.calls() + 1, Fault::Eio, false);
    assert!(matches!(log.note_anchor(anchor(1)), Err(AppendError::Uncertain { .. })));
    assert!(matches!(log.note_anchor(anchor(1)), Err(AppendError::Poisoned { .. })));
}
