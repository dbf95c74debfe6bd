//! Following a log from outside: durable frames only, each once, through rotation, recovery and truncation.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use vectra_core::env::Env;
use vectra_core::io::Fs;
use vectra_core::io::sim::{Call, CallKind, Fault, SimFs, SyncSite, SyncedContent};
use vectra_core::testing::oracle::Dice;
use vectra_wal::{Durability, FileLog, Log, LogTail, Lsn, OpenError, Progress};

use crate::world::{MODELS, Owned, open, payload, sim_env, small_options, wal_dir};

struct Bed {
    fs: SimFs,
    env: Env,
    log: Option<FileLog>,
    tail: LogTail,
    seen: Vec<Owned>,
    sent: Vec<Owned>,
}

impl Bed {
    fn new(seed: u64) -> Self {
        let fs = SimFs::new(seed, MODELS[0]);
        let (env, _) = sim_env(seed);
        fs.mkdir(Path::new("/index")).expect("an empty disk");
        (&fs as &dyn Fs).sync_dir(Path::new("/")).expect("no faults");
        let log = FileLog::create(Arc::new(fs.clone()), &wal_dir(), &env, small_options()).expect("created");
        let tail = LogTail::new(&wal_dir(), small_options());
        Self { fs, env, log: Some(log), tail, seen: Vec::new(), sent: Vec::new() }
    }

    fn log(&self) -> &FileLog {
        self.log.as_ref().expect("open")
    }

    fn append(&mut self, len: usize, ops: u32, durability: Durability) -> Lsn {
        let payload = payload(len as u64, len);
        let ticket = self.log().enqueue(3, ops, payload.clone()).expect("open");
        self.log().commit(&ticket, durability, &|_| {}).expect("no faults");
        self.sent.push(Owned { kind: 3, first_lsn: ticket.first_lsn, op_count: ops, payload });
        ticket.last_lsn
    }

    fn advance(&mut self) -> Result<Progress, OpenError> {
        let seen = &mut self.seen;
        self.tail.advance(&self.fs, &mut |frame| {
            seen.push(Owned::from(frame));
            Ok(())
        })
    }

    fn again(&mut self) {
        self.tail = LogTail::new(&wal_dir(), small_options());
        self.seen.clear();
    }

    fn reopen(&mut self) {
        drop(self.log.take());
        let (log, _, frames) =
            open(Arc::new(self.fs.clone()), &wal_dir(), &self.env, small_options()).expect("intact");
        assert_eq!(frames, self.sent);
        self.log = Some(log);
    }
}

#[test]
fn every_frame_is_shown_once_and_through_every_rotation() {
    let mut bed = Bed::new(1);
    let mut dice = Dice::new(1);
    assert_eq!(bed.advance().expect("an empty log"), Progress::UpTo(0));
    for round in 0..60 {
        let durability = if dice.below(2) == 0 { Durability::Sync } else { Durability::None };
        let last = (0..=dice.below(4)).map(|_| bed.append(dice.below(300), 1 + round % 3, durability)).last();
        assert_eq!(bed.advance().expect("intact"), Progress::UpTo(last.expect("at least one")));
        assert_eq!(bed.seen, bed.sent);
    }
    assert!(bed.tail.stats().files > 5, "{:?}", bed.tail.stats());
    assert_eq!(bed.tail.stats().bytes, bed.log().stats().bytes);
    bed.log().close().expect("closed");
    let last = bed.log().last_lsn();
    assert_eq!(bed.advance().expect("intact"), Progress::UpTo(last));
    assert_eq!(bed.seen, bed.sent, "nothing twice");
    bed.again();
    assert_eq!(bed.advance().expect("intact"), Progress::UpTo(last));
    assert_eq!(bed.seen, bed.sent, "from the start as well");
}

/// What was shown survives a power cut, although nobody else synced it.
#[test]
fn what_is_shown_was_made_durable() {
    for seed in 0..40 {
        let mut bed = Bed::new(seed);
        let mut dice = Dice::new(seed);
        for _ in 0..=dice.below(9) {
            bed.append(dice.below(500), 2, Durability::None);
        }
        let before = bed.fs.calls();
        bed.advance().expect("intact");
        assert!(bed.fs.trace().iter().skip(before as usize).all(|call| call.kind.is_sync()), "only syncs");
        let crashed = bed.fs.crash(seed);
        let (_, _, frames) =
            open(Arc::new(crashed), &wal_dir(), &bed.env, small_options()).expect("a torn tail at most");
        assert_eq!(bed.seen, bed.sent);
        assert_eq!(frames, bed.seen, "seed {seed}");
    }
}

#[test]
fn without_a_sync_of_its_own_it_shows_what_the_log_vouches_for() {
    let mut bed = Bed::new(3);
    let first = bed.append(10, 1, Durability::Sync);
    let next = bed.fs.calls() + 1;
    bed.fs.fail_call(next, Fault::SyncFailed { content: SyncedContent::Kept }, false);
    assert_eq!(bed.advance().expect("held back"), Progress::UpTo(first - 1));
    // The first failure is remembered: the next sync may lie.
    assert_eq!(bed.advance().expect("held back"), Progress::UpTo(first - 1));
    let second = bed.append(20, 4, Durability::Sync);
    assert_eq!(bed.advance().expect("the second frame vouches for the first"), Progress::UpTo(first));
    assert_eq!(bed.seen, bed.sent[..1]);
    bed.log().close().expect("closed");
    assert_eq!(bed.advance().expect("a sealed file is durable"), Progress::UpTo(second));
    assert_eq!(bed.seen, bed.sent);
}

#[test]
fn a_recovered_log_has_to_be_followed_anew() {
    let mut bed = Bed::new(4);
    bed.append(30, 1, Durability::Sync);
    bed.advance().expect("intact");
    bed.append(40, 2, Durability::None);
    bed.reopen();
    assert_eq!(bed.advance().expect("readable"), Progress::Elsewhere);
    assert_eq!(bed.advance().expect("readable"), Progress::Elsewhere, "for good");
    bed.again();
    assert_eq!(bed.advance().expect("intact"), Progress::UpTo(3));
    assert_eq!(bed.seen, bed.sent);
}

#[test]
fn a_log_cut_off_behind_the_follower_is_followed_on_and_before_it_is_not() {
    let mut bed = Bed::new(5);
    for _ in 0..12 {
        bed.append(400, 1, Durability::Sync);
    }
    bed.advance().expect("intact");
    let mut late = LogTail::new(&wal_dir(), small_options());
    bed.log().truncate(12).expect("cut");
    let last = bed.append(50, 1, Durability::Sync);
    assert_eq!(bed.advance().expect("its own place is there"), Progress::UpTo(last));
    assert_eq!(bed.seen, bed.sent);
    let error = late.advance(&bed.fs, &mut |_| Ok(())).expect_err("what it needs is gone");
    assert!(matches!(error, OpenError::Corruption(_)), "{error}");
    let mut options = small_options();
    options.replay_from = 12;
    let mut seen = Vec::new();
    let progress = LogTail::new(&wal_dir(), options).advance(&bed.fs, &mut |frame| {
        seen.push(frame.first_lsn);
        Ok(())
    });
    assert_eq!(progress.expect("it needs no more"), Progress::UpTo(last));
    assert_eq!(seen, [12, 13]);
}

#[test]
fn damage_and_failing_reads_are_errors_and_a_torn_tail_is_not() {
    let mut bed = Bed::new(6);
    for _ in 0..3 {
        bed.append(60, 1, Durability::Sync);
    }
    let path = wal_dir().join("00000000000000000001.wal");
    // The last frame, then the second.
    let frame = |number: u64| 8 * (4096 + number * 120 + 70);
    bed.fs.flip_bit(&path, frame(2)).expect("within the file");
    assert_eq!(bed.advance().expect("it looks like a write under way"), Progress::UpTo(2));
    bed.fs.flip_bit(&path, frame(2)).expect("within the file");
    assert_eq!(bed.advance().expect("it is done"), Progress::UpTo(3));
    bed.again();
    bed.fs.flip_bit(&path, frame(1)).expect("within the file");
    assert!(matches!(bed.advance(), Err(OpenError::Corruption(_))));
    bed.again();
    bed.fs.flip_bit(&path, frame(1)).expect("within the file");
    let reads = bed.fs.reads();
    for n in 1..200 {
        bed.fs.fail_read(bed.fs.reads() + n, Fault::Eio, false);
        let outcome = bed.advance();
        bed.fs.clear_faults();
        match outcome {
            Ok(progress) => {
                assert_eq!(progress, Progress::UpTo(3));
                assert!(n > 5 && bed.fs.reads() > reads);
                return;
            }
            Err(error) => assert!(matches!(error, OpenError::Io { .. }), "read {n}: {error}"),
        }
        bed.again();
    }
    panic!("every read fails");
}

#[test]
fn nothing_is_written_whatever_is_there() {
    let mut bed = Bed::new(7);
    for _ in 0..20 {
        bed.append(100, 1, Durability::None);
        bed.advance().expect("intact");
    }
    bed.reopen();
    bed.again();
    let before = bed.fs.calls();
    bed.advance().expect("intact");
    let trace = bed.fs.trace();
    let changes = trace
        .iter()
        .skip(before as usize)
        .filter(|call| !matches!(call.kind, CallKind::SyncData | CallKind::SyncDir));
    assert_eq!(changes.count(), 0);
}

/// Whoever sees a file before its name is durable makes the name durable, too.
#[test]
fn what_is_shown_survives_although_the_writer_never_synced_a_name() {
    let run = |seed: u64, ignored: &BTreeSet<SyncSite>, followers: bool| {
        let mut bed = Bed::new(seed);
        ignored.iter().for_each(|site| bed.fs.ignore_sync(site.file, site.line));
        for _ in 0..8 {
            bed.append(300, 1, Durability::Sync);
        }
        bed.advance().expect("intact");
        if !followers {
            bed.seen.clear();
        }
        (bed.fs.crash(seed), bed)
    };
    let (_, bed) = run(0, &BTreeSet::new(), false);
    let named = |call: &&Call| call.kind == CallKind::SyncDir && call.path == wal_dir();
    let sites: BTreeSet<SyncSite> =
        bed.fs.trace().iter().filter(named).filter_map(|call| call.site).collect();
    let writers: BTreeSet<SyncSite> =
        sites.iter().copied().filter(|site| !site.file.ends_with("follow.rs")).collect();
    assert!(!writers.is_empty() && writers.len() < sites.len(), "{sites:?}");
    let mut lost = 0;
    for seed in 0..30 {
        let (crashed, bed) = run(seed, &writers, true);
        let (_, _, frames) =
            open(Arc::new(crashed), &wal_dir(), &bed.env, small_options()).expect("everything is there");
        assert_eq!(frames, bed.seen, "seed {seed}");
        // Without the follower's sync, too, the names are lost.
        let (crashed, bed) = run(seed, &sites, false);
        lost += u64::from(open(Arc::new(crashed), &wal_dir(), &bed.env, small_options()).is_err());
    }
    assert!(lost > 0, "the syncs of names make no difference");
}
