//! What every log does, whatever it is made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use vectra_core::env::Env;
use vectra_core::io::sim::{CrashModel, SimFs};
use vectra_core::io::{Fs, MemFs, OsFs};
use vectra_wal::{AppendError, Durability, FileLog, Log, Lsn, NullLog, Options};

use crate::world::{anchor, open, payload};

/// Collects publications and checks their order.
#[derive(Default)]
struct Published(Mutex<Vec<Lsn>>);

impl Published {
    fn note(&self, lsn: Lsn) {
        let mut seen = self.0.lock();
        assert!(seen.last().is_none_or(|last| *last < lsn), "{lsn} published after {seen:?}");
        seen.push(lsn);
    }

    fn take(&self) -> Vec<Lsn> {
        std::mem::take(&mut self.0.lock())
    }

    fn last(&self) -> Lsn {
        self.0.lock().last().copied().unwrap_or(0)
    }
}

type Make<'a> = &'a dyn Fn() -> Box<dyn Log>;

fn conforms(make: Make<'_>) {
    numbers_follow_each_other(&*make());
    one_publication_per_group(&*make());
    sync_settles_everything(&*make());
    weak_operations_can_be_waited_for(&*make());
    notes_change_no_numbers(&*make());
    bad_requests_are_refused(&*make(), &*make());
    truncation_takes_no_numbers_back(&*make());
    a_closed_log_settles_its_tickets_only(&*make());
    acknowledged_means_published(&*make());
}

fn numbers_follow_each_other(log: &dyn Log) {
    assert_eq!((log.last_lsn(), log.durable_lsn()), (0, 0));
    let mut next = 1;
    for op_count in [1, 5, 1, 1000] {
        let ticket = log.enqueue(7, op_count, vec![1]).expect("open");
        assert_eq!((ticket.first_lsn, ticket.last_lsn), (next, next + u64::from(op_count) - 1));
        next += u64::from(op_count);
        assert_eq!(log.last_lsn(), next - 1);
    }
}

fn one_publication_per_group(log: &dyn Log) {
    let published = Published::default();
    let publish = |lsn| published.note(lsn);
    let first = log.enqueue(0, 2, vec![1; 10]).expect("open");
    let second = log.enqueue(1, 3, vec![]).expect("open");
    let third = log.enqueue(255, 1, vec![3; 1000]).expect("open");
    log.commit(&second, Durability::Sync, &publish).expect("no faults");
    assert_eq!(published.take(), [6], "one group takes everything queued");
    assert!(log.durable_lsn() >= second.last_lsn);
    for ticket in [&first, &third, &first] {
        log.commit(ticket, Durability::None, &publish).expect("settled already");
    }
    assert_eq!(published.take(), [0; 0]);
    let stats = log.stats();
    assert_eq!((stats.frames, stats.groups, stats.poisoned), (3, 1, false));
}

fn sync_settles_everything(log: &dyn Log) {
    let published = Published::default();
    let publish = |lsn| published.note(lsn);
    assert_eq!(log.sync(&publish).expect("nothing to do"), 0);
    for _ in 0..4 {
        log.enqueue(1, 2, vec![9; 50]).expect("open");
    }
    assert_eq!(log.sync(&publish).expect("no faults"), 8);
    assert_eq!(published.last(), 8);
    assert_eq!(log.durable_lsn(), 8);
}

fn weak_operations_can_be_waited_for(log: &dyn Log) {
    let published = Published::default();
    let publish = |lsn| published.note(lsn);
    log.wait_durable(0, &publish).expect("nothing to wait for");
    let first = log.enqueue(1, 2, vec![1; 30]).expect("open");
    let second = log.enqueue(1, 1, vec![2; 30]).expect("open");
    log.commit(&first, Durability::None, &publish).expect("no faults");
    first.wait_durable(log, &publish).expect("no faults");
    assert!(log.durable_lsn() >= first.last_lsn);
    assert_eq!(published.take(), [3], "published already");
    second.wait_durable(log, &publish).expect("no faults");
    let third = log.enqueue(1, 1, vec![]).expect("open");
    log.wait_durable(third.last_lsn, &publish).expect("also what nobody has committed yet");
    assert_eq!((published.take(), log.durable_lsn()), (vec![4], 4));
    assert!(matches!(log.wait_durable(5, &publish), Err(AppendError::UnknownTicket { lsn: 5 })));
    log.close().expect("no faults");
    log.wait_durable(4, &publish).expect("a closed log still answers");
}

fn notes_change_no_numbers(log: &dyn Log) {
    log.enqueue(1, 1, vec![1]).expect("open");
    log.note_anchor(anchor(1)).expect("no faults");
    assert_eq!((log.last_lsn(), log.enqueue(1, 1, vec![2]).expect("open").first_lsn), (1, 2));
    assert_eq!(log.sync(&|_| ()).expect("no faults"), 2);
    log.close().expect("no faults");
    assert!(matches!(log.note_anchor(anchor(2)), Err(AppendError::Closed)));
}

fn bad_requests_are_refused(log: &dyn Log, other: &dyn Log) {
    assert!(matches!(log.enqueue(1, 0, vec![]), Err(AppendError::NoOperations)));
    assert_eq!(log.last_lsn(), 0, "a refused frame takes no number");
    other.enqueue(1, 4, vec![]).expect("open");
    let foreign = other.enqueue(1, 1, vec![]).expect("open");
    let outcome = log.commit(&foreign, Durability::Sync, &|_| panic!("nothing to publish"));
    assert!(matches!(outcome, Err(AppendError::UnknownTicket { lsn: 5 })), "{outcome:?}");
}

fn truncation_takes_no_numbers_back(log: &dyn Log) {
    for i in 0..20 {
        let ticket = log.enqueue(1, 1, payload(i, 900)).expect("open");
        log.commit(&ticket, Durability::None, &|_| ()).expect("no faults");
    }
    log.truncate(15).expect("no faults");
    log.truncate(3).expect("a lower floor asks for nothing");
    log.truncate(1000).expect("a floor behind the end takes all there is");
    assert_eq!(log.enqueue(1, 1, vec![]).expect("open").first_lsn, 21);
    assert_eq!(log.sync(&|_| ()).expect("no faults"), 21);
}

fn a_closed_log_settles_its_tickets_only(log: &dyn Log) {
    let published = Published::default();
    let publish = |lsn| published.note(lsn);
    let ticket = log.enqueue(1, 1, vec![5]).expect("open");
    log.close().expect("no faults");
    assert_eq!(published.take(), [0; 0], "close publishes nothing");
    log.commit(&ticket, Durability::Sync, &publish).expect("taken before the close");
    assert_eq!(published.take(), [1]);
    assert!(matches!(log.accepts(), Err(AppendError::Closed)));
    assert!(matches!(log.enqueue(1, 1, vec![]), Err(AppendError::Closed)));
    assert!(matches!(log.sync(&publish), Err(AppendError::Closed)));
    assert!(matches!(log.truncate(1), Err(AppendError::Closed)));
    assert!(matches!(log.close(), Err(AppendError::Closed)));
}

fn acknowledged_means_published(log: &dyn Log) {
    let published = Published::default();
    let order = Mutex::new(());
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (published, order) = (&published, &order);
            scope.spawn(move || {
                for i in 0..25 {
                    let ticket = {
                        let _place = order.lock();
                        log.enqueue(thread as u8, 1 + i % 3, payload(thread, 40)).expect("open")
                    };
                    let durability = if i % 2 == 0 { Durability::Sync } else { Durability::None };
                    log.commit(&ticket, durability, &|lsn| published.note(lsn)).expect("no faults");
                    assert!(published.last() >= ticket.last_lsn, "acknowledged before published");
                    if durability == Durability::Sync {
                        assert!(log.durable_lsn() >= ticket.last_lsn);
                    }
                }
            });
        }
    });
    assert_eq!(published.last(), log.last_lsn());
    assert_eq!(log.stats().frames, 100);
}

fn tiny() -> Options {
    let mut options = Options::new([3; 16]);
    (options.file_bytes_min, options.file_bytes_max, options.reserve_bytes) = (8192, 32_768, 2048);
    options
}

fn file_log_conforms(fs: &Arc<dyn Fs>, root: &Path) {
    let count = std::cell::Cell::new(0);
    let env = Env::os(1);
    conforms(&|| {
        count.set(count.get() + 1);
        let dir = root.join(format!("log{}", count.get()));
        Box::new(FileLog::create(Arc::clone(fs), &dir, &env, tiny()).expect("a new folder"))
    });
    replays_what_was_appended(fs, &root.join("replay"));
}

fn replays_what_was_appended(fs: &Arc<dyn Fs>, dir: &Path) {
    let env = Env::os(1);
    let mut expected = Vec::new();
    let lens = [0, 1, 7, 8, 5000, 100, 20_000, 3, 40_000, 12];
    for life in 0..3_u64 {
        let log = if life == 0 {
            FileLog::create(Arc::clone(fs), dir, &env, tiny()).expect("a new folder")
        } else {
            let (log, _, replayed) = open(Arc::clone(fs), dir, &env, tiny()).expect("an intact log");
            assert_eq!(replayed, expected);
            log
        };
        for (i, len) in lens.iter().enumerate() {
            let (kind, op_count, payload) = (i as u8, 1 + i as u32, payload(life * 100 + i as u64, *len));
            let ticket = log.enqueue(kind, op_count, payload.clone()).expect("open");
            log.commit(&ticket, Durability::None, &|_| ()).expect("no faults");
            expected.push(crate::world::Owned { kind, first_lsn: ticket.first_lsn, op_count, payload });
        }
        if life == 1 {
            log.close().expect("no faults");
        }
    }
    let (_, recovery, replayed) = open(Arc::clone(fs), dir, &env, tiny()).expect("an intact log");
    assert_eq!(replayed, expected);
    assert_eq!((recovery.frames, recovery.torn), (30, false));
}

#[test]
fn null_log() {
    conforms(&|| Box::new(NullLog::new()));
    let log = NullLog::starting_after(41);
    assert_eq!((log.last_lsn(), log.durable_lsn()), (41, 41));
    assert_eq!(log.enqueue(1, 1, vec![]).expect("open").first_lsn, 42);
}

#[test]
fn file_log_in_memory() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    file_log_conforms(&fs, &PathBuf::from("/"));
}

#[test]
fn file_log_on_a_simulated_disk() {
    for model in [CrashModel::WeakPosix, CrashModel::Ext4Ordered] {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1, model));
        file_log_conforms(&fs, &PathBuf::from("/"));
    }
}

#[test]
fn file_log_on_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fs: Arc<dyn Fs> = Arc::new(OsFs::new());
    file_log_conforms(&fs, folder.path());
}
